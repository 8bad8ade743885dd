"""Sources: what they hand out, in which order, how lazily, and what they say when they cannot."""

from __future__ import annotations

import gc
import io
import os
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pullahead.errors import SourceError
from pullahead.sources import Capabilities, IterableSource, Source, as_source, jsonl, lines, paths, total_hint
from pullahead.sources.files import COUNTED_BYTES
from pullahead.sources.source import TakesPairs

WAIT = 5.0  # far longer than anything here takes; only a failing test waits that long


def drain(source: Source, n: int = 7) -> list[Any]:
    """Take everything, and say done to everything."""
    items = []
    while not source.closed:
        for token, item, attempt in source.take(n, WAIT):
            assert attempt == 1
            items.append(item)
            source.done(token)
    assert source.take(n, 0) == []
    source.close()
    return items


def take_forever(source: Source, items: list[Any]) -> None:
    """Take until the source raises."""
    while True:
        items += [taken.item for taken in source.take(4, WAIT)]


def generate(count: int) -> Iterator[int]:
    yield from range(count)


MAKERS: list[Callable[[int], Iterable[int]]] = [
    lambda n: list(range(n)),
    lambda n: tuple(range(n)),
    range,
    lambda n: deque(range(n)),
    lambda n: set(range(n)),
    lambda n: dict.fromkeys(range(n)).keys(),
    generate,
    lambda n: iter(range(n)),
    lambda n: (i for i in range(n)),
]


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 1000])
@pytest.mark.parametrize("make", MAKERS)
def test_every_iterable_gives_all_its_items_in_order(
    make: Callable[[int], Iterable[int]], count: int
) -> None:
    assert drain(as_source(make(count))) == list(range(count))


def test_a_container_is_closed_as_soon_as_its_last_item_is_taken() -> None:
    source = as_source([1, 2, 3])
    assert [taken.item for taken in source.take(3)] == [1, 2, 3]
    assert source.closed


def test_a_source_passes_through() -> None:
    source = as_source([1])
    assert as_source(source) is source
    assert isinstance(source, Source)
    assert source.capabilities == Capabilities(ordered=True, finite=True)


def test_no_more_is_pulled_than_was_asked_for() -> None:
    pulled = []

    def watched() -> Iterator[int]:
        for i in range(100):
            pulled.append(i)
            yield i

    source = as_source(watched())
    assert pulled == []
    got = 0
    while got < 10:
        got += len(source.take(10 - got, WAIT))
    time.sleep(0.05)  # long enough for a thread that pulls too much to show it
    assert pulled == list(range(10))
    source.close()


def test_an_item_is_not_kept_back_for_the_next_one() -> None:
    gate = threading.Event()

    def trickle() -> Iterator[str]:
        yield "a"
        yield "b"
        gate.wait(WAIT)
        yield "c"

    source = as_source(trickle())
    first: list[str] = []
    while len(first) < 2:
        first += [taken.item for taken in source.take(64, WAIT)]
    assert first == ["a", "b"]
    assert source.take(64, 0.01) == []
    assert not source.closed
    gate.set()
    assert [taken.item for taken in source.take(64, WAIT)] == ["c"]
    assert source.take(64, WAIT) == []
    assert source.closed
    source.close()


def test_a_generator_is_always_pulled_by_the_same_thread() -> None:
    def where() -> Iterator[int]:
        for _ in range(20):
            yield threading.get_ident()

    assert len(set(drain(as_source(where()), 1))) == 1


class BrokenError(Exception):
    """An error that only the user knows."""


def broken_at(count: int) -> Iterator[int]:
    yield from range(count)
    raise BrokenError("no more")


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 100])
def test_an_error_of_the_iterable_comes_as_it_is_after_the_items_before_it(count: int) -> None:
    source = as_source(broken_at(count))
    items: list[int] = []
    with pytest.raises(BrokenError, match="no more") as caught:
        take_forever(source, items)
    assert items == list(range(count))
    assert caught.traceback[-1].name == "broken_at"
    assert source.closed
    assert source.take(7, WAIT) == []
    source.close()


def test_a_container_that_changes_under_us_raises_after_the_items_before_it() -> None:
    changing = {0, 1, 2}
    source = as_source(changing)
    first = source.take(1)
    changing.add(3)
    with pytest.raises(RuntimeError, match="changed size"):
        source.take(5)
    assert [taken.item for taken in first] == [0]
    assert source.closed


def test_what_is_given_back_comes_again_first_and_at_its_old_place() -> None:
    source = as_source(range(6))
    tokens = [taken.token for taken in source.take(4)]
    source.done(tokens[1])
    source.failed(tokens[0], "it did")
    source.give_back([tokens[3], tokens[2]])
    assert drain(source) == [2, 3, 4, 5]


