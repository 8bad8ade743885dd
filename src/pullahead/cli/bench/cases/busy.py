"""Small items of real compute: how busy everybody keeps the workers, with default settings."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

from pullahead.cli.bench import peers
from pullahead.cli.bench.case import WORKERS, Absent, Case, Contender, Target
from pullahead.cli.bench.peers import Rate, Run
from pullahead.cli.bench.works import SPIN, spin

OURS: Final = "pullahead.Pool.map"
ITEMS: Final = 6000
QUICK_ITEMS: Final = 600


def prepare(stack: ExitStack, quick: bool) -> list[Contender | Absent]:
    """Start everybody's pool."""
    executor = peers.executor(stack)
    pool = peers.process_pool(stack)
    runs: dict[str, Run | Absent] = {
        OURS: peers.pullahead_pool(stack, spin).map,
        "ProcessPoolExecutor.map": lambda items: executor.map(spin, items),
        "Pool.imap_unordered": lambda items: pool.imap_unordered(spin, items),
        "joblib.Parallel": peers.joblib(stack, spin),
        "joblib.Parallel, generator": peers.joblib(stack, spin, generator=True),
    }
    count = QUICK_ITEMS if quick else ITEMS
    return [
        run if isinstance(run, Absent) else Contender(name, Rate(run, count)) for name, run in runs.items()
    ]


CASE: Final = Case(
    name="busy",
    title=f"items of {SPIN * 1000:g} ms of pure Python, {WORKERS} workers, default settings",
    unit="items/s",
    more_is_better=True,
    rounds=(5, 2),
    prepare=prepare,
    bound=(WORKERS / SPIN, f"{WORKERS} workers ÷ {SPIN * 1000:g} ms"),
    targets=(Target("share", OURS, 0.9, at_least=True),),
    notes=f"A round has {ITEMS:,} items, {QUICK_ITEMS} in a quick run",
)
