"""Every source keeps the rules of the seam, and agrees with the model on any sequence of operations."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import pytest
from tests.sources.postgresql import PostgresServer
from tests.sources.queues import pass_time_in
from tests.sources.servers import RedisServer

from pullahead.core.broker import Broker, Granted
from pullahead.core.ledger import Ended, Grant, Ledger, State
from pullahead.core.retry import Bury
from pullahead.sources import IterableSource, MemoryQueue, Source, open_source
from pullahead.sources.source import Capabilities, Taken
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


class LedgerSource:
    """The ledger of a run, as if whoever takes were one of its workers: each time another one."""

    capabilities = Capabilities()

    def __init__(self, items: Sequence[int]) -> None:
        self._ledger = Ledger(recall=False)
        self._workers = itertools.count()
        self._items = items
        self._lock = Lock()
        self._is_over = False
        self._ledger.opened(1)
        self._ledger.submitted(1, 0, len(items), "", 0.0, 1)
        self._ledger.closed(1, 0.0)

    @property
    def closed(self) -> bool:
        return self._is_over or not self._ledger.ready

    def take(self, n: int, wait: float = 0.0) -> list[Taken]:
        if self._is_over:
            return []
        worker = next(self._workers)
        effects = [*self._ledger.joined(worker), *self._ledger.asked(worker, n, 0.0)]
        self._ledger.stopping(worker)
        self._ledger.validate()
        granted = [one for one in effects if isinstance(one, Grant)]
        assert {one.worker for one in granted} <= {worker}
        return [
            Taken((worker, one.lease, item), self._items[item], 1) for one in granted for item in one.items
        ]

    def done(self, token: tuple[int, int, int]) -> None:
        worker, lease, item = token
        with self._lock:
            accepted, _ = self._ledger.finished(worker, lease, (item,), 0.0)
        assert accepted == (item,)

    def failed(self, token: tuple[int, int, int], reason: str, attempts: int = 1) -> None:
        worker, lease, item = token
        with self._lock:
            accepted, effects = self._ledger.failed(worker, lease, item, Bury(), 0.0)
        assert accepted
        assert Ended(1, (item,), State.DEAD) in effects

    def give_back(self, tokens: Iterable[tuple[int, int, int]], delay: float = 0.0) -> None:
        for worker, lease, item in tokens:
            with self._lock:
                self._ledger.gave_back(worker, lease, (item,), 0.0)

    def extend(self, tokens: Iterable[Any], seconds: float) -> None:
        pass

    def close(self) -> None:
        self._is_over = True


class TestLedger(SourceSuite):
    """It agrees with the model of all that sources do, as far as both do the same."""

    @contextmanager
    def bench(self, items: list[int]) -> Iterator[Bench]:
        class LedgerBench(IterableBench):
            def consumer(self) -> Source:
                return LedgerSource(items)

        yield LedgerBench(items)


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
