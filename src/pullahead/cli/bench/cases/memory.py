"""What a pool takes of the memory: while it is idle, and for each item on its way.

Each figure is of an interpreter of its own (see `alone`), so that nobody inherits what another one needed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from typing import Final

from pullahead.cli.bench.alone import GROWN, IDLE, PULLAHEAD
from pullahead.cli.bench.case import WORKERS, Absent, Case, Contender, Stage
from pullahead.cli.bench.cases.contest import OURS
from pullahead.cli.bench.peers import CLUSTERS, dask, joblib, mpire, ray, standard

#: Who is measured, and by which ways: those that stream, as one that returns a list has it all in memory.
WAYS: Final = {
    OURS: PULLAHEAD,
    standard.EXECUTOR: "executor",
    standard.IMAP: "pool",
    joblib.STREAMING: "joblib",
    mpire.IMAP: "mpire",
    dask.MAP: "dask",
    ray.POOL: "ray",
}
#: Items on their way, in a full run and in a quick one; of whoever does hundreds in a second, fewer.
ITEMS: Final = (30_000, 2_000)
SLOW_ITEMS: Final = (1_000, 100)
_PATIENCE: Final = 180.0
_MB: Final = 1e6


def prepare(figure: str, stage: Stage) -> list[Contender | Absent]:
    """There is nothing to start."""
    found: list[Contender | Absent] = []
    for way, peer in WAYS.items():
        absent = None if peer == PULLAHEAD else stage.peers.absent(peer)
        if stage.quick and peer in CLUSTERS:
            absent = Absent(way, "takes too long for a quick run")
        items = (SLOW_ITEMS if peer in CLUSTERS else ITEMS)[stage.quick]
        measure = partial(_idle, peer, way) if figure == IDLE else partial(_grown, peer, way, items)
        found.append(Absent(way, absent.why) if absent else Contender(way, measure))
    return found


def _idle(peer: str, way: str) -> float:
    """Return MB per worker."""
    return _alone(peer, way, 1)[IDLE] / _MB / WORKERS


def _grown(peer: str, way: str, items: int) -> float:
    """Return bytes per item; where nothing has grown, one page is the most it can have been."""
    return max(4096, _alone(peer, way, items)[GROWN]) / items


def _alone(peer: str, way: str, items: int) -> dict[str, int]:
    command = [sys.executable, "-m", "pullahead.cli.bench.alone", peer, way, str(items)]
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE, check=False
    )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["nothing on standard error"])[-1]
        raise RuntimeError(f"expected exit code 0, got {ended.returncode} and: {last}")
    found: dict[str, int] = json.loads(ended.stdout.splitlines()[-1])
    return found


CASES: Final = {
    "memory": Case(
        name="memory",
        title=f"memory for each of {ITEMS[0]:,} items that do nothing, while a loop takes the results",
        unit="bytes",
        more_is_better=False,
        rounds=(2, 1),
        prepare=partial(prepare, GROWN),
        notes=(
            "By how much all processes together, the caller's too, had grown at most, ÷ items. Who takes all "
            f"items at once needs memory for all. Dask and Ray have {SLOW_ITEMS[0]:,} items"
        ),
        warm=(False, False),
    ),
    "idle": Case(
        name="idle",
        title=f"private memory of all processes of an idle pool, for each of {WORKERS} workers",
        unit="MB",
        more_is_better=False,
        rounds=(2, 1),
        prepare=partial(prepare, IDLE),
        notes="Without the caller's. What helps the workers counts: a queue, a scheduler, a store",
        warm=(False, False),
    ),
}
