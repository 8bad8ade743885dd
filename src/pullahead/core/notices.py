"""When the queue tells the caller what has ended.

Every answer to the caller wakes threads there, which take their cores from the workers: with an answer for
each report of a worker, 0.5 ms items spent a twentieth of the machine on it.

Rules:
1. What changes what the caller does goes at once: workers starve, a run has ended, a worker has left.
2. Ended items go at once when they are an eighth of what the caller still has in the system. So who waits
   for one item, or for a few, hears of each at once, and only who streams through many hears in bundles.
3. Otherwise they are collected for a quantum (see `lookahead`), and for as long again if no report comes that
   would take them along.
"""

from __future__ import annotations

from typing import Final, final

from pullahead.core.exchange import AT_ONCE
from pullahead.core.lookahead import QUANTUM

_SHARE: Final = 8


@final
class Notices:
    """Counts what the caller has not been told. See the module."""

    __slots__ = ("_ended", "_since", "_urgent")

    def __init__(self) -> None:
        self._ended = 0
        self._since: float | None = None  # when the oldest of what is untold came
        self._urgent = False

    def ended(self, count: int, now: float) -> None:
        """So many items have ended."""
        self._ended += count
        self.news(now)

    def news(self, now: float, *, urgent: bool = False) -> None:
        """There is something else to tell."""
        self._urgent = self._urgent or urgent
        if self._since is None:
            self._since = now

    def told(self) -> None:
        """The caller was told everything."""
        self._ended = 0
        self._since = None
        self._urgent = False

    def due(self, open_items: int) -> float | None:
        """When to tell, or None if there is nothing to tell.

        Args:
            open_items: how many items have been submitted and have not ended.
        """
        if self._since is None:
            return None
        enough = self._ended and self._ended * _SHARE >= open_items
        return AT_ONCE if self._urgent or enough else self._since + QUANTUM
