"""Who comes first when keys change; and ranges of what is ready."""

from __future__ import annotations

import random

import pytest

from pullahead.core.ranking import Ranking
from pullahead.core.ready import Ready, ranges_of


def test_the_smallest_key_is_first() -> None:
    ranking = Ranking()
    assert ranking.first() is None
    for name, key in ((1, 5.0), (2, 3.0), (3, 4.0)):
        ranking.put(name, key)
    assert ranking.first() == 2
    ranking.put(2, 9.0)
    assert ranking.first() == 3
    ranking.drop(3)
    ranking.drop(3)
    assert (ranking.first(), len(ranking), 1 in ranking, 3 in ranking) == (1, 2, True, False)


def test_equal_keys_go_by_name() -> None:
    ranking = Ranking()
    for name in (3, 1, 2):
        ranking.put(name, 0)
    assert ranking.first() == 1


@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_sorting_and_does_not_grow(seed: int) -> None:
    chance, ranking, truth = random.Random(seed), Ranking(), dict[int, int]()
    for _ in range(5000):
        name = chance.randrange(20)
        if chance.random() < 0.2:
            ranking.drop(name)
            truth.pop(name, None)
        else:
            truth[name] = chance.randrange(10)
            ranking.put(name, truth[name])
        assert ranking.first() == min(truth, key=lambda one: (truth[one], one), default=None)
        assert len(ranking._heap) <= 4 * (len(truth) + 4) + 1 or len(ranking._heap) <= 100


def test_the_oldest_and_the_youngest_of_what_is_ready() -> None:
    ready = Ready()
    ready.put(10, 20, 1)
    ready.put(3, 5, 2)
    assert ready.take_oldest(9) == (3, 2, 2)
    assert ready.take_youngest(3, -1) == (17, 3, 1)
    assert ready.take_youngest(3, 14) == (15, 2, 1)
    assert ready.take_youngest(3, 14) == (15, 0, 1)
    assert ready.take_oldest(2) == (10, 2, 1)
    assert (ready.count, ready.ranges()) == (3, [(12, 15, 1)])
    assert ready.take_youngest(9, -1) == (12, 3, 1)
    assert (ready.count, ready.ranges()) == (0, [])


def test_everything_of_a_run_can_be_taken() -> None:
    ready = Ready()
    for first, run in ((8, 1), (0, 1), (4, 2)):
        ready.put(first, first + 2, run)
    assert ready.take_run(1) == [(0, 2), (8, 10)]
    assert (ready.count, ready.ranges()) == (2, [(4, 6, 2)])


def test_numbers_are_cut_into_ranges() -> None:
    assert ranges_of(()) == []
    assert ranges_of((5, 1, 2, 3, 7)) == [(1, 4), (5, 6), (7, 8)]
