"""Workers come and go: `workers=(least, most)`, on either engine."""

from __future__ import annotations

import functools
import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

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


def there(pool: pa.Pool) -> int:
    """How many workers there are."""
    return pool._crew._lanes.count


def only_one_lives(pids: set[int]) -> bool:
    return sum(map(alive, pids)) == 1


def courses(report: pa.Report) -> list[tuple[int, int]]:
    assert report.staffing is not None
    return [(change.before, change.after) for change in report.staffing.changes]


def test_a_backlog_brings_all_that_there_may_be() -> None:
    enough = threading.Event()

    def items() -> Iterator[int]:
        yield from itertools.takewhile(lambda _: not enough.is_set(), range(4000))

    results, done, pids = pa.map(SLOW, items(), workers=(1, 4)), [], set()
    for item, pid in results:
        done.append(item)
        pids.add(pid)
        if len(pids) == 4:
            enough.set()
    assert done == list(range(len(done)))
    report = results.report
    assert (len(pids), report.lanes) == (4, 4)
    assert sum(one.items for one in report.workers) == report.done == len(done)
    steps = [(before, after) for before, after in courses(report) if after > before]
    assert (steps[0], steps[-1][1]) == ((1, 2), 4)
    assert all(after <= 2 * before for before, after in steps)
    assert 1.0 < report.average_workers < 4.0
    assert "on 1 to 4 workers (" in str(report)
    assert report.staffing is not None
    whys = [change.why for change in report.staffing.changes if change.after > change.before]
    assert all(" and starting one takes " in why for why in whys)


def test_little_work_is_left_to_those_who_are_there() -> None:
    results = pa.map(functools.partial(works.nap, 0.002), range(100), workers=(1, 4))
    assert list(results) == list(range(100))
    assert courses(results.report) == []
    assert "on 1 worker:" in str(results.report)


def test_a_slow_loop_brings_nobody() -> None:
    results = pa.map(functools.partial(works.nap, 0.002), range(100), workers=(1, 2))
    taken = []
    for item in results:
        time.sleep(0.02)  # as a slow loop does
        taken.append(item)
        if len(taken) == 50:
            assert results._run.is_held_back
    assert taken == list(range(100))
    assert courses(results.report) == []


@pytest.mark.usefixtures("impatient")
def test_who_is_idle_goes_and_comes_back_when_there_is_something_to_do() -> None:
    with pa.Pool(SLOW, workers=(1, 3)) as pool:
        pids = set()
        for _ in range(2):
            done = list(pool.map(range(120)))
            assert [item for item, _ in done] == list(range(120))
            pids |= {pid for _, pid in done}
            assert until(lambda: there(pool) == 1, PATIENCE)
            assert until(functools.partial(only_one_lives, pids), PATIENCE), "their processes are gone"
        assert len(pids) == 5, "two came twice"
        assert courses(pool.report)[0][0] == 1
        assert alive(next(pid for _, pid in pool.map(range(3)) if pid in pids)), "the first one stays"


@pytest.mark.usefixtures("impatient")
def test_a_source_that_becomes_slow_loses_those_it_does_not_need() -> None:
    gate = threading.Event()

    def items() -> Iterator[int]:
        yield from range(150)
        gate.wait(PATIENCE)
        for item in range(150, 155):
            time.sleep(0.1)  # as a slow source does
            yield item

    results = pa.map(SLOW, items(), workers=(2, 4), ordered=False, trace=True)
    done = [next(results) for _ in range(150)]
    lanes = results._crew._lanes
    assert until(lambda: lanes.count == 2, PATIENCE)
    gate.set()
    done += list(results)
    assert sorted(item for item, _ in done) == list(range(155))
    report = results.report
    steps = courses(report)
    assert steps[0] == (2, 4)
    assert [after for _, after in steps][-1] == 2
    assert report.staffing is not None
    assert report.staffing.changes[-1].why.startswith("there was nothing to do for ")
    left = [lane for lane, stays in report.staffing.stays.items() if stays[-1][1] < report.seconds - 0.4]
    assert len(left) == 2
    assert report.trace is not None
    for lane in left:
        last = max(span.end for span in report.trace[lane]) - report.started
        assert last < report.staffing.stays[lane][-1][1] + 0.1, "nothing is recorded of who is not there"


@pytest.mark.usefixtures("impatient")
def test_at_the_end_of_a_map_who_is_idle_does_not_wait_for_the_last_item(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scaling, "MOST_PATIENCE", 600.0)
    monkeypatch.setattr(scaling, "PATIENCE", 600.0)
    seconds = [0.05] * 100 + [3.0]
    results = pa.map(works.nap_and_pid, seconds, workers=(1, 3), ordered=False)
    done = [next(results) for _ in range(100)]
    assert until(lambda: results._crew._lanes.count == 1, PATIENCE)
    assert len(done + list(results)) == 101
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
    gate = threading.Event()

    def items() -> Iterator[int]:
        yield from range(200)
        gate.wait(PATIENCE)
        yield 200

    results = pa.map(SLOW, items(), workers=(1, 3), ordered=False, journal=tmp_path / "run.db")
    done = [next(results) for _ in range(60)]
    crew = results._crew
    assert until(lambda: crew._lanes.count == 3, PATIENCE)
    actors.kill(crew._queues.given_to(0, 0)[0])
    done += [next(results) for _ in range(140)]
    assert until(lambda: crew._lanes.count == 1, PATIENCE)
    gate.set()
    done += list(results)
    assert sorted(item for item, _ in done) == list(range(201))


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


def test_a_pool_of_submissions_grows_and_reports() -> None:
    with pa.Pool(SLOW, workers=(1, 2)) as pool:
        futures = [pool.submit(item) for item in range(80)]
        assert [future.result(PATIENCE)[0] for future in futures] == list(range(80))
        report = pool.report
    assert (report.lanes, report.done) == (2, 80)
