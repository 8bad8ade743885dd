"""A function that does nothing: what an item costs on Ray, and so what one queue carries."""

from __future__ import annotations

from typing import Final

from pullahead.cli.bench.case import WORKERS, Absent, Case, Contender, Stage, Target
from pullahead.cli.bench.cases.on_ray.everybody import OURS, RAY_DATA, contest
from pullahead.cli.bench.works import noop

#: Seconds of a round, in a full run and in a quick one.
_SECONDS: Final = (2.0, 0.2)


def prepare(stage: Stage) -> list[Contender | Absent]:
    """Start everybody's actors on one Ray."""
    return contest(stage, noop, WORKERS, _SECONDS[stage.quick], timed=False)


_CASE: Final = Case(
    name="noop",
    title=f"a function that does nothing, {WORKERS} workers",
    unit="items/s",
    more_is_better=True,
    rounds=(3, 1),
    prepare=prepare,
    targets=(Target("median", OURS, 20_000.0, at_least=True),),
    notes=f"All items of Pullahead's pool go through one queue actor. {RAY_DATA}",
)
CASES: Final = {_CASE.name: _CASE}
