"""The workers of a crew that come and go: a shell around `core.scaling`.

The policy is here, with the caller, and not at the queue: it knows what its source still has and who is on
its way, it starts and ends the workers, and it outlives the queue. The rest is what the queue says, a few
times a second while something changes.

It also keeps account of when each lane had a worker, for the report.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from time import monotonic
from typing import final

from pullahead.core import messages as m
from pullahead.core.scaling import Effect, Facts, Grow, Scaling, Shrink
from pullahead.farm.alarm import Alarm
from pullahead.farm.lanes import Lanes
from pullahead.observe.staffing import Change, Staffing


@final
class Elastic:
    """See the module. Its methods are called by the crew and by its lanes.

    Args:
        least: how many workers there are at first, and at least.
        unit: how many items one call of `process` takes.
        lanes: where they are.
        say: tells the queue something.
        to_come: says how many items the sources are known to still have, and whether it is whoever takes the
            results that they wait for.
        lock: held while something is decided.
    """

    def __init__(
        self,
        least: int,
        unit: int,
        lanes: Lanes,
        say: Callable[[m.Message], object],
        to_come: Callable[[], tuple[int, bool]],
        lock: RLock,
    ) -> None:
        self.is_last = False  # no other run follows the one that is under way
        self._lanes = lanes
        self._say = say
        self._to_come = to_come
        self._lock = lock
        self._scaling = Scaling(least, lanes.size, monotonic(), unit)
        self._stays: dict[int, list[tuple[float, float | None]]] = {}  # by lane: from when to when
        self._changes: list[Change] = []
        self._is_stopping = False
        self._alarm = Alarm(self._ring, "pullahead-crew-scaling")
        lanes.watch = self

    def joined(self, number: int) -> None:
        """A worker has called the queue for the first time. With the lock held, as for `heard`."""
        if self._lanes.has(number):
            self._decided(self._scaling.joined(self._lanes.lane(number), monotonic()))

    def heard(
        self, unstarted: int, pace: float, lasted: float, idle: tuple[tuple[int, float], ...], is_over: bool
    ) -> None:
        """The queue has said how things stand."""
        lanes = self._lanes
        here = {lanes.lane(number): seconds for number, seconds in idle if lanes.has(number)}
        unread, is_held_back = self._to_come()
        over = is_over and self.is_last
        facts = Facts(unstarted, unread, pace, lasted, here, over, is_held_back, lanes.are_failing)
        self._decided(self._scaling.heard(facts, monotonic()))

    def stop(self) -> None:
        """From now on nobody is started or ended. With the lock held."""
        self._is_stopping = True

    def close(self) -> None:
        """That is all. Without the lock held."""
        self._is_stopping = True
        self._alarm.stop()

    def staffing(self, started: float, ended: float) -> Staffing:
        """Return when each lane had a worker between two moments, and what was decided, and why."""
        with self._lock:
            stays = {lane: tuple(some) for lane, some in self._stays.items()}
            changes = tuple(self._changes)
        return Staffing.between(started, ended, stays, changes)

    # What becomes of the workers; see `Watch`

    def placed(self, lane: int) -> None:
        """See `Watch`."""
        now = monotonic()
        self._scaling.placed(lane, now)
        stays = self._stays.setdefault(lane, [])
        if not stays or stays[-1][1] is not None:
            stays.append((now, None))

    def replaced(self, lane: int) -> None:
        """See `Watch`."""
        self._decided(self._scaling.replaced(lane, monotonic()))

    def left(self, lane: int) -> None:
        """See `Watch`."""
        self._stay_ends(lane)
        self._decided(self._scaling.left(lane, monotonic()))

    # How it is done

    def _stay_ends(self, lane: int) -> None:
        stays = self._stays.get(lane)
        if stays and stays[-1][1] is None:
            stays[-1] = stays[-1][0], monotonic()

    def _ring(self) -> None:
        with self._lock:
            self._decided(self._scaling.tick(monotonic()))

    def _decided(self, effects: list[Effect]) -> None:
        if self._is_stopping:
            return
        for effect in effects:
            if isinstance(effect, Grow):
                self._grow(effect)
            else:
                self._shrink(effect)
        self._alarm.set(self._scaling.deadline)

    def _grow(self, grow: Grow) -> None:
        self._note(grow.before, len(grow.places), grow.why)
        for lane in grow.places:
            self._lanes.fill_soon(lane)

    def _shrink(self, shrink: Shrink) -> None:
        self._note(shrink.before, -len(shrink.waiting) - len(shrink.idle), shrink.why)
        for lane in shrink.waiting:
            self._lanes.drop(lane)
            self._stay_ends(lane)
        for lane in shrink.idle:
            self._say((m.DRAIN, self._lanes.drain(lane)))

    def _note(self, before: int, more: int, why: str) -> None:
        self._changes.append(Change(monotonic(), before, before + more, why))
