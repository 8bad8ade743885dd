"""What is to be done, and by whom."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple, final


@final
@dataclass(frozen=True, slots=True)
class Scene:
    """Some items, and the programs that share them.

    Attributes:
        items: how many; each is its number.
        seconds: how long one takes.
        programs: how many; the last one is slow.
        slower: how many times as long an item takes there.
        workers: of each program.
        prefetch: how many items a program of the plain pattern has at a time.
    """

    items: int = 3000
    seconds: float = 0.008
    programs: int = 3
    slower: float = 10.0
    workers: int = 2
    prefetch: int = 64

    def seconds_in(self, program: int) -> float:
        """How long an item takes in a program."""
        return self.seconds * (self.slower if self.is_slow(program) else 1.0)

    def is_slow(self, program: int) -> bool:
        """Whether it is the slow one."""
        return program == self.programs - 1

    @property
    def limit(self) -> float:
        """Seconds that all workers need if none of them ever waits."""
        each_second = sum(self.workers / self.seconds_in(program) for program in range(self.programs))
        return self.items / each_second


class Ran(NamedTuple):
    """An item was computed. Seconds of the machine's monotonic clock."""

    item: int
    began: float
    ended: float


def run(seconds: float, item: int) -> Ran:
    """Compute an item: sleep."""
    began = time.monotonic()
    time.sleep(seconds)
    return Ran(item, began, time.monotonic())
