"""Runs that go on where they were: what has ended is not done again, and nothing is missing."""

from __future__ import annotations

import functools
import itertools
import json
import os
import signal
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance import works

import pullahead as pa
from pullahead.errors import JournalError, SourceError
from pullahead.journal import Journal
from pullahead.sources import JsonlSink


@pytest.fixture
def journal(tmp_path: Path) -> str:
    return str(tmp_path / "run.db")


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    """A folder in which work notes each call."""
    folder = tmp_path / "seen"
    folder.mkdir()
    return folder


def calls(seen: Path) -> Counter[str]:
    """Return how often each item was processed."""
    return Counter(path.name.split(" ")[0] for path in seen.iterdir())


def noting(seen: Path) -> Any:
    return functools.partial(works.note_each_call, str(seen))


def test_a_second_run_yields_what_was_recorded_and_computes_nothing(journal: str, seen: Path) -> None:
    first = pa.map(noting(seen), range(50), workers=2, journal=journal)
    assert list(first) == [2 * x for x in range(50)]
    again = pa.map(noting(seen), range(50), workers=2, journal=journal)
    assert list(again) == [2 * x for x in range(50)]
    assert calls(seen) == Counter({str(x): 1 for x in range(50)})
    assert (first.report.recorded, again.report.recorded, again.report.done) == (0, 50, 50)
    assert list(Path(journal).parent.glob("run.db-*")) == [], "the log is tidied up"


@pytest.mark.parametrize("ordered", [True, False])
def test_a_run_that_was_left_goes_on(journal: str, seen: Path, ordered: bool) -> None:
    with pa.map(noting(seen), range(300), workers=2, journal=journal, ordered=ordered) as results:
        begun = [next(results) for _ in range(40)]
    assert len(set(begun)) == 40
    again = pa.map(noting(seen), range(300), workers=2, journal=journal, ordered=ordered)
    values = list(again)
    assert sorted(values) == [2 * x for x in range(300)]
    assert not ordered or values == sorted(values)
    assert calls(seen) == Counter({str(x): 1 for x in range(300)}), "what was computed was recorded"
    assert 40 <= again.report.recorded < 300


def test_an_input_that_grows_is_gone_on_with_and_what_is_absent_is_counted(journal: str, seen: Path) -> None:
    assert list(pa.map(noting(seen), range(10), workers=2, journal=journal)) == [2 * x for x in range(10)]
    assert list(pa.map(noting(seen), range(15), workers=2, journal=journal)) == [2 * x for x in range(15)]
    fewer = pa.map(noting(seen), range(4), workers=2, journal=journal)
    assert list(fewer) == [0, 2, 4, 6]
    assert (fewer.report.absent, fewer.report.recorded) == (11, 4)
    assert calls(seen) == Counter({str(x): 1 for x in range(15)})


def test_an_input_that_has_changed_is_refused_where_it_differs(journal: str) -> None:
    list(pa.map(works.double, range(10), workers=2, journal=journal))
    results = pa.map(works.double, [0, 1, 2, 7, 4], workers=2, journal=journal)
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    with pytest.raises(SourceError) as caught:
        list(results)
    assert str(caught.value) == (
        f"item 7 is not the one that the journal {journal!r} has at position 3: the input has changed, which "
        "only items with a key may (key=, or --key)"
    )


def test_with_a_key_items_may_move_come_and_go(journal: str, seen: Path) -> None:
    work = functools.partial(works.note_each_name, str(seen))
    old = [{"name": name, "size": len(name)} for name in ("a", "bb", "ccc")]
    key = works.name_of
    assert list(pa.map(work, old, workers=2, journal=journal, key=key)) == ["A", "BB", "CCC"]
    new = [{"name": name, "size": 0} for name in ("dddd", "ccc", "a")]
    results = pa.map(work, new, workers=2, journal=journal, key=key)
    assert list(results) == ["DDDD", "CCC", "A"]
    assert calls(seen) == Counter(dict.fromkeys(("a", "bb", "ccc", "dddd"), 1))
    assert (results.report.recorded, results.report.absent) == (2, 1)


