"""The clock of a process: its monotonic one, and which one that is.

Two processes have the same clock if their machine was booted once (its boot has a number) and they are in one
time namespace, which shifts the monotonic clock of what is inside. Then nothing needs to be compared.

Which clock a worker has travels with its options, as its line does, and for the same reasons (see `line`):
a test can give the workers of one farm other ones (`pullahead.testing`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple
from uuid import uuid4

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE: Final = Path("/proc/self/ns/time")


class Clock(NamedTuple):
    """What a process reads times from.

    Attributes:
        now: returns seconds that only grow.
        name: the same for two processes whose clocks are the same, and for no others.
        host: the name of the machine, for people.
    """

    now: Callable[[], float]
    name: str
    host: str


@cache
def own_clock() -> Clock:
    """Return this process's."""
    return Clock(monotonic, _name(_BOOT, _NAMESPACE), socket.gethostname())


def _name(boot: Path, namespace: Path) -> str:
    try:
        booted = boot.read_text().strip()
    except OSError:  # not to be found out: a clock that is like no other one is compared, and that is right
        return uuid4().hex
    try:
        return f"{booted} {namespace.readlink()}"
    except OSError:  # before Linux 5.6 there was one time for all
        return booted


def of_worker(number: int) -> Clock:  # noqa: ARG001  a test tells them apart by it
    """Return the clock of a worker, in its process."""
    return own_clock()


#: Makes a worker's clock, in its process, from its number. It can be pickled.
Make = Callable[[int], Clock]
#: What workers of farms that begin from now on read times from. Only `pullahead.testing` changes it.
make: Make = of_worker
