"""What has ended and was not taken, in the order in which it may be.

Items end in any order, a report of some of them at a time. Where results are wanted in the order of the
source, what ends early waits here for what comes before it (a resequencer, as messaging calls it).

Rules:
1. Numbers are the order: they only grow from one submission to the next, so what is next is the lowest number
   that is expected and has not been released.
2. An item ends once, or is forgotten: it went back to its source and nobody waits for it.
3. Consecutive items of one report stay together. So what is done for each item here is done by C: a report of
   five hundred results is looked at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, final

from pullahead.core.slices import stretches

#: Items that have ended alike, consecutive where there is an order; how; and the payload of each.
End = tuple[tuple[int, ...], str, list[Any]]


@final
class Resequencer:
    """See the module.

    Args:
        ordered: whether there is an order; without one, what has ended can be taken at once.

    Attributes:
        ready: how many items can be taken.
        early: how many have ended and wait for one before them.
    """

    __slots__ = ("_early", "_ends", "_expected", "_ordered", "early", "ready")

    def __init__(self, *, ordered: bool) -> None:
        self.ready = self.early = 0
        self._ordered = ordered
        self._expected: deque[tuple[int, int]] = deque()  # [first, stop) of what was not released, ascending
        self._early: dict[int, End] = {}  # by the first item of each
        self._ends: deque[End] = deque()

    @property
    def any_ready(self) -> bool:
        """Whether there are any that can be taken."""
        return bool(self._ends)

    def expect(self, first: int, count: int) -> None:
        """So many items were submitted, the numbers from `first` on."""
        if not self._ordered or not count:
            return
        if self._expected and self._expected[-1][1] == first:
            self._expected[-1] = self._expected[-1][0], first + count
        else:
            self._expected.append((first, first + count))

    def ended(self, items: tuple[int, ...], state: str, payloads: list[Any]) -> None:
        """A report came: these have ended like this."""
        if not self._ordered:
            self._release((items, state, payloads))
            return
        self.early += len(items)
        if items == tuple(range(items[0], items[0] + len(items))):  # nearly always
            self._early[items[0]] = items, state, payloads
        else:
            start = 0
            for first, count in stretches(items):
                stop = start + count
                self._early[first] = items[start:stop], state, payloads[start:stop]
                start = stop
        self._release_next()

    def forget(self, items: Sequence[int]) -> None:
        """These will not end. It looks at every item that is expected: for rare occasions."""
        gone = set(items)
        kept = [item for first, stop in self._expected for item in range(first, stop) if item not in gone]
        self._expected = deque((first, first + count) for first, count in stretches(tuple(kept)))
        self._release_next()

    def take(self, most: int) -> list[End]:
        """Take up to so many items, in order, as they came together."""
        ends = self._ends
        taken: list[End] = []
        for end in ends:
            if len(end[0]) > most:
                break
            taken.append(end)
            most -= len(end[0])
        whole = len(taken)
        if most and whole < len(ends):
            items, state, payloads = ends[whole]
            taken.append((items[:most], state, payloads[:most]))
            ends[whole] = items[most:], state, payloads[most:]
        for _ in range(whole):
            ends.popleft()
        # Who takes may have been interrupted after any step, and then what it took is lost; it may go on.
        self.ready = self.ready - sum([len(items) for items, _, _ in taken]) if ends else 0
        return taken

    def _release_next(self) -> None:
        expected = self._expected
        while expected:
            first, stop = expected[0]
            end = self._early.pop(first, None)
            if end is None:
                return
            count = len(end[0])
            self.early -= count
            self._release(end)
            if first + count < stop:
                expected[0] = first + count, stop
            else:
                expected.popleft()

    def _release(self, end: End) -> None:
        self.ready += len(end[0])
        self._ends.append(end)