@pytest.mark.parametrize("before", [[], ["a", "b"]])
def test_a_key_that_comes_twice_is_refused(journal: str, before: list[str]) -> None:
    list(pa.map(works.upper, before, workers=1, journal=journal, key=str))
    results = pa.map(works.upper, ["a", "b", "a"], workers=1, journal=journal, key=str)
    assert [next(results), next(results)] == ["A", "B"]
    with pytest.raises(SourceError) as caught:
        list(results)
    said = "item 'a': an item with the key 'a' came before; expected a key of its own for each"
    assert str(caught.value) == said


def test_a_key_that_comes_twice_at_once_is_refused(journal: str) -> None:
    results = pa.map(works.upper, iter(["a", "a"]), workers=1, journal=journal, key=str)
    assert next(results) == "A"
    with pytest.raises(SourceError, match="with the key 'a' came before"):
        list(results)


def test_another_work_or_version_is_refused_and_a_bug_may_be_fixed(journal: str) -> None:
    one = Journal(path=journal, version="1")
    list(pa.map(works.double, [1], workers=1, journal=one))
    list(pa.map(works.double, [1, 2], workers=1, journal=one))
    with pytest.raises(JournalError) as caught:
        pa.map(works.double, [1], workers=1, journal=Journal(path=journal, version="2"))
    name = "'tests.acceptance.works:double'"
    assert str(caught.value) == (
        f"the journal {journal!r} is of the work {name}, version '1', got {name}, version '2'; name another "
        "journal"
    )
    with pytest.raises(
        JournalError, match=r"is of the work .*works:double', version '1', got .*works:upper'"
    ):
        pa.map(works.upper, ["a"], workers=1, journal=journal)


def test_failures_are_recorded_with_their_attempts_and_stay(journal: str, seen: Path) -> None:
    work = functools.partial(works.note_and_fail_on_three, str(seen))
    options: dict[str, Any] = {"workers": 2, "journal": journal, "on_error": "collect", "retries": 1}
    before = list(pa.map(work, range(6), **options))
    again = list(pa.map(work, range(6), **options))
    assert calls(seen) == Counter({"0": 1, "1": 1, "2": 1, "3": 2, "4": 1, "5": 1})
    assert [one for one in again if not isinstance(one, pa.Failure)] == [0, 1, 2, 4, 5]
    failure = again[3]
    assert isinstance(failure, pa.Failure)
    assert (failure.item, failure.attempts, len(failure.history)) == (3, 2, 2)
    assert (type(failure.error), str(failure.error)) == (ValueError, "three")
    assert "note_and_fail_on_three" in failure.traceback
    assert [one.began for one in failure.history] == [one.began for one in before[3].history]
    assert {one.worker for one in failure.history} <= {0, 1}


def test_what_failed_is_tried_again_when_asked_for_or_when_failures_are_raised(
    journal: str, seen: Path
) -> None:
    work = functools.partial(works.note_and_fail_on_three, str(seen))
    for retry in (Journal(path=journal), Journal(path=journal, retry_failed=True)):
        list(pa.map(work, range(6), workers=2, journal=retry, on_error="collect"))
    assert calls(seen)["3"] == 2
    with pytest.raises(ValueError, match="three"):
        list(pa.map(work, range(6), workers=2, journal=journal))
    assert calls(seen) == Counter({"0": 1, "1": 1, "2": 1, "3": 3, "4": 1, "5": 1})


def test_attempts_of_an_earlier_run_count(journal: str, seen: Path) -> None:
    """A run that ends while an item waits for its next attempt has charged it for those it had."""
    work = functools.partial(works.note_and_fail_on_three, str(seen))
    with pa.map(work, [3], workers=1, journal=journal, retries=20, on_error="collect") as results:
        works.wait_for_files(seen, 2)
        results.cancel()
        assert list(results) == []
    had = calls(seen)["3"]
    (failure,) = pa.map(work, [3], workers=1, journal=journal, retries=had, on_error="collect")
    assert calls(seen)["3"] == had + 1
    assert failure.attempts == had + 1


