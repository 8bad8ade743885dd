"""One ledger and several pipelines over a fake wire, in virtual time: whatever happens, every item ends once.

A `Scenario` says who works how, when what is submitted, cancelled and killed; everything that takes time or
fails is drawn from its seed. `tests.core.pair` checks the world after every event and tells the story of a
failure.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.core.pair import Shape, World

from pullahead.core.ledger import State
from pullahead.core.retry import ERROR, LATER, REJECT, RetryPolicy

pytestmark = pytest.mark.timeout(400)  # a failure is shrunk for up to 300 s before it is shown

_PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)  # explaining takes longer than reading
#: Seconds that one thing takes, typically: tiny items beside slow wires, and the other way round.
SCALES = (0.0, 1e-5, 3e-4, 2e-3, 0.05, 3.0)


@dataclass(frozen=True)
class Scenario:
    shapes: tuple[Shape, ...]
    actions: tuple[tuple[float, str, int, int], ...]  # (seconds after the one before, what, two numbers)
    compute_s: float
    load_s: float
    store_s: float
    wire_s: float
    source_s: float
    faults: float  # the share of loads, computes and stores that fail
    retries: int
    seed: int


class Chance:
    """Costs and faults, drawn."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.draw = random.Random(scenario.seed)
        self.failed: dict[int, int] = {}

    def _around(self, seconds: float) -> float:
        # Now and then ten times as long; sometimes nothing at all, so that moments coincide.
        return seconds * self.draw.choice((0.0, 0.5, 1.0, 1.0, 1.5, 10.0))

    def compute(self, item: int) -> float:
        # One of many lasts so much longer that nobody should wait behind it.
        return self._around(self.scenario.compute_s) * (1000 if self.draw.random() < 0.02 else 1)

    def load(self, item: int) -> float:
        return self._around(self.scenario.load_s)

    def store(self, item: int) -> float:
        return self._around(self.scenario.store_s)

    def wire(self) -> float:
        return self._around(self.scenario.wire_s)

    def wake(self) -> float:
        return self._around(2e-5)

    def at(self, where: str, item: int) -> tuple[str, float] | None:
        # What asks to be retried later is not charged: it must have enough of it some day.
        if self.draw.random() >= self.scenario.faults or self.failed.get(item, 0) > 5:
            return None
        self.failed[item] = self.failed.get(item, 0) + 1
        kind = self.draw.choice((ERROR, ERROR, LATER, REJECT))
        return kind, self.draw.choice((0.0, 0.01, 1.0)) if kind == LATER else 0.0


shapes = st.builds(
    Shape,
    lookahead=st.sampled_from((None, None, 0, 1, 2, 7)),
    batch_size=st.sampled_from((0, 0, 1, 3, 8)),
    batch_wait=st.sampled_from((0.0, 0.01, 1e9)),
    loads=st.booleans(),
    stores=st.booleans(),
    load_concurrency=st.sampled_from((None, 1, 3)),
    tick_after_take=st.booleans(),
)
actions = st.tuples(
    st.sampled_from((0.0, 0.0, 1e-4, 0.01, 1.0)),
    st.sampled_from(("submit", "submit", "submit", "open", "close", "cancel", "kill", "start")),
    st.integers(0, 200),
    st.integers(0, 3),
)
scenarios = st.builds(
    Scenario,
    shapes=st.lists(shapes, min_size=1, max_size=4).map(tuple),
    actions=st.lists(actions, min_size=1, max_size=12).map(tuple),
    compute_s=st.sampled_from(SCALES),
    load_s=st.sampled_from(SCALES),
    store_s=st.sampled_from(SCALES),
    wire_s=st.sampled_from(SCALES),
    source_s=st.sampled_from(SCALES),
    faults=st.sampled_from((0.0, 0.0, 0.05, 0.5)),
    retries=st.integers(0, 3),
    seed=st.integers(0, 1 << 16),
)
#: Many items that are so small that they are taken by the slice.
small_items = st.builds(
    Scenario,
    shapes=st.lists(
        st.builds(
            Shape,
            lookahead=st.sampled_from((None, 40, 300)),
            loads=st.sampled_from((False, False, True)),
            stores=st.booleans(),
            tick_after_take=st.booleans(),
        ),
        min_size=2,
        max_size=4,
    ).map(tuple),
    actions=st.lists(
        st.tuples(
            st.sampled_from((0.0, 1e-4, 3e-3, 0.01)),
            st.sampled_from(
                ("submit", "submit", "submit", "open", "close", "cancel", "cancel", "kill", "start")
            ),
            st.integers(100, 600),
            st.integers(0, 3),
        ),
        min_size=2,
        max_size=8,
    ).map(tuple),
    compute_s=st.sampled_from((1e-5, 1e-4, 3e-4)),
    load_s=st.just(1e-5),
    store_s=st.sampled_from((1e-5, 2e-3)),
    wire_s=st.sampled_from((0.0, 1e-4, 2e-3)),
    source_s=st.just(0.0),
    faults=st.sampled_from((0.0, 0.05)),
    retries=st.integers(0, 3),
    seed=st.integers(0, 1 << 16),
)


