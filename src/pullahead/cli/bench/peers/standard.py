"""The standard library's pools: `ProcessPoolExecutor` and `multiprocessing.Pool`."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from typing import Final

from pullahead.cli.bench import works
from pullahead.cli.bench.case import WORKERS, Absent
from pullahead.cli.bench.peers.way import NAPS, Peer, Settings, Way, deaf_children, drain, tuned

EXECUTOR: Final = "ProcessPoolExecutor.map"
IMAP: Final = "Pool.imap_unordered"
MAP: Final = "Pool.map"


def start_executor(stack: ExitStack) -> list[Way | Absent]:
    """Start the newer of the two.

    The documentation advises a large `chunksize` for very long iterables; how large is what `Pool.map` does
    by itself, four chunks per worker. For items of different size the default, 1, is best.
    """
    pool = executor(stack)
    return [
        Way(EXECUTOR, lambda work, items: pool.map(work, items)),
        Way(
            f"{EXECUTOR}, chunked",
            lambda work, items: pool.map(work, items, chunksize=tuned(items)),
            Settings.CHUNKED,
            streams=False,
        ),
    ]


def start_pool(stack: ExitStack) -> list[Way | Absent]:
    """Start the older of the two. About its chunks the same is advised."""
    with deaf_children():
        pool = get_context("spawn").Pool(WORKERS)
        stack.callback(pool.join)
        stack.callback(pool.terminate)
        drain(pool.imap_unordered(works.nap, range(NAPS)))
    return [
        Way(IMAP, lambda work, items: pool.imap_unordered(work, items)),
        Way(
            f"{IMAP}, chunked",
            lambda work, items: pool.imap_unordered(work, items, tuned(items)),
            Settings.CHUNKED,
            streams=False,
        ),
        Way(MAP, lambda work, items: pool.map(work, items), streams=False),
    ]


def executor(stack: ExitStack) -> ProcessPoolExecutor:
    """Start it alone."""
    with deaf_children():
        pool = ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn"))
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        drain(pool.map(works.nap, range(NAPS)))
    return pool


EXECUTOR_PEER: Final = Peer("ProcessPoolExecutor", start_executor)
POOL_PEER: Final = Peer("multiprocessing.Pool", start_pool)
