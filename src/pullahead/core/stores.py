"""The stores of one worker: those that are under way, and those that have failed and may be tried again.

Rules:
1. A result is kept until it is stored, or its item has failed for good: a failed store is tried again alone,
   without computing again.
2. Whether it is tried again, and when, is the queue's to say: it counts the attempts.
3. Results must not pile up without bound: at `MOST`, what waits for another try among them, nothing new is
   computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Final, final

#: Results that may be here and not stored before nothing new is computed.
MOST: Final = 64


@final
class Stores:
    """Items that are computed and not stored. See the module."""

    __slots__ = ("_due", "_failed", "_under_way")

    def __init__(self) -> None:
        self._under_way: dict[int, float] = {}  # since when
        self._failed: set[int] = set()  # they wait for the queue's decision, or for their time
        # A heap. An entry of an item that was forgotten means nothing.
        self._due: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._under_way) + len(self._failed)

    def __iter__(self) -> Iterator[int]:
        return iter([*self._under_way, *self._failed])

    def begin(self, item: int, now: float) -> None:
        """The store of an item begins."""
        self._under_way[item] = now

    def ended(self, item: int) -> float:
        """It is over, well or not. Return since when it was under way."""
        return self._under_way.pop(item)

    def failed(self, item: int) -> None:
        """It was not well: what becomes of the item is to be heard."""
        self._failed.add(item)

    def waits(self, item: int) -> bool:
        """Say whether an item's store has failed and was not begun again."""
        return item in self._failed

    def again(self, item: int, due: float) -> None:
        """The item is to be stored once more, when it is due."""
        if item in self._failed:
            heappush(self._due, (due, item))

    def forget(self, item: int) -> None:
        """The item has failed for good."""
        self._failed.discard(item)

    def fall_due(self, now: float) -> list[int]:
        """Begin the stores that are due. Return their items."""
        begun: list[int] = []
        while self._due and self._due[0][0] <= now:
            _, item = heappop(self._due)
            if item in self._failed:
                self._failed.remove(item)
                self._under_way[item] = now
                begun.append(item)
        return begun

    @property
    def due(self) -> float | None:
        """When the next one is tried again."""
        return self._due[0][0] if self._due else None
