"""Everybody's pools, started and warm, each as functions from items to an iterable of results.

::

    way        the words: a peer, the ways to use it
    ours       Pullahead's pool
    standard   joblib   mpire      pools on one machine
    dask       ray                 clusters: on one machine here (seed: the pattern of Ray's documentation)
    torch                          loads, while its caller computes

Each way is either what a peer does by default or what its documentation advises; a comment says where.

Peers are started by spawning, not by forking: by then Pullahead has threads, and a process that has threads
must not fork. How a worker was started makes no difference to how fast it is afterwards.

An idle pool costs nothing. An idle cluster does: on two cores Dask takes 5 % of them, a part of that in the
process that calls it, and Ray 2 %. So clusters take part in cases of their own, which run last.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import replace
from typing import Final, final

from pullahead.cli.bench.case import Absent
from pullahead.cli.bench.peers import dask, joblib, mpire, ray, standard, torch
from pullahead.cli.bench.peers.way import Peer, Way
from pullahead.cli.bench.processes import newborn

POOLS: Final = ("executor", "pool", "joblib", "mpire")
CLUSTERS: Final = ("dask", "ray")
PEERS: Final[dict[str, Peer]] = {
    "executor": standard.EXECUTOR_PEER,
    "pool": standard.POOL_PEER,
    "joblib": joblib.PEER,
    "mpire": mpire.PEER,
    "dask": dask.PEER,
    "ray": ray.PEER,
    "torch": torch.PEER,
}


@final
class Peers:
    """Starts each peer when it is first asked for, and keeps it until the stack ends.

    Args:
        stack: ends what was started.
        without: names of those who are to stay away.
    """

    def __init__(self, stack: ExitStack, without: Collection[str] = ()) -> None:
        self._stack = stack
        self._without = without
        self._started: dict[str, list[Way | Absent]] = {}

    def absent(self, name: str) -> Absent | None:
        """Say why a peer cannot take part; None: it can."""
        why = "left out, as was asked for" if name in self._without else PEERS[name].missing
        return Absent(PEERS[name].name, why) if why else None

    def ways(self, *names: str) -> list[Way | Absent]:
        """Return the ways to use these peers."""
        return [way for name in names for way in self._ways(name)]

    @property
    def processes(self) -> frozenset[int]:
        """All that were started with those who are here."""
        ways = [way for some in self._started.values() for way in some if isinstance(way, Way)]
        return frozenset[int]().union(*(way.processes for way in ways))

    def _ways(self, name: str) -> list[Way | Absent]:
        if name not in self._started:
            absent = self.absent(name)
            self._started[name] = [absent] if absent else self._start(PEERS[name])
        return self._started[name]

    def _start(self, peer: Peer) -> list[Way | Absent]:
        with newborn() as processes:
            ways = peer.start(self._stack)
        return [
            way if isinstance(way, Absent) else replace(way, processes=frozenset(processes)) for way in ways
        ]
