"""Several queue actors that share the workers: exact results, and no item stays where it cannot run."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance import works

import pullahead as pa
from pullahead import actors
from pullahead.errors import RunError
from pullahead.farm.shards import Shards


@pytest.mark.parametrize("queues", [2, 3])
@pytest.mark.parametrize("ordered", [True, False])
def test_results_are_those_of_one_queue(queues: int, ordered: bool) -> None:
    results = pa.map(works.square, range(2000), workers=3, queues=queues, ordered=ordered)
    expected = [x * x for x in range(2000)]
    assert (list(results) if ordered else sorted(results)) == expected
    assert (results.report.done, results.report.failed, results.report.left) == (2000, 0, 0)


@pytest.mark.parametrize(
    "options",
    [
        {"load": works.load_soon},
        {"store": works.keep},
        {"batch_size": 7, "work": works.double_all},
        {"lookahead": 0},
    ],
    ids=["load", "store", "batches", "on demand"],
)
def test_nor_does_it_matter_what_the_work_is(options: dict[str, Any]) -> None:
    options = {"work": works.square} | options
    work = options.pop("work")
    with pa.Pool(work, workers=2, **options) as one, pa.Pool(work, workers=3, queues=2, **options) as two:
        assert list(two.map(range(300))) == list(one.map(range(300)))


def test_a_source_that_has_nothing_or_little_or_is_slow() -> None:
    def drip() -> Iterator[int]:
        for x in range(20):
            time.sleep(0.005)
            yield x

    with pa.Pool(works.square, workers=2, queues=2) as pool:
        assert list(pool.map([])) == []
        assert list(pool.map([3])) == [9]
        assert list(pool.map(drip())) == [x * x for x in range(20)]


@pytest.mark.parametrize("spin", [False, True], ids=["sleeping", "computing"])
@pytest.mark.parametrize("lookahead", ["auto", 16])
def test_what_a_queue_has_is_done_by_the_workers_of_the_other_while_its_own_is_stuck(
    tmp_path: Path, lookahead: Any, spin: bool
) -> None:
    work = functools.partial(works.wait_on_zero, str(tmp_path), spin)
    with pa.map(work, range(400), workers=2, queues=2, lookahead=lookahead, ordered=False) as results:
        done = [next(results) for _ in range(399)]
        (tmp_path / "release").touch()
        done += list(results)
    assert done[-1] == 0
    assert sorted(done) == list(range(400))


def test_large_items_move_as_well(tmp_path: Path) -> None:
    """Each travels beside the messages, from the caller to a queue, and from there to the other one."""
    items = [b"", *(bytes([x]) * (200_000 + x) for x in range(1, 60))]
    work = functools.partial(works.wait_on_nothing, str(tmp_path))
    with pa.map(work, items, workers=2, queues=2, ordered=False) as results:
        done = [next(results) for _ in range(59)]
        (tmp_path / "release").touch()
        done += list(results)
    assert sorted(done) == sorted((len(item), sum(item[:1])) for item in items)


def test_submitted_items_have_their_results_and_their_errors() -> None:
    with pa.Pool(works.fail_on_three, workers=3, queues=3) as pool:
        futures = [pool.submit(x) for x in range(60)]
        for x, future in enumerate(futures):
            if x == 3:
                with pytest.raises(LookupError, match="three"):
                    future.result()
            else:
                assert future.result() == works.fail_on_three(x)
        assert list(pool.map(range(4, 50))) == [works.fail_on_three(x) for x in range(4, 50)]


def test_a_worker_that_dies_costs_its_item_one_attempt_and_others_none(tmp_path: Path) -> None:
    work = functools.partial(works.exit_on_seventy, str(tmp_path), 0.0)
    results = pa.map(work, range(200), workers=4, queues=2, on_error="collect", ordered=False)
    failures = [one for one in results if isinstance(one, pa.Failure)]
    assert [failure.item for failure in failures] == [70]
    assert failures[0].attempts == 1
    assert len(list(tmp_path.iterdir())) == 1, "it ran once"
    assert results.report.done == 199


def test_leaving_early_gives_back_what_has_not_begun() -> None:
    results = pa.map(functools.partial(works.nap, 0.005), range(5000), workers=3, queues=3)
    first = [next(results) for _ in range(10)]
    results.close()
    assert first == list(range(10))
    report = results.report
    assert report.returned > 0
    assert report.done < 1000
    assert report.failed == 0


def test_a_pool_can_be_closed_while_it_works() -> None:
    pool = pa.Pool(functools.partial(works.nap, 0.01), workers=3, queues=3)
    futures = [pool.submit(x) for x in range(30)]
    pool.close()
    assert [future.result() for future in futures] == list(range(30)), "what was submitted is finished"


@pytest.mark.parametrize("which", [0, 1])
def test_the_death_of_a_queue_ends_the_run_and_says_what_is_lost(which: int) -> None:
    results = pa.map(functools.partial(works.nap, 0.002), range(2000), workers=2, queues=2)
    done = [next(results) for _ in range(20)]
    shards = results._crew._queues
    assert isinstance(shards, Shards)
    actors.kill(shards._queues[which].given[0])
    killed = time.monotonic()
    says = (
        r"one of 2 queues died: the queue is gone: [\d,]+ items that had not ended are lost, "
        r"results that came"
    )
    with pytest.raises(RunError, match=says):
        done += list(results)
    assert time.monotonic() - killed < 30.0
    assert done == list(range(len(done)))


def test_runs_side_by_side_each_have_their_own() -> None:
    with pa.Pool(works.square, workers=2, queues=2) as pool:
        runs = [pool.map(range(start, start + 300)) for start in (0, 1000, 2000)]
        assert [list(run) for run in runs] == [
            [x * x for x in range(start, start + 300)] for start in (0, 1000, 2000)
        ]
