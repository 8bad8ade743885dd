"""At which pace items end, by the latest of them: how many a crew can start soon."""

from __future__ import annotations

from collections import deque
from typing import Final, final

#: Reports that say something about the pace of now: those of a few items each are over within a second.
_RECENT: Final = 64
#: Seconds, at least, of which a pace is told: reports that come at once say nothing.
_SPAN: Final = 0.02
#: Below that, two reports that came together would look like a thousand items per second.
_LEAST: Final = 8


@final
class Pace:
    """Items per second."""

    __slots__ = ("_ends", "_items")

    def __init__(self) -> None:
        self._ends: deque[tuple[float, int]] = deque()
        self._items = 0

    def ended(self, count: int, now: float) -> None:
        """So many items have ended."""
        self._ends.append((now, count))
        self._items += count
        if len(self._ends) > _RECENT:
            self._items -= self._ends.popleft()[1]

    @property
    def per_second(self) -> float:
        """Items that end in a second; 0 while too few have ended to tell."""
        if len(self._ends) < _LEAST:
            return 0.0
        (first, before), (last, _) = self._ends[0], self._ends[-1]
        return (self._items - before) / max(_SPAN, last - first) if last > first else 0.0
