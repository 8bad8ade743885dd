"""The standard library's pools: `ProcessPoolExecutor` and `multiprocessing.Pool`."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.pool import Pool
from typing import Final

from pullahead.cli.bench import works
from pullahead.cli.bench.case import WORKERS, Absent
from pullahead.cli.bench.peers.way import NAPS, Peer, Settings, Way, deaf_children, drain, tuned

EXECUTOR: Final = "ProcessPoolExecutor.map"
IMAP: Final = "Pool.imap_unordered"
MAP: Final = "Pool.map"


def start(stack: ExitStack) -> list[Way | Absent]:
    """Start both.

    The library's documentation advises a large `chunksize` for very long iterables; how large is what
    `Pool.map` does by itself, four chunks per worker. For items of different size its default, 1, is best.
    """
    pool, older = executor(stack), _pool(stack)
    chunked = Settings.CHUNKED
    return [
        Way(EXECUTOR, lambda work, items: pool.map(work, items)),
        Way(
            f"{EXECUTOR}, chunked",
            lambda work, items: pool.map(work, items, chunksize=tuned(items)),
            chunked,
            streams=False,
        ),
        Way(IMAP, lambda work, items: older.imap_unordered(work, items)),
        Way(
            f"{IMAP}, chunked",
            lambda work, items: older.imap_unordered(work, items, tuned(items)),
            chunked,
            streams=False,
        ),
        Way(MAP, lambda work, items: older.map(work, items), streams=False),
    ]


def executor(stack: ExitStack) -> ProcessPoolExecutor:
    """Start the newer of the two."""
    with deaf_children():
        pool = ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn"))
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        drain(pool.map(works.nap, range(NAPS)))
    return pool


def _pool(stack: ExitStack) -> Pool:
    with deaf_children():
        pool = get_context("spawn").Pool(WORKERS)
        stack.callback(pool.join)
        stack.callback(pool.terminate)
        drain(pool.imap_unordered(works.nap, range(NAPS)))
    return pool


PEER: Final = Peer("standard library", start)
