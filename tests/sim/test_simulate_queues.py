"""Several queues under virtual time: what they carry, what they say to each other, and what that costs."""

from __future__ import annotations

from array import array
from statistics import mean
from typing import Any

import pytest

from pullahead.sim import Result, bimodal, constant, lognormal, simulate
from pullahead.sim.trial import Trial

MS = 1e-3


def test_the_same_arguments_give_the_same_run() -> None:
    one, other = (simulate(8, lognormal(10 * MS, 1), MS, items=500, queues=3, seed=5) for _ in range(2))
    assert one.finished == other.finished
    assert one.messages_per_item == other.messages_per_item


def test_a_cost_of_nothing_is_no_load_and_changes_nothing() -> None:
    free = simulate(4, 10 * MS, MS, items=300)
    assert free.queue_loads == (0.0,)
    assert (free.messages_between, free.moved_per_item) == (0.0, 0.0)


def test_the_load_of_a_queue_is_what_its_exchanges_cost() -> None:
    """One item at a time on demand: each item is one call of its worker, with its report and its ask."""
    result = simulate(4, 10 * MS, 0.0, items=400, lookahead=0, recall=False, exchange_cost=0.1 * MS)
    assert result.queue_load == pytest.approx(400 * 0.1 * MS / result.seconds, rel=0.05)


def test_a_queue_that_cannot_carry_its_workers_is_the_limit_and_two_carry_twice_as_much() -> None:
    """64 workers and items of 10 ms are 6,400 items/s. Calls of 1 ms are 1,000 of them for each queue."""
    throughputs = [
        simulate(
            64, 10 * MS, MS, items=2000, queues=queues, lookahead=1, exchange_cost=1 * MS, recall=False
        ).throughput
        for queues in (1, 2, 4)
    ]
    assert throughputs[0] < 1500
    assert throughputs[1] == pytest.approx(2 * throughputs[0], rel=0.15)
    assert throughputs[2] == pytest.approx(4 * throughputs[0], rel=0.15)


SCENARIOS: list[dict[str, Any]] = [
    {"compute": lognormal(10 * MS, 1.0)},
    {"compute": bimodal(2 * MS, 100 * MS, 0.05)},
    {"compute": constant(10 * MS), "arrivals": 0.6 * 3200},
    {"compute": lognormal(10 * MS, 1.0), "arrivals": 0.9 * 3200},
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: str(scenario["compute"]))
def test_four_queues_are_as_good_as_one_that_costs_nothing(scenario: dict[str, Any]) -> None:
    """32 workers. Nothing waits for long that others could run. (At the end of a backlog of 1.2 s all are
    hungry for a while: that is the tenth.)"""
    one, four = (simulate(32, delay=MS, items=5000, queues=queues, **scenario) for queues in (1, 4))
    assert four.throughput > 0.98 * one.throughput
    assert four.sojourn(0.99) < 1.1 * one.sojourn(0.99) + 2 * MS
    assert four.messages_per_item < 1.2 * one.messages_per_item + 0.1


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: str(scenario["compute"]))
def test_messages_between_queues_are_few(scenario: dict[str, Any]) -> None:
    """At 90 % load they are 0.17 to 0.33 for each item, depending on the seed."""
    seeds = range(4)
    results = [simulate(32, delay=MS, items=5000, queues=4, seed=seed, **scenario) for seed in seeds]
    assert mean(result.messages_between for result in results) < 0.3


def test_what_one_queue_has_too_much_of_is_computed_by_the_workers_of_the_others() -> None:
    """The first half of the items, which goes to the first queue, takes a hundred times as long."""
    result = _lopsided()
    assert result.moved_per_item > 0.1
    assert result.throughput > 0.97 * result.ideal.throughput


def test_without_recall_what_is_ready_moves_all_the_same() -> None:
    assert _lopsided(recall=False).throughput > 0.9 * _lopsided(recall=False).ideal.throughput


def _lopsided(recall: bool = True) -> Result:
    computes = array("d", [100 * MS] * 400 + [1 * MS] * 400)
    return Trial(8, computes, None, lambda: lambda: 0.5 * MS, recall=recall, queues=2).run()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"queues": 0}, "queues: expected a whole number from 1, got 0"),
        ({"queues": 2.5}, "queues: expected a whole number from 1, got 2.5"),
        ({"queues": 9}, "queues: expected at most one per worker, 8, got 9"),
        ({"exchange_cost": -1.0}, "exchange_cost: expected a finite number from 0, got -1.0"),
        ({"exchange_cost": "1ms"}, "exchange_cost: expected seconds, got '1ms'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        simulate(**arguments)
    assert str(caught.value) == says
