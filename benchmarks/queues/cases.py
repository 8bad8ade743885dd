"""What is measured: a function from a warm site to a figure, and the case around it."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from statistics import median
from typing import Final, NamedTuple, final

from benchmarks.queues import systems
from benchmarks.queues.contenders import OURS, Candidate, Servers
from benchmarks.queues.ideal import IDEAL, run_on_time
from benchmarks.queues.site import Site
from benchmarks.queues.work import COMPUTE, SLEEP, Item, Run, item

from pullahead.cli.bench.case import WORKERS, Absent, Case, Contender, Measured, Stage, Target
from pullahead.sim.ideal import central_queue

#: Seconds of compute, and of what is loaded before.
_SHORT: Final = 0.001
_LOAD: Final = 0.005
#: Of mixed sizes: the long ones, how many of a hundred they are, and for which share of the workers' time all
#: are.
_LONG: Final = 0.2
_LONG_SHARE: Final = 0.05
_UTILIZATION: Final = 0.65
_SEED: Final = 15
#: Seconds between two items that are put into an idle queue, at least and at most: in step with nobody's
#: polls.
_PAUSES: Final = (0.05, 0.15)


RunOnTime = Callable[[Sequence[Item], Sequence[float]], tuple[list[float], list[Run]]]


@final
class Throughput:
    """Items per second, from the begin of the first to the end of the last one.

    Args:
        site: where they are run; warm.
        make: makes an item with a number.
        items: how many; None finds how many take about `seconds`.
        compute: seconds that each computes on a CPU; 0: it does not, and nobody asks how busy workers were.
    """

    def __init__(
        self,
        site: Site,
        make: Callable[[int], Item],
        items: int | None,
        *,
        seconds: float = 0.0,
        compute: float = 0.0,
    ) -> None:
        self._site = site
        self._make = make
        self._items = items
        self._seconds = seconds
        self._compute = compute

    def __call__(self) -> Measured:
        """Do one round."""
        if self._items is None:
            self._items = self._find()
        runs, took = self._time(self._items)
        if not self._compute:
            return Measured(self._items / took)
        within = seconds_within(runs)
        return Measured(
            self._items / took,
            on_cpu=self._compute * len(runs) / within,
            utilization=within / (WORKERS * took),
        )

    def _find(self) -> int:
        items = 100
        while (took := self._time(items)[1]) < self._seconds / 2:
            items = int(items * min(8.0, max(1.5, 0.8 * self._seconds / took)))
        return items

    def _time(self, items: int) -> tuple[list[Run], float]:
        runs = self._site.run([self._make(number) for number in range(items)])
        return runs, max(run.ended or 0.0 for run in runs) - min(run.began for run in runs)


def seconds_within(runs: Sequence[Run]) -> float:
    """Return for how long workers were within items: a process with many threads counts once."""
    within = 0.0
    until: dict[int, float] = {}  # by process; runs come in the order in which they began
    for run in runs:
        assert run.ended is not None, "a round is over when all have ended"
        since = max(run.began, until.get(run.pid, run.began))
        within += max(0.0, run.ended - since)
        until[run.pid] = max(run.ended, since)
    return within


@final
class Latency:
    """The 99th percentile of the milliseconds from putting an item to its end, with arrivals at random.

    Args:
        run: runs items at their times; returns when these were, and how the items were run.
        items: how many.
        kind: what they do.
    """

    def __init__(self, run: RunOnTime, items: int, kind: str) -> None:
        self._run = run
        self._kind = kind
        self._sizes, self._arrivals = mixed(items)
        self._is_first = True  # and that round is nobody's

    def __call__(self) -> Measured:
        """Do one round, after a part of it that does not count: whoever was stopped is at work again."""
        items = [item(number, seconds, kind=self._kind) for number, seconds in enumerate(self._sizes)]
        some = len(items) // 8
        puts, runs = self._run(items[:some], self._arrivals[:some])
        if not self._is_first:
            puts, runs = self._run(items, self._arrivals)
        self._is_first = False
        ended = {run.number: run.ended or 0.0 for run in runs}
        return Measured(_p99([ended[number] - put for number, put in enumerate(puts)]))


def mixed(items: int) -> tuple[Sequence[float], Sequence[float]]:
    """Return the sizes of items and when they arrive, in seconds: the same for everybody."""
    random = Random(_SEED)
    long_ones = round(_LONG_SHARE * items)
    sizes = [_LONG] * long_ones + [_SHORT] * (items - long_ones)
    random.shuffle(sizes)
    rate = _UTILIZATION * WORKERS * items / sum(sizes)
    now, arrivals = 0.0, []
    for _ in range(items):
        now += random.expovariate(rate)
        arrivals.append(now)
    return sizes, arrivals


def ideal(items: int) -> float:
    """Return the figure of a central queue that begins items in their order, and costs nothing."""
    sizes, arrivals = mixed(items)
    _, ends, _ = central_queue(WORKERS, array("d", sizes), array("d", arrivals))
    return _p99([end - arrival for end, arrival in zip(ends, arrivals, strict=True)])


def _p99(seconds: Sequence[float]) -> float:
    ordered = sorted(seconds)
    return 1e3 * ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]


@final
class Start:
    """The median of the milliseconds from putting an item into an idle queue to its begin."""

    def __init__(self, site: Site, items: int) -> None:
        self._site = site
        self._items = items

    def __call__(self) -> Measured:
        """Do one round."""
        random = Random(_SEED)
        now, arrivals = 0.0, []
        for _ in range(self._items):
            now += random.uniform(*_PAUSES)
            arrivals.append(now)
        puts, runs = self._site.run_on_time([item(number) for number in range(self._items)], arrivals)
        began: dict[int, float] = {}
        for run in runs:
            began.setdefault(run.number, run.began)
        return Measured(1e3 * median(began[number] - put for number, put in enumerate(puts)))


#: Items in a round, in a full run and in a quick one.
_ITEMS: Final[dict[str, tuple[int, int]]] = {
    systems.SHORT: (1500, 100),
    systems.LOAD: (1000, 100),
    systems.MIXED: (600, 60),
    systems.START: (20, 5),
}
#: Seconds that a round of no-op items takes, likewise.
_SECONDS: Final = (1.5, 0.05)


class How(NamedTuple):
    """How it is measured.

    Attributes:
        rounds: of a run that is not quick.
        quick: whether it is.
        sleep: whether items of mixed sizes sleep instead of computing.
    """

    rounds: int
    quick: bool
    sleep: bool


def _measure(kind: str, site: Site, how: How) -> Callable[[], Measured]:
    if kind == systems.NOOP:
        return Throughput(site, item, None, seconds=_SECONDS[how.quick])
    items = _ITEMS[kind][how.quick]
    if kind == systems.SHORT:
        return Throughput(site, lambda number: item(number, _SHORT), items, compute=_SHORT)
    if kind == systems.LOAD:
        return Throughput(site, lambda number: item(number, _SHORT, load=_LOAD), items, compute=_SHORT)
    if kind == systems.MIXED:
        return Latency(site.run_on_time, items, SLEEP if how.sleep else COMPUTE)
    return Start(site, items)


def _in_turn(kind: str, site: Site, how: How) -> Callable[[], Measured]:
    measure = _measure(kind, site, how)

    def once() -> Measured:
        with site.turn():
            return measure()

    return once


_TITLES: Final = {
    systems.NOOP: "items that do nothing",
    systems.SHORT: "1 ms of compute",
    systems.LOAD: "5 ms to load, 1 ms of compute",
    systems.MIXED: f"p99 from put to end; 95 % take 1 ms, 5 % 200 ms, {_UTILIZATION:.0%} busy",
    systems.START: "from put to begin, in an idle queue; medians",
}
_NOTES: Final = {
    systems.NOOP: f"A round takes everybody about {_SECONDS[0]:g} s",
    systems.SHORT: "Compute is measured on the CPU, so threads that share an interpreter gain nothing by it",
    systems.LOAD: "Peers do both in the task; Pullahead has load=",
    systems.MIXED: (
        "An ideal queue is one of which the next free worker takes the oldest item, at no cost: a counter in "
        "shared memory, on this machine in this hour. The limit has no machine"
    ),
}


_SLEEP_NOTE: Final = (
    "Items sleep, so each thread is a worker: Dramatiq has sixteen by default, and no ideal of two"
)


def case(kind: str, broker: str, some: Sequence[Candidate | Absent], servers: Servers, how: How) -> Case:
    """Describe one comparison.

    Args:
        kind: what is measured.
        broker: "redis" or "postgresql".
        some: who takes part.
        servers: where.
        how: it is measured.
    """

    def prepare(stage: Stage) -> list[Contender | Absent]:
        """Start all of them, and only then wait for each."""
        sites = {
            one.name: stage.stack.enter_context(Site(partial(one.connect, servers)))
            for one in some
            if isinstance(one, Candidate)
        }
        for site in sites.values():
            site.warm()
        for site in sites.values():
            site.rest()
        everybody = [
            one if isinstance(one, Absent) else Contender(one.name, _in_turn(kind, sites[one.name], how))
            for one in some
        ]
        if kind == systems.MIXED and not how.sleep:
            everybody.append(Contender(IDEAL, Latency(run_on_time, _ITEMS[kind][how.quick], COMPUTE)))
        return everybody

    bound = None
    if kind in (systems.SHORT, systems.LOAD):
        bound = (WORKERS / _SHORT, f"{WORKERS} workers ÷ {_SHORT * 1e3:g} ms")
    elif kind == systems.MIXED:
        bound = (ideal(_ITEMS[kind][how.quick]), "that of a central queue at no cost")
    is_rate = kind in (systems.NOOP, systems.SHORT, systems.LOAD)
    return Case(
        name=f"{kind}-{broker}",
        title=f"{_TITLES[kind]}, {WORKERS} workers",
        unit="items/s" if is_rate else "ms",
        more_is_better=is_rate,
        rounds=(how.rounds, 1),
        prepare=prepare,
        bound=bound,
        targets=_targets(kind, broker, how, [one.name for one in some if isinstance(one, Candidate)]),
        notes=_SLEEP_NOTE if kind == systems.MIXED and how.sleep else _NOTES.get(kind, ""),
    )


def _targets(kind: str, broker: str, how: How, names: Sequence[str]) -> tuple[Target, ...]:
    if kind == systems.NOOP:
        times = {"redis": 20.0, "postgresql": 10.0}[broker]
        return tuple(Target("ratio", name, times, at_least=True) for name in names if name != OURS)
    if kind == systems.SHORT and broker == "redis":
        return (Target("utilization", OURS, 0.95, at_least=True),)
    if kind == systems.MIXED:
        return () if how.sleep else (Target("ratio", IDEAL, 1.2),)
    if kind == systems.START and broker == "postgresql":
        return (Target("median", OURS, 20.0),)
    return ()
