"""Sinks: what is written, what is refused, and what happens to a file that is there already."""

from __future__ import annotations

import io
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pullahead.errors import ResultError
from pullahead.sources import JsonlSink, as_sink, is_failure
from pullahead.sources.jsonl_sink import Mode


@dataclass
class Failed:
    """Has what a failure has."""

    item: Any
    error: BaseException
    traceback: str = ""
    attempts: int = 2


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_item_is_one_line_with_its_result_or_its_error(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with JsonlSink(out) as sink:
        sink({"words": 3}, "a.txt")
        sink(Failed("b.txt", ValueError("no words")), "b.txt")
        sink(None, 7)
        sink((1, Path("x")), Path("c"))
        sink(Failed("d", json.JSONDecodeError("bad", "x", 0)), "d")
    assert read(out) == [
        {"item": "a.txt", "result": {"words": 3}},
        {"item": "b.txt", "error": {"type": "ValueError", "message": "no words", "attempts": 2}},
        {"item": 7, "result": None},
        {"item": "c", "result": [1, "x"]},
        {
            "item": "d",
            "error": {
                "type": "json.decoder.JSONDecodeError",
                "message": "bad: line 1 column 1 (char 0)",
                "attempts": 2,
            },
        },
    ]


def test_a_line_is_there_when_the_call_returns(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with JsonlSink(out) as sink:
        sink(1, "a")
        assert read(out) == [{"item": "a", "result": 1}]
        assert sink.written == 1


def test_streams_of_both_kinds_are_written_and_left_open() -> None:
    text, binary = io.StringIO(), io.BytesIO()
    for stream in (text, binary):
        with JsonlSink(stream) as sink:
            sink("é", "a")
        assert not stream.closed
    assert text.getvalue() == '{"item": "a", "result": "é"}\n'
    assert binary.getvalue() == text.getvalue().encode()


def test_names_that_are_not_text_survive() -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    out = io.BytesIO()
    JsonlSink(out)(1, name)
    assert json.loads(out.getvalue()) == {"item": name, "result": 1}


class Opaque:
    """Something that JSON does not know."""


LOOP: list[Any] = []
LOOP.append(LOOP)


class Array(Opaque):
    def tolist(self) -> list[int]:
        return [1]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({1, 2}, "got set at result"),
        ({"a": [0, {"b": {1}}]}, r"got set at result\['a'\]\[1\]\['b'\]"),
        (b"x", "got bytes at result"),
        (Opaque(), r"got .*test_sinks\.Opaque at result"),
        (Array(), r"got .*Array at result \(its tolist\(\) would do\)"),
        (math.nan, "got nan at result"),
        ([1.0, -math.inf], r"got -inf at result\[1\]"),
        ({(1, 2): 3}, "got a key of type tuple in result"),
        (LOOP, r"got a value that contains itself or is too deep at result\[0\]"),
        (Path, "got type at result"),
        (ValueError("x"), "got ValueError at result"),
    ],
)
def test_a_result_that_json_cannot_hold_names_the_item_the_type_and_the_place(
    result: Any, expected: str
) -> None:
    out = io.BytesIO()
    sink = JsonlSink(out)
    with pytest.raises(ResultError, match=rf"^item 'in': expected result to be a value .* {expected}"):
        sink(result, "in")
    assert out.getvalue() == b""
    assert sink.written == 0


def test_an_item_that_json_cannot_hold_is_named_too() -> None:
    with pytest.raises(ResultError, match=r"^item b'x': expected item to be a value .* got bytes at item"):
        JsonlSink(io.BytesIO())(1, b"x")


