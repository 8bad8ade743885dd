"""Whom to ask to give something back, how much, and which of these recalls are out.

Rules:
1. A held item is worth moving if it would wait where it is for longer than the move takes: a recall there and
   back and a grant, one and a half usual trips.
2. How long it would wait: what runs there goes on for r, and what is before it takes the worker's usual
   seconds per item each. Of what has run for a, with p usual, r = max(p - a, a): what is young ends on time,
   and what is old lasts as long again as it has. (The truth depends on the distribution: with constant times
   it is p - a, with many sizes even more than a.)
3. Recalled is from the worker whose last item would wait longest, as soon as that is worth it. Others are
   asked, too, until what is on its way is a share for each of the hungry (of everything that could be
   recalled), or what they asked for.
4. Taken is what is worth moving, beyond the worker's share of everything that is held, and no more than the
   hungry asked for. So one recall serves many, and none is needed again soon.
5. What runs, or is about to, is nobody's to recall: the first item (or batch) of each worker, and with it
   what was just granted to a hungry one.
6. A worker has one recall at a time. One that does not answer (its interpreter is held by C code) is not
   waited for: after four usual trips others are asked, and it is asked again once it has answered. Such a
   late answer says nothing about the usual trip. The first one that comes in time is taken as it is; until
   then, each late one doubles what is expected, because the wire may be long.
7. A worker that gave nothing (it has begun everything, or will soon) is asked again when it has been granted
   something, or has begun or finished something: what it said it would begin soon may be behind that now.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import floor
from typing import Final, final

from pullahead.core.ranking import Ranking

#: Seconds that a recall takes, as long as none has been answered.
_FIRST_TRIP: Final = 0.002
#: Seconds. No patience is shorter: the answer of a busy worker waits for its interpreter.
_LEAST_PATIENCE: Final = 0.002
_TRIPS: Final = 4
#: Trips that a move takes: the recall, its answer, the grant.
_MOVE: Final = 1.5
#: Seconds by which a moment that was computed in two ways may differ.
_ROUNDING: Final = 1e-9
#: The weight of the latest trip in the usual one.
_WEIGHT: Final = 0.2


@final
@dataclass(slots=True)
class _Holder:
    """What is known of a worker that could give something back."""

    spare: int = 0
    pace: float = 0.0
    reported: float = 0.0


@final
@dataclass(slots=True)
class _Out:
    """A recall that was not answered."""

    since: float
    size: int
    granted: bool = False  # something was granted meanwhile, which the answer may not know of


@final
class Recalls:
    """See the module.

    Args:
        unit: how many items one call of `process` takes.

    Attributes:
        total: items that could be recalled, everywhere.
        expected: items that are on their way back, as far as nobody is overdue.
        trip: the usual seconds from a recall to its answer.
    """

    __slots__ = (
        "_awaited",
        "_barren",
        "_holders",
        "_knows_trip",
        "_old",
        "_out",
        "_unit",
        "_young",
        "expected",
        "total",
        "trip",
    )

    def __init__(self, unit: int = 1) -> None:
        self.total = 0
        self._unit = unit
        self._holders: dict[int, _Holder] = {}  # those that have something to spare
        # Those of them that may be asked, by how long their last item waits, for each of the two terms of r.
        # Neither order changes with time.
        self._young = Ranking()
        self._old = Ranking()
        self._out: dict[int, _Out] = {}
        self._awaited: OrderedDict[int, float] = OrderedDict()  # since when those that are not overdue
        self.expected = 0
        self._barren: set[int] = set()
        self.trip = _FIRST_TRIP
        self._knows_trip = False

    def weigh(self, worker: int, held: int, running: int, pace: float, reported: float) -> None:
        """Something about a worker has changed.

        Args:
            worker: its name.
            held: items of its leases, those that run among them.
            running: how many of them are known to run.
            pace: its seconds per item.
            reported: when it last reported.
        """
        spare = max(0, held - (running or self._unit))
        holder = self._holders.get(worker)
        if holder is not None:
            self.total -= holder.spare
        if not spare:
            if holder is not None:
                del self._holders[worker]
                self._young.drop(worker)
                self._old.drop(worker)
            return
        self.total += spare
        self._holders[worker] = _Holder(spare, pace, reported)
        if worker in self._out or worker in self._barren:
            self._young.drop(worker)
            self._old.drop(worker)
        else:
            self._young.put(worker, -(reported + spare * pace))
            self._old.put(worker, reported - (spare - 1) * pace)

    def granted(self, worker: int) -> None:
        """A worker got something: it is worth asking again."""
        self._barren.discard(worker)
        if worker in self._out:
            self._out[worker].granted = True

    def got_ahead(self, worker: int) -> None:
        """A worker has begun or finished something: it is worth asking again. The caller weighs it again."""
        self._barren.discard(worker)

    def spare_of(self, worker: int) -> int:
        """Return how much could be recalled from a worker."""
        holder = self._holders.get(worker)
        return 0 if holder is None else holder.spare

    @property
    def are_awaited(self) -> bool:
        """Whether something may be on its way back."""
        return self.expected > 0

    def choose(self, hungry: int, credits: int, workers: int, now: float) -> list[tuple[int, int]]:
        """Recall for hungry workers.

        Args:
            hungry: how many there are.
            credits: how many items they asked for.
            workers: how many workers there are in all.
            now: the moment.

        Returns:
            Whom to ask, and for how many items.
        """
        self._give_up(now)
        chosen: list[tuple[int, int]] = []
        while self.expected < self._missing(hungry, credits, workers):
            worker = self._longest(now)
            if worker is None:
                break
            size = self._worth(self._holders[worker], now)
            if not size:
                break
            spare = self._holders[worker].spare
            size = min(size, max(self._unit, spare - self.total // workers), credits - self.expected)
            size = min(spare, size + -size % self._unit)
            self._young.drop(worker)
            self._old.drop(worker)
            self._out[worker] = _Out(now, size)
            self._awaited[worker] = now
            self.expected += size
            chosen.append((worker, size))
        return chosen

    def answered(self, worker: int, returned: int, now: float) -> None:
        """A worker has answered a recall and has returned so many items. The caller weighs it again."""
        out = self._out.pop(worker, None)
        if out is None:
            return
        if self._awaited.pop(worker, None) is None:
            if not self._knows_trip:  # every answer is late over a wire that is longer than expected
                self.trip = min(2.0 * self.trip, now - out.since)
        else:
            self.expected -= out.size
            # The first of all is taken as it is.
            self.trip += (_WEIGHT if self._knows_trip else 1.0) * (now - out.since - self.trip)
            self._knows_trip = True
        if not (returned or out.granted):
            self._barren.add(worker)

    def lost(self, worker: int) -> None:
        """A worker has left."""
        out = self._out.pop(worker, None)
        if out is not None and self._awaited.pop(worker, None) is not None:
            self.expected -= out.size
        self._barren.discard(worker)
        self.weigh(worker, 0, 0, 0.0, 0.0)

    def deadline(self, hungry: int, credits: int, workers: int) -> float | None:
        """Return when a recall is overdue, or becomes worth it. For the arguments, see `choose`."""
        if not hungry:
            return None
        overdue = next(iter(self._awaited.values())) + self._patience if self._awaited else None
        oldest = self._old.first()
        if oldest is None or self.expected >= self._missing(hungry, credits, workers):
            return overdue
        holder = self._holders[oldest]
        worth = holder.reported - (holder.spare - 1) * holder.pace + _MOVE * self.trip
        return worth if overdue is None else min(overdue, worth)

    def _missing(self, hungry: int, credits: int, workers: int) -> int:
        """Return how many items the hungry should have: each its share of what could be recalled."""
        return min(credits, hungry * max(self._unit, self.total // workers))

    @property
    def _patience(self) -> float:
        return max(_LEAST_PATIENCE, _TRIPS * self.trip)

    def _longest(self, now: float) -> int | None:
        """Return the worker whose last item waits longest."""
        young, old = self._young.first(), self._old.first()
        if young is None or old is None or young == old:
            return young
        return max(young, old, key=lambda worker: self._wait(self._holders[worker], now))

    def _wait(self, holder: _Holder, now: float) -> float:
        """Return how long the last item of a worker waits; see the module."""
        age = now - holder.reported
        return (holder.spare - 1) * holder.pace + max(holder.pace - age, age)

    def _worth(self, holder: _Holder, now: float) -> int:
        """Return how many items of a worker are worth moving."""
        excess = self._wait(holder, now) - _MOVE * self.trip
        if excess < -_ROUNDING:
            return 0
        if holder.pace <= 0.0:
            return holder.spare
        return min(holder.spare, 1 + floor(max(0.0, excess) / holder.pace))

    def _give_up(self, now: float) -> None:
        while self._awaited:
            worker, since = next(iter(self._awaited.items()))
            if since + self._patience > now:
                break
            del self._awaited[worker]
            self.expected -= self._out[worker].size

    def validate(self) -> None:
        """Check the sums; for tests."""
        assert self.total == sum(holder.spare for holder in self._holders.values())
        assert self.expected == sum(self._out[worker].size for worker in self._awaited)
        assert self._awaited.items() <= {worker: out.since for worker, out in self._out.items()}.items()
        may_be_asked = self._holders.keys() - self._out.keys() - self._barren
        assert all((name in self._young) == (name in may_be_asked) for name in self._holders)
        assert all((name in self._old) == (name in may_be_asked) for name in self._holders)
