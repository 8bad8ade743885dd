"""Pullahead, with default settings: there are no others to be found by trial."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from typing import Any, Final, final

import click
from benchmarks.queues.systems import LOAD
from benchmarks.queues.work import Item, load, process

import pullahead as pa
from pullahead.cli.bench.case import WORKERS
from pullahead.sources.postgresql import PostgresQueue

_STREAM: Final = "jobs"


@final
class OnRedis:
    """A run on a stream. `url`: the server and a database of its own."""

    def __init__(self, url: str, kind: str) -> None:
        import redis

        self.commands = [_command(f"{url}?stream={_STREAM}&group=g", kind)]
        self.environment: dict[str, str] = {}
        self._client: Any = redis.Redis.from_url(url)

    def put_all(self, items: Sequence[Item]) -> None:
        """Add all of them in one transaction."""
        pipeline = self._client.pipeline(transaction=True)
        for item in items:
            pipeline.xadd(_STREAM, {"item": json.dumps(item)})
        pipeline.execute()

    def put(self, item: Item) -> None:
        """Add one."""
        self._client.xadd(_STREAM, {"item": json.dumps(item)})

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


@final
class OnPostgres:
    """A run on a queue. `url`: the server and a database of its own."""

    def __init__(self, url: str, kind: str) -> None:
        address = f"{url}?queue=jobs"
        self.commands = [_command(address, kind)]
        self.environment: dict[str, str] = {}
        self._queue = PostgresQueue(address)
        self._queue.init()

    def put_all(self, items: Sequence[Item]) -> None:
        """Insert all of them in one transaction."""
        self._queue.put(items)

    def put(self, item: Item) -> None:
        """Insert one."""
        self._queue.put([item])

    def close(self) -> None:
        """Let go of the connection."""
        self._queue.close()


def _command(address: str, kind: str) -> list[str]:
    loads = ["--load"] if kind == LOAD else []
    return ["-m", "benchmarks.queues.systems.with_pullahead", address, *loads]


@click.command()
@click.argument("address")
@click.option("--load", "loads", is_flag=True, help="Items are loaded ahead of their work.")
def consume(address: str, loads: bool) -> None:
    """Work on what is in a queue, until SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = {"load": load} if loads else {}
    pa.run(process, address, workers=WORKERS, **options)


if __name__ == "__main__":
    consume()
