"""What no policy can beat: the same items on a central queue, with no delay at all.

Items are begun in the order of their arrival, each by the worker that is free first (list scheduling). Who
knows the sizes beforehand could order a backlog better; nobody does.
"""

from __future__ import annotations

from array import array
from heapq import heapify, heapreplace

from pullahead.core.meter import WorkerTotals
from pullahead.core.trace import CAUSE_SOURCE, CAUSE_TAIL, PROCESS, STALL, Span
from pullahead.observe.report import Report


def central_queue(
    workers: int, computes: array[float], arrivals: array[float] | None
) -> tuple[array[float], array[float], array[int]]:
    """Serve items in order.

    Args:
        workers: how many.
        computes: seconds that each item takes.
        arrivals: when each item arrives, ascending; None: all at 0.

    Returns:
        When each item's computation begins and ends, in seconds, and on which worker.
    """
    free = [(0.0, worker) for worker in range(workers)]
    heapify(free)
    count = len(computes)
    begins, ends = array("d", bytes(8 * count)), array("d", bytes(8 * count))
    places = array("q", bytes(8 * count))
    for item, seconds in enumerate(computes):
        at, worker = free[0]
        begin = at if arrivals is None else max(at, arrivals[item])
        heapreplace(free, (begin + seconds, worker))
        begins[item], ends[item], places[item] = begin, begin + seconds, worker
    return begins, ends, places


def ideal_report(
    workers: int, begins: array[float], ends: array[float], places: array[int], trace: bool
) -> Report:
    """Return what `central_queue` gave as the report of a run."""
    totals = [WorkerTotals(worker=number) for number in range(workers)]
    spans: dict[int, list[Span]] = {number: [] for number in range(workers)}

    def idle(number: int, until: float, cause: str) -> None:
        if until > totals[number].ended:
            spans[number].append(Span(STALL, totals[number].ended, until, detail=cause))

    for item, (begin, end, place) in enumerate(zip(begins, ends, places, strict=True)):
        one = totals[place]
        idle(place, begin, CAUSE_SOURCE)
        one.stalls[CAUSE_SOURCE] = one.stalls.get(CAUSE_SOURCE, 0.0) + begin - one.ended
        one.items += 1
        one.useful += end - begin
        one.ended = end
        spans[place].append(Span(PROCESS, begin, end, item))
    seconds = max(ends)
    for number, one in enumerate(totals):
        idle(number, seconds, CAUSE_TAIL)
        one.tail, one.ended = seconds - one.ended, seconds
    return Report(
        workers=totals,
        done=len(ends),
        total=len(ends),
        seconds=seconds,
        trace=spans if trace else None,
        title="ideal",
    )
