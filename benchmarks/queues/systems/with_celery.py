"""Celery on Redis."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, final

from benchmarks.queues.systems import (
    KILLS,
    LOAD,
    MIXED,
    NOOP,
    SHORT,
    START,
    Settings,
    for_consumers,
    told,
)
from benchmarks.queues.work import Item, load_and_process

from pullahead.cli.bench.case import WORKERS

DEFAULT: Final = Settings(arguments=("--concurrency", str(WORKERS)))

#: Nobody reads results, and workers do not watch each other: --without-gossip, --without-mingle,
#: --without-heartbeat, worker_enable_remote_control.
_LEAN: Final[Mapping[str, Any]] = {"task_ignore_result": True, "worker_enable_remote_control": False}
_ALONE: Final = ("--without-gossip", "--without-mingle", "--without-heartbeat")

#: "Optimizing", prefetch limits: with many short tasks this number should be large, "say 64, or 128".
#: "Concurrency", the pool: solo runs tasks in the node itself. Two such nodes carry half as many again as one
#: with two processes, and nodes with threads no more.
_MANY: Final = Settings(
    {**_LEAN, "worker_prefetch_multiplier": 128}, ("--pool", "solo", *_ALONE), programs=WORKERS
)
#: "Reserve one task at a time": a multiplier of 1; -O fair is the default by now. With late acknowledgement,
#: or with worker_disable_prefetch, items of mixed sizes are later.
_ONE: Final = Settings(
    {**_LEAN, "worker_prefetch_multiplier": 1}, ("--concurrency", str(WORKERS), "-O", "fair", *_ALONE)
)
#: "Concurrency": threads for what waits. Two nodes with a pool of eight threads each.
_THREADS: Final = Settings(
    {**_LEAN, "worker_prefetch_multiplier": 16},
    ("--pool", "threads", "--concurrency", "8", *_ALONE),
    programs=WORKERS,
)
#: "Visibility timeout", as short as a lease of ours, looked at each second (unacked_restore_interval,
#: …_throttle); task_acks_late with task_reject_on_worker_lost, or what a killed process had is gone.
_SAFE: Final = Settings(
    {
        **_LEAN,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "broker_transport_options": {
            "visibility_timeout": 30,
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
        },
    },
    ("--concurrency", str(WORKERS), *_ALONE),
)
BEST: Final = {NOOP: _MANY, SHORT: _MANY, LOAD: _THREADS, MIXED: _ONE, START: _ONE, KILLS: _SAFE}

_QUEUE: Final = "celery"


def _made(url: str, settings: Mapping[str, Any]) -> Any:
    """Return an app, and its only task as its attribute `work`."""
    from celery import Celery

    made = Celery("queues", broker=url)
    made.conf.update(settings)
    made.work = made.task(load_and_process, name="work")
    return made


#: What `python -m celery --app` finds in a consumer.
app = None if (_told := told()) is None else _made(**_told)


@final
class OnRedis:
    """A worker node, or two. `url`: a database of its own; `aside`: one to prepare messages in."""

    def __init__(self, url: str, aside: str, settings: Settings) -> None:
        import redis

        base = ["-m", "celery", "--app", f"{__name__}:app", "worker", "--hostname"]
        self.commands = [
            [*base, f"node{number}@%h", *settings.arguments] for number in range(settings.programs)
        ]
        self.environment = for_consumers(url, settings)
        self._app = _made(url, settings.app)
        self._aside = _made(aside, settings.app)
        self._prepared: Any = redis.Redis.from_url(aside)
        self._client: Any = redis.Redis.from_url(url)
        self._database = int(url.rpartition("/")[2])

    def put_all(self, items: Sequence[Item]) -> None:
        """Put them aside, one by one, as Celery has it, and move the list."""
        for item in items:
            self._aside.work.apply_async(item)
        while not self._prepared.move(_QUEUE, self._database):
            time.sleep(0.01)  # there is one as long as something is in it

    def put(self, item: Item) -> None:
        """Put one."""
        self._app.work.apply_async(item)

    def waiting(self) -> int:
        """Count the queue, and what is not acknowledged."""
        return int(self._client.llen(_QUEUE)) + int(self._client.hlen("unacked"))

    def failed(self) -> int:
        """Nothing is recorded: results are not asked for."""
        return 0

    def close(self) -> None:
        """Let go of the connections."""
        self._app.close()
        self._aside.close()
        self._prepared.close()
        self._client.close()
