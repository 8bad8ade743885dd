"""Means over seeds with 95 % confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple


class Interval(NamedTuple):
    """An estimate, and how far it may be off to either side."""

    value: float
    margin: float

    @property
    def low(self) -> float:
        """The lower end."""
        return self.value - self.margin

    @property
    def high(self) -> float:
        """The upper end."""
        return self.value + self.margin


def t_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t.

    From 6 degrees of freedom it is the Cornish-Fisher expansion around the normal quantile to the third order
    (Abramowitz and Stegun, 26.7.5), which is off by less than 0.1 %.
    """
    if freedom <= len(_SMALL):
        return _SMALL[freedom - 1]
    z = NormalDist().inv_cdf(0.975)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def mean(values: Sequence[float]) -> Interval:
    """Return the mean over seeds. One seed tells nothing of the margin."""
    if len(values) < 2:
        return Interval(fmean(values), inf)
    return Interval(fmean(values), t_quantile(len(values) - 1) * stdev(values) / sqrt(len(values)))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Return the ratio of two means over the same seeds.

    Its margin is that of the paired differences ours - ratio × theirs: what a seed does to both drops out.
    Unlike a mean of ratios, this is not upset by a seed in which `theirs` is near 0.

    Raises:
        ZeroDivisionError: if `theirs` is 0 throughout.
    """
    scale = fmean(theirs)
    value = fmean(ours) / scale
    differences = [(our - value * their) / scale for our, their in zip(ours, theirs, strict=True)]
    return Interval(value, mean(differences).margin)


_SMALL = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706)
