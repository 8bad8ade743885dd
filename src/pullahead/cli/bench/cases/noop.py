"""A function that does nothing: what an item costs."""

from __future__ import annotations

from functools import partial
from typing import Final

from pullahead.cli.bench.case import WORKERS, Absent, Case, Contender, Stage, Target
from pullahead.cli.bench.cases.contest import EVERYBODY, OURS, contest
from pullahead.cli.bench.peers import POOLS, joblib, mpire, ours
from pullahead.cli.bench.rate import Rate
from pullahead.cli.bench.works import noop

UNORDERED: Final = f"{OURS}, ordered=False"
#: Items of a round, at most, in a full run and in a quick one.
ITEMS: Final = (100_000, 2_000)
#: Seconds of a round of whoever is slower than that.
_SECONDS: Final = (1.0, 0.05)


def prepare(peers: tuple[str, ...], stage: Stage) -> list[Contender | Absent]:
    """Start everybody's pool."""
    rate = partial(Rate, seconds=_SECONDS[stage.quick], most=ITEMS[stage.quick])
    first, *others = contest(stage, peers, noop, rate)
    if peers != POOLS:
        return [first, *others]
    unordered = Contender(UNORDERED, rate(ours.pool(stage.stack, noop, ordered=False).map), streams=True)
    return [first, unordered, *others]


def _case(suffix: str, peers: tuple[str, ...]) -> Case:
    targets = (
        Target("median", OURS, 300_000.0, at_least=True),
        Target("ratio", joblib.PARALLEL, 3.0, at_least=True),
        Target("ratio", mpire.IMAP, 6.0, at_least=True),
    )
    return Case(
        name=f"noop{suffix}",
        title=f"a function that does nothing, {WORKERS} workers",
        unit="items/s",
        more_is_better=True,
        rounds=(3, 1),
        prepare=partial(prepare, peers),
        targets=targets if peers == POOLS else (),
        notes=(
            f"A round has {ITEMS[0]:,} items, or as many as take about a second. Chunked means four chunks "
            "per worker and no result before its chunk is done, as in Pool.map: that is why they win"
        ),
        beside="noop" if suffix else "",
    )


CASES: Final = {case.name: case for case in map(_case, EVERYBODY, EVERYBODY.values())}
