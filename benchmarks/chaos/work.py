"""The work: it sleeps, and writes down when each item began and ended, so that it can be held to account.

Each line of the log is one `write` to a file that is open for appending: lines of many processes do not mix,
and what was written before a SIGKILL is there. All are of one length, of which a page of memory holds a whole
number: a process can be killed between two pages, and a reader can see the first one alone.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random
from typing import Final, NamedTuple, final

#: Kinds of lines. A worker is born when it has got the work.
BORN: Final = "born"
BEGIN: Final = "begin"
END: Final = "end"

#: Bytes of a line.
LENGTH: Final = 64
_SHORTEST: Final = 0.001

Item = tuple[int, float]  # its number, and how many seconds it takes
Result = list[float]  # its number, and when it began; a list, because JSON has no tuples


class Line(NamedTuple):
    """Of the log."""

    kind: str
    item: int
    worker: int  # a pid, as is the next one
    driver: int
    at: float  # on the monotonic clock, which all processes of a machine share


@final
class Paths(NamedTuple):
    """The files of a run."""

    folder: Path

    @property
    def journal(self) -> Path:
        """What makes the run durable."""
        return self.folder / "run.db"

    @property
    def sink(self) -> Path:
        """Where results go."""
        return self.folder / "out.jsonl"

    @property
    def log(self) -> Path:
        """What the workers say."""
        return self.folder / "log"

    @property
    def errors(self) -> Path:
        """What the drivers say."""
        return self.folder / "errors"


def items_of(count: int, longest: float, seed: int) -> list[Item]:
    """Return the items: the same ones for every driver."""
    draw = Random(f"chaos {seed}").uniform
    return [(number, round(draw(_SHORTEST, longest), 6)) for number in range(count)]


def parse(line: str) -> Line:
    """Read a line of the log."""
    kind, item, worker, driver, at = line.split()
    return Line(kind, int(item), int(worker), int(driver), float(at))


@final
class Nap:
    """Sleeps as long as the item says. Made by the driver, unpickled by workers.

    A result is the item's number and when this run of it began, so that it can be seen which run it is of.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._driver = os.getpid()
        self._descriptor = -1

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._descriptor = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
        self._say(BORN, -1)

    def process(self, item: Item) -> Result:
        """Take a nap."""
        number, seconds = item
        began = self._say(BEGIN, number)
        time.sleep(seconds)
        self._say(END, number)
        return [number, began]

    def _say(self, kind: str, item: int) -> float:
        at = round(time.monotonic(), 6)
        line = f"{kind} {item} {os.getpid()} {self._driver} {at:.6f}"
        os.write(self._descriptor, f"{line:{LENGTH - 1}}\n".encode())
        return at
