"""Ledgers and pipelines, joined by wires, under virtual time.

The machines are the very ones that run on real processes. Around them are shells that feed and perform, a
heap of calls for a clock, and wires that keep the order of what one worker sends, and no other. What takes
how long is asked of `Costs`. What a simulation measures, or a test checks, is a `World` that overrides some
of the methods under "What it hears of"; each is called at the moment when it happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pullahead.core import ledger as led
from pullahead.core import messages as m
from pullahead.core.ledger import Ledger
from pullahead.core.pipeline import Pipeline
from pullahead.core.retry import RetryPolicy
from pullahead.core.trace import CAUSE_SOURCE
from pullahead.sim.callers import Caller, OfOne, OfSeveral
from pullahead.sim.clock import Clock
from pullahead.sim.link import Link
from pullahead.sim.queue import Queue
from pullahead.sim.worker import Worker


class Costs(Protocol):
    """Seconds that things take."""

    def compute(self, item: int) -> float:
        """The work's `process`."""
        ...

    def load(self, item: int) -> float:
        """The work's `load`."""
        ...

    def store(self, item: int) -> float:
        """The work's `store`."""
        ...

    def wire(self) -> float:
        """One message, one way."""
        ...

    def wake(self) -> float:
        """From waking the main thread to its running."""
        ...


class World:
    """See the module.

    Args:
        costs: how long things take.
        ledger: the queue's machine.
        retry: what becomes of failures.
        others: the machines of more queues, if there are any. Workers have their homes there in turn.
        workers: how many there will be, where there are several queues.
        exchange_cost: seconds that a queue takes to handle a call.
    """

    def __init__(
        self,
        costs: Costs,
        ledger: Ledger,
        retry: RetryPolicy | None = None,
        *,
        others: Sequence[Ledger] = (),
        workers: int = 0,
        exchange_cost: float = 0.0,
    ) -> None:
        self.costs = costs
        self.clock = Clock()
        retry = retry or RetryPolicy()
        self.queues = [
            Queue(self, one, retry, number, exchange_cost) for number, one in enumerate((ledger, *others))
        ]
        for here in self.queues:
            here.links.update(
                (there.number, Link(self, here, there)) for there in self.queues if there is not here
            )
        counts = [len(range(number, workers, len(self.queues))) for number in range(len(self.queues))]
        self.caller: Caller = OfSeveral(self, counts) if others else OfOne(self)
        self.workers: list[Worker] = []
        self.submitted = 0  # items so far: the next one's number

    @property
    def queue(self) -> Queue:
        """The only queue, or the first."""
        return self.queues[0]

    @queue.setter
    def queue(self, queue: Queue) -> None:
        self.queues[0] = queue

    def home(self, worker: int) -> Queue:
        """Return the queue that a worker speaks to."""
        return self.queues[worker % len(self.queues)]

    # What a caller does

    def start(self, pipeline: Pipeline, at: float = 0.0, ahead: float = 0.0) -> Worker:
        """Start one more worker, now or later, whose clock is so far ahead."""
        worker = Worker(self, len(self.workers), pipeline, ahead)
        self.workers.append(worker)
        if at > self.clock.now:
            self.clock.at(at, lambda _: worker.begin())
        else:
            worker.begin()
        return worker

    def open(self, run: int) -> None:
        """Begin a run."""
        self.caller.open(run)

    def submit(self, run: int, count: int, cause: str = CAUSE_SOURCE) -> None:
        """Submit the next so many items."""
        first, self.submitted = self.submitted, self.submitted + count
        self.caller.submit(run, first, count, cause)

    def close(self, run: int) -> None:
        """No more items will come for a run."""
        self.caller.close(run)

    def cancel(self, run: int) -> None:
        """Forget what is unstarted of a run."""
        self.caller.cancel(run)

    def stop(self) -> None:
        """Tell every worker to stop."""
        for queue in self.queues:
            queue.stop()

    # What it hears of

    def decided(self, effect: led.Effect) -> None:
        """The ledger has decided something; it is performed next."""

    def settled(self) -> None:
        """The queue has performed what followed from an event."""

    def heard(self, worker: int, message: m.Message) -> None:
        """A worker told the queue something that is not the ledger's: its sums, or its trace."""

    def answered(self, worker: Worker, messages: list[m.Message]) -> None:
        """A worker's call was answered."""

    def said(self, worker: Worker, messages: list[m.Message]) -> None:
        """A worker calls the queue."""

    def returned(self, worker: int, count: int) -> None:
        """So many items that a worker gave back are at the queue."""

    def began(self, worker: Worker, items: tuple[int, ...]) -> None:
        """A worker begins to compute."""

    def cut(self, worker: Worker, items: tuple[int, ...]) -> None:
        """These items of those that a worker computes one after another have not begun, and will not now."""

    def processed(
        self, worker: Worker, items: tuple[int, ...], ends: list[float]
    ) -> dict[int, tuple[str, float]]:
        """A worker has computed these items; each ended at its moment, on the worker's clock. Return the kind
        and delay of those that failed. Those of a slice are told together, and at the latest before the
        machine looks at it."""
        return {}

    def idles(self, worker: Worker) -> None:
        """A worker finds nothing to compute."""

    def stores(self, worker: Worker, item: int) -> None:
        """A store begins, maybe once more."""

    def stored(self, worker: Worker, item: int) -> None:
        """A store is over, well or not."""

    def failure(self, where: str, item: int) -> tuple[str, float] | None:
        """Return the kind and delay of a failure in "load" or "store", or None."""
        return None
