"""Ray: tasks, its pool of actors, and the overlapping worker of its documentation."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from typing import Any, Final, final

from pullahead.cli.bench import works
from pullahead.cli.bench.case import WORKERS, Absent
from pullahead.cli.bench.peers import niceness, seed
from pullahead.cli.bench.peers.way import NAPS, Items, Peer, Settings, Way, Work, chunks, drain

TASKS: Final = "Ray tasks"
POOL: Final = "ray.util.ActorPool"
SEED: Final = "Ray, overlapping worker"


def start(stack: ExitStack) -> list[Way | Absent]:
    """Start a Ray on this machine.

    Its documentation calls tasks for small items an anti-pattern ("Over-parallelizing with too fine-grained
    tasks") and advises to do many items in each: chunked does.
    """
    ray = begin()
    stack.callback(ray.shutdown)
    ways = _Ways(ray)
    drain(ways.tasks(works.nap, range(NAPS)))
    return [
        Way(TASKS, ways.tasks, streams=False),
        Way(f"{TASKS}, chunked", ways.chunked, Settings.CHUNKED, streams=False),
        Way(POOL, ways.pool),
        Way(SEED, ways.overlapping, streams=False),
    ]


def begin() -> Any:
    """Start a Ray that belongs to this process, and return its module."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # it warns of what will change
    niceness.level()
    ray: Any = import_module("ray")  # half of it has no types
    ray.init(
        address="local",
        num_cpus=WORKERS,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    return ray


@final
class _Ways:
    """Actors hold what they do, so a change of work starts others, when they are first used."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._work: Work | None = None
        self._task: Any = None
        self._stock: Any = None
        self._actors: list[Any] = []

    def tasks(self, work: Work, items: Items) -> Iterable[Any]:
        self._turn_to(work)
        results: list[Any] = self._ray.get([self._task.remote(item) for item in items])
        return results

    def chunked(self, work: Work, items: Items) -> Iterator[Any]:
        self._turn_to(work)
        for results in self._ray.get([self._task_of_many.remote(some) for some in chunks(items)]):
            yield from results

    def pool(self, work: Work, items: Items) -> Iterator[Any]:
        self._turn_to(work)
        pool: Any = import_module("ray.util").ActorPool(self._actors)
        found: Iterator[Any] = pool.map_unordered(lambda actor, item: actor.process.remote(item), items)
        return found

    def overlapping(self, work: Work, items: Items) -> Iterator[Any]:
        self._turn_to(work)
        self._ray.get(self._stock.fill.remote(list(items)))
        for results in self._ray.get([actor.overlapping.remote() for actor in self._actors]):
            yield from results

    def _turn_to(self, work: Work) -> None:
        if work is self._work:
            return
        for actor in filter(None, [self._stock, *self._actors]):
            self._ray.kill(actor)
        remote = self._ray.remote
        self._work, self._task = work, remote(partial_as_function(work))
        self._task_of_many = remote(partial_as_function(partial(works.each, work)))
        self._stock = remote(num_cpus=0)(seed.Stock).remote()
        self._actors = [remote(num_cpus=0)(seed.Worker).remote(self._stock, work) for _ in range(WORKERS)]


def partial_as_function(work: Work) -> Work:
    """Ray takes functions only."""

    def call(item: Any) -> Any:
        return work(item)

    return call


PEER: Final = Peer("Ray", start, package="ray")
