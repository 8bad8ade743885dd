"""A function that does nothing: what an item costs."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

from pullahead.cli.bench import peers
from pullahead.cli.bench.case import WORKERS, Absent, Case, Contender
from pullahead.cli.bench.peers import Rate, Run, tuned
from pullahead.cli.bench.works import noop


def prepare(stack: ExitStack, quick: bool) -> list[Contender | Absent]:
    """Start everybody's pool."""
    ours = peers.pullahead_pool(stack, noop)
    executor = peers.executor(stack)
    pool = peers.process_pool(stack)
    runs: dict[str, Run | Absent] = {
        "pullahead.Pool.map": ours.map,
        "pullahead.Pool.map, ordered=False": lambda items: ours.map(items, ordered=False),
        "ProcessPoolExecutor.map": lambda items: executor.map(noop, items),
        "ProcessPoolExecutor.map, chunked": lambda items: executor.map(noop, items, chunksize=tuned(items)),
        "Pool.imap_unordered": lambda items: pool.imap_unordered(noop, items),
        "Pool.imap_unordered, chunked": lambda items: pool.imap_unordered(noop, items, tuned(items)),
        "joblib.Parallel": peers.joblib(stack, noop),
        "joblib.Parallel, generator": peers.joblib(stack, noop, generator=True),
    }
    seconds = 0.05 if quick else 1.0
    return [
        run if isinstance(run, Absent) else Contender(name, Rate(run, seconds=seconds))
        for name, run in runs.items()
    ]


CASE: Final = Case(
    name="noop",
    title=f"a function that does nothing, {WORKERS} workers",
    unit="items/s",
    more_is_better=True,
    rounds=(5, 2),
    prepare=prepare,
    notes=(
        "A round has as many items as keep the contender busy for about a second. Chunked means four chunks "
        "per worker, and no result before its chunk is done"
    ),
)
