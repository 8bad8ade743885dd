"""The simulator in a storm: everything dies, lags and says things twice, at moments that a seed draws.

The machines are those of a real run: `Ledger`, `Pipeline`, `Commits`. What dies: workers (noticed early, late
or taken for dead while they go on), and the queue, with whatever was on the wires and whatever was not
written to the journal; the batch that was being written survives or not. What lags: the disk, the wires (for
as long as a stopped process would), and each worker's way back to the next queue. What is said twice: some
reports.

The invariants, for every item of every schedule:

1. The caller hears of exactly one end, and what it hears is what the journal has.
2. The journal has nothing twice.
3. Nobody hears of what is not in the journal.
4. At the end nothing is left anywhere: no lease, no run, no worker that did not say goodbye.
5. Where nothing died, failed or was cancelled, nothing was computed twice.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final

from tests.core.pair import Shape

from pullahead.core import ledger as led
from pullahead.core import messages as m
from pullahead.core.commits import Commits
from pullahead.core.ledger import Ledger, State
from pullahead.core.pipeline import Phase, Pipeline
from pullahead.core.retry import ERROR, LATER, REJECT, RetryPolicy
from pullahead.core.trace import CAUSE_SOURCE
from pullahead.sim import world as sim
from pullahead.sim.queue import Queue
from pullahead.sim.wire import Wire
from pullahead.sim.worker import Worker

RUN: Final = 1
#: Leases of one queue, as in the farm.
_LEASES: Final = 1 << 48
_LINES_SHOWN: Final = 250
_MOST_STEPS: Final = 200_000

Saying = tuple[int | None, Any]  # to a worker, or to the caller


@dataclass(frozen=True)
class Weather:
    """What a seed draws for one schedule. Times are in seconds.

    Attributes:
        shapes: the workers.
        items: how many there are.
        compute, load, store, wire, disk: means of what is drawn.
        failures: the share of steps that fail.
        repeats: the share of reports that are said twice.
        blows: (when, what) happens.
    """

    shapes: tuple[Shape, ...]
    items: int
    compute: float
    load: float
    store: float
    wire: float
    disk: float
    failures: float
    repeats: float
    retries: int
    blows: tuple[tuple[float, str], ...]

    @classmethod
    def of(cls, seed: int) -> Weather:
        """Draw it."""
        draw = random.Random(seed)
        batch = draw.choice((0, 0, 0, 3))
        stores = draw.random() < 0.4
        shape = Shape(
            lookahead=draw.choice((None, None, 0, 1, 5)),
            batch_size=batch,
            loads=draw.random() < 0.4,
            stores=stores,
        )
        compute = draw.choice((0.0002, 0.003, 0.05))
        items = draw.choice((3, 12, 40))
        length = 0.05 + items * compute
        kinds = ("queue", "queue", "worker", "worker", "deaf", "wires", "cancel")
        count = draw.choice((0, 1, 2, 3, 6))
        blows = sorted(
            (draw.uniform(0.0, length), draw.choice(kinds if draw.random() < 0.9 else ("queue",)))
            for _ in range(count)
        )
        return cls(
            shapes=(shape,) * draw.choice((1, 2, 3)),
            items=items,
            compute=compute,
            load=draw.choice((0.0, 0.002)),
            store=draw.choice((0.0, 0.002)),
            wire=draw.choice((0.00005, 0.0005, 0.01)),
            disk=draw.choice((0.0, 0.004, 0.05)),
            failures=draw.choice((0.0, 0.0, 0.1)),
            repeats=draw.choice((0.0, 0.2)),
            retries=draw.choice((0, 2)),
            blows=tuple(blows),
        )


@dataclass
class Costs:
    """How long things take."""

    weather: Weather
    draw: random.Random

    def compute(self, item: int) -> float:
        return self.draw.expovariate(1.0) * self.weather.compute

    def load(self, item: int) -> float:
        return self.draw.random() * self.weather.load

    def store(self, item: int) -> float:
        return self.draw.random() * self.weather.store

    def wire(self) -> float:
        return self.draw.uniform(0.5, 1.5) * self.weather.wire

    def wake(self) -> float:
        return 0.0


class StormyQueue(Queue):  # type: ignore[misc]  # final: nobody but a test makes another one
    """As the farm's: what has ended is said when it is in the journal."""

    def __init__(self, world: Storm, ledger: Ledger) -> None:
        super().__init__(world, ledger, RetryPolicy(retries=world.weather.retries, base=0.01, cap=0.1))
        self.storm = world
        self.commits: Commits[tuple[int, State], Saying] = Commits()
        self.batch: list[tuple[int, State]] = []  # that is being written
        self.dead = False
        self.early: list[tuple[int, list[m.Message]]] | None = None

    def exchange(self, peer: int, messages: list[m.Message]) -> None:
        if self.early is not None:
            self.early.append((peer, messages))
            return
        super().exchange(peer, messages)
        reports = [one for one in messages if one[0] in m.REPORTS]
        if reports and peer not in self.gone:
            self.commits.say((peer, (m.RECORDED, len(reports))))
        for report in reports:
            if report[0] != m.UNSTORED and self.storm.draw.random() < self.storm.weather.repeats:
                self.storm.note("wire", "repeats %s", report)
                self.call(self._handle(peer, report) if peer not in self.gone else [])
        self.write()

    def _perform(self, effects: list[led.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, led.Ended):
                self.storm.note("queue", "%s", effect)
                for item in effect.items if effect.state is not State.LEFT else ():
                    self.commits.record((item, effect.state))
                self.commits.say((None, effect))
            elif isinstance(effect, led.RunEnded):
                self.commits.say((None, effect))
            else:
                super()._perform([effect])

    def _settle(self) -> None:
        self.write()
        super()._settle()

    def write(self) -> None:
        """Say what may be said, and write the next batch."""
        for peer, what in self.commits.due():
            if peer is None:
                self.storm.hears(what)
            elif peer in self.mail:
                self.mail[peer].post(what)
        batch = self.commits.next_batch()
        if batch:
            self.batch = batch
            took = self.storm.draw.uniform(0.5, 1.5) * self.storm.weather.disk
            self._clock.at(self._clock.now + took, self._wrote)

    def _wrote(self, _: None) -> None:
        if not self.dead:
            self.storm.record(self.batch)
            self.batch = []
            self.commits.written()
            self._settle()


class StormyWorker(Worker):  # type: ignore[misc]
    """As the farm's: it keeps its reports until they are recorded, and finds the next queue."""

    def __init__(self, world: Storm, number: int, pipeline: Pipeline) -> None:
        super().__init__(world, number, pipeline)
        self.storm = world
        self.unrecorded: deque[m.Message] = deque()
        self.is_alone = False

    def _answered(self, messages: list[m.Message]) -> None:
        for message in messages:
            for _ in range(message[1] if message[0] == m.RECORDED else 0):
                self.unrecorded.popleft()
        super()._answered([message for message in messages if message[0] != m.RECORDED])

    def lose_the_queue(self) -> None:
        """Whatever was under way is lost."""
        self.is_alone = True
        self.pipeline.alone()
        for wire in (self.up, self.down):
            wire._deliver = _nowhere
        costs, number = self._world.costs, self.number
        clock = self._world.clock
        self.up = Wire(clock, costs.wire, lambda messages: self._world.queue.exchange(number, messages))
        self.down = Wire(clock, costs.wire, self._answered)

    def rejoin(self, deaths: int) -> None:
        """It has found the queue that came after so many deaths; unless that is dead, too."""
        if self.alive and self.is_alone and deaths == self.storm.deaths:
            self.is_alone = False
            reports, self.unrecorded = list(self.unrecorded), deque()
            self.storm.note(self, "comes back%s", "")
            self._timer.quiet()
            self._catch_up()
            self._perform(self.pipeline.rejoined(reports, self._clock.now))


@dataclass
class Seen:
    """What became of the items."""

    journal: dict[int, State] = field(default_factory=dict)
    heard: dict[int, State] = field(default_factory=dict)
    computed: Counter[int] = field(default_factory=Counter)
    run_ended: bool = False


class Storm(sim.World):
    """One schedule. `play` lets it happen and checks it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.weather = Weather.of(seed)
        self.draw = random.Random(f"storm {seed}")
        self.seen = Seen()
        self.log: list[tuple[float, Any, str, Any]] = []
        self.deaths = 0  # of queues
        self.disturbed = False
        self.closed = self.cancelled = False
        self.unit = self.weather.shapes[0].batch_size or 1
        super().__init__(Costs(self.weather, self.draw), self._ledger())
        self.queue: StormyQueue = StormyQueue(self, self.queue.ledger)

    def _ledger(self) -> Ledger:
        first = 1 + self.deaths * _LEASES
        return Ledger(self.unit, workers=len(self.weather.shapes), first_lease=first)

    # What happens

    def play(self) -> None:
        """Everything, to its end. An error carries the story."""
        try:
            self.open(RUN)
            for shape in self.weather.shapes:
                self.enlist(shape)
            self.submit(RUN, self.weather.items)
            self.closed = True
            self.close(RUN)
            for moment, what in self.weather.blows:
                self.clock.at(moment, self.blow, what)
            self._run()
            assert self.seen.run_ended, "the run has not ended"
            self.stop()
            self._run()
            self._check()
        except BaseException as error:
            error.add_note(self.story())
            raise

    def _run(self) -> None:
        for _ in range(_MOST_STEPS):
            if not self.clock.step(float("inf")):
                return
        raise AssertionError(f"it goes on after {_MOST_STEPS} steps")

    def enlist(self, shape: Shape) -> None:
        number = len(self.workers)
        worker = StormyWorker(self, number, shape.build(number, self.clock.now))
        self.workers.append(worker)
        self.note(worker, "begins%s", "")
        if self.queue.dead:
            worker.lose_the_queue()
        worker.begin()

    def blow(self, what: str) -> None:
        """Something goes wrong."""
        if self.seen.run_ended:
            return
        self.disturbed = True
        living = [worker for worker in self.workers if worker.alive and worker.number not in self.queue.gone]
        if what == "queue":
            self.kill_the_queue()
        elif what == "cancel" and not self.cancelled:
            self.note("caller", "cancels%s", "")
            self.cancelled = True
            if not self.queue.dead:
                self.cancel(RUN)
        elif what == "worker" and living:
            self.kill(self.draw.choice(living))
        elif what == "deaf" and living and not self.queue.dead:
            worker = self.draw.choice(living)
            self.note(worker, "is taken for dead%s", "")
            self.enlist(self.weather.shapes[0])
            self.queue.lose(worker.number, worker.pipeline.loading)
        elif what == "wires" and living:
            worker = self.draw.choice(living)
            until = self.clock.now + self.draw.uniform(0.0, 0.5)
            self.note(worker, "cannot be reached until %.3f ms", 1e3 * until)
            worker.up.free_at = max(worker.up.free_at, until)
            worker.down.free_at = max(worker.down.free_at, until)

    def kill(self, worker: Worker) -> None:
        """A worker dies; that is known at once, or behind its last words. Another one takes its place."""
        self.note(worker, "dies%s", "")
        worker.alive = False
        late = max(worker.up.free_at, self.clock.now) if self.draw.random() < 0.5 else self.clock.now
        self.clock.at(late, self._lose, worker)

    def _lose(self, worker: Worker) -> None:
        if not self.queue.dead:
            self.queue.lose(worker.number, worker.pipeline.loading)
        self.enlist(self.weather.shapes[0])

    def kill_the_queue(self) -> None:
        """With all that it knew. The caller notices, and starts another one."""
        queue = self.queue
        if queue.dead:
            return
        self.note("queue", "dies, while it writes %s", queue.batch)
        queue.dead = True
        queue.ledger = Ledger()  # what its timer still rings for is nothing
        self.deaths += 1
        if queue.batch and self.draw.random() < 0.5:  # it was on disk, and nobody was told
            self.record(queue.batch)
        for worker in self.workers:
            if isinstance(worker, StormyWorker):
                worker.lose_the_queue()
        self.clock.at(self.clock.now + self.draw.uniform(0.0, 0.05), self._begin_again)

    def _begin_again(self, _: None) -> None:
        """As `farm.told`: what is recorded is heard, the rest is told to another queue."""
        gone = self.queue.gone
        for item, state in sorted(self.seen.journal.items()):
            if item not in self.seen.heard:
                self._hear_of(item, state)
        self.queue = StormyQueue(self, self._ledger())
        self.queue.gone = gone
        self.note("queue", "begins, with %s items", self.weather.items - len(self.seen.heard))
        back = [worker for worker in self.workers if worker.alive and worker.number not in gone]
        ledger, now = self.queue.ledger, self.clock.now
        self.queue.call(ledger.returning(tuple(worker.number for worker in back), now))
        self.queue.call(ledger.opened(RUN))
        for item in range(self.weather.items):
            if item not in self.seen.heard:
                self.queue.call(ledger.submitted(RUN, item, 1, CAUSE_SOURCE, now))
        if self.closed:
            self.queue.call(ledger.closed(RUN, now))
        if self.cancelled:
            self.queue.call(ledger.cancelled(RUN, now))
        for worker in back:
            if isinstance(worker, StormyWorker):
                self.clock.at(now + self.draw.expovariate(1.0) * 0.03, worker.rejoin, self.deaths)

    # What is heard of

    def record(self, batch: list[tuple[int, State]]) -> None:
        """A batch is on disk."""
        self.note("disk", "has %s", batch)
        for item, state in batch:
            assert item not in self.seen.journal, f"item {item} is recorded twice"
            self.seen.journal[item] = state

    def hears(self, effect: led.Effect) -> None:
        """The caller is told."""
        self.note("caller", "hears %s", effect)
        if isinstance(effect, led.RunEnded):
            assert not self.seen.run_ended, "the run ended twice"
            self.seen.run_ended = True
        elif isinstance(effect, led.Ended):
            for item in effect.items:
                self._hear_of(item, effect.state)

    def _hear_of(self, item: int, state: State) -> None:
        assert item not in self.seen.heard, f"the caller hears twice of item {item}"
        if state is not State.LEFT:
            assert self.seen.journal.get(item) is state, f"item {item} is {state}, and not recorded so"
        self.seen.heard[item] = state

    def said(self, worker: Worker, messages: list[m.Message]) -> None:
        self.note(worker, "says %s", [one for one in messages if one[0] not in {m.TOTALS, m.TRACE}])
        if isinstance(worker, StormyWorker):
            worker.unrecorded.extend(one for one in messages if one[0] in m.REPORTS)

    def answered(self, worker: Worker, messages: list[m.Message]) -> None:
        if messages:
            self.note(worker, "hears %s", messages)

    def began(self, worker: Worker, items: tuple[int, ...]) -> None:
        self.note(worker, "takes %s", items)

    def processed(
        self, worker: Worker, items: tuple[int, ...], ends: list[float]
    ) -> dict[int, tuple[str, float]]:
        self.seen.computed.update(items)
        failures = {item: self._fault() for item in items}
        return {item: fault for item, fault in failures.items() if fault is not None}

    def failure(self, where: str, item: int) -> tuple[str, float] | None:
        return self._fault()

    def _fault(self) -> tuple[str, float] | None:
        if self.draw.random() >= self.weather.failures:
            return None
        self.disturbed = True
        return self.draw.choice(((ERROR, 0.0), (ERROR, 0.0), (LATER, 0.01), (REJECT, 0.0)))

    # What must hold

    def _check(self) -> None:
        seen = self.seen
        assert sorted(seen.heard) == list(range(self.weather.items)), "an item is lost"
        recorded = {item: state for item, state in seen.heard.items() if state is not State.LEFT}
        assert seen.journal == recorded
        assert self.cancelled or State.LEFT not in seen.heard.values()
        if not self.disturbed:
            assert set(seen.computed.values()) <= {1}, "nothing went wrong, and something was computed twice"
        ledger = self.queue.ledger
        ledger.validate()
        assert not ledger.open_runs
        assert self.queue.commits.is_settled
        for worker in self.workers:
            worker.pipeline.validate() if worker.alive else None
            if worker.alive and worker.number not in self.queue.gone:
                assert worker.pipeline.phase is Phase.GONE, f"{worker} did not say goodbye"

    # The story

    def note(self, who: Any, what: str, about: Any) -> None:
        self.log.append((self.clock.now if hasattr(self, "clock") else 0.0, who, what, about))

    def story(self) -> str:
        """What happened, for a person."""
        lines = [f"{now * 1e3:11.3f} ms  {who!s:>6}  {what % (about,)}" for now, who, what, about in self.log]
        return "\n".join([f"seed {self.seed}: {self.weather}", "what happened:", *lines[-_LINES_SHOWN:]])


def _nowhere(messages: list[m.Message]) -> None:
    """Where the messages to and from a dead queue go."""
