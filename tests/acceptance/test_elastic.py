"""Workers come and go: `workers=(least, most)`, on either engine."""

from __future__ import annotations

import functools
import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance import works
from tests.faults.procs import alive, until

import pullahead as pa
from pullahead import actors
from pullahead.core import messages as m
from pullahead.core import scaling
from pullahead.errors import RunError

SLOW = functools.partial(works.nap_with_pid, 0.05)
#: Seconds in which a shared machine does anything.
PATIENCE = 30.0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions as quick as a test likes them; how they are made is tested where they are made."""
    monkeypatch.setattr(scaling, "MARGIN", 0.2)
    monkeypatch.setattr(scaling, "LASTING", 0.05)
    monkeypatch.setattr(scaling, "PATIENCE", 0.3)
    monkeypatch.setattr(scaling, "MOST_PATIENCE", 0.3)


class Tap:
    """A source of numbers: it runs until it is turned off; meanwhile it may only trickle."""

    def __init__(self) -> None:
        self.count = 0
        self._is_off, self._is_slow = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[int]:
        while not self._is_off.is_set():
            yield self.count
            self.count += 1
            if self._is_slow.is_set():
                self._is_off.wait(0.1)

    def trickle(self) -> None:
        self._is_slow.set()

    def turn_off(self) -> None:
        self._is_off.set()


class Taken:
    """What comes out of results, taken as it comes: (item, pid)."""

    def __init__(self, results: Any) -> None:
        self._done: list[tuple[int, int]] = []
        self._thread = threading.Thread(target=self._take, args=(results,))
        self._thread.start()

    def _take(self, results: Any) -> None:
        for one in results:
            self._done.append(one)

    @property
    def pids(self) -> set[int]:
        return {pid for _, pid in self._done.copy()}

    def wait_workers(self, count: int) -> None:
        """Wait until so many have computed something."""
        assert until(lambda: len(self.pids) >= count, PATIENCE)

    def items(self) -> list[int]:
        """Wait for the end."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return [item for item, _ in self._done]


def there(pool: pa.Pool) -> int:
    """How many workers there are."""
    return pool._crew._lanes.count


def only_one_lives(pids: set[int]) -> bool:
    return sum(map(alive, pids)) == 1


def courses(report: pa.Report) -> list[tuple[int, int]]:
    assert report.staffing is not None
    return [(change.before, change.after) for change in report.staffing.changes]


def test_a_backlog_brings_all_that_there_may_be() -> None:
    tap = Tap()
    results = pa.map(SLOW, tap, workers=(1, 4))
    done = Taken(results)
    done.wait_workers(4)
    tap.turn_off()
    assert done.items() == list(range(tap.count))
    report = results.report
    assert report.lanes == 4
    assert sum(one.items for one in report.workers) == report.done == tap.count
    steps = [(before, after) for before, after in courses(report) if after > before]
    assert (steps[0], steps[-1][1]) == ((1, 2), 4)
    assert all(after <= 2 * before for before, after in steps)
    assert 1.0 < report.average_workers < 4.0
    assert "on 1 to 4 workers (" in str(report)
    assert report.staffing is not None
    whys = [change.why for change in report.staffing.changes if change.after > change.before]
    assert all(" and starting one takes " in why for why in whys)


def test_work_that_is_less_than_starting_takes_is_left_to_those_who_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scaling, "MARGIN", 60.0)  # as if a worker took a minute to be worth it
    with pa.Pool(functools.partial(works.nap, 0.002), workers=(1, 4)) as pool:
        assert list(pool.map(range(1))) == [0]  # from here on it is known what an item takes
        results = pool.map(range(500))
        assert list(results) == list(range(500))
        assert courses(results.report) == []
        assert "on 1 worker:" in str(results.report)


def test_it_is_known_when_the_loop_is_what_keeps_items_from_coming() -> None:
    tap = Tap()
    with pa.map(functools.partial(works.nap, 0.001), tap, workers=(1, 2)) as results:
        assert [next(results) for _ in range(20)] == list(range(20))
        assert until(lambda: results._run.is_held_back, PATIENCE)  # as long as nobody takes any
        tap.turn_off()
        done = list(results)
    assert done == list(range(20, tap.count))


@pytest.mark.usefixtures("impatient")
def test_who_is_idle_goes_and_comes_back_when_there_is_something_to_do() -> None:
    with pa.Pool(SLOW, workers=(1, 3)) as pool:
        for _ in range(2):
            tap = Tap()
            results = pool.map(tap, ordered=False)
            done = Taken(results)
            done.wait_workers(3)
            tap.turn_off()
            assert sorted(done.items()) == list(range(tap.count))
            assert until(lambda: there(pool) == 1, PATIENCE)
            assert until(functools.partial(only_one_lives, done.pids), PATIENCE), "their processes are gone"
            assert courses(results.report)[0] == (1, 2)
        assert next(iter(pool.map(range(3))))[1] in done.pids, "that one stays"


@pytest.mark.usefixtures("impatient")
def test_a_source_that_becomes_slow_loses_those_it_does_not_need() -> None:
    tap = Tap()
    results = pa.map(SLOW, tap, workers=(2, 4), ordered=False, trace=True)
    done = Taken(results)
    done.wait_workers(4)
    tap.trickle()
    assert until(lambda: results._crew._lanes.count == 2, PATIENCE)
    tap.turn_off()
    assert sorted(done.items()) == list(range(tap.count))
    report = results.report
    assert report.staffing is not None
    assert report.lanes == 4
    assert report.staffing.changes[-1].why.startswith("there was nothing to do for ")
    assert report.trace is not None
    for lane, stays in report.staffing.stays.items():
        last = max(span.end for span in report.trace[lane]) - report.started
        assert last < stays[-1][1] + 0.1, "nothing is recorded of who is not there"


