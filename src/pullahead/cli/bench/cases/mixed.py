"""Items of very different size: who waits for whom at the end, and behind what."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Final

from pullahead.cli.bench import works
from pullahead.cli.bench.case import WORKERS, Absent, Case, Contender, Stage, Target
from pullahead.cli.bench.cases.contest import EVERYBODY, LARGE, OURS, contest
from pullahead.cli.bench.peers import POOLS
from pullahead.cli.bench.rate import Rate

SHORT: Final = 0.001  # seconds
LONG: Final = 0.1
ITEMS: Final = 1500
QUICK_ITEMS: Final = 40
#: One item in so many is long.
ONE_IN: Final = 20


def sizes(count: int) -> list[float]:
    """Return how long each item takes, in seconds: always the same, in an order that a seed has shuffled."""
    long = count // ONE_IN
    found = [LONG] * long + [SHORT] * (count - long)
    Random(1).shuffle(found)
    return found


def ideal(sizes: Sequence[float], workers: int) -> float:
    """Return a time that nobody can beat: the work of each worker, or the longest item."""
    return max(sum(sizes) / workers, max(sizes))


def on_demand(sizes: Sequence[float], workers: int) -> float:
    """Return how long it takes if each worker gets the next item when it has none, at no cost."""
    free = [0.0] * workers
    for size in sizes:
        heapq.heapreplace(free, free[0] + size)
    return max(free)


def prepare(peers: tuple[str, ...], stage: Stage) -> list[Contender | Absent]:
    """Start everybody's pool."""
    count = QUICK_ITEMS if stage.quick else ITEMS
    rate = partial(Rate, count=count, timed=WORKERS, items=sizes)
    return contest(stage, peers, partial(works.clocked, works.spin_item), rate, settings=LARGE, warm=SHORT)


def _case(suffix: str, peers: tuple[str, ...]) -> Case:
    least = ideal(sizes(ITEMS), WORKERS)
    return Case(
        name=f"mixed{suffix}",
        title=f"items of {SHORT * 1000:g} ms (95 %) and {LONG * 1000:g} ms (5 %), {WORKERS} workers",
        unit="items/s",
        more_is_better=True,
        rounds=(2 if suffix else 3, 1),
        prepare=partial(prepare, peers),
        bound=(ITEMS / least, "all items in the time of their work ÷ workers, which is longer than any item"),
        targets=(Target("share", OURS, 1 / 1.01, at_least=True),) if peers == POOLS else (),
        notes=(
            f"{ITEMS:,} items, whose order is shuffled once. Who hands out one item after the other, at no "
            f"cost, reaches {least / on_demand(sizes(ITEMS), WORKERS):.1%} of the limit"
        ),
        beside="mixed" if suffix else "",
    )


CASES: Final = {case.name: case for case in map(_case, EVERYBODY, EVERYBODY.values())}