def test_json_stays_json_in_the_file_and_all_else_comes_back_as_it_was(journal: str) -> None:
    items: list[Any] = [{"a": [1, None]}, (1, 2), Path("x"), {1, 2}, "é", 1.5]
    assert list(pa.map(works.echo, items, workers=2, journal=journal)) == items
    again = list(pa.map(works.echo, items, workers=2, journal=journal))
    assert again == items
    assert [type(one) for one in again] == [type(one) for one in items]
    database = sqlite3.connect(journal)
    rows = database.execute("SELECT item, result, label FROM items ORDER BY place").fetchall()
    database.close()
    kinds = [(type(item), type(result)) for item, result, _ in rows]
    assert kinds == [(str, str), (bytes, bytes), (bytes, bytes), (bytes, bytes), (str, str), (str, str)]
    assert (json.loads(rows[0][1]), rows[4][1], rows[1][2]) == ({"a": [1, None]}, '"é"', "(1, 2)")


def test_large_results_come_back_writable(journal: str) -> None:
    import numpy as np

    (fresh,) = pa.map(works.large_array, [100_000], workers=1, journal=journal)
    (recorded,) = pa.map(works.large_array, [100_000], workers=1, journal=journal)
    assert np.array_equal(fresh, recorded)
    recorded += 1
    assert recorded[0] == fresh[0] + 1


