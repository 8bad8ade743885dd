"""Items that are fetched from far away before they are computed: whether compute waits for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

from pullahead.cli.bench import works
from pullahead.cli.bench.case import WORKERS, Absent, Case, Contender, Stage, Target
from pullahead.cli.bench.cases.contest import LARGE, OURS, others
from pullahead.cli.bench.peers import ours
from pullahead.cli.bench.peers.way import Settings, Way
from pullahead.cli.bench.rate import Rate

LOAD: Final = 0.005  # seconds of I/O
COMPUTE: Final = 0.001
ITEMS: Final = 2400
QUICK_ITEMS: Final = 40
#: Those that do one thing after the other are given fewer: they take six times as long.
_FEWER: Final = 8

_compute: Final = partial(works.clocked, partial(works.spin_for, COMPUTE))
_load: Final = partial(works.sleep_for, LOAD)


def prepare(stage: Stage) -> list[Contender | Absent]:
    """Start everybody's pool."""
    count = QUICK_ITEMS if stage.quick else ITEMS
    fewer = count // _FEWER
    pool = ours.pool(stage.stack, _compute, load=_load)
    both = partial(works.clocked_after, _load, partial(works.spin_for, COMPUTE))
    return [
        Contender(f"{OURS}, load=", Rate(pool.map, count, timed=WORKERS), streams=True),
        *others(stage, ("torch",), lambda way: Rate(partial(_loaded, way), fewer, timed=1), LARGE),
        *others(
            stage,
            ("executor", "pool", "joblib"),
            lambda way: Rate(partial(way.run, both), fewer, timed=WORKERS),
            (Settings.DEFAULT,),
        ),
    ]


def _loaded(way: Way, items: Sequence[Any]) -> Iterable[Any]:
    """Compute here what others load."""
    return map(_compute, way.run(_load, items))


CASES: Final = {
    "load": Case(
        name="load",
        title=f"{LOAD * 1000:g} ms of I/O before {COMPUTE * 1000:g} ms of compute, {WORKERS} workers",
        unit="items/s",
        more_is_better=True,
        rounds=(3, 1),
        prepare=prepare,
        bound=(WORKERS / COMPUTE, f"{WORKERS} workers ÷ {COMPUTE * 1000:g} ms of compute"),
        targets=(Target("utilization", f"{OURS}, load=", 0.98, at_least=True),),
        notes=(
            "Utilization counts compute only. The others' workers load and then compute. With a DataLoader "
            "the caller computes, alone: utilization is its own, and it can reach half of the limit"
        ),
    )
}
