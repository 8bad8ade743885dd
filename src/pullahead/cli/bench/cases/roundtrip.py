"""A call and its answer, one after the other: the time until a caller knows.

Where the two processes run makes more of a difference than what they do: on two cores each has to wake the
other's, on one core they only change places. Left alone, the scheduler moves between the two, and a ratio of
one against the other means nothing. So both are measured, with everybody pinned. Whoever needs more processes
than two is left alone: a call to them takes so much longer that it makes no difference.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final, NamedTuple

from pullahead.cli.bench import works
from pullahead.cli.bench.case import Absent, Case, Contender, Stage, Target
from pullahead.cli.bench.cases.contest import BESIDE
from pullahead.cli.bench.peers import standard
from pullahead.cli.bench.peers.way import deaf_children

OURS: Final = "pullahead actor call"
PIPE: Final = "multiprocessing.Pipe echo"
EXECUTOR: Final = "ProcessPoolExecutor.submit"
RAY: Final = "Ray actor call"
ONE_CORE: Final = ", one core"
CALLS: Final = 1000
QUICK_CALLS: Final = 100
#: Whoever takes much longer makes fewer.
FEWER: Final = 5


class Echo(NamedTuple):
    """How to call a process, and which one it is."""

    call: Callable[[int], Any]
    pid: int


def prepare(stage: Stage) -> list[Contender | Absent]:
    """Start an actor, and a child process at the other end of a pipe."""
    calls = QUICK_CALLS if stage.quick else CALLS
    actor, pipe = _actor(stage.stack), _pipe(stage.stack)
    pool = standard.executor(stage.stack)
    executor = partial(_middle, lambda x: pool.submit(works.noop, x).result(), calls // FEWER)
    cores = _cores()
    if len(cores) < 2:
        return [
            Contender(OURS, partial(_middle, actor.call, calls)),
            Contender(PIPE, partial(_middle, pipe.call, calls)),
            Contender(EXECUTOR, executor),
        ]
    stage.stack.callback(_pin, os.getpid(), set(cores))
    here, there = cores[:2]
    return [
        Contender(OURS, partial(_pinned, actor, calls, here, there)),
        Contender(PIPE, partial(_pinned, pipe, calls, here, there)),
        Contender(OURS + ONE_CORE, partial(_pinned, actor, calls, here, here), peer=False),
        Contender(PIPE + ONE_CORE, partial(_pinned, pipe, calls, here, here), against=OURS + ONE_CORE),
        Contender(EXECUTOR, partial(_free, executor, set(cores))),
    ]


def beside(stage: Stage) -> list[Contender | Absent]:
    """Start an actor here, and one of Ray's. Nobody is pinned."""
    calls = (QUICK_CALLS if stage.quick else CALLS) // FEWER
    ours = Contender(OURS, partial(_middle, _actor(stage.stack).call, calls))
    absent = stage.peers.absent("ray")
    if absent:
        return [ours, absent]
    stage.peers.ways("ray")
    ray: Any = import_module("ray")
    actor = ray.remote(num_cpus=0)(works.Echo).remote()
    stage.stack.callback(ray.kill, actor)
    return [ours, Contender(RAY, partial(_middle, lambda x: ray.get(actor.echo.remote(x)), calls))]


def _pinned(echo: Echo, calls: int, here: int, there: int) -> float:
    _pin(os.getpid(), {here})
    _pin(echo.pid, {there})
    return _middle(echo.call, calls)


def _free(measure: Callable[[], float], cores: set[int]) -> float:
    _pin(os.getpid(), cores)
    return measure()


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


CASES: Final = {
    "roundtrip": Case(
        name="roundtrip",
        title="a call to another process and its answer",
        unit="µs",
        more_is_better=False,
        rounds=(15, 3),
        prepare=prepare,
        targets=(Target("ratio", PIPE, 1.25),),
        notes=(
            f"A round is the median of {CALLS:,} calls. Caller and callee are pinned to two cores, or both "
            f"to one; {EXECUTOR}, which has threads and several processes, is not, and makes {CALLS // FEWER}"
        ),
    ),
    f"roundtrip{BESIDE}": Case(
        name=f"roundtrip{BESIDE}",
        title="a call to another process and its answer",
        unit="µs",
        more_is_better=False,
        rounds=(11, 1),
        prepare=beside,
        targets=(Target("ratio", RAY, 0.1),),
        notes=f"A round is the median of {CALLS // FEWER} calls. Nobody is pinned",
        beside="roundtrip",
    ),
}
