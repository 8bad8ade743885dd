"""What happens to an item that failed: a function of numbers, which returns a decision.

A failure has a *kind*: ``error`` (an exception), ``later`` (the work raised `RetryLater`: not its fault,
not charged) or ``reject`` (the work raised `Reject`: never again). An error is charged as one attempt; the
item runs again after a backoff until it has had `retries` attempts beyond the first.

What is not charged and is to wait for LONG need not wait where it is: in a run whose source can have an item
come again later, it goes back there, and makes room for others.

The backoff doubles from `base` up to `cap` and is multiplied by 0.5 + jitter, so that items which failed
together do not come back together. The random number is given by the caller: a run can be replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

ERROR: Final = "error"
LATER: Final = "later"
REJECT: Final = "reject"

#: Seconds from which on waiting elsewhere is worth the way there and back.
LONG: Final = 1.0

#: Beyond any cap, and below 1024, where the power of two is no longer a float.
_MOST_DOUBLINGS: Final = 64


@final
@dataclass(frozen=True, slots=True)
class Again:
    """Run the item again, `delay` seconds from now. `charged`: it used up an attempt."""

    delay: float
    charged: bool

    @property
    def may_wait_elsewhere(self) -> bool:
        """Whether nothing need be remembered of this failure, for so long that it pays."""
        return not self.charged and self.delay >= LONG


@final
@dataclass(frozen=True, slots=True)
class Bury:
    """The item has failed for good."""


@final
@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon.

    Args:
        retries: attempts beyond the first, at least 0.
        base: seconds before the first retry.
        cap: the longest backoff in seconds, before jitter.
    """

    retries: int = 0
    base: float = 0.1
    cap: float = 30.0

    def decide(self, attempts: int, kind: str, delay: float, jitter: float) -> Again | Bury:
        """Decide about an item that has just failed.

        Args:
            attempts: how often it had been charged before this failure.
            kind: ERROR, LATER or REJECT.
            delay: for LATER, the seconds that the work asked for.
            jitter: a number from 0 to 1.
        """
        if kind == LATER:
            return Again(max(0.0, delay), charged=False)
        if kind == REJECT or attempts >= self.retries:
            return Bury()
        doubled = self.base * 2.0 ** min(attempts, _MOST_DOUBLINGS)
        return Again(min(self.cap, doubled) * (0.5 + jitter), charged=True)
