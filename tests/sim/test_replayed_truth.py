"""A replay of a run that was simulated: there the truth is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pullahead.core import trace
from pullahead.core.trace import Span
from pullahead.observe.report import Report
from pullahead.sim import constant, lognormal
from pullahead.sim.replay import trips
from pullahead.sim.scenario import Scenario

MS = 1e-3
LOOKAHEADS = (0, 1, 4, "auto")


def recorded(scenario: Scenario) -> Report:
    """Simulate it, and return its report with a trace, as a real run has it."""
    return scenario.run().observe(True)


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
@pytest.mark.parametrize(
    "compute", [constant(15 * MS), lognormal(25 * MS, 0.5)], ids=["constant", "lognormal"]
)
@pytest.mark.parametrize("delay", [4 * MS, 40 * MS])
def test_under_its_own_policy_it_is_the_run_itself(lookahead: Any, compute: Any, delay: float) -> None:
    run = Scenario(3, compute, delay, items=300, lookahead=lookahead)
    assert recorded(run).replay(lookahead, recall=True).utilization == pytest.approx(
        run.run().utilization, abs=0.01
    )


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
@pytest.mark.parametrize("was", LOOKAHEADS)
def test_under_another_policy_it_is_that_policy_on_the_same_items(was: Any, lookahead: Any) -> None:
    run = Scenario(3, lognormal(25 * MS, 0.5), 40 * MS, items=300, lookahead=was)
    other = replace(run, lookahead=lookahead).run()
    again = recorded(run).replay(lookahead, recall=True)
    # Recorded times are rounded, which decides who of two comes first, and from there on all is different.
    assert again.utilization == pytest.approx(other.utilization, abs=0.03)
    assert again.useful_seconds == pytest.approx(other.useful_seconds)


def test_a_round_trip_is_a_fetch_less_what_its_ask_waited_for_a_free_call() -> None:
    spans = [
        Span(trace.FETCH, 1.0, 1.5, 0, 2),
        Span(trace.FETCH, 2.0, 3.0, 2, 1),
        Span(trace.ASK, 2.0, 2.25, 2, 1),
        Span(trace.PROCESS, 2.0, 2.5, 0),
    ]
    assert trips(spans) == [0.5, 0.75]


def test_a_fetch_without_a_length_says_nothing_about_the_way() -> None:
    assert trips([Span(trace.FETCH, 3.0, 3.0, 7, 1)]) == []
