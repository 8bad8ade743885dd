"""The lookahead "auto" in a world that changes: it finds the new depth, soon, and says why it moved.

Each run is compared with the same run under fixed lookaheads, of which the best one for the new world counts:
whoever had chosen it would have known the future. What is demanded is a share of that one's throughput, after
a stated number of items per worker.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import pytest
from tests.sim.regimes import Run, around, run

from pullahead.sim import constant, lognormal, simulate
from pullahead.sim.distributions import Distribution

MS = 1e-3
WORKERS = 4
#: What a move says: from where to where, and two numbers that made it, in words.
REASON = re.compile(
    r"(\d+) → (\d+): "
    r"(p95 fetch \S+ m?µ?s( and a tenth)? [>≤] p\d+ work \S+ m?µ?s"
    r"|a stall: lately fetch \S+ m?µ?s, work \S+ m?µ?s"
    r"|a stall, and too little measured to know better)(, [a-z ]+)?"
)


@dataclass(frozen=True)
class Change:
    """A world, and another one from its middle on.

    Attributes:
        computes, round_trips: seconds, before and after.
        items: per worker, before and after.
        fixed: lookaheads to compare with.
    """

    computes: tuple[float, float]
    round_trips: tuple[float, float]
    items: tuple[int, int]
    fixed: tuple[int, ...]

    @property
    def at(self) -> int:
        """The first item of the new world."""
        return WORKERS * self.items[0]

    def run(self, lookahead: int | None = None) -> Run:
        computes = [
            seconds
            for part, (mean, count) in enumerate(zip(self.computes, self.items, strict=True))
            for seconds in around(mean, WORKERS * count, seed=part)
        ]
        return run(
            computes, lambda latest: self.round_trips[latest >= self.at], workers=WORKERS, lookahead=lookahead
        )


CHANGES = {
    "compute × 100": Change((1 * MS, 100 * MS), (20 * MS, 20 * MS), (1000, 700), (1, 4, 32)),
    "compute ÷ 100": Change((100 * MS, 1 * MS), (50 * MS, 50 * MS), (100, 1500), (1, 64, 200)),
    "delay × 100": Change((20 * MS, 20 * MS), (10 * MS, 1.0), (200, 500), (1, 64, 128)),
    "delay ÷ 100": Change((20 * MS, 20 * MS), (1.0, 10 * MS), (300, 800), (1, 4, 64)),
}


@cache
def changed(name: str) -> Run:
    return CHANGES[name].run()


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize(("after", "share"), [(20, 0.75), (100, 0.85)])
def test_throughput_recovers_within_so_many_items_per_worker(name: str, after: int, share: float) -> None:
    change = CHANGES[name]
    # Of the end, where the last few items are spread, nothing is said here.
    stretch = change.at + WORKERS * after, WORKERS * (sum(change.items) - 10)
    best = max(fixed_run(name, lookahead).rate(*stretch) for lookahead in change.fixed)
    assert changed(name).rate(*stretch) >= share * best


@cache
def fixed_run(name: str, lookahead: int) -> Run:
    return CHANGES[name].run(lookahead)


@pytest.mark.parametrize("name", CHANGES)
def test_the_depth_ends_near_the_new_value_of_the_formula(name: str) -> None:
    one = changed(name)
    middle = sorted(one.finished)[CHANGES[name].at - 1]
    for worker in range(WORKERS):
        wanted = one.formula(worker)
        assert wanted / 2 <= one.depth(worker) <= 2 * wanted + 2
        before = one.depth(worker, middle)
        assert max(before, one.depth(worker)) >= 5 * min(before, one.depth(worker)), "it did not change much"


@pytest.mark.parametrize("name", CHANGES)
def test_every_move_says_why_with_the_numbers_that_made_it(name: str) -> None:
    one = changed(name)
    for worker in range(WORKERS):
        depth = 16  # before anything is measured
        for move in one.moves(worker):
            said = REASON.fullmatch(move.detail)
            assert said is not None, move.detail
            assert (int(said[1]), int(said[2])) == (depth, move.item)
            depth = move.item


def test_what_made_it_deeper_or_shallower_is_in_the_reason() -> None:
    """The new world is what the last moves speak of: a fetch of about a second, beside work of 20 ms."""
    deeper = changed("delay × 100").moves(0)[-1].detail
    assert re.fullmatch(r"\d+ → \d+: p95 fetch \d\S* s > p50 work (19|2\d)\S* ms.*", deeper)
    shallower = changed("compute × 100").report.reasons[0]
    assert re.fullmatch(
        r"\d+ → \d+: p95 fetch \d+\S* ms( and a tenth)? [>≤] p\d+ work (9|1\d)\S* ms.*", shallower
    )


# Bursts, and a source that stalls


def at_the_same_time(bursts: int, size: int, every: float) -> list[float]:
    return [burst * every for burst in range(bursts) for _ in range(size)]


def test_bursts_are_worked_off_almost_as_fast_as_with_the_best_fixed_lookahead() -> None:
    """Half a second of work for everybody, each second; between them nothing."""
    bursts, size = 8, 400
    arrivals, computes = at_the_same_time(bursts, size, 1.0), around(5 * MS, bursts * size)

    def lasted(lookahead: int | None) -> float:
        ends = run(computes, lambda _: 20 * MS, lookahead=lookahead, arrivals=arrivals).finished
        # The first burst teaches it what things cost.
        return sum(max(ends[n * size : (n + 1) * size]) - n for n in range(1, bursts))

    assert lasted(None) <= 1.15 * min(map(lasted, (1, 8, 16, 64)))


def stalling(computes: Sequence[float], rate: float, before: int) -> list[float]:
    """A steady source that says nothing for ten seconds, after so many items."""
    return [n / rate + (10.0 if n >= before else 0.0) for n in range(len(computes))]


@pytest.mark.parametrize("round_trip", [5 * MS, 60 * MS])
def test_a_source_that_stalls_for_ten_seconds_does_not_deepen_the_lookahead(round_trip: float) -> None:
    computes = around(20 * MS, 2000)
    one = run(computes, lambda _: round_trip, arrivals=stalling(computes, 180.0, 1000))
    stall_begins, stall_ends = 1000 / 180, 1000 / 180 + 10.0
    assert one.utilization(stall_begins + 1, stall_ends) == 0.0
    for worker in range(WORKERS):
        before = one.depth(worker, stall_begins)
        deepest = max((move.item for move in one.moves(worker) if move.end > stall_begins), default=0)
        assert deepest <= 2 * before + 2, "what the source took was taken for a fetch"
    busy_before = one.utilization(stall_begins - 4, stall_begins)
    busy_after = one.utilization(stall_ends + 0.5, stall_ends + 4.5)
    assert busy_before > 0.8
    assert busy_after >= 0.95 * busy_before


def test_after_a_stall_of_the_source_a_backlog_is_worked_off_as_if_nothing_had_been() -> None:
    computes = around(20 * MS, 2400)
    arrivals = [0.0 if n < 1200 else 20.0 for n in range(2400)]

    def rate(lookahead: int | None) -> float:
        one = run(computes, lambda _: 60 * MS, lookahead=lookahead, arrivals=arrivals)
        return one.rate(1200 + 5 * WORKERS, 2400 - 10 * WORKERS)

    assert rate(None) >= 0.95 * max(map(rate, (1, 8, 32)))


# Where looking ahead cannot help


@pytest.mark.parametrize("compute", [constant(0.1), lognormal(0.1, 0.3)], ids=["constant", "lognormal"])
@pytest.mark.parametrize("arrivals", ["backlog", 20.0], ids=["backlog", "slow source"])
def test_where_an_item_outlasts_every_fetch_it_settles_on_one_and_the_report_says_why(
    compute: Distribution, arrivals: float
) -> None:
    report = simulate(4, compute, 10 * MS, arrivals, 600).report
    assert [totals.lookahead for totals in report.workers] == [1] * 4
    lines = [line for line in str(report).splitlines() if line.startswith("  lookahead")]
    assert len(lines) == 1
    assert re.fullmatch(
        r"  lookahead  1 \(.*p95 fetch 10 ms ≤ p\d+ work \S+ ms\); "
        r"more would not help: one item hides a fetch",
        lines[0],
    )


def test_where_the_source_is_slow_the_report_names_it_and_the_lookahead_is_what_hides_a_fetch() -> None:
    """An ask waits at the queue for what comes next. That wait is no reason to ask for more."""
    report = simulate(4, 2 * MS, 10 * MS, 40.0, 1500).report
    assert max(totals.lookahead for totals in report.workers) <= 2 * 10 + 2
    assert report.advice[0].startswith("workers waited 9")
    assert "for the source" in report.advice[0]


def test_where_the_source_is_so_slow_that_nothing_can_be_held_it_settles_on_one() -> None:
    times = [n / 4 for n in range(1000)]
    report = run(around(2 * MS, 1000), lambda _: 10 * MS, arrivals=times).report
    assert [totals.lookahead for totals in report.workers] == [1] * 4
    (line,) = [line for line in str(report).splitlines() if line.startswith("  lookahead")]
    assert re.fullmatch(
        r"  lookahead  1 \(\d+ → 1: items come too far apart: "
        r"64 in a row were waited for longer than a fetch, 10 ms\)",
        line,
    )
    assert report.advice[0].startswith("workers waited 9")
    assert "for the source" in report.advice[0]
