"""What the workers do: a module of its own, which every peer can import, however it starts its processes."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection
from typing import Final, NamedTuple, TypeVar

T = TypeVar("T")
R = TypeVar("R")

#: Loops in one try of what a core can do, and tries.
_TRIAL: Final = 20_000
_TRIES: Final = 50


def noop(item: T) -> T:
    """Do nothing."""
    return item


def spin_for(seconds: float, item: T) -> T:
    """Compute in pure Python until a deadline: a core is busy, and how fast it is does not matter."""
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        pass
    return item


def sleep_for(seconds: float, item: T) -> T:
    """Wait for so long, and leave the core to others."""
    time.sleep(seconds)
    return item


def spin_item(seconds: float) -> float:
    """Compute for as long as the item says."""
    return spin_for(seconds, seconds)


def spin_first(array: Sequence[float]) -> float:
    """Compute for as long as the first number of an array says."""
    return spin_item(float(array[0]))


def first(array: Sequence[float]) -> float:
    """Use an array, hardly: what is measured is its way."""
    return float(array[0])


def each(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Do all of them."""
    return [work(item) for item in items]


def loop(times: int, item: T) -> T:
    """Compute so many times: how long that takes is up to the core, and to whoever shares it."""
    found = 0
    for number in range(times):
        found += number
    return item


def loops_in(seconds: float) -> int:
    """Return how many times an idle core computes `loop` in so many seconds: the best of several tries."""
    tries = []
    for _ in range(_TRIES):
        began = time.thread_time()
        loop(_TRIAL, None)
        tries.append(time.thread_time() - began)
    return max(1, round(seconds * _TRIAL / min(tries)))


class Times(NamedTuple):
    """When an item began and ended, on the clock of this machine, and the seconds of that on a CPU."""

    began: float
    ended: float
    cpu: float


def clocked(work: Callable[[T], object], item: T) -> tuple[float, float, float]:
    """Work on an item; return when that was, as plain as it travels best: what `Times` has."""
    began, cpu = time.perf_counter(), time.thread_time()
    work(item)
    cpu = time.thread_time() - cpu
    return began, time.perf_counter(), cpu


def times_of(work: Callable[[T], object], item: T) -> Times:
    """Do the same; return it with its names."""
    return Times(*clocked(work, item))


def clocked_after(load: Callable[[T], T], work: Callable[[T], object], item: T) -> tuple[float, float, float]:
    """Load an item and then work on it; return when the work was."""
    return clocked(work, load(item))


def share_on_cpu(times: Iterable[Times]) -> float:
    """Return for which share of their time items were on a CPU."""
    cpu = seconds = 0.0
    for one in times:
        cpu += one.cpu
        seconds += one.ended - one.began
    return cpu / seconds


def utilization(times: Iterable[Times], since: float, until: float, workers: int) -> float:
    """Return for which share of the time of so many workers they were within items."""
    within = sum(max(0.0, one.ended - max(since, one.began)) for one in times)
    return within / (workers * (until - since))


def nap(item: T) -> T:
    """Wait long enough for a pool to start its other workers."""
    time.sleep(0.05)
    return item


def echo(connection: Connection) -> None:
    """Send back whatever comes, until the other end closes: before we read, or while we write."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            connection.send(connection.recv())


class Echo:
    """The same, as an actor."""

    def echo(self, item: T) -> T:
        """Send back what came."""
        return item

    def pid(self) -> int:
        """Say which process this is."""
        return os.getpid()
