"""Dask distributed: a scheduler in this process, and workers of one thread each."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from typing import Any, Final

from pullahead.cli.bench import works
from pullahead.cli.bench.case import WORKERS, Absent
from pullahead.cli.bench.peers.way import NAPS, Items, Peer, Settings, Way, Work, chunks, deaf_children, drain

MAP: Final = "Dask client.map"


def start(stack: ExitStack) -> list[Way | Absent]:
    """Start a cluster on this machine.

    Its documentation ("Best practices") puts the overhead of a task near a millisecond and advises to do
    much in each: chunked does. `pure=False`, or equal calls would be computed once.
    """
    distributed: Any = import_module("distributed")
    with deaf_children():
        client = distributed.Client(
            n_workers=WORKERS,
            threads_per_worker=1,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
            set_as_default=False,
        )
        stack.callback(client.cluster.close)
        stack.callback(client.close)
        drain(_as_they_come(client, works.nap, range(NAPS)))

    def chunked(work: Work, items: Items) -> Iterator[Any]:
        for results in _as_they_come(client, partial(works.each, work), chunks(items)):
            yield from results

    return [
        Way(MAP, partial(_as_they_come, client)),
        Way(f"{MAP}, chunked", chunked, Settings.CHUNKED, streams=False),
    ]


def _as_they_come(client: Any, work: Work, items: Items) -> Iterator[Any]:
    distributed: Any = import_module("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large items; here they are what is measured
        futures = client.map(work, list(items), pure=False)
    for _, result in distributed.as_completed(futures, loop=client.loop, with_results=True):
        yield result


PEER: Final = Peer("Dask", start, package="distributed")
