"""A call and its answer, one after the other: the time until a caller knows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing import get_context
from statistics import median
from time import perf_counter
from typing import Any, Final

from pullahead.cli.bench import works
from pullahead.cli.bench.case import Absent, Case, Contender, Target
from pullahead.cli.bench.peers import deaf_children

OURS: Final = "pullahead.get(actor.echo.remote(x))"
PIPE: Final = "multiprocessing.Pipe echo"
CALLS: Final = 1000
QUICK_CALLS: Final = 100


def prepare(stack: ExitStack, quick: bool) -> list[Contender | Absent]:
    """Start an actor, and a child process at the other end of a pipe."""
    calls = QUICK_CALLS if quick else CALLS
    actor, pipe = _actor(stack), _pipe(stack)
    return [
        Contender(OURS, lambda: _middle(actor, calls)),
        Contender(PIPE, lambda: _middle(pipe, calls)),
    ]


def _middle(call: Callable[[int], Any], calls: int) -> float:
    """Call again and again; return the median, in µs."""
    times = []
    for number in range(calls):
        start = perf_counter()
        answer = call(number)
        times.append(perf_counter() - start)
        if answer != number:
            raise RuntimeError(f"expected {number} back, got {answer!r}")
    return median(times) * 1e6


def _actor(stack: ExitStack) -> Callable[[int], Any]:
    import pullahead

    actor: Any = pullahead.remote(works.Echo).remote()
    stack.callback(pullahead.kill, actor)
    get = pullahead.get
    return lambda x: get(actor.echo.remote(x))


def _pipe(stack: ExitStack) -> Callable[[int], Any]:
    context = get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=works.echo, args=(there,), daemon=True)
    with deaf_children():
        child.start()
    there.close()
    stack.callback(child.join)
    stack.callback(here.close)

    def call(x: int) -> Any:
        here.send(x)
        return here.recv()

    return call


CASE: Final = Case(
    name="roundtrip",
    title="a call to another process and its answer",
    unit="µs",
    more_is_better=False,
    rounds=(25, 3),
    prepare=prepare,
    targets=(Target("ratio", PIPE, 1.5),),
    notes=f"A round is the median of {CALLS:,} calls, {QUICK_CALLS} in a quick run",
)
