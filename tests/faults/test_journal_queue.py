"""Faults × moments on the queue of a run with a journal. The check is always the same and exact.

Each item has one outcome, the journal has each once, and nothing that a worker lived to report was computed
twice. The same call again yields the same and computes nothing.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import sqlite3
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from tests.acceptance import works
from tests.faults.errands import (
    BAD,
    Errand,
    Loading,
    LoadingAndStoring,
    Storing,
    queue_of,
    raise_two_arguments,
    steps,
)
from tests.faults.procs import actors_here, alive, until
from tests.faults.sabotaged_queue import SabotagedQueue, faults, forget, plan, queues

import pullahead as pa
from pullahead.errors import JournalError, RunError
from pullahead.farm import crew
from pullahead.journal.reader import Reader

COUNT = 60
EXACT = Counter({10 * item: 1 for item in range(COUNT)})
ONCE = Counter(dict.fromkeys(range(COUNT), 1))


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A journal whose queues do what the plan beside it says."""
    monkeypatch.setattr(crew, "Queue", SabotagedQueue)
    (tmp_path / "notes").mkdir()
    path = str(tmp_path / "run.db")
    yield path
    assert until(lambda: not any(map(alive, queues(path))), 5.0), "no queue outlives its run"


def run(work: Any, journal: str, **options: Any) -> list[Any]:
    """Run it over all items."""
    return list(pa.map(work, range(COUNT), workers=2, journal=journal, **options))


