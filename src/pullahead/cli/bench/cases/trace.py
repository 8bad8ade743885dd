"""Recording a run: what one event costs the worker that it happens to."""

from __future__ import annotations

from contextlib import ExitStack
from time import perf_counter
from typing import Final

from pullahead.cli.bench.case import Absent, Case, Contender, Target
from pullahead.core.trace import PROCESS, Recorder

ON: Final = "Recorder.add"

#: Events between two hand-overs, as in a run that reports now and then.
_PIECE: Final = 1000


def prepare(stack: ExitStack, quick: bool) -> list[Contender | Absent]:  # noqa: ARG001  nothing to end
    """There is nothing to start."""
    pieces = 5 if quick else 100
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


CASE: Final = Case(
    name="trace",
    title="recording one event of a run",
    unit="µs",
    more_is_better=False,
    rounds=(15, 3),
    prepare=prepare,
    targets=(Target("median", ON, 2.0),),
)
