"""How many workers there should be, where the user has given a least and a most.

A *place* is where a worker can be, a lane: there are as many as the most. Facts come in (what the queue has
to do, who is idle, who has begun), and places go out: where to start a worker, whose worker to end.

Rules:
1. A worker more pays if each of all would have work for longer than starting one takes, and a second. As
   many are wanted as have that much work each.
2. The work that is known is what has not begun, and what the source is known to still have while the queue
   has something that nobody could take: so many items, by the usual seconds of one. As long as no item has
   ended, one takes as long as they have been waited for.
3. Where nobody knows how much is to come, as much again as was done is expected, since the queue last had
   nothing ready (Lindy's rule): a source that has kept all workers busy for a minute is good for another one.
4. Nobody is started for an item that is not there, while somebody is idle, while it is whoever takes the
   results that keeps more items from coming, while workers die and none finishes anything, or before the
   first one has said how long starting takes.
5. More are started once they have been wanted for half a second, and at most as many as there are, so that an
   estimate that is wrong costs half of the workers at most. Then the next ones, half a second later.
6. A worker that had nothing to do for five seconds, and for as long as it takes to have another one in its
   place, is drained; those in the highest places first. (Who keeps what is idle for as long as bringing it
   back takes never pays more than twice what it must: the ski rental. Five seconds are what a source pauses
   for a page of a listing, a batch of rows, another attempt. A minute is what nodes are paid by.)
7. Once that long nothing was ready, those that still wait for a place wait no more, and they go first: it
   costs nothing, and an autoscaler would bring a node for nobody.
8. Once nothing more is to come, what is idle goes at once.
9. There are never fewer than the least, nor more than the most, those among them that are on their way. But
   who is drained leaves the least behind that is there already.

So a worker that was drained is missed only when there was work for all others for half a second, and one that
was started stays for five seconds at least.

What starting takes counts from when a worker has a place: while it waits for one it costs nothing, and a
cluster that is full says nothing about how long a model takes to load. What it takes to have one again
(rule 6) counts from when it is asked for: bringing back a node is a wait as well.

Refused: to look at utilization, as autoscalers of servers do. A queue knows what is to be done, and workers
that share little work are busy in turns, none of them idle for long; so the queue serves the lowest number of
those that are idle first (see `service`), and the others find out that they are not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, final

from pullahead.core.lookahead import say
from pullahead.errors import ProtocolError

#: Seconds of work for each worker beyond what starting one takes: what it takes from those that compute
#: meanwhile (a process imports, a model is read), and the error of the estimate.
MARGIN: Final = 1.0
#: Seconds for which more workers must be wanted, and between two steps.
LASTING: Final = 0.5
#: Seconds without work before a worker is drained, beside what it takes to have one again; and the most.
PATIENCE: Final = 5.0
MOST_PATIENCE: Final = 60.0
#: The weight of the latest start in what starting usually takes.
_WEIGHT: Final = 0.5
#: Of a worker by which a sum that was computed in two ways may differ.
_ROUNDING: Final = 1e-6


class Facts(NamedTuple):
    """What is known at one moment. Seconds that have passed, not moments: the queue has its own clock.

    Attributes:
        unstarted: items that have not begun, ready or held.
        unread: items that the source is known to still have.
        pace: seconds that a worker takes for an item, 0.0 if none has ended.
        lasted: for how long something has been ready that nobody could take; 0.0: nothing is.
        idle: the places whose worker has nothing, and for how long.
        is_over: whether nothing more is to come, and everything has begun.
        is_held_back: whether whoever takes the results is slower than the workers.
        is_failing: whether workers have died, and none has finished anything since.
    """

    unstarted: int = 0
    unread: int = 0
    pace: float = 0.0
    lasted: float = 0.0
    idle: Mapping[int, float] = {}
    is_over: bool = False
    is_held_back: bool = False
    is_failing: bool = False


class Grow(NamedTuple):
    """Start a worker in each of these places. There are `before`, those on their way among them."""

    before: int
    places: tuple[int, ...]
    why: str


class Shrink(NamedTuple):
    """End the wait of those that wait for a place of the cluster, and drain the others."""

    before: int
    waiting: tuple[int, ...]
    idle: tuple[int, ...]
    why: str


Effect = Grow | Shrink


@final
@dataclass(slots=True)
class _Place:
    """A worker, on its way or there."""

    asked: float  # when it was
    has_place: float | None = None  # since when
    there: float | None = None  # since when
    is_leaving: bool = False


@final
class Scaling:
    """See the module. Every method takes `now`, in seconds of one monotonic clock.

    Args:
        least: how many workers there are at first, and at least.
        most: how many there may be.
        now: when the first ones were asked for, in the lowest places.
        unit: how many items one call of `process` takes.
    """

    def __init__(self, least: int, most: int, now: float, unit: int = 1) -> None:
        self._least, self._most, self._unit = least, most, unit
        self._places = {place: _Place(now) for place in range(least)}
        self._facts = Facts()
        self._at = now  # up to when what was done is counted
        self._done = 0.0  # seconds of all workers, since nothing was ready
        self._setup: float | None = None  # seconds from a place to the first word; None: not known
        self._detour = 0.0  # and from when it was asked for
        self._short_since: float | None = None  # since when more are wanted
        self._calm_since: float | None = None  # since when nothing is ready

    # What is heard

    def placed(self, place: int, now: float) -> None:
        """A worker has a place on the machine or the cluster: its process is there."""
        one = self._places.get(place)
        if one is not None and one.has_place is None:
            one.has_place = now

    def joined(self, place: int, now: float) -> list[Effect]:
        """A worker has said its first word. (It may say one to each queue.)"""
        one = self._places.get(place)
        if one is None or one.there is not None:
            return []
        self._advance(now)
        one.there = now
        since = one.asked if one.has_place is None else one.has_place
        self._detour += (1.0 if self._setup is None else _WEIGHT) * (now - one.asked - self._detour)
        self._setup = (
            now - since if self._setup is None else self._setup + _WEIGHT * (now - since - self._setup)
        )
        return self._decide(now)

    def replaced(self, place: int, now: float) -> list[Effect]:
        """A worker has died. Another one will be in its place."""
        if place not in self._places:
            raise ProtocolError(f"a worker is replaced in place {place}, where there is none")
        self._advance(now)
        self._places[place] = _Place(now)
        return self._decide(now)

    def left(self, place: int, now: float) -> list[Effect]:
        """A worker that was drained has ended, in one way or another: its place is free."""
        self._advance(now)
        if self._places.pop(place, None) is None:
            raise ProtocolError(f"a worker has left place {place}, where there was none")
        return self._decide(now)

    def heard(self, facts: Facts, now: float) -> list[Effect]:
        """The queue has said how things are."""
        self._advance(now)
        self._facts = facts
        if facts.lasted:
            # It may have had nothing ready for a moment since the last time.
            self._done = min(self._done, facts.lasted * self._there)
            if self._short_since is not None:
                self._short_since = max(self._short_since, now - facts.lasted)
            self._calm_since = None
        else:
            self._done = 0.0
            self._calm_since = now if self._calm_since is None else self._calm_since
        return self._decide(now)

    def tick(self, now: float) -> list[Effect]:
        """Time has come to `deadline`."""
        self._advance(now)
        return self._decide(now)

    # What can be asked

    @property
    def live(self) -> int:
        """How many workers there are, on their way or there, without those that leave."""
        return sum(not one.is_leaving for one in self._places.values())

    @property
    def deadline(self) -> float | None:
        """When `tick` should be called next, or None."""
        due = [*self._ends_of_patience()]
        if self._short_since is not None:
            due.append(self._short_since + LASTING)
        elif self._may_grow:
            due += self._crossings()
        return min((at for at in due if at > self._at), default=None)

    # How much work there is

    @property
    def _there(self) -> int:
        return sum(one.there is not None and not one.is_leaving for one in self._places.values())

    def _advance(self, now: float) -> None:
        """Count what was done."""
        if self._facts.lasted:
            self._done += self._there * (now - self._at)
            self._facts = self._facts._replace(lasted=self._facts.lasted + now - self._at)
        if self._facts.idle:
            idle = {place: seconds + now - self._at for place, seconds in self._facts.idle.items()}
            self._facts = self._facts._replace(idle=idle)
        self._at = now

    @property
    def _known_items(self) -> int:
        facts = self._facts
        return facts.unstarted + (facts.unread if facts.lasted else 0)

    def _pace(self) -> float:
        """Return the seconds of an item."""
        if self._facts.pace:
            return self._facts.pace
        first = min((one.there for one in self._places.values() if one.there is not None), default=self._at)
        return min(self._facts.lasted, self._at - first)

    @property
    def _work(self) -> float:
        """Seconds of one worker that are known or expected."""
        return max(self._known_items * self._pace(), self._done)

    @property
    def _price(self) -> float:
        """Seconds of work that each worker should have, or one of them is not worth starting."""
        return (self._setup or 0.0) + MARGIN

    @property
    def _wanted(self) -> int:
        """How many workers there should be, if more are allowed."""
        by_work = int(self._work / self._price + _ROUNDING)
        by_items = self._there - len(self._idle()) + -(-self._known_items // self._unit)
        return min(self._most, by_work, by_items)

    @property
    def _may_grow(self) -> bool:
        facts = self._facts
        if self.live >= self._most or self._setup is None:
            return False
        return not (facts.is_failing or facts.is_held_back or facts.is_over or self._idle())

    def _crossings(self) -> list[float]:
        """Return when one worker more may be wanted if nothing is heard until then."""
        if not (self._facts.lasted and self._there):
            return []
        needed = (self.live + 1) * self._price
        crossings = [self._at + (needed - self._done) / self._there]
        if not self._facts.pace and self._known_items:
            crossings.append(self._at - self._pace() + needed / self._known_items)
        return crossings

    # Who is not needed

    def _idle(self) -> dict[int, float]:
        """Return the places whose worker has nothing to do, and for how long: since it came at most."""
        found = {}
        for place, seconds in self._facts.idle.items():
            one = self._places.get(place)
            if one is not None and one.there is not None and not one.is_leaving:
                found[place] = min(seconds, self._at - one.there)
        return found

    @property
    def _patience(self) -> float:
        return 0.0 if self._facts.is_over else min(MOST_PATIENCE, PATIENCE + self._detour)

    def _waiting(self) -> list[int]:
        """Return the places that wait for one of the cluster."""
        return [place for place, one in self._places.items() if one.has_place is None and one.there is None]

    def _ends_of_patience(self) -> list[float]:
        if self.live <= self._least:
            return []
        idle = self._idle().values() if self._there > self._least else ()
        ends = [self._at - seconds + self._patience for seconds in idle]
        if self._calm_since is not None and self._waiting():
            ends.append(self._calm_since + self._patience)
        return ends

    # Decisions

    def _decide(self, now: float) -> list[Effect]:
        effects = self._shrink(now)
        if effects or not self._may_grow or self._wanted <= self.live:
            self._short_since = None
            return effects
        if self._short_since is None:
            self._short_since = now
        return self._grow(now) if now - self._short_since >= LASTING - _ROUNDING else []

    def _grow(self, now: float) -> list[Effect]:
        before, wanted = self.live, self._wanted
        free = [place for place in range(self._most) if place not in self._places]
        places = tuple(free[: min(wanted - before, before)])
        if not places:
            return []  # those that leave are still in their places
        why = self._why_grow(before)
        for place in places:
            self._places[place] = _Place(now)
        self._short_since = now if self._may_grow and self._wanted > self.live else None
        return [Grow(before, places, why)]

    def _shrink(self, now: float) -> list[Effect]:
        before, patience = self.live, self._patience
        room = before - self._least
        is_calm = self._calm_since is not None and now - self._calm_since >= patience - _ROUNDING
        waiting = tuple(sorted(self._waiting(), reverse=True)[:room]) if is_calm and room > 0 else ()
        room -= len(waiting)
        idle = [place for place, seconds in self._idle().items() if seconds >= patience - _ROUNDING]
        room = min(room, self._there - self._least)
        drained = tuple(sorted(idle, reverse=True)[:room]) if room > 0 else ()
        if not waiting and not drained:
            return []
        for place in waiting:
            del self._places[place]
        for place in drained:
            self._places[place].is_leaving = True
        return [Shrink(before, waiting, drained, self._why_shrink())]

    def _why_grow(self, before: int) -> str:
        items, pace = self._known_items, self._pace()
        price = f"starting one takes {say(self._setup or 0.0)}"
        if items * pace >= self._done:
            return f"{items:,} items of {say(pace)} are {say(items * pace / before)} for each, and {price}"
        return f"there was always something to do, {say(self._done / before)} for each so far, and {price}"

    def _why_shrink(self) -> str:
        if self._facts.is_over:
            return "nothing more is to come"
        return f"there was nothing to do for {say(self._patience)}"

    def validate(self) -> None:
        """Check what must hold; for tests."""
        assert self._least <= self.live <= self._most
        assert self._places.keys() <= set(range(self._most))
        assert self._done >= 0.0
