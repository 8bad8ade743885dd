"""Whoever keeps actors busy on one Ray: Pullahead's pool, the seed's workers, ActorPool, and Ray Data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Final

from pullahead.cli.bench import works
from pullahead.cli.bench.case import Absent, Contender, Stage
from pullahead.cli.bench.cases.on_ray import data
from pullahead.cli.bench.peers import niceness, seed
from pullahead.cli.bench.rate import Do, Rate

OURS: Final = "pullahead.Pool.map"
ACTOR_POOL: Final = "ray.util.ActorPool"
#: What a reader must know of who cannot be kept warm.
RAY_DATA: Final = (
    "Ray Data, whose actors start with each run, is timed from when each of them has begun an item"
)
#: CPUs that Ray believes in: the actors of everybody are there, and those of one at a time compute.
CPUS: Final = 32


def contest(
    stage: Stage, work: Callable[[Any], Any], workers: int, seconds: float, *, timed: bool = True
) -> list[Contender | Absent]:
    """Start everybody's actors on one Ray.

    Args:
        stage: where.
        work: what is done with each item.
        workers: of everybody.
        seconds: of a round.
        timed: whether each item is; one of no length is not, since to look at the clock would be its length.
    """
    import pullahead

    one = partial(works.clocked, work) if timed else work
    ray: Any = import_module("ray")  # half of it has no types
    niceness.level()
    pullahead.init("ray", num_cpus=CPUS, log_to_driver=False, logging_level="ERROR")
    stage.stack.callback(pullahead.shutdown)
    stock = ray.remote(num_cpus=0)(seed.Stock).remote()
    actors = [ray.remote(num_cpus=0)(seed.Worker).remote(stock, one) for _ in range(workers)]
    pool = stage.stack.enter_context(pullahead.Pool(one, workers=workers))
    runs: dict[str, Do] = {
        OURS: pool.map,
        "seed, blocking": partial(seeds, stock, actors, "blocking"),
        "seed, overlapping": partial(seeds, stock, actors, "overlapping"),
        "seed, pullahead.overlap": partial(seeds, stock, actors, "overlapped"),
        ACTOR_POOL: partial(actor_pool, actors),
    }
    rate = partial(Rate, seconds=seconds, timed=workers if timed else 0)
    found = [Contender(name, rate(run)) for name, run in runs.items()]
    return [*found, data.contender(work, workers, seconds)]


def seeds(stock: Any, actors: list[Any], way: str, items: Sequence[Any]) -> list[Any]:
    """Let the seed's workers do it, in one of their ways."""
    ray: Any = import_module("ray")
    ray.get(stock.fill.remote(list(items)))
    done = ray.get([getattr(actor, way).remote() for actor in actors])
    return [one for times in done for one in times]


def actor_pool(actors: list[Any], items: Sequence[Any]) -> Iterator[Any]:
    """Let Ray's pool of actors do it."""
    pool: Any = import_module("ray.util").ActorPool(actors)
    found: Iterator[Any] = pool.map_unordered(lambda actor, item: actor.process.remote(item), items)
    return found
