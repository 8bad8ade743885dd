"""What one queue does for so many workers whose items take so long."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Final, final

from benchmarks.queue_limit.farm import Farm
from benchmarks.queue_limit.watch import Reading

from pullahead.core.lookahead import BUNDLE

#: Seconds of an item that does nothing: unpickling it, calling a function and packing what that returns.
NOTHING: Final = 5e-6
#: Items that workers have finished on average before it is measured: their lookahead is found by then.
_SETTLED: Final = 3
#: Seconds between two looks whether they have, after which they may, and after which it is given up.
_LOOK: Final = (0.1, 1.0, 180.0)
#: Workers that one table has at most. Each is a pipeline, and a call that waits in the queue.
_MOST: Final = 2000
#: A ramp ends where twice the workers bring so much more, or less.
_GROWTH: Final = 1.1
#: Share of a core at which a queue is saturated.
SATURATED: Final = 0.9


@final
@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured within some seconds.

    Attributes:
        workers: how many there were.
        compute: what an item took, in seconds.
        seconds: for how long it was measured.
        items: that ended meanwhile.
        exchanges: calls of workers and caller.
        cpu: seconds on a CPU of the queue's process.
        busiest: of them, those of the thread that had most.
        load: of the machine, at the end.
    """

    workers: int
    compute: float
    seconds: float
    items: int
    exchanges: int
    cpu: float
    busiest: float
    load: float

    @property
    def per_exchange(self) -> float:
        """Seconds on a CPU for each call."""
        return self.cpu / max(1, self.exchanges)

    @property
    def per_item(self) -> float:
        """Seconds on a CPU for each item."""
        return self.cpu / max(1, self.items)

    @property
    def carries(self) -> float:
        """How many workers a queue carries that has one core, at that cost."""
        return self.compute / self.per_item

    @property
    def carries_threaded(self) -> float:
        """The same if its threads ran side by side, each on a core."""
        return self.carries * self.cpu / max(self.busiest, 1e-9)

    @property
    def kept_up(self) -> float:
        """Which share of what the workers could do they did; less than all where the machine had no time."""
        return self.items / self.seconds * self.compute / self.workers


def measure(workers: int, compute: float, processes: int, window: float) -> Figures:
    """Measure one situation for `window` seconds."""
    with Farm(workers, compute, processes) as farm:
        before, ended = _settled(farm, _SETTLED * workers)
        sleep(window)
        after, ended_then = farm.read()
    threads = [seconds - before.threads.get(one, 0.0) for one, seconds in after.threads.items()]
    calls = after.workers + after.caller - before.workers - before.caller
    return Figures(
        workers,
        compute,
        after.at - before.at,
        ended_then - ended,
        calls,
        after.cpu - before.cpu,
        max(threads),
        os.getloadavg()[0],
    )


def _settled(farm: Farm, items: int) -> tuple[Reading, int]:
    """Wait until so many items have ended. Returns what was read then."""
    pause, least, most = _LOOK
    sleep(least)
    began = monotonic()
    while (found := farm.read())[1] < items:
        if monotonic() - began > most:
            raise RuntimeError(f"expected {items} items to end within {most:g} s, got {found[1]}")
        sleep(pause)
    return found


def workers_for(compute: float, exchanges: float) -> int:
    """Return how many workers call about so many times a second, if their items take so long."""
    return max(2, min(_MOST, round(exchanges * max(compute, BUNDLE))))


def ramp(compute: float, processes: int, window: float) -> Iterator[Figures]:
    """Double the workers until the queue has no time left, or the machine has none."""
    workers, before = 2, 0.0
    while workers <= _MOST:
        found = measure(workers, compute, processes, window)
        yield found
        rate = found.items / found.seconds
        if rate < _GROWTH * before or found.cpu / found.seconds > SATURATED:
            return
        workers, before = 2 * workers, rate