@pytest.mark.usefixtures("impatient")
def test_at_the_end_of_a_map_who_is_idle_does_not_wait_for_the_last_item(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(scaling, "MOST_PATIENCE", 600.0)
    monkeypatch.setattr(scaling, "PATIENCE", 600.0)
    tap = Tap()
    work = functools.partial(works.nap_or_wait_for_file, str(tmp_path / "go"), 0.05)
    results = pa.map(work, itertools.chain(tap, [-1]), workers=(1, 3), ordered=False)
    done = Taken(results)
    done.wait_workers(2)
    tap.turn_off()
    assert until(lambda: results._crew._lanes.count == 1, PATIENCE)
    (tmp_path / "go").touch()
    assert sorted(done.items()) == [-1, *range(tap.count)]
    assert results.report.staffing is not None
    assert results.report.staffing.changes[-1].why == "nothing more is to come"


def drain(pool: pa.Pool, lane: int) -> int:
    """Let a worker go that has something to do."""
    crew = pool._crew
    assert crew.elastic is not None
    with crew._lock:
        crew.elastic.stop()  # it would have another one come at once
        number = crew._lanes.drain(lane)
        crew.elastic._scaling._places[lane].is_leaving = True
        crew._queues.say((m.DRAIN, number))
    return number


def test_a_worker_that_is_drained_while_it_computes_loses_nothing() -> None:
    with pa.Pool(SLOW, workers=(2, 2)) as pool:
        results = pool.map(range(100))
        done = [next(results) for _ in range(20)]
        drain(pool, 1)
        assert until(lambda: there(pool) == 1, PATIENCE)
        done += list(results)
        assert [item for item, _ in done] == list(range(100))
        assert results.report.failed == 0


def test_a_worker_that_dies_while_it_is_drained_is_charged_and_not_replaced() -> None:
    work = functools.partial(works.nap_with_pid, 1.0)
    with pa.Pool(work, workers=(2, 2), retries=1) as pool:
        results = pool.map(range(6))
        first = next(results)
        time.sleep(0.2)  # until both are in the middle of an item
        number = drain(pool, 1)
        assert number == 1
        actors.kill(pool._crew._lanes._workers[1])
        assert until(lambda: there(pool) == 1, PATIENCE)
        done = [first, *results]
        assert [item for item, _ in done] == list(range(6))
        assert there(pool) == 1


@pytest.mark.usefixtures("impatient")
def test_a_queue_that_dies_is_followed_by_one_that_lets_them_go_as_well(tmp_path: Path) -> None:
    tap = Tap()
    results = pa.map(SLOW, tap, workers=(1, 3), ordered=False, journal=tmp_path / "run.db")
    done = Taken(results)
    done.wait_workers(3)
    actors.kill(results._crew._queues.given_to(0, 0)[0])
    tap.trickle()
    assert until(lambda: results._crew._lanes.count == 1, PATIENCE)
    tap.turn_off()
    assert sorted(done.items()) == list(range(tap.count))


@pytest.mark.parametrize("moments", range(3))
def test_a_queue_that_dies_while_it_drains(tmp_path: Path, moments: int) -> None:
    with pa.Pool(SLOW, workers=(2, 2), journal=tmp_path / "run.db") as pool:
        results = pool.map(range(60))
        done = [next(results) for _ in range(10)]
        crew = pool._crew
        with crew._lock:
            queue = crew._queues.given_to(0, 0)[0]
            if moments == 0:
                actors.kill(queue)
            drain(pool, 1)
            if moments == 1:
                actors.kill(queue)
        if moments == 2:
            time.sleep(0.03)  # the goodbye may be on its way
            actors.kill(queue)
        done += list(results)
        assert [item for item, _ in done] == list(range(60))
        assert until(lambda: there(pool) == 1, PATIENCE)


def test_workers_that_cannot_begin_end_the_run() -> None:
    with pytest.raises(ConnectionRefusedError, match="no model here"):
        list(pa.map(works.NotBuilt, range(10), workers=(1, 4)))


def test_workers_that_die_one_after_the_other_bring_no_others() -> None:
    results = pa.map(works.always_exit, range(10_000), workers=(1, 4), on_error="collect")
    with pytest.raises(RunError, match="5 workers died one after the other, and none finished an item"):
        list(results)
    assert courses(results.report) == []


@pytest.mark.usefixtures("impatient")
def test_a_pool_of_submissions_grows_and_reports() -> None:
    pids: set[int] = set()
    items = itertools.count()
    deadline = time.monotonic() + PATIENCE
    with pa.Pool(SLOW, workers=(1, 2)) as pool:
        while len(pids) < 2 and time.monotonic() < deadline:
            some = list(itertools.islice(items, 100))
            done = [future.result(PATIENCE) for future in [pool.submit(item) for item in some]]
            assert [item for item, _ in done] == some
            pids |= {pid for _, pid in done}
        report = pool.report
    assert (report.lanes, report.done) == (2, next(items))
