"""Distributions: their means, their spread, and what they refuse."""

from __future__ import annotations

from random import Random
from statistics import fmean, pstdev
from typing import Any

import pytest

from pullahead.sim import Distribution, bimodal, constant, empirical, lognormal
from pullahead.sim.distributions import distribution

DRAWS = 200_000


def draw(one: Distribution, count: int = DRAWS, seed: int = 0) -> list[float]:
    sample = one.sampler(Random(seed))
    return [sample() for _ in range(count)]


def test_constant_is_always_the_same() -> None:
    assert set(draw(constant(0.25), 100)) == {0.25}
    assert constant(0.25).mean == 0.25


@pytest.mark.parametrize("cv", [0.0, 0.5, 2.0])
def test_lognormal_has_the_mean_and_the_spread_that_were_asked_for(cv: float) -> None:
    values = draw(lognormal(0.01, cv))
    assert fmean(values) == pytest.approx(0.01, rel=0.02)
    assert pstdev(values) / fmean(values) == pytest.approx(cv, rel=0.1)


def test_bimodal_has_two_values_in_their_proportion() -> None:
    one = bimodal(0.001, 0.2, 0.05)
    values = draw(one)
    assert set(values) == {0.001, 0.2}
    assert values.count(0.2) / DRAWS == pytest.approx(0.05, rel=0.05)
    assert one.mean == pytest.approx(0.95 * 0.001 + 0.05 * 0.2)


def test_empirical_draws_its_samples_and_nothing_else() -> None:
    one = empirical([0.1, 0.1, 0.4])
    values = draw(one)
    assert set(values) == {0.1, 0.4}
    assert values.count(0.4) / DRAWS == pytest.approx(1 / 3, rel=0.02)
    assert one.mean == pytest.approx(0.2)
    assert repr(one) == "empirical(<3 samples, mean 0.2 s>)"


def test_one_seed_gives_one_sequence() -> None:
    for one in (lognormal(1.0, 1.0), bimodal(1.0, 2.0, 0.5), empirical([1.0, 2.0, 3.0])):
        assert draw(one, 50, seed=7) == draw(one, 50, seed=7) != draw(one, 50, seed=8)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: constant(-1), "constant: seconds: expected a finite number from 0, got -1"),
        (lambda: constant(float("nan")), "constant: seconds: expected a finite number from 0, got nan"),
        (lambda: lognormal(0.0, 1), "lognormal: mean: expected a finite number above 0, got 0.0"),
        (lambda: lognormal(1.0, -0.5), "lognormal: cv: expected a finite number from 0, got -0.5"),
        (lambda: bimodal(1, 2, 1.5), "bimodal: p_large: expected a number from 0 to 1, got 1.5"),
        (lambda: empirical([]), "empirical: expected at least one sample, got none"),
        (lambda: empirical([1.0, -2.0]), "empirical: a sample: expected a finite number from 0, got -2.0"),
        (lambda: distribution("delay", -0.1), "delay: expected a finite number from 0, got -0.1"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(make: Any, said: str) -> None:
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value) == said


def test_what_is_no_distribution_is_refused() -> None:
    with pytest.raises(TypeError) as error:
        distribution("compute", "10ms")  # type: ignore[arg-type]
    assert str(error.value) == (
        "compute: expected seconds or one of constant, lognormal, bimodal, empirical, got str '10ms'"
    )
