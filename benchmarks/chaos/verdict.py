"""Who has to answer for what: every item once in the journal and in the file, every run again explained.

A run of `process` that is not an item's last one has an explanation if its worker, or its driver, was killed
before the next one began; if not its result was recorded, but the last one's; and either

1. while it ran, so that the log has no end of it; or
2. shortly after it had ended: a result that is not recorded dies with whoever has it. Where the queue was
   killed meanwhile, nothing can be recorded until there is another one, which takes longer.

The death of a queue alone explains nothing: its workers keep what they have.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, final

from benchmarks.chaos.mayhem import QUEUE, WORKER, Story
from benchmarks.chaos.work import BEGIN, END, Item, Paths, Result

#: Seconds from the end of an item until its result is recorded, at most; and where the queue died meanwhile.
SHORTLY: Final = 0.25
SHORTLY_WITHOUT_QUEUE: Final = 2.0
#: Seconds that a process may still go on when it, or its driver, was killed; and that sleep takes longer.
_SLACK: Final = 0.5


@final
@dataclass(slots=True)
class Run:
    """One run of `process`."""

    item: int
    worker: int
    driver: int
    began: float
    ended: float | None = None


@final
@dataclass(slots=True)
class Verdict:
    """What came of it.

    Attributes:
        lost: items without a result in the journal, or in the file.
        failed: items with an error in their place.
        doubled: items with more than one, in either, or with another one in each.
        again: runs of `process` beyond the first of each item.
        interrupted: those because the one before was killed.
        unrecorded: those because the result of the one before was lost with who had it.
        unexplained: those for another reason, and runs that nobody ended.
        longest: seconds from the end of an item to the kill that took its result.
        longest_without_queue: the same, where the queue was killed meanwhile.
    """

    lost: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    doubled: set[int] = field(default_factory=set)
    again: int = 0
    interrupted: int = 0
    unrecorded: int = 0
    unexplained: list[str] = field(default_factory=list)
    longest: float = 0.0
    longest_without_queue: float = 0.0


def judge(story: Story, paths: Paths, items: Sequence[Item]) -> Verdict:
    """Look at everything that is on disk."""
    verdict = Verdict()
    journal, file = in_the_journal(paths), in_the_file(paths)
    for recorded in (journal, file):
        times = Counter(item for item, _ in recorded)
        verdict.lost |= {item for item, _ in items if not times[item]}
        verdict.doubled |= {item for item, count in times.items() if count > 1}
        verdict.failed |= {item for item, result in recorded if result is None or result[0] != item}
    results = dict(journal)
    verdict.doubled |= {item for item, result in file if item in results and results[item] != result}
    trial = _Trial(story, items, results, verdict)
    for runs in runs_of(story, verdict).values():
        trial.judge(runs)
    return verdict


def in_the_journal(paths: Paths) -> list[tuple[int, Result | None]]:
    """Return the items that have ended, with what the journal has of their results."""
    if not paths.journal.exists():
        return []
    with closing(sqlite3.connect(paths.journal)) as database:
        rows = database.execute("SELECT place, state, result FROM items WHERE state != 'open'").fetchall()
    return [(place, json.loads(result) if state == "done" else None) for place, state, result in rows]


def in_the_file(paths: Paths) -> list[tuple[int, Result | None]]:
    """Return the items in the sink, with their results."""
    if not paths.sink.exists():
        return []
    records = [json.loads(line) for line in paths.sink.read_text().splitlines()]
    return [(record["item"][0], record.get("result")) for record in records]


def runs_of(story: Story, verdict: Verdict) -> dict[int, list[Run]]:
    """Return the runs of each item, in order."""
    runs: defaultdict[int, list[Run]] = defaultdict(list)
    going: dict[int, Run] = {}  # by worker
    for kind, item, worker, driver, at in story.lines:
        if kind == BEGIN:
            going[worker] = Run(item, worker, driver, at)
            runs[item].append(going[worker])
        elif kind == END:
            run = going.pop(worker, None)
            if run is None or run.item != item:
                verdict.unexplained.append(f"item {item} ended in {worker}, where it had not begun")
            else:
                run.ended = at
    for some in runs.values():
        some.sort(key=lambda run: run.began)
    return runs


@final
class _Trial:
    """Judges the runs of one item after the other. See the module."""

    def __init__(
        self, story: Story, items: Sequence[Item], results: dict[int, Result | None], verdict: Verdict
    ) -> None:
        self._results = results
        self._kills = story.kills
        self._queues = [one.at for one in story.kills if one.kind == QUEUE]
        # A driver that failed is bad enough: what was lost with it is its fault, not that of who ran it.
        self._drivers = {one.pid: one.at for one in story.kills if one.kind not in (QUEUE, WORKER)}
        self._drivers |= story.failures
        self._workers: defaultdict[int, list[float]] = defaultdict(list)  # pids come again, some day
        for one in story.kills:
            if one.kind == WORKER:
                self._workers[one.pid].append(one.at)
        self._seconds = dict(items)
        self._verdict = verdict

    def judge(self, runs: Sequence[Run]) -> None:
        """Judge the runs of one item."""
        self._verdict.again += len(runs) - 1
        for run, following in pairwise(runs):
            if not self._explains(run, following.began):
                self._verdict.unexplained.append(
                    f"{self._told(run)}; it began again at {following.began:.3f}"
                )
        last = runs[-1]
        result = self._results.get(last.item)  # without one it is lost, or has failed, which is counted
        if result is not None and (last.ended is None or result[1] != last.began):
            self._verdict.unexplained.append(f"{self._told(last)}; recorded was what began at {result[1]}")

    def _explains(self, run: Run, until: float) -> bool:
        """Say whether a kill until then explains that this was not the last run of its item."""
        verdict = self._verdict
        death = self._death(run)
        if death is None or death > until:
            return False
        if run.ended is None:
            verdict.interrupted += 1
            return death - run.began < self._seconds[run.item] + _SLACK
        gap = death - run.ended
        if any(run.ended - SHORTLY <= at <= death for at in self._queues):
            verdict.longest_without_queue = max(gap, verdict.longest_without_queue)
            most = SHORTLY_WITHOUT_QUEUE
        else:
            verdict.longest = max(gap, verdict.longest)
            most = SHORTLY
        verdict.unrecorded += gap <= most
        return gap <= most

    def _death(self, run: Run) -> float | None:
        """When the worker of a run was killed, or its driver: the first that came during it, or after."""
        deaths = [*self._workers[run.worker], self._drivers.get(run.driver, -1.0)]
        return min((at for at in deaths if at > run.began - _SLACK), default=None)

    def _told(self, run: Run) -> str:
        death = self._death(run)
        return (
            f"item {run.item} of {self._seconds[run.item]:.3f} s began at {run.began:.3f} in {run.worker} of "
            f"driver {run.driver}, ended: {run.ended}, killed: {death}"
        )
