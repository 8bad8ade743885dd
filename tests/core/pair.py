"""The simulator's world with eyes: one ledger and any number of pipelines over wires, in virtual time.

The machines and the shells around them are those of `pullahead.sim`. What takes how long, and what fails, is
asked of `Costs` and `Faults`. After every event the world is checked: `promises` says what must always
hold. What happened is kept in `World.log`; an error that escapes carries its last lines.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any, Protocol

from tests.core.promises import Promises, Watched

from pullahead.core import ledger as led
from pullahead.core import messages as m
from pullahead.core.ledger import Ledger, State
from pullahead.core.lookahead import Lookahead
from pullahead.core.meter import Meter
from pullahead.core.pipeline import Phase, Pipeline
from pullahead.core.retry import RetryPolicy
from pullahead.core.trace import CAUSE_SOURCE, Recorder
from pullahead.sim import world as sim
from pullahead.sim.worker import Worker
from pullahead.sim.world import Costs

_LINES_SHOWN = 200


class Faults(Protocol):
    """What goes wrong."""

    def at(self, where: str, item: int) -> tuple[str, float] | None:
        """The kind and delay of a failure in "load", "process" or "store", or None."""
        ...


class NoFaults:
    def at(self, where: str, item: int) -> tuple[str, float] | None:
        return None


@dataclass(frozen=True)
class Steady:
    """Everything takes always the same."""

    compute_s: float = 1.0
    load_s: float = 0.0
    store_s: float = 0.0
    wire_s: float = 0.0
    wake_s: float = 0.0

    def compute(self, item: int) -> float:
        return self.compute_s

    def load(self, item: int) -> float:
        return self.load_s

    def store(self, item: int) -> float:
        return self.store_s

    def wire(self) -> float:
        return self.wire_s

    def wake(self) -> float:
        return self.wake_s


@dataclass(frozen=True)
class Shape:
    """How the workers are built."""

    lookahead: int | None = None
    batch_size: int = 0
    batch_wait: float = 0.0
    loads: bool = False
    stores: bool = False
    load_concurrency: int | None = None
    gives_back: bool = True
    tick_after_take: bool = True  # what the pipeline advises; False is a shell that waits for the next event

    def build(self, number: int, now: float) -> Pipeline:
        return Pipeline(
            Lookahead(self.lookahead, batch=self.batch_size or 1, eager=not self.loads),
            Meter(number, now),
            Recorder(),
            batch_size=self.batch_size,
            batch_wait=self.batch_wait,
            loads=self.loads,
            stores=self.stores,
            load_concurrency=self.load_concurrency,
            gives_back=self.gives_back,
        )


class World(sim.World):
    """The whole of it, and what the caller of the runs saw.

    Args:
        costs: how long things take.
        faults: what fails.
        retry: what becomes of it.
        unit: items of a batch.
        checked: after every event; a long simulation may do without.
    """

    def __init__(
        self,
        costs: Costs | None = None,
        faults: Faults | None = None,
        retry: RetryPolicy | None = None,
        unit: int = 1,
        checked: bool = True,
    ) -> None:
        watched = Watched(costs or Steady())
        super().__init__(watched, Ledger(unit), retry)
        self.promises = Promises(self, watched)
        self.faults = faults or NoFaults()
        self.unit = unit
        self.checked = checked
        self.shapes: list[Shape] = []  # of each worker
        self.given_up: set[int] = set()  # those that the queue takes for dead, and that go on
        self.steps = 0  # events so far
        self.run_of: dict[int, int] = {}  # of every item that was submitted
        self.ends: dict[int, list[State]] = defaultdict(list)
        self.ended: dict[int, float] = {}  # when each run ended
        self.starved: Counter[int] = Counter()
        self.running: dict[int, Worker] = {}
        self.computed: Counter[int] = Counter()
        self.suspects: set[int] = set()  # items that were being loaded when a worker died
        self.log: list[tuple[float, Any, str, Any]] = []

    # What a caller does

    def enlist(self, shape: Shape) -> Worker:
        """Start one more worker, built like this."""
        number = len(self.workers)
        self.shapes.append(shape)
        self.note(f"w{number}", "begins%s", "")
        worker = self.start(shape.build(number, self.clock.now))
        worker.ticks_at_once = shape.tick_after_take
        return worker

    def submit(self, run: int, count: int, cause: str = CAUSE_SOURCE) -> None:
        self.note("caller", "submits %s", (run, self.submitted, count))
        self.run_of.update(dict.fromkeys(range(self.submitted, self.submitted + count), run))
        super().submit(run, count, cause)

    def close(self, run: int) -> None:
        self.note("caller", "closes %s", run)
        super().close(run)

    def cancel(self, run: int) -> None:
        self.note("caller", "cancels %s", run)
        super().cancel(run)

    def stop(self) -> None:
        self.note("caller", "stops%s", "")
        super().stop()

    def kill(self, number: int, early: bool, unnoticed: float = 0.0) -> None:
        """A worker's process dies.

        Args:
            number: which.
            early: this is known before its last words have arrived.
            unnoticed: otherwise it is known so many seconds after them.
        """
        worker = self.workers[number]
        if not worker.alive or worker.is_gone:
            return
        self.note(worker, "dies%s", "")
        worker.alive = False
        self._forget_what_runs_on(worker)
        if early:
            self._lose(number)
        else:
            self.clock.at(max(worker.up.free_at, self.clock.now + unnoticed), self._lose, number)

    def give_up(self, number: int) -> None:
        """The queue takes a worker for dead. It goes on, and what it says is not heard any more."""
        worker = self.workers[number]
        if not worker.alive or number in self.queue.gone:
            return
        self.note(worker, "is given up%s", "")
        self.given_up.add(number)
        self._forget_what_runs_on(worker)
        self._lose(number)

    def _lose(self, number: int) -> None:
        self.promises.explained.update(self.queue.ledger._items.held_by(number))
        loading = self.workers[number].pipeline.loading
        self.suspects.update(self.queue.ledger._items.held_by(number).intersection(loading))
        self.queue.lose(number, loading)

    def _forget_what_runs_on(self, worker: Worker) -> None:
        self.running = {item: by for item, by in self.running.items() if by is not worker}

    @property
    def open_items(self) -> int:
        """How many items have not ended."""
        return self.submitted - len(self.ends)

    def run(self, until: float = float("inf"), at_most: float = float("inf")) -> None:
        """Let everything happen that will happen until a moment, or so many steps of it, and check each."""
        last = self.steps + at_most
        try:
            while self.steps < last and self.clock.step(until):
                self.steps += 1
                if self.checked:
                    self.promises.check()
        except BaseException as error:
            error.add_note(self.story())
            raise

    def drain(self, most_steps: float, most_seconds: float) -> None:
        """Termination: every run is closed, so within so much everything has ended and everybody is gone."""
        began = self.clock.now
        self.run(at_most=most_steps)
        self.stop()
        self.run(at_most=most_steps)
        try:
            assert not self.clock.step(float("inf")), f"it goes on after {most_steps} steps"
        except BaseException as error:
            error.add_note(self.story())
            raise
        self.check_over()
        lasted = max(self.ended.values()) - began
        assert lasted <= most_seconds, f"it went on for {lasted} s, and not for {most_seconds} s"

    # What it hears of

    def decided(self, effect: led.Effect) -> None:
        self.note("queue", "%s", effect)
        if isinstance(effect, led.Grant):
            self.promises.granted(effect)
        elif isinstance(effect, led.Recall):
            self.promises.recalled(effect)
        elif isinstance(effect, led.Ended):
            for item in effect.items:
                assert self.run_of[item] == effect.run
                self.ends[item].append(effect.state)
        elif isinstance(effect, led.RunEnded):
            assert effect.run not in self.ended, f"run {effect.run} ended twice"
            self.ended[effect.run] = self.clock.now
        elif isinstance(effect, led.Starved):
            self.starved[effect.run] += 1

    def heard(self, worker: int, message: m.Message) -> None:
        assert message[0] in {m.TOTALS, m.TRACE}

    def answered(self, worker: Worker, messages: list[m.Message]) -> None:
        if messages:
            self.note(worker, "hears %s", messages)

    def said(self, worker: Worker, messages: list[m.Message]) -> None:
        self.note(worker, "says %s", [one for one in messages if one[0] not in {m.TOTALS, m.TRACE}])
        self.promises.said(worker, messages)

    def began(self, worker: Worker, items: tuple[int, ...]) -> None:
        self.note(worker, "takes %s", items)
        self.promises.one_holder_begins(worker, items)
        for item in items if worker.number not in self.given_up else ():
            assert item not in self.running, f"item {item} runs on {self.running[item]} and on {worker}"
            self.running[item] = worker

    def cut(self, worker: Worker, items: tuple[int, ...]) -> None:
        self.note(worker, "was cut by %s", items)
        for item in items:
            self.stopped_running(worker, item)

    def processed(
        self, worker: Worker, items: tuple[int, ...], ends: list[float]
    ) -> dict[int, tuple[str, float]]:
        failures = {}
        for item in items:
            self.computed[item] += 1
            fault = self.faults.at("process", item)
            if fault is not None:
                failures[item] = fault
                self.promises.explained[item] += 1
            if fault is not None or not self.shapes[worker.number].stores:
                self.stopped_running(worker, item)
        return failures

    def stores(self, worker: Worker, item: int) -> None:
        if worker.number not in self.given_up:
            assert self.running.setdefault(item, worker) is worker, f"{worker} stores {item}"

    def stored(self, worker: Worker, item: int) -> None:
        self.stopped_running(worker, item)

    def failure(self, where: str, item: int) -> tuple[str, float] | None:
        fault = self.faults.at(where, item)
        if fault is not None:
            self.promises.explained[item] += 1
        return fault

    def stopped_running(self, worker: Worker, item: int) -> None:
        if worker.number not in self.given_up:
            assert self.running.pop(item) is worker

    # What must hold

    def check_over(self) -> None:
        """Once nothing happens any more, all runs are closed, and the workers were told to stop."""
        try:
            assert {item: len(ends) for item, ends in self.ends.items()} == dict.fromkeys(self.run_of, 1)
            assert not self.queue.ledger.open_runs, "a run has not ended"
            assert not self.running
            for worker in self.workers:
                if worker.alive and worker.number not in self.given_up:
                    assert worker.pipeline.phase is Phase.GONE, f"{worker} did not say goodbye"
                    self._check_totals(worker)
        except BaseException as error:
            error.add_note(self.story())
            raise

    def _check_totals(self, worker: Worker) -> None:
        totals = worker.pipeline.meter.totals
        life = totals.ended - totals.started
        spent = totals.useful + sum(totals.stalls.values()) + totals.tail
        # The main thread has no overhead here: every second of its life has a name.
        assert abs(life - spent) <= 1e-6 * max(1.0, life), (
            f"{worker} lived {life} s, of which {spent} s are named"
        )
        assert totals.hidden + totals.exposed <= totals.communication + 1e-6
        assert min(totals.hidden, totals.exposed) >= -1e-9

    # The story

    def note(self, who: Any, what: str, about: Any) -> None:
        self.log.append((self.clock.now, who, what, about))

    def story(self) -> str:
        lines = [f"{now * 1e3:12.3f} ms  {who!s:>6}  {what % (about,)}" for now, who, what, about in self.log]
        return "\n".join(["", "what happened:", *lines[-_LINES_SHOWN:]])
