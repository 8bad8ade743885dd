"""No source cares who works: either engine, one queue actor or two, workers that come and go."""

from __future__ import annotations

import time
from threading import Thread
from typing import Any

import pytest
from tests.engines import engine
from tests.sources.queues import QUEUES, Letter, Queue

import pullahead as pa

__all__ = ["engine"]

WAIT = 30.0
COUNT = 60
FARMS: dict[str, dict[str, Any]] = {
    "one queue": {"workers": 2},
    "two queues": {"workers": 2, "queues": 2},
    "workers that come and go": {"workers": (1, 2)},
}


class BadError(Exception):
    """What no trying mends."""


def work(x: int) -> int:
    time.sleep(0.005)
    if x == 7:
        raise BadError(x)
    return x * x


@pytest.mark.parametrize("farm", FARMS)
@pytest.mark.parametrize("kind", QUEUES)
def test_every_item_ends_once_in_its_queue_whoever_works(
    kind: Any, farm: str, request: pytest.FixtureRequest
) -> None:
    queue: Queue = kind(request, range(COUNT))
    assert (queue.left(), queue.dead()) == (COUNT, [])
    seen: list[tuple[int, Any]] = []
    report = pa.run(work, queue.open(), lambda result, item: seen.append((item, result)), **FARMS[farm])
    good = [one for one in seen if one[0] != 7]
    assert sorted(good) == [(x, x * x) for x in range(COUNT) if x != 7]
    (failure,) = [result for item, result in seen if item == 7]
    assert (type(failure), failure.attempts) == (pa.Failure, 1)
    assert (report.done, report.failed, report.left) == (COUNT - 1, 1, 0)
    assert (queue.left(), queue.dead()) == (0, [Letter(7, "BadError: 7", 1)])


@pytest.mark.parametrize("farm", FARMS)
def test_every_item_of_an_iterable_ends_once_and_in_order_whoever_works(farm: str) -> None:
    results = pa.map(work, iter(range(COUNT)), on_error="collect", **FARMS[farm])
    seen = list(results)
    assert [(x, one) for x, one in enumerate(seen) if x != 7] == [(x, x * x) for x in range(COUNT) if x != 7]
    assert (type(seen[7]), len(seen)) == (pa.Failure, COUNT)
    assert (results.report.done, results.report.failed, results.report.left) == (COUNT - 1, 1, 0)


def began(x: int) -> float:
    now = time.monotonic()
    time.sleep(2.0 if x < 6 else 0.01)
    return now


@pytest.mark.parametrize("kind", QUEUES)
def test_a_run_gives_what_it_has_not_begun_to_one_that_has_nothing(
    kind: Any, request: pytest.FixtureRequest
) -> None:
    queue: Queue = kind(request, range(6))
    mine: dict[int, float] = {}
    others: dict[int, float] = {}
    with pa.Pool(began, workers=2) as first, pa.Pool(began, workers=2) as second:
        for pool in (first, second):
            list(pool.map(range(6, 10)))  # their workers are there
        source = queue.open()
        holder = Thread(target=lambda: first.run(source, lambda when, item: mine.update({item: when})))
        holder.start()
        deadline = time.monotonic() + WAIT
        while "6 held" not in repr(source):
            assert time.monotonic() < deadline, repr(source)
            time.sleep(0.005)  # it takes its time
        was_hungry = time.monotonic()
        second.run(queue.open(), lambda when, item: others.update({item: when}))
        holder.join()
    assert sorted([*mine, *others]) == list(range(6))
    assert len(others) == 2  # a half of the four that had not begun
    assert max(others.values()) - was_hungry < 2.0  # a second, on a machine that has nothing else to do
    assert queue.left() == 0
