"""Items that carry NumPy arrays: to the worker with a number back, and there and back.

Run it with `python benchmarks/payloads.py`, with `--quick` to see that it works.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from pullahead.cli.bench import peers
from pullahead.cli.bench.case import WORKERS, Absent, Case, Contender
from pullahead.cli.bench.machine import conditions
from pullahead.cli.bench.measure import compete
from pullahead.cli.bench.show import Screen

KB, MB = 1_000, 1_000_000


def first(array: Any) -> float:
    """Use the array, hardly: what is measured is its way."""
    return float(array[0])


def same(array: Any) -> Any:
    """Send it back."""
    return array


def prepare(work: Callable[[Any], Any], size: int, stack: ExitStack, quick: bool) -> list[Contender | Absent]:
    """Start the pools."""
    array = np.ones(size // 8)
    count = 20 if quick else max(40, 200 * MB // size)
    ours = peers.pullahead_pool(stack, work, warm=array)
    executor, pool = peers.executor(stack), peers.process_pool(stack)
    runs: dict[str, Callable[[Any], Iterable[Any]]] = {
        "pullahead.Pool.map": ours.map,
        "ProcessPoolExecutor.map": partial(executor.map, work),
        "Pool.imap": partial(pool.imap, work),
    }
    return [Contender(name, partial(megabytes, run, array, count)) for name, run in runs.items()]


def megabytes(run: Callable[[Any], Iterable[Any]], array: Any, count: int) -> float:
    """Send the array again and again; return MB/s of what was sent."""
    start = perf_counter()
    came = sum(1 for _ in run(array for _ in range(count)))
    seconds = perf_counter() - start
    if came != count:
        raise RuntimeError(f"expected {count} results, got {came}")
    return float(count * array.nbytes / MB / seconds)


def case(name: str, title: str, work: Callable[[Any], Any], size: int) -> Case:
    """Describe one comparison."""
    title = f"{title}, {WORKERS} workers"
    return Case(name, title, "MB/s", True, (7, 2), partial(prepare, work, size))


CASES = [
    case("to-100KB", "100 KB of array to a worker, a number back", first, 100 * KB),
    case("to-10MB", "10 MB of array to a worker, a number back", first, 10 * MB),
    case("both-100KB", "100 KB of array to a worker and back", same, 100 * KB),
    case("both-10MB", "10 MB of array to a worker and back", same, 10 * MB),
]


def measure_and_show(some: list[Case], quick: bool) -> None:
    """Run cases by hand."""
    screen = Screen()
    screen.conditions(conditions(quick))
    for one in some:
        with screen.watching(one) as watch:
            outcome = compete(one, quick, watch)
        screen.outcome(outcome)


if __name__ == "__main__":
    measure_and_show(CASES, quick="--quick" in sys.argv[1:])
