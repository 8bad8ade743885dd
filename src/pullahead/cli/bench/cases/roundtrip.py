"""A call and its answer, one after the other: the time until a caller knows.

Where the two processes run makes more of a difference than what they do: on two cores each has to wake the
other's, on one core they only change places. Left alone, the scheduler moves between the two, and a ratio of
one against the other means nothing. So both are measured, with everybody pinned.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final, NamedTuple

from pullahead.cli.bench import works
from pullahead.cli.bench.case import Absent, Case, Contender, Target
from pullahead.cli.bench.peers import deaf_children

OURS: Final = "pullahead actor call"
PIPE: Final = "multiprocessing.Pipe echo"
ONE_CORE: Final = ", one core"
CALLS: Final = 1000
QUICK_CALLS: Final = 100


class Echo(NamedTuple):
    """How to call a process, and which one it is."""

    call: Callable[[int], Any]
    pid: int


def prepare(stack: ExitStack, quick: bool) -> list[Contender | Absent]:
    """Start an actor, and a child process at the other end of a pipe."""
    calls = QUICK_CALLS if quick else CALLS
    actor, pipe = _actor(stack), _pipe(stack)
    cores = _cores()
    if len(cores) < 2:
        return [
            Contender(OURS, partial(_middle, actor, calls)),
            Contender(PIPE, partial(_middle, pipe, calls)),
        ]
    stack.callback(_pin, os.getpid(), set(cores))
    here, there = cores[:2]
    return [
        Contender(OURS, partial(_pinned, actor, calls, here, there)),
        Contender(PIPE, partial(_pinned, pipe, calls, here, there)),
        Contender(OURS + ONE_CORE, partial(_pinned, actor, calls, here, here), peer=False),
        Contender(PIPE + ONE_CORE, partial(_pinned, pipe, calls, here, here), against=OURS + ONE_CORE),
    ]


def _pinned(echo: Echo, calls: int, here: int, there: int) -> float:
    _pin(os.getpid(), {here})
    _pin(echo.pid, {there})
    return _middle(echo, calls)


def _middle(echo: Echo, calls: int) -> float:
    """Call again and again; return the median, in µs."""
    times, call = [], echo.call
    for number in range(calls):
        start = perf_counter()
        answer = call(number)
        times.append(perf_counter() - start)
        if answer != number:
            raise RuntimeError(f"expected {number} back, got {answer!r}")
    return median(times) * 1e6


def _cores() -> list[int]:
    """Return the cores that this process may use and choose from; none where it cannot choose."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []


def _pin(pid: int, cores: set[int]) -> None:
    """Keep every thread of a process on these cores."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(int(thread.name), cores)


def _actor(stack: ExitStack) -> Echo:
    import pullahead

    actor: Any = pullahead.remote(works.Echo).remote()
    stack.callback(pullahead.kill, actor)
    get = pullahead.get
    return Echo(lambda x: get(actor.echo.remote(x)), get(actor.pid.remote()))


def _pipe(stack: ExitStack) -> Echo:
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

    assert child.pid is not None, "it was started"
    return Echo(call, child.pid)


CASE: Final = Case(
    name="roundtrip",
    title="a call to another process and its answer",
    unit="µs",
    more_is_better=False,
    rounds=(25, 3),
    prepare=prepare,
    targets=(Target("ratio", PIPE, 1.5),),
    notes=(
        f"A round is the median of {CALLS:,} calls, {QUICK_CALLS} in a quick run. Caller and callee "
        "are pinned to two cores, or both to one"
    ),
)
