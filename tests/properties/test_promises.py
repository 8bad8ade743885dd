"""Chaos over a fake wire, step by step: one ledger and several pipelines keep the six promises all the time.

The wire delays each message by a draw of its own, so what several workers say arrives in any order. Workers
come, die, and are taken for dead although they go on; runs are opened, fed, closed and cancelled; computes,
loads and stores fail; and what all of that costs changes by orders of magnitude in the middle. After every
event `tests.core.promises` checks:

- conservation: `conservation`, `conservation_over_the_wire`;
- at most one running holder per lease number: `one_holder`, `one_holder_begins`; per item: `World.began`;
- bounded holdings: `bounded_holdings`, `bounded_holdings_at_the_queue`;
- no starvation: `no_starvation_oldest_first`, `no_starvation_finitely_many_moves`;
- work conservation: `work_conservation`;
- termination: `World.drain`, here at the end of the chaos.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.core.pair import Shape, World
from tests.core.promises import FIRST_TRIP, Bounds

from pullahead.core.ledger import Recall
from pullahead.core.retry import ERROR, LATER, REJECT, RetryPolicy

_PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)  # explaining takes longer than reading
#: Seconds that one thing takes, typically: tiny items beside slow wires, and the other way round.
SCALES = (0.0, 1e-4, 2e-3, 0.05, 3.0)
#: The longest of the draws around a typical value, and how much longer a few items take than that.
_MOST, _HUGE = 10.0, 100.0
#: Seconds: the longest backoff, and what a `RetryLater` asks for.
_CAP, _LATER = 0.5, 1.0
_MOST_WORKERS = 6
#: Seconds that pass before something happens.
PAUSES = st.sampled_from((0.0, 1e-4, 3e-3, 0.1, 4.0, 100.0))


@dataclass
class Weather:
    """Costs and faults, drawn around values that change."""

    draw: random.Random
    compute_s: float
    load_s: float
    store_s: float
    wire_s: float
    large: float  # the share of items that are huge
    faults: float
    longest: float = 0.0  # that anything has taken so far
    failed: dict[int, int] = field(default_factory=dict)

    def _around(self, seconds: float) -> float:
        drawn = seconds * self.draw.choice((0.0, 0.5, 1.0, 1.0, 1.5, _MOST))
        self.longest = max(self.longest, drawn)
        return drawn

    def compute(self, item: int) -> float:
        return self._around(self.compute_s * (_HUGE if self.draw.random() < self.large else 1.0))

    def load(self, item: int) -> float:
        return self._around(self.load_s)

    def store(self, item: int) -> float:
        return self._around(self.store_s)

    def wire(self) -> float:
        return self._around(self.wire_s)

    def wake(self) -> float:
        return self._around(2e-5)

    def at(self, where: str, item: int) -> tuple[str, float] | None:
        # What asks to be retried later is not charged: it must have enough of it some day.
        if self.draw.random() >= self.faults or self.failed.get(item, 0) > 3:
            return None
        self.failed[item] = self.failed.get(item, 0) + 1
        kind = self.draw.choice((ERROR, ERROR, LATER, REJECT))
        return kind, self.draw.choice((0.0, _LATER)) if kind == LATER else 0.0


class PairMachine(RuleBasedStateMachine):
    """See the module."""

    @initialize(
        workers=st.integers(1, 4),
        batch_size=st.sampled_from((0, 0, 0, 1, 4)),
        loads=st.booleans(),
        stores=st.booleans(),
        load_concurrency=st.sampled_from((None, 1, 3)),
        lookahead=st.sampled_from((None, None, 0, 1, 3, 40)),
        gives_back=st.booleans(),
        large=st.sampled_from((0.03, 0.2)),
        scales=st.tuples(*[st.sampled_from(SCALES)] * 4),
        faults=st.sampled_from((0.0, 0.0, 0.1, 0.5)),
        seed=st.integers(0, 1 << 16),
    )
    def begin(
        self,
        workers: int,
        batch_size: int,
        loads: bool,
        stores: bool,
        load_concurrency: int | None,
        lookahead: int | None,
        gives_back: bool,
        large: float,
        scales: tuple[float, float, float, float],
        faults: float,
        seed: int,
    ) -> None:
        self.shape = Shape(
            lookahead=lookahead,
            batch_size=batch_size,
            batch_wait=0.01,
            loads=loads,
            stores=stores,
            load_concurrency=load_concurrency,
            gives_back=gives_back,  # if not, nothing moves unless it is recalled
        )
        self.weather = Weather(random.Random(seed), *scales, large=large, faults=faults)
        retry = RetryPolicy(retries=2, base=0.01, cap=_CAP)
        self.world = World(self.weather, self.weather, retry, unit=batch_size or 1)
        self.open_runs: list[int] = []
        self.runs = 0
        self.unnoticed = 0.0
        self.open_one()
        for _ in range(workers):
            self.start()
        self.submit(0.0, 20, 0)

    # The caller

    @rule()
    def open_one(self) -> None:
        self.runs += 1
        self.open_runs.append(self.runs)
        self.world.open(self.runs)

    @precondition(lambda self: self.open_runs)
    @rule(after=PAUSES, count=st.integers(1, 60), which=st.integers(0, 3))
    def submit(self, after: float, count: int, which: int) -> None:
        self.pass_time(after)
        if self.world.open_items < 200:
            self.world.submit(self.open_runs[which % len(self.open_runs)], count)

    @precondition(lambda self: self.open_runs)
    @rule(which=st.integers(0, 3))
    def close(self, which: int) -> None:
        self.world.close(self.open_runs.pop(which % len(self.open_runs)))

    @rule(after=PAUSES, run=st.integers(1, 3))
    def cancel(self, after: float, run: int) -> None:
        self.pass_time(after)
        if run <= self.runs:
            self.world.cancel(run)

    # The workers

    @rule()
    def start(self) -> None:
        if len(self.serving()) < _MOST_WORKERS:
            self.world.enlist(self.shape)

    @rule(
        after=PAUSES,
        which=st.integers(0, 5),
        early=st.booleans(),
        unnoticed=st.sampled_from((0.0, 0.5, 500.0)),
    )
    def kill(self, after: float, which: int, early: bool, unnoticed: float) -> None:
        self.pass_time(after)
        serving = self.serving()
        if len(serving) > 1:  # somebody must be left to finish
            self.world.kill(serving[which % len(serving)], early, unnoticed)
            self.unnoticed = max(self.unnoticed, unnoticed)

    @rule(after=PAUSES, which=st.integers(0, 5))
    def take_for_dead(self, after: float, which: int) -> None:
        self.pass_time(after)
        serving = self.serving()
        if len(serving) > 1:
            self.world.give_up(serving[which % len(serving)])

    def serving(self) -> list[int]:
        """The workers that live and are counted on."""
        world = self.world
        return [one.number for one in world.workers if one.alive and one.number not in world.given_up]

    # The weather

    @rule(
        after=PAUSES,
        compute_s=st.sampled_from(SCALES),
        wire_s=st.sampled_from(SCALES),
        load_s=st.sampled_from(SCALES),
    )
    def change(self, after: float, compute_s: float, wire_s: float, load_s: float) -> None:
        self.pass_time(after)
        self.weather.compute_s, self.weather.wire_s, self.weather.load_s = compute_s, wire_s, load_s

    @rule(seconds=PAUSES)
    def pass_time(self, seconds: float) -> None:
        # A stretch of tiny items may be long: what is not over by then goes on in the next one.
        self.world.run(self.world.clock.now + seconds, at_most=300)

    # Termination

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world, weather = self.world, self.weather
        weather.faults = 0.0
        for run in self.open_runs:
            world.close(run)
        left = world.open_items
        # The chaos is over. If one worker did it all, one item after another, each was loaded, computed and
        # stored four times, because it failed, and had to be moved each time, this is what it would take.
        slowest = max(weather.longest, _MOST * max(weather.wire_s, weather.load_s, weather.store_s))
        slowest = max(slowest, _MOST * _HUGE * weather.compute_s)
        each = 4 * (3 * slowest + Bounds(slowest).beside_held)
        world.drain(
            most_steps=300 + 40 * (left + len(world.workers)),
            most_seconds=(left + 1) * each + _CAP * 1.5 + _LATER + self.unnoticed,
        )


PairMachine.TestCase.settings = settings(
    max_examples=80, stateful_step_count=20, deadline=None, phases=_PHASES
)
TestPromises = pytest.mark.timeout(400)(PairMachine.TestCase)  # a failure is shrunk for up to 300 s


# Work conservation where every cost is known: the bound is tight


@dataclass(frozen=True)
class FewLong:
    """Some items last for ever, compared with the others."""

    short: float
    trip: float
    large: frozenset[int] = frozenset({0})

    @property
    def long(self) -> float:
        return 1000 * (self.short + self.trip) + 10.0

    def compute(self, item: int) -> float:
        return self.long if item in self.large else self.short

    def load(self, item: int) -> float:
        return 0.0

    store = load

    def wire(self) -> float:
        return self.trip / 2

    def wake(self) -> float:
        return 0.0


@given(
    workers=st.integers(2, 5),
    lookahead=st.integers(1, 12),
    batch_size=st.sampled_from((0, 0, 3)),
    short=st.sampled_from((1e-4, 3e-3, 0.05)),
    trip=st.sampled_from((0.0, 2e-4, 5e-3, 0.2)),
)
@settings(deadline=None, phases=_PHASES)
def test_what_waits_behind_a_long_item_is_moved_as_soon_as_that_is_worth_it(
    workers: int, lookahead: int, batch_size: int, short: float, trip: float
) -> None:
    """At most the one and a half trips for which the long item must have run, so that a move is worth it; one
    trip of a recall that is out already, for somebody else; and two trips: the hungry says so, a recall, its
    answer, a grant."""
    costs = FewLong(short, trip)
    world = World(costs, unit=batch_size or 1)
    world.open(1)
    for _ in range(workers):
        # Who is stuck would give back by itself, after a while.
        world.enlist(Shape(lookahead=max(lookahead, batch_size), batch_size=batch_size, gives_back=False))
    world.submit(1, workers * (lookahead + 2 * (batch_size or 1)))
    world.close(1)
    world.run(until=costs.long - 1.0)
    assert world.open_items <= (batch_size or 1), "all but what runs with the long one is done"
    usual = max(FIRST_TRIP, trip)
    assert world.promises.longest_idle <= 1.5 * usual + 3 * trip + 1e-9
    world.drain(most_steps=1000, most_seconds=1e9)


@pytest.mark.parametrize("trip", [1e-3, 0.01, 0.2])
def test_a_worker_that_died_unnoticed_keeps_nobody_from_asking_another_one(trip: float) -> None:
    """Beside what it takes to find that a move is worth it: the answer is waited for, four usual trips."""
    world = World(FewLong(1e-3, trip, frozenset({0, 7})))
    world.open(1)
    for _ in range(3):
        world.enlist(Shape(lookahead=6, gives_back=False))
    world.submit(1, 24)
    world.close(1)
    while not world.queue.ledger.statistics().recalls:
        world.run(at_most=1)
    asked = next(effect.worker for _, _, _, effect in reversed(world.log) if isinstance(effect, Recall))
    world.kill(asked, early=False, unnoticed=1e6)
    world.run(until=world.costs.compute(0) - 1.0)
    assert world.open_items == 7 + 1, "all but what the dead one had, and what runs with the other"
    usual = max(FIRST_TRIP, trip)
    assert world.promises.longest_idle <= (1.5 + 4) * usual + 3 * trip
    world.drain(most_steps=1000, most_seconds=1e9)
