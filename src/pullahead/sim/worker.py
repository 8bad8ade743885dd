"""A worker under virtual time: a shell around `core.pipeline`, as `farm.worker` is one.

Its main thread computes, and loads and stores go on beside it. That the main thread may hold the interpreter
while an answer waits is not modelled here: it is part of what the wire takes.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, final

from pullahead.core import messages as m
from pullahead.core import pipeline as pipe
from pullahead.core.pipeline import Phase, Pipeline
from pullahead.core.slices import Slice
from pullahead.sim.clock import Ahead, Timer
from pullahead.sim.wire import Wire

if TYPE_CHECKING:
    from pullahead.sim.world import World


@final
class Worker:
    """Hosts one pipeline.

    Args:
        world: where it stands, and what says how long things take and what fails.
        number: its name.
        pipeline: the machine.
        ahead: how many seconds its clock shows more than that of the world.
    """

    def __init__(self, world: World, number: int, pipeline: Pipeline, ahead: float = 0.0) -> None:
        self.number, self.pipeline = number, pipeline
        self.alive = True
        self.ticks_at_once = True  # right after `take`, as the pipeline advises, or at the next event
        self.computing: tuple[int, ...] = ()  # what was taken, and what has begun of what was put behind it
        self.ahead = ahead
        self._world, self._costs = world, world.costs
        self._clock = Ahead(world.clock, ahead) if ahead else world.clock
        self._since = 0.0  # when the first of that began
        self._items: tuple[int, ...] = ()  # that, and what was put behind it
        self._ends: list[float] = []  # when each of it ends
        self._told = 0  # how many of it the world knows to have ended
        self._settled = 0  # how many the machine has taken out
        self._woken = False
        costs = world.costs
        self.up = Wire(
            world.clock, costs.wire, lambda messages: world.home(number).exchange(number, messages)
        )
        self.down = Wire(world.clock, costs.wire, self._answered)
        self._timer = Timer(self._clock, self._ring)

    def begin(self) -> None:
        """The process has started."""
        self._timer.quiet()
        self._perform(self.pipeline.began(self._clock.now))

    def _answered(self, messages: list[m.Message]) -> None:
        if self.alive:
            self._world.answered(self, messages)
            self._timer.quiet()
            self._catch_up()
            self._perform(self.pipeline.answered(messages, self._clock.now))

    def _ring(self) -> None:
        if self.alive:
            self._catch_up()
            self._perform(self.pipeline.tick(self._clock.now))

    def _perform(self, effects: list[pipe.Effect]) -> None:
        clock, costs = self._clock, self._costs
        if self.computing:
            self._was_changed()
        for effect in effects:
            if isinstance(effect, pipe.Send):
                messages = self.pipeline.take_messages(clock.now)
                self._world.said(self, messages)
                self.up.send(messages)
            elif isinstance(effect, pipe.Wake):
                if not (self._woken or self.computing):
                    self._woken = True
                    clock.at(clock.now + costs.wake(), self._wake)
            elif isinstance(effect, pipe.Load):
                clock.at(clock.now + costs.load(effect.item), self._load_ended, effect.item)
            elif isinstance(effect, pipe.Store):
                self._world.stores(self, effect.item)
                clock.at(clock.now + costs.store(effect.item), self._store_ended, effect.item)
        self._timer.set(self.pipeline.deadline)

    # The main thread

    def _wake(self, _: None) -> None:
        self._woken = False
        if not self.alive or self.computing:
            return
        now = self._clock.now
        items = self.pipeline.take(now)
        if items:
            self._compute(items)
            if self.ticks_at_once:
                self._perform(self.pipeline.tick(now))
        else:
            self._world.idles(self)
            self._timer.set(self.pipeline.deadline)

    def _compute(self, items: tuple[int, ...]) -> None:
        """Compute a batch, or the items of a slice one after another."""
        self.computing, self._items, self._since = items, items, self._clock.now
        self._told = self._settled = 0
        self._world.began(self, items)
        self._ends = self._ends_of(items, self._since)
        self._plan()

    def _ends_of(self, items: tuple[int, ...], since: float) -> list[float]:
        return list(accumulate(map(self._costs.compute, items), initial=since))[1:]

    def _plan(self) -> None:
        """The main thread goes on until all has ended, and asks for a look when few are left."""
        ends, ran = self._ends, self.pipeline.running
        self._clock.at(ends[-1], self._computed, ends)
        if ran and ran.low >= 0 and ran.waiting:
            begins = max(
                len(ends) - 1 - ran.low, ran.size - len(ran.waiting)
            )  # that one, with so few behind it
            self._clock.at(ends[begins - 1], self._few_left, ends)

    def _few_left(self, ends: list[float]) -> None:
        """The main thread says so."""
        if self.alive and ends is self._ends:
            self._timer.quiet()
            self._catch_up()
            self._perform(self.pipeline.few_left(self._clock.now))

    def _catch_up(self) -> None:
        """Begin what the main thread has begun until now: the machine is about to look at it."""
        ran, now = self.pipeline.running, self._clock.now
        while ran and ran.waiting and (since := self._ends[ran.size - len(ran.waiting) - 1]) <= now:
            self._begin_next(ran, since)

    def _begin_next(self, ran: Slice, since: float) -> None:
        place = ran.size - len(ran.waiting)
        self._tell(ran, place)
        ran.since = since
        item = ran.waiting.popleft()
        if place >= len(self.computing):
            self.computing += (item,)
            self._world.began(self, (item,))

    def _tell(self, ran: Slice, count: int) -> None:
        """So many of what is computed have ended: what failed is known before the next one begins."""
        ended, begins = slice(self._told, count), [self._since, *self._ends]
        ran.times += list(zip(begins[ended], self._ends[ended], strict=True))
        ran.failures.update(self._world.processed(self, self.computing[ended], self._ends[ended]))
        self._told = count

    def _was_changed(self) -> None:
        """The machine may have taken out what has finished, and taken items from the main thread or put more
        behind them."""
        ran = self.pipeline.running
        if not ran:
            return
        gone, self._settled = ran.settled - self._settled, ran.settled
        if gone:
            self._since = self._ends[gone - 1]
            self.computing, self._items = self.computing[gone:], self._items[gone:]
            del self._ends[:gone]
            self._told -= gone
        items = ran.items[: ran.size]
        if items != self._items:
            self._go_on_with(items)

    def _go_on_with(self, items: tuple[int, ...]) -> None:
        both = zip(items, self._items, strict=False)
        kept = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], both))
        if kept < len(self.computing):
            self._world.cut(self, self.computing[kept:])
            self.computing = self.computing[:kept]
        self._items, ends = items, self._ends[:kept]
        self._ends = ends + self._ends_of(items[kept:], ends[-1])
        self._plan()

    def _computed(self, ends: list[float]) -> None:
        if not self.alive or ends is not self._ends:
            return
        self._timer.quiet()
        now, ran = self._clock.now, self.pipeline.running
        assert ran is not None
        while ran.waiting:
            self._begin_next(ran, self._ends[ran.size - len(ran.waiting) - 1])
        self._tell(ran, len(ends))
        since = self._since
        self.computing = ()
        items, effects = self.pipeline.turn(since, now, now - since, now)
        if items:
            self._compute(items)
        else:
            self._world.idles(self)
        self._perform(effects)

    def computes(self) -> tuple[tuple[int, float] | None, int]:
        """Return what is computed now (and since when what was taken with it is), and how many items wait
        behind it in the hands of the main thread."""
        ran = self.pipeline.running
        if ran is None or not self.computing:
            return None, 0
        last = len(self._items) - 1
        begun = last if ran._whole else min(bisect_right(self._ends, self._clock.now), last)
        return (self._items[begun], self._since), last - begun

    # Beside it

    def _load_ended(self, item: int) -> None:
        if self.alive:
            self._timer.quiet()
            self._catch_up()
            fault, now = self._world.failure("load", item), self._clock.now
            if fault is None:
                self._perform(self.pipeline.loaded(item, now))
            else:
                self._perform(self.pipeline.load_failed(item, *fault, now))

    def _store_ended(self, item: int) -> None:
        if self.alive:
            self._timer.quiet()
            self._catch_up()
            fault, now = self._world.failure("store", item), self._clock.now
            self._world.stored(self, item)
            if fault is None:
                self._perform(self.pipeline.stored(item, now))
            else:
                self._perform(self.pipeline.store_failed(item, *fault, now))

    @property
    def is_gone(self) -> bool:
        """Whether it has said goodbye."""
        return self.pipeline.phase is Phase.GONE

    def __repr__(self) -> str:
        return f"w{self.number}"