def states(journal: str) -> dict[str, int]:
    """Count what a journal has, which is not damaged."""
    with closing(sqlite3.connect(journal)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    reader = Reader(journal)
    try:
        return reader.summary().states
    finally:
        reader.close()


def check(values: list[Any], journal: str, work: Any, **options: Any) -> None:
    """Check that a run was exact, and that there is nothing left to do."""
    assert Counter(values) == EXACT
    assert values == sorted(values) or not options.get("ordered", True)
    assert states(journal) == {"done": COUNT}
    forget(journal)
    before = steps(journal)
    assert Counter(run(work, journal, **options)) == EXACT
    assert steps(journal) == before, "nothing is computed again"


MOMENTS = [
    ("grant", 1),
    ("grant", 8),
    ("granted", 1),
    ("granted", 8),
    ("done", 1),
    ("done", 5),
    ("begin", 1),
    ("begin", 4),
    ("commit", 1),
    ("commit", 4),
    ("committed", 1),
    ("committed", 4),
    ("told", 1),
    ("told", 4),
    ("ended", 1),
    ("stop", 1),
    ("bye", 1),
    ("bye", 2),
    ("close", 1),
    ("closed", 1),
]


@pytest.mark.parametrize(("fault", "ordered"), [("kill", True), ("exit", False)])
@pytest.mark.parametrize(("moment", "nth"), MOMENTS)
def test_a_run_goes_on_when_its_queue_dies(
    journal: str, moment: str, nth: int, fault: str, ordered: bool
) -> None:
    plan(journal, moment, fault, nth=nth)
    work = Errand(journal)
    lookahead = 2 if nth == 8 else "auto"  # or there are fewer grants than that
    values = run(work, journal, ordered=ordered, lookahead=lookahead)
    assert faults(journal) == 1
    assert steps(journal) == ONCE, "what workers have outlives the queue"
    check(values, journal, work, ordered=ordered)


@pytest.mark.parametrize(
    ("moment", "times"),
    [
        *itertools.product(["opened", "returning", "commit"], [2, 4]),
        *itertools.product(["grant", "begin", "told"], [2]),
        *itertools.product(["granted", "done", "committed"], [4]),
    ],
)
def test_a_run_goes_on_when_queues_die_one_after_the_other(journal: str, moment: str, times: int) -> None:
    if moment in {"opened", "returning"}:  # the first queue dies of something else
        plan(journal, "done", nth=3, then=moment, times=1 + times)
    else:
        plan(journal, moment, times=times)
    work = Errand(journal)
    values = run(work, journal, lookahead=2)  # or three queues have granted everything
    assert faults(journal) == times + (moment in {"opened", "returning"})
    assert steps(journal) == ONCE
    check(values, journal, work)


@pytest.mark.parametrize("moment", ["grant", "granted", "done", "commit", "committed", "ended", "close"])
def test_a_run_of_batches_goes_on_when_its_queue_dies(journal: str, moment: str) -> None:
    plan(journal, moment, nth=1 if moment in {"ended", "close"} else 3)
    work = Errand(journal)
    values = run(work, journal, batch_size=4, ordered=False)
    assert faults(journal) == 1
    assert steps(journal) == ONCE
    check(values, journal, work, batch_size=4, ordered=False)


@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize(
    ("shape", "moment"),
    [
        (Errand, "process"),
        (Loading, "load"),
        (Loading, "process"),
        (Storing, "store"),
        (LoadingAndStoring, "store"),
    ],
)
def test_a_run_goes_on_when_its_queue_dies_within_a_step(
    journal: str, shape: type[Errand], moment: str, batch_size: int | None
) -> None:
    work = shape(journal, moment, "queue")
    values = run(work, journal, batch_size=batch_size)
    assert len(queues(journal)) == 2
    assert steps(journal) == ONCE
    if issubclass(shape, Storing):
        assert steps(journal, "store") == ONCE
    check(values, journal, work, batch_size=batch_size)


@pytest.mark.parametrize("shape", [Errand, Loading, Storing])
@pytest.mark.parametrize(
    ("moment", "harm"), [("grant", "worker"), ("grant", "both"), ("commit", "worker"), ("lost", "both")]
)
def test_a_run_goes_on_when_workers_die_with_the_queue(
    journal: str, moment: str, harm: str, shape: type[Errand]
) -> None:
    """With "both" the queue dies with the worker; with "worker" the queue dies at about that time."""
    plan(journal, moment, nth=1 if moment == "lost" else 4)
    step = {Errand: "process", Loading: "load", Storing: "store"}[shape]
    work = shape(journal, step, harm)
    values = run(work, journal, retries=2, ordered=False)
    assert faults(journal) == 1 or harm == "both"
    assert len(queues(journal)) >= 2
    assert all(had >= 1 for had in steps(journal).values())
    check(values, journal, work, retries=2, ordered=False)


@pytest.mark.parametrize(
    ("moment", "after"), [("unstored", 0.0), ("unstored", 0.05), ("unstored", 0.3), ("charged", 0.0)]
)
def test_a_run_goes_on_when_its_queue_dies_while_a_store_waits_for_its_retry(
    journal: str, moment: str, after: float
) -> None:
    plan(journal, moment, after=after)
    work = Storing(journal, "store", "fail", seconds=0.01)
    values = run(work, journal, retries=1)
    assert faults(journal) == 1
    assert steps(journal) == ONCE, "what is stored again is not computed again"
    assert steps(journal, "store") == ONCE + Counter([BAD])
    check(values, journal, work, retries=1)


@pytest.mark.parametrize(("moment", "after"), [("failed", 0.0), ("failed", 0.02), ("charged", 0.0)])
def test_an_attempt_that_was_charged_before_the_queue_died_counts_once(
    journal: str, moment: str, after: float
) -> None:
    plan(journal, moment, after=after)
    work = Errand(journal, "process", "fail", seconds=0.01)
    values = run(work, journal, retries=1)
    assert faults(journal) == 1
    assert steps(journal) == ONCE + Counter([BAD])
    check(values, journal, work, retries=1)


@pytest.mark.parametrize("moment", ["failed", "begin", "commit", "committed", "told", "ended"])
def test_an_item_that_always_fails_has_one_failure_whenever_the_queue_dies(journal: str, moment: str) -> None:
    plan(journal, moment, nth=1)
    options: dict[str, Any] = {"workers": 2, "journal": journal, "retries": 2, "on_error": "collect"}
    for _ in range(2):
        results = list(pa.map(works.fail_always, range(4), **options))
        assert [failure.item for failure in results] == [0, 1, 2, 3]
        assert [type(failure.error) for failure in results] == [LookupError] * 4
        assert [failure.attempts for failure in results] == [3] * 4
        forget(journal)
    assert faults(journal) == 1
    assert states(journal) == {"failed": 4}


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("moment", ["cancel", "cancelled", "commit", "committed", "ended", "bye"])
def test_a_run_that_is_cancelled_ends_when_its_queue_dies(journal: str, moment: str, ordered: bool) -> None:
    # What runs when the run is cancelled has its end recorded after that.
    plan(journal, moment, since="cancelled" if moment.startswith("commit") else "")
    work = Errand(journal, seconds=0.02)
    with pa.map(work, range(COUNT), workers=2, journal=journal, ordered=ordered) as results:
        values = [next(results) for _ in range(5)]
        results.cancel()
        values += results
    report = results.report
    assert faults(journal) == 1
    assert max(Counter(values).values()) == 1
    assert len(values) == report.done == states(journal)["done"] < COUNT
    assert report.done + report.returned == results._run.read
    assert set(steps(journal).values()) == {1}
    forget(journal)
    values = run(work, journal, ordered=ordered)
    assert steps(journal) == ONCE
    check(values, journal, work, ordered=ordered)


@pytest.mark.parametrize("moment", ["cancel", "commit", "ended", "close"])
def test_a_run_that_is_left_ends_when_its_queue_dies(journal: str, moment: str) -> None:
    plan(journal, moment, nth=2 if moment == "commit" else 1)  # the first three may be one commit
    work = Errand(journal, seconds=0.02, gate=3)
    with pa.map(work, range(COUNT), workers=2, journal=journal) as results:
        assert [next(results) for _ in range(3)] == [0, 10, 20]
        Path(journal).with_name("gate").touch()
    assert faults(journal) == 1
    assert states(journal)["done"] < COUNT
    check(run(work, journal), journal, work)
    assert steps(journal) == ONCE


@pytest.mark.parametrize("moment", ["delivered", "begin", "commit", "committed", "bye", "close"])
def test_a_file_has_each_result_once_when_the_queue_dies(journal: str, tmp_path: Path, moment: str) -> None:
    out = tmp_path / "out.jsonl"
    plan(journal, moment)
    for _ in range(2):
        with pa.sources.JsonlSink(out, "continue") as sink:
            report = pa.run(Errand(journal), range(COUNT), sink, workers=2, journal=journal)
        assert report.done == COUNT
        assert [f'{{"item": {x}, "result": {10 * x}}}' for x in range(COUNT)] == out.read_text().splitlines()
        forget(journal)
    assert faults(journal) == 1
    assert steps(journal) == ONCE


def test_a_run_waits_for_a_queue_that_is_stopped_for_a_while(journal: str) -> None:
    work = Errand(journal, seconds=0.02)
    results = pa.map(work, range(COUNT), workers=2, journal=journal)
    values = [next(results) for _ in range(5)]
    queue = queue_of(journal)
    os.kill(queue, signal.SIGSTOP)
    time.sleep(1.0)
    os.kill(queue, signal.SIGCONT)
    values += results
    assert queues(journal) == [queue], "it is the same one"
    assert steps(journal) == ONCE
    check(values, journal, work)


def test_a_queue_that_is_killed_while_it_is_stopped_is_replaced(journal: str) -> None:
    work = Errand(journal, seconds=0.02)
    results = pa.map(work, range(COUNT), workers=2, journal=journal)
    values = [next(results) for _ in range(5)]
    queue = queue_of(journal)
    os.kill(queue, signal.SIGSTOP)
    time.sleep(0.1)
    os.kill(queue, signal.SIGKILL)
    values += results
    assert len(queues(journal)) == 2
    assert steps(journal) == ONCE
    check(values, journal, work)


@pytest.mark.parametrize("moment", ["grant", "commit"])
def test_too_many_deaths_without_an_item_that_ended_end_the_run(journal: str, moment: str) -> None:
    plan(journal, moment, times=99)
    work = Errand(journal)
    with pytest.raises(RunError) as caught:
        run(work, journal)
    said = "6 queues died one after the other, and nothing ended between them: what is recorded is safe, "
    assert str(caught.value).startswith(said), caught.value
    assert str(caught.value).endswith(" died: killed by SIGKILL)"), caught.value
    assert faults(journal) == 6
    assert until(lambda: not actors_here(), 5), "its workers are gone"
    assert states(journal) == {}
    forget(journal)
    check(run(work, journal), journal, work)


def test_deaths_between_which_items_end_are_no_matter(journal: str) -> None:
    plan(journal, "told", times=8, nth=2)
    work = Errand(journal, seconds=0.05)  # shorter ones end together where the machine is busy
    values = run(work, journal, ordered=False)
    assert faults(journal) == 8
    assert steps(journal) == ONCE
    check(values, journal, work, ordered=False)


# The disk and the file


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, and small."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.system(f"mount -t tmpfs -o size=300k tmpfs {folder} 2>/dev/null"):
        pytest.skip("mounting a small file system is not permitted here")
    try:
        yield folder
    finally:
        assert os.system(f"umount {folder}") == 0


def run_until_it_is_full(work: Errand, journal: str) -> None:
    with pytest.raises(JournalError) as caught:
        run(work, journal)
    said = str(caught.value)
    assert said.startswith(f"the journal {journal!r}: its disk "), said
    assert said.endswith("; what was recorded before is safe, the rest is computed again"), said
    assert "\n" not in said
    assert until(lambda: not actors_here(), 5), "its workers are gone"


def check_large(values: list[str], journal: str) -> None:
    assert [value.split()[0] for value in values] == [str(item) for item in range(COUNT)]
    assert {len(value.split()[1]) for value in values} == {9000}
    assert states(journal) == {"done": COUNT}


def test_a_full_disk_ends_the_run_and_with_room_it_goes_on(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = str(small_disk / "run.db")
    (small_disk / "notes").symlink_to(small_disk.parent)
    work = Errand(journal, size=9000)
    run_until_it_is_full(work, journal)
    reader = Reader(journal)
    recorded = reader.summary().states["done"]
    reader.close()
    assert 0 < recorded < COUNT
    run_until_it_is_full(work, journal)
    assert os.system(f"mount -o remount,size=20m {small_disk}") == 0
    results = pa.map(work, range(COUNT), workers=2, journal=journal)
    check_large(list(results), journal)
    assert results.report.recorded >= recorded


def test_a_file_that_may_not_grow_ends_the_run_and_with_room_it_goes_on(journal: str) -> None:
    plan(journal, limit=300_000)
    work = Errand(journal, size=9000)
    run_until_it_is_full(work, journal)
    recorded = states(journal)["done"]
    assert 0 < recorded < COUNT
    forget(journal)
    results = pa.map(work, range(COUNT), workers=2, journal=journal)
    check_large(list(results), journal)
    assert results.report.recorded >= recorded


@pytest.mark.parametrize("moment", ["", "commit"])
def test_a_slow_disk_makes_nothing_wrong(journal: str, moment: str) -> None:
    plan(journal, moment, slow=0.05)
    work = Errand(journal)
    results = pa.map(work, range(COUNT), workers=2, journal=journal)
    values = [next(results)]
    values += results
    assert faults(journal) == bool(moment)
    assert steps(journal) == ONCE
    check(values, journal, work)


def test_a_journal_that_somebody_else_writes_to_is_waited_for(journal: str) -> None:
    work = Errand(journal)
    results = pa.map(work, range(COUNT), workers=2, journal=journal)
    values = [next(results) for _ in range(3)]
    with closing(sqlite3.connect(journal, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        lets_go = Timer(1.0, other.execute, ["ROLLBACK"])
        lets_go.start()
        values += results
        lets_go.join()
    assert len(queues(journal)) == 1
    assert steps(journal) == ONCE
    check(values, journal, work)


# What cannot be pickled


def told(results: list[Any]) -> list[Any]:
    """Say how items ended, without what differs from one run to the next."""
    return [_told(one) if isinstance(one, pa.Failure) else one for one in results]


def _told(one: pa.Failure) -> tuple[Any, ...]:
    said = re.sub("0x[0-9a-f]+", "0x", str(one.error))
    return one.item, one.attempts, type(one.error), said, getattr(one.error, "__notes__", [])


@pytest.mark.parametrize("moment", ["", "commit", "committed"])
@pytest.mark.parametrize(
    "work", [works.unpicklable_result, works.poison, works.raise_with_a_lock, raise_two_arguments]
)
def test_what_cannot_be_pickled_ends_as_without_a_journal(journal: str, work: Any, moment: str) -> None:
    plan(journal, moment)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        without = told(list(pa.map(work, range(5), workers=1, on_error="collect")))
        for _ in range(2):
            assert (
                told(list(pa.map(work, range(5), workers=1, on_error="collect", journal=journal))) == without
            )
            forget(journal)
    assert faults(journal) == bool(moment)
