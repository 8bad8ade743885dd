"""When a worker that died is replaced, and when there is no use in replacing any more.

A worker that dies once may have had bad luck, or a bad item. Where workers die again and again and no item
ends, replacing mends nothing, and each time the work is imported and built for it.

Rules:
1. The first death of a lane (a place for a worker) is answered at once.
2. Each further death in a row waits: 0.1 s, 0.2 s, and so on, doubling, at most 5 s. In a row means that no
   worker has finished an item in between, on any lane. (An item that ends because its worker died is not
   finished.)
3. Five deaths in a row on every lane that has a worker are enough: nothing is replaced any more.
4. A death that charges only items which have cost a worker its life before does not count: it is their doing,
   and their attempts come to an end. Nor does it count if a worker was killed for what its item did.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, final

#: Deaths in a row, on every lane, after which nothing is replaced any more.
MOST: Final = 5
#: Seconds before the second replacement in a row, and at most.
_BASE: Final = 0.1
_CAP: Final = 5.0
_MOST_DOUBLINGS: Final = 10


@final
class Replacements:
    """Counts deaths by lane. See the module.

    Args:
        lanes: how many have a worker at first, from 0.

    Attributes:
        deaths: how many there were in a row, on all lanes together.
    """

    __slots__ = ("_in_a_row", "_suspects", "deaths")

    def __init__(self, lanes: int) -> None:
        self._in_a_row = dict.fromkeys(range(lanes), 0)
        self._suspects: set[int] = set()  # items that were charged for a death, and have not ended
        self.deaths = 0

    def opened(self, lane: int) -> None:
        """A lane has a worker."""
        self._in_a_row.setdefault(lane, 0)

    def closed(self, lane: int) -> None:
        """A lane has no worker any more, and needs none."""
        self._in_a_row.pop(lane, None)

    def finished(self) -> None:
        """A worker has finished an item, well or not."""
        if self.deaths:
            self.deaths = 0
            self._in_a_row = dict.fromkeys(self._in_a_row, 0)

    def ended(self, items: Iterable[int]) -> None:
        """These items have ended, in whatever way."""
        if self._suspects:
            self._suspects.difference_update(items)

    def died(self, lane: int, charged: Collection[int], *, killed: bool = False) -> float | None:
        """The worker of a lane has died. Return after how many seconds to replace it; None: do not.

        Args:
            lane: which one.
            charged: the items that it ran, as far as they are known.
            killed: whether it was killed for what these did.
        """
        is_new = not charged or not self._suspects.issuperset(charged)
        self._suspects.update(charged)
        if killed or not is_new:
            return 0.0
        before = self._in_a_row.get(lane, 0)
        self._in_a_row[lane] = before + 1
        self.deaths += 1
        if min(self._in_a_row.values()) >= MOST:
            return None
        return min(_CAP, _BASE * 2.0 ** min(before - 1, _MOST_DOUBLINGS)) if before else 0.0
