"""The asks that are out: how many items are still to come, and when they were asked for.

The time of an ask says how long a fetch takes, but only its first answer does: what comes later came late
because it did not exist yet. So a partly answered ask goes on without its time.
"""

from __future__ import annotations

from collections import deque
from typing import final


@final
class Asks:
    """Counts credits, oldest first."""

    __slots__ = ("_open", "total")

    def __init__(self) -> None:
        self.total = 0
        self._open: deque[tuple[float | None, int]] = deque()

    def made(self, credits: int, now: float) -> None:
        """So many items were asked for."""
        self.total += credits
        self._open.append((now, credits))

    def answered(self, items: int) -> float | None:
        """So many items came. Return when the oldest ask was made, unless an answer to it had come before."""
        asked = self._open[0][0] if self._open else None
        while items and self._open:
            _, credits = self._open.popleft()
            come = min(credits, items)
            if come < credits:
                self._open.appendleft((None, credits - come))
            items -= come
            self.total -= come
        return asked

    def paused(self) -> None:
        """There is nothing to come for now: how long that lasts says nothing about a fetch."""
        self._open = deque((None, credits) for _, credits in self._open)

    def taken_back(self, credits: int) -> None:
        """So many of the oldest will not be answered: those that had come to the queue."""
        self.total -= credits
        while credits:
            asked, size = self._open.popleft()
            if size > credits:
                self._open.appendleft((asked, size - credits))
            credits -= min(size, credits)

    def validate(self) -> None:
        """Check the sum; for tests."""
        assert sum(credits for _, credits in self._open) == self.total
