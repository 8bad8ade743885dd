"""Work that fails for one item, in a given way, at a given moment, and as often as it is told to."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

BAD = 7


def commit(fault: str) -> None:
    """Do it."""
    if fault == "raise":
        raise LookupError("on purpose")
    if fault == "exit":
        os._exit(9)
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fault == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if fault in {"kill", "segfault", "stop", "hang"}:  # a signal may take a moment to reach this thread
        time.sleep(60.0)
    if fault == "memory":
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 31, most))
        try:
            bytearray(1 << 40)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (most, most))


class Trap:
    """Commits a fault when it is pickled, or when it is unpickled."""

    def __init__(self, saboteur: Saboteur, value: int, moment: str) -> None:
        self.saboteur, self.value, self.moment = saboteur, value, moment

    def __reduce__(self) -> tuple[Any, ...]:
        if self.moment == "pickle":
            self.saboteur.at("pickle", self.value)
        return _spring, (self.saboteur, self.value, self.moment)


def _spring(saboteur: Saboteur, value: int, moment: str) -> int:
    """What a trap unpickles as: its value, unless the moment has come."""
    saboteur.at(moment, value)
    return value


class Saboteur:
    """Does its work, and notes what it did, but for item BAD at one moment.

    Args:
        folder: where each thing that it did leaves a file.
        fault: see `commit`.
        moment: "build", "unpickle", "load", "process", "pickle", "store" or "close".
        times: how often.
    """

    def __init__(self, folder: str, fault: str, moment: str, times: int = 1) -> None:
        self.folder, self.fault, self.moment, self.times = folder, fault, moment, times

    def at(self, moment: str, item: int) -> None:
        """Note that it has come here, and commit the fault if this is the place and the time."""
        number = len(list(Path(self.folder).glob(f"{moment} {item} *")))
        Path(self.folder, f"{moment} {item} {number} {os.getpid()} {time.monotonic_ns()}").touch()
        if moment == self.moment and item == BAD and number < self.times:
            commit(self.fault)

    def items(self, count: int) -> list[Any]:
        """What to give to `map`."""
        if self.moment == "unpickle":
            return [Trap(self, item, "unpickle") for item in range(count)]
        return list(range(count))

    # The verbs

    def build(self) -> Saboteur:
        self.at("build", BAD)
        return self

    def load(self, item: int) -> int:
        self.at("load", item)
        return item

    def process(self, item: int) -> Any:
        self.at("process", item)
        time.sleep(0.002)
        return Trap(self, item, "pickle") if self.moment == "pickle" else item

    def store(self, result: Any, item: int) -> Any:
        self.at("store", item)
        return result

    def close(self) -> None:
        self.at("close", BAD)
