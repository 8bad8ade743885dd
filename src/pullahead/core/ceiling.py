"""How deep an automatic lookahead may go against a source that nobody knows: as deep as pays.

A fetch that waits for work to exist looks like a slow one, and depth against an empty queue is only a pile of
requests that takes the next items away from other workers. Trying tells the two apart: against slow answers,
twice the lookahead halves the time stalled per item; against a slow source it changes nothing.

Rules:
1. While the policy wants more than the limit, the limit doubles as long as the last doubling cut the stalls
   to `_PAYS` or less.
2. A doubling that did not is taken back. From then on the limit tries half and double in turn, `_REST` items
   apart: what once looked like a gain may have been chance, and sources change.
3. Half stays unless the larger limit had cut the stalls to `_PAYS` or less.
4. Stalls are compared per item over rounds that begin behind one stall and end with another, because they
   come once per `limit` items when answers are slow. Without stalls there is nothing to change.
"""

from __future__ import annotations

from typing import Final, final

#: Items. Each one that waits here is one that no other worker can run. RabbitMQ's guide advises 100–300.
MAX_AHEAD: Final = 256
#: Items. As deep as it goes without proof: four computes cover most round trips, and four requests at an
#: empty queue do little harm.
FREE_AHEAD: Final = 4

_PAYS: Final = 0.75  # twice the depth should halve the stalls; noise may eat half of that gain
_ROUND: Final = 8  # items: stalls are compared as means over at least so many
_REST: Final = 128  # items until a depth that did not pay is tried again: sources change, but not that fast


@final
class Ceiling:
    """The limit. Feed it each item's stall; read `limit` and `refused`."""

    __slots__ = ("_before", "_count", "_down", "_from", "_seconds", "_skip", "limit", "refused")

    def __init__(self, limit: int = FREE_AHEAD) -> None:
        self.limit = limit
        self.refused = False  # the last doubling did not pay
        self._from = limit  # the limit before the one that is being tried, the same if none is
        self._before = 0.0  # the stall per item under it, in seconds
        self._down = False  # try half next
        self._skip = 0  # items until the next round: they were asked for under another limit, or it rests
        self._count = -1  # items in this round, -1 until the stall that it begins behind
        self._seconds = 0.0

    def yielded(self, stalled: float, wanted: int) -> None:
        """One more item, after so many seconds of stall; the policy would like this depth."""
        if wanted <= self.limit:
            self._from, self._count, self._down, self.refused = self.limit, -1, False, False
        elif self._skip > 0:
            self._skip -= 1
        elif self._count >= 0:
            self._count += 1
            self._seconds += stalled
            if stalled > 0.0 and self._count >= max(_ROUND, self.limit):
                self._judge(self._seconds / self._count)
                self._count = -1
        elif stalled > 0.0:
            self._count, self._seconds = 0, 0.0

    def _judge(self, mean: float) -> None:
        """A round is over, with so many seconds of stall per item."""
        doubled, halved = self.limit > self._from, self.limit < self._from
        if doubled and mean > _PAYS * self._before:
            self.limit, self.refused, self._down, self._skip = self._from, True, True, _REST
        elif halved:
            if mean * _PAYS > self._before:  # that was too shallow
                self.limit, self._down = self._from, False
            self._from, self._skip = self.limit, _REST
        else:
            self._from, self._before, self._skip = self.limit, mean, self.limit
            if self._down and self.limit > FREE_AHEAD:
                self.limit //= 2
            else:
                self.limit = min(2 * self.limit, MAX_AHEAD)
                self.refused = self.refused and not doubled
