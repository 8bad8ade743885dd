"""The words for a comparison: a case, its contenders, its targets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, final

if TYPE_CHECKING:
    from pullahead.cli.bench.peers import Peers

#: How many processes every pool has. The same everywhere, so that runs on different machines can be compared.
WORKERS: Final = 2


class Measured(NamedTuple):
    """What one round gave.

    Attributes:
        figure: in the unit of the case.
        on_cpu: for which share of the items' time the thread that computed them was on a CPU; None: nobody
            looked.
        utilization: the share of the workers' time that was within items; None: likewise.
    """

    figure: float
    on_cpu: float | None = None
    utilization: float | None = None


@final
@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do it.

    Args:
        name: as people call it.
        measure: does one round and returns its figure, in the unit of the case, or all that it has measured.
        peer: whether somebody else does here what Pullahead does, so that a ratio makes sense.
        against: the contender of ours that does the same; the first one if "".
        streams: whether its results come while later items are still to be computed.
    """

    name: str
    measure: Callable[[], float | Measured]
    peer: bool = True
    against: str = ""
    streams: bool = False


@final
@dataclass(frozen=True, slots=True)
class Absent:
    """A contender that cannot take part, and why."""

    name: str
    why: str


@final
@dataclass(frozen=True, slots=True)
class Target:
    """What is good enough.

    Args:
        figure: what is held against the limit: "median", "ratio" (ours, against this one), "share" (of what
            nobody can beat) or "utilization".
        of: the contender that it is about; several: the best of those that are here.
        limit: in the unit of the case, or a ratio.
        at_least: whether the figure may not be below the limit; otherwise it may not be above.
        called: what several are, in words.
    """

    figure: str
    of: str | tuple[str, ...]
    limit: float
    at_least: bool = False
    called: str = ""

    @property
    def contenders(self) -> tuple[str, ...]:
        """Those that it is about."""
        return (self.of,) if isinstance(self.of, str) else self.of

    @property
    def whom(self) -> str:
        """The same, in words."""
        return self.called or " or ".join(self.contenders)


@final
@dataclass(frozen=True, slots=True)
class Stage:
    """Where contenders are started.

    Args:
        stack: ends what the case has started, when it is over.
        quick: whether figures are only there to show that everything works.
        peers: those that are shared by all cases.
    """

    stack: ExitStack
    quick: bool
    peers: Peers


@final
@dataclass(frozen=True, slots=True)
class Case:
    """A comparison.

    Args:
        name: one word, for the command line.
        title: what is measured, in one line.
        unit: of the figures.
        more_is_better: which direction is good.
        rounds: how often each contender runs, in a full run and in a quick one.
        prepare: starts everything that the contenders need on the stage, and returns them. The first is ours.
            Where all are absent, there is nothing to compare.
        bound: a figure that nobody can beat, and why.
        targets: what is good enough.
        notes: what a reader must know to judge the figures fairly.
        warm: whether each contender runs once before it counts, in a full run and in a quick one.
        beside: the case that this one continues, with other contenders.
    """

    name: str
    title: str
    unit: str
    more_is_better: bool
    rounds: tuple[int, int]
    prepare: Callable[[Stage], list[Contender | Absent]]
    bound: tuple[float, str] | None = None
    targets: tuple[Target, ...] = ()
    notes: str = ""
    warm: tuple[bool, bool] = (True, True)
    beside: str = ""
