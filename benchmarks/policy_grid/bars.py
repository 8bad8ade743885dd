"""What "auto" has to reach in a cell, and whether it does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum
from statistics import fmean
from typing import Final, NamedTuple

from benchmarks.policy_grid.cells import Cell
from benchmarks.policy_grid.intervals import Interval, mean, ratio
from benchmarks.policy_grid.measure import Row
from benchmarks.policy_grid.store import Rows

from pullahead.core.lookahead import BUNDLE
from pullahead.sim.policies import PULLAHEAD, Policy, fixed
from pullahead.sim.scenario import AUTO, BACKLOG


class Verdict(StrEnum):
    """`OPEN`: the interval contains the bar, so that more seeds are needed."""

    MET = "met"
    OPEN = "open"
    MISSED = "missed"


class Kind(NamedTuple):
    """One kind of bar.

    Attributes:
        title: for tables.
        at_least: whether more is better.
        share: of the cells in which it has to be met.
    """

    title: str
    at_least: bool = False
    share: float = 1.0


BEST_THROUGHPUT: Final = Kind("throughput ≥ 99 % of the best fixed lookahead", at_least=True)
IDEAL_THROUGHPUT: Final = Kind("throughput ≥ 98 % of ideal, where a fixed one reaches that", at_least=True)
BEST_P99: Final = Kind("p99 ≤ 105 % of the best fixed lookahead's")
IDEAL_P99: Final = Kind("p99 ≤ max(110 % of ideal, ideal + 4 × delay)", share=0.9)
HELD: Final = Kind("held ≤ 2 × smallest fixed lookahead within 1 % of the best, + 3")
MESSAGES: Final = Kind("messages per item ≤ 3 at 60 %, < 0.2 with a backlog, delay ≥ 20 × compute")
HOARD: Final = Kind("hoard-idle ≤ 1 % of fixed 16")
#: What holds everywhere, of two bars that cannot be met: small items travel in bundles because messages cost
#: processor time, which is not simulated; and until a message has arrived, nothing can move. (docs/design.md)
BUNDLE_HELD: Final = Kind(f"held ≤ that, or one bundle: {1000 * BUNDLE:g} ms of work")
TRIP_HOARD: Final = Kind("hoard-idle per item ≤ 0.4 delays")
KINDS: Final = (
    BEST_THROUGHPUT,
    IDEAL_THROUGHPUT,
    BEST_P99,
    IDEAL_P99,
    HELD,
    BUNDLE_HELD,
    MESSAGES,
    HOARD,
    TRIP_HOARD,
)
#: Those about what a user notices.
SPEED: Final = (BEST_THROUGHPUT, IDEAL_THROUGHPUT, BEST_P99, IDEAL_P99)


class Bar(NamedTuple):
    """What was measured, beside what is asked."""

    measured: Interval
    limit: float
    at_least: bool = False

    @property
    def verdict(self) -> Verdict:
        """Whether it is reached beyond doubt."""
        low, high = self.measured.low, self.measured.high
        if low >= self.limit if self.at_least else high <= self.limit:
            return Verdict.MET
        return Verdict.MISSED if (high < self.limit if self.at_least else low > self.limit) else Verdict.OPEN

    @property
    def excess(self) -> float:
        """How many times the limit is overrun; above 1 is too much."""
        over = self.measured.value / self.limit
        return 1.0 / over if self.at_least else over


class Outcome(NamedTuple):
    """A cell with all its policies.

    Attributes:
        cell: which.
        rows: of each policy, in the order of the seeds.
        best: the best fixed lookahead, in hindsight: the mean over these very seeds chooses it, which is to
            its advantage.
        bars: those that apply here.
    """

    cell: Cell
    rows: dict[Policy, list[Row]]
    best: Policy
    bars: dict[Kind, Bar]


def outcomes(rows: Rows) -> list[Outcome]:
    """Judge each cell that has all its policies. Seeds that some policy has not run yet do not count."""
    seeds: dict[tuple[Cell, int], dict[Policy, dict[int, Row]]] = defaultdict(lambda: defaultdict(dict))
    for job, row in rows.items():
        seeds[job.cell, job.items][job.policy][job.seed] = row
    judged = []
    for (cell, items), by_policy in seeds.items():
        if not set(cell.policies) <= by_policy.keys():
            continue
        common = sorted(set.intersection(*(set(by_policy[policy]) for policy in cell.policies)))
        if common:
            judged.append(
                judge(cell, items, {one: [by_policy[one][seed] for seed in common] for one in cell.policies})
            )
    return sorted(judged, key=lambda one: (str(one.cell.load) != BACKLOG, str(one.cell.load), one.cell[:4]))


def slowness(cell: Cell, rows: Sequence[Row]) -> float:
    """Return what is compared between policies, less is better: seconds per item, or the p99."""
    return (
        1.0 / fmean(row.throughput for row in rows)
        if cell.load == BACKLOG
        else fmean(row.p99 for row in rows)
    )


def judge(cell: Cell, items: int, rows: dict[Policy, list[Row]]) -> Outcome:
    """Compute the bars of a cell, from rows of so many items and of the same seeds, in the same order."""
    slow = {one: slowness(cell, rows[one]) for one in rows if one.lookahead != AUTO}
    best = min(slow, key=slow.__getitem__)
    near = min(int(one.lookahead) for one in slow if slow[one] <= slow[best] * 1.01)
    auto = rows[PULLAHEAD]
    bars: dict[Kind, Bar] = {}

    def ask(kind: Kind, measured: Interval, limit: float) -> None:
        bars[kind] = Bar(measured, limit, kind.at_least)

    if cell.load == BACKLOG:
        ours, ideal = [row.throughput for row in auto], [row.ideal_throughput for row in auto]
        theirs = [row.throughput for row in rows[best]]
        ask(BEST_THROUGHPUT, ratio(ours, theirs), 0.99)
        if fmean(theirs) >= 0.98 * fmean(ideal):
            ask(IDEAL_THROUGHPUT, ratio(ours, ideal), 0.98)
    else:
        delay, ours = cell.delay / 1000, [row.p99 for row in auto]
        ask(BEST_P99, ratio(ours, [row.p99 for row in rows[best]]), 1.05)
        allowed = [max(1.10 * row.ideal_p99, row.ideal_p99 + 4 * delay) for row in auto]
        ask(IDEAL_P99, ratio(ours, allowed), 1.0)

    held = mean([row.held for row in auto])
    ask(HELD, held, 2.0 * near + 3.0)
    ask(BUNDLE_HELD, held, max(2.0 * near + 3.0, 1000 * BUNDLE / cell.compute))
    if cell.load == 0.6 or (cell.load == BACKLOG and cell.delay >= 20 * cell.compute):
        ask(MESSAGES, mean([row.messages for row in auto]), 0.2 if cell.load == BACKLOG else 3.0)
    prefetched = [row.hoard_idle for row in rows[fixed(16)]]
    if any(prefetched):
        ask(HOARD, ratio([row.hoard_idle for row in auto], prefetched), 0.01)
        ask(TRIP_HOARD, mean([row.hoard_idle / items / (cell.delay / 1000) for row in auto]), 0.4)
    return Outcome(cell, rows, best, bars)
