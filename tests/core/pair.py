"""Both ends through a fake wire: one ledger and any number of pipelines, in virtual time.

The machines are the real ones, with the real mailboxes and callers between them. Around them are shells like
the farm's (feed, perform, arm one timer), a heap of events for a clock, and a wire that keeps the order of
what one side of one worker sends, and no other. What takes how long, and what fails, is asked of `Costs` and
`Faults`.

After every event the world is checked: `World.check` says what must always hold. What happened is kept in
`World.log`; an error that escapes carries its last lines.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, Protocol

from pullahead.core import ledger as led
from pullahead.core import messages as m
from pullahead.core import pipeline as pipe
from pullahead.core.exchange import Mailbox
from pullahead.core.ledger import Ledger, State
from pullahead.core.lookahead import Lookahead
from pullahead.core.meter import Meter
from pullahead.core.pipeline import Phase, Pipeline
from pullahead.core.retry import ERROR, RetryPolicy
from pullahead.core.slices import Slice
from pullahead.core.trace import CAUSE_SOURCE, Recorder

#: Timer calls at one moment without any other event: a machine that asks for more is spinning.
_MAX_TICKS = 3
_LINES_SHOWN = 200


class Costs(Protocol):
    """Seconds that things take."""

    def compute(self, item: int) -> float: ...
    def load(self, item: int) -> float: ...
    def store(self, item: int) -> float: ...
    def wire(self) -> float:
        """One way."""
        ...

    def wake(self) -> float:
        """From waking the main thread to its running."""
        ...


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


class Clock:
    """Virtual time: a heap of what happens when. Equal moments keep the order in which they were set."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, moment: float, call: Callable[[], None]) -> None:
        self._count += 1
        heappush(self._events, (max(self.now, moment), self._count, call))

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        self.at(self.now + seconds, call)

    def step(self, until: float) -> bool:
        """Jump to the next event and let it happen. Return False when there is none until then."""
        if not self._events or self._events[0][0] > until:
            return False
        self.now, _, call = heappop(self._events)
        call()
        return True


class Timer:
    """One deadline, armed again after every event; the last one that was set counts."""

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock, self._ring = clock, ring
        self._generation = 0
        self._rang: deque[float] = deque(maxlen=_MAX_TICKS + 1)

    def set(self, moment: float | None) -> None:
        self._generation += 1
        if moment is not None:
            generation = self._generation
            self._clock.at(moment, lambda: self._fire(generation))

    def quiet(self) -> None:
        """Something else happened: ticks count from here."""
        self._rang.clear()

    def _fire(self, generation: int) -> None:
        if generation == self._generation:
            self._rang.append(self._clock.now)
            spins = len(self._rang) > _MAX_TICKS and self._rang[0] == self._clock.now
            assert not spins, "a deadline that has come is not over after its tick"
            self._ring()


class Wire:
    """One direction between two peers: late, but in order."""

    def __init__(self, world: World, deliver: Callable[[list[m.Message]], None]) -> None:
        self._world, self._deliver = world, deliver
        self.free_at = 0.0  # when the last that was sent arrives
        self.under_way: deque[list[m.Message]] = deque()

    def send(self, messages: list[m.Message]) -> None:
        self.under_way.append(messages)
        self.free_at = max(self.free_at, self._world.clock.now + self._world.costs.wire())
        self._world.clock.at(self.free_at, self._arrive)

    def _arrive(self) -> None:
        self._deliver(self.under_way.popleft())


