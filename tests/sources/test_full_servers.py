"""Servers that have no room left: what they refuse is tried again, nothing is lost, and all goes on then."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from benchmarks.servers import give
from tests.sources.postgresql import PostgresServer
from tests.sources.servers import RedisServer, fill, small_disk

import pullahead as pa
from pullahead.errors import SourceError
from pullahead.sources import open_sink, open_source

pytestmark = pytest.mark.timeout(180)  # of which each needs ten seconds at most; servers take their time

#: Seconds that a server is full. Who takes from it notices.
FULL = 1.0
ALL = set(range(300))


def nap(x: int) -> int:
    time.sleep(0.005)
    return x


class FullFor:
    """Has a server run full once it has seen some results, and empties it later. Use it as a sink."""

    def __init__(self, run_full: Callable[[], object], empty: Callable[[], object], after: int = 50) -> None:
        self.seen: Counter[int] = Counter()
        self._run_full, self._empty = run_full, empty
        self._after = after

    def __call__(self, result: Any, item: int) -> None:
        self.seen[item] += 1
        if self.seen.total() == self._after:
            self._run_full()
            threading.Timer(FULL, self._empty).start()


# Redis


def refused(server: RedisServer, code: str) -> int:
    """How often it has said so."""
    found = server.client.info("errorstats").get(f"errorstat_{code}", {"count": 0})
    return int(found["count"])


def run_out_of_memory(server: RedisServer) -> None:
    server.client.config_set("maxmemory", 1)  # noeviction is what it does by default


def test_a_redis_that_has_no_memory_left(own_server: RedisServer) -> None:
    own_server.put("jobs", range(300))
    results = open_sink(own_server.address("results", ""))
    full = FullFor(
        lambda: run_out_of_memory(own_server), lambda: own_server.client.config_set("maxmemory", 0)
    )

    def sink(result: int, item: int) -> None:
        results(result, item)
        full(result, item)

    with closing(results):
        pa.run(nap, own_server.address("jobs", drain=1), sink, workers=2)
    assert refused(own_server, "OOM") > 1
    assert Counter(int(one["item"]) for _, one in own_server.client.xrange("results")) == Counter(ALL)
    assert own_server.pending("jobs") == []


def unwritable_snapshots(server: RedisServer) -> None:
    """A folder is where the snapshot should go: not even root can write that."""
    (server.folder / "dump.rdb" / "full").mkdir(parents=True)
    server.client.config_set("save", "3600 1")
    snapshot(server, "err")


def writable_snapshots(server: RedisServer) -> None:
    (server.folder / "dump.rdb" / "full").rmdir()
    (server.folder / "dump.rdb").rmdir()
    snapshot(server, "ok")


def snapshot(server: RedisServer, status: str) -> None:
    """Have one written, and wait until it has ended like that."""
    server.client.bgsave()
    deadline = time.monotonic() + 10.0
    while server.client.info("persistence")["rdb_last_bgsave_status"] != status:
        assert time.monotonic() < deadline
        time.sleep(0.01)  # the server takes its time


def test_a_redis_that_cannot_write_its_snapshot(own_server: RedisServer) -> None:
    own_server.put("jobs", range(300))
    full = FullFor(lambda: unwritable_snapshots(own_server), lambda: writable_snapshots(own_server))
    pa.run(nap, own_server.address("jobs", drain=1), full, workers=2)
    assert refused(own_server, "MISCONF") > 1
    assert set(full.seen) == ALL
    assert own_server.pending("jobs") == []


def test_a_redis_whose_disk_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        options = ("--dir", str(disk), "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0")
        with closing(RedisServer(*options)) as server:
            server.put("jobs", range(300))
            results = open_sink(server.address("results", ""))
            full = FullFor(lambda: fill(disk), lambda: (disk / "filling").unlink())

            def sink(result: int, item: int) -> None:
                results(result, item)
                full(result, item)

            with closing(results):
                pa.run(nap, server.address("jobs", drain=1), sink, workers=2)
            assert refused(server, "MISCONF") > 1
            seen = Counter(int(one["item"]) for _, one in server.client.xrange("results"))
            assert set(seen) == ALL
            server.stop()
            server.start()  # and all of it is on disk
            assert Counter(int(one["item"]) for _, one in server.client.xrange("results")) == seen
            assert server.pending("jobs") == []


@pytest.mark.parametrize("to", ["results", ""])
def test_a_redis_that_stays_full_ends_the_run_in_a_line(own_server: RedisServer, to: str) -> None:
    own_server.put("jobs", range(300))
    full = FullFor(lambda: unwritable_snapshots(own_server), lambda: None)
    with closing(open_sink(own_server.address("results", "", patience=0.5))) as results:

        def sink(result: int, item: int) -> None:
            if to:
                results(result, item)
            full(result, item)

        with pytest.raises(SourceError, match="went away and did not come back: MISCONF") as caught:
            pa.run(nap, own_server.address("jobs", patience=0.5), sink, workers=2)
    assert "\n" not in str(caught.value)


def test_a_redis_that_is_full_from_the_beginning_says_so_in_a_line(own_server: RedisServer) -> None:
    unwritable_snapshots(own_server)
    for open_it, group in ((open_source, "g"), (open_sink, "")):
        with pytest.raises(SourceError, match=r"cannot reach unix://.*: MISCONF") as caught:
            open_it(own_server.address("jobs", group))
        assert "\n" not in str(caught.value)
    writable_snapshots(own_server)
    run_out_of_memory(own_server)
    with pytest.raises(SourceError, match=r"cannot reach unix://.*command not allowed when used memory"):
        open_source(own_server.address("jobs"))


# PostgreSQL


@contextmanager
def disk_of_its_own(server: PostgresServer) -> Iterator[tuple[Any, Any]]:
    """A small one has the items. Yields what fills it, and what empties it."""
    with small_disk(server.folder / "disk", 2 << 20) as disk:
        give(disk)
        server.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
        server.execute("ALTER TABLE pullahead.items SET TABLESPACE small")
        try:
            yield lambda: fill(disk), lambda: (disk / "filling").unlink()
        finally:
            server.stop()


@contextmanager
def files_of_a_size(server: PostgresServer) -> Iterator[tuple[Any, Any]]:
    """No file may become larger than the one that has the items, as with a quota.

    That file is made larger first than all that are of other things. Where the limit is in the middle
    of a page, what is written falls short, as on a disk.
    """
    server.execute("ALTER TABLE pullahead.items SET (autovacuum_enabled = off)")  # it would find room
    server.execute(
        "INSERT INTO pullahead.items (queue, item) SELECT 'other', to_json(repeat(md5(n::text), 60)) "
        "FROM generate_series(1, 12000) AS n"
    )

    def run_full() -> None:
        ((size,),) = server.execute("SELECT pg_relation_size('pullahead.items')")
        assert size > 17 << 20
        server.limit(size + 100)

    yield run_full, lambda: server.limit(None)


DISKS = pytest.mark.parametrize("room", [disk_of_its_own, files_of_a_size])


def large(x: int) -> str:
    time.sleep(0.005)
    return f"{x} " + "x" * 1500


@DISKS
def test_a_postgres_whose_disk_is_full(own_postgres: PostgresServer, room: Any) -> None:
    with room(own_postgres) as (run_full, empty):
        own_postgres.put("jobs", range(300))
        own_postgres.log_results()
        full = FullFor(run_full, empty)
        pa.run(large, own_postgres.address("jobs", drain=1), full, workers=2)
        assert own_postgres.said("No space left on device|could not extend file") > 1
        assert set(full.seen) == ALL
        assert own_postgres.written() == Counter(ALL)
        found = own_postgres.rows("jobs", "item, state, split_part(result #>> '{}', ' ', 1)::int")
        assert found == [(x, "done", x) for x in range(300)]


@DISKS
def test_a_postgres_that_stays_full_ends_the_run_in_a_line(own_postgres: PostgresServer, room: Any) -> None:
    with room(own_postgres) as (run_full, _):
        own_postgres.put("jobs", range(300))
        full = FullFor(run_full, lambda: None)
        with pytest.raises(SourceError, match="did not come back: could not extend file") as caught:
            pa.run(large, own_postgres.address("jobs", drain=1, patience=0.5), full, workers=2)
        assert "\n" not in str(caught.value)
