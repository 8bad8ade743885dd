"""A queue, the processes that play its workers, and a caller that never lets it run dry."""

from __future__ import annotations

from threading import RLock
from types import TracebackType
from typing import Any, Final, Self, final

from benchmarks.queue_limit.peers import Peers
from benchmarks.queue_limit.watch import MeasuredQueue, Reading

from pullahead import actors
from pullahead.core import messages as m
from pullahead.core.lookahead import BUNDLE, MAX_BUNDLE
from pullahead.core.trace import CAUSE_SOURCE
from pullahead.farm.payload import pack
from pullahead.farm.queue import actor_options
from pullahead.farm.queues import Queues

_RUN: Final = 0
_ITEM: Final = pack(0)
#: How many bundles of items there are in the system for each worker: what it holds, and a backlog.
_BUNDLES: Final = 8


@final
class Farm:
    """Starts it all, and ends it.

    Args:
        workers: how many are played.
        seconds: what an item takes.
        processes: how many play them.
    """

    def __init__(self, workers: int, seconds: float, processes: int) -> None:
        self._lock = RLock()
        self._failed: BaseException | None = None
        self._next = self._ended = 0
        bundle = min(MAX_BUNDLE, max(1, int(BUNDLE / seconds)))
        self._room = _BUNDLES * bundle * workers
        self._queue: Any = None
        self._queues = Queues(lambda _: self._start(workers), None, "", "position", self._lock, self)
        self._queues.say((m.OPEN, _RUN, False))
        self._submit(self._room)
        shares = [range(one, workers, processes) for one in range(min(processes, workers))]
        self._peers: list[Any] = [
            actors.remote(Peers).options(num_cpus=0).remote(self._queue, share, seconds) for share in shares
        ]
        self.read()  # it is there: on Ray a process takes a second to begin
        actors.get([one.begin.remote() for one in self._peers])

    def _start(self, workers: int) -> Any:
        self._queue = actors.remote(MeasuredQueue).options(**actor_options(workers + 1)).remote(workers)
        return self._queue

    def _submit(self, count: int) -> None:
        first, self._next = self._next, self._next + count
        self._queues.say((m.SUBMIT, _RUN, first, [_ITEM] * count, CAUSE_SOURCE))

    def read(self) -> tuple[Reading, int]:
        """Return what the queue has done, and how many items have ended."""
        found: Reading = actors.get(self._queue.read.remote())
        if self._failed is not None:
            raise self._failed
        return found, self._ended

    # What the queue says, as `QueuePort` wants it

    def received(self, message: m.Message) -> None:
        """Send as many items as have ended, by the quarter of what there is room for."""
        if message[0] != m.OUTCOMES:
            return
        with self._lock:
            self._ended += len(message[3])
            room = self._room - (self._next - self._ended)
            if room >= self._room // 4:
                self._submit(room)

    def returning(self) -> tuple[int, ...]:
        """No queue follows this one."""
        return ()

    def queueless(self) -> None:
        """Nobody stops the queue but by killing it."""

    def gave_up(self, said: str, error: BaseException) -> None:
        """The queue is gone."""
        self._failed = error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._queues.close()
        for one in self._peers:
            actors.kill(one)
        self._queues.kill()
