"""The other queues, and what this one wants of them: when it asks, whom, and for how much.

Rules:
1. A queue is *short* when workers of its own are hungry, nothing is ready, and what is on its way back from
   others of its workers is not for all of them.
2. It asks once it has been short for a trip: most hunger is over by then, and costs no message. It takes back
   what it asked for once it has not been short for eight: where some are hungry, some soon are again, and
   what comes meanwhile is there in time for them.
3. It asks every other queue, for its part of what is missing each. These *claims* stand there until they are
   answered: whoever has something later gives it then, and nobody asks twice. (See `claims` for how they are
   answered.)
4. Who gave some and says that it has more is asked for all that is missing, as far as it has that.
5. Once nothing more is to come, each says so. Only when all have do this queue's workers wait in vain.

How it works. A mood, in the table below, moves with every look: short, or not. Two moods last for their time
and ripen then. A claim has a number, which grows: an answer to an earlier one does not touch what stands,
so that nothing needs to be acknowledged, and taking back costs one message. (Of what answers it after that,
the items are this queue's all the same.)

Prior art: work stealing, where an idle processor tries victims at random until one has something. Here a
try would be two messages, and idle are many for as long as the load is below what they can do. What stands
costs nothing.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple, final

from pullahead.errors import ProtocolError

#: Seconds. No hunger is looked at for less: an ask and its taking back cost a queue some tenths of it.
_LEAST: Final = 0.001
#: Trips. With one, 16 workers on 4 queues that have 60 % of what they can do exchanged 0.8 messages per item
#: between the queues; with eight, 0.2 (and items waited half as long for the hungry). 32 are no better.
_PATIENCE: Final = 1
_EASE: Final = 8


class Mood(Enum):
    """How a queue stands to the others."""

    CONTENT = "content"  # not short, and asks nobody
    PATIENT = "patient"  # short, for less than a trip
    ASKING = "asking"  # short, and every other queue knows
    EASED = "eased"  # not short, for less than eight trips, and what it asked for stands


class Turn(Enum):
    """What a look finds."""

    SHORT = "short"
    FED = "fed"
    RIPE = "ripe"


TABLE: Final[dict[tuple[Mood, Turn], Mood]] = {
    (Mood.CONTENT, Turn.SHORT): Mood.PATIENT,
    (Mood.CONTENT, Turn.FED): Mood.CONTENT,
    (Mood.PATIENT, Turn.SHORT): Mood.PATIENT,
    (Mood.PATIENT, Turn.FED): Mood.CONTENT,
    (Mood.PATIENT, Turn.RIPE): Mood.ASKING,
    (Mood.ASKING, Turn.SHORT): Mood.ASKING,
    (Mood.ASKING, Turn.FED): Mood.EASED,
    (Mood.EASED, Turn.SHORT): Mood.ASKING,
    (Mood.EASED, Turn.FED): Mood.EASED,
    (Mood.EASED, Turn.RIPE): Mood.CONTENT,
}
_PASSING: Final = {Mood.PATIENT: _PATIENCE, Mood.EASED: _EASE}


class Need(NamedTuple):
    """What a queue lacks: so many items, for so many hungry workers, of so many. A trip takes so long."""

    credits: int
    hungry: int
    workers: int
    trip: float


class Want(NamedTuple):
    """Tell another queue what is wanted of it from now on; 0 credits: nothing."""

    queue: int
    number: int
    credits: int
    hungry: int
    workers: int


@final
class Neighbours:
    """See the module.

    Args:
        others: the other queues, at least one.
    """

    __slots__ = ("_dry", "_left", "_number", "_others", "_since", "_standing", "_wait", "mood")

    def __init__(self, others: tuple[int, ...]) -> None:
        self.mood = Mood.CONTENT
        self._others = others
        self._number = 0  # of the latest claim
        self._standing: dict[int, int] = {}  # the number of what was claimed and not answered, by queue
        self._left: dict[int, int] = {}  # items that a queue still had when it last gave some
        self._dry: set[int] = set()  # queues for whose standing claims nothing more is to come
        self._since = 0.0  # when a passing mood began
        self._wait = 0.0  # seconds that it lasts

    def look(self, need: Need, now: float) -> list[Want]:
        """Something may have changed. Return what to tell others."""
        before, self.mood = self.mood, self._after(Turn.SHORT if need.credits else Turn.FED)
        if self.mood in _PASSING:
            if self.mood is not before:
                self._since, self._wait = now, _PASSING[self.mood] * max(_LEAST, need.trip)
            elif now >= self._since + self._wait:
                self.mood = self._after(Turn.RIPE)
        if self.mood is Mood.ASKING:
            missing = [queue for queue in self._others if queue not in self._standing]
            return [self._claim(queue, need) for queue in missing]
        if self.mood is Mood.CONTENT and self._standing:
            return self._take_back(need)
        return []

    def gave(self, queue: int, number: int, left: int) -> None:
        """A queue has answered the claim of this number, and so many items are left with it."""
        self._left[queue] = left
        if self._standing.get(queue) == number:
            del self._standing[queue]
            self._dry.discard(queue)

    def is_dry(self, queue: int, number: int) -> None:
        """Nothing more is to come for the claim of this number."""
        if self._standing.get(queue) == number:
            self._dry.add(queue)

    @property
    def are_dry(self) -> bool:
        """Whether nothing more is to come from anybody."""
        return len(self._dry) == len(self._others)

    @property
    def deadline(self) -> float | None:
        """When to look again."""
        return self._since + self._wait if self.mood in _PASSING else None

    def _after(self, turn: Turn) -> Mood:
        try:
            return TABLE[self.mood, turn]
        except KeyError:
            raise ProtocolError(f"a queue that is {self.mood.value} cannot be {turn.value}") from None

    def _claim(self, queue: int, need: Need) -> Want:
        part = -(-need.credits // len(self._others))
        credits = min(need.credits, max(part, self._left.pop(queue, 0)))
        self._number += 1
        self._standing[queue] = self._number
        hungry = min(credits, -(-need.hungry * credits // need.credits))
        return Want(queue, self._number, credits, hungry, need.workers)

    def _take_back(self, need: Need) -> list[Want]:
        taken_back: list[Want] = []
        for queue in self._standing:
            self._number += 1
            taken_back.append(Want(queue, self._number, 0, 0, need.workers))
        self._standing.clear()
        self._dry.clear()
        self._left.clear()
        return taken_back

    def sizes(self) -> dict[str, int]:
        """Count what stands; for tests."""
        return {"claims made": len(self._standing)}

    def validate(self) -> None:
        """Check each index against the others; for tests."""
        assert self._standing.keys() <= set(self._others)
        assert self._dry <= self._standing.keys()
        assert not self._standing or self.mood in {Mood.ASKING, Mood.EASED}
        assert self.mood is not Mood.ASKING or self._standing.keys() == set(self._others)
