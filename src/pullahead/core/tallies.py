"""The runs of a caller that has several queues: when each has ended, and who was told that it starves.

No queue knows of all items of a run, so the caller counts. A run has ended when it is closed and as many of
its items have ended as were submitted. Several queues may say that workers wait for items of it; it hears
that once, until it submits some.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(slots=True)
class _Tally:
    open: int = 0  # submitted and not ended
    closed: bool = False
    starves: bool = False  # as it was told since it last submitted


@final
class Tallies:
    """See the module."""

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: dict[int, _Tally] = {}

    def opened(self, run: int) -> None:
        """A run began."""
        self._runs[run] = _Tally()

    def submitted(self, run: int, count: int) -> None:
        """It has submitted so many items."""
        tally = self._runs[run]
        tally.open += count
        tally.starves = False

    def closed(self, run: int) -> bool:
        """It will submit no more. Return whether it has ended, and forget it if so."""
        self._runs[run].closed = True
        return self._is_over(run)

    def ended(self, run: int, count: int) -> bool:
        """So many items of it have ended. Return whether it has, and forget it if so."""
        self._runs[run].open -= count
        return self._is_over(run)

    def starves(self, run: int) -> bool:
        """A queue says that workers wait for items of it. Return whether that is news to it."""
        tally = self._runs.get(run)
        if tally is None or tally.starves:
            return False
        tally.starves = True
        return True

    def _is_over(self, run: int) -> bool:
        tally = self._runs[run]
        if tally.open or not tally.closed:
            return False
        del self._runs[run]
        return True

    def __len__(self) -> int:
        return len(self._runs)
