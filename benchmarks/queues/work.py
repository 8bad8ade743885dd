"""What an item does, and the log in which each of its runs says when it began and ended.

Each record is one `write` to a file that is open for appending: those of many processes do not mix, and what
was written before a SIGKILL is there. It costs an item about five microseconds, in every system the same.
"""

from __future__ import annotations

import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident
from typing import Any, Final, final

#: Where the log is, for whoever runs the work.
LOG: Final = "PULLAHEAD_QUEUES_LOG"
#: Kinds of items: nothing, compute on a CPU, or sleep, for so many seconds.
COMPUTE: Final = "compute"
SLEEP: Final = "sleep"

#: number, pid, thread, whether it ended, when
_RECORD: Final = struct.Struct("<qiqid")

Item = list[Any]  # its number, seconds to load it, what it does, and for how many seconds: as JSON has it


def item(number: int, seconds: float = 0.0, *, load: float = 0.0, kind: str = COMPUTE) -> Item:
    """Make an item."""
    return [number, load, kind, seconds]


@final
@dataclass(slots=True)
class Run:
    """One run of an item. `ended` is None if whoever ran it died."""

    number: int
    pid: int
    began: float
    ended: float | None = None


@final
class Log:
    """Read by who measures. Workers find it by the environment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    @property
    def environment(self) -> dict[str, str]:
        """What a worker needs to write into it."""
        return {LOG: str(self._path)}

    def clear(self) -> None:
        """Forget everything. Who appends goes on at the new end."""
        os.truncate(self._path, 0)

    @property
    def records(self) -> int:
        """How many begins and ends there are."""
        return self._path.stat().st_size // _RECORD.size

    def runs(self) -> list[Run]:
        """Return all runs, in the order in which they began."""
        data = self._path.read_bytes()
        runs: list[Run] = []
        going: dict[tuple[int, int], Run] = {}  # by process and thread: each runs one at a time
        for number, pid, thread, ended, at in _RECORD.iter_unpack(
            data[: len(data) // _RECORD.size * _RECORD.size]
        ):
            if not ended:
                going[pid, thread] = Run(number, pid, at)
                runs.append(going[pid, thread])
            elif (run := going.pop((pid, thread), None)) is not None:
                run.ended = at
        return runs


def load(one: Item) -> Item:
    """Wait as long as it takes to load an item."""
    if one[1]:
        time.sleep(one[1])
    return one


def process(one: Item) -> None:
    """Do what the item says, and write down when."""
    number, _, kind, seconds = one
    _say(number, False)
    if kind == SLEEP:
        time.sleep(seconds)
    elif seconds:
        _compute(seconds)
    _say(number, True)


def load_and_process(*one: Any) -> None:
    """Do both, as a system does that knows no difference."""
    process(load(list(one)))


def _compute(seconds: float) -> None:
    """Keep a core busy, for so long on a CPU: who shares a core, or the interpreter, takes longer."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


_descriptor = -1


def _say(number: int, ended: bool) -> None:
    global _descriptor
    if _descriptor < 0:
        _descriptor = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    os.write(_descriptor, _RECORD.pack(number, os.getpid(), get_ident(), ended, time.monotonic()))
