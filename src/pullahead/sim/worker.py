"""A worker under virtual time: a shell around `core.pipeline`, as `farm.worker` is one.

Its main thread computes, and loads and stores go on beside it. That the main thread may hold the interpreter
while an answer waits is not modelled here: it is part of what the wire takes.
"""

from __future__ import annotations

from itertools import accumulate
from operator import sub
from typing import TYPE_CHECKING, final

from pullahead.core import messages as m
from pullahead.core import pipeline as pipe
from pullahead.core.pipeline import Phase, Pipeline
from pullahead.core.slices import Slice
from pullahead.sim.clock import Timer
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
    """

    def __init__(self, world: World, number: int, pipeline: Pipeline) -> None:
        self.number, self.pipeline = number, pipeline
        self.alive = True
        self.ticks_at_once = True  # right after `take`, as the pipeline advises, or at the next event
        self.computing: tuple[int, ...] = ()
        self._world, self._clock, self._costs = world, world.clock, world.costs
        self._since = 0.0  # when what is computed began
        self._ends: list[float] = []  # when each of it ends
        self._told = 0  # how many of it the world knows to have ended
        self._woken = False
        costs = world.costs
        self.up = Wire(
            world.clock, costs.wire, lambda messages: world.home(number).exchange(number, messages)
        )
        self.down = Wire(world.clock, costs.wire, self._answered)
        self._timer = Timer(world.clock, self._ring)

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
        if len(self.computing) > 1:
            self._was_cut()
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
        self.computing, self._since, self._told = items, self._clock.now, 0
        self._world.began(self, items)
        compute = self._costs.compute
        if len(items) == 1:
            self._ends = [self._since + compute(items[0])]
        else:
            self._ends = list(accumulate(map(compute, items), initial=self._since))[1:]
        self._clock.at(self._ends[-1], self._computed, self._ends)

    def _catch_up(self) -> None:
        """Begin what the main thread has begun until now: the machine is about to look at it."""
        ran, now = self.pipeline.running, self._clock.now
        while ran and ran.waiting and (since := self._ends[ran.size - len(ran.waiting) - 1]) <= now:
            self._tell(ran, ran.size - len(ran.waiting))
            ran.since = since
            ran.waiting.popleft()

    def _tell(self, ran: Slice, count: int) -> None:
        """So many of what is computed have ended: what failed is known before the next one begins."""
        ended = slice(self._told, count)
        ran.failures.update(self._world.processed(self, self.computing[ended], self._ends[ended]))
        self._told = count

    def _was_cut(self) -> None:
        """The machine may have taken items from the main thread: it ends earlier then."""
        ran = self.pipeline.running
        if ran and ran.size < len(self.computing):
            self._world.cut(self, self.computing[ran.size :])
            self.computing = self.computing[: ran.size]
            self._ends = self._ends[: ran.size]
            self._clock.at(self._ends[-1], self._computed, self._ends)

    def _computed(self, ends: list[float]) -> None:
        if not self.alive or ends is not self._ends:
            return
        self._timer.quiet()
        since, now = self._since, self._clock.now
        ran = self.pipeline.running
        assert ran is not None
        self._tell(ran, len(ends))
        ran.waiting.clear()
        ran.longest = max(map(sub, ends, [since, *ends]))
        self.computing = ()
        items, effects = self.pipeline.turn(since, now, now - since, now)
        if items:
            self._compute(items)
        else:
            self._world.idles(self)
        self._perform(effects)

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
