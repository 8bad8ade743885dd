"""Pullahead. There is nothing to set, but for what is to become of the items of workers that were killed."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from typing import Any, Final, final

import click
from benchmarks.queues.systems import Settings
from benchmarks.queues.work import Item, load, process

import pullahead as pa
from pullahead.cli.bench.case import WORKERS
from pullahead.sources.postgresql import PostgresQueue

DEFAULT: Final = Settings()
#: Items to load are loaded ahead.
AHEAD: Final = Settings(arguments=("--load",))
#: By default an item has failed whose worker died while it ran.
AGAIN: Final = Settings(arguments=("--retries", "3"))

_STREAM: Final = "jobs"


@final
class OnRedis:
    """A run on a stream. `url`: the server and a database of its own."""

    def __init__(self, url: str, settings: Settings) -> None:
        import redis

        self.commands = [_command(f"{url}?stream={_STREAM}&group=g", settings)]
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

    def waiting(self) -> int:
        """Count what nobody has had, and what is out."""
        (group,) = self._client.xinfo_groups(_STREAM)
        return int(group["lag"] or 0) + int(group["pending"])

    def failed(self) -> int:
        """Count the dead letters."""
        return int(self._client.xlen(f"{_STREAM}:dead"))

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


@final
class OnPostgres:
    """A run on a queue. `url`: the server and a database of its own."""

    def __init__(self, url: str, settings: Settings) -> None:
        address = f"{url}?queue=jobs"
        self.commands = [_command(address, settings)]
        self.environment: dict[str, str] = {}
        self._queue = PostgresQueue(address)
        self._queue.init()

    def put_all(self, items: Sequence[Item]) -> None:
        """Insert all of them in one transaction."""
        self._queue.put(items)

    def put(self, item: Item) -> None:
        """Insert one."""
        self._queue.put([item])

    def waiting(self) -> int:
        """Count what is ready, out, or given back."""
        stats = self._queue.stats()
        return stats.ready + stats.out + stats.waiting

    def failed(self) -> int:
        """Count what is dead."""
        return self._queue.stats().dead

    def close(self) -> None:
        """Let go of the connection."""
        self._queue.close()


def _command(address: str, settings: Settings) -> list[str]:
    return ["-m", "benchmarks.queues.systems.with_pullahead", address, *settings.arguments]


@click.command()
@click.argument("address")
@click.option("--load", "loads", is_flag=True, help="Items are loaded ahead of their work.")
@click.option("--retries", type=click.IntRange(0), help="As pa.run has it.")
def consume(address: str, loads: bool, retries: int | None) -> None:
    """Work on what is in a queue, until SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options: dict[str, Any] = {"load": load} if loads else {}
    if retries is not None:
        options["retries"] = retries
    pa.run(process, address, workers=WORKERS, **options)


if __name__ == "__main__":
    consume()