class QueueShell:
    """Around the ledger, as `farm.queue` is. The caller of the run speaks to it without a wire."""

    def __init__(self, world: World, retry: RetryPolicy) -> None:
        self.world, self.retry = world, retry
        self.ledger = Ledger(world.unit)
        self.mail: dict[int, Mailbox[int]] = {}
        self.gone: set[int] = set()
        self.stopping = False
        self.timer = Timer(world.clock, self._ring)

    def exchange(self, peer: int, messages: list[m.Message]) -> None:
        """A worker's call arrives."""
        self.timer.quiet()
        if peer not in self.mail and peer not in self.gone:
            self.mail[peer] = Mailbox()
            self.ledger.joined(peer)
            if self.stopping:
                self._stop(peer)
        for message in messages:
            if peer not in self.gone:
                self.perform(self._received(peer, message))
        if peer in self.mail:
            self._answer(peer, self.mail[peer].park(peer))
        self.settle()

    def call(self, effects: list[led.Effect]) -> None:
        """The caller has called the ledger; perform what follows."""
        self.timer.quiet()
        self.perform(effects)
        self.settle()

    def settle(self) -> None:
        """Answer who can be told something, and arm the timer."""
        for peer, box in self.mail.items():
            self._answer(peer, box.flush())
        self.timer.set(self.ledger.deadline)

    def stop(self) -> None:
        self.stopping = True
        for peer in self.mail:
            self._stop(peer)
        self.settle()

    def lose(self, worker: int) -> None:
        """A worker's process is known to have ended."""
        self.mail.pop(worker, None)
        self.gone.add(worker)
        decide = {item: self._decide(item, ERROR, 0.0) for item in self.ledger.running_of(worker)}
        self.call(self.ledger.lost(worker, decide, self.world.clock.now))

    def perform(self, effects: list[led.Effect]) -> None:
        for effect in effects:
            self.world.note("queue", "%s", effect)
            if isinstance(effect, led.Grant):
                payloads = list(range(effect.first, effect.first + effect.size))
                grant = (m.GRANT, effect.lease, effect.first, payloads, effect.waited, effect.cause)
                self.mail[effect.worker].post(grant)
            elif isinstance(effect, led.Recall):
                self.mail[effect.worker].post((m.RECALL, effect.size))
            elif isinstance(effect, led.Unasked):
                self.mail[effect.worker].post((m.UNASKED, effect.credits))
            elif isinstance(effect, led.Withdraw):
                self.mail[effect.worker].post((m.WITHDRAW, effect.lease))
            elif isinstance(effect, led.NothingLeft):
                self.mail[effect.worker].post((m.CLOSED, effect.waited, effect.cause))
            else:
                self.world.told(effect)

    def _stop(self, peer: int) -> None:
        self.ledger.stopping(peer)
        self.mail[peer].post((m.STOP,))

    def _ring(self) -> None:
        self.perform(self.ledger.tick(self.world.clock.now))
        self.settle()

    def _answer(self, peer: int, answers: list[tuple[int, list[Any]]]) -> None:
        for _, messages in answers:
            self.world.workers[peer].down.send(messages)

    def _decide(self, item: int, kind: str, delay: float) -> Any:
        return self.retry.decide(self.ledger.attempts(item), kind, delay, 0.5)

    def _received(self, worker: int, message: m.Message) -> list[led.Effect]:
        now, ledger = self.world.clock.now, self.ledger
        match message:
            case (m.ASK, credits):
                return ledger.asked(worker, credits, now)
            case (m.STARTED, lease, items):
                return ledger.started(worker, lease, items)
            case (m.DONE, lease, items):
                return ledger.finished(worker, lease, items, now)[1]
            case (m.FAILED, lease, item, kind, delay):
                return ledger.failed(worker, lease, item, self._decide(item, kind, delay), now)[1]
            case (m.GAVE_BACK, lease, items):
                return ledger.gave_back(worker, lease, items, now)
            case (m.BYE,):
                self.gone.add(worker)
                del self.mail[worker]
                return ledger.said_goodbye(worker)
            case (m.HUNGRY, asked):
                return ledger.hungry(worker, asked, now)
            case (m.RECALLED, returned):
                return ledger.recalled(worker, returned, now)
            case (m.STUCK, size, rest):
                return ledger.stuck(worker, size, rest, now)
        assert message[0] in {m.TOTALS, m.TRACE}
        return []


