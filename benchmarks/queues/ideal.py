"""An ideal queue, run for real: workers take items in their order from a counter in shared memory.

That is a central queue at no cost, on this machine and in this hour: what other tenants, or two busy cores,
take from everybody they take from these workers, too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.queues.work import LOG, Item, Log, Run, process

from pullahead.cli.bench.case import WORKERS

IDEAL: Final = "ideal queue"
#: Seconds that workers may take to begin.
_START: Final = 60.0
_PROCESSES: Final = get_context("spawn")


def run_on_time(items: Sequence[Item], arrivals: Sequence[float]) -> tuple[list[float], list[Run]]:
    """Run items at their times; return when these were, and how the items were run."""
    with TemporaryDirectory(prefix="pullahead-ideal-") as folder:
        log = Log(Path(folder, "log"))
        begin, taken = _PROCESSES.Value("d", 0.0), _PROCESSES.Value("q", 0)
        everybody = _PROCESSES.Barrier(WORKERS + 1)
        given = log.environment[LOG], items, arrivals, begin, taken, everybody
        workers = [_PROCESSES.Process(target=_work, args=given, daemon=True) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        everybody.wait(_START)  # until they are there; they wait for when it begins
        begin.value = time.monotonic()
        everybody.wait(_START)
        for worker in workers:
            worker.join()
            if worker.exitcode:
                raise RuntimeError(f"a worker of the ideal queue has ended with {worker.exitcode}")
        return [begin.value + arrival for arrival in arrivals], log.runs()


def _work(
    log: str,
    items: Sequence[Item],
    arrivals: Sequence[float],
    begin: Synchronized[float],
    taken: Synchronized[int],
    everybody: Barrier,
) -> None:
    os.environ[LOG] = log
    everybody.wait(_START)
    everybody.wait(_START)
    while True:
        with taken.get_lock():
            number = taken.value
            taken.value += 1
        if number >= len(items):
            return
        time.sleep(max(0.0, begin.value + arrivals[number] - time.monotonic()))
        process(items[number])
