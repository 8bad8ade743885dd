"""What the workers do: a module of its own, which every peer can import, however it starts its processes."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Final, TypeVar

T = TypeVar("T")

#: Seconds that `spin` takes.
SPIN: Final = 0.0005


def noop(item: T) -> T:
    """Do nothing."""
    return item


def spin(item: T) -> T:
    """Compute in pure Python until a deadline: a core is busy, and how fast it is does not matter."""
    return spin_for(SPIN, item)


def spin_for(seconds: float, item: T) -> T:
    """Compute for so long."""
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        pass
    return item


def sleep_for(seconds: float, item: T) -> T:
    """Wait for so long, and leave the core to others."""
    time.sleep(seconds)
    return item


def times_of(work: Callable[[T], object], item: T) -> tuple[float, float]:
    """Work on an item; return when that began and ended."""
    began = time.perf_counter()
    work(item)
    return began, time.perf_counter()


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
