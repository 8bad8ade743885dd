"""The queue of every run, with a counter: how often it was called, and how long it was on a CPU meanwhile.

Both are asked for at once, in the queue's own process, so they belong together, however crowded the machine.
"""

from __future__ import annotations

import os
from concurrent.futures import Future
from pathlib import Path
from time import monotonic, process_time
from typing import Final, NamedTuple, final

from pullahead import actors
from pullahead.core import messages as m
from pullahead.core.retry import RetryPolicy
from pullahead.farm.envelope import Sealed
from pullahead.farm.queue import Queue

_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Reading(NamedTuple):
    """What a queue has done since it began.

    Attributes:
        at: when this was read, on the clock of all processes of this machine.
        workers, caller: how often workers, and the caller, have called it.
        cpu: seconds that its process was on a CPU.
        threads: the same of each of its threads, in steps of a hundredth of a second.
    """

    at: float
    workers: int
    caller: int
    cpu: float
    threads: dict[int, float]


@final
class MeasuredQueue:
    """See the module. `workers`: how many will come."""

    def __init__(self, workers: int) -> None:
        self._queue = Queue(RetryPolicy(retries=0), workers=workers)
        self._calls = self._from_caller = 0

    @actors.method(deferred=True)
    def exchange(self, peer: int, said: Sealed) -> Future[Sealed]:
        """Do what the queue does."""
        self._calls += 1
        self._from_caller += peer == m.CALLER
        return self._queue.exchange(peer, said)

    def read(self) -> Reading:
        """Return the counters."""
        workers = self._calls - self._from_caller
        return Reading(monotonic(), workers, self._from_caller, process_time(), _threads())


def _threads() -> dict[int, float]:
    """Return the seconds on a CPU of each thread of this process."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        try:
            fields = (task / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        found[int(task.name)] = (int(fields[11]) + int(fields[12])) / _TICKS  # utime and stime, see proc(5)
    return found
