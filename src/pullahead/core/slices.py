"""What the main thread has in its hands: a batch, or a slice of consecutive small items.

Beginning an item must cost next to nothing where items take microseconds, and yet what has not begun must not
be kept from a worker that is idle. So two threads meet here without a lock. The main thread begins the items
of a slice one after another, each by taking it from the left end of `waiting`; the machine may cut the slice
by taking from the right end. Either is one indivisible step of a deque: whichever comes first wins.

Because items begin in order, and each only once the one before it has its result, the place of the first
that waits says what has begun and what has finished. Nobody counts.

What is taken here must be recalled before another worker can have it, so a slice is also at most half of the
backlog; see `pipeline`.

Refused: asking the main thread to stop. Its answer would come when the item that keeps it has ended.
"""

from __future__ import annotations

from collections import deque
from typing import Final, final

#: Seconds of work in one slice.
SLICE: Final = 0.002
MAX_SLICE: Final = 512
_ROUNDING: Final = 1e-9  # items: a mean of equal times is that exact


def slice_size(mean: float) -> int:
    """Return how many items make a slice at most. `mean`: seconds of one item, 0 when that is not known."""
    return 1 if mean <= 0.0 else max(1, min(MAX_SLICE, int(SLICE / mean + _ROUNDING)))


@final
class Slice:
    """What one `take` handed out. See the module.

    Attributes:
        items: all of them, in order.
        waiting: those that have not begun, for the main thread to take from the left.
        failures: the kind and delay of each that failed, put in before the next one begins.
        since: when the one that runs began.
        longest: seconds of the longest one so far, as far as they are timed one by one.
    """

    __slots__ = ("_first", "_stop", "_whole", "failures", "items", "longest", "since", "waiting")

    def __init__(self, items: tuple[int, ...], now: float, *, whole: bool) -> None:
        """Hand them out. `whole`: they are a batch, which one call of `process` takes."""
        self.items = items
        self.waiting = deque(() if whole else items[1:])  # the first one begins at once
        self.failures: dict[int, tuple[str, float]] = {}
        self.since = now
        self.longest = 0.0
        self._whole = whole
        self._first, self._stop = 0, len(items)  # those between are neither reported nor cut

    @property
    def size(self) -> int:
        """How many of them have run here, or will."""
        return self._stop

    @property
    def open(self) -> tuple[int, ...]:
        """Those that are not reported and not cut."""
        return self.items[self._first : self._stop]

    @property
    def unstarted(self) -> tuple[int, ...]:
        """Those of the open ones that have not begun."""
        return self.items[self._stop - len(self.waiting) : self._stop]

    @property
    def begun(self) -> tuple[int, ...]:
        """Those of the open ones that have begun."""
        return self.items[self._first : self._stop - len(self.waiting)]

    def cut(self, most: int) -> list[int]:
        """Take back up to so many that have not begun, the youngest first."""
        items: list[int] = []
        while len(items) < most:
            try:
                items.append(self.waiting.pop())
            except IndexError:  # the main thread was faster
                break
        self._stop -= len(items)
        return items

    def finished(self) -> tuple[int, ...]:
        """Return those that have finished and were not returned before. The last one to begin never has."""
        if self._whole:
            return ()
        first, self._first = self._first, self._stop - len(self.waiting) - 1
        return self.items[first : self._first]


def stretches(items: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the consecutive ones among items, as the first one and how many."""
    found: list[tuple[int, int]] = []
    for item in items:
        if found and item == sum(found[-1]):
            found[-1] = found[-1][0], found[-1][1] + 1
        else:
            found.append((item, 1))
    return found
