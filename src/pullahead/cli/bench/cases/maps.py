"""One pool for many short maps: what a call costs, beside what its items cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

from pullahead.cli.bench.case import WORKERS, Absent, Case, Contender, Stage
from pullahead.cli.bench.cases.contest import EVERYBODY, contest
from pullahead.cli.bench.peers.way import Settings
from pullahead.cli.bench.rate import Do, Rate
from pullahead.cli.bench.works import noop

MAPS: Final = 500
QUICK_MAPS: Final = 20
ITEMS: Final = 10
#: Seconds of a round of whoever is slower than that.
_SECONDS: Final = (0.5, 0.05)


def again(do: Do, maps: Sequence[Any]) -> Iterator[int]:
    """Do so many maps, one after the other, each to its last result; return how many results each had."""
    for _ in maps:
        count = len(list(do(range(ITEMS))))
        if count != ITEMS:
            raise RuntimeError(f"expected {ITEMS} results, got {count}")
        yield count


def prepare(peers: tuple[str, ...], stage: Stage) -> list[Contender | Absent]:
    """Start everybody's pool."""

    def rate(do: Do) -> Rate:
        most = QUICK_MAPS if stage.quick else MAPS
        return Rate(partial(again, do), seconds=_SECONDS[stage.quick], most=most)

    return contest(stage, peers, noop, rate, settings=(Settings.DEFAULT,))


def _case(suffix: str, peers: tuple[str, ...]) -> Case:
    return Case(
        name=f"maps{suffix}",
        title=f"{MAPS} maps of {ITEMS} items that do nothing, with one pool of {WORKERS} workers",
        unit="maps/s",
        more_is_better=True,
        rounds=(5, 1),
        prepare=partial(prepare, peers),
        notes="Whoever needs more than half a second for so many does fewer",
        beside="maps" if suffix else "",
    )


CASES: Final = {case.name: case for case in map(_case, EVERYBODY, EVERYBODY.values())}
