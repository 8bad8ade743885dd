"""How the clock of one machine compares with that of another one, from message round trips.

Each machine's monotonic clock begins at its own boot, so times of two machines cannot be put side by side
before it is known what the other clock shows. One side says when it asks (t0, on its own clock), the other
one answers when that came and when the answer left (t1, t2, on its clock), and the answer comes at t3::

    offset       ((t1 - t0) + (t2 - t3)) / 2       what the other clock shows more, in the middle of t0 and t3
    uncertainty  ((t3 - t0) - (t2 - t1)) / 2       however differently long the two ways took

This is NTP's estimate (RFC 5905, section 8). How long the answer was kept does not matter; what was on its
way, or waited for an interpreter, does. So of many exchanges the least uncertain one counts.

Rules:
1. No clock is faster or slower than true time by more than PHI, so what was known with an uncertainty once is
   known with that and DRIFT × the seconds between, after it and before it alike.
2. A sample is kept if it knows more than the one before it does by then. So a new one replaces an old one
   that has become worse, and while a machine is busy the good one from before counts.
3. One sample is kept of each stretch of time, the best one: two clocks drift apart by a tenth of a second in
   an hour, so one offset for a whole run would do for short runs alone. Between two samples the offset is on
   the straight line, which is never farther from the truth than rule 1 allows for both together.
4. There are at most so many samples. With one more, the better one of two stays, and the stretches become
   twice as long.
5. Order stays: of two moments of one clock the later one is later on the other one, too. Samples are so far
   apart that their uncertainties cannot turn it round.

Refused: the shortest round trip of the last eight, as NTP's clock filter takes it: it forgets how good what
it has is, and we need no frequency, because nobody sets a clock here. A mean of samples: what delays them is
not noise, but comes in one direction. The clocks of the wall, which are set while a run goes on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple, final

from pullahead.core.messages import CLOCK, Message

#: How much faster or slower than true time a clock may be, in seconds per second (RFC 5905).
PHI: Final = 15e-6
#: What two clocks may drift apart, in seconds per second of one of them.
DRIFT: Final = 2 * PHI / (1 - PHI)
#: Seconds that reading a clock takes, and that four of its readings lose as floats within thirty years.
PRECISION: Final = 1e-6
#: Samples that are kept of two clocks, and the seconds from one to the next at first.
MOST: Final = 128
SPACING: Final = 2.0


class Sample(NamedTuple):
    """What one exchange tells.

    Attributes:
        at: a moment of the own clock.
        offset: what the other clock showed more at that moment.
        uncertainty: how far from the truth that is at most.
    """

    at: float
    offset: float
    uncertainty: float


def exchanged(t0: float, t1: float, t2: float, t3: float) -> Sample:
    """Return what an exchange tells: asked at t0, answered at t3, on the other clock between t1 and t2."""
    offset = ((t1 - t0) + (t2 - t3)) / 2
    # While the answer was on its way, the clocks drifted: away from the middle, by DRIFT × half of that.
    uncertainty = ((t3 - t0) - (t2 - t1)) / 2 + DRIFT * (t3 - t0) / 2 + PRECISION
    return Sample((t0 + t3) / 2, offset, uncertainty)


@final
class Comparison:
    """What another clock shows at each moment of one's own, as far as samples tell. See the module."""

    __slots__ = ("_spacing", "samples")

    def __init__(self, samples: Sequence[Sample] = ()) -> None:
        self.samples = tuple(samples)  # replaced as a whole: other threads may read it
        self._spacing = SPACING

    def add(self, sample: Sample) -> bool:
        """Take a sample. Returns whether it tells more than those before it."""
        samples = self.samples
        if not samples:
            self.samples = (sample,)
            return True
        last = samples[-1]
        if not last.at < sample.at or sample.uncertainty >= last.uncertainty + self._drift(last, sample):
            return False
        if self.is_due(sample.at) and sample.at - last.at >= 2 * (last.uncertainty + sample.uncertainty):
            self.samples = (*samples, sample)
            if len(self.samples) > MOST:
                self._thin()
            return True
        if sample.uncertainty < last.uncertainty:
            self.samples = (*samples[:-1], sample)
            return True
        return False

    def is_due(self, now: float) -> bool:
        """Whether the last sample is of another stretch of time than this moment."""
        return not self.samples or now >= self.samples[-1].at + self._spacing

    def read(self, moment: float) -> tuple[float, float]:
        """Return what the other clock shows at a moment of the own one, and how uncertain that is."""
        samples = self.samples
        place = bisect_right(samples, moment, key=_at)
        before, after = samples[max(0, place - 1)], samples[min(place, len(samples) - 1)]
        if before is after:
            return moment + before.offset, before.uncertainty + DRIFT * abs(moment - before.at)
        length = after.at - before.at
        late = (moment - before.at) / length
        offset = before.offset + late * (after.offset - before.offset)
        uncertainty = before.uncertainty + late * (after.uncertainty - before.uncertainty)
        return moment + offset, uncertainty + 2 * DRIFT * length * late * (1 - late)

    def worst(self, first: float, last: float) -> float:
        """Return how uncertain the worst reading is from one moment to another one."""
        moments = [first, last, *(one.at for one in self.samples)]
        for before, after in pairwise(self.samples):
            length = after.at - before.at
            late = 0.5 + (after.uncertainty - before.uncertainty) / (4 * DRIFT * length)
            moments.append(before.at + min(1.0, max(0.0, late)) * length)
        return max(self.read(moment)[1] for moment in moments if first <= moment <= last)

    def inverted(self) -> Comparison:
        """Return what the own clock shows at each moment of the other one."""
        return Comparison(
            [
                Sample(at + offset, -offset, uncertainty / (1 - DRIFT))
                for at, offset, uncertainty in self.samples
            ]
        )

    def _thin(self) -> None:
        """Keep the better one of two, but for the last."""
        *samples, last = self.samples
        pairs = zip(samples[::2], samples[1::2], strict=True)
        self.samples = (*(min(pair, key=_uncertainty) for pair in pairs), last)
        self._spacing *= 2

    @staticmethod
    def _drift(before: Sample, after: Sample) -> float:
        return DRIFT * (after.at - before.at)