def test_giving_back_opens_a_closed_source_again_and_costs_no_attempt() -> None:
    source = as_source(["a"])
    [taken] = source.take(5)
    assert source.closed
    source.give_back([taken.token])
    assert not source.closed
    assert source.take(5) == [taken]
    with pytest.raises(ValueError, match="expected delay=0, got 2"):
        source.give_back([taken.token], 2)


def test_pairs_are_taken_as_items_are() -> None:
    source = as_source(["a", "b", "c"])
    assert isinstance(source, TakesPairs)
    assert source.take_pairs(2, WAIT) == [(0, "a"), (1, "b")]
    assert source.take(5) == [(2, "c", 1)]
    source.give_back([1, 2])
    assert source.take_pairs(5, WAIT) == [(1, "b"), (2, "c")]
    assert source.take_pairs(5, WAIT) == []
    assert source.closed


def test_nothing_is_remembered_of_an_item_that_is_done() -> None:
    source = IterableSource(iter(range(1000)))
    while not source.closed:
        for taken in source.take(50, WAIT):
            source.done(taken.token)
    assert repr(source) == "<IterableSource closed, 1000 taken, 0 held>"


def test_closing_ends_the_thread_and_closes_only_what_the_source_opened() -> None:
    closed = []

    class Ours:
        def __iter__(self) -> Iterator[int]:
            try:
                yield from range(100)
            finally:
                closed.append("ours")

    source = as_source(Ours())
    source.take(3, WAIT)
    source.close()
    source.close()
    assert closed == ["ours"]
    assert source.closed
    assert not [thread for thread in threading.enumerate() if thread.name == "pullahead-source"]

    theirs = iter(range(100))
    source = as_source(theirs)
    while not source.take(1, WAIT):
        pass
    source.close()
    assert next(theirs) == 1


def test_items_that_are_out_may_end_after_the_source_was_closed() -> None:
    source = IterableSource(range(4))
    first, second, third, _ = [taken.token for taken in source.take(4)]
    source.close()
    source.done(first)
    source.failed(second, "it did")
    source.give_back([third])
    assert source.closed
    assert source.take(4) == []
    assert repr(source) == "<IterableSource closed, 4 taken, 1 held>"


def test_a_generator_that_nobody_else_holds_ends_with_the_source() -> None:
    closed = []

    def ours() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.append("ended")

    source = as_source(ours())
    source.take(3, WAIT)
    source.close()
    gc.collect()
    assert closed == ["ended"]


def test_closing_does_not_wait_for_an_iterable_that_blocks() -> None:
    gate = threading.Event()

    def stuck() -> Iterator[int]:
        yield 1
        gate.wait(WAIT)

    source = as_source(stuck())
    source.take(5, WAIT)
    source.take(5, 0.01)
    began = time.perf_counter()
    source.close()
    assert time.perf_counter() - began < 0.5
    assert source.take(5, 0.01) == []
    gate.set()


async def asynchronous() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        ("in.txt", r"got str 'in.txt'; for the lines of a file write pullahead.sources.lines\('in.txt'\)"),
        (Path("in.txt"), r"pullahead.sources.paths\('in.txt'\)"),
        (b"data", r"got bytes b'data'; for one item put it in a list"),
        ({"a": 1}, r"got dict {'a': 1}, which could mean its keys or its values; write d.items\(\)"),
        (None, r"got None; for one item put it in a list: \[item\]"),
        (7, r"got int 7; for one item"),
        (list, r"got the class list; did you mean to call it\?"),
        (asynchronous, r"got function <function asynchronous"),
    ],
)
def test_what_is_no_source_is_refused_with_a_hint(obj: Any, expected: str) -> None:
    with pytest.raises(TypeError, match=expected):
        as_source(obj)


def test_an_async_iterable_is_refused_with_a_hint() -> None:
    with pytest.raises(TypeError, match="an async iterable cannot be pulled from here"):
        as_source(asynchronous())


class BadLength(list[int]):
    def __len__(self) -> int:
        raise OSError("the index is gone")


def test_the_total_is_known_when_it_costs_nothing(tmp_path: Path) -> None:
    assert total_hint([1, 2, 3]) == 3
    assert total_hint(iter([1, 2, 3])) == 3
    assert total_hint(generate(3)) is None
    assert total_hint(BadLength()) is None
    assert total_hint(as_source(range(4))) == 4
    text = tmp_path / "in.txt"
    text.write_text("1\n\n2")
    assert total_hint(lines(text)) == 3
    assert total_hint(jsonl(text)) == 2
    assert total_hint(lines(io.StringIO("a\nb"))) is None
    os.truncate(text, COUNTED_BYTES + 1)  # sparse: takes no room
    assert total_hint(lines(text)) is None


