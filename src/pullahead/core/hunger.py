"""Hunger that is told to others, and heard of them: runs that take from one live queue, each for itself.

Rules:
1. Who has workers with nothing to compute, and finds nothing to take, says so; again after SAY seconds, for
   as long as that is so. Nobody is asked for an answer.
2. Hunger of which nothing was heard for HEARD seconds is over: who was hungry has something, or is dead.
3. What is heard is news once, and once more for those who are left when something was given for it: with that
   a claim is over (see `claims`), however many it was of. Who is still hungry says so again anyway.
4. Several queues have a claim each, on a part of it. What one gives ends its own, and the others stand: so
   there who is left is no news, or all of them would give for it once more.
"""

from __future__ import annotations

from typing import Final, final

#: Seconds between two notices: what is given back is there within one.
SAY: Final = 0.5
#: Seconds that a notice holds: two of them, and a trip.
HEARD: Final = 1.25
#: Seconds until a notice is heard by who is busy with other things: a run looks so often.
HEED: Final = 0.2


@final
class Hunger:
    """See the module.

    Args:
        queues: how many are told what was heard.
    """

    __slots__ = ("_hungry", "_news", "_queues", "_said", "_until")

    def __init__(self, queues: int = 1) -> None:
        self._queues = queues
        self._said = float("-inf")
        self._hungry = 0  # workers of others
        self._news = False
        self._until: float | None = None  # None: nobody is hungry

    def may_say(self, now: float) -> bool:
        """Whether it is time to say that we are hungry; then it counts as said."""
        if now - self._said < SAY:
            return False
        self._said = now
        return True

    def heard(self, workers: int, now: float) -> None:
        """So many workers of others have nothing to compute. 0: nothing was heard."""
        if workers:
            self._hungry, self._news, self._until = workers, True, now + HEARD

    def gave(self, items: int) -> None:
        """So many items went back, for those who are hungry if anybody is."""
        if self._hungry:
            self._hungry = max(0, self._hungry - items)
            self._news = self._hungry > 0 and self._queues == 1

    def news(self, now: float) -> int | None:
        """Return how many workers of others are hungry, if that is news; 0: none any more."""
        if self._until is not None and now >= self._until:
            self._hungry, self._news, self._until = 0, True, None
        if not self._news:
            return None
        self._news = False
        return self._hungry
