"""Dramatiq on Redis."""

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

_PROCESSES: Final = ("--processes", str(WORKERS))
DEFAULT: Final = Settings(arguments=_PROCESSES)

#: A hundred messages in each process, and eight threads, the default: one acknowledges while others run. With
#: fewer threads it is slower, for items that do nothing as for such that compute.
_MANY: Final = Settings(arguments=_PROCESSES, environment={"dramatiq_queue_prefetch": "100"})
#: One thread, so that a long item keeps none from a short one that was fetched with it but the next; with a
#: dramatiq_queue_prefetch of 1, too, it is later. And who finds nothing looks again soon:
#: dramatiq_worker_timeout is the most milliseconds until then, a thousand by default.
_ONE: Final = Settings(
    arguments=(*_PROCESSES, "--threads", "1"), environment={"dramatiq_worker_timeout": "10"}
)
#: heartbeat_timeout as short as a lease of ours, and maintenance_chance (of a million) so that it is looked
#: at by every tenth command; at the default, by every thousandth.
_SAFE: Final = Settings(
    {"heartbeat_timeout": 30_000, "maintenance_chance": 100_000}, (*_PROCESSES, "--threads", "1")
)
BEST: Final = {NOOP: _MANY, SHORT: _MANY, LOAD: _MANY, MIXED: _ONE, START: _ONE, KILLS: _SAFE}

_QUEUE: Final = "dramatiq:default"


def _made(url: str, settings: Mapping[str, Any]) -> Any:
    """Return a broker, and its only actor as its attribute `work`."""
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    made = RedisBroker(url=url, **settings)
    made.work = dramatiq.actor(load_and_process, actor_name="work", broker=made)
    return made


#: What `python -m dramatiq` finds in a consumer.
app = None if (_told := told()) is None else _made(**_told)


@final
class OnRedis:
    """Worker processes. `url`: a database of its own; `aside`: one to prepare messages in."""

    def __init__(self, url: str, aside: str, settings: Settings) -> None:
        import redis

        self.commands = [["-m", "dramatiq", f"{__name__}:app", *settings.arguments]]
        self.environment = for_consumers(url, settings)
        self._broker = _made(url, settings.app)
        self._aside = _made(aside, settings.app)
        self._prepared: Any = redis.Redis.from_url(aside)
        self._database = int(url.rpartition("/")[2])

    def put_all(self, items: Sequence[Item]) -> None:
        """Put them aside, one by one, as Dramatiq has it, and move the messages and then the list."""
        for item in items:
            self._aside.work.send(*item)
        for key in (f"{_QUEUE}.msgs", _QUEUE):
            while not self._prepared.move(key, self._database):
                time.sleep(0.01)  # there is one as long as something is in it

    def put(self, item: Item) -> None:
        """Put one."""
        self._broker.work.send(*item)

    def waiting(self) -> int:
        """Count the messages that nobody has acknowledged, delayed ones among them."""
        return sum(int(self._broker.client.hlen(f"{name}.msgs")) for name in (_QUEUE, f"{_QUEUE}.DQ"))

    def failed(self) -> int:
        """Count the dead letters."""
        return int(self._broker.client.zcard(f"{_QUEUE}.XQ"))

    def close(self) -> None:
        """Let go of the connections."""
        self._broker.close()
        self._aside.close()
        self._prepared.close()
