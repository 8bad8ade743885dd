"""A scenario: everything that a simulated run depends on. The same scenario gives the same run."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from random import Random
from typing import Final, Literal, final

from pullahead.core.ledger import Ledger
from pullahead.core.lookahead import Lookahead
from pullahead.core.meter import Meter, WorkerTotals
from pullahead.core.pipeline import Pipeline
from pullahead.core.trace import CAUSE_SOURCE, CAUSE_TAIL, PROCESS, STALL, Recorder, Span
from pullahead.observe.report import Report
from pullahead.sim.distributions import Distribution, distribution
from pullahead.sim.gauges import Gauges
from pullahead.sim.ideal import central_queue
from pullahead.sim.result import Result

AUTO: Final = "auto"
BACKLOG: Final = "backlog"
#: The only run there is.
_RUN: Final = 0


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The costs of a scenario."""

    compute: Callable[[int], float]
    wire: Callable[[], float]

    def load(self, item: int) -> float:
        return 0.0

    def store(self, item: int) -> float:
        return 0.0

    def wake(self) -> float:
        return 0.0


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

    def __post_init__(self) -> None:
        for name in ("workers", "items"):
            _expect_int(name, getattr(self, name), 1)
        for name in ("compute", "delay"):
            object.__setattr__(self, name, distribution(name, getattr(self, name)))
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

    def run(self, *, trace: bool = False) -> Result:
        """Simulate it."""
        computes, arrivals = self.draw()
        gauges = self._gauges(computes)
        for number in range(self.workers):
            gauges.start(self._pipeline(number, trace))
        gauges.open(_RUN)
        if arrivals is None:
            gauges.submit(_RUN, self.items)
            gauges.close(_RUN)
        else:
            _Source(gauges, arrivals).next(0)
        gauges.clock.run()
        statistics = gauges.queue.ledger.statistics()
        seconds = max(gauges.finished)
        carried = sum(worker.up.carried + worker.down.carried for worker in gauges.workers)
        return Result(
            workers=self.workers,
            items=self.items,
            seconds=seconds,
            useful_seconds=gauges.useful,
            held_mean=gauges.held_seconds / (self.workers * gauges.ended),
            messages_per_item=carried / self.items,
            recalls_per_item=statistics.recalls / self.items,
            hoard_idle_seconds=gauges.hoard_seconds,
            finished=gauges.finished,
            arrivals=arrivals,
            observe=lambda traced: (
                self.run(trace=True).observe(True) if traced and not trace else self._report(gauges, seconds)
            ),
            without_delay=partial(self._ideal, computes, arrivals),
        )

    def draw(self) -> tuple[array[float], array[float] | None]:
        """Draw what each item takes, and when it arrives (None: all are there at the beginning).

        They depend on the seed, and not on the policy: scenarios that differ only in `lookahead` and `recall`
        see the same items (common random numbers).
        """
        assert isinstance(self.compute, Distribution)
        sample = self.compute.sampler(Random(f"compute {self.seed}"))
        computes = array("d", [sample() for _ in range(self.items)])
        if self.arrivals == BACKLOG:
            return computes, None
        between, rate, now = Random(f"arrivals {self.seed}").expovariate, self.arrivals, 0.0
        arrivals = array("d")
        for _ in range(self.items):
            now += between(rate)
            arrivals.append(now)
        return computes, arrivals

    def policy(self, lookahead: int | Literal["auto"], recall: bool) -> Scenario:
        """Return the same scenario under another policy."""
        return replace(self, lookahead=lookahead, recall=recall)

    def _gauges(self, computes: array[float]) -> Gauges:
        assert isinstance(self.delay, Distribution)
        round_trip = self.delay.sampler(Random(f"delay {self.seed}"))
        costs = _Drawn(computes.__getitem__, lambda: 0.5 * round_trip())
        gauges: Gauges = Gauges(
            costs, Ledger(recall=self.recall), self.workers, self.items, lambda: gauges.stop()
        )
        return gauges

    def _pipeline(self, number: int, trace: bool) -> Pipeline:
        fixed = None if self.lookahead == AUTO else int(self.lookahead)
        return Pipeline(
            Lookahead(fixed),
            Meter(number, 0.0),
            Recorder(trace),
            gives_back=self.recall and self.workers > 1,
        )

    def _report(self, gauges: Gauges, seconds: float) -> Report:
        return Report(
            workers=[gauges.totals[number] for number in sorted(gauges.totals)],
            done=self.items,
            total=self.items,
            seconds=seconds,
            trace=gauges.spans or None,
            title=f"lookahead {self.lookahead}" + ("" if self.recall else " without recall"),
            fixed_lookahead=None if self.lookahead == AUTO else int(self.lookahead),
        )

    def _ideal(self, computes: array[float], arrivals: array[float] | None) -> Result:
        begins, ends, places = central_queue(self.workers, computes, arrivals)
        seconds = max(ends)
        return Result(
            workers=self.workers,
            items=self.items,
            seconds=seconds,
            useful_seconds=sum(computes),
            held_mean=0.0,
            messages_per_item=0.0,
            recalls_per_item=0.0,
            hoard_idle_seconds=0.0,
            finished=ends,
            arrivals=arrivals,
            observe=lambda traced: _ideal_report(self.workers, begins, ends, places, seconds, traced),
            without_delay=partial(self._ideal, computes, arrivals),
        )


class _Source:
    """Submits each item when it arrives."""

    def __init__(self, world: Gauges, arrivals: array[float]) -> None:
        self._world, self._arrivals = world, arrivals

    def next(self, item: int) -> None:
        """Let this item arrive when its time has come."""
        if item < len(self._arrivals):
            self._world.clock.at(self._arrivals[item], self._arrive, item)
        else:
            self._world.close(_RUN)

    def _arrive(self, item: int) -> None:
        self._world.submit(_RUN, 1)
        self.next(item + 1)


def _ideal_report(
    workers: int,
    begins: array[float],
    ends: array[float],
    places: array[int],
    seconds: float,
    traced: bool,
) -> Report:
    totals = [WorkerTotals(worker=number, started=0.0) for number in range(workers)]
    spans: dict[int, list[Span]] = {number: [] for number in range(workers)}
    for item, (begin, end, place) in enumerate(zip(begins, ends, places, strict=True)):
        one = totals[place]
        if begin > one.ended:
            one.stalls[CAUSE_SOURCE] = one.stalls.get(CAUSE_SOURCE, 0.0) + begin - one.ended
            spans[place].append(Span(STALL, one.ended, begin, detail=CAUSE_SOURCE))
        one.items += 1
        one.useful += end - begin
        one.ended = end
        spans[place].append(Span(PROCESS, begin, end, item))
    for number, one in enumerate(totals):
        one.tail = seconds - one.ended
        spans[number].append(Span(STALL, one.ended, seconds, detail=CAUSE_TAIL))
        one.ended = seconds
    return Report(
        workers=totals,
        done=len(ends),
        total=len(ends),
        seconds=seconds,
        trace=spans if traced else None,
        title="ideal",
    )


def _expect_int(name: str, value: object, least: int | None, or_else: str = "") -> None:
    expected = f"{or_else}a whole number" + ("" if least is None else f" from {least}")
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected {expected}, got {value!r}")
    if least is not None and value < least:
        raise ValueError(f"{name}: expected {expected}, got {value!r}")
