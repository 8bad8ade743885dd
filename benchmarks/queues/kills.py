"""What is lost, and what is done twice, when workers and whole consumers are killed in the middle of things.

Two times the worker is killed that runs an item just then, and once everything at a time, as if the power
failed. A supervisor starts again what has ended. Then all have so many seconds to end what was put.

A run of an item that is not its last one has an explanation if its process was killed while it ran, or so
shortly after its end that nobody can have heard of that.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Final, final

from benchmarks.chaos.processes import kill
from benchmarks.queues.contenders import BROKERS, Candidate, Servers, candidates
from benchmarks.queues.programs import wait_until
from benchmarks.queues.site import Site
from benchmarks.queues.systems import KILLS
from benchmarks.queues.work import SLEEP, Run, item

from pullahead.cli.bench.case import Absent

#: Items, in a full run and in a quick one, and seconds that each takes: it sleeps, so that all contenders can
#: be tried at the same time.
_ITEMS: Final = (300, 40)
_SECONDS: Final = 0.02
#: After which share of them who is killed: a worker, or everything.
_WORKER, _ALL = "worker", "all"
_KILLS: Final = ((0.2, _WORKER), (0.4, _WORKER), (0.6, _ALL))
#: Seconds after the last kill until an item that has not ended is called lost: two of the longest timeouts
#: that are set here (30 s), and Dramatiq's default (60 s), with some to spare.
LIMIT: Final = 90.0
#: Seconds from the end of an item until its system can be expected to know.
SHORTLY: Final = 1.0
#: Seconds in which a share of the items has to end, or somebody has to run one.
_PATIENCE: Final = 60.0


@final
@dataclass(slots=True)
class Verdict:
    """What came of it.

    Attributes:
        name: of the contender, with its server.
        items: how many were put.
        waiting: those that had not ended in time, and that the server still has.
        failed: those that are recorded as failed for good.
        lost: those that have not ended, and that nobody knows of.
        again: runs beyond the first of each item.
        interrupted: of those before which the item was killed while it ran.
        unheard: of those before which it had ended shortly before a kill.
        unexplained: of those for another reason, in words.
        longest: seconds from the end of an item to the kill that made it come again; of `unheard`.
        seconds: from the last kill to the last end.
    """

    name: str
    items: int
    waiting: int = 0
    failed: int = 0
    lost: int = 0
    again: int = 0
    interrupted: int = 0
    unheard: int = 0
    unexplained: list[str] = field(default_factory=list)
    longest: float = 0.0
    seconds: float = 0.0


def measure(servers: Servers, ours: bool, quick: bool) -> list[Verdict | Absent]:
    """Kill everybody's workers, all at the same time. Returns what came of it."""
    some = {
        f"{one.name} ({broker})": one for broker in BROKERS for one in candidates(broker, KILLS, ours=ours)
    }
    with ExitStack() as stack:
        sites = {
            name: stack.enter_context(Site(partial(one.connect, servers)))
            for name, one in some.items()
            if isinstance(one, Candidate)
        }
        with ThreadPoolExecutor(len(sites)) as threads:
            found = dict(
                zip(sites, threads.map(partial(_story, _ITEMS[quick]), sites, sites.values()), strict=True)
            )
    return [one if isinstance(one, Absent) else found[name] for name, one in some.items()]


def _story(count: int, name: str, site: Site) -> Verdict:
    """Put items, kill, wait, and judge."""
    site.warm()
    site.log.clear()
    site.system.put_all([item(number, _SECONDS, kind=SLEEP) for number in range(count)])
    deaths: dict[int, float] = {}
    for share, who in _KILLS:
        if not wait_until(lambda: len(_ended(site)) >= share * count, _PATIENCE):  # noqa: B023
            break
        for pid in _kill(site, who):
            deaths.setdefault(pid, time.monotonic())
    last = max(deaths.values(), default=time.monotonic())
    wait_until(lambda: len(_ended(site)) + site.system.failed() >= count, LIMIT, pause=0.1)
    verdict = Verdict(name, count)
    _account(verdict, count - len(_ended(site)), site)
    judge(verdict, site.log.runs(), deaths, last)
    return verdict


def _account(verdict: Verdict, missing: int, site: Site) -> None:
    """Say what has become of items that have not ended."""
    verdict.failed = min(missing, site.system.failed())
    verdict.waiting = min(missing - verdict.failed, site.system.waiting())
    verdict.lost = missing - verdict.failed - verdict.waiting


def _ended(site: Site) -> set[int]:
    return {run.number for run in site.log.runs() if run.ended is not None}


def _kill(site: Site, who: str) -> list[int]:
    if who == _ALL:
        return [pid for program in site.programs for pid in program.kill()]
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:  # until somebody runs something
        for run in reversed(site.log.runs()):
            if run.ended is None and kill(run.pid):
                return [run.pid]
    return []


def judge(verdict: Verdict, runs: Sequence[Run], deaths: Mapping[int, float], last: float) -> None:
    """Find out why items ran again.

    Args:
        verdict: where to say so.
        runs: all of them, in the order in which they began.
        deaths: when which process was killed.
        last: when the last one was.
    """
    by_item = defaultdict[int, list[Run]](list)
    for run in runs:
        by_item[run.number].append(run)
    ends = [run.ended for run in runs if run.ended is not None]
    verdict.seconds = max(0.0, max(ends, default=last) - last)
    for some in by_item.values():
        for run, following in pairwise(some):
            verdict.again += 1
            death = deaths.get(run.pid)
            if death is None or death < run.began:
                verdict.unexplained.append(f"{_told(run)}; it began again at {following.began:.3f}")
            elif run.ended is None:
                verdict.interrupted += 1
            elif death - run.ended <= SHORTLY:
                verdict.unheard += 1
                verdict.longest = max(verdict.longest, death - run.ended)
            else:
                verdict.unexplained.append(
                    f"{_told(run)}, {death - run.ended:.3f} s before its process was killed"
                )


def _told(run: Run) -> str:
    ended = "did not end" if run.ended is None else f"ended at {run.ended:.3f}"
    return f"item {run.number} began at {run.began:.3f} in {run.pid}, {ended}"
