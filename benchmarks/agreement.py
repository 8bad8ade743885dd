"""Does the simulator tell the truth? The same items, for real behind a delay line and under virtual time.

Run it with `python -m benchmarks.agreement`, with `--quick` to see that it works. It takes about a minute.

What is compared is the utilization from the moment when the first worker was there until the last computation
ended. A real run's own report begins earlier, when `map` was called, and ends later, when the caller has
heard of the end: neither the start of processes nor the way to the caller is simulated. For the same reason
the simulator is told when each further worker was there, and what the machine itself has added in this run to
a round trip, to a computation and to a load, on average: one and some tenths of a millisecond.

The computations sleep, so that a crowded machine changes what they take as little as possible. Where it held
something up for tens of milliseconds all the same, what it ran is not the scenario any more: such a run is
repeated, whatever its utilization was. Of the last quarter of the items the largest come first: otherwise who
happens to get the last large one would decide more than any policy.
"""

from __future__ import annotations

import sys
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from statistics import fmean
from typing import Final, Literal, final

from rich import box
from rich.console import Console
from rich.table import Table

import pullahead
from pullahead.core import trace
from pullahead.observe.report import Report
from pullahead.sim import Distribution, bimodal, constant, lognormal
from pullahead.sim.replay import trips
from pullahead.sim.result import Result
from pullahead.sim.trial import Trial
from pullahead.testing import delay_line

MS: Final = 1e-3
#: Runs of one scenario under one policy until the machine has kept up. The last is compared as it is.
ATTEMPTS: Final = 12
#: How much longer than it was told to be a computation, a load or a round trip may be, ÷ what is compared: of
#: two workers, one such is worth a point.
_HICCUP: Final = 0.02
#: By how much all computations together may be longer, and what workers may have waited for the caller ÷ all.
_EXCESS: Final = 0.1
_CALLER: Final = 0.01
#: Seconds by which round trips may be longer on average.
_SLOW: Final = 4 * MS

Lookahead = int | Literal["auto"]
LOOKAHEADS: Final[tuple[Lookahead, ...]] = (0, 1, 4, "auto")
#: The slow policies get the first so-manieth part of the items, so that every run takes about two seconds.
_PART: Final[dict[Lookahead, int]] = {0: 4, 1: 2}


