"""The ledger against a naive oracle: one dict from item to state, and rules written down a second time."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import ceil

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pullahead.core.ledger import (
    Effect,
    Ended,
    Forget,
    Grant,
    Ledger,
    NothingLeft,
    Recall,
    RunEnded,
    Starved,
    State,
    StoreAgain,
    Unasked,
    Withdraw,
)
from pullahead.core.lookahead import WAY_BYTES
from pullahead.core.retry import LONG, Again, Bury

READY, HELD, RUNNING, DELAYED = State.READY, State.HELD, State.RUNNING, State.DELAYED
DONE, DEAD, LEFT = State.DONE, State.DEAD, State.LEFT


@dataclass
class Item:
    run: int
    state: State = READY
    worker: int = -1
    lease: int = 0
    due: float = 0.0
    attempts: int = 0
    delay: float = 0.0  # until it comes again, if it was put off


@dataclass
class Run:
    delays: bool = False
    closed: bool = False
    cancelled: bool = False
    starved: bool = False


decisions = st.one_of(
    st.builds(Again, st.sampled_from((0.0, 0.5, 2.0)), st.booleans()),
    st.just(Bury()),
)
picks = st.lists(st.integers(0, 50), min_size=1, max_size=6)


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ledger, self.unit = Ledger(), 1
        self.now = 0.0
        self.items: list[Item] = []
        self.runs: dict[int, Run] = {}
        self.opened = 0
        self.credits: dict[int, int] = {}
        self.hungry: set[int] = set()
        self.recalled: dict[int, int] = {}  # worker -> how much it was asked for and has not answered
        self.wanted: dict[int, int] = {}  # run -> how many of its items other crews may have
        self.stopping: set[int] = set()
        self.told: set[int] = set()  # that nothing is left, since their last grant
        self.joined = self.expected = 0
        self.largest = 0  # bytes
        self.finishers: set[int] = set()
        self.leases = 0
        self.stale = 0
        self.old: list[tuple[int, int, int]] = []  # (worker, lease, item) that was so once

    # The oracle

    def expect(self, effects: list[Effect], ended: dict[int, State] | None = None) -> None:
        """Apply effects to the oracle; what ends must be exactly what the rules say ends."""
        seen: dict[int, State] = {}
        starved: list[int] = []
        told: list[int] = []
        answered: set[int] = set()
        for effect in effects:
            if isinstance(effect, Grant):
                self._granted(effect)
            elif isinstance(effect, Ended):
                for item in effect.items:
                    assert item not in seen
                    assert (self.items[item].run, self.items[item].delay) == (effect.run, effect.delay)
                if set(effect.items) <= (ended or {}).keys():
                    seen |= dict.fromkeys(effect.items, effect.state)
                else:
                    self._left_to_others(effect)
                    answered.add(effect.run)
                for item in effect.items:
                    self.items[item].state = effect.state
            elif isinstance(effect, RunEnded):
                assert self.runs.pop(effect.run).closed
                assert not self.of_run(effect.run)
            elif isinstance(effect, Starved):
                starved.append(effect.run)
            elif isinstance(effect, NothingLeft):
                told.append(effect.worker)
            elif isinstance(effect, Recall):
                assert self.hungry or self.wanted
                assert effect.worker not in self.recalled, "one recall at a time"
                spare = self.spare(effect.worker)
                assert 0 < effect.size <= spare, "what runs, or is about to, stays"
                assert effect.size == spare or effect.size % self.unit == 0, "whole batches, or all there is"
                self.recalled[effect.worker] = effect.size
            else:
                assert isinstance(effect, Withdraw)
                assert any(one.lease == effect.lease for one in self.items if one.state in {HELD, RUNNING})
        assert seen == (ended or {})
        for run in answered:
            del self.wanted[run]
        for run in starved:
            record = self.runs[run]
            assert (record.closed, record.cancelled, record.starved) == (False, False, False)
            record.starved = True
        if starved or told:
            assert not self.of_state(READY)
            assert any(self.credits.values())
        assert not (self.hungry and self.of_state(READY)), "nobody is hungry while something is ready"
        if told:
            assert len(set(told)) == len(told)
            assert not self.told & set(told), "it is told once"
            self.told |= set(told)
            assert all(self.credits[worker] for worker in told)
            assert not self.of_state(DELAYED)
            assert self.is_at_end()

    def _left_to_others(self, ended: Ended) -> None:
        assert ended.state is LEFT
        assert not self.hungry, "own workers that are hungry come first"
        items = list(ended.items)
        ready = [item for item in self.of_state(READY) if self.items[item].run == ended.run]
        assert items == ready[: len(items)], "the oldest goes first"
        self.wanted[ended.run] -= len(items)
        assert self.wanted[ended.run] >= 0, "no more than they can call at once"

    def _granted(self, grant: Grant) -> None:
        self.leases += 1
        assert grant.lease == self.leases, "lease numbers only grow"
        items = list(grant.items)
        ready = self.of_state(READY)
        assert {self.items[item].run for item in items} == {grant.run}
        assert grant.size > 0
        assert grant.waited >= 0.0
        assert items == ready[: grant.size], "the oldest goes first"
        assert grant.size <= self.credits[grant.worker]
        assert grant.worker in self.hungry or not self.hungry, "who is hungry is served first"
        to_come = max(0, self.expected - self.joined)
        if self.is_at_end() or to_come:
            unstarted = len(ready) + sum(map(self.spare, self.credits))
            share = self.unit * ceil(ceil(unstarted / (len(self.credits) + to_come)) / self.unit)
            has = 0 if grant.worker in self.hungry else self.spare(grant.worker)
            assert grant.size <= share - has, "a share, at the end and as long as not all are there"
        if grant.worker not in self.finishers and self.largest:
            assert grant.size <= self.room(grant.worker), "it knows no sizes"
        self.credits[grant.worker] -= grant.size
        self.hungry.discard(grant.worker)
        self.told.discard(grant.worker)
        for item in items:
            one = self.items[item]
            one.state, one.worker, one.lease = HELD, grant.worker, grant.lease
            self.old.append((grant.worker, grant.lease, item))

    def room(self, worker: int) -> int:
        """How many items more a worker may be granted: it knows their sizes once it has finished one."""
        if worker in self.finishers or not self.largest:
            return sys.maxsize
        held = 0 if worker in self.hungry else self.holds(worker)
        return max(2 * self.unit, WAY_BYTES // self.largest) - held

    def spare(self, worker: int) -> int:
        """What a worker holds beyond what it runs, or the batch that it is about to run."""
        states = [one.state for one in self.items if one.state in {HELD, RUNNING} and one.worker == worker]
        return max(0, len(states) - (states.count(RUNNING) or self.unit))

    def is_at_end(self) -> bool:
        """Nothing more will come; a run that is open may be idle, while one that is closed is not done."""
        over = [number for number, run in self.runs.items() if run.closed or run.cancelled]
        unfinished = {number: bool(self.of_run(number)) for number in self.runs}
        idle = not any(unfinished[number] for number in self.runs.keys() - over)
        return len(over) == len(self.runs) or (idle and any(unfinished[number] for number in over))

    def of_state(self, *states: State) -> list[int]:
        return [item for item, one in enumerate(self.items) if one.state in states]

    def of_run(self, run: int) -> list[int]:
        open_ = {READY, HELD, RUNNING, DELAYED}
        return [item for item, one in enumerate(self.items) if one.run == run and one.state in open_]

    def holds(self, worker: int) -> int:
        return sum(one.worker == worker and one.state in {HELD, RUNNING} for one in self.items)

    def lease(self, pick: int, *states: State) -> tuple[int, int, list[int]]:
        """One lease with items in these states: its worker, its number, the items."""
        leases = sorted({self.items[item].lease for item in self.of_state(*states)})
        number = leases[pick % len(leases)]
        items = [item for item in self.of_state(*states) if self.items[item].lease == number]
        return self.items[items[0]].worker, number, items

    def decided(self, item: int, decision: Again | Bury) -> dict[int, State]:
        """Apply a decision about a failure. Return what ends."""
        one = self.items[item]
        if isinstance(decision, Bury):
            return {item: DEAD}
        one.attempts += decision.charged
        if self.runs[one.run].cancelled:
            return {item: LEFT}
        one.state, one.due = DELAYED, self.now + decision.delay
        return {}

    def put_off(self, item: int, decision: Again | Bury) -> dict[int, State]:
        """Apply that an item waits elsewhere, if it may. Return what ends."""
        one = self.items[item]
        run = self.runs[one.run]
        if isinstance(decision, Bury) or decision.charged or one.attempts or decision.delay < LONG:
            return {}
        if run.cancelled or not run.delays:
            return {}
        one.delay = decision.delay
        return {item: LEFT}

    def returned(self, items: list[int]) -> dict[int, State]:
        """Apply that unstarted items came back. Return what ends."""
        left = {item: LEFT for item in items if self.runs[self.items[item].run].cancelled}
        for item in items:
            self.items[item].state = READY
        return left

    # The caller

    @initialize(
        workers=st.integers(1, 3), unit=st.sampled_from((1, 1, 2, 4)), expected=st.sampled_from((0, 0, 2, 5))
    )
    def begin(self, workers: int, unit: int, expected: int) -> None:
        self.ledger, self.unit, self.expected = Ledger(unit, workers=expected), unit, expected
        self.open()
        for _ in range(workers):
            self.join()

    @rule()
    def open(self) -> None:
        self.opened += 1
        self.runs[self.opened] = Run(delays=self.opened % 2 == 0)
        self.expect(self.ledger.opened(self.opened, self.runs[self.opened].delays))

    @precondition(lambda self: self.runs)
    @rule(pick=st.integers(0, 5), count=st.integers(0, 12), share=st.sampled_from((0, 0, 1, 3, 9)))
    def submit(self, pick: int, count: int, share: int) -> None:
        run = sorted(self.runs)[pick % len(self.runs)]
        record = self.runs[run]
        if record.closed:
            return
        first = len(self.items)
        self.items += [Item(run) for _ in range(count)]
        if count:
            record.starved = False
        ended = dict.fromkeys(range(first, first + count), LEFT) if record.cancelled else {}
        largest = WAY_BYTES // share if share and count else 0
        self.largest = max(self.largest, largest)
        self.expect(self.ledger.submitted(run, first, count, "source", self.now, largest), ended)

    @precondition(lambda self: self.runs)
    @rule(pick=st.integers(0, 5))
    def close(self, pick: int) -> None:
        run = sorted(self.runs)[pick % len(self.runs)]
        if not self.runs[run].closed:
            self.runs[run].closed = True
            self.expect(self.ledger.closed(run, self.now))

    @rule(run=st.integers(1, 4))
    def cancel(self, run: int) -> None:
        unstarted = {item: LEFT for item in self.of_run(run) if self.items[item].state in {READY, DELAYED}}
        leases = {self.items[item].lease for item in self.of_run(run) if item not in unstarted}
        if run in self.runs:
            self.runs[run].cancelled = True
        effects = self.ledger.cancelled(run, self.now) if run <= self.opened else []
        assert {effect.lease for effect in effects if isinstance(effect, Withdraw)} == leases
        self.expect(effects, unstarted)

    @precondition(lambda self: self.runs)
    @rule(pick=st.integers(0, 5), hungry=st.integers(0, 3))
    def others_are_hungry(self, pick: int, hungry: int) -> None:
        run = sorted(self.runs)[pick % len(self.runs)]
        self.wanted[run] = hungry * self.unit
        if not hungry:
            del self.wanted[run]
        self.expect(self.ledger.shared(run, hungry, self.now))

    # The workers

    @rule()
    def join(self) -> None:
        if len(self.credits) < 5:
            self.joined += 1
            self.credits[self.joined] = 0
            self.expect(self.ledger.joined(self.joined))
            if self.joined == self.expected:  # as it does in the same call: until then it has a share
                self._ask(self.joined, 1)

    @precondition(lambda self: self.credits)
    @rule(pick=st.integers(0, 5), credits=st.integers(1, 9))
    def ask(self, pick: int, credits: int) -> None:
        self._ask(sorted(self.credits)[pick % len(self.credits)], credits)

    def _ask(self, worker: int, credits: int) -> None:
        self.credits[worker] += credits if worker not in self.stopping else 0
        self.expect(self.ledger.asked(worker, credits, self.now))

    @precondition(lambda self: any(self.credits.values()))
    @rule(pick=st.integers(0, 5), granted=st.integers(0, 1))
    def starve(self, pick: int, granted: int) -> None:
        waiting = sorted(worker for worker, credits in self.credits.items() if credits)
        worker = waiting[pick % len(waiting)]
        # What was granted to it meanwhile, it has not heard of.
        if not granted:
            self.hungry.add(worker)
        self.expect(self.ledger.hungry(worker, self.credits[worker] + granted, self.now))

    @precondition(lambda self: self.recalled)
    @rule(pick=st.integers(0, 5), gives=st.integers(0, 9))
    def answer_a_recall(self, pick: int, gives: int) -> None:
        worker = sorted(self.recalled)[pick % len(self.recalled)]
        held = [item for item in self.of_state(HELD) if self.items[item].worker == worker]
        returned = held[len(held) - min(gives, len(held)) :]
        for lease in sorted({self.items[item].lease for item in returned}):
            some = [item for item in returned if self.items[item].lease == lease]
            ended = self.returned(some)
            self.expect(self.ledger.gave_back(worker, lease, tuple(some), self.now), ended)
        del self.recalled[worker]
        self.expect(self.ledger.recalled(worker, len(returned), self.now))

    @precondition(lambda self: self.credits)
    @rule(pick=st.integers(0, 5))
    def get_stuck(self, pick: int) -> None:
        worker = sorted(self.credits)[pick % len(self.credits)]
        before, self.credits[worker] = self.credits[worker], 0
        self.hungry.discard(worker)
        assert self.ledger.stuck(worker) == [Unasked(worker, before)] * (before > 0)

    @precondition(lambda self: self.of_state(HELD))
    @rule(pick=st.integers(0, 20), which=picks)
    def start(self, pick: int, which: list[int]) -> None:
        worker, lease, items = self.lease(pick, HELD)
        some = tuple(dict.fromkeys(items[n % len(items)] for n in which))
        for item in some:
            self.items[item].state = RUNNING
        self.expect(self.ledger.started(worker, lease, some))

    @precondition(lambda self: self.of_state(HELD, RUNNING))
    @rule(pick=st.integers(0, 20), which=picks)
    def finish(self, pick: int, which: list[int]) -> None:
        worker, lease, items = self.lease(pick, HELD, RUNNING)
        some = tuple(dict.fromkeys(items[n % len(items)] for n in which))
        accepted, effects = self.ledger.finished(worker, lease, some, self.now)
        assert accepted == some
        self.finishers.add(worker)
        self.expect(effects, dict.fromkeys(some, DONE))

    @precondition(lambda self: self.of_state(HELD, RUNNING))
    @rule(pick=st.integers(0, 20), decision=decisions)
    def fail(self, pick: int, decision: Again | Bury) -> None:
        worker, lease, items = self.lease(pick, HELD, RUNNING)
        item = items[pick % len(items)]
        ended = self.put_off(item, decision) or self.decided(item, decision)
        accepted, effects = self.ledger.failed(worker, lease, item, decision, self.now)
        assert accepted
        self.expect(effects, ended)

    @precondition(lambda self: self.of_state(HELD, RUNNING))
    @rule(pick=st.integers(0, 20), decision=decisions)
    def fail_to_store(self, pick: int, decision: Again | Bury) -> None:
        worker, lease, items = self.lease(pick, HELD, RUNNING)
        item = items[pick % len(items)]
        one = self.items[item]
        accepted, effects = self.ledger.unstored(worker, lease, item, decision, self.now)
        assert accepted
        if isinstance(decision, Bury) or self.runs[one.run].cancelled:
            assert effects.pop(0) == Forget(worker, lease, item)
            self.expect(effects, {item: DEAD if isinstance(decision, Bury) else LEFT})
        else:
            assert effects == [StoreAgain(worker, lease, item, decision.delay)]
            one.state = RUNNING  # where it is
            one.attempts += decision.charged

    @precondition(lambda self: self.of_state(HELD))
    @rule(pick=st.integers(0, 20), which=picks)
    def give_back(self, pick: int, which: list[int]) -> None:
        worker, lease, items = self.lease(pick, HELD)
        some = tuple(dict.fromkeys(items[n % len(items)] for n in which))
        ended = self.returned(list(some))
        self.expect(self.ledger.gave_back(worker, lease, some, self.now), ended)

    @precondition(lambda self: self.old)
    @rule(pick=st.integers(0, 500), what=st.sampled_from(("started", "finished", "failed", "gave back")))
    def report_what_is_stale(self, pick: int, what: str) -> None:
        worker, lease, item = self.old[pick % len(self.old)]
        one = self.items[item]
        if one.state in {HELD, RUNNING} and one.lease == lease:
            return
        self.stale += 1
        if what == "started":
            self.expect(self.ledger.started(worker, lease, (item,)))
        elif what == "finished":
            assert self.ledger.finished(worker, lease, (item,), self.now) == ((), [])
        elif what == "failed":
            assert self.ledger.failed(worker, lease, item, Bury(), self.now) == (False, [])
        else:
            self.expect(self.ledger.gave_back(worker, lease, (item,), self.now))

    @precondition(lambda self: self.credits)
    @rule(pick=st.integers(0, 5), decision=decisions)
    def lose(self, pick: int, decision: Again | Bury) -> None:
        worker = sorted(self.credits)[pick % len(self.credits)]
        mine = [item for item in self.of_state(HELD, RUNNING) if self.items[item].worker == worker]
        running = [item for item in mine if self.items[item].state is RUNNING]
        if not running and mine:  # what it said last implies that the first of what it holds has started
            oldest = min(self.items[item].lease for item in mine)
            running = [min(item for item in mine if self.items[item].lease == oldest)]
        assert set(self.ledger.running_of(worker)) == set(running)
        ended = self.returned([item for item in mine if item not in running])
        for item in running:
            ended |= self.decided(item, decision)
        del self.credits[worker]
        self.hungry.discard(worker)
        self.recalled.pop(worker, None)
        self.expect(self.ledger.lost(worker, dict.fromkeys(running, decision), self.now), ended)
        assert self.ledger.lost(worker, {}, self.now) == []

    @precondition(lambda self: self.credits)
    @rule(pick=st.integers(0, 5))
    def stop(self, pick: int) -> None:
        worker = sorted(self.credits)[pick % len(self.credits)]
        self.credits[worker] = 0
        self.hungry.discard(worker)
        self.stopping.add(worker)
        self.expect(self.ledger.stopping(worker))
        if not self.holds(worker):
            del self.credits[worker]
            self.recalled.pop(worker, None)
            self.expect(self.ledger.said_goodbye(worker))

    # Time

    @rule(seconds=st.sampled_from((0.0, 0.25, 1.0, 5.0)))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for item in self.of_state(DELAYED):
            if self.items[item].due <= self.now:
                self.items[item].state = READY
        self.expect(self.ledger.tick(self.now))

    # What always holds

    @invariant()
    def it_agrees(self) -> None:
        self.ledger.validate()
        statistics = self.ledger.statistics()
        for state in State:
            assert getattr(statistics, state.value) == len(self.of_state(state)), state
        assert statistics.stale_reports == self.stale
        assert statistics.grants == self.leases
        due = min((self.items[i].due for i in self.of_state(DELAYED)), default=None)
        deadline = self.ledger.deadline
        if self.hungry or self.wanted:  # then a recall may be overdue, or become worth it
            assert due is None or (deadline is not None and deadline <= due)
        else:
            assert deadline == due
        if self.of_state(READY) and any(self.credits.values()):
            in_line = [worker for worker, credits in self.credits.items() if credits]
            limited = all(self.room(worker) < self.unit for worker in in_line)
            shares = self.is_at_end() or self.expected > self.joined
            assert shares or limited, "somebody waits and something is ready"
        waiting = {worker for worker, credits in self.credits.items() if credits}
        if (
            not self.of_state(READY, DELAYED)
            and not self.recalled
            and all(run.closed or run.cancelled for run in self.runs.values())
        ):
            assert waiting <= self.told, "nothing is left, and somebody waits who does not know it"
        for item, one in enumerate(self.items):
            ended = one.state in {DONE, DEAD, LEFT}
            assert self.ledger.attempts(item) == (0 if ended else one.attempts)
        for run, record in self.runs.items():
            assert not record.closed or self.of_run(run), "a run that is over was not said to be"

    def teardown(self) -> None:
        """Whatever happened: one more worker finishes everything."""
        for run in sorted(self.runs):
            if run in self.runs and not self.runs[run].closed:
                self.runs[run].closed = True
                self.expect(self.ledger.closed(run, self.now))
        while self.of_state(READY, HELD, RUNNING, DELAYED):
            self.pass_time(5.0)
            if self.of_state(READY):
                self.joined += 1
                self.credits[self.joined] = len(self.items)
                self.expect(self.ledger.joined(self.joined))
                self.expect(self.ledger.asked(self.joined, len(self.items), self.now))
            if self.of_state(HELD, RUNNING):
                worker, lease, items = self.lease(0, HELD, RUNNING)
                self.finishers.add(worker)
                self.expect(
                    self.ledger.finished(worker, lease, tuple(items), self.now)[1], dict.fromkeys(items, DONE)
                )
        assert not self.runs


LedgerMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestLedger = pytest.mark.timeout(400)(LedgerMachine.TestCase)  # a failure is shrunk for up to 300 s
