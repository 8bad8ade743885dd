"""How long what runs may last before nobody waits behind it any more.

Rules:
1. What has lasted much longer than usual (see `Lookahead.patience`) makes its worker stuck: it asks for
   nothing.
2. It asks again a fetch before what runs may be over (a quarter of those that last so long have ended by
   then), but not before the answer is here: what that brings counts, and by then it is known better what
   runs.
3. From then on it is usual again, until it has lasted much longer once more.
4. What a recall leaves here, because it will begin sooner than it could elsewhere, is waited for just as
   long: a fetch. If it has not begun by then, it goes after all.
5. A slice is looked at when it has lasted for so long beyond what the others in it usually take. One that
   goes on is looked at anyway before these have ended, and then counted from what runs; if its items have
   become slow, after two bundles' time, so that what has ended is reported.
6. With a backlog, what is given back and asked for anew takes time from what computes. There, nothing has
   lasted for too long before 2 ms, and a slice may take twice as long as it should: a usual one is not cut.
   Elsewhere nobody computes less because of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from pullahead.core.lookahead import BUNDLE, Lookahead

#: Seconds. With a backlog nothing has lasted for too long before; moving an item takes some of them.
_LEAST: Final = 0.002
#: Seconds that a look costs. Nowhere has anything lasted for too long before.
_LOOK: Final = 0.00005
#: How many times as long as usual the others of a slice may take, with a backlog.
_LONG: Final = 2
#: Seconds after which a slice that goes on is looked at again in any case: twice those of what waits in it.
#: Its items last longer than they did before.
_SURPRISE: Final = 2 * BUNDLE
#: And so often, at least, while what runs lasts long and keeps others waiting that nobody else could have.
_NOW_AND_THEN: Final = 1.0
#: The share of long items that end sooner than when a stuck worker asks again.
_SOON: Final = 0.25


@final
class Patience:
    """Watches what runs. See the module.

    Attributes:
        kept: items that a recall has left here.
        kept_until: when those that have not begun go after all; None: there are none.
        ends_at: when what runs will have lasted much longer than usual; None: it has, or nobody looks.
        stuck_until: when a stuck worker asks again; None: it is not stuck.
    """

    __slots__ = ("_least", "_lookahead", "ends_at", "kept", "kept_until", "stuck_until")

    def __init__(self, lookahead: Lookahead) -> None:
        self.ends_at: float | None = None
        self.stuck_until: float | None = None
        self.kept: frozenset[int] = frozenset()
        self.kept_until: float | None = None
        self._least = _LOOK  # seconds
        self._lookahead = lookahead

    @property
    def is_stuck(self) -> bool:
        """Whether what runs has lasted much longer than usual, and nothing was asked for since."""
        return self.stuck_until is not None

    def began(self, now: float, others: int, *, backlog: bool) -> None:
        """Something begins: an item, a batch, or the first item of a slice, with so many others behind it."""
        self._least = _LEAST if backlog else _LOOK
        usual = others * self._lookahead.usual
        self.ends_at = now + self._patience + (_LONG * usual if backlog else usual)

    def goes_on(self, since: float, others: int, now: float) -> None:
        """A slice goes on, of which one runs since then, and so many wait behind it."""
        self.ends_at = since + self._patience + others * self._lookahead.usual
        if others:
            self.ends_at = min(self.ends_at, now + _SURPRISE)

    def looks_again(self, since: float, now: float) -> None:
        """What runs since then lasts long, and its worker keeps what waits behind it: look at it now and
        then, because something else may run when it is over."""
        self.ends_at = now + min(_NOW_AND_THEN, max(_SURPRISE, now - since))

    def waits_longer(self, since: float, others: int, now: float) -> None:
        """More were put behind what runs: it need not be looked at sooner than that."""
        if self.is_stuck:
            return
        before = self.ends_at
        self.goes_on(since, others, now)
        if before is not None and self.ends_at is not None:
            self.ends_at = max(before, self.ends_at)

    def ended(self) -> None:
        """It is over."""
        self.ends_at = self.stuck_until = None

    def must_look(self, now: float) -> bool:
        """Whether it is time to look at what runs."""
        return self.ends_at is not None and now >= self.ends_at

    def has_ended(self, since: float, now: float) -> bool:
        """Whether what runs since then has lasted for too long: it may have begun later than its slice."""
        ends_at = since + self._patience
        self.ends_at = ends_at if now < ends_at else None
        return self.ends_at is None

    def stuck(self, since: float, now: float) -> None:
        """Nobody is to wait behind what runs since then."""
        age, fetch = now - since, self._lookahead.usual_fetch
        self.stuck_until = now + max(fetch, self._lookahead.rest(age + fetch, _SOON))

    def asks_again(self, since: float, now: float) -> None:
        """What runs since then may soon be over, if it is time."""
        if self.stuck_until is not None and now >= self.stuck_until:
            self.stuck_until = None
            self.ends_at = since + self._lookahead.patience_after(now - since)

    def keep(self, items: Sequence[int], now: float) -> None:
        """A recall wanted these as well. With others that have stayed, they go when the first of them do."""
        if items:
            until = now + self._lookahead.move
            self.kept_until = until if self.kept_until is None else min(until, self.kept_until)
            self.kept |= frozenset(items)

    def came_anew(self, items: range) -> None:
        """These have just been granted: what a recall wanted of them before is over."""
        if self.kept:
            self.kept -= frozenset(items)

    @property
    def _patience(self) -> float:
        return max(self._least, self._lookahead.patience)

    def overdue(self, now: float) -> frozenset[int]:
        """Return what has been kept for long enough, once."""
        if self.kept_until is None or now < self.kept_until:
            return frozenset()
        overdue, self.kept, self.kept_until = self.kept, frozenset(), None
        return overdue
