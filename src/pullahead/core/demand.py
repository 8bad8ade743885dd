"""How many items a worker asks for.

Rules:
1. Held + asked ≤ lookahead + bundle - 1 beyond what is computed now. When nothing is computed, what comes
   next (an item, a slice, a batch) is wanted too: with a lookahead of 0 that is all, so that asking on demand
   needs no rule of its own.
2. The worker asks as soon as a whole bundle is wanted. With a message that goes anyway it asks for less, too,
   unless no other call is out: the grant would answer the only one, and the next one would have to follow at
   once, with the next ask for a few items, and so on.
3. A bundle is at most half of what was ready for each worker when the queue last granted something. Once the
   queue has said that nothing is left, an ask is due only when more is missing than is asked for already: it
   would bring nothing sooner.
4. Who has nothing to compute says so once between two grants, and what it has asked for.
5. With a backlog, a finished result waits for company for a quantum (48 ms); if a bundle is smaller than
   the policy's, for as much less. Without one it waits for three milliseconds, but not for longer than half
   of what is in hand takes: who waits for it may send more before this worker is idle. It does not wait
   where one call takes as long as that.
6. Asks and places are multiples of a batch, where there are batches.
"""

from __future__ import annotations

from typing import Final, final

from pullahead.core import messages as m
from pullahead.core.asks import Asks
from pullahead.core.lookahead import QUANTUM, Lookahead
from pullahead.core.outbox import Outbox

#: Seconds that a finished result waits for company where there is no backlog.
SPARSE: Final = 0.003


@final
class Demand:
    """What is asked for. See the module.

    Attributes:
        asks: those that are out.
        plenty: half of what was ready for each worker at the last grant.
        bundle: how many items travel together: as many as the policy says, if there are plenty.
    """

    __slots__ = ("_batch_size", "_lookahead", "_outbox", "_said_hungry", "asks", "bundle", "plenty")

    def __init__(self, lookahead: Lookahead, outbox: Outbox, batch_size: int) -> None:
        self.asks = Asks()
        self.plenty = 0
        self.bundle = 1
        self._batch_size = batch_size
        self._lookahead = lookahead
        self._outbox = outbox
        self._said_hungry = False

    def granted(self, backlog: int) -> None:
        """Items came. `backlog`: how many are ready for each worker."""
        self.plenty = backlog // 2
        self._said_hungry = False

    def taken_back(self, credits: int) -> None:
        """The queue has taken so many of the asks back."""
        self.asks.taken_back(credits)
        self._said_hungry = False

    def begin_again(self) -> None:
        """The queue is another one: nothing was asked of it."""
        self.asks = Asks()
        self._said_hungry = False

    def places(self, next_up: int) -> int:
        """How many items may be here and on their way, in whole batches, if so many are about to be taken."""
        places = self._lookahead.depth + self.bundle - 1 + next_up
        return places - places % (self._batch_size or 1)

    def missing(self, held: int, next_up: int) -> int:
        """How many items to ask for, when so many are held and so many are about to be taken."""
        return max(0, self.places(next_up) - held - self.asks.total)

    def ask(self, items: int, now: float) -> None:
        """Ask for so many items."""
        self.asks.made(items, now)
        self._outbox.ask(items, now)

    def say_hungry(self, now: float) -> None:
        """There is nothing to compute, and nothing is held."""
        if self.asks.total and not self._said_hungry:
            self._said_hungry = True
            self._outbox.say((m.HUNGRY, self.asks.total), now, urgent=True)

    def is_due(self, wanted: int, *, nothing_left: bool) -> bool:
        """Whether so many are to be asked for now, and not with a message that goes anyway.

        `nothing_left`: the queue has said that nothing unstarted is left.
        """
        return wanted >= self.bundle and not (nothing_left and wanted <= self.asks.total)

    @property
    def are_long(self) -> bool:
        """Whether an exchange is cheap beside what one call of `process` takes."""
        each = self._lookahead.mean_compute * (self._batch_size or 1)
        return self._lookahead.bundle == 1 or (self.bundle == 1 and each >= SPARSE)

    def company(self, in_hand: int) -> float:
        """Seconds that a finished result waits for others at most, while this worker computes.

        `in_hand`: items that are here and have not begun.
        """
        together = QUANTUM * self.bundle / self._lookahead.bundle if self.bundle > 1 else 0.0
        return max(together, min(SPARSE, in_hand * self._lookahead.mean_compute / 2))

    @property
    def is_plenty(self) -> bool:
        """Whether there is a backlog: bundles are as large as the policy says."""
        return self.plenty >= self._lookahead.bundle

    def look_again(self) -> None:
        """The policy or the backlog may have changed."""
        self.bundle = max(1, min(self._lookahead.bundle, self.plenty))
        self._outbox.caller.hurry(0.0 if self.is_plenty else self._lookahead.move)
