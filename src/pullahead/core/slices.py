"""What the main thread has in its hands: a batch, or a slice of consecutive small items.

Beginning an item must cost next to nothing where items take microseconds, and yet what has not begun must not
be kept from a worker that is idle. So two threads meet here without a lock. The main thread begins the items
of a slice one after another, each by taking it from the left end of `waiting`; the machine may cut the slice
by taking from the right end. Either is one indivisible step of a deque: whichever comes first wins.

Because items begin in order, and each only once the one before it has its result, the place of the first
that waits says what has begun and what has finished. Nobody counts.

While the main thread computes, the machine may look: it takes out what has finished, and puts more items
behind those that wait. The main thread asks for that when only `low` are left, and finds the next item where
it looks anyway. So where a look takes no longer than what is left, all the bookkeeping goes on behind
computation, and between two items there is nothing but an item's own handling.

Refused: asking the main thread to stop. Its answer would come when the item that keeps it has ended.
"""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import Final, final

#: Seconds of work in one slice, and in one that is worth its own bookkeeping however little there is to do.
SLICE: Final = 0.002
LEAST_SLICE: Final = 0.0001
MAX_SLICE: Final = 2048
#: Seconds of work that hide a look: it takes some tenths of a millisecond, and where the work is pure Python
#: it begins only when the interpreter is given up, half a millisecond later.
LOOK: Final = 0.0015
#: Seconds of work that a look puts behind what waits, at least: a look costs 0.1 ms.
REFILL: Final = 0.004
_ROUNDING: Final = 1e-9  # items: a mean of equal times is that exact


def slice_size(mean: float, seconds: float = SLICE) -> int:
    """Return how many items make a slice of so many seconds. `mean`: of one, 0 when that is not known."""
    return 1 if mean <= 0.0 else max(1, min(MAX_SLICE, int(seconds / mean + _ROUNDING)))


def low_mark(mean: float) -> int:
    """Return with how many items waiting a look is hidden: none where what runs hides it by itself; -1: they
    are so short, or so little is known of them, that it never is. `mean`: as above."""
    if mean >= LOOK:
        return 0
    low = ceil(LOOK / mean) if mean > 0.0 else MAX_SLICE
    return low if 2 * low <= MAX_SLICE else -1


def refill_size(mean: float, until_ask: int) -> int:
    """Return how many items may wait after a look, beside those of the low mark: as many as there are before
    the next ask is due, and 4 ms of work in any case. `mean`: as above."""
    return max(1, min(MAX_SLICE // 2, max(until_ask, int(REFILL / mean + _ROUNDING))))


@final
class Slice:
    """What one `take` handed out. See the module.

    Attributes:
        items: all of them, in order, less those that were settled.
        waiting: those that have not begun, for the main thread to take from the left.
        failures: the kind and delay of each that failed, put in before the next one begins.
        since: when the one that runs began.
        times: when each that has ended began and ended, put in before the next begins.
        cpu: what the CPU clock of the main thread showed lately.
        low: with so many waiting, or fewer, the main thread asks for a look, once; -1: never.
        added: how many of those that wait were put in behind the others.
        settled: how many were.
    """

    __slots__ = (
        "_cpu_told",
        "_first",
        "_stop",
        "_whole",
        "added",
        "cpu",
        "failures",
        "items",
        "low",
        "settled",
        "since",
        "times",
        "waiting",
    )

    def __init__(self, items: tuple[int, ...], now: float, *, whole: bool) -> None:
        """Hand them out. `whole`: they are a batch, which one call of `process` takes."""
        self.items = items
        self.waiting = deque(() if whole else items[1:])  # the first one begins at once
        self.failures: dict[int, tuple[str, float]] = {}
        self.since = now
        self.times: list[tuple[float, float]] = []
        self.cpu = self._cpu_told = 0.0
        self.low = -1
        self.added = self.settled = 0
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

    @property
    def useful(self) -> float:
        """Seconds of all that have ended and are not settled."""
        return sum([end - start for start, end in self.times])

    @property
    def is_low(self) -> bool:
        """Whether so few wait that more should be put behind them. The main thread asks; see `asked`."""
        return len(self.waiting) <= self.low

    def asked(self) -> None:
        """A look was asked for: that is enough until it has come."""
        self.low = -1

    @property
    def ahead(self) -> int:
        """How many of those that wait were put in behind the others."""
        return min(self.added, len(self.waiting))

    def begin(self, cpu: float) -> None:
        """The main thread begins, when its CPU clock shows this."""
        self.cpu = self._cpu_told = cpu

    def burnt(self) -> float:
        """Return for how many seconds the main thread was on a CPU since this was last asked for."""
        told, self._cpu_told = self._cpu_told, self.cpu
        return self._cpu_told - told

    def extend(self, items: tuple[int, ...]) -> None:
        """Put items behind those that wait."""
        self.items = self.items[: self._stop] + items  # behind the last are those that were cut
        self._stop += len(items)
        self.added = self.ahead + len(items)
        self.waiting.extend(items)

    def settle(self) -> tuple[tuple[int, ...], tuple[int, ...], list[tuple[float, float]]]:
        """Take out those that have finished. Return them, those of them that `finished` has not returned, and
        the times of each."""
        count = 0 if self._whole else self._stop - len(self.waiting) - 1
        ended, self.items = self.items[:count], self.items[count:]
        times = self.times[:count]
        del self.times[:count]
        new = ended[self._first :]
        self._first = max(0, self._first - count)
        self._stop -= count
        self.settled += count
        return ended, new, times

    def cut(self, most: int) -> list[int]:
        """Take back up to so many that have not begun, the youngest first."""
        items: list[int] = []
        ahead = self.ahead
        while len(items) < most:
            try:
                items.append(self.waiting.pop())
            except IndexError:  # the main thread was faster
                break
        self._stop -= len(items)
        self.added = max(0, ahead - len(items))
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
