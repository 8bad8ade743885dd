"""A live queue does not care who works: either engine, one queue actor or two, workers that come and go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.engines import engine
from tests.sources.postgresql import PostgresServer
from tests.sources.servers import RedisServer

import pullahead as pa
from pullahead.sources import MemoryQueue

__all__ = ["engine"]

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


@contextmanager
def memory(request: pytest.FixtureRequest) -> Iterator[Any]:
    queue = MemoryQueue()
    for x in range(COUNT):
        queue.put(x)
    yield queue.consumer(drain=True)
    assert (len(queue), [dead.item for dead in queue.dead]) == (0, [7])


@contextmanager
def redis(request: pytest.FixtureRequest) -> Iterator[Any]:
    server: RedisServer = request.getfixturevalue("redis_server")
    stream = server.new_stream()
    server.put(stream, range(COUNT))
    yield server.address(stream, drain=1)
    assert server.pending(stream) == []
    assert [fields["item"] for _, fields in server.client.xrange(f"{stream}:dead")] == ["7"]


@contextmanager
def postgresql(request: pytest.FixtureRequest) -> Iterator[Any]:
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.new_queue()
    server.put(name, range(COUNT))
    yield server.address(name, drain=1)
    rows = [(x, "dead", None) if x == 7 else (x, "done", x * x) for x in range(COUNT)]
    assert server.rows(name, "item, state, result") == rows


@pytest.mark.parametrize("farm", FARMS)
@pytest.mark.parametrize("source", [memory, redis, postgresql])
def test_every_item_ends_once_in_its_queue_whoever_works(
    source: Any, farm: str, request: pytest.FixtureRequest
) -> None:
    seen: list[tuple[int, Any]] = []
    with source(request) as queue:
        report = pa.run(work, queue, lambda result, item: seen.append((item, result)), **FARMS[farm])
        good = [one for one in seen if one[0] != 7]
        assert sorted(good) == [(x, x * x) for x in range(COUNT) if x != 7]
        (failure,) = [result for item, result in seen if item == 7]
        assert (type(failure), failure.attempts) == (pa.Failure, 1)
        assert (report.done, report.failed, report.left) == (COUNT - 1, 1, 0)
