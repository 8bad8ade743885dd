"""A scenario: everything that a simulated run depends on. The same scenario gives the same run."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from math import isfinite
from random import Random
from typing import Final, Literal, final

from pullahead.sim.distributions import Distribution, distribution
from pullahead.sim.result import Result
from pullahead.sim.trial import Trial

AUTO: Final = "auto"
BACKLOG: Final = "backlog"


@final
@dataclass(frozen=True, slots=True)
class Scenario:
    """See `simulate` for the meaning of each. Numbers of seconds become `constant`.

    Raises:
        TypeError, ValueError: for what makes no sense; one line says what was expected, and what came.
    """

    workers: int = 8
    compute: float | Distribution = 0.01
    delay: float | Distribution = 0.01
    arrivals: float | Literal["backlog"] = BACKLOG
    items: int = 10_000
    lookahead: int | Literal["auto"] = AUTO
    recall: bool = True
    seed: int = 0
    queues: int = 1
    exchange_cost: float = 0.0

    def __post_init__(self) -> None:
        for name in ("workers", "items"):
            _expect_int(name, getattr(self, name), 1)
        for name in ("compute", "delay"):
            object.__setattr__(self, name, distribution(name, getattr(self, name)))
        assert isinstance(self.compute, Distribution)
        if not self.compute.mean > 0:
            raise ValueError(f"compute: expected items that take time, got {self.compute}")
        if self.arrivals != BACKLOG:
            rate = self.arrivals
            if isinstance(rate, bool) or not isinstance(rate, int | float):
                raise TypeError(f"arrivals: expected {BACKLOG!r} or items per second, got {rate!r}")
            if not (isfinite(rate) and rate > 0):
                raise ValueError(f"arrivals: expected {BACKLOG!r} or a rate above 0, got {rate!r}")
        if self.lookahead != AUTO:
            _expect_int("lookahead", self.lookahead, 0, f"{AUTO!r} or ")
        if not isinstance(self.recall, bool):
            raise TypeError(f"recall: expected True or False, got {self.recall!r}")
        _expect_int("seed", self.seed, None)
        _expect_int("queues", self.queues, 1)
        if self.queues > self.workers:
            raise ValueError(f"queues: expected at most one per worker, {self.workers}, got {self.queues}")
        cost = self.exchange_cost
        if isinstance(cost, bool) or not isinstance(cost, int | float):
            raise TypeError(f"exchange_cost: expected seconds, got {cost!r}")
        if not (isfinite(cost) and cost >= 0):
            raise ValueError(f"exchange_cost: expected a finite number from 0, got {cost!r}")

    def run(self) -> Result:
        """Simulate it."""
        return self.trial().run()

    def trial(self) -> Trial:
        """Draw what each item takes, and when it arrives.

        That depends on the seed, and not on the policy: scenarios that differ only in `lookahead`, `recall`
        and the queues see the same items (common random numbers).
        """
        assert isinstance(self.compute, Distribution)
        assert isinstance(self.delay, Distribution)
        sample = self.compute.sampler(Random(f"compute {self.seed}"))
        return Trial(
            workers=self.workers,
            computes=array("d", [sample() for _ in range(self.items)]),
            arrivals=None if self.arrivals == BACKLOG else self._arrivals(self.arrivals),
            wire=partial(_half, self.delay, self.seed),
            lookahead=None if self.lookahead == AUTO else int(self.lookahead),
            recall=self.recall,
            queues=self.queues,
            exchange_cost=float(self.exchange_cost),
            title=f"lookahead {self.lookahead}" + ("" if self.recall else ", no recall"),
        )

    def policy(self, lookahead: int | Literal["auto"], recall: bool) -> Scenario:
        """Return the same scenario under another policy."""
        return replace(self, lookahead=lookahead, recall=recall)

    def _arrivals(self, rate: float) -> array[float]:
        between = Random(f"arrivals {self.seed}").expovariate
        return array("d", accumulate(between(rate) for _ in range(self.items)))


def _half(delay: Distribution, seed: int) -> Callable[[], float]:
    round_trip = delay.sampler(Random(f"delay {seed}"))
    return lambda: 0.5 * round_trip()


def _expect_int(name: str, value: object, least: int | None, or_else: str = "") -> None:
    expected = f"{or_else}a whole number" + ("" if least is None else f" from {least}")
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected {expected}, got {value!r}")
    if least is not None and value < least:
        raise ValueError(f"{name}: expected {expected}, got {value!r}")