def test_paths_lists_files_sorted(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c.bin", ".hidden", "sub/d.txt", "sub/.git/e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()

    def names(where: Path, **options: bool) -> list[str]:
        return [str(path.relative_to(tmp_path)) for path in paths(where, **options)]

    assert names(tmp_path) == ["a.txt", "b.txt", "c.bin"]
    assert names(tmp_path, recursive=True) == ["a.txt", "b.txt", "c.bin", "sub/d.txt"]
    assert names(tmp_path / "*.txt") == ["a.txt", "b.txt"]
    assert names(tmp_path / "**" / "*.txt", recursive=True) == ["a.txt", "b.txt", "sub/d.txt"]
    assert names(tmp_path / "b.txt") == ["b.txt"]
    assert names(tmp_path / "*.jpg") == []
    assert names(tmp_path, hidden=True) == [".hidden", "a.txt", "b.txt", "c.bin"]
    assert total_hint(paths(tmp_path)) == 3
    with pytest.raises(FileNotFoundError, match=r"found nothing at '.*nowhere'"):
        paths(tmp_path / "nowhere")


def test_a_folder_whose_name_looks_like_a_pattern_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a[1]*"
    folder.mkdir()
    (folder / "x").touch()
    assert paths(folder) == [folder / "x"]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", []),
        (b"a\nb\n", ["a", "b"]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"\xef\xbb\xbfa\n", ["a"]),
        ("é\u2028x\n".encode(), ["é\u2028x"]),
        (b" a \n", [" a "]),
    ],
)
def test_lines_are_items_without_their_ends(tmp_path: Path, raw: bytes, expected: list[str]) -> None:
    file = tmp_path / "in.txt"
    file.write_bytes(raw)
    source = lines(file)
    assert list(source) == expected
    assert list(source) == expected, "a file can be read again"
    assert list(lines(io.BytesIO(raw))) == expected
    assert drain(as_source(lines(str(file)))) == expected


def test_lines_of_an_open_text_file(tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_text("a\nb\n")
    with file.open() as stream:
        assert list(lines(stream)) == ["a", "b"]
    assert list(lines(io.StringIO("x\ny"))) == ["x", "y"]


def test_what_is_not_utf8_names_the_file_the_line_and_the_byte(tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_bytes(b"good\nba\xffd\n")
    reader = iter(lines(file))
    assert next(reader) == "good"
    with pytest.raises(SourceError, match=r"in\.txt, line 2: expected UTF-8 text, got byte 0xff at column 3"):
        next(reader)


def test_jsonl_gives_values_and_skips_blank_lines(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text('{"a": 1}\n\n[2, "x"]\n  \nnull\n"s"\n1.5')
    assert list(jsonl(file)) == [{"a": 1}, [2, "x"], None, "s", 1.5]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": }', r"line 17: expected a JSON value, got '\{\"a\": \}' \(Expecting value at column 7\)"),
        ("NaN", "line 17: expected a JSON value, got NaN, which JSON does not have"),
        ("[" * 100_000, "line 17: expected a JSON value, got a value nested too deeply"),
        ("x" * 100, r"line 17: expected a JSON value, got 'x{39}…' \(Expecting value at column 1\)"),
    ],
)
def test_broken_json_names_the_file_and_the_line(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text("1\n" * 15 + "\n" + text + "\n2\n")
    source = as_source(jsonl(file))
    items: list[int] = []
    with pytest.raises(SourceError, match=r"in\.jsonl, " + expected):
        take_forever(source, items)
    assert items == [1] * 15
    source.close()


def test_a_file_that_cannot_be_read_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt"):
        lines(tmp_path / "nowhere.txt")
    with pytest.raises(IsADirectoryError, match=r"expected a file, got the folder .* use paths\("):
        jsonl(tmp_path)


def test_a_pipe_is_read_as_it_comes() -> None:
    end, other = os.pipe()
    source = as_source(lines(f"/dev/fd/{end}"))
    os.write(other, b"a\n")
    assert [taken.item for taken in source.take(10, WAIT)] == ["a"]
    os.write(other, b"b\n")
    assert [taken.item for taken in source.take(10, WAIT)] == ["b"]
    os.close(other)
    assert source.take(10, WAIT) == []
    assert source.closed
    source.close()
    os.close(end)


def test_a_missing_standard_input_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(OSError, match="standard input is closed"):
        list(lines("-"))


def test_standard_input_that_was_replaced_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("1\n2\n"))
    assert list(jsonl("-")) == [1, 2]
