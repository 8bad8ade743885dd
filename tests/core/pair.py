"""The simulator's world with eyes: one ledger and any number of pipelines over wires, in virtual time.

The machines and the shells around them are those of `pullahead.sim`. What takes how long, and what fails, is
asked of `Costs` and `Faults`. After every event the world is checked: `World.check` says what must always
hold. What happened is kept in `World.log`; an error that escapes carries its last lines.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any, Protocol

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
    tick_after_take: bool = True  # what the pipeline advises; False is a shell that waits for the next event

    def build(self, number: int, now: float) -> Pipeline:
        return Pipeline(
            Lookahead(self.lookahead, batch=self.batch_size or 1),
            Meter(number, now),
            Recorder(),
            batch_size=self.batch_size,
            batch_wait=self.batch_wait,
            loads=self.loads,
            stores=self.stores,
            load_concurrency=self.load_concurrency,
        )


@dataclass
class _Most:
    """The most that one worker has had, at any moment."""

    ahead: int = 0  # held and asked for beyond what is computed: what its policy allowed
    cut: int = 0  # items of one slice that were taken back from the main thread
    unasked_for: int = 0  # granted at once because it was stuck


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
        super().__init__(costs or Steady(), Ledger(unit), retry)
        self.faults = faults or NoFaults()
        self.checked = checked
        self.shapes: list[Shape] = []  # of each worker
        self.most: list[_Most] = []
        self.run_of: dict[int, int] = {}  # of every item that was submitted
        self.ends: dict[int, list[State]] = defaultdict(list)
        self.ended: dict[int, float] = {}  # when each run ended
        self.starved: Counter[int] = Counter()
        self.running: dict[int, Worker] = {}
        self.computed: Counter[int] = Counter()
        self.log: list[tuple[float, Any, str, Any]] = []

    # What a caller does

    def enlist(self, shape: Shape) -> Worker:
        """Start one more worker, built like this."""
        number = len(self.workers)
        self.shapes.append(shape)
        self.most.append(_Most())
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

    def kill(self, number: int, early: bool) -> None:
        """A worker's process dies. `early`: this is known before its last words have arrived."""
        worker = self.workers[number]
        if not worker.alive or worker.is_gone:
            return
        self.note(worker, "dies%s", "")
        worker.alive = False
        self.running = {item: by for item, by in self.running.items() if by is not worker}
        if early:
            self.queue.lose(number)
        else:
            self.clock.at(worker.up.free_at, self.queue.lose, number)

    def run(self, until: float = float("inf")) -> None:
        """Let everything happen that will happen."""
        try:
            while self.clock.step(until):
                if self.checked:
                    self.check()
        except BaseException as error:
            error.add_note(self.story())
            raise

    # What it hears of

    def decided(self, effect: led.Effect) -> None:
        self.note("queue", "%s", effect)
        if isinstance(effect, led.Ended):
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
        for message in messages:
            if message[0] == m.GRANT and message[5] == m.UNASKED_FOR:
                most = self.most[worker.number]
                most.unasked_for = max(most.unasked_for, len(message[3]))

    def said(self, worker: Worker, messages: list[m.Message]) -> None:
        self.note(worker, "says %s", [one for one in messages if one[0] not in {m.TOTALS, m.TRACE}])

    def began(self, worker: Worker, items: tuple[int, ...]) -> None:
        self.note(worker, "takes %s", items)
        for item in items:
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
            if fault is not None or not self.shapes[worker.number].stores:
                self.stopped_running(worker, item)
        return failures

    def stored(self, worker: Worker, item: int) -> None:
        self.stopped_running(worker, item)

    def failure(self, where: str, item: int) -> tuple[str, float] | None:
        return self.faults.at(where, item)

    def stopped_running(self, worker: Worker, item: int) -> None:
        assert self.running.pop(item) is worker

    # What must hold

    def check(self) -> None:
        """After every event."""
        ledger = self.queue.ledger
        ledger.validate()
        statistics = ledger.statistics()
        ended = sum(len(ends) for ends in self.ends.values())
        in_one_state = statistics.ready + statistics.held + statistics.running + statistics.delayed
        assert in_one_state + ended == self.submitted
        assert all(len(ends) == 1 for ends in self.ends.values()), "an item ended twice"
        waiting, hungry = ledger.waiting, ledger.starving
        assert waiting.keys() >= set(hungry)
        assert not (hungry and statistics.ready), (
            f"{statistics.ready} items are ready and {hungry} are hungry"
        )
        if waiting and statistics.ready:
            assert ledger.is_at_end, f"{statistics.ready} items are ready and {list(waiting)} wait"
        for worker in self.workers:
            if worker.alive and worker.pipeline.phase is not Phase.GONE:
                self._check_worker(worker)

    def _check_worker(self, worker: Worker) -> None:
        pipeline, shape, most = worker.pipeline, self.shapes[worker.number], self.most[worker.number]
        pipeline.validate()
        unit = shape.batch_size or 1
        policy = pipeline.lookahead
        if pipeline.running is not None:
            # What was cut from it is held again, and what took its place was asked for before.
            most.cut = max(most.cut, len(pipeline.running.items) - pipeline.running.size)
        ahead = pipeline.held + pipeline.asked
        if shape.lookahead is not None and not shape.batch_size:
            next_up = 0 if worker.computing else pipeline._next_slice()
            assert ahead <= shape.lookahead + next_up + most.cut + most.unasked_for, (
                "more is held than the rule allows"
            )
        # A lookahead that shrinks does not take its asks back: compare with the most that it ever allowed.
        next_up = unit if shape.batch_size else pipeline._next_slice()
        most.ahead = max(most.ahead, policy.depth + policy.bundle - 1 + next_up)
        # What it got for being stuck may cross with an ask that was made when it no longer was.
        assert ahead <= most.ahead + most.cut + most.unasked_for
        if worker.number not in self.queue.gone and not self.queue.stopping:
            assert pipeline.asked == self._credits_of(worker), "what was asked for is not what will come"

    def _credits_of(self, worker: Worker) -> int:
        """Count what a worker will still get, wherever it is: asks and grants on their way, its credits."""
        credits = self.queue.ledger.waiting.get(worker.number, 0)
        box = self.queue.mail.get(worker.number)
        up: list[m.Message] = [
            *worker.pipeline._outbox._messages,
            *(one for call in worker.up.under_way for one in call),
        ]
        down: list[m.Message] = [
            *(box._outbox if box else ()),
            *(one for answer in worker.down.under_way for one in answer),
        ]
        asked: int = sum(one[1] for one in up if one[0] == m.ASK)
        granted = sum(len(one[3]) for one in down if one[0] == m.GRANT and one[5] != m.UNASKED_FOR)
        unasked: int = sum(one[1] for one in down if one[0] == m.UNASKED)
        return asked + granted + unasked + credits

    def check_over(self) -> None:
        """Once nothing happens any more, all runs are closed, and the workers were told to stop."""
        try:
            assert {item: len(ends) for item, ends in self.ends.items()} == dict.fromkeys(self.run_of, 1)
            assert not self.queue.ledger.open_runs, "a run has not ended"
            assert not self.running
            for worker in self.workers:
                if worker.alive:
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
