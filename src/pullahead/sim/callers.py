"""Who submits to the queues under virtual time, as the caller of a real run does: one queue, or several.

There is no wire between a caller and its queues here, so what it knows of them is never old.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, final

from pullahead.core.ledger import RunEnded
from pullahead.core.spread import Spread
from pullahead.core.tallies import Tallies

if TYPE_CHECKING:
    from pullahead.sim.queue import Queue
    from pullahead.sim.world import World


class Caller(Protocol):
    """What a world needs of it."""

    def open(self, run: int) -> None:
        """Begin a run."""

    def submit(self, run: int, first: int, count: int, cause: str) -> None:
        """Submit items."""

    def close(self, run: int) -> None:
        """No more items will come for a run."""

    def cancel(self, run: int) -> None:
        """Forget what is unstarted of a run."""


@final
class OfOne:
    """The caller of one queue, whichever it is by now."""

    def __init__(self, world: World) -> None:
        self._world = world

    def open(self, run: int) -> None:
        """See `Caller`."""
        queue = self._world.queue
        queue.call(queue.ledger.opened(run))

    def submit(self, run: int, first: int, count: int, cause: str) -> None:
        """See `Caller`."""
        queue = self._world.queue
        queue.call(queue.ledger.submitted(run, first, count, cause, self._world.clock.now))

    def close(self, run: int) -> None:
        """See `Caller`."""
        queue = self._world.queue
        queue.call(queue.ledger.closed(run, self._world.clock.now))

    def cancel(self, run: int) -> None:
        """See `Caller`."""
        queue = self._world.queue
        queue.call(queue.ledger.cancelled(run, self._world.clock.now))


@final
class OfSeveral:
    """The caller of several queues. It spreads items over them, and knows when a run has ended.

    Args:
        world: where they stand.
        workers: how many each queue has.
    """

    def __init__(self, world: World, workers: list[int]) -> None:
        self._world = world
        self._spread = Spread(workers)
        self._tallies = Tallies()

    def open(self, run: int) -> None:
        """See `Caller`."""
        self._tallies.opened(run)
        for queue in self._world.queues:
            queue.call(queue.ledger.opened(run))

    def submit(self, run: int, first: int, count: int, cause: str) -> None:
        """See `Caller`."""
        pieces = self._spread.divide(count)
        self._tallies.submitted(run, count, [number for number, _ in pieces])
        for number, size in pieces:
            queue = self._world.queues[number]
            queue.call(queue.ledger.submitted(run, first, size, cause, self._world.clock.now))
            first += size

    def close(self, run: int) -> None:
        """See `Caller`."""
        for queue in self._world.queues:
            queue.call(queue.ledger.closed(run, self._world.clock.now))
        if self._tallies.closed(run):
            self._end(run)

    def cancel(self, run: int) -> None:
        """See `Caller`."""
        for queue in self._world.queues:
            queue.call(queue.ledger.cancelled(run, self._world.clock.now))

    def ended(self, queue: Queue, run: int, count: int) -> None:
        """So many items of a run have ended in a queue."""
        self._spread.ended(queue.number, count)
        if self._tallies.ended(run, count):
            self._end(run)

    def went(self, queue: Queue, other: int, count: int) -> None:
        """So many items of a queue are another one's."""
        self._spread.went(queue.number, other, count)

    def _end(self, run: int) -> None:
        # Not at once: a queue may be in the middle of what follows from its last event.
        self._world.clock.at(self._world.clock.now, self._forget, run)

    def _forget(self, run: int) -> None:
        for queue in self._world.queues:
            queue.call(queue.ledger.over(run))
        self._world.decided(RunEnded(run))
