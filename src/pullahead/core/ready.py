"""The items that are ready: ranges of numbers, the lowest first.

Numbers are the order, so an item that comes back takes its old place by itself, and joins its neighbours: a
hundred thousand submitted items are one entry, and what came back one by one is granted as one again.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Final, final

#: Old entries that may stand in the heap for each one that counts, before it is built anew.
_SLACK: Final = 4


@final
class Ready:
    """Disjoint ranges [first, stop), each of one run. Every operation costs O(log ranges)."""

    __slots__ = ("_low", "_ranges", "_starts", "count")

    def __init__(self) -> None:
        self.count = 0
        self._ranges: dict[int, tuple[int, int]] = {}  # first -> (stop, run)
        self._starts: dict[int, int] = {}  # stop -> first
        self._low: list[int] = []  # a heap of firsts, which forgets lazily

    def put(self, first: int, stop: int, run: int) -> None:
        """Items are ready."""
        self.count += stop - first
        before = self._starts.get(first)
        if before is not None and self._ranges[before][1] == run:
            del self._starts[first]
            first = before
        after = self._ranges.get(stop)
        if after is not None and after[1] == run:
            del self._ranges[stop], self._starts[after[0]]
            stop = after[0]
        self._enter(first, stop, run)

    def take_oldest(self, most: int) -> tuple[int, int, int]:
        """Take up to so many consecutive items of one run. Returns (first, count, run)."""
        while self._low[0] not in self._ranges:
            heappop(self._low)
        first = self._low[0]
        return first, *self._take_from(first, most)

    def take_oldest_of(self, run: int, most: int) -> tuple[int, int] | None:
        """Take up to so many consecutive items of this run; None: none is ready. It looks at every range.

        Returns (first, count).
        """
        first = min((first for first, (_, owner) in self._ranges.items() if owner == run), default=None)
        if first is None:
            return None
        return first, self._take_from(first, most)[0]

    def take(self, item: int) -> int | None:
        """Take one item. Returns its run; None if it is not ready. It looks at every range."""
        first = next((first for first, (stop, _) in self._ranges.items() if first <= item < stop), None)
        if first is None:
            return None
        stop, run = self._ranges[first]
        del self._ranges[first], self._starts[stop]
        if first < item:
            self._enter(first, item, run)
        if item + 1 < stop:
            self._enter(item + 1, stop, run)
        self.count -= 1
        return run

    def take_run(self, run: int) -> list[tuple[int, int]]:
        """Take everything of a run. Returns its ranges, in order. It looks at every range."""
        ranges = sorted((first, stop) for first, (stop, owner) in self._ranges.items() if owner == run)
        for first, stop in ranges:
            del self._ranges[first], self._starts[stop]
            self.count -= stop - first
        return ranges

    def ranges(self) -> list[tuple[int, int, int]]:
        """Return all entries, (first, stop, run), in any order."""
        return [(first, stop, run) for first, (stop, run) in self._ranges.items()]

    def validate(self) -> None:
        """Check every index against every other; for tests."""
        assert self._starts == {stop: first for first, (stop, _) in self._ranges.items()}
        assert self.count == sum(stop - first for first, (stop, _) in self._ranges.items())
        assert set(self._ranges) <= set(self._low)

    def _take_from(self, first: int, most: int) -> tuple[int, int]:
        """Take up to so many items from the left end of a range. Returns (count, run)."""
        stop, run = self._ranges.pop(first)
        count = min(most, stop - first)
        if first + count < stop:
            self._enter(first + count, stop, run)
        else:
            del self._starts[stop]
        self.count -= count
        return count, run

    def _enter(self, first: int, stop: int, run: int) -> None:
        known = first in self._ranges
        self._ranges[first] = stop, run
        self._starts[stop] = first
        if known:
            return
        heappush(self._low, first)
        if len(self._low) > _SLACK * (len(self._ranges) + _SLACK):
            self._low = list(self._ranges)
            heapify(self._low)


def ranges_of(items: tuple[int, ...]) -> list[tuple[int, int]]:
    """Cut numbers into ascending [first, stop) ranges."""
    ranges: list[tuple[int, int]] = []
    for item in sorted(items):
        if ranges and ranges[-1][1] == item:
            ranges[-1] = (ranges[-1][0], item + 1)
        else:
            ranges.append((item, item + 1))
    return ranges