class WorkerShell:
    """Around a pipeline, as `farm.worker` is: a main thread that computes, and loads and stores beside it."""

    def __init__(self, world: World, number: int, shape: Shape) -> None:
        self.world, self.number, self.shape = world, number, shape
        self.pipeline = shape.build(number, world.clock.now)
        self.alive = True
        self.computing: tuple[int, ...] = ()
        self.most_ahead = 0  # held and asked for beyond what is computed, at any moment
        self.most_cut = 0  # items of one slice that were taken back from the main thread
        self.most_unasked_for = 0  # granted at once because it was stuck
        self.up = Wire(world, lambda messages: world.queue.exchange(number, messages))
        self.down = Wire(world, self._answered)
        self.timer = Timer(world.clock, self._ring)
        self._woken = False

    def begin(self) -> None:
        self._feed(lambda now: self.pipeline.began(now))

    def _feed(self, event: Callable[[float], list[pipe.Effect]]) -> None:
        if self.alive:
            self.timer.quiet()
            self._perform(event(self.world.clock.now))

    def _ring(self) -> None:
        if self.alive:
            self._perform(self.pipeline.tick(self.world.clock.now))

    def _answered(self, messages: list[m.Message]) -> None:
        if self.alive and messages:
            self.world.note(self, "hears %s", messages)
        for message in messages:
            if message[0] == m.GRANT and message[5] == m.UNASKED_FOR:
                self.most_unasked_for = max(self.most_unasked_for, len(message[3]))
        self._feed(lambda now: self.pipeline.answered(messages, now))

    def _perform(self, effects: list[pipe.Effect]) -> None:
        costs, clock = self.world.costs, self.world.clock
        for effect in effects:
            match effect:
                case pipe.Send():
                    messages = self.pipeline.take_messages(clock.now)
                    self.world.note(
                        self, "says %s", [one for one in messages if one[0] not in {m.TOTALS, m.TRACE}]
                    )
                    self.up.send(messages)
                case pipe.Load(item):
                    clock.after(costs.load(item), lambda item=item: self._load_ended(item))  # type: ignore[misc]
                case pipe.Store(item):
                    clock.after(costs.store(item), lambda item=item: self._store_ended(item))  # type: ignore[misc]
                case pipe.Wake():
                    if not self._woken:
                        self._woken = True
                        clock.after(costs.wake(), self._wake)
                case pipe.Discard(item):
                    self.world.note(self, "%s", effect)
        self.timer.set(self.pipeline.deadline)

    def _wake(self) -> None:
        self._woken = False
        if self.alive and not self.computing:
            self._take()

    def _take(self) -> None:
        now = self.world.clock.now
        items = self.pipeline.take(now)
        if not items:
            self.timer.set(self.pipeline.deadline)
            return
        self.world.note(self, "takes %s", items)
        ran = self.pipeline.running
        assert ran is not None
        self._begin(ran, items if self.shape.batch_size else items[:1], now)
        if self.shape.tick_after_take:
            self._perform(self.pipeline.tick(now))

    def _begin(self, ran: Slice, items: tuple[int, ...], start: float) -> None:
        """Call `process`: for a batch, or for the next item of a slice whose first one began at `start`."""
        ran.since = self.world.clock.now
        self.computing = items
        self.world.began(self, items)
        seconds = sum(self.world.costs.compute(item) for item in items)
        self.world.clock.after(seconds, lambda: self._computed(ran, items, start))

    def _computed(self, ran: Slice, items: tuple[int, ...], start: float) -> None:
        if not self.alive:
            return
        self.computing = ()
        for item in items:
            fault = self.world.faults.at("process", item)
            if fault is not None:
                ran.failures[item] = fault
            if fault is not None or not self.shape.stores:
                self.world.stopped_running(self, item)
        if ran.waiting:
            self._begin(ran, (ran.waiting.popleft(),), start)
            return
        if len(ran.items) > ran.size:
            self.world.note(self, "was cut to %s", ran.items[: ran.size])
        self._feed(lambda now: self.pipeline.processed(start, now, now - start, now))
        self._take()

    def _load_ended(self, item: int) -> None:
        fault = self.world.faults.at("load", item)
        if fault is None:
            self._feed(lambda now: self.pipeline.loaded(item, now))
        else:
            self._feed(lambda now: self.pipeline.load_failed(item, *fault, now))

    def _store_ended(self, item: int) -> None:
        if not self.alive:
            return
        self.world.stopped_running(self, item)
        fault = self.world.faults.at("store", item)
        if fault is None:
            self._feed(lambda now: self.pipeline.stored(item, now))
        else:
            self._feed(lambda now: self.pipeline.store_failed(item, *fault, now))

    def __repr__(self) -> str:
        return f"w{self.number}"


