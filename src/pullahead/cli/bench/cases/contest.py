"""What most cases are: Pullahead's pool and everybody else's, each with the same work and the same items."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, Final, Protocol, TypeVar

from pullahead.cli.bench.case import Absent, Case, Contender, Measured, Stage
from pullahead.cli.bench.peers import CLUSTERS, POOLS, ours
from pullahead.cli.bench.peers.way import Settings, Way, Work
from pullahead.cli.bench.rate import Do

OURS: Final = ours.NAME
#: Settings that suit many small items, and those that suit long ones or ones of different size.
SMALL: Final = (Settings.DEFAULT, Settings.CHUNKED)
LARGE: Final = (Settings.DEFAULT, Settings.SINGLE)
#: What a case is called that has the clusters.
BESIDE: Final = "-clusters"
#: A case with all pools, and one with all clusters.
EVERYBODY: Final = {"": POOLS, BESIDE: CLUSTERS}

#: From a way to do it to what measures one round of it.
Measure = Callable[[Do], Callable[[], float | Measured]]


def contest(
    stage: Stage,
    peers: Sequence[str],
    work: Work,
    measure: Measure,
    *,
    settings: Collection[Settings] = SMALL,
    warm: Any = 0,
) -> list[Contender | Absent]:
    """Start everybody.

    Args:
        stage: where.
        peers: who else takes part.
        work: what is done with each item.
        measure: what is measured of each.
        settings: which ways to use a peer take part.
        warm: an item, for warming up.
    """
    pool = ours.pool(stage.stack, work, warm)
    return [
        Contender(OURS, measure(pool.map), streams=True),
        *others(stage, peers, lambda way: measure(partial(way.run, work)), settings),
    ]


def others(
    stage: Stage,
    peers: Sequence[str],
    measure: Callable[[Way], Callable[[], float | Measured]],
    settings: Collection[Settings],
) -> list[Contender | Absent]:
    """Start everybody else, where what is measured depends on who it is."""
    found: list[Contender | Absent] = []
    for way in stage.peers.ways(*peers):
        if isinstance(way, Absent):
            found.append(way)
        elif way.settings in settings:
            found.append(Contender(way.name, measure(way), streams=way.streams))
    return found


class Beside(Protocol):
    """One of a family of cases; `beside`: whether it is measured beside clusters, too."""

    @property
    def beside(self) -> bool:
        """See the class."""


B = TypeVar("B", bound=Beside)


def family(kinds: Iterable[B], case: Callable[[B, str], Case]) -> dict[str, Case]:
    """Return the cases of a family by their names: with the pools, and beside clusters where that is wanted.

    Args:
        kinds: one for each.
        case: makes a case of one, with this at the end of its name.
    """
    each = list(kinds)
    cases = [case(kind, "") for kind in each] + [case(kind, BESIDE) for kind in each if kind.beside]
    return {one.name: one for one in cases}


def without_numpy() -> Absent | None:
    """Say why a case whose items are arrays has nobody; None: NumPy is here."""
    return None if find_spec("numpy") else Absent("everybody", "needs NumPy: pip install numpy")
