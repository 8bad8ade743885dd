"""Killing at random until a run has ended all the same."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final, NamedTuple, final
from uuid import uuid4

from benchmarks.chaos.processes import descendants, driver, has_open, kill, sweep
from benchmarks.chaos.work import BORN, END, LENGTH, Line, Paths, parse

WORKER: Final = "worker"
QUEUE: Final = "queue"
DRIVER: Final = "driver"
#: How often each is hit, of a hundred.
ODDS: Final = {WORKER: 60, QUEUE: 25, DRIVER: 15}
#: Seconds without the end of an item after which a run hangs.
_PATIENCE: Final = 30.0
#: Times that drivers may end by themselves, with an error, and no item ends in between.
_MOST_FAILURES: Final = 5
#: Seconds between two looks.
_LOOK: Final = 0.002


class Kill(NamedTuple):
    """One SIGKILL."""

    at: float  # just before it
    kind: str
    pid: int
    driver: int


@final
@dataclass(slots=True)
class Story:
    """What has happened.

    Attributes:
        kills: in order.
        drivers: how many were started.
        failures: of drivers that ended by themselves before everything was done: when, by pid.
        lines: of the log.
        ended: how many of those say that an item has ended.
        seconds: from the first driver's start to the last one's end.
        left: processes that outlived all drivers.
        hung: whether nothing went on any more.
    """

    kills: list[Kill] = field(default_factory=list)
    drivers: int = 0
    failures: dict[int, float] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    ended: int = 0
    seconds: float = 0.0
    left: int = 0
    hung: bool = False

    def killed(self, kind: str) -> int:
        """Count kills of a kind."""
        return sum(one.kind == kind for one in self.kills)


@final
class Mayhem:
    """Runs one driver after the other and kills what there is.

    Args:
        paths: of the run's files.
        arguments: of a driver.
        every: seconds between two kills.
        seed: of who is hit.
        watch: called now and then.
    """

    def __init__(
        self,
        paths: Paths,
        arguments: tuple[object, ...],
        every: float,
        seed: int,
        watch: Callable[[Story], None],
    ) -> None:
        self.story = Story()
        self._paths = paths
        self._arguments = arguments
        self._every = every
        self._random = Random(f"mayhem {seed}")
        self._watch = watch
        self._tag = uuid4().hex
        self._workers: set[int] = set()  # of the driver that runs
        self._heard = 0.0  # when an item has ended
        self._next = 0.0  # when somebody is hit
        self._kind = self._draw()

    def run(self) -> Story:
        """Go on until a driver says that everything is done, or there is no use any more."""
        story = self.story
        paths = self._paths
        paths.log.touch()
        began = self._heard = time.monotonic()
        self._next = began + self._every
        in_a_row = 0
        try:
            with paths.log.open() as log:
                code = -1
                while code and in_a_row < _MOST_FAILURES and not story.hung:
                    story.drivers += 1
                    before = story.ended
                    with driver(self._tag, paths.errors, paths.folder, *self._arguments) as process:
                        self._workers.clear()
                        code = self._outlast(process, log.readline)
                    if code > 0:
                        story.failures[process.pid] = time.monotonic()
                        in_a_row = 1 if story.ended > before else in_a_row + 1
            story.seconds = time.monotonic() - began
        finally:
            story.left = sweep(self._tag)
        story.lines = [parse(line) for line in paths.log.read_text().splitlines()]
        return story

    def _outlast(self, process: subprocess.Popen[bytes], read: Callable[[], str]) -> int:
        """Kill at random until the driver has ended. Returns its exit status."""
        while (code := process.poll()) is None:
            self._read(process.pid, read)
            self._watch(self.story)
            now = time.monotonic()
            if now - self._heard > _PATIENCE:
                self.story.hung = True
                process.kill()
            elif now >= self._next and self._strike(process.pid):
                # Where there was nobody of that kind for a while, the next one is not hit any sooner.
                self._next = max(self._next, now - self._every) + self._every
                self._kind = self._draw()
            time.sleep(_LOOK)
        return code

    def _read(self, pid: int, read: Callable[[], str]) -> None:
        """Hear who is born, and that items end."""
        while len(text := read()) == LENGTH:
            line = parse(text)
            self.story.lines.append(line)
            if line.kind == END:
                self.story.ended += 1
                self._heard = time.monotonic()
            if line.kind == BORN and line.driver == pid:
                self._workers.add(line.worker)

    def _strike(self, pid: int) -> bool:
        """Kill one of the kind that was drawn, if there is one."""
        chosen = self._random.choice(victims) if (victims := self._victims(pid)) else pid
        at = time.monotonic()
        if not victims or not kill(chosen):
            return False
        self.story.kills.append(Kill(at, self._kind, chosen, pid))
        self._workers.discard(chosen)
        return True

    def _victims(self, pid: int) -> list[int]:
        """Who is there of the kind that was drawn. Never the fork server: it is part of the driver."""
        if self._kind == DRIVER:
            return [pid]
        there = descendants(pid)
        if self._kind == WORKER:
            return sorted(self._workers.intersection(there))
        journal = self._paths.journal
        return [one for one in there if one not in self._workers and has_open(one, journal)]

    def _draw(self) -> str:
        return self._random.choices(list(ODDS), list(ODDS.values()))[0]
