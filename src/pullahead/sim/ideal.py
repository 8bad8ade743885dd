"""What no policy can beat: the same items on a central queue, with no delay at all.

Items are begun in the order of their arrival, each by the worker that is free first (list scheduling). Who
knows the sizes beforehand could order a backlog better; nobody does.
"""

from __future__ import annotations

from array import array
from heapq import heapify, heapreplace


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
