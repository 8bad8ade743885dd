"""The queue actor is killed in the middle of a run, on either engine: what is lost is said."""

from __future__ import annotations

import functools
import time
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance import works

import pullahead as pa
from pullahead import actors
from pullahead.errors import RunError
from pullahead.farm.queues import Queues

GONE = r"the queue is gone: \d+ items? that had not ended (is|are) lost, results that came before are safe"


def kill_queue(owner: Any) -> None:
    """Kill that of a pool, or of results."""
    actors.kill(owner._crew._queues.given[0])


@pytest.mark.parametrize("workers", [2, (1, 2)])
def test_without_a_journal_the_run_ends_and_says_what_is_lost(workers: Any) -> None:
    results = pa.map(functools.partial(works.nap, 0.002), range(2000), workers=workers)
    done = [next(results) for _ in range(20)]
    kill_queue(results)
    killed = time.monotonic()
    with pytest.raises(RunError, match=GONE):
        done += list(results)
    assert time.monotonic() - killed < 30.0
    assert done == list(range(len(done)))


def test_without_a_journal_a_sink_has_what_came_before() -> None:
    handed: list[tuple[int, int]] = []

    def sink(result: int, item: int) -> None:
        handed.append((result, item))
        if len(handed) == 20:
            kill_queue(pool)

    with pytest.raises(RunError, match=GONE), pa.Pool(functools.partial(works.nap, 0.002), workers=2) as pool:
        pool.run(range(2000), sink)
    assert 20 <= len(handed) < 2000
    assert handed == [(item, item) for item in range(len(handed))]


def test_without_a_journal_every_future_has_its_result_or_that_error() -> None:
    with pa.Pool(functools.partial(works.nap, 0.02), workers=2) as pool:
        futures = [pool.submit(item) for item in range(100)]
        assert futures[3].result(30.0) == 3
        kill_queue(pool)
        assert not wait(futures, 30.0).not_done
    errors = [future.exception() for future in futures]
    assert {type(error) for error in errors} == {type(None), RunError}
    done = [item for item, error in enumerate(errors) if error is None]
    assert [futures[item].result() for item in done] == done


def test_a_pool_that_has_nothing_to_do_says_so_to_whoever_comes() -> None:
    with pa.Pool(works.double, workers=2) as pool:
        assert list(pool.map(range(10))) == [2 * item for item in range(10)]
        kill_queue(pool)
        with pytest.raises(RunError, match="the queue is gone"):
            list(pool.map(range(10)))


@pytest.mark.parametrize("times", [1, 2])
def test_with_a_journal_another_one_goes_on(tmp_path: Path, times: int) -> None:
    work = functools.partial(works.nap, 0.002)
    results = pa.map(work, range(600), workers=2, journal=tmp_path / "run.db", ordered=False)
    done = []
    for _ in range(times):
        done += [next(results) for _ in range(50)]
        kill_queue(results)
    done += list(results)
    assert sorted(done) == list(range(600))
    assert (results.report.done, results.report.failed) == (600, 0)


def test_with_a_journal_a_sink_is_handed_each_result_once(tmp_path: Path) -> None:
    handed: list[int] = []

    def sink(result: int, item: int) -> None:
        handed.append(result)
        if len(handed) in {50, 200}:
            kill_queue(pool)

    work = functools.partial(works.nap, 0.002)
    with pa.Pool(work, workers=2, journal=tmp_path / "run.db") as pool:
        report = pool.run(range(400), sink)
    assert handed == list(range(400))
    assert (report.done, report.failed) == (400, 0)


def test_what_a_run_lost_the_next_one_with_its_journal_does(tmp_path: Path) -> None:
    """Where no queue lives, the run ends, says that what is recorded is safe, and is gone on with."""
    work = functools.partial(works.nap, 0.002)
    results = pa.map(work, range(300), workers=2, journal=tmp_path / "run.db", ordered=False)
    done = [next(results) for _ in range(50)]

    def none(_: int) -> Any:
        raise OSError("no more processes")

    queues = results._crew._queues
    assert isinstance(queues, Queues)
    queues._make = none
    kill_queue(results)
    said = "the queue died and could not be replaced: what is recorded is safe, and the next run with this "
    with pytest.raises(RunError, match=said):
        done += list(results)
    assert len(set(done)) == len(done) < 300
    again = pa.map(work, range(300), workers=2, journal=tmp_path / "run.db")
    assert list(again) == list(range(300))
    assert again.report.recorded >= len(done)
