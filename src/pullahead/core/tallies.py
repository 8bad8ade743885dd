"""The runs of a caller that has several queues: when each has ended, and who was told that it starves.

No queue knows of all items of a run, so the caller counts. A run has ended when it is closed and as many of
its items have ended as were submitted. It hears that workers wait for its items when the first queue says it,
and after that once for each time that it has submitted some and not to all queues where they wait.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import final


@final
@dataclass(slots=True)
class _Tally:
    open: int = 0  # submitted and not ended
    closed: bool = False
    starving: set[int] = field(default_factory=set)  # queues that said so, and have not been given any


@final
class Tallies:
    """See the module."""

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: dict[int, _Tally] = {}

    def opened(self, run: int) -> None:
        """A run began."""
        self._runs[run] = _Tally()

    def submitted(self, run: int, count: int, queues: Collection[int]) -> bool:
        """It has submitted so many items, which go to these queues. Return whether workers wait in others."""
        tally = self._runs[run]
        tally.open += count
        tally.starving.difference_update(queues)
        return bool(tally.starving)

    def went(self, queue: int) -> None:
        """Another queue has given this one some items."""
        for tally in self._runs.values():
            tally.starving.discard(queue)

    def closed(self, run: int) -> bool:
        """It will submit no more. Return whether it has ended, and forget it if so."""
        self._runs[run].closed = True
        return self._is_over(run)

    def ended(self, run: int, count: int) -> bool:
        """So many items of it have ended. Return whether it has, and forget it if so."""
        self._runs[run].open -= count
        return self._is_over(run)

    def starves(self, run: int, queue: int) -> bool:
        """A queue says that workers wait for items of it. Return whether that is news to it."""
        tally = self._runs.get(run)
        if tally is None:
            return False
        is_news = not tally.starving
        tally.starving.add(queue)
        return is_news

    def _is_over(self, run: int) -> bool:
        tally = self._runs[run]
        if tally.open or not tally.closed:
            return False
        del self._runs[run]
        return True

    def __len__(self) -> int:
        return len(self._runs)
