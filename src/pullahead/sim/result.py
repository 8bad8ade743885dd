"""What a simulated run was like."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from os import PathLike
from pathlib import Path
from typing import final

from pullahead.observe import words
from pullahead.observe.report import Report


@final
@dataclass(frozen=True, eq=False)
class Result:
    """The measurements of one simulated run. All times are in seconds of virtual time.

    Attributes:
        workers: how many.
        items: how many ended.
        seconds: from the beginning to the end of the last computation.
        useful_seconds: computing, summed over workers.
        held_mean: items that a worker had been granted and had not begun: the mean over time and workers.
        messages_per_item: messages both ways between workers and queue, ÷ items. What travels together is one
            message; an answer with nothing in it is none.
        recalls_per_item: how often a worker was asked to give something back, ÷ items.
        hoard_idle_seconds: items that waited behind another one × the seconds in which they did although a
            worker was hungry and its queue had nothing for it. What was ready in another queue counts, too.
        queue_loads: the share of its time in which each queue handled calls and answers; 0 if they cost none.
        messages_between: messages between queues, ÷ items; they are among the messages per item.
        moved_per_item: how often an item went from one queue to another, ÷ items.
    """

    workers: int
    items: int
    seconds: float
    useful_seconds: float
    held_mean: float
    messages_per_item: float
    recalls_per_item: float
    hoard_idle_seconds: float
    queue_loads: tuple[float, ...]
    messages_between: float
    moved_per_item: float
    finished: array[float] = field(repr=False)
    arrivals: array[float] | None = field(repr=False)
    observe: Callable[[bool], Report] = field(repr=False)
    without_delay: Callable[[], Result] = field(repr=False)

    @property
    def queue_load(self) -> float:
        """The load of the busiest queue."""
        return max(self.queue_loads)

    @property
    def throughput(self) -> float:
        """Items per second."""
        return self.items / self.seconds

    @property
    def utilization(self) -> float:
        """The share of the workers' time in which they computed."""
        return self.useful_seconds / (self.workers * self.seconds)

    def sojourn(self, q: float) -> float:
        """Return the q-quantile (nearest rank) of the seconds from an item's arrival to the end of its
        computation.

        Raises:
            ValueError: if q is not from 0 to 1.
        """
        if not 0.0 <= q <= 1.0:
            raise ValueError(f"sojourn: expected a quantile from 0 to 1, got {q!r}")
        return self._sojourns[max(0, ceil(q * self.items) - 1)]

    @property
    def ideal(self) -> Result:
        """The same items on a central queue with no delay: what no policy can beat."""
        return self._ideal

    @property
    def report(self) -> Report:
        """The run as the report of a real one, without a trace."""
        return self.observe(False)

    def timeline(self, path: str | PathLike[str]) -> Path:
        """Draw what each worker did; see `pullahead.Report.timeline`. It simulates the run once more."""
        return self.observe(True).timeline(path)

    def __str__(self) -> str:
        return (
            f"{self.items:,} items in {words.seconds(self.seconds)} "
            f"on {words.plural(self.workers, 'worker')}: "
            f"{words.count(self.throughput)} items/s, busy {words.percent(self.utilization)}, "
            f"p50 {words.seconds(self.sojourn(0.5))}, p99 {words.seconds(self.sojourn(0.99))}"
        )

    @cached_property
    def _sojourns(self) -> array[float]:
        if self.arrivals is None:
            return array("d", sorted(self.finished))
        return array("d", sorted(end - at for end, at in zip(self.finished, self.arrivals, strict=True)))

    @cached_property
    def _ideal(self) -> Result:
        return self.without_delay()
