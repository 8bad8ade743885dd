"""Items that compute for so long, or sleep: how busy everybody keeps the workers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from pullahead.cli.bench import works
from pullahead.cli.bench.case import WORKERS, Absent, Case, Contender, Stage, Target
from pullahead.cli.bench.cases.contest import EVERYBODY, LARGE, OURS, SMALL, contest, family
from pullahead.cli.bench.peers import POOLS, joblib, mpire, standard
from pullahead.cli.bench.peers.way import Settings
from pullahead.cli.bench.rate import Rate

#: Those whose results come as they are there.
STREAMING: Final = (standard.EXECUTOR, standard.IMAP, joblib.STREAMING, mpire.IMAP)
#: An item that takes less than this is not timed: to look at the clock would make it longer.
_TIMED: Final = 5e-5


class Kind(NamedTuple):
    """One length of items.

    Args:
        name: on the command line.
        words: for people.
        work: what an item does, for so many seconds.
        seconds: of an item.
        targets: what is asked for.
        round: seconds of it, in a full run and in a quick one.
        beside: whether it is measured beside clusters, too.
        settings: who takes part: chunks of long items are of no use.
    """

    name: str
    words: str
    work: Callable[[float, Any], Any]
    seconds: float
    targets: tuple[Target, ...] = ()
    round: tuple[float, float] = (0.5, 0.05)
    beside: bool = False
    settings: tuple[Settings, ...] = SMALL


def _share(limit: float) -> tuple[Target, ...]:
    return (Target("share", OURS, limit, at_least=True),)


_BEST: Final = Target("ratio", STREAMING, 1.5, at_least=True, called="the best peer that streams")
_SPIN: Final = works.spin_for
KINDS: Final = (
    Kind("busy-10us", "compute for 10 µs", _SPIN, 1e-5, (_BEST,)),
    Kind("busy-100us", "compute for 100 µs", _SPIN, 1e-4, _share(0.9)),
    Kind("busy-0.5ms", "compute for 0.5 ms", _SPIN, 5e-4, _share(0.975), (1.0, 0.1), True),
    Kind("busy-5ms", "compute for 5 ms", _SPIN, 5e-3, _share(0.995), (1.5, 0.2), True, LARGE),
    Kind("sleep-1ms", "sleep for 1 ms", works.sleep_for, 1e-3, settings=LARGE),
)


def prepare(kind: Kind, peers: tuple[str, ...], stage: Stage) -> list[Contender | Absent]:
    """Start everybody's pool."""
    timed = kind.seconds >= _TIMED
    work = partial(kind.work, kind.seconds)
    rate = partial(Rate, seconds=kind.round[stage.quick], timed=WORKERS if timed else 0)
    return contest(
        stage, peers, partial(works.clocked, work) if timed else work, rate, settings=kind.settings
    )


def _case(kind: Kind, suffix: str) -> Case:
    return Case(
        name=f"{kind.name}{suffix}",
        title=f"items that {kind.words}, {WORKERS} workers",
        unit="items/s",
        more_is_better=True,
        rounds=(3, 1),
        prepare=partial(prepare, kind, EVERYBODY[suffix]),
        bound=(WORKERS / kind.seconds, f"{WORKERS} workers ÷ {kind.seconds * 1000:g} ms"),
        targets=kind.targets if EVERYBODY[suffix] == POOLS else (),
        notes=(
            "Items end at a deadline. Chunked means four chunks per worker, and no result before its chunk "
            "is done, which wins where all items are alike and nobody waits for a result"
        ),
        beside=kind.name if suffix else "",
    )


CASES: Final = family(KINDS, _case)
