"""What the workers told of themselves, on the caller's clock.

Sums and spans are kept as they came, each worker's on its own clock, and are lined up when somebody looks,
with what is known of its clock by then. What is known of a worker is by its number, not by its lane: who
takes the place of one that died may be on another machine.

A worker whose clock is another one is not seen before a first answer to its questions has told how it
compares. It has done nothing until then: items come with that answer, or later.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace
from typing import NamedTuple, final

from pullahead.core.clocks import Comparison, Sample, Way, read, worst
from pullahead.core.meter import WorkerTotals
from pullahead.core.trace import Span


@final
class Seen:
    """See the module. Whoever tells it something holds a lock; whoever looks need not.

    Args:
        clock: the name of the caller's.
        lane: returns the place of a worker.
        queue: the caller's clock compared with that of the queue, if that is another one.
    """

    def __init__(self, clock: str, lane: Callable[[int], int], queue: Comparison | None = None) -> None:
        self.clock = clock
        self._lane = lane
        self._queue = queue
        self._totals: dict[int, WorkerTotals] = {}
        self._spans: dict[int, list[Span]] = {}
        self._comparisons: dict[int, Comparison] = {}
        self._lined_up: dict[int, _LinedUp] = {}  # as somebody has looked at it before

    # What is heard

    def told(self, worker: int, totals: WorkerTotals) -> None:
        """These are its sums by now."""
        totals.worker = self._lane(worker)
        self._totals[worker] = totals

    def traced(self, worker: int, spans: list[Span]) -> None:
        """It recorded these. Its sums came before, or come with them."""
        self._spans.setdefault(worker, []).extend(spans)

    def compared(self, worker: int, sample: Sample) -> None:
        """This is how its clock compares with that of the queue."""
        self._comparisons.setdefault(worker, Comparison()).add(sample)

    def forget_before(self, moment: float) -> None:
        """Nobody will look at what had ended by then."""
        for worker, spans in self._spans.items():
            way = self._way(worker)
            if way is not None:
                # As late as they may have been.
                self._spans[worker] = [span for span in spans if sum(read(way, span.end)) >= moment]
                self._lined_up.pop(worker, None)

    # What is seen

    def totals(self, since: float, until: float) -> dict[int, WorkerTotals]:
        """Return the sums of each worker, as uncertain as what it did from one moment to the other one is."""
        seen: dict[int, WorkerTotals] = {}
        for worker, totals in self._totals.copy().items():
            way = self._way(worker)
            if way is not None:
                seen[worker] = _lined_up(totals, way, since, until)
        return seen

    def lookahead(self, besides: Container[int]) -> int:
        """How many items all workers together look ahead, but for these.

        One that has measured too little looks ahead by guess, which is no reason to take items from others.
        """
        told = self._totals.copy().items()
        known = (one for worker, one in told if one.items and not one.is_guess and worker not in besides)
        return sum(one.lookahead for one in known)

    def trace(self, since: float) -> dict[int, list[Span]]:
        """Return the spans of each lane that had not ended by then."""
        seen: dict[int, list[Span]] = {}
        for worker, spans in self._spans.copy().items():
            way = self._way(worker)
            if way is not None:
                lane = seen.setdefault(self._lane(worker), [])
                lane.extend(span for span in self._on_our_clock(worker, spans, way) if span.end >= since)
        return seen

    def _on_our_clock(self, worker: int, spans: list[Span], way: Way) -> list[Span]:
        """Line up what nobody has looked at yet, or all if more is known by now than then."""
        if not way:
            return spans
        known = tuple(one.samples for one in way)
        before = self._lined_up.get(worker)
        is_as_before = before is not None and before.spans is spans and before.known == known
        moved = before.moved.copy() if before is not None and is_as_before else []
        moved += [_moved(span, way) for span in spans[len(moved) :]]
        self._lined_up[worker] = _LinedUp(spans, known, moved)
        return moved

    def _way(self, worker: int) -> Way | None:
        """Return how to get from a worker's clock to the caller's; None: that is not known yet."""
        totals = self._totals.get(worker)
        if totals is None:
            return None
        if totals.clock == self.clock:
            return ()
        way = [self._comparisons.get(worker, Comparison())]
        if self._queue is not None:
            way.append(self._queue.inverted())
        return way if all(one.samples for one in way) else None


class _LinedUp(NamedTuple):
    """Spans of a worker: as they came, what was known of its clock, and on the caller's clock."""

    spans: list[Span]
    known: tuple[tuple[Sample, ...], ...]
    moved: list[Span]


def _lined_up(totals: WorkerTotals, way: Way, since: float, until: float) -> WorkerTotals:
    if not way:
        return totals
    started, ended = read(way, totals.started)[0], read(way, totals.ended)[0]
    # Of its life only what is looked at counts, which is cut off on its own clock.
    first = totals.started + max(0.0, since - started)
    last = totals.ended - max(0.0, ended - until)
    uncertainty = worst(way, first, last) if first <= last else 0.0
    return replace(totals, started=started, ended=ended, uncertainty=uncertainty)


def _moved(span: Span, way: Way) -> Span:
    return span._replace(start=read(way, span.start)[0], end=read(way, span.end)[0])