@final
@dataclass(frozen=True, slots=True)
class Scenario:
    """What both worlds are given. Times in seconds.

    Attributes:
        name: for the table.
        workers, items: how many.
        compute: what an item takes.
        delay: a round trip between worker and queue, without what the machine itself needs.
        load: what the work's `load` takes for each item; 0: it has none.
        overhead: what the machine adds to each computation.
    """

    name: str
    workers: int
    items: int
    compute: Distribution
    delay: float = 40 * MS
    load: float = 0.0
    overhead: float = 0.0

    @property
    def sizes(self) -> array[float]:
        """What each item takes; see the module for their order."""
        draw = self.compute.sampler(Random(f"agreement {self.name}"))
        drawn = [draw() for _ in range(self.items)]
        first = self.items - self.items // 4
        ordered = drawn[:first] + sorted(drawn[first:], reverse=True)
        return array("d", [seconds + self.overhead for seconds in ordered])

    def under(self, lookahead: Lookahead) -> Scenario:
        """Return it with as many items as this policy gets."""
        return replace(self, items=self.items // _PART.get(lookahead, 1))

    def longer(self, overhead: float, load: float) -> Scenario:
        """Return it with so much added to each computation and to each load."""
        return replace(self, overhead=overhead, load=self.load + load)


SCENARIOS: Final = (
    Scenario("constant 15 ms", 2, 240, constant(15 * MS)),
    Scenario("constant 30 ms", 3, 200, constant(30 * MS)),
    Scenario("15 or 45 ms", 2, 180, bimodal(15 * MS, 45 * MS, 0.25)),
    Scenario("lognormal 25 ms", 2, 160, lognormal(25 * MS, 0.5)),
    Scenario("25 ms, load 50 ms", 2, 160, constant(25 * MS), 20 * MS, load=50 * MS),
)


@final
@dataclass(frozen=True, slots=True)
class Pair:
    """One scenario under one policy, in both worlds."""

    lookahead: Lookahead
    report: Report
    held_up: str  # how the machine did not keep up, "" if it did
    round_trip: float  # what it took for real, on average
    began: float  # when the first worker was there, on the monotonic clock
    simulated: Result

    @property
    def real_seconds(self) -> float:
        """From the first worker's beginning to the end of the last computation."""
        return max(span.end for span in spans(self.report, trace.PROCESS)) - self.began

    @property
    def real_utilization(self) -> float:
        """Of the real run, over the time that is compared."""
        return self.report.useful_seconds / (self.report.lanes * self.real_seconds)

    @property
    def replayed_utilization(self) -> float:
        """What `Report.replay` says of the same policy, from the first worker's beginning."""
        again = self.report.replay(self.lookahead, recall=True)
        before = min(one.started for one in self.report.workers) - self.report.started
        return again.useful_seconds / (again.workers * (again.seconds - before))


def spans(report: Report, kind: str) -> list[trace.Span]:
    """Return what all workers have recorded of one kind."""
    assert report.trace is not None
    return [span for recorded in report.trace.values() for span in recorded if span.kind == kind]


def rest(seconds: float) -> None:
    """Compute, as far as anyone can tell."""
    time.sleep(seconds)


def load(pause: float, seconds: float) -> float:
    """Read an item from something that takes a while."""
    time.sleep(pause)
    return seconds


def compare(scenario: Scenario, lookahead: Lookahead) -> Pair:
    """Run it for real, until the machine keeps up, then simulate it."""
    scenario = scenario.under(lookahead)
    for _ in range(ATTEMPTS):
        report = run(scenario, lookahead)
        why = held_up(scenario, report)
        if not why:
            break
    round_trip = fmean(ways(report))
    there = starts(report, round_trip)
    at = array("d", [moment - min(there) for moment in there])
    real = scenario.longer(fmean(late(scenario, report)), fmean(late_loads(scenario, report) or [0.0]))
    simulated = simulate(real, lookahead, round_trip, at)
    return Pair(lookahead, report, why, round_trip, min(there), simulated)


def run(scenario: Scenario, lookahead: Lookahead) -> Report:
    """Run it on processes, behind a delay line."""
    with delay_line(scenario.delay):
        return pullahead.run(
            rest,
            scenario.sizes,
            workers=scenario.workers,
            lookahead=lookahead,
            load=partial(load, scenario.load) if scenario.load else None,
            ordered=False,  # else the caller's window would wait for large items; a simulation has none
            trace=True,
        )


def simulate(scenario: Scenario, lookahead: Lookahead, round_trip: float, at: array[float]) -> Result:
    """Run it under virtual time; `at` is when each worker is there, in seconds."""
    return Trial(
        workers=scenario.workers,
        computes=scenario.sizes,
        arrivals=None,
        wire=lambda: lambda: 0.5 * round_trip,
        lookahead=None if lookahead == "auto" else lookahead,
        loads=array("d", [scenario.load] * scenario.items) if scenario.load else None,
        starts=at,
    ).run()


def late(scenario: Scenario, report: Report) -> list[float]:
    """Return by how much each computation was longer than it sleeps."""
    sizes = scenario.sizes
    return [span.end - span.start - sizes[span.item] for span in spans(report, trace.PROCESS)]


def late_loads(scenario: Scenario, report: Report) -> list[float]:
    """Return by how much each load was longer than it sleeps."""
    return [span.end - span.start - scenario.load for span in spans(report, trace.LOAD)]


def ways(report: Report) -> list[float]:
    """Return what round trips took, without each worker's first, in which its process comes to life."""
    assert report.trace is not None
    return [seconds for recorded in report.trace.values() for seconds in trips(recorded)[1:]]


def held_up(scenario: Scenario, report: Report) -> str:
    """Say how the machine did not keep up with what a run was told to take; "" if it did."""
    assert report.trace is not None
    if sum(bool(trips(recorded)) for recorded in report.trace.values()) < scenario.workers:
        return "a worker came too late to get anything"
    computing = spans(report, trace.PROCESS)
    hiccup = _HICCUP * (max(span.end for span in computing) - min(span.start for span in computing))
    items, longest = late(scenario, report), max(ways(report))
    loads = late_loads(scenario, report)
    waited = sum(
        report.stall_seconds.get(cause, 0.0)
        for cause in (trace.CAUSE_SOURCE, trace.CAUSE_CONSUMER, trace.CAUSE_ORDER)
    )
    if max(items) > hiccup:
        return f"an item took {max(items) / MS:.0f} ms longer than it sleeps"
    if max(loads, default=0.0) > hiccup:
        return f"a load took {max(loads) / MS:.0f} ms longer than it sleeps"
    if sum(items) > _EXCESS * sum(scenario.sizes):
        return f"items took {sum(items) / sum(scenario.sizes):.0%} longer than they sleep"
    if longest - scenario.delay > hiccup:
        return f"a round trip took {longest / MS:.0f} ms"
    if fmean(ways(report)) - scenario.delay > _SLOW:
        return f"round trips took {fmean(ways(report)) / MS:.0f} ms on average"
    if waited > _CALLER * report.available_seconds:
        return f"workers waited {waited / MS:.0f} ms for the caller"
    return ""


def starts(report: Report, round_trip: float) -> list[float]:
    """When each worker was there, on the monotonic clock: a round trip before its first items came.

    What its process needs to come to that is not simulated.
    """
    assert report.trace is not None
    over = max(span.end for span in spans(report, trace.PROCESS))
    return [
        min((span.end for span in recorded if span.kind == trace.FETCH), default=over) - round_trip
        for _, recorded in sorted(report.trace.items())
    ]


def show(pairs: Sequence[tuple[Scenario, Pair]]) -> None:
    """Print the table."""
    table = Table(box=box.SIMPLE_HEAD, caption_justify="left")
    table.caption = "! the machine did not keep up, in any of several attempts"
    for column in ("scenario", "round trip", "lookahead"):
        table.add_column(column)
    for column in ("real", "simulated", "points", "real s", "simulated s", "replayed"):
        table.add_column(column, justify="right")
    for scenario, pair in pairs:
        real, simulated = pair.real_utilization, pair.simulated.utilization
        table.add_row(
            f"{scenario.workers} × {scenario.name}",
            f"{scenario.delay / MS:g} + {(pair.round_trip - scenario.delay) / MS:.1f} ms",
            str(pair.lookahead),
            f"{real:.1%}",
            f"{simulated:.1%}",
            f"{100 * (real - simulated):+.1f}" + (" !" if pair.held_up else ""),
            f"{pair.real_seconds:.2f}",
            f"{pair.simulated.seconds:.2f}",
            f"{pair.replayed_utilization:.1%}",
        )
    Console(highlight=False, width=120).print(table)


def main() -> None:
    """Compare them all."""
    chosen = SCENARIOS[:1] if "--quick" in sys.argv else SCENARIOS
    show([(one, compare(one, lookahead)) for one in chosen for lookahead in LOOKAHEADS])


if __name__ == "__main__":
    main()
