"""How long things take, as distributions to draw from.

Each draws from a generator that it is given, so that one seed gives one sequence. All times are in seconds.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isfinite, log, sqrt
from random import Random
from typing import Protocol, runtime_checkable


@runtime_checkable
class Distribution(Protocol):
    """What `simulate` takes for `compute` and `delay`, beside a plain number."""

    @property
    def mean(self) -> float:
        """The expected value in seconds."""
        ...

    def sampler(self, random: Random) -> Callable[[], float]:
        """Return a function that draws the next value."""
        ...


@dataclass(frozen=True, slots=True)
class constant:  # noqa: N801  used like a function: constant(0.01)
    """Always the same.

    Args:
        seconds: the value, from 0.
    """

    seconds: float

    def __post_init__(self) -> None:
        _check("constant: seconds", self.seconds)

    @property
    def mean(self) -> float:
        """The value itself."""
        return self.seconds

    def sampler(self, random: Random) -> Callable[[], float]:
        """Return a function that returns the value."""
        seconds = self.seconds
        return lambda: seconds


@dataclass(frozen=True, slots=True)
class lognormal:  # noqa: N801
    """Many small, few large, none below zero: what service times usually look like.

    With a coefficient of variation cv, the logarithm has the variance s² = ln(1 + cv²) and the mean
    ln(mean) - s²/2.

    Args:
        mean: the expected value in seconds, above 0.
        cv: standard deviation ÷ mean, from 0.
    """

    mean: float
    cv: float

    def __post_init__(self) -> None:
        _check("lognormal: mean", self.mean, above=True)
        _check("lognormal: cv", self.cv)

    def sampler(self, random: Random) -> Callable[[], float]:
        """Return a function that draws the next value."""
        variance = log(1.0 + self.cv**2)
        mu, sigma, draw = log(self.mean) - variance / 2, sqrt(variance), random.lognormvariate
        return lambda: draw(mu, sigma)


@dataclass(frozen=True, slots=True)
class bimodal:  # noqa: N801
    """Two sizes: most items are small, some are large.

    Args:
        small, large: the two values in seconds, from 0.
        p_large: the probability of a large one, 0 to 1.
    """

    small: float
    large: float
    p_large: float

    def __post_init__(self) -> None:
        _check("bimodal: small", self.small)
        _check("bimodal: large", self.large)
        if not 0.0 <= self.p_large <= 1.0:
            raise ValueError(f"bimodal: p_large: expected a number from 0 to 1, got {self.p_large!r}")

    @property
    def mean(self) -> float:
        """The expected value in seconds."""
        return self.small + self.p_large * (self.large - self.small)

    def sampler(self, random: Random) -> Callable[[], float]:
        """Return a function that draws the next value."""
        small, large, p, draw = self.small, self.large, self.p_large, random.random
        return lambda: large if draw() < p else small


@dataclass(frozen=True, slots=True, init=False)
class empirical:  # noqa: N801
    """Whatever was measured: each draw is one of the samples.

    Args:
        samples: measured values in seconds, at least one, each from 0.
    """

    samples: array[float]

    def __init__(self, samples: Iterable[float]) -> None:
        values = array("d", samples)
        if not values:
            raise ValueError("empirical: expected at least one sample, got none")
        for value in values:
            _check("empirical: a sample", value)
        object.__setattr__(self, "samples", values)

    @property
    def mean(self) -> float:
        """The mean of the samples."""
        return sum(self.samples) / len(self.samples)

    def sampler(self, random: Random) -> Callable[[], float]:
        """Return a function that draws the next value."""
        samples, draw = self.samples, random.choice
        return lambda: draw(samples)

    def __repr__(self) -> str:
        return f"empirical(<{len(self.samples)} samples, mean {self.mean:.3g} s>)"


def distribution(name: str, value: float | Distribution) -> Distribution:
    """Take a number as `constant`. `name` is for the error.

    Raises:
        TypeError: if it is neither a number nor a distribution.
        ValueError: if it is a negative number, or not finite.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        _check(name, value)
        return constant(float(value))
    if isinstance(value, Distribution):
        return value
    kinds = "constant, lognormal, bimodal, empirical"
    raise TypeError(f"{name}: expected seconds or one of {kinds}, got {type(value).__name__} {value!r}")


def _check(name: str, value: float, *, above: bool = False) -> None:
    if not isinstance(value, int | float) or not isfinite(value) or value < 0 or (above and value == 0):
        least = "above 0" if above else "from 0"
        raise ValueError(f"{name}: expected a finite number {least}, got {value!r}")
