"""The ceiling of an automatic lookahead, under virtual time."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable

from pullahead.core.ceiling import FREE_AHEAD, MAX_AHEAD, Ceiling


def run_against(
    latency: Callable[[float, int], float], compute: float, items: int, wanted: int
) -> tuple[Ceiling, list[int]]:
    """Play a loop under virtual time. `latency(now, number)` says when a request is answered."""
    ceiling, now, answers, asked = Ceiling(), 0.0, [], 0
    limits = [ceiling.limit]
    for number in range(items):
        depth = min(wanted, ceiling.limit)
        while asked <= number + depth - (number == 0):
            answers.append(latency(now, asked))
            asked += 1
        stalled = max(0.0, answers[number] - now)
        now += stalled
        ceiling.yielded(stalled, wanted)
        if ceiling.limit != limits[-1]:
            limits.append(ceiling.limit)
        now += compute
    return ceiling, limits


def test_the_ceiling_rises_as_long_as_that_shortens_the_stalls() -> None:
    ceiling, limits = run_against(lambda now, _: now + 0.100, 0.003, 400, wanted=34)
    assert limits == [4, 8, 16, 32, 64]
    assert not ceiling.refused


def test_the_ceiling_comes_back_down_before_a_slow_source() -> None:
    # One item each 100 ms, whoever asks and however often: depth is of no use.
    ceiling, limits = run_against(lambda _, number: 0.1 * (number + 1), 0.003, 400, wanted=34)
    assert limits == [4, 8, 4, 8, 4, 8, 4]
    assert (ceiling.limit, ceiling.refused) == (FREE_AHEAD, True)


def test_the_ceiling_is_not_fooled_by_small_stalls_between_the_large_ones() -> None:
    rng = random.Random(1)
    _, limits = run_against(lambda now, _: now + 0.100 + rng.uniform(0.0, 0.004), 0.003, 400, wanted=34)
    assert limits == [4, 8, 16, 32, 64]


def test_the_ceiling_keeps_a_depth_that_pays_and_tries_its_neighbours_in_turn() -> None:
    # 100 ms away and one item in 12 ms at most: 8 requests are of use, 16 are not, 4 are too few.
    answers = [0.0]

    def latency(now: float, _: int) -> float:
        answers.append(max(now + 0.100, answers[-1] + 0.012))
        return answers[-1]

    _, limits = run_against(latency, 0.001, 1_200, wanted=100)
    assert limits[:9] == [4, 8, 16, 8, 4, 8, 16, 8, 4]


def test_the_ceiling_does_not_climb_by_chance() -> None:
    # Items come at random, 100 ms apart in the mean: each doubling has a fair chance to look like a gain.
    rng = random.Random(1)
    times = list(itertools.accumulate(rng.expovariate(10.0) for _ in range(20_000)))
    _, limits = run_against(lambda now, number: max(now, times[number]), 0.003, 10_000, wanted=34)
    assert Counter(limit > 16 for limit in limits)[True] < len(limits) / 10


def test_the_ceiling_stays_where_it_is_when_nothing_wants_more() -> None:
    ceiling = Ceiling()
    for _ in range(1000):
        ceiling.yielded(1.0, FREE_AHEAD)
    assert (ceiling.limit, ceiling.refused) == (FREE_AHEAD, False)


def test_the_ceiling_has_an_end() -> None:
    _, limits = run_against(lambda now, _: now + 100.0, 0.001, 5_000, wanted=1024)
    assert limits[:7] == [4, 8, 16, 32, 64, 128, MAX_AHEAD]
    assert max(limits) == MAX_AHEAD
