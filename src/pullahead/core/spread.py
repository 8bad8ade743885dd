"""Which queue gets the items that the caller submits, where there are several.

Rules:
1. The queue with the fewest open items for each of its workers is the shortest, and new items level the
   queues, as water does: the shortest gets what it has less than the next one, these two what they have less
   than the third, and so on. (For single items that is "join the shortest queue".)
2. What levels nothing is not cut up: a piece is at least an eighth of the workers of a queue, in whole
   batches, so that a few items for many workers are one message.
3. Items count where they are: what one queue gave to another one counts there from when that is known.

Refused: queues that starve first. A queue says that it starves when its workers would look further ahead, and
that they all do below full load; who really has nothing to compute has the fewest open items.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final, final

_PIECES: Final = 8
#: Items by which a sum of quotients may differ from the whole number that it is.
_ROUNDING: Final = 1e-6


@final
class Spread:
    """Counts what is open in each queue. See the module.

    Args:
        workers: how many each queue has.
        unit: items of a batch.
    """

    __slots__ = ("_grain", "_workers", "open")

    def __init__(self, workers: Sequence[int], unit: int = 1) -> None:
        self.open = [0] * len(workers)
        self._workers = list(workers)
        self._grain = unit * max(1, sum(workers) // (_PIECES * len(workers) * unit))

    def divide(self, count: int) -> list[tuple[int, int]]:
        """Return which queue gets how many of so many items, in this order. They count from now on."""
        order = sorted(range(len(self.open)), key=lambda queue: self.open[queue] / self._workers[queue])
        pieces: list[tuple[int, int]] = []
        level = self._level(order, count)
        wanted, given = 0.0, 0
        for queue in order:
            wanted += max(0.0, level * self._workers[queue] - self.open[queue])
            # Rounded as a sum, so that nothing is lost, and up, so that the shortest gets the first grain.
            stop = min(count, ceil((wanted - _ROUNDING) / self._grain) * self._grain)
            if stop > given:
                pieces.append((queue, stop - given))
                given = stop
        for queue, size in pieces:
            self.open[queue] += size
        return pieces

    def _level(self, order: Sequence[int], count: int) -> float:
        """Return the open items for each worker that so many items lead to in the queues that get some."""
        items, workers = count, 0
        level = 0.0
        for place, queue in enumerate(order):
            if place and self.open[queue] >= level * self._workers[queue]:
                break
            items += self.open[queue]
            workers += self._workers[queue]
            level = items / workers
        return level

    def ended(self, queue: int, count: int) -> None:
        """So many items have ended in a queue."""
        self.open[queue] -= count

    def went(self, queue: int, other: int, count: int) -> None:
        """So many items of a queue are another one's."""
        self.open[queue] -= count
        self.open[other] += count
