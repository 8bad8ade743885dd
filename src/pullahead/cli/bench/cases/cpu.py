"""What an item takes from the CPUs, in all processes together: who is fast by burning a second core shows."""

from __future__ import annotations

import os
from collections.abc import Collection
from functools import partial
from typing import Final, final

from pullahead.cli.bench import processes
from pullahead.cli.bench.case import WORKERS, Absent, Case, Contender, Stage
from pullahead.cli.bench.cases.contest import EVERYBODY, OURS, SMALL, others
from pullahead.cli.bench.peers import ours
from pullahead.cli.bench.rate import Do, Rate
from pullahead.cli.bench.works import noop

#: Items of a round, at most, in a full run and in a quick one.
ITEMS: Final = (100_000, 2_000)
#: Seconds of a round of whoever is slower than that.
_SECONDS: Final = (1.0, 0.05)


@final
class Cost:
    """Measures µs of CPU time per item.

    Args:
        do: from items to results.
        others: processes that have no part in it. All others of ours have: a peer may start some late.
        quick: whether a figure is only there to show that it works.
    """

    def __init__(self, do: Do, others: frozenset[int], quick: bool) -> None:
        self._rate = Rate(do, seconds=_SECONDS[quick], most=ITEMS[quick])
        self._others = others

    def __call__(self) -> float:
        """Do one round."""
        count = self._rate.count
        taking_part = (processes.descendants() - self._others) | {os.getpid()}
        before = processes.cpu(taking_part)
        self._rate()
        # where all of it was less than the tick of the kernel's clock, a tick is the most it can have been
        tick = 1 / os.sysconf("SC_CLK_TCK")
        return 1e6 * max(tick, processes.cpu(taking_part) - before) / count


def prepare(peers: tuple[str, ...], stage: Stage) -> list[Contender | Absent]:
    """Start everybody's pool."""
    with processes.newborn() as workers:
        pool = ours.pool(stage.stack, noop)
    stage.peers.ways(*peers)
    everybody = stage.peers.processes | workers

    def cost(do: Do, own: Collection[int]) -> Cost:
        return Cost(do, everybody.difference(own), stage.quick)

    return [
        Contender(OURS, cost(pool.map, workers), streams=True),
        *others(stage, peers, lambda way: cost(partial(way.run, noop), way.processes), SMALL),
    ]


def _case(suffix: str, peers: tuple[str, ...]) -> Case:
    return Case(
        name=f"cpu{suffix}",
        title=f"CPU time of all processes for an item that does nothing, {WORKERS} workers",
        unit="µs",
        more_is_better=False,
        rounds=(3, 1),
        prepare=partial(prepare, peers),
        notes="As the kernel accounts for it: of the caller, the workers, and whatever else a pool starts",
        beside="cpu" if suffix else "",
    )


CASES: Final = {case.name: case for case in map(_case, EVERYBODY, EVERYBODY.values())}
