"""Who takes part: on which server, with which settings; and the servers."""

from __future__ import annotations

import importlib
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from typing import Any, Final, final

import click
from benchmarks import servers
from benchmarks.queues.systems import KILLS, LOAD, Settings, System, is_here

from pullahead.cli.bench.case import Absent

OURS: Final = "Pullahead"
REDIS: Final = "redis"
POSTGRESQL: Final = "postgresql"
BROKERS: Final = (REDIS, POSTGRESQL)

#: What Redis advises for a log of what is appended: if the machine dies, a second is lost at most. "always"
#: loses nothing, and makes each command wait for the disk.
EVERYSEC, ALWAYS = "everysec", "always"
#: PostgreSQL's own defaults: what is committed is on disk.
_POSTGRES_SETTINGS: Final = {"fsync": "on", "synchronous_commit": "on"}
_PACKAGES: Final = ("celery", "kombu", "dramatiq", "procrastinate", "redis", "psycopg")
_DATABASES: Final = 64
_CONNECTIONS: Final = 200

_PEERS: Final = {
    "Celery": (REDIS, "celery", "with_celery"),
    "Dramatiq": (REDIS, "dramatiq", "with_dramatiq"),
    "Procrastinate": (POSTGRESQL, "procrastinate", "with_procrastinate"),
}


@final
class Servers:
    """A Redis and a PostgreSQL, each started when it is needed first, and a new database for whoever asks."""

    def __init__(self, stack: ExitStack, fsync: str) -> None:
        self._stack = stack
        self._fsync = fsync
        self._redis: tuple[str, Iterator[int]] | None = None
        self._postgres: tuple[servers.Postgres, Iterator[int]] | None = None

    def redis(self) -> str:
        """Return the address of an empty database."""
        if self._redis is None:
            program = servers.redis_program()
            if program is None:
                raise click.ClickException("redis-server is not installed (apt-get install redis-server)")
            port = str(servers.free_port())
            said = ["--port", port, "--databases", str(_DATABASES), "--appendfsync", self._fsync]
            one = servers.Redis(program, *said)
            self._stack.callback(one.close)
            self._redis = f"redis://127.0.0.1:{port}", count()
        url, numbers = self._redis
        number = next(numbers)
        if number >= _DATABASES:
            raise RuntimeError(f"expected to need at most {_DATABASES} databases of Redis")
        return f"{url}/{number}"

    def postgres(self) -> str:
        """Return the address of an empty database."""
        import psycopg

        if self._postgres is None:
            programs = servers.postgres_programs()
            if programs is None:
                raise click.ClickException("postgresql is not installed (apt-get install postgresql)")
            settings = _POSTGRES_SETTINGS | {"max_connections": str(_CONNECTIONS)}
            one = servers.Postgres(programs, *(f"{name}={value}" for name, value in settings.items()))
            self._stack.callback(one.close)
            self._postgres = one, count()
        server, numbers = self._postgres
        name = f"queues{next(numbers)}"
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"{server.url.rpartition('/')[0]}/{name}"


@contextmanager
def running(fsync: str = EVERYSEC) -> Iterator[Servers]:
    """Have servers for a while. `fsync`: when Redis writes to the disk."""
    with ExitStack() as stack:
        yield Servers(stack, fsync)


@final
@dataclass(frozen=True, slots=True)
class Candidate:
    """A contender that can take part. `connect`: makes its system, on a database of its own."""

    name: str
    connect: Callable[[Servers], System]


def candidates(broker: str, kind: str, *, ours: bool = False) -> list[Candidate | Absent]:
    """Return who takes part in a case: ours at first, or alone."""
    us = importlib.import_module("benchmarks.queues.systems.with_pullahead")
    found: list[Candidate | Absent] = [_ours(OURS, us, broker, us.AHEAD if kind == LOAD else us.DEFAULT)]
    if kind == KILLS:
        found.append(_ours(f"{OURS}, retries=3", us, broker, us.AGAIN))
    for name, (where, package, module) in _PEERS.items():
        if ours or where != broker:
            continue
        if not is_here(package):
            found.append(Absent(name, "not installed: pip install 'pullahead[bench]'"))
            continue
        peer = importlib.import_module(f"benchmarks.queues.systems.{module}")
        found.append(_theirs(name, peer, broker, peer.DEFAULT))
        found.append(_theirs(f"{name}, best", peer, broker, peer.BEST[kind]))
    return found


def _ours(name: str, us: Any, broker: str, settings: Settings) -> Candidate:
    def connect(at: Servers) -> System:
        made: System = (
            us.OnRedis(at.redis(), settings) if broker == REDIS else us.OnPostgres(at.postgres(), settings)
        )
        return made

    return Candidate(name, connect)


def _theirs(name: str, peer: Any, broker: str, settings: Settings) -> Candidate:
    def connect(at: Servers) -> System:
        made: System
        if broker == REDIS:  # where messages are prepared in a second database
            made = peer.OnRedis(at.redis(), at.redis(), settings)
        else:
            made = peer.OnPostgres(at.postgres(), settings)
        return made

    return Candidate(name, connect)


def versions(fsync: str) -> dict[str, str | None]:
    """Return the versions of everybody, and how durable the servers are."""
    found = {package: _version(package) for package in _PACKAGES}
    redis, postgres = servers.redis_program(), servers.postgres_programs()
    if redis is not None:
        found["redis-server"] = _about(redis, {"appendonly": "yes", "appendfsync": fsync})
    if postgres is not None:
        found["postgres"] = _about(str(postgres / "postgres"), _POSTGRES_SETTINGS)
    return found


def _about(program: str, settings: Mapping[str, str]) -> str:
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    number = re.search(r"\d+(\.\d+)+", said)
    how = ", ".join(f"{name} {value}" for name, value in settings.items())
    return f"{number[0] if number else said.strip()} ({how})"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
