"""A live queue does not care who works: either engine, one queue actor or two, workers that come and go."""

from __future__ import annotations

import time
from threading import Thread
from typing import Any, Protocol

import pytest
from tests.engines import engine
from tests.sources.postgresql import PostgresServer
from tests.sources.servers import RedisServer

import pullahead as pa
from pullahead.sources import MemoryQueue, Source, open_source

__all__ = ["engine"]

WAIT = 30.0
COUNT = 60
FARMS: dict[str, dict[str, Any]] = {
    "one queue": {"workers": 2},
    "two queues": {"workers": 2, "queues": 2},
    "workers that come and go": {"workers": (1, 2)},
}


class Queue(Protocol):
    """A live queue with the numbers below a count in it."""

    def open(self) -> Source:
        """Return a source that ends when it is empty."""

    def left(self) -> int:
        """How many items have not ended."""

    def dead(self) -> list[int]:
        """What has failed for good."""


class InMemory:
    def __init__(self, request: pytest.FixtureRequest, count: int) -> None:
        self._queue = MemoryQueue()
        for x in range(count):
            self._queue.put(x)

    def open(self) -> Source:
        return self._queue.consumer(drain=True)

    def left(self) -> int:
        return len(self._queue)

    def dead(self) -> list[int]:
        return [one.item for one in self._queue.dead]


class InRedis:
    def __init__(self, request: pytest.FixtureRequest, count: int) -> None:
        self._server: RedisServer = request.getfixturevalue("redis_server")
        self._stream = self._server.new_stream()
        self._server.put(self._stream, range(count))
        self._server.client.xgroup_create(self._stream, "g", "0")

    def open(self) -> Source:
        return open_source(self._server.address(self._stream, drain=1))

    def left(self) -> int:
        (group,) = self._server.client.xinfo_groups(self._stream)
        return int(group["pending"]) + int(group["lag"])

    def dead(self) -> list[int]:
        return [int(fields["item"]) for _, fields in self._server.client.xrange(f"{self._stream}:dead")]


class InPostgres:
    def __init__(self, request: pytest.FixtureRequest, count: int) -> None:
        self._server: PostgresServer = request.getfixturevalue("postgres")
        self._name = self._server.new_queue()
        self._server.put(self._name, range(count))

    def open(self) -> Source:
        return open_source(self._server.address(self._name, drain=1))

    def left(self) -> int:
        return sum(state in ("ready", "out") for (state,) in self._server.rows(self._name, "state"))

    def dead(self) -> list[int]:
        return [item for item, state in self._server.rows(self._name, "item, state") if state == "dead"]


QUEUES = [InMemory, InRedis, InPostgres]


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
    queue: Queue = kind(request, COUNT)
    assert (queue.left(), queue.dead()) == (COUNT, [])
    seen: list[tuple[int, Any]] = []
    report = pa.run(work, queue.open(), lambda result, item: seen.append((item, result)), **FARMS[farm])
    good = [one for one in seen if one[0] != 7]
    assert sorted(good) == [(x, x * x) for x in range(COUNT) if x != 7]
    (failure,) = [result for item, result in seen if item == 7]
    assert (type(failure), failure.attempts) == (pa.Failure, 1)
    assert (report.done, report.failed, report.left) == (COUNT - 1, 1, 0)
    assert (queue.left(), queue.dead()) == (0, [7])


def began(x: int) -> float:
    now = time.monotonic()
    time.sleep(2.0 if x < 6 else 0.01)
    return now


@pytest.mark.parametrize("kind", QUEUES)
def test_a_run_gives_what_it_has_not_begun_to_one_that_has_nothing(
    kind: Any, request: pytest.FixtureRequest
) -> None:
    queue: Queue = kind(request, 6)
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
