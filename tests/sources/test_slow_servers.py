"""Servers that do nothing for a while, and are there: they are waited for, or let go and found again."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import pytest
from tests.sources.postgresql import PostgresServer
from tests.sources.servers import RedisServer

import pullahead as pa
from pullahead.errors import SourceError
from pullahead.sources import open_sink
from pullahead.sources.postgresql import server as postgresql
from pullahead.sources.redis import server as redis

pytestmark = pytest.mark.timeout(180)  # of which each needs fifteen seconds at most; servers take their time

COUNT = 200


def nap(x: int) -> int:
    time.sleep(0.005)
    return x


class Stops:
    """A sink that stops a server for so many seconds once it has seen some results."""

    def __init__(self, stopped: Callable[[], AbstractContextManager[None]], seconds: float) -> None:
        self.seen: Counter[int] = Counter()
        self._stopped, self._seconds = stopped, seconds
        self.helper = threading.Thread(target=self._stop)

    def __call__(self, result: int, item: int) -> None:
        self.seen[item] += 1
        if self.seen.total() == 50:
            self.helper.start()

    def _stop(self) -> None:
        with self._stopped():
            time.sleep(self._seconds)


@contextmanager
def quick_to_give_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What takes longer than half a second counts as cut."""
    for limit in ("_ANSWER", "_CONNECT"):
        monkeypatch.setattr(redis, limit, 0.5)
    monkeypatch.setattr(postgresql, "_ANSWER", 0.5)
    yield


def run_from_redis(server: RedisServer, seconds: float) -> Counter[int]:
    """A run from a stream to a stream, whose server stops in the middle."""
    server.put("jobs", range(COUNT))
    stops = Stops(server.stopped, seconds)
    with closing(open_sink(server.address("results", ""))) as results:

        def sink(result: int, item: int) -> None:
            stops(result, item)
            results(result, item)

        pa.run(nap, server.address("jobs", drain=1), sink, workers=2)
    stops.helper.join()
    assert server.pending("jobs") == []
    return Counter(int(one["result"]) for _, one in server.client.xrange("results"))


def test_a_redis_that_is_slow_for_ten_seconds(own_server: RedisServer) -> None:
    assert run_from_redis(own_server, 10.0) == Counter(range(COUNT))


def test_a_redis_that_is_slow_for_longer_than_an_answer_may_take(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with quick_to_give_up(monkeypatch):
        seen = run_from_redis(own_server, 3.0)
    assert set(seen) == set(range(COUNT))
    assert seen.total() - COUNT <= 10  # what was sent again, and had arrived


def test_a_redis_that_stays_slow_ends_the_run_in_a_line(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_server.put("jobs", range(COUNT))
    stops = Stops(own_server.stopped, 5.0)
    with (
        quick_to_give_up(monkeypatch),
        pytest.raises(SourceError, match="went away and did not come back: Timeout") as caught,
    ):
        pa.run(nap, own_server.address("jobs", patience=1), stops, workers=2)
    assert "\n" not in str(caught.value)
    stops.helper.join()


def run_from_postgres(server: PostgresServer, seconds: float) -> None:
    server.put("jobs", range(COUNT))
    server.log_results()
    stops = Stops(server.stopped, seconds)
    pa.run(nap, server.address("jobs", drain=1, connect_timeout=2), stops, workers=2)
    stops.helper.join()
    assert set(stops.seen) == set(range(COUNT))
    assert server.written() == Counter(range(COUNT))
    assert server.rows("jobs", "item, state, result") == [(x, "done", x) for x in range(COUNT)]


def test_a_postgres_that_is_slow_for_ten_seconds(own_postgres: PostgresServer) -> None:
    run_from_postgres(own_postgres, 10.0)


def test_a_postgres_that_is_slow_for_longer_than_an_answer_may_take(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with quick_to_give_up(monkeypatch):
        run_from_postgres(own_postgres, 3.0)


def test_a_postgres_that_stays_slow_ends_the_run_in_a_line(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_postgres.put("jobs", range(COUNT))
    stops = Stops(own_postgres.stopped, 8.0)
    with (
        quick_to_give_up(monkeypatch),
        pytest.raises(SourceError, match="went away and did not come back: connection") as caught,
    ):
        pa.run(nap, own_postgres.address("jobs", patience=1, connect_timeout=2), stops, workers=2)
    assert "\n" not in str(caught.value)
    stops.helper.join()
