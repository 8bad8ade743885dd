"""How many items the caller may have in the system: submitted and not yet consumed.

The window is what keeps an endless source from growing memory: the source is read only while there is room,
and an item leaves the window when the user has taken its result. It must still be wide enough that the
queue never runs dry while the caller could have sent more, and how wide that is depends on the caller's
round trip and on the items: so it is found, not set.

Rules:
1. It starts at a few items per worker.
2. Room is made known by the quarter: whoever fills it is woken once for many items, not once for each. While
   workers starve, any room counts.
3. It grows fourfold when the queue starved while it was full, and there was no result that the user's loop
   could have taken, or it had been waiting for one since items were last submitted: then the window, and
   nobody else, kept the workers from working. (Results and the news that workers starve come in one message,
   so what the loop has not taken at that moment says nothing by itself.)
4. It stays when the user's loop is the slow one (there were always results for it): more items in the system
   would only be more memory.
5. It never shrinks below what the workers hold, because it never shrinks; `limit` bounds it.
6. Large items, and large results that were not taken, are bounded by their bytes as well, as far as the mean
   of what is inside tells, but never below what keeps the workers busy. (What a result weighs is known when
   it is here: if the loop stops, what has been submitted by then still comes.) The first item, or
   batch, comes alone: before it, nobody knows what one weighs.
7. Where others want the same items (a live queue), nobody hoards: then it is what the workers look ahead, for
   reasons of their own, with what they run and what is on its way; and what the crew ends within a moment, at
   the pace of its latest items. It shrinks again, and rules 1, 3 and 5 do not hold.
"""

from __future__ import annotations

from typing import Final, final

#: Items. At 1 KB each this is 64 MB at most, and 0.2 s of work for the tiniest items.
LIMIT: Final = 65536
#: With results in order, one slow item holds back all that come after it: bound how many can wait for it.
ORDERED_LIMIT: Final = 32768

#: Bytes for each worker, in terms of what it may hold: as much again is what it computes and has computed.
BUDGETS: Final = 2

_PER_WORKER: Final = 8  # running, in hand, asked for, on their way from and to the caller
_BUSY: Final = 3  # running, in hand, on its way
_LEAST: Final = 2  # running, in hand
#: Seconds of work that is fetched ahead where others want it, too: more than a trip to a server takes.
SOON: Final = 0.1
_SHARE: Final = 4
#: How many times as large it becomes. Each step takes a trip in which workers wait, and there are four to
#: thousands of tiny items.
_GROWTH: Final = 4


@final
class Window:
    """Counts what is in the system and says how much more may come.

    Args:
        workers: how many there are; where they come and go, how many there may be: they come for what waits.
        unit: how many items one call of `process` takes.
        limit: the most items, if the workers can be busy with them.
        bytes_limit: the most bytes, likewise.
        store: bytes of the memory that large items are kept in, if that is bounded: half of it is for these.
        shared: whether others take from the same source, see rule 7.
    """

    __slots__ = (
        "_bounds",
        "_bytes",
        "_each",
        "_has_waited",
        "_limit",
        "_shared",
        "_starving",
        "_unit",
        "_waits",
        "inside",
        "size",
    )

    def __init__(
        self,
        workers: int,
        unit: int = 1,
        limit: int = LIMIT,
        bytes_limit: int = 1 << 60,
        store: int | None = None,
        shared: bool = False,
    ) -> None:
        self.size = (_BUSY if shared else _PER_WORKER) * workers * unit
        self._shared = self.size if shared else 0  # the size that any pace allows for; 0: nobody shares
        self._limit = max(limit, self.size)
        self._unit = unit
        # Bytes that may be inside, and items that may be there however many bytes they have.
        self._bounds = [(bytes_limit, _BUSY * workers * unit)]
        if store is not None:
            self._bounds.append((store // 2, _LEAST * workers * unit))
        self._bytes = 0
        self._each: float | None = None  # bytes, the mean of what is inside; None: nothing ever was
        self._starving = False  # since items were last submitted
        self._waits = self._has_waited = False  # the user's loop; since items were last submitted
        self.inside = 0

    @property
    def room(self) -> int:
        """How many items may be submitted now."""
        if self._each is None:
            return self._unit
        most = self._most
        free = max(0, most - self.inside)
        return free if self._starving or _SHARE * free >= most else 0

    @property
    def is_starving(self) -> bool:
        """Whether workers wait for items, and none were submitted since they said so."""
        return self._starving

    @property
    def _most(self) -> int:
        """How many items may be inside, as heavy as they are."""
        if not self._each:
            return self.size
        each = self._each
        return min(self.size, *(max(least, int(size / each)) for size, least in self._bounds))

    def submitted(self, count: int, size: int = 0) -> None:
        """So many items were submitted, of so many bytes together."""
        self.inside += count
        self._starving = False
        self._has_waited = self._waits
        self.weighs(size)

    def waits(self, waits: bool) -> None:
        """The user's loop begins to wait for a result, or no longer does."""
        self._waits = waits
        self._has_waited = self._has_waited or waits

    def consumed(self, count: int, size: int = 0) -> None:
        """The user took results, or items ended that nobody will take, of so many bytes together."""
        self.inside -= count
        self.weighs(-size)

    def weighs(self, more: int) -> None:
        """What is inside weighs so many bytes more: results came in the place of their items."""
        self._bytes += more
        if self.inside:
            self._each = self._bytes / self.inside

    def paced(self, per_second: float, lookahead: int = 0) -> None:
        """Where the crew shares: what it can start soon may be inside.

        Args:
            per_second: items that it ends.
            lookahead: items that all its workers together want beyond those that they run.
        """
        if self._shared:
            wanted = self._shared * _LEAST // _BUSY + lookahead
            self.size = min(self._limit, max(self._shared, wanted) + int(SOON * per_second))

    def starved(self, unread: int) -> bool:
        """Workers wait for items, which is said once until items come. Return True if there is room now.

        Args:
            unread: results that the user's loop could take at once.
        """
        is_full = not self.room
        self._starving = True
        loop_waits = self._has_waited or not unread
        if is_full and loop_waits and not self._shared and self._most == self.size:
            self.size = min(self._limit, self.size * _GROWTH)
        return self.room > 0
