"""Several queues, for a crew that speaks to one: what is said to which, and what becomes of what they say.

Items are spread over the queues (see `core.spread`), which give each other what they have too much of. What
concerns a run is said to every queue. No queue knows when a run has ended: that is counted here (see
`core.tallies`).

There is no journal, because a file has one writer. So a queue that dies is not followed by another one, and
its death ends what the crew does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import RLock
from typing import Any, Final, final

from pullahead.core import messages as m
from pullahead.core.clocks import Comparison
from pullahead.core.spread import Spread
from pullahead.core.tallies import Tallies
from pullahead.farm.queues import QueuePort, Queues
from pullahead.farm.recorded import Recorded

#: What is said to every queue.
_TO_ALL: Final = frozenset({m.OPEN, m.CLOSE, m.CANCEL})


@final
class Shards:
    """In the place of `Queues`. See the module.

    Args:
        make: starts a queue, from its number and from how many died before it (none).
        workers: how many each queue will have.
        unit: items of a batch.
        lock: held while something is decided.
        port: who has the queues.
    """

    def __init__(
        self, make: Callable[[int, int], Any], workers: list[int], unit: int, lock: RLock, port: QueuePort
    ) -> None:
        self.recorded: Recorded | None = None
        self._port = port
        self._lock = lock
        self._spread = Spread(workers, unit)
        self._tallies = Tallies()
        self._homes: dict[int, int] = {}  # the queue of each worker
        self._queues: list[Queues] = []
        try:
            for number in range(len(workers)):
                shard = _Shard(self, number, len(workers))
                self._queues.append(Queues(partial(make, number), None, "", "", lock, shard))
        except BaseException:
            self.kill()
            raise
        handles = [queue.given[0] for queue in self._queues]
        for queue in self._queues:
            queue.say((m.MEET, handles))

    @property
    def clock(self) -> Comparison | None:
        """As `Queues` has it: they are all on one machine."""
        return self._queues[0].clock

    def given_to(self, worker: int, lane: int) -> tuple[Any, int]:
        """Return what a new worker needs, as `Queues` does. Its lane says which queue is its home."""
        with self._lock:
            home = self._homes[worker] = lane % len(self._queues)
        return self._queues[home].given

    def say(self, message: m.Message) -> None:
        """Tell the queues that it concerns."""
        kind, about, *_ = message
        has_ended = starves = False
        with self._lock:
            if kind == m.OPEN:
                self._tallies.opened(about)
            elif kind == m.CLOSE:
                has_ended = self._tallies.closed(about)
            if kind in _TO_ALL:
                self._say_to_all(message)
            elif kind == m.SHARE:
                hungry = message[2]  # each queue gives its part
                self._say_to_all((kind, about, -(-hungry // len(self._queues))))
            elif kind == m.SUBMIT:
                starves = self._submit(*message[1:])
            else:  # of a worker: LOST
                self._queues[self._homes.pop(about)].say(message)
        if has_ended:
            self._end(about)
        if starves:
            self._port.received((m.STARVED, about))

    def hold(self) -> None:
        """As `Queues` has it."""
        for queue in self._queues:
            queue.hold()

    def release(self) -> None:
        """As `Queues` has it."""
        for queue in self._queues:
            queue.release()

    def _say_to_all(self, message: m.Message) -> None:
        for queue in self._queues:
            queue.say(message)

    def _submit(self, run: int, first: int, payloads: list[Any], cause: str) -> bool:
        """Return whether workers wait for items of this run in a queue that gets none of these."""
        start = 0
        pieces = self._spread.divide(len(payloads))
        for number, size in pieces:
            piece = payloads[start : start + size]
            self._queues[number].say((m.SUBMIT, run, first + start, piece, cause))
            start += size
        return self._tallies.submitted(run, len(payloads), [number for number, _ in pieces])

    def heard(self, number: int, message: m.Message) -> None:
        """A queue said this."""
        kind, about, *rest = message
        if kind == m.WENT:
            with self._lock:
                self._spread.went(number, about, *rest)
                self._tallies.went(about)
        elif kind == m.STARVED:
            with self._lock:
                is_news = self._tallies.starves(about, number)
            if is_news:
                self._port.received(message)
        else:
            self._port.received(message)
            if kind == m.OUTCOMES:
                self._count(number, about, len(rest[1]))

    def _count(self, number: int, run: int, items: int) -> None:
        # After they were handed on: whoever counts the last of a run, all of them have been.
        with self._lock:
            self._spread.ended(number, items)
            has_ended = self._tallies.ended(run, items)
        if has_ended:
            self._end(run)

    def _end(self, run: int) -> None:
        with self._lock:
            self._say_to_all((m.OVER, run))
        self._port.received((m.ENDED, run))

    # What concerns every queue

    def stop(self) -> None:
        """Tell every worker to stop."""
        for queue in self._queues:
            queue.stop()

    def finished(self) -> None:
        """An item has ended. (Queues that died are not counted: the first one ends everything.)"""

    def close(self) -> None:
        """Say and hear nothing any more."""
        for queue in self._queues:
            queue.close()

    def close_journal(self) -> None:
        """There is none."""

    def kill(self) -> None:
        """End the queues."""
        for queue in self._queues:
            queue.kill()

    @property
    def port(self) -> QueuePort:
        """Who has the queues."""
        return self._port


@final
class _Shard:
    """Who has one of the queues. See `QueuePort`."""

    def __init__(self, shards: Shards, number: int, count: int) -> None:
        self._shards, self._number, self._count = shards, number, count

    def received(self, message: m.Message) -> None:
        self._shards.heard(self._number, message)

    def returning(self) -> tuple[int, ...]:
        return self._shards.port.returning()

    def queueless(self) -> None:
        self._shards.port.queueless()

    def gave_up(self, said: str, error: BaseException) -> None:
        self._shards.port.gave_up(f"one of {self._count} queues died: {said}", error)