@dataclass
class World:
    """The whole of it, and what the caller of the runs saw.

    Args:
        costs: how long things take.
        faults: what fails.
        retry: what becomes of it.
    """

    costs: Costs = field(default_factory=Steady)
    faults: Faults = field(default_factory=NoFaults)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    unit: int = 1  # items of a batch
    checked: bool = True  # after every event; a long simulation may do without

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.queue = QueueShell(self, self.retry)
        self.workers: list[WorkerShell] = []
        self.submitted: dict[int, int] = {}  # item -> run
        self.ends: dict[int, list[State]] = defaultdict(list)
        self.ended: dict[int, float] = {}  # when each run ended
        self.starved: Counter[int] = Counter()
        self.running: dict[int, WorkerShell] = {}
        self.computed: Counter[int] = Counter()
        self.log: list[tuple[float, Any, str, Any]] = []

    # What a caller does

    def start(self, shape: Shape) -> WorkerShell:
        worker = WorkerShell(self, len(self.workers), shape)
        self.workers.append(worker)
        self.note(worker, "begins%s", "")
        worker.begin()
        return worker

    def open(self, run: int) -> None:
        self.queue.call(self.queue.ledger.opened(run))

    def submit(self, run: int, count: int, cause: str = CAUSE_SOURCE) -> None:
        first = len(self.submitted)
        self.note("caller", "submits %s", (run, first, count))
        self.submitted.update(dict.fromkeys(range(first, first + count), run))
        self.queue.call(self.queue.ledger.submitted(run, first, count, cause, self.clock.now))

    def close(self, run: int) -> None:
        self.note("caller", "closes %s", run)
        self.queue.call(self.queue.ledger.closed(run, self.clock.now))

    def cancel(self, run: int) -> None:
        self.note("caller", "cancels %s", run)
        self.queue.call(self.queue.ledger.cancelled(run, self.clock.now))

    def stop(self) -> None:
        self.note("caller", "stops%s", "")
        self.queue.stop()

    def kill(self, number: int, early: bool) -> None:
        """A worker's process dies. `early`: this is known before its last words have arrived."""
        worker = self.workers[number]
        if not worker.alive or worker.pipeline.phase is Phase.GONE:
            return
        self.note(worker, "dies%s", "")
        worker.alive = False
        self.running = {item: by for item, by in self.running.items() if by is not worker}
        if early:
            self.queue.lose(number)
        else:
            self.clock.at(worker.up.free_at, lambda: self.queue.lose(number))

    def run(self, until: float = float("inf")) -> None:
        """Let everything happen that will happen."""
        try:
            while self.clock.step(until):
                if self.checked:
                    self.check()
        except BaseException as error:
            error.add_note(self.story())
            raise

    # What the shells tell

    def told(self, effect: led.Effect) -> None:
        if isinstance(effect, led.Ended):
            for item in effect.items:
                assert self.submitted[item] == effect.run
                self.ends[item].append(effect.state)
        elif isinstance(effect, led.RunEnded):
            assert effect.run not in self.ended, f"run {effect.run} ended twice"
            self.ended[effect.run] = self.clock.now
        else:
            assert isinstance(effect, led.Starved)
            self.starved[effect.run] += 1

    def began(self, worker: WorkerShell, items: tuple[int, ...]) -> None:
        for item in items:
            assert item not in self.running, f"item {item} runs on {self.running[item]} and on {worker}"
            self.running[item] = worker
            self.computed[item] += 1

    def stopped_running(self, worker: WorkerShell, item: int) -> None:
        assert self.running.pop(item) is worker

    # What must hold

    def check(self) -> None:
        """After every event."""
        ledger = self.queue.ledger
        ledger.validate()
        statistics = ledger.statistics()
        ended = sum(len(ends) for ends in self.ends.values())
        in_one_state = statistics.ready + statistics.held + statistics.running + statistics.delayed
        assert in_one_state + ended == len(self.submitted)
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

    def _check_worker(self, worker: WorkerShell) -> None:
        pipeline, shape = worker.pipeline, worker.shape
        pipeline.validate()
        unit = shape.batch_size or 1
        policy = pipeline.lookahead
        if pipeline.running is not None:
            # What was cut from it is held again, and what took its place was asked for before.
            worker.most_cut = max(worker.most_cut, len(pipeline.running.items) - pipeline.running.size)
        ahead = pipeline.held + pipeline.asked
        if shape.lookahead is not None and not shape.batch_size:
            next_up = 0 if worker.computing else pipeline._next_slice()
            assert ahead <= shape.lookahead + next_up + worker.most_cut + worker.most_unasked_for, (
                "more is held than the rule allows"
            )
        # A lookahead that shrinks does not take its asks back: compare with the most that it ever allowed.
        next_up = unit if shape.batch_size else pipeline._next_slice()
        worker.most_ahead = max(worker.most_ahead, policy.depth + policy.bundle - 1 + next_up)
        # What it got for being stuck may cross with an ask that was made when it no longer was.
        assert ahead <= worker.most_ahead + worker.most_cut + worker.most_unasked_for
        if worker.number not in self.queue.gone and not self.queue.stopping:
            assert pipeline.asked == self._credits_of(worker), "what was asked for is not what will come"

    def _credits_of(self, worker: WorkerShell) -> int:
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
            assert {item: len(ends) for item, ends in self.ends.items()} == dict.fromkeys(self.submitted, 1)
            assert not self.queue.ledger.open_runs, "a run has not ended"
            assert not self.running
            for worker in self.workers:
                if worker.alive:
                    assert worker.pipeline.phase is Phase.GONE, f"{worker} did not say goodbye"
                    self._check_totals(worker)
        except BaseException as error:
            error.add_note(self.story())
            raise

    def _check_totals(self, worker: WorkerShell) -> None:
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
