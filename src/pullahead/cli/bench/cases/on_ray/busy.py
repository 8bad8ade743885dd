"""How busy everybody keeps one or two actors: with items that compute, or sleep, for so long, or compute so
much.

Items that end at a deadline tell how well fetches are hidden, and nothing else: what communication takes from
the core that computes costs them nothing. Items of fixed work tell that, too. Neither tells a worker that
computes from one that waits for a core; the share of their time on a CPU does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pullahead.cli.bench import works
from pullahead.cli.bench.case import Absent, Case, Contender, Stage, Target
from pullahead.cli.bench.cases.on_ray.everybody import OURS, RAY_DATA, contest

#: Milliseconds of an item, and what is asked of one worker that computes so long.
LENGTHS: Final = {0.1: 0.88, 0.5: 0.97, 1.0: None, 5.0: 0.99}
#: Seconds of a round, in a full run and in a quick one.
_SECONDS: Final = (4.0, 0.2)
_TITLES: Final = {
    "busy": "items that compute for {ms}",
    "sleep": "items that sleep for {ms}",
    "work": "items that compute what takes an idle core {ms}",
}
_DEADLINE: Final = (
    "Items end at a deadline, so whatever else runs in the process meanwhile costs them nothing"
)
_NOTES: Final = {
    "busy": _DEADLINE,
    "sleep": _DEADLINE,
    "work": "Items are so many loops, so what runs beside them makes them longer",
}
_EVERYWHERE: Final = (
    "Utilization: of the workers' time, what is within items; on a CPU: of that, the computing thread. "
    f"Actors are as nice as this process. {RAY_DATA}"
)


def _work_of(kind: str, seconds: float) -> Callable[[Any], Any]:
    """Return what takes so long, or on an idle core would."""
    if kind == "work":
        return partial(works.loop, works.loops_in(seconds))
    return partial(works.spin_for if kind == "busy" else works.sleep_for, seconds)


def prepare(kind: str, length: float, workers: int, stage: Stage) -> list[Contender | Absent]:
    """Start everybody's actors on one Ray. `length`: of an item, in seconds."""
    return contest(stage, _work_of(kind, length), workers, _SECONDS[stage.quick])


def _case(kind: str, ms: float, workers: int) -> Case:
    seconds = ms / 1000
    asked = LENGTHS[ms] if kind == "busy" and workers == 1 else None
    who = "1 worker" if workers == 1 else f"{workers} workers"
    return Case(
        name=f"{kind}-{ms:g}ms-{workers}",
        title=f"{_TITLES[kind].format(ms=f'{ms:g} ms')}, {who}",
        unit="items/s",
        more_is_better=True,
        rounds=(3, 1),
        prepare=partial(prepare, kind, seconds, workers),
        bound=(workers / seconds, f"{workers} ÷ {ms:g} ms"),
        targets=() if asked is None else (Target("utilization", OURS, asked, at_least=True),),
        notes=f"{_NOTES[kind]}. {_EVERYWHERE}",
    )


_ALL: Final = [_case(kind, ms, workers) for kind in _TITLES for workers in (1, 2) for ms in LENGTHS]
CASES: Final = {case.name: case for case in _ALL}
