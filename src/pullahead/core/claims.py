"""What other queues want of this one: a claim of each whose workers are hungry.

Rules:
1. A claim is what another queue has said last: it wants up to so many items, so many of its workers are
   hungry, and so many it has. 0 items: it wants nothing any more.
2. This queue's own hungry workers come before any claim, and a claim before workers that only look ahead:
   wherever somebody has nothing to compute, that is where an item runs first.
3. Of what is unstarted here, no claim gets more than the share of its workers among all that there are here
   and behind claims. So one answer does not leave this queue's own with nothing.
4. A claim is over with its answer. Whoever gave knows less of the hunger there than the one that has it, and
   would give once more by what is no longer true; that one claims again what it still needs.
5. A claim that nothing more is to come for is told so, once. It stands all the same.
6. Other runs that take from the same live queue, each in a crew of its own, want items as another queue does,
   but only of the run that takes from there. What they get goes back to the source.

Refused: to serve another queue as a worker that holds nothing. It would always be first among those that look
ahead, its share would never shrink, and one claim of many items would drain this queue event by event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(slots=True, eq=False)
class Claim:
    """What one other queue wants.

    Attributes:
        queue: which; negative, and different for each run, if it is none: see rule 6.
        number: its own for this claim, for the answer; or the run.
        credits: how many items.
        hungry: how many of its workers have nothing to compute.
        workers: how many it has.
        told: whether it knows that nothing more is to come.
    """

    queue: int
    number: int
    credits: int
    hungry: int
    workers: int
    told: bool = False

    @property
    def is_elsewhere(self) -> bool:
        """Whether these are workers of other crews; see rule 6."""
        return self.queue < 0


def of_others(run: int, hungry: int, unit: int) -> Claim:
    """Return the claim of so many hungry workers of other crews, for one call each, on what a run has."""
    return Claim(-1 - run, run, hungry * unit, hungry, hungry)


@final
class Claims:
    """All claims, in the order in which they came. See the module.

    Attributes:
        credits, hungry, workers: their sums.
    """

    __slots__ = ("_claims", "credits", "hungry", "workers")

    def __init__(self) -> None:
        self._claims: dict[int, Claim] = {}
        self.credits = self.hungry = self.workers = 0

    def __len__(self) -> int:
        return len(self._claims)

    def said(self, claim: Claim) -> None:
        """Another queue has said what it wants now. It keeps its turn if it had one."""
        before = self._claims.get(claim.queue)
        if before is not None:
            self._count(before, -1)
        if claim.credits:
            self._claims[claim.queue] = claim
            self._count(claim, 1)
        else:
            self._claims.pop(claim.queue, None)

    def first(self) -> Claim | None:
        """Return the claim whose turn it is."""
        return next(iter(self._claims.values()), None)

    def share(self, claim: Claim, unstarted: int, own: int, unit: int) -> int:
        """Return how many items a claim gets at most.

        Args:
            claim: which.
            unstarted: items here that have not begun.
            own: how many workers this queue has, or will have.
            unit: items of a batch.
        """
        share = -(-unstarted * claim.workers // (own + self.workers))
        return min(claim.credits + -claim.credits % unit, share + -share % unit)

    def answered(self, claim: Claim) -> None:
        """A claim was answered: it is over."""
        del self._claims[claim.queue]
        self._count(claim, -1)

    def dismiss(self) -> list[Claim]:
        """Nothing more is to come. Return the claims that are to be told so."""
        untold = [claim for claim in self._claims.values() if not (claim.told or claim.is_elsewhere)]
        for claim in untold:
            claim.told = True
        return untold

    def _count(self, claim: Claim, sign: int) -> None:
        self.credits += sign * claim.credits
        self.hungry += sign * claim.hungry
        self.workers += sign * claim.workers

    def validate(self) -> None:
        """Check the sums; for tests."""
        claims = self._claims.values()
        assert all(claim.credits > 0 for claim in claims)
        assert self.credits == sum(claim.credits for claim in claims)
        assert self.hungry == sum(claim.hungry for claim in claims)
        assert self.workers == sum(claim.workers for claim in claims)
