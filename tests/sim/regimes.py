"""Runs whose world changes in the middle: what messages cost depends on how far the run has come."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any

from pullahead.core import trace
from pullahead.core.estimates import covering_depth
from pullahead.core.ledger import Ledger
from pullahead.core.lookahead import MAX_LOOKAHEAD, Lookahead
from pullahead.core.meter import Meter
from pullahead.core.pipeline import Pipeline
from pullahead.core.trace import Recorder, Span
from pullahead.observe.report import Report
from pullahead.sim.gauges import Gauges

_RUN = 0
#: Measurements of each kind that the lookahead remembers, or a little more.
_REMEMBERED = 128


class _Costs:
    """Items whose sizes are known, and messages that take what they take at this point of the run."""

    def __init__(self, computes: Sequence[float], round_trip: Callable[[int], float]) -> None:
        self._computes, self._round_trip = computes, round_trip
        self._latest = 0  # the highest number of an item that has begun

    def compute(self, item: int) -> float:
        self._latest = max(self._latest, item)
        return self._computes[item]

    def wire(self) -> float:
        return self._round_trip(self._latest) / 2

    def load(self, item: int) -> float:
        return 0.0

    store = load

    def wake(self) -> float:
        return 0.0


@dataclass(frozen=True)
class Run:
    """What came of it. `spans` are those of each worker."""

    workers: int
    computes: Sequence[float]
    finished: array[float]
    spans: dict[int, list[Span]]
    report: Report

    def rate(self, first: int, stop: int) -> float:
        """Items per second from the end of the first to that of the last of these, in the order of ends."""
        ends = sorted(self.finished)
        return (stop - first) / (ends[stop - 1] - ends[first - 1])

    def utilization(self, since: float, until: float) -> float:
        """The share of the workers' time in a stretch in which they computed."""
        spans = [span for spans in self.spans.values() for span in spans if span.kind == trace.PROCESS]
        useful = sum(max(0.0, min(span.end, until) - max(span.start, since)) for span in spans)
        return useful / (self.workers * (until - since))

    def moves(self, worker: int) -> list[Span]:
        """Where the lookahead of a worker went, when, and why."""
        return [span for span in self.spans[worker] if span.kind == trace.LOOKAHEAD]

    def depth(self, worker: int, at: float = float("inf")) -> int:
        """The lookahead of a worker at a moment, after its first move."""
        return next((span.item for span in reversed(self.moves(worker)) if span.end <= at), 1)

    def formula(self, worker: int) -> int:
        """The smallest k whose k computes cover a fetch, by the last measurements of a worker."""
        computes, fetches = (
            [(span.end - span.start) / each for span in self.spans[worker] if span.kind == kind
             for each in [span.size if kind == trace.PROCESS else 1]][-_REMEMBERED:]
            for kind in (trace.PROCESS, trace.FETCH)
        )  # fmt: skip
        fetch = sorted(fetches)[int(0.95 * (len(fetches) - 1))]
        return covering_depth(computes, fetch, most=MAX_LOOKAHEAD)


def run(
    computes: Sequence[float],
    round_trip: Callable[[int], float],
    *,
    workers: int = 4,
    lookahead: int | None = None,
    arrivals: Sequence[float] | None = None,
) -> Run:
    """Simulate one run.

    Args:
        computes: what each item takes.
        round_trip: what a message takes there and back, from how far the run has come: the highest
            number of an item that has begun.
        workers: how many.
        lookahead: a fixed one, or None for "auto".
        arrivals: when each item comes; None: all are there at the beginning.
    """
    costs = _Costs(computes, round_trip)
    world: Gauges = Gauges(costs, Ledger(), workers, len(computes), lambda: world.stop())
    for number in range(workers):
        world.start(Pipeline(Lookahead(lookahead, eager=True), Meter(number, 0.0), Recorder()))
    world.open(_RUN)
    if arrivals is None:
        world.submit(_RUN, len(computes))
        world.close(_RUN)
    else:
        for moment, count in _together(arrivals):
            world.clock.at(moment, _submit, (world, count))
        world.clock.at(arrivals[-1], lambda _: world.close(_RUN))
    world.clock.run()
    report = Report(
        workers=[world.totals[number] for number in sorted(world.totals)],
        done=len(computes),
        total=len(computes),
        seconds=max(world.finished),
        fixed_lookahead=lookahead,
    )
    return Run(workers, computes, world.finished, world.spans, report)


def around(mean: float, count: int, seed: int = 0) -> list[float]:
    """Sizes that differ by a half to both sides."""
    draw = Random(f"around {mean} {seed}")
    return [mean * draw.uniform(0.5, 1.5) for _ in range(count)]


def _submit(what: tuple[Any, int]) -> None:
    world, count = what
    world.submit(_RUN, count)


def _together(arrivals: Sequence[float]) -> list[tuple[float, int]]:
    """What comes at one moment is submitted at once."""
    starts = [0, *(n for n, (a, b) in enumerate(pairwise(arrivals), 1) if a != b), len(arrivals)]
    return [(arrivals[a], b - a) for a, b in pairwise(starts)]
