"""Items as they often are: 1 to 100 ms of compute, each on 1 MB that has to get there."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from random import Random
from typing import Any, Final

from pullahead.cli.bench import works
from pullahead.cli.bench.case import WORKERS, Absent, Case, Contender, Stage
from pullahead.cli.bench.cases.contest import EVERYBODY, LARGE, contest, without_numpy
from pullahead.cli.bench.cases.mixed import ideal
from pullahead.cli.bench.rate import Rate

SIZE: Final = 1_000_000  # bytes
ITEMS: Final = 60
QUICK_ITEMS: Final = 8


def sizes(count: int) -> list[float]:
    """Return how long each item takes, in seconds: always the same, evenly between 1 and 100 ms."""
    drawn = Random(1)
    return [drawn.uniform(0.001, 0.1) for _ in range(count)]


def prepare(peers: tuple[str, ...], stage: Stage) -> list[Contender | Absent]:
    """Start everybody's pool."""
    if absent := without_numpy():
        return [absent]
    count = QUICK_ITEMS if stage.quick else ITEMS
    items = [_item(seconds) for seconds in sizes(count)]
    rate = partial(Rate, count=count, timed=WORKERS, items=lambda _: items)
    work = partial(works.clocked, works.spin_first)
    return contest(stage, peers, work, rate, settings=LARGE, warm=_item(0.001))


def _item(seconds: float) -> Any:
    array = import_module("numpy").zeros(SIZE // 8)
    array[0] = seconds
    return array


def _case(suffix: str, peers: tuple[str, ...]) -> Case:
    return Case(
        name=f"documents{suffix}",
        title=f"{ITEMS} items of 1 MB that compute for 1 to 100 ms, {WORKERS} workers",
        unit="items/s",
        more_is_better=True,
        rounds=(3, 1),
        prepare=partial(prepare, peers),
        bound=(ITEMS / ideal(sizes(ITEMS), WORKERS), "all items in the time of their work ÷ workers"),
        notes="What computes is not what is sent: the array says how long, and a worker hardly reads it",
        beside="documents" if suffix else "",
    )


CASES: Final = {case.name: case for case in map(_case, EVERYBODY, EVERYBODY.values())}
