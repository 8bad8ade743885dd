"""Large items from one machine to another: what of their way is not hidden behind computing.

The two machines are two nodes of Ray's on this one, each with a store of its own. What is measured is the
time between the end of one item and the begin of the next, in the actor that computes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from itertools import pairwise
from statistics import fmean
from typing import Any, Final

from pullahead.cli.bench import works
from pullahead.cli.bench.case import Absent, Case, Contender, Measured, Stage, Target
from pullahead.cli.bench.cases.on_ray import data
from pullahead.cli.bench.cases.on_ray.everybody import ACTOR_POOL, OURS, actor_pool, seeds
from pullahead.cli.bench.peers import niceness, seed

MB: Final = 1_000_000
#: Where the queue is, and where the actor that computes.
_NEAR: Final = {"num_cpus": 0, "resources": {"near": 0.01}}
_FAR: Final = {"num_cpus": 0, "resources": {"far": 0.01}}
_STORE: Final = 1 << 30  # bytes
_ITEMS: Final = (20, 4)


def prepare(size: int, seconds: float, stage: Stage) -> list[Contender | Absent]:
    """Start two nodes; the queue is on the first one, and who computes is on the second."""
    import numpy

    import pullahead

    ray: Any = import_module("ray")  # half of it has no types
    niceness.level()
    node = {"num_cpus": 4, "object_store_memory": _STORE}
    head = node | {"include_dashboard": False, "resources": {"near": 1}}
    cluster = import_module("ray.cluster_utils").Cluster(initialize_head=True, head_node_args=head)
    stage.stack.callback(cluster.shutdown)
    cluster.add_node(**node, resources={"far": 1})
    pullahead.init("ray", address=cluster.address, log_to_driver=False, logging_level="ERROR")
    stage.stack.callback(pullahead.shutdown)
    work = partial(works.times_of, partial(works.spin_for, seconds))
    count = _ITEMS[stage.quick]
    items = [numpy.ones(size // 8)] * count
    stock = ray.remote(**_NEAR)(seed.Stock).remote()
    actor = ray.remote(**_FAR)(seed.Worker).remote(stock, work)
    pool = stage.stack.enter_context(pullahead.Pool(work, workers=1, worker_options=_FAR))
    runs: dict[str, Callable[[], Iterable[works.Times]]] = {
        OURS: partial(pool.map, items),
        "seed, blocking": partial(seeds, stock, [actor], "blocking", items),
        "seed, overlapping": partial(seeds, stock, [actor], "overlapping", items),
        "seed, pullahead.overlap": partial(seeds, stock, [actor], "overlapped", items),
        ACTOR_POOL: partial(actor_pool, [actor], items),
    }
    absent = data.missing()
    if absent is None:
        runs[data.NAME] = partial(
            data.times_far,
            partial(works.spin_for, seconds),
            partial(numpy.full, size // 8),
            count,
            near=_NEAR,
            far=_FAR,
        )
    found: list[Contender | Absent] = [
        Contender(name, partial(exposed, run, count)) for name, run in runs.items()
    ]
    return found if absent is None else [*found, absent]


def exposed(run: Callable[[], Iterable[works.Times]], count: int) -> Measured:
    """Return the mean time between two items, in milliseconds."""
    times = sorted(run())
    if len(times) != count:
        raise RuntimeError(f"expected {count} results, got {len(times)}")
    between = 1000 * fmean(after.began - before.ended for before, after in pairwise(times))
    return Measured(between, works.share_on_cpu(times))


def _case(size: int, ms: float, limit: float | None) -> Case:
    return Case(
        name=f"payloads-{size // MB}MB",
        title=f"{size // MB} MB to another node, {ms:g} ms of computing, one worker: not hidden of each item",
        unit="ms",
        more_is_better=False,
        rounds=(3, 1),
        prepare=partial(prepare, size, ms / 1000),
        targets=() if limit is None else (Target("median", OURS, limit),),
        notes="Two nodes of Ray on one machine. The first item, whose way nobody can hide, is not counted",
    )


_ALL: Final = (_case(10 * MB, 100.0, None), _case(48 * MB, 300.0, 5.0), _case(50 * MB, 300.0, None))
CASES: Final = {case.name: case for case in _ALL}
