"""Every source keeps the rules of the seam, and agrees with the model on any sequence of operations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from tests.sources.postgresql import PostgresServer
from tests.sources.queues import pass_time_in
from tests.sources.servers import RedisServer

from pullahead.core.broker import Broker, Granted
from pullahead.sources import IterableSource, MemoryQueue, Source, open_source
from pullahead.testing.sources import Bench, SourceSuite, agrees_with_the_model


class IterableBench:
    def __init__(self, items: Any) -> None:
        self._items = items

    def consumer(self) -> Source:
        return IterableSource(self._items)

    def put(self, items: Sequence[int]) -> None:
        raise NotImplementedError

    def pass_time(self, seconds: float) -> None:
        raise NotImplementedError

    def dead(self) -> list[int]:
        raise NotImplementedError


class MemoryBench:
    def __init__(self, items: Sequence[int]) -> None:
        self._now = 100.0
        self._queue = MemoryQueue(clock=lambda: self._now)
        self.put(items)

    def consumer(self) -> Source:
        return self._queue.consumer(drain=True)

    def put(self, items: Sequence[int]) -> None:
        for item in items:
            self._queue.put(item)

    def pass_time(self, seconds: float) -> None:
        self._now += seconds

    def dead(self) -> list[int]:
        return [one.item for one in self._queue.dead]


class RedisBench:
    def __init__(self, server: RedisServer, items: Sequence[int]) -> None:
        self._server = server
        self._stream = server.new_stream()
        self.put(items)

    def consumer(self) -> Source:
        return open_source(self._server.address(self._stream, drain=1, deliveries=10_000))

    def put(self, items: Sequence[int]) -> None:
        self._server.put(self._stream, items)

    def pass_time(self, seconds: float) -> None:
        pass_time_in(self._server, self._stream, seconds)

    def dead(self) -> list[int]:
        return [int(fields["item"]) for _, fields in self._server.client.xrange(f"{self._stream}:dead")]


class PostgresBench:
    def __init__(self, server: PostgresServer, items: Sequence[int]) -> None:
        self._server = server
        self._queue = server.new_queue()
        self.put(items)

    def consumer(self) -> Source:
        return open_source(self._server.address(self._queue, drain=1, deliveries=10_000))

    def put(self, items: Sequence[int]) -> None:
        self._server.put(self._queue, items)

    def pass_time(self, seconds: float) -> None:
        self._server.late(self._queue, seconds)

    def dead(self) -> list[int]:
        text = "SELECT item FROM pullahead.items WHERE queue = %s AND state = 'dead' ORDER BY ended_at"
        return [row[0] for row in self._server.execute(text, self._queue)]


class TestList(SourceSuite):
    @contextmanager
    def bench(self, items: list[int]) -> Iterator[Bench]:
        yield IterableBench(items)


class TestGenerator(SourceSuite):
    @contextmanager
    def bench(self, items: list[int]) -> Iterator[Bench]:
        yield IterableBench(one for one in items)


class TestMemoryQueue(SourceSuite):
    @contextmanager
    def bench(self, items: list[int]) -> Iterator[Bench]:
        yield MemoryBench(items)


class TestRedis(SourceSuite):
    @pytest.fixture(autouse=True)
    def _server(self, redis_server: RedisServer) -> None:
        self.server = redis_server

    @contextmanager
    def bench(self, items: list[int]) -> Iterator[Bench]:
        yield RedisBench(self.server, items)


class TestPostgres(SourceSuite):
    @pytest.fixture(autouse=True)
    def _server(self, postgres: PostgresServer) -> None:
        self.server = postgres

    @contextmanager
    def bench(self, items: list[int]) -> Iterator[Bench]:
        yield PostgresBench(self.server, items)


class _Hasty:
    """A broker that takes an item for late when it is not."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def take(self, who: Any, n: int, now: float, lease: float) -> list[Granted]:
        return self._broker.take(who, n, now + 25.0, lease - 25.0)


def test_the_comparison_finds_a_source_that_differs() -> None:
    @contextmanager
    def bench(items: list[int]) -> Iterator[Bench]:
        made = MemoryBench(items)
        made._queue._broker = _Hasty(made._queue._broker)  # type: ignore[assignment]
        yield made

    with pytest.raises(AssertionError):
        agrees_with_the_model(bench, examples=200)
