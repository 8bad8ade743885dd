"""One way to do it in an interpreter of its own, and what that takes of the memory.

`python -m pullahead.cli.bench.alone PEER WAY COUNT` starts a pool, notes what its processes have, lets it do
so many items that do nothing, and prints both as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from functools import partial
from typing import Final

from pullahead.cli.bench import processes
from pullahead.cli.bench.case import Absent
from pullahead.cli.bench.peers import Peers, ours
from pullahead.cli.bench.peers.way import drain
from pullahead.cli.bench.rate import Do
from pullahead.cli.bench.works import noop

#: The name of the peer that is none.
PULLAHEAD: Final = "pullahead"
#: What is printed: bytes that all processes of the pool share with nobody while it is idle, and by how many
#: all processes, the caller's too, had grown at most.
IDLE, GROWN = "idle", "grown"


def main(peer: str, way: str, count: int) -> None:
    """Measure it."""
    before = processes.descendants()
    with ExitStack() as stack:
        do = _start(stack, peer, way)
        drain(do(range(100)))
        pool = processes.descendants() - before
        idle, everybody = processes.private(pool), pool | {os.getpid()}
        processes.begin_peaks(everybody)
        had = processes.resident(everybody)
        if drain(do(range(count))) != count:
            raise RuntimeError(f"expected {count} results, got another number")
        grown = processes.peaks(everybody) - had
        print(json.dumps({IDLE: idle, GROWN: grown}), flush=True)


def _start(stack: ExitStack, peer: str, name: str) -> Do:
    if peer == PULLAHEAD:
        found: Do = ours.pool(stack, noop).map
        return found
    for way in Peers(stack).ways(peer):
        if not isinstance(way, Absent) and way.name == name:
            return partial(way.run, noop)
    raise ValueError(f"expected a way to use {peer}, got {name!r}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