def test_an_existing_file_is_refused_unless_asked_otherwise(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("old\n")
    with pytest.raises(FileExistsError, match=r"the file '.*out\.jsonl' exists; append to it, overwrite it"):
        JsonlSink(out)
    with JsonlSink(out, "append") as sink:
        sink(1, "a")
    assert out.read_text() == 'old\n{"item": "a", "result": 1}\n'
    with JsonlSink(out, "overwrite") as sink:
        assert out.read_text() != "", "emptied with the first line, not before"
        sink(2, "b")
    assert read(out) == [{"item": "b", "result": 2}]


@pytest.mark.parametrize("mode", ["refuse", "append", "overwrite"])
def test_a_new_file_is_made_in_every_mode(tmp_path: Path, mode: Mode) -> None:
    out = tmp_path / "out.jsonl"
    with JsonlSink(out, mode):
        pass
    assert out.read_text() == ""


def test_half_a_line_that_a_journal_cuts_off_is_not_ended(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text('{"item": 1, "result": 1}\n{"item"')
    with JsonlSink(out, "append") as sink:
        assert sink.resume(25)
        sink(2, 2)
    assert out.read_text() == '{"item": 1, "result": 1}\n{"item": 2, "result": 2}\n'


def test_half_a_line_is_ended_before_appending(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text('{"item": "a", "res')
    with JsonlSink(out, "append") as sink:
        sink(1, "b")
    assert out.read_text().splitlines() == ['{"item": "a", "res', '{"item": "b", "result": 1}']
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    with JsonlSink(empty, "append") as sink:
        sink(1, "b")
    assert len(read(empty)) == 1


def fail_to_start(out: Path, mode: Mode) -> None:
    with pytest.raises(KeyError), JsonlSink(out, mode):
        raise KeyError("the model")


def test_a_run_that_fails_to_start_leaves_no_trace(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    fail_to_start(out, "refuse")
    assert not out.exists()
    out.write_text("old\n")
    for mode in ("append", "overwrite"):
        fail_to_start(out, mode)
        assert out.read_text() == "old\n"


def test_a_run_that_fails_later_keeps_its_lines(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    sink = JsonlSink(out)
    sink(1, "a")
    with pytest.raises(KeyError), sink:
        raise KeyError("later")
    assert len(read(out)) == 1


def test_overwriting_with_nothing_leaves_an_empty_file(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("old\n")
    with JsonlSink(out, "overwrite"):
        pass
    assert out.read_text() == ""


def test_what_is_no_regular_file_is_never_refused() -> None:
    with JsonlSink("/dev/null") as sink:
        sink(1, "a")


def test_a_full_disk_is_said_once() -> None:
    with pytest.raises(OSError, match="No space left"), JsonlSink("/dev/full") as sink:
        sink(1, "a")
    with pytest.raises(ValueError, match="is closed"):
        sink(1, "b")


def test_a_closed_sink_says_so(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "out.jsonl")
    sink.close()
    sink.close()
    with pytest.raises(ValueError, match=r"the sink '.*out\.jsonl' is closed"):
        sink(1, "a")


def test_a_sink_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        JsonlSink(tmp_path / "no" / "out.jsonl")
    with pytest.raises(IsADirectoryError):
        JsonlSink(tmp_path)
    with pytest.raises(
        ValueError, match="expected mode to be one of refuse, append, overwrite, continue, got 'x'"
    ):
        JsonlSink(tmp_path / "x", "x")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(TypeError, match="expected a path or a stream that is open for writing, got int"):
        JsonlSink(7)  # type: ignore[arg-type]  # wrong on purpose


def test_a_sink_that_nobody_closed_leaks_nothing(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "out.jsonl")
    sink(1, "a")
    del sink  # a ResourceWarning would be an error here
    assert len(read(tmp_path / "out.jsonl")) == 1


def two(result: Any, item: Any) -> None: ...


def one(result: Any) -> None: ...


def three(result: Any, item: Any, more: Any) -> None: ...


def test_a_callable_is_a_sink() -> None:
    sink = JsonlSink(io.BytesIO())
    assert as_sink(two) is two
    assert as_sink(print) is print
    assert as_sink(sink) is sink
    as_sink(None)(1, "a")


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        ("out.jsonl", r"got 'out.jsonl'; for a file of JSON lines write .*JsonlSink\('out.jsonl'\)"),
        (Path("out"), r"JsonlSink\('out'\)"),
        ([], r"got list; to collect results write lambda result, item: results.append\(result\)"),
        (io.StringIO(), r"got StringIO; for JSON lines write pullahead.sources.JsonlSink\(stream\)"),
        (JsonlSink, r"got the class JsonlSink; did you mean to call it\?"),
        (7, "got int 7"),
        (one, r"called as sink\(result, item\), got one\(result: 'Any'\) -> 'None': too many"),
        (three, "got three.*missing a required argument: 'more'"),
    ],
)
def test_what_is_no_sink_is_refused_with_a_hint(obj: Any, expected: str) -> None:
    with pytest.raises(TypeError, match=expected):
        as_sink(obj)


def test_a_failure_is_told_from_a_result() -> None:
    assert is_failure(Failed("a", ValueError()))
    for result in (None, 1, "x", {"error": 1}, ValueError(), Opaque()):
        assert not is_failure(result)