#: Comparisons one after another: from the clock of one machine to that of a next one. None at all: one clock.
Way = Sequence[Comparison]


def read(way: Way, moment: float) -> tuple[float, float]:
    """Return what the last clock shows at a moment of the first one, and how uncertain that is."""
    uncertainty = 0.0
    for one in way:
        moment, more = one.read(moment)
        uncertainty = uncertainty * (1 + DRIFT) + more
    return moment, uncertainty


def worst(way: Way, first: float, last: float) -> float:
    """Return how uncertain the worst reading is from one moment of the first clock to another one."""
    uncertainty = 0.0
    for one in way:
        uncertainty = uncertainty * (1 + DRIFT) + one.worst(first, last)
        first, last = one.read(first)[0], one.read(last)[0]
    return uncertainty


@final
class Questions:
    """When to ask what the other clock shows, and what is known by then.

    Nothing is sent for that alone: a question goes with what is sent anyway, if it is time for one. At first
    with each call, because the first ones are often slow; then as often as samples grow old; soon again where
    an answer told nothing although it was time.
    """

    __slots__ = ("_answers", "_is_open", "_next", "comparison")

    #: Questions at first, and the seconds from one to the next then; and after that.
    FIRST = 8
    SOON = 0.02
    EVERY = SPACING

    def __init__(self) -> None:
        self.comparison = Comparison()
        self._answers = 0
        self._is_open = False  # one was asked and is not answered
        self._next = float("-inf")

    def ask(self, now: float) -> bool:
        """Say whether a question goes with the call that is made now."""
        if self._is_open or now < self._next:
            return False
        self._is_open = True
        return True

    def forget(self) -> None:
        """Nobody will answer what was asked."""
        self._is_open = False

    def without_answers(self, messages: list[Message], came: float) -> tuple[list[Message], list[Sample]]:
        """Take the answers out of what came then. Returns the rest, and what they tell that is news."""
        answers = [message[1:] for message in messages if message[0] == CLOCK]
        news = [self.answered(asked, there, left, came) for asked, there, left in answers]
        rest = [message for message in messages if message[0] != CLOCK]
        return rest, [sample for sample in news if sample is not None]

    def answered(self, t0: float, t1: float, t2: float, t3: float) -> Sample | None:
        """Take an answer. Returns what it tells, if that is more than was known."""
        self._is_open = False
        self._answers += 1
        sample = exchanged(t0, t1, t2, t3)
        is_news = self.comparison.add(sample)
        must_hurry = self._answers < self.FIRST or (not is_news and self.comparison.is_due(t3))
        self._next = t3 + (self.SOON if must_hurry else self.EVERY)
        return sample if is_news else None


def _at(sample: Sample) -> float:
    return sample.at


def _uncertainty(sample: Sample) -> float:
    return sample.uncertainty
