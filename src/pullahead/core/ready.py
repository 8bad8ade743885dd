"""The items that are ready: ranges of numbers, the lowest first.

Numbers are the order, so an item that comes back takes its old place by itself. A hundred thousand submitted
items are one entry.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import final


@final
class Ready:
    """A heap of ranges [first, stop), each of one run."""

    __slots__ = ("_heap", "count")

    def __init__(self) -> None:
        self.count = 0
        self._heap: list[tuple[int, int, int]] = []  # (first, stop, run)

    def put(self, first: int, stop: int, run: int) -> None:
        """Items are ready."""
        heappush(self._heap, (first, stop, run))
        self.count += stop - first

    def take_oldest(self, most: int) -> tuple[int, int, int]:
        """Take up to so many consecutive items of one run. Returns (first, count, run)."""
        first, stop, run = heappop(self._heap)
        count = min(most, stop - first)
        if first + count < stop:
            heappush(self._heap, (first + count, stop, run))
        self.count -= count
        return first, count, run

    def take_youngest(self, most: int, above: int) -> tuple[int, int, int]:
        """The same, from the other end, and only items beyond `above`; the count may be 0.

        It looks at every range: for rare occasions.
        """
        index = max(range(len(self._heap)), key=self._heap.__getitem__)
        first, stop, run = self._heap[index]
        count = min(most, stop - max(first, above + 1))
        if count <= 0:
            return stop, 0, run
        if count < stop - first:
            self._heap[index] = (first, stop - count, run)  # its first is what the heap is ordered by
        else:
            self._heap[index] = self._heap[-1]
            self._heap.pop()
            heapify(self._heap)
        self.count -= count
        return stop - count, count, run

    def take_run(self, run: int) -> list[tuple[int, int]]:
        """Take everything of a run. Returns its ranges, in order."""
        ranges = sorted((first, stop) for first, stop, owner in self._heap if owner == run)
        self._heap = [entry for entry in self._heap if entry[2] != run]
        heapify(self._heap)
        self.count -= sum(stop - first for first, stop in ranges)
        return ranges

    def ranges(self) -> list[tuple[int, int, int]]:
        """Return all entries, (first, stop, run), in any order."""
        return list(self._heap)


def ranges_of(items: tuple[int, ...]) -> list[tuple[int, int]]:
    """Cut numbers into ascending [first, stop) ranges."""
    ranges: list[tuple[int, int]] = []
    for item in sorted(items):
        if ranges and ranges[-1][1] == item:
            ranges[-1] = (ranges[-1][0], item + 1)
        else:
            ranges.append((item, item + 1))
    return ranges
