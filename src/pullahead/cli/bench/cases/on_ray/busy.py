"""How busy everybody keeps one or two actors, with items that compute, or sleep, for so long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from time import perf_counter
from typing import Any, Final

from pullahead.cli.bench import works
from pullahead.cli.bench.case import Absent, Case, Contender, Target
from pullahead.cli.bench.cases.on_ray import seed
from pullahead.cli.bench.peers import Rate

OURS: Final = "pullahead.Pool.map"
#: Milliseconds of an item, and what is asked of one worker that computes so long.
LENGTHS: Final = {0.1: 0.88, 0.5: 0.97, 1.0: None, 5.0: 0.99}
#: Seconds of a round, in a full run and in a quick one.
_SECONDS: Final = (4.0, 0.2)
#: CPUs that Ray believes in: the actors of everybody are there, and those of one at a time compute.
CPUS: Final = 32


def prepare(
    work: Callable[[Any], Any], workers: int, stack: ExitStack, quick: bool
) -> list[Contender | Absent]:
    """Start everybody's actors on one Ray."""
    import pullahead

    ray: Any = import_module("ray")  # half of it has no types
    pullahead.init("ray", num_cpus=CPUS, log_to_driver=False, logging_level="ERROR")
    stack.callback(pullahead.shutdown)
    stock = ray.remote(num_cpus=0)(seed.Stock).remote()
    actors = [ray.remote(num_cpus=0)(seed.Worker).remote(stock, work) for _ in range(workers)]
    pool = stack.enter_context(pullahead.Pool(work, workers=workers))
    runs: dict[str, Callable[[range], Iterable[Any]]] = {
        OURS: pool.map,
        "seed, blocking": partial(_seeds, stock, actors, "blocking"),
        "seed, overlapping": partial(_seeds, stock, actors, "overlapping"),
        "seed, pullahead.overlap": partial(_seeds, stock, actors, "overlapped"),
        "ray.util.ActorPool": partial(_actor_pool, actors),
    }
    seconds = _SECONDS[quick]
    found: list[Contender | Absent] = [
        Contender(name, Rate(run, seconds=seconds)) for name, run in runs.items()
    ]
    return [*found, _ray_data(work, workers, seconds)]


def _seeds(stock: Any, actors: list[Any], way: str, items: range) -> list[Any]:
    ray: Any = import_module("ray")
    ray.get(stock.fill.remote(len(items), 0))
    done = ray.get([getattr(actor, way).remote() for actor in actors])
    return [one for times in done for one in times]


def _actor_pool(actors: list[Any], items: range) -> Iterator[Any]:
    pool: Any = import_module("ray.util").ActorPool(actors)
    found: Iterator[Any] = pool.map_unordered(lambda actor, item: actor.process.remote(item), items)
    return found


class _Batches:
    """The work as Ray Data wants it."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        for item in batch["id"]:
            self._work(item)
        return batch


def _ray_data(work: Callable[[Any], Any], workers: int, seconds: float) -> Contender | Absent:
    name = "Ray Data map_batches"
    try:
        data: Any = import_module("ray.data")
    except ImportError:
        return Absent(name, "not installed: pip install 'ray[data]'")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    data.DataContext.get_current().enable_progress_bars = False
    return Contender(name, partial(_data_rate, work, workers, seconds))


def _data_rate(work: Callable[[Any], Any], workers: int, seconds: float) -> float:
    """Return items per second from the first batch to the last: what it takes to start is not counted."""
    ray_data: Any = import_module("ray.data")
    count = max(200, int(200 * seconds))
    strategy = ray_data.ActorPoolStrategy(size=workers)
    data = ray_data.range(count, override_num_blocks=max(1, count // 20)).map_batches(
        _Batches, fn_constructor_args=(work,), batch_size=1, compute=strategy
    )
    came, first, began = 0, 0, 0.0
    for batch in data.iter_batches(batch_size=None):
        came += len(batch["id"])
        if not began:
            first, began = came, perf_counter()
    if came != count:
        raise RuntimeError(f"expected {count} results, got {came}")
    return (came - first) / max(perf_counter() - began, 1e-9)


def _case(kind: str, ms: float, workers: int) -> Case:
    seconds = ms / 1000
    work = partial(works.spin_for if kind == "busy" else works.sleep_for, seconds)
    asked = LENGTHS[ms] if kind == "busy" and workers == 1 else None
    who = "1 worker" if workers == 1 else f"{workers} workers"
    what = "items that compute" if kind == "busy" else "items that sleep"
    return Case(
        name=f"{kind}-{ms:g}ms-{workers}",
        title=f"{what} for {ms:g} ms, {who}",
        unit="items/s",
        more_is_better=True,
        rounds=(3, 1),
        prepare=partial(prepare, work, workers),
        bound=(workers / seconds, f"{workers} ÷ {ms:g} ms"),
        targets=() if asked is None else (Target("share", OURS, asked, at_least=True),),
        notes=(
            "Items end at a deadline, so whatever else runs in the process meanwhile costs them nothing. "
            "Ray Data is timed from its first batch on"
        ),
    )


_ALL: Final = [_case(kind, ms, workers) for kind in ("busy", "sleep") for workers in (1, 2) for ms in LENGTHS]
CASES: Final = {case.name: case for case in _ALL}
