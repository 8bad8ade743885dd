"""A server of each kind, of the benchmark's own, and queues with items on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import count
from typing import Final
from urllib.parse import urlencode

from benchmarks import servers

#: Makes a queue of these items, and returns its address: a run there ends when all of them have ended.
Fill = Callable[[Sequence[int]], str]


class NotInstalledError(Exception):
    """A server is not on this machine; the message is what to install."""


@contextmanager
def redis() -> Iterator[Fill]:
    """A Redis, and streams in it."""
    program = servers.redis_program()
    if program is None:
        raise NotInstalledError("redis-server is not installed (apt-get install redis-server)")
    from redis import Redis

    numbers = count()
    with (
        closing(servers.Redis(program)) as server,
        closing(Redis(unix_socket_path=str(server.socket))) as client,
    ):

        def fill(items: Sequence[int]) -> str:
            stream = f"sharing-{next(numbers)}"
            pipeline = client.pipeline(transaction=False)
            for item in items:
                pipeline.xadd(stream, {"item": str(item)})
            pipeline.execute()
            return f"unix://{server.socket}?{urlencode({'stream': stream, 'group': 'g', 'drain': 1})}"

        yield fill


@contextmanager
def postgresql() -> Iterator[Fill]:
    """A PostgreSQL, and queues in it."""
    programs = servers.postgres_programs()
    if programs is None:
        raise NotInstalledError("postgresql is not installed (apt-get install postgresql)")
    from pullahead.sources.postgresql import PostgresQueue

    numbers = count()
    with closing(servers.Postgres(programs)) as server:

        def fill(items: Sequence[int]) -> str:
            address = f"{server.url}?{urlencode({'queue': f'sharing-{next(numbers)}', 'drain': 1})}"
            with PostgresQueue(address) as queue:
                queue.init()
                queue.put(items)
            return address

        yield fill


BROKERS: Final = {"redis": redis, "postgresql": postgresql}
