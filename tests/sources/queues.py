"""Every kind of live queue, for tests that ask the same of all of them."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import Any, Final, NamedTuple, Protocol

import pytest
from tests.sources.postgresql import PostgresServer
from tests.sources.servers import RedisServer

from pullahead.sources import MemoryQueue, Source, open_source


class Letter(NamedTuple):
    """What has failed for good."""

    item: Any
    reason: str
    attempts: int


class Queue(Protocol):
    """A live queue with some items in it."""

    def open(self) -> Source:
        """Return a source that ends when it is empty."""

    def left(self) -> int:
        """How many items have not ended."""

    def dead(self) -> list[Letter]:
        """What has failed for good, in the order of its items."""

    def pass_time(self, seconds: float) -> None:
        """Let so many seconds pass for every deadline."""


def pass_time_in(server: RedisServer, stream: str, seconds: float) -> None:
    """Let what is out become so much more idle. Nobody waits."""
    for one in server.client.xpending_range(stream, "g", "-", "+", 10_000):
        idle = one["time_since_delivered"] + int(seconds * 1000)
        server.client.xclaim(stream, "g", one["consumer"], 0, [one["message_id"]], idle=idle, justid=True)


class InMemory:
    def __init__(self, request: pytest.FixtureRequest, items: Iterable[int]) -> None:
        self._ahead = 0.0
        self._queue = MemoryQueue(clock=lambda: monotonic() + self._ahead)
        for x in items:
            self._queue.put(x)

    def open(self) -> Source:
        return self._queue.consumer(drain=True)

    def left(self) -> int:
        return len(self._queue)

    def dead(self) -> list[Letter]:
        return [Letter(*one) for one in self._queue.dead]

    def pass_time(self, seconds: float) -> None:
        self._ahead += seconds


class InRedis:
    def __init__(self, request: pytest.FixtureRequest, items: Iterable[int]) -> None:
        self._server: RedisServer = request.getfixturevalue("redis_server")
        self._stream = self._server.new_stream()
        self._server.put(self._stream, list(items))
        self._server.client.xgroup_create(self._stream, "g", "0")

    def open(self) -> Source:
        return open_source(self._server.address(self._stream, drain=1))

    def left(self) -> int:
        (group,) = self._server.client.xinfo_groups(self._stream)
        return int(group["pending"]) + int(group["lag"])

    def dead(self) -> list[Letter]:
        letters = [fields for _, fields in self._server.client.xrange(f"{self._stream}:dead")]
        return [
            Letter(int(one["item"]), one["pullahead-reason"], int(one["pullahead-attempts"]))
            for one in letters
        ]

    def pass_time(self, seconds: float) -> None:
        pass_time_in(self._server, self._stream, seconds)


class InPostgres:
    def __init__(self, request: pytest.FixtureRequest, items: Iterable[int]) -> None:
        self._server: PostgresServer = request.getfixturevalue("postgres")
        self._name = self._server.new_queue()
        self._server.put(self._name, list(items))

    def open(self) -> Source:
        return open_source(self._server.address(self._name, drain=1))

    def left(self) -> int:
        states = [state for (state,) in self._server.rows(self._name, "state")]
        return sum(state not in ("done", "dead") for state in states)

    def dead(self) -> list[Letter]:
        rows = self._server.rows(self._name, "state, item, reason, attempts")
        return [Letter(*letter) for state, *letter in rows if state == "dead"]

    def pass_time(self, seconds: float) -> None:
        self._server.late(self._name, seconds)


QUEUES: Final = [InMemory, InRedis, InPostgres]
