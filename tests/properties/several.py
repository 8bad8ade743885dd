"""A small world of several queues with eyes: every item is in one place and ends once, and nobody idles long.

The machines and the shells around them are those of `pullahead.sim`. What is drawn comes from a seed.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from tests.core.pair import Shape
from tests.core.promises import Bounds

from pullahead.core import ledger as led
from pullahead.core import messages as m
from pullahead.core.ledger import Ledger, State
from pullahead.core.pipeline import Phase
from pullahead.core.retry import ERROR, RetryPolicy
from pullahead.core.spread import Spread
from pullahead.sim.callers import OfSeveral
from pullahead.sim.worker import Worker
from pullahead.sim.world import World

RUN: Final = 1
_MOST_STEPS: Final = 60_000


@dataclass(frozen=True)
class Scene:
    """What happens. Times are in seconds.

    Attributes:
        queues, workers: how many.
        shape: how workers are built.
        items: how many come, in how many pieces, so far apart.
        small, large, p_large: what computing takes.
        wire: one message, one way; half of it or one and a half.
        failures: the share of items that fail at a time.
        lopsided: whether all items are submitted to the first queue.
        late: when the workers of the first queue come.
        deaths: when a worker dies; another one takes its place in the same lane.
        cancelled: when the run is, if it is.
        seed: of what is drawn.
    """

    queues: int = 2
    workers: int = 4
    shape: Shape = field(default_factory=Shape)
    items: int = 20
    pieces: int = 1
    apart: float = 0.0
    small: float = 0.01
    large: float = 0.01
    p_large: float = 0.0
    wire: float = 0.0005
    failures: float = 0.0
    lopsided: bool = False
    late: float = 0.0
    deaths: tuple[float, ...] = ()
    cancelled: float | None = None
    seed: int = 0


class _Costs:
    def __init__(self, scene: Scene) -> None:
        self._scene, self._draw = scene, random.Random(f"costs {scene.seed}")
        self._sizes: dict[int, float] = {}
        self.slowest = 0.0

    def compute(self, item: int) -> float:
        large = self._draw.random() < self._scene.p_large
        return self._sizes.setdefault(item, self._scene.large if large else self._scene.small)

    def load(self, item: int) -> float:
        return 0.002

    def store(self, item: int) -> float:
        return 0.002

    def wire(self) -> float:
        seconds = self._draw.uniform(0.5, 1.5) * self._scene.wire
        self.slowest = max(self.slowest, seconds)
        return seconds

    def wake(self) -> float:
        return 0.0


class Queues(World):
    """One scene. `play` lets it happen and checks it."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.draw = random.Random(f"queues {scene.seed}")
        self.ends: Counter[tuple[int, State]] = Counter()
        self.over = False
        self.ended_at = 0.0
        self.longest_idle = 0.0
        self.times = _Costs(scene)
        self._idle: dict[tuple[int, object], float] = {}
        unit = scene.shape.batch_size or 1
        first, *others = [
            Ledger(
                unit,
                workers=len(range(number, scene.workers, scene.queues)),
                others=tuple(other for other in range(scene.queues) if other != number),
            )
            for number in range(scene.queues)
        ]
        retry = RetryPolicy(retries=2, base=0.01, cap=0.1)
        super().__init__(self.times, first, retry, others=others, workers=scene.workers)
        if scene.lopsided:
            assert isinstance(self.caller, OfSeveral)
            self.caller._spread = Spread([1 << 40] + [1] * len(others))  # as if it had all workers

    def play(self) -> None:
        """Everything, to its end."""
        scene = self.scene
        self.open(RUN)
        for number in range(scene.workers):
            at = 0.0 if number % scene.queues else scene.late
            self.start(scene.shape.build(number, at), at)
        for piece in range(scene.pieces):
            self.clock.at(piece * scene.apart, self._submit, piece)
        for moment in scene.deaths:
            self.clock.at(moment, self._kill)
        if scene.cancelled is not None:
            self.clock.at(scene.cancelled, lambda _: None if self.over else self.cancel(RUN))
        self._run()
        assert self.over, "the run has not ended"
        assert sum(self.ends.values()) == self.submitted
        assert len({item for item, _ in self.ends}) == self.submitted, "an item ended twice"
        self.stop()
        self._run()
        for queue in self.queues:
            assert queue.ledger.open_runs == []
            gone = {name: size for name, size in queue.ledger.sizes().items() if size}
            assert gone.keys() <= {"claims", "claims made"}, gone
        assert all(worker.is_gone or not worker.alive for worker in self.workers)

    def _submit(self, piece: int) -> None:
        share = len(range(piece, self.scene.items, self.scene.pieces))
        if share:
            self.submit(RUN, share)
        if piece == self.scene.pieces - 1:
            self.close(RUN)

    def _kill(self, _: None) -> None:
        living = [one for one in self.workers if one.alive and one.number not in self.home(one.number).gone]
        if self.over or not living:
            return
        worker = self.draw.choice(living)
        worker.alive = False
        last_words = max(worker.up.free_at, self.clock.now)
        self.clock.at(last_words, self._lose, worker)

    def _lose(self, worker: Worker) -> None:
        self.home(worker.number).lose(worker.number, worker.pipeline.loading)
        if not self.over:
            self.start(self.scene.shape.build(len(self.workers), self.clock.now))

    def _run(self) -> None:
        for _ in range(_MOST_STEPS):
            if not self.clock.step(float("inf")):
                return
            self._check()
        raise AssertionError(f"it goes on after {_MOST_STEPS} steps")

    # What it hears of

    def decided(self, effect: led.Effect) -> None:
        if isinstance(effect, led.RunEnded):
            self.over, self.ended_at = True, self.clock.now
        elif isinstance(effect, led.Ended):
            self.ends.update((item, effect.state) for item in effect.items)

    def processed(
        self, worker: Worker, items: tuple[int, ...], ends: list[float]
    ) -> dict[int, tuple[str, float]]:
        return {item: (ERROR, 0.0) for item in items if self.draw.random() < self.scene.failures}

    # What must hold

    def _check(self) -> None:
        places = [item for item, _ in self.ends]
        for queue in self.queues:
            queue.ledger.validate()
            items = queue.ledger._items
            places += [item for _, item, _ in items._delayed]
            for first, stop, _ in items.ready.ranges():
                places += range(first, stop)
            for lease in items._leases.values():
                places += lease.items
            for other in queue.links:
                places += self._under_way(queue.number, other)
        assert len(places) == len(set(places)), "an item is in two places"
        assert len(places) == self.submitted, "an item is lost"
        if not self.over:
            self._nobody_idles_long()

    def _under_way(self, here: int, there: int) -> list[int]:
        """Items on their way from one queue to another."""
        box = self.queues[here].mail.get(m.as_peer(there))
        answers = [*self.queues[there].links[here].down.under_way, box._outbox if box else []]
        return [
            item
            for messages in answers
            for message in messages
            if message[0] == m.MOVED
            for _, _, items, _ in message[3]
            for item in items
        ]

    def _nobody_idles_long(self) -> None:
        """Beside what is ready, or waits behind something that is computed, anywhere."""
        now = self.clock.now
        unstarted: set[object] = {("ready", one.number) for one in self.queues if one.ledger.ready}
        workers = [one for one in self.workers if one.alive and one.number not in self.home(one.number).gone]
        for one in workers:
            ran = one.pipeline.running
            if ran is not None and len(ran.items) == 1 and one.pipeline.held and one.computing:
                unstarted.add((one.number, ran.items, one._since))
        idle = [one.number for one in workers if _has_nothing(one)]
        now_idle = {(number, what) for number in idle for what in unstarted}
        self._idle = {pair: self._idle.get(pair, now) for pair in now_idle}
        lasted = now - min(self._idle.values(), default=now)
        self.longest_idle = max(self.longest_idle, lasted)
        assert lasted <= self.bound, f"somebody has had nothing for {lasted} s beside {unstarted}"

    @property
    def bound(self) -> float:
        """As long as with one queue; then it has lasted for a trip, and is said; the others recall as for
        their own, which takes as long again; and what comes back goes from queue to queue."""
        bounds = Bounds(self.times.slowest)
        return 2 * bounds.beside_held + 8 * self.times.slowest


def _has_nothing(worker: Worker) -> bool:
    pipeline = worker.pipeline
    if not pipeline._outbox.caller.sent:
        return False  # it is not there yet
    idle = not pipeline.running and not pipeline.held and not pipeline._is_full()
    return idle and pipeline.phase is Phase.WORKING


def shapes() -> list[dict[str, Any]]:
    """How workers may be built."""
    return [
        {"lookahead": lookahead, "loads": loads, "stores": stores}
        for lookahead in (None, 0, 1, 5)
        for loads in (False, True)
        for stores in (False, True)
    ] + [{"lookahead": 6, "batch_size": 3}]
