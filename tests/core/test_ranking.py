"""Who comes first when keys change."""

from __future__ import annotations

import random

import pytest

from pullahead.core.ranking import Ranking


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
