"""Recording a run: what one event costs the worker that it happens to, and what that does to throughput."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import Final

from pullahead.cli.bench import works
from pullahead.cli.bench.case import WORKERS, Absent, Case, Contender, Stage, Target
from pullahead.cli.bench.cases.contest import OURS
from pullahead.cli.bench.peers import ours
from pullahead.cli.bench.rate import Rate
from pullahead.core.trace import PROCESS, Recorder

ON: Final = "Recorder.add"
TRACED: Final = f"{OURS}, trace=True"

#: Events between two hand-overs, as in a run that reports now and then.
_PIECE: Final = 1000
#: Seconds of an item, and of a round, in a full run and in a quick one.
_ITEM: Final = 0.0005
_SECONDS: Final = (1.5, 0.1)


def events(stage: Stage) -> list[Contender | Absent]:
    """There is nothing to start."""
    pieces = 5 if stage.quick else 100
    return [
        Contender(ON, lambda: _cost(Recorder(), pieces), peer=False),
        Contender("Recorder.add, recording off", lambda: _cost(Recorder(on=False), pieces), peer=False),
    ]


def _cost(recorder: Recorder, pieces: int) -> float:
    """Return what one event costs, in µs."""
    add = recorder.add
    start = perf_counter()
    for _ in range(pieces):
        for number in range(_PIECE):
            add(PROCESS, 1.0, 2.0, number)
        recorder.take()
    return (perf_counter() - start) / (pieces * _PIECE) * 1e6


def runs(stage: Stage) -> list[Contender | Absent]:
    """Start a pool that records nothing, and one that does."""
    work = partial(works.spin_for, _ITEM)
    rate = partial(Rate, seconds=_SECONDS[stage.quick])
    return [
        Contender(OURS, rate(ours.pool(stage.stack, work).map)),
        Contender(TRACED, rate(ours.pool(stage.stack, work, trace=True).map)),
    ]


CASES: Final = {
    "trace": Case(
        name="trace",
        title="recording one event of a run",
        unit="µs",
        more_is_better=False,
        rounds=(15, 3),
        prepare=events,
        targets=(Target("median", ON, 1.0),),
    ),
    "traced": Case(
        name="traced",
        title=f"items that compute for {_ITEM * 1000:g} ms with and without a trace, {WORKERS} workers",
        unit="items/s",
        more_is_better=True,
        rounds=(7, 1),
        prepare=runs,
        bound=(WORKERS / _ITEM, f"{WORKERS} workers ÷ {_ITEM * 1000:g} ms"),
        targets=(Target("ratio", TRACED, 1.01),),
    ),
}