def test_a_file_goes_on_where_it_was(journal: str, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    for count in (20, 50, 50):
        with JsonlSink(out, "continue") as sink:
            pa.run(works.double, range(count), sink, workers=2, journal=journal, ordered=False)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert Counter(line["item"] for line in lines) == Counter(range(50))


def test_what_was_written_after_the_last_commit_is_cut_off_and_written_again(
    journal: str, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    with JsonlSink(out, "continue") as sink:
        pa.run(works.double, range(20), sink, workers=2, journal=journal)
    whole = out.read_text()
    with out.open("a") as stream:
        stream.write('{"item": 20, "result": 40}\n{"item"')  # as if the process had died here
    with JsonlSink(out, "continue") as sink:
        pa.run(works.double, range(21), sink, workers=2, journal=journal)
    assert out.read_text() == whole + '{"item": 20, "result": 40}\n'


def test_a_file_that_the_journal_does_not_know_is_refused(journal: str, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("precious\n")
    with pytest.raises(FileExistsError), JsonlSink(out, "continue") as sink:
        pa.run(works.double, range(3), sink, workers=1, journal=journal)
    assert out.read_text() == "precious\n"


@pytest.mark.parametrize(("length", "found"), [(3, "found 3"), (None, "found no file")])
def test_a_file_that_has_lost_lines_is_refused_until_it_is_overwritten(
    journal: str, tmp_path: Path, length: int | None, found: str
) -> None:
    out = tmp_path / "out.jsonl"
    with JsonlSink(out, "continue") as sink:
        pa.run(works.double, range(20), sink, workers=2, journal=journal)
    whole = out.read_text()
    if length is None:
        out.unlink()
    else:
        out.write_text(whole[:length])
    with pytest.raises(SourceError) as caught, JsonlSink(out, "continue") as sink:
        pa.run(works.double, range(20), sink, workers=2, journal=journal)
    assert str(caught.value) == (
        f"expected {str(out)!r} with the {len(whole)} bytes that the journal says were written, {found}; "
        "overwrite it to have all results written again"
    )
    with JsonlSink(out, "overwrite") as sink:
        pa.run(works.double, range(20), sink, workers=2, journal=journal)
    assert out.read_text() == whole


def test_another_file_gets_everything_and_the_first_one_nothing_twice(journal: str, tmp_path: Path) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    for out in (one, other, one, other):
        with JsonlSink(out, "continue") as sink:
            pa.run(works.double, range(20), sink, workers=2, journal=journal)
    assert one.read_text() == other.read_text()
    assert len(one.read_text().splitlines()) == 20


class _Collected:
    """Collects what it is handed, and refuses an item once."""

    def __init__(self, refused: int) -> None:
        self.handed: list[int] = []
        self._refused: int | None = refused

    def __call__(self, result: int, item: int) -> None:
        if item == self._refused:
            self._refused = None
            raise OSError("full")
        self.handed.append(item)


def test_a_function_is_handed_everything_by_each_run(journal: str, seen: Path) -> None:
    sink = _Collected(refused=30)
    with pytest.raises(OSError, match="full"):
        pa.run(noting(seen), range(40), sink, workers=2, journal=journal)
    pa.run(noting(seen), range(40), sink, workers=2, journal=journal)
    assert sink.handed == [*range(30), *range(40)]
    assert calls(seen) == Counter({str(x): 1 for x in range(40)})


def test_a_sink_with_a_name_is_handed_what_it_was_not_handed_before(journal: str) -> None:
    sink, other = _Collected(refused=30), _Collected(refused=-1)
    sink.name, other.name = "a table", "another one"  # type: ignore[attr-defined]
    with pytest.raises(OSError, match="full"):
        pa.run(works.double, range(40), sink, workers=2, journal=journal)
    assert sink.handed == list(range(30))
    pa.run(works.double, range(40), sink, workers=2, journal=journal)
    assert sink.handed == list(range(40))
    pa.run(works.double, range(40), other, workers=2, journal=journal)
    assert other.handed == list(range(40))


@pytest.mark.parametrize("moment", [1, 2])
def test_an_interrupt_while_the_place_of_a_file_is_noted_doubles_no_line(
    journal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    real, out, synced = os.fsync, tmp_path / "out.jsonl", itertools.count()

    def fsync(descriptor: int) -> None:
        if next(synced) == moment:
            os.kill(os.getpid(), signal.SIGINT)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(KeyboardInterrupt), JsonlSink(out, "continue") as sink:
        pa.run(works.nap_and_double, range(200), sink, workers=2, journal=journal)
    with JsonlSink(out, "continue") as sink:
        pa.run(works.nap_and_double, range(200), sink, workers=2, journal=journal)
    assert Counter(json.loads(line)["item"] for line in out.read_text().splitlines()) == Counter(range(200))


@pytest.mark.parametrize("after", [False, True])
def test_what_a_file_sink_raises_does_not_double_its_lines(journal: str, tmp_path: Path, after: bool) -> None:
    """`after`: the line is in the file, and nobody was told."""
    out = tmp_path / "out.jsonl"

    class Odd(_Resumable):
        def __call__(self, result: int, item: int) -> None:
            if item == 30 and not after:
                raise OSError("odd")
            super().__call__(result, item)
            if item == 30 and after:
                raise OSError("odd")

    with pytest.raises(OSError, match="odd"), JsonlSink(out, "continue") as sink:
        pa.run(works.double, range(40), Odd(sink), workers=2, journal=journal)
    with JsonlSink(out, "continue") as sink:
        pa.run(works.double, range(40), sink, workers=2, journal=journal)
    assert Counter(json.loads(line)["item"] for line in out.read_text().splitlines()) == Counter(range(40))


class _Resumable:
    """A file sink in other clothes."""

    def __init__(self, sink: JsonlSink) -> None:
        self._sink = sink
        self.name, self.resume, self.checkpoint = sink.name, sink.resume, sink.checkpoint

    def __call__(self, result: int, item: int) -> None:
        self._sink(result, item)


class _Stubborn(dict[str, int]):
    """JSON holds it, and nothing can pickle it."""

    def __reduce__(self) -> Any:
        raise TypeError("it stays here")


def test_what_cannot_be_sent_fails_once(journal: str, tmp_path: Path) -> None:
    out, items = tmp_path / "out.jsonl", [1, _Stubborn(a=1), 3]
    reports = []
    for _ in range(3):
        with JsonlSink(out, "continue") as sink:
            reports.append(pa.run(works.double, items, sink, workers=1, journal=journal))
    assert [(one.done, one.failed, one.recorded) for one in reports] == [(2, 1, 0), (2, 1, 3), (2, 1, 3)]
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line.get("result", line.get("error", {}).get("message")) for line in lines] == [
        2,
        "it stays here",
        6,
    ]


def test_what_could_not_be_sent_is_tried_again_when_asked_for(journal: str) -> None:
    first = list(pa.map(works.double, [1, _Stubborn(a=1)], workers=1, journal=journal, on_error="collect"))
    assert (first[0], first[1].attempts) == (2, 0)
    retried = Journal(path=journal, retry_failed=True)
    assert list(pa.map(works.double, [1, 4], workers=1, journal=retried)) == [2, 8]


def test_what_failed_before_and_is_there_is_not_absent(journal: str, seen: Path) -> None:
    (seen / "fails").mkdir()
    work, key = functools.partial(works.fail_on_three_until, str(seen)), str
    first = pa.map(work, [1, 3, 5], workers=1, journal=journal, key=key, on_error="collect")
    assert (len(list(first)), first.report.failed) == (3, 1)
    (seen / "fails").rmdir()
    again = pa.map(work, [1, 3], workers=1, journal=journal, key=key)  # what failed is tried again
    assert (list(again), again.report.recorded, again.report.absent) == ([1, 3], 1, 1)


def test_a_lambda_has_no_name_by_which_a_journal_could_know_it(journal: str) -> None:
    with pytest.raises(
        ValueError, match=r"^journal: expected a work with a name, or a journal with a version"
    ):
        pa.map(lambda x: x + 1, [1], journal=journal)
    assert not Path(journal).exists()
    one, other = Journal(path=journal, version="one"), Journal(path=journal, version="other")
    assert list(pa.map(lambda x: x + 1, [1], workers=1, journal=one)) == [2]
    with pytest.raises(JournalError, match="is of the work"):
        pa.map(lambda x: 100 * x, [1], workers=1, journal=other)


def test_a_journal_in_use_is_refused(journal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pa.map(works.nap_and_double, range(200), workers=1, journal=journal) as results:
        next(results)
        with pytest.raises(JournalError, match="is in use by process"):
            pa.map(works.nap_and_double, range(200), workers=1, journal=journal)


def test_a_pool_with_a_journal_has_one_run(journal: str) -> None:
    with pa.Pool(works.double, workers=1, journal=journal) as pool:
        assert list(pool.map([1, 2])) == [2, 4]
        with pytest.raises(RuntimeError, match="a journal is of one map or run, which this pool has had"):
            pool.map([3])
        with pytest.raises(RuntimeError, match="has no submit"):
            pool.submit(3)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"journal": 5}, TypeError, "journal: expected a path, got 5"),
        ({"key": str}, ValueError, "key: expected with a journal, whose items it names; got no journal"),
        ({"journal": "x.db", "key": "id"}, TypeError, "key: expected a function of an item, got 'id'"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as caught:
        pa.map(works.double, [1], **options)
    assert str(caught.value) == text


def test_a_ref_as_an_item_needs_a_key(tmp_path: Path) -> None:
    refs = [pa.put(x) for x in (2, 3)]
    with pytest.raises(SourceError, match="an item is a ref, which the next run could not tell from others"):
        list(pa.map(works.square, refs, journal=tmp_path / "run.db"))
    names = {ref: f"ref {number}" for number, ref in enumerate(refs)}
    for _ in range(2):
        results = pa.map(works.square, refs, journal=tmp_path / "keys.db", key=names.get)
        assert list(results) == [4, 9]
    assert results.report.recorded == 2


def test_large_items_and_results_are_recorded(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    items = [numpy.full(40_000, x) for x in range(20)]
    for recorded in (0, 20):
        results = pa.map(works.plus_one, items, workers=2, journal=tmp_path / "run.db")
        assert [(int(one[0]), one.flags.writeable) for one in results] == [(x + 1, True) for x in range(20)]
        assert results.report.recorded == recorded