def play(scenario: Scenario) -> World:
    """Play a scenario to its end: all runs closed, nothing more happening, all workers stopped."""
    chance = Chance(scenario)
    world = World(
        costs=chance,
        faults=chance,
        retry=RetryPolicy(retries=scenario.retries, base=0.01, cap=1.0),
        unit=max(shape.batch_size or 1 for shape in scenario.shapes),
    )
    opened: list[int] = []
    closed: set[int] = set()

    def act(what: str, n: int, which: int) -> None:
        run = opened[which % len(opened)] if opened else None
        living = [worker for worker in world.workers if worker.alive]
        if what == "open":
            opened.append(len(opened) + 1)
            world.open(opened[-1])
        elif what == "start":
            world.enlist(scenario.shapes[which % len(scenario.shapes)])
        elif what == "kill" and len(living) > 1:  # somebody must be left to finish
            world.kill(living[which % len(living)].number, early=bool(n % 2))
        elif what == "submit" and run is not None and run not in closed:
            world.submit(run, n)
        elif what == "close" and run is not None and run not in closed:
            closed.add(run)
            world.close(run)
        elif what == "cancel" and run is not None:
            world.cancel(run)

    act("open", 0, 0)
    for shape in scenario.shapes:
        world.enlist(shape)
    moment = 0.0
    for pause, what, n, which in scenario.actions:
        moment += pause
        world.clock.at(moment, lambda action: act(*action), (what, n, which))
    world.run(until=moment)
    for run in opened:
        if run not in closed:
            world.close(run)
    world.run()
    world.stop()
    world.run()
    world.check_over()
    assert max(world.ended.values()) < 1e8, (
        "it ended only because a batch that could not become fuller gave up waiting"
    )
    return world


@settings(max_examples=120, deadline=None, phases=_PHASES)
@given(scenarios)
def test_every_item_ends_exactly_once_and_nobody_waits_for_ever(scenario: Scenario) -> None:
    play(scenario)


@settings(max_examples=40, deadline=None, phases=_PHASES)
@given(small_items)
def test_whatever_is_cut_from_a_slice_ends_exactly_once(scenario: Scenario) -> None:
    play(scenario)


@settings(max_examples=25, deadline=None, phases=_PHASES)
@given((scenarios | small_items).filter(lambda one: one.faults == 0.0))
def test_without_faults_and_cancelling_everything_is_done(scenario: Scenario) -> None:
    kept = tuple(action for action in scenario.actions if action[1] not in {"cancel", "kill"})
    world = play(Scenario(**{**scenario.__dict__, "actions": kept}))
    assert set(map(tuple, world.ends.values())) <= {(State.DONE,)}
    assert set(world.computed.values()) <= {1}, "nothing was computed twice"


@settings(max_examples=25, deadline=None, phases=_PHASES)
@given(scenarios | small_items, st.sampled_from((0.0, 1e-3, 5e-3, 0.3)))
def test_stopping_in_the_middle_leaves_every_item_ready_or_ended(scenario: Scenario, moment: float) -> None:
    chance = Chance(scenario)
    world = World(costs=chance, faults=chance, retry=RetryPolicy(retries=scenario.retries, base=0.01))
    world.open(1)
    for shape in scenario.shapes:
        world.enlist(shape)
    world.submit(1, 50)
    world.run(until=moment)
    world.stop()
    world.run()
    statistics = world.queue.ledger.statistics()
    assert (statistics.held, statistics.running) == (0, 0)
    assert statistics.ready + len(world.ends) == 50
    assert world.queue.gone == set(range(len(world.workers))), "all said goodbye"


@given(scenarios)
@settings(max_examples=15, deadline=None, phases=_PHASES)
def test_the_same_scenario_tells_the_same_story(scenario: Scenario) -> None:
    assert play(scenario).story() == play(scenario).story()
