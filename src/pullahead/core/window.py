"""How many items the caller may have in the system: submitted and not yet consumed.

The window is what keeps an endless source from growing memory: the source is read only while there is room,
and an item leaves the window when the user has taken its result. It must still be wide enough that the
queue never runs dry while the caller could have sent more, and how wide that is depends on the caller's
round trip and on the items: so it is found, not set.

Rules:
1. It starts at a few items per worker.
2. Room is made known by the quarter: whoever fills it is woken once for many items, not once for each. While
   workers starve, any room counts.
3. It doubles when the queue starved although the user's loop was waiting for results: then the window, and
   nobody else, kept the workers from working.
4. It stays when the user's loop is the slow one (finished results wait for it): more items in the system
   would only be more memory.
5. It never shrinks below what the workers hold, because it never shrinks; `limit` bounds it.
"""

from __future__ import annotations

from typing import Final, final

#: Items. At 1 KB each this is 64 MB at most, and 0.2 s of work for the tiniest items.
LIMIT: Final = 65536
#: With results in order, one slow item holds back all that come after it: bound how many can wait for it.
ORDERED_LIMIT: Final = 8192

_PER_WORKER: Final = 8  # running, in hand, asked for, on their way from and to the caller
_SHARE: Final = 4


@final
class Window:
    """Counts what is in the system and says how much more may come."""

    __slots__ = ("_limit", "_starving", "inside", "size")

    def __init__(self, workers: int, unit: int = 1, limit: int = LIMIT) -> None:
        self.size = _PER_WORKER * workers * unit
        self._limit = max(limit, self.size)
        self._starving = False  # since items were last submitted
        self.inside = 0

    @property
    def room(self) -> int:
        """How many items may be submitted now."""
        free = max(0, self.size - self.inside)
        return free if self._starving or _SHARE * free >= self.size else 0

    def submitted(self, count: int) -> None:
        self.inside += count
        self._starving = False

    def consumed(self, count: int) -> None:
        """The user took results, or items ended that nobody will take."""
        self.inside -= count

    def starved(self, unread: int) -> bool:
        """Workers wait for items, which is said once until items come. Return True if there is room now.

        Args:
            unread: results that the user's loop could take at once.
        """
        self._starving = True
        if not (self.room or unread):
            self.size = min(self._limit, self.size * 2)
        return self.room > 0
