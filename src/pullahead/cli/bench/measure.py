"""Round after round, every contender in turn.

A machine that is busy with something else for ten seconds slows whoever runs then. Measuring A ten times and
B ten times afterwards would call that a difference between A and B. Here they take turns, and a ratio is
taken within a round, between runs that are neighbours in time; medians over the rounds then forget the odd
one out.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import final

from pullahead.cli.bench.case import Absent, Case, Contender, Measured, Stage, Target
from pullahead.cli.bench.peers import Peers

Watch = Callable[[str], None]


@final
@dataclass(frozen=True, slots=True)
class Spread:
    """Figures of one kind, one per round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure to quote."""
        return median(self.rounds)

    @property
    def least(self) -> float:
        """The smallest."""
        return min(self.rounds)

    @property
    def greatest(self) -> float:
        """The largest."""
        return max(self.rounds)


@final
@dataclass(frozen=True, slots=True)
class Line:
    """What one contender did, and our figure divided by it, round by round.

    `on_cpu`: the share of its items' time in which they were computed on a CPU, where that was measured.
    `utilization`: the share of its workers' time that was within items, where that was.
    `streams`: as the contender has it.
    """

    name: str
    figures: Spread
    ratio: Spread | None
    streams: bool = False
    on_cpu: Spread | None = None
    utilization: Spread | None = None


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """A target, and how far away it is."""

    target: Target
    figure: float

    @property
    def met(self) -> bool:
        """Whether it is good enough."""
        if self.target.at_least:
            return self.figure >= self.target.limit
        return self.figure <= self.target.limit


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """A case, measured."""

    case: Case
    lines: list[Line]
    absent: list[Absent]

    def share(self, line: Line) -> float | None:
        """Return how near a contender came to what nobody can beat."""
        return None if self.case.bound is None else line.figures.median / self.case.bound[0]

    @property
    def verdicts(self) -> list[Verdict]:
        """The targets, judged, of those that took part."""
        found = []
        for target in self.case.targets:
            figures = [self._figure(target, line) for line in self.lines if line.name in target.contenders]
            if figures:  # the best of them is the one that is hardest to beat
                found.append(Verdict(target, min(figures) if target.at_least else max(figures)))
        return found

    def _figure(self, target: Target, line: Line) -> float:
        if target.figure == "ratio":
            assert line.ratio is not None, "a target of ours against ours"
            return line.ratio.median
        if target.figure == "share":
            share = self.share(line)
            assert share is not None, "a share of nothing"
            return share
        if target.figure == "utilization":
            assert line.utilization is not None, "a target of what nobody measured"
            return line.utilization.median
        return line.figures.median


def compete(case: Case, quick: bool, watch: Watch, peers: Peers | None = None) -> Outcome:
    """Measure a case; whatever it starts is ended before this returns.

    Args:
        case: what is compared.
        quick: whether it is only to be seen that everything works.
        watch: is told what goes on.
        peers: who has started already, and stays; None: whoever is started ends as well.
    """
    with ExitStack() as stack:
        watch("starting")
        both = case.prepare(Stage(stack, quick, peers or Peers(stack)))
        contenders = [one for one in both if isinstance(one, Contender)]
        absent = [one for one in both if isinstance(one, Absent)]
        for one in contenders if case.warm[quick] else []:
            watch(f"warming {one.name}")
            _measure(one)
        rounds_of: dict[str, list[Measured]] = {one.name: [] for one in contenders}
        rounds = case.rounds[quick]
        for number in range(rounds):
            for one in contenders:
                watch(f"round {number + 1} of {rounds}: {one.name}")
                rounds_of[one.name].append(_measure(one))
        watch("ending")
    return Outcome(case, _lines(contenders, rounds_of), absent)


def _measure(one: Contender) -> Measured:
    gc.collect()  # of what the one before left behind
    try:
        found = one.measure()
        return found if isinstance(found, Measured) else Measured(found)
    except Exception as error:
        error.add_note(f"while measuring {one.name}")
        raise


def _lines(contenders: list[Contender], rounds_of: dict[str, list[Measured]]) -> list[Line]:
    first = contenders[0].name if contenders else ""
    figures = {name: [one.figure for one in rounds] for name, rounds in rounds_of.items()}
    lines = []
    for one in contenders:
        own, ours = figures[one.name], figures[one.against or first]
        ratio = None
        if one.peer and own is not ours:
            ratio = Spread(tuple(our / their for our, their in zip(ours, own, strict=True)))
        rounds = rounds_of[one.name]
        on_cpu = _spread([each.on_cpu for each in rounds])
        utilization = _spread([each.utilization for each in rounds])
        lines.append(Line(one.name, Spread(tuple(own)), ratio, one.streams, on_cpu, utilization))
    return lines


def _spread(rounds: list[float | None]) -> Spread | None:
    measured = tuple(one for one in rounds if one is not None)
    return Spread(measured) if measured else None
