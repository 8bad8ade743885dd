"""The simulator and real processes agree: utilization within three points, and the same ranking of policies.

These tests are about time, so they take some: each runs four policies for about two seconds on processes
behind a delay line. Computations sleep, so a busy machine changes what they take only a little. What both
worlds are given, and over which time the utilization is taken, is said in `benchmarks.agreement`.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

import pytest
from benchmarks.agreement import LOOKAHEADS, MS, SCENARIOS, Lookahead, Scenario, compare, simulate

from pullahead.sim import constant

#: Points of utilization, as a share. Policies that are simulated to be closer than this are tied.
POINTS: Final = 0.03


def misranked(
    real: Mapping[Lookahead, float], simulated: Mapping[Lookahead, float]
) -> Sequence[tuple[Lookahead, Lookahead]]:
    """Return the pairs that are not tied and whose better one, as simulated, is not better for real."""
    ranked = sorted(simulated, key=lambda one: simulated[one], reverse=True)
    return [
        (better, worse)
        for better, worse in combinations(ranked, 2)
        if simulated[better] - simulated[worse] >= POINTS and real[better] <= real[worse]
    ]


@pytest.mark.timeout(240)  # a run is repeated when the machine did not keep up with it
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_simulated_run_is_like_a_real_one(scenario: Scenario) -> None:
    pairs = {lookahead: compare(scenario, lookahead) for lookahead in LOOKAHEADS}
    real = {lookahead: pair.real_utilization for lookahead, pair in pairs.items()}
    simulated = {lookahead: pair.simulated.utilization for lookahead, pair in pairs.items()}
    assert all(pair.report.done == pair.simulated.items for pair in pairs.values())
    trips = [pair.round_trip for pair in pairs.values()]
    assert trips == pytest.approx([scenario.delay] * len(trips), rel=0.0, abs=5 * MS)
    assert real == pytest.approx(simulated, rel=0.0, abs=POINTS), [pair.held_up for pair in pairs.values()]
    assert misranked(real, simulated) == []
    # The scenario must be one in which the policies differ: at least 0 < 1 < both of the others.
    apart = [one for one in combinations(simulated.values(), 2) if abs(one[0] - one[1]) >= POINTS]
    assert len(apart) >= 5


# The comparison can fail


def test_it_notices_a_world_that_is_simulated_wrongly() -> None:
    """A delay line of 40 ms against a simulated delay of 30 ms."""
    scenario = Scenario("wrong", 2, 40, constant(15 * MS))
    pair = compare(scenario, 1)
    wrong = simulate(scenario, 1, 30 * MS, array("d", [0.0, 0.0]))
    assert abs(pair.real_utilization - wrong.utilization) > POINTS


def test_it_notices_a_ranking_that_is_not_the_same() -> None:
    simulated: dict[Lookahead, float] = {0: 0.2, 1: 0.4, 4: 0.9, "auto": 0.92}
    assert misranked(simulated, simulated) == []
    assert misranked({0: 0.2, 1: 0.4, 4: 0.91, "auto": 0.9}, simulated) == []  # tied: either may be better
    assert misranked({0: 0.5, 1: 0.4, 4: 0.9, "auto": 0.9}, simulated) == [(1, 0)]
    assert misranked({0: 0.2, 1: 0.9, 4: 0.9, "auto": 0.8}, simulated) == [("auto", 1), (4, 1)]
