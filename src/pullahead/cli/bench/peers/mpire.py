"""mpire."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from importlib import import_module
from typing import Any, Final

from pullahead.cli.bench import works
from pullahead.cli.bench.case import WORKERS, Absent
from pullahead.cli.bench.peers.way import NAPS, Items, Peer, Settings, Way, Work, deaf_children, drain, tuned

IMAP: Final = "mpire.imap_unordered"


def start(stack: ExitStack) -> list[Way | Absent]:
    """Start its pool.

    `keep_alive` is what its documentation advises for more than one map. By default it makes 64 chunks per
    worker; for items of different size it advises `chunk_size=1`, for many small ones larger chunks.
    """
    with deaf_children():
        # spawning makes its workers deaf, as it starts them when it first needs them
        options = {"n_jobs": WORKERS, "start_method": "spawn", "keep_alive": True}
        pool = stack.enter_context(import_module("mpire").WorkerPool(**options))
        drain(pool.imap_unordered(works.nap, range(NAPS), chunk_size=1))

    def chunked(work: Work, items: Items) -> Any:
        return pool.imap_unordered(work, items, chunk_size=tuned(items))

    return [
        Way(IMAP, pool.imap_unordered),
        Way(f"{IMAP}, chunked", chunked, Settings.CHUNKED, streams=False),
        Way(f"{IMAP}, chunk_size=1", partial(pool.imap_unordered, chunk_size=1), Settings.SINGLE),
    ]


PEER: Final = Peer("mpire", start, package="mpire")
