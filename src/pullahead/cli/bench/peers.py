"""Everybody's pools, started and warm, each as a function from items to an iterable of results.

Peers are started by spawning, not by forking: by then Pullahead has threads, and a process that has threads
must not fork. How a worker was started makes no difference to how fast it is afterwards.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from inspect import signature
from multiprocessing import get_context, resource_tracker
from multiprocessing.pool import Pool as ProcessPool
from time import perf_counter
from typing import Any, Final, final

from pullahead.cli.bench import works
from pullahead.cli.bench.case import WORKERS, Absent, Measured

Work = Callable[[int], int]
Run = Callable[[range], Iterable[Any]]

#: So that each of the workers is surely up.
_NAPS: Final = 4 * WORKERS


def tuned(items: range) -> int:
    """Return the chunk size that `multiprocessing.Pool.map` finds right: four chunks per worker."""
    return max(1, len(items) // (4 * WORKERS))


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes that start meanwhile do not hear the terminal's Ctrl-C, and so print no tracebacks.

    A signal is blocked, not ignored: children inherit the mask, and for us it comes when the block is over.
    """
    resource_tracker.ensure_running()  # starting one unblocks the signal, so it must be there before
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def pullahead_pool(stack: ExitStack, work: Callable[[Any], Any], warm: Any = 0) -> Any:
    """Start Pullahead's. `warm` is an item that the work can take."""
    import pullahead

    pool = stack.enter_context(pullahead.Pool(work, workers=WORKERS))
    _drain(pool.map([warm] * _NAPS))
    return pool


def executor(stack: ExitStack) -> ProcessPoolExecutor:
    """Start the standard library's newer pool."""
    with deaf_children():
        pool = ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn"))
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        _drain(pool.map(works.nap, range(_NAPS)))
    return pool


def process_pool(stack: ExitStack) -> ProcessPool:
    """Start the standard library's older pool."""
    with deaf_children():
        pool = get_context("spawn").Pool(WORKERS)
        stack.callback(pool.join)
        stack.callback(pool.terminate)
        _drain(pool.imap_unordered(works.nap, range(_NAPS)))
    return pool


def joblib(stack: ExitStack, work: Work, generator: bool = False) -> Run | Absent:
    """Start joblib's pool; with `generator`, results come as they are there instead of all at the end."""
    name = "joblib.Parallel, generator" if generator else "joblib.Parallel"
    try:
        from joblib import Parallel, delayed
        from joblib.externals.loky import get_reusable_executor
        from joblib.externals.loky.backend import resource_tracker as loky_tracker
    except ImportError:
        return Absent(name, "not installed: pip install joblib")
    if generator and "return_as" not in signature(Parallel).parameters:
        return Absent(name, "this joblib has no return_as; it came with version 1.3")
    options = {"return_as": "generator"} if generator else {}
    loky_tracker.ensure_running()
    with deaf_children():
        stack.callback(lambda: get_reusable_executor().shutdown(wait=True, kill_workers=True))
        parallel = stack.enter_context(Parallel(n_jobs=WORKERS, **options))
        _drain(parallel(delayed(works.nap)(item) for item in range(_NAPS)))
    task = delayed(work)

    def run(items: range) -> Iterable[int]:
        return parallel(task(item) for item in items)  # type: ignore[no-any-return]

    return run


def _drain(results: Iterable[Any]) -> None:
    for _ in results:
        pass


@final
class Rate:
    """Measures items per second of one pool.

    Args:
        run: from items to results.
        count: items in a round; None finds how many keep it busy for about `seconds`.
        timed: of how many workers the results are `works.Times`, which tell how much of the workers' time was
            within items, and how much of that on a CPU; 0: they are none.
    """

    def __init__(self, run: Run, count: int | None = None, seconds: float = 0.0, *, timed: int = 0) -> None:
        self._run = run
        self._count = count
        self._seconds = seconds
        self._timed = timed
        self._shares: tuple[float | None, float | None] = (None, None)  # of the last time

    def __call__(self) -> Measured:
        """Do one round."""
        if self._count is None:
            self._count = self._find_count()
        return Measured(self._count / self._time(self._count), *self._shares)

    def _find_count(self) -> int:
        count = 200
        while (took := self._time(count)) < self._seconds / 2:
            count = int(count * min(8.0, max(1.5, 0.8 * self._seconds / took)))
        return count

    def _time(self, count: int) -> float:
        start = perf_counter()
        came = list(self._run(range(count)))
        end = perf_counter()
        if len(came) != count:
            raise RuntimeError(f"expected {count} results, got {len(came)}")
        if self._timed:
            within = works.utilization(came, start, end, self._timed)
            self._shares = works.share_on_cpu(came), within
        return end - start
