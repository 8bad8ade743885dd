"""joblib, with loky's processes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from inspect import signature
from typing import Any, Final

from pullahead.cli.bench import works
from pullahead.cli.bench.case import WORKERS, Absent
from pullahead.cli.bench.peers.way import NAPS, Items, Peer, Run, Way, Work, deaf_children, drain

PARALLEL: Final = "joblib.Parallel"
STREAMING: Final = "joblib.Parallel, unordered"


def start(stack: ExitStack) -> list[Way | Absent]:
    """Start its reusable pool.

    `batch_size="auto"`, the default, is also what its documentation advises. `return_as` makes results come
    as they are there, instead of all at the end. The `with` keeps the processes between two calls.
    """
    from joblib import Parallel

    plain = Way(PARALLEL, _run(stack), streams=False)
    if "return_as" not in signature(Parallel).parameters:
        return [plain, Absent(STREAMING, "this joblib has no return_as; it came with version 1.3")]
    return [plain, Way(STREAMING, _run(stack, return_as="generator_unordered"))]


def _run(stack: ExitStack, **options: Any) -> Run:
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.backend import resource_tracker

    resource_tracker.ensure_running()
    with deaf_children():
        stack.callback(lambda: get_reusable_executor().shutdown(wait=True, kill_workers=True))
        parallel = stack.enter_context(Parallel(n_jobs=WORKERS, **options))
        drain(parallel(delayed(works.nap)(item) for item in range(NAPS)))

    def run(work: Work, items: Items) -> Iterable[Any]:
        task = delayed(work)
        return parallel(task(item) for item in items)  # type: ignore[no-any-return]

    return run


PEER: Final = Peer("joblib", start, package="joblib")
