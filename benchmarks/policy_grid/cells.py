"""The scenarios of the grid, and the policies that meet in each."""

from __future__ import annotations

from itertools import product
from math import ceil
from typing import Final, Literal, NamedTuple

from pullahead.sim import Distribution, bimodal, constant, lognormal
from pullahead.sim.policies import AUTO_KEEPING, ON_DEMAND, PULLAHEAD, Policy, fixed
from pullahead.sim.scenario import BACKLOG, Scenario

Spread = Literal["constant", "cv 0.5", "cv 2", "bimodal"]
#: "backlog", or the share of what the workers can do that arrives.
Load = Literal["backlog"] | float

MILLISECONDS: Final = (0.1, 1.0, 10.0, 100.0)
SPREADS: Final[tuple[Spread, ...]] = ("constant", "cv 0.5", "cv 2", "bimodal")
WORKERS: Final = (1, 8, 64)
LOADS: Final[tuple[Load, ...]] = (BACKLOG, 0.6, 0.9)

#: Of bimodal items: how often a large one comes, and how many times as long it takes.
P_LARGE: Final = 0.05
TIMES: Final = 200.0
#: A cell has at least so many items per worker, and lasts at least so many round trips.
ITEMS_PER_WORKER: Final = 2000
ROUND_TRIPS: Final = 200

_MS: Final = 1e-3


class Cell(NamedTuple):
    """One scenario, but for its seed and its policy.

    Attributes:
        compute: mean milliseconds that an item takes.
        delay: milliseconds of a round trip.
        spread: of the computing times around their mean.
        workers: how many.
        load: "backlog", or the share of the capacity that arrives.
    """

    compute: float
    delay: float
    spread: Spread
    workers: int
    load: Load

    @property
    def name(self) -> str:
        """All that it is, for people and for `--only`."""
        return (
            f"compute {self.compute:g} ms, delay {self.delay:g} ms, {self.spread}, "
            f"{self.workers} worker{'s'[: self.workers > 1]}, {load_name(self.load)}"
        )

    @property
    def items(self) -> int:
        """How many items it takes to show what is usual."""
        return max(
            ITEMS_PER_WORKER * self.workers, ceil(ROUND_TRIPS * self.delay / self.compute * self.workers)
        )

    @property
    def distribution(self) -> Distribution:
        """What an item takes, in seconds."""
        mean = self.compute * _MS
        if self.spread == "constant":
            return constant(mean)
        if self.spread == "bimodal":
            small = mean / (1.0 + P_LARGE * (TIMES - 1.0))
            return bimodal(small, TIMES * small, P_LARGE)
        return lognormal(mean, 0.5 if self.spread == "cv 0.5" else 2.0)

    def scenario(self, seed: int, items: int) -> Scenario:
        """Return it for one seed; its policy is a matter of `Scenario.policy`."""
        return Scenario(
            workers=self.workers,
            compute=self.distribution,
            delay=self.delay * _MS,
            arrivals=BACKLOG if self.load == BACKLOG else self.load * self.workers / (self.compute * _MS),
            items=items,
            seed=seed,
        )

    @property
    def policies(self) -> list[Policy]:
        """Who meets here.

        With a backlog the large fixed lookaheads take part where they can matter: hiding a delay takes
        delay ÷ compute items, and several times as many where a stretch of small ones is likely.
        """
        numbers = [1, 2, 4, 8, 16, 64]
        if self.load == BACKLOG:
            numbers += [large for large in (256, 1024) if 64 * self.delay > large * self.compute]
        return [ON_DEMAND, *map(fixed, numbers), AUTO_KEEPING, PULLAHEAD]


def load_name(load: Load) -> str:
    """Return "backlog" or "90 %"."""
    return load if isinstance(load, str) else f"{load:.0%}".replace("%", " %")


def full() -> list[Cell]:
    """Return every combination."""
    axes = product(MILLISECONDS, MILLISECONDS, SPREADS, WORKERS, LOADS)
    return [Cell(*values) for values in axes]


def subset() -> list[Cell]:
    """Return 40 cells that a shared machine can afford.

    Most have 8 workers. They cover each ratio of delay to computing from 1/100 to 100 under each load, each
    spread under each load, and a few cells with 1 and with 64 workers. Where 200 round trips take 20,000
    items per worker, most have one.
    """
    return [Cell(*row, load) for load, rows in _SUBSET.items() for row in rows]


def quick() -> list[Cell]:
    """Return three cells that take seconds."""
    return [
        Cell(1.0, 1.0, "cv 0.5", 2, BACKLOG),
        Cell(1.0, 10.0, "bimodal", 2, 0.6),
        Cell(1.0, 0.1, "constant", 2, 0.9),
    ]


_SUBSET: Final[dict[Load, list[tuple[float, float, Spread, int]]]] = {
    BACKLOG: [
        (0.1, 0.1, "constant", 8),
        (0.1, 1, "cv 0.5", 8),
        (0.1, 10, "bimodal", 8),
        (1, 0.1, "cv 2", 8),
        (1, 1, "bimodal", 8),
        (1, 10, "cv 0.5", 8),
        (1, 10, "cv 2", 1),
        (1, 100, "constant", 1),
        (10, 0.1, "constant", 8),
        (10, 1, "cv 2", 8),
        (10, 10, "bimodal", 8),
        (10, 10, "cv 0.5", 64),
        (10, 100, "cv 0.5", 8),
        (10, 100, "constant", 1),
        (100, 1, "cv 2", 8),
        (100, 100, "bimodal", 8),
    ],
    0.6: [
        (0.1, 0.1, "cv 2", 8),
        (0.1, 10, "cv 0.5", 1),
        (1, 0.1, "bimodal", 8),
        (1, 1, "cv 2", 8),
        (1, 10, "bimodal", 8),
        (10, 0.1, "cv 0.5", 8),
        (10, 1, "bimodal", 8),
        (10, 10, "cv 0.5", 8),
        (10, 10, "bimodal", 1),
        (10, 10, "cv 2", 64),
        (10, 100, "constant", 8),
        (100, 10, "cv 2", 8),
    ],
    0.9: [
        (0.1, 0.1, "bimodal", 8),
        (0.1, 10, "constant", 1),
        (1, 0.1, "cv 2", 8),
        (1, 1, "bimodal", 8),
        (1, 10, "cv 0.5", 8),
        (1, 100, "cv 2", 8),
        (10, 0.1, "bimodal", 8),
        (10, 1, "cv 2", 8),
        (10, 10, "bimodal", 8),
        (10, 10, "cv 0.5", 64),
        (10, 100, "cv 2", 8),
        (100, 10, "bimodal", 8),
    ],
}
