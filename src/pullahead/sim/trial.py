"""One run under virtual time: items whose sizes and arrivals are known, wires, and a policy."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, final

from pullahead.core.ledger import Ledger
from pullahead.core.lookahead import Lookahead
from pullahead.core.meter import Meter, WorkerTotals
from pullahead.core.pipeline import Pipeline
from pullahead.core.trace import Recorder
from pullahead.observe.report import Report
from pullahead.sim.gauges import Gauges
from pullahead.sim.ideal import central_queue, ideal_report
from pullahead.sim.result import Result

#: The only run there is.
_RUN: Final = 0


@final
@dataclass(frozen=True, slots=True)
class Trial:
    """What one run depends on. All times in seconds.

    Attributes:
        workers: how many.
        computes: what each item takes.
        arrivals: when each item comes, ascending; None: all are there at the beginning.
        wire: makes what draws the time of each message, one way; called once for each run, so that every run
            of one trial draws the same.
        lookahead: a fixed one, or None for "auto".
        recall: whether held items may move to a worker that would run them sooner.
        loads, stores: what `load` and `store` of each item take, or None where the work has none.
        batch_size: items per call of `process`; 0: one by one.
        starts: when each worker is there; None: all are from the beginning.
        ahead: how far ahead the clock of each worker is; None: they all have that of the queue.
        queues: how many.
        exchange_cost: seconds that a queue takes to handle a call.
        title: for prints and pictures.
    """

    workers: int
    computes: array[float]
    arrivals: array[float] | None
    wire: Callable[[], Callable[[], float]]
    lookahead: int | None = None
    recall: bool = True
    loads: array[float] | None = None
    stores: array[float] | None = None
    batch_size: int = 0
    starts: array[float] | None = None
    ahead: array[float] | None = None
    queues: int = 1
    exchange_cost: float = 0.0
    title: str = ""

    def run(self, *, trace: bool = False) -> Result:
        """Simulate it."""
        gauges = self._gauges()
        for number in range(self.workers):
            at = 0.0 if self.starts is None else self.starts[number]
            ahead = 0.0 if self.ahead is None else self.ahead[number]
            gauges.start(self._pipeline(number, at + ahead, trace), at, ahead)
        gauges.open(_RUN)
        if self.arrivals is None:
            gauges.submit(_RUN, len(self.computes))
            gauges.close(_RUN)
        else:
            _Source(gauges, self.arrivals).next(0)
        gauges.clock.run()
        items, seconds = len(self.computes), max(gauges.finished)
        carried = sum(worker.up.carried + worker.down.carried for worker in gauges.workers)
        links = [link for queue in gauges.queues for link in queue.links.values()]
        between = sum(link.up.carried + link.down.carried for link in links)
        statistics = [queue.ledger.statistics() for queue in gauges.queues]
        return Result(
            workers=self.workers,
            items=items,
            seconds=seconds,
            useful_seconds=gauges.useful,
            held_mean=gauges.held_seconds / (self.workers * gauges.ended),
            messages_per_item=(carried + between) / items,
            recalls_per_item=sum(one.recalls for one in statistics) / items,
            hoard_idle_seconds=gauges.hoard_seconds,
            queue_loads=tuple(queue.busy / gauges.ended for queue in gauges.queues),
            messages_between=between / items,
            moved_per_item=sum(one.away for one in statistics) / items,
            finished=gauges.finished,
            arrivals=self.arrivals,
            observe=partial(self._observe, gauges, seconds, trace),
            without_delay=self.ideal,
        )

    def ideal(self) -> Result:
        """The same items on a central queue with no delay."""
        begins, ends, places = central_queue(self.workers, self.computes, self.arrivals)
        return Result(
            workers=self.workers,
            items=len(ends),
            seconds=max(ends),
            useful_seconds=sum(self.computes),
            held_mean=0.0,
            messages_per_item=0.0,
            recalls_per_item=0.0,
            hoard_idle_seconds=0.0,
            queue_loads=(0.0,),
            messages_between=0.0,
            moved_per_item=0.0,
            finished=ends,
            arrivals=self.arrivals,
            observe=partial(ideal_report, self.workers, begins, ends, places),
            without_delay=self.ideal,
        )

    def _gauges(self) -> Gauges:
        costs = _Known(
            self.computes.__getitem__,
            self.loads.__getitem__ if self.loads is not None else _no_time,
            self.stores.__getitem__ if self.stores is not None else _no_time,
            self.wire(),
        )
        first, *others = [self._ledger(number) for number in range(self.queues)]
        gauges: Gauges = Gauges(
            costs,
            first,
            self.workers,
            len(self.computes),
            lambda: gauges.stop(),
            others=others,
            exchange_cost=self.exchange_cost,
        )
        return gauges

    def _ledger(self, number: int) -> Ledger:
        return Ledger(
            self.batch_size or 1,
            recall=self.recall,
            workers=len(range(number, self.workers, self.queues)),
            others=tuple(other for other in range(self.queues) if other != number),
        )

    def _pipeline(self, number: int, at: float, trace: bool) -> Pipeline:
        return Pipeline(
            Lookahead(self.lookahead, batch=self.batch_size or 1, eager=self.loads is None),
            Meter(number, at),
            Recorder(trace),
            batch_size=self.batch_size,
            loads=self.loads is not None,
            stores=self.stores is not None,
            gives_back=self.recall and self.workers > 1,
        )

    def _observe(self, gauges: Gauges, seconds: float, had_trace: bool, trace: bool) -> Report:
        if trace and not had_trace:
            return self.run(trace=True).observe(True)
        return Report(
            workers=[self._lined_up(gauges.totals[number], number) for number in sorted(gauges.totals)],
            done=len(self.computes),
            total=len(self.computes),
            seconds=seconds,
            trace=gauges.spans if trace else None,
            title=self.title,
            fixed_lookahead=self.lookahead,
            batch_size=self.batch_size,
        )

    def _lined_up(self, totals: WorkerTotals, number: int) -> WorkerTotals:
        if self.ahead is None:
            return totals
        ahead = self.ahead[number]
        return replace(totals, started=totals.started - ahead, ended=totals.ended - ahead)


@final
@dataclass(frozen=True, slots=True)
class _Known:
    """The costs of a trial."""

    compute: Callable[[int], float]
    load: Callable[[int], float]
    store: Callable[[int], float]
    wire: Callable[[], float]

    def wake(self) -> float:
        return 0.0


def _no_time(item: int) -> float:
    return 0.0


@final
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
