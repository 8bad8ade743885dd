"""How things stand at the queue, and when that is told to a caller that decides how many workers there are.

Rules:
1. Only what has changed is told, and four times a second at most: decisions take half a second and more, and
   what is told of every worker costs as many steps.
2. Something may have changed after every event. The last change is told, too, however long nothing follows.
3. Seconds that have passed are told, not moments: the caller may have another clock.
"""

from __future__ import annotations

from typing import Final, NamedTuple, final

from pullahead.core import messages as m

#: Seconds between two times.
EVERY: Final = 0.25


class Standing(NamedTuple):
    """How things are.

    Attributes:
        unstarted: items that have not begun, ready or held.
        pace: seconds that a worker takes for an item, 0.0 if none has ended.
        since: since when something has been ready that nobody could take; None: nothing is.
        idle: the workers that hold nothing, and since when.
        is_over: whether nothing more is to come, and everything has begun.
    """

    unstarted: int
    pace: float
    since: float | None
    idle: tuple[tuple[int, float], ...]
    is_over: bool


@final
class Bulletins:
    """When to tell, and what. See the module.

    Attributes:
        due: when to look, or None: nothing has happened since the last time.
    """

    __slots__ = ("_next", "_told", "due")

    def __init__(self) -> None:
        self.due: float | None = None
        self._next = 0.0
        self._told: Standing | None = None

    def happened(self) -> None:
        """Something has."""
        self.due = self._next

    def take(self, standing: Standing, now: float) -> m.Message | None:
        """Return what to tell, if that is news."""
        self.due = None
        self._next = now + EVERY
        if standing == self._told:
            return None
        self._told = standing
        lasted = 0.0 if standing.since is None else max(now - standing.since, _MOMENT)
        idle = tuple((worker, now - since) for worker, since in standing.idle)
        return m.STANDING, standing.unstarted, standing.pace, lasted, idle, standing.is_over


#: Seconds: what has just begun has lasted for longer than nothing.
_MOMENT: Final = 1e-9
