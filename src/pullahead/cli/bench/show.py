"""For people: one table per case, ratios first, and how the targets were met at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pullahead.cli.bench.case import Case
from pullahead.cli.bench.machine import Conditions
from pullahead.cli.bench.measure import Line, Outcome, Spread, Verdict, Watch

#: Columns when the output is no terminal: wide enough for every table.
WIDTH: Final = 110
#: Of what stands below a title: nothing but on the left.
_INDENT: Final = (0, 0, 0, 2)


@final
class Screen:
    """Results on standard output; what is going on, on standard error if that is a terminal."""

    def __init__(self) -> None:
        self._out = Console(highlight=False)
        if not self._out.is_terminal:
            self._out = Console(highlight=False, width=WIDTH)
        self._status = Console(stderr=True)

    def conditions(self, about: Conditions) -> None:
        """Say where and with what."""
        versions = ", ".join(f"{name} {number or 'not installed'}" for name, number in about.versions.items())
        cores = f"{about.cores} core{'s' if about.cores != 1 else ''}"
        self._say(f"{versions}; {cores}, load {about.load:g}")
        self._say(about.platform)
        if about.quick:
            self._say("A quick run: these figures show that everything works, not how fast it is.")

    @contextmanager
    def watching(self, case: Case) -> Iterator[Watch]:
        """While a case runs, show what it does."""
        if not self._status.is_terminal:
            yield lambda _: None
            return
        with self._status.status(case.name) as status:
            yield lambda words: status.update(f"{case.name}: {words}")

    def outcome(self, outcome: Outcome) -> None:
        """Show one case."""
        case = outcome.case
        better = "more" if case.more_is_better else "less"
        self._title(f"{case.name}: {case.title}; {better} is better")
        if not outcome.lines:
            for one in outcome.absent:
                self._out.print(Padding(Text(f"{one.name}: {one.why}", style="dim"), _INDENT, expand=False))
            return
        table = Table(box=SIMPLE_HEAD)
        table.add_column("")
        compared = any(line.ratio for line in outcome.lines)
        if compared:
            table.add_column("pullahead\n÷ this", justify="right", no_wrap=True)
        if case.bound is not None:
            table.add_column("of the\nlimit", justify="right", no_wrap=True)
        shares = [
            (words, share)
            for words, share in _SHARES.items()
            if any(share(line) is not None for line in outcome.lines)
        ]
        table.add_column(case.unit, justify="right", no_wrap=True)
        table.add_column("least – greatest", justify="right", no_wrap=True)
        for words, _ in shares:
            table.add_column(words, justify="right", no_wrap=True)
        for line in outcome.lines:
            table.add_row(*_cells(outcome, line, compared), *(_share(share(line)) for _, share in shares))
        for one in outcome.absent:
            table.add_row(Text(f"{one.name}: {one.why}"), style="dim")
        self._out.print(table)
        for note in _notes(outcome):
            self._out.print(Padding(Text(note, style="dim"), _INDENT, expand=False))

    def targets(self, outcomes: list[Outcome]) -> None:
        """Say how near it came to what is good enough."""
        table = Table(box=SIMPLE_HEAD)
        for title in ("", "target", "measured", ""):
            table.add_column(title, justify="right" if title else "left", no_wrap=True)
        for outcome in outcomes:
            for verdict in outcome.verdicts:
                table.add_row(*_verdict(outcome, verdict))
        if table.row_count:
            self._title("targets")
            self._out.print(table)

    def _title(self, words: str) -> None:
        self._out.print()
        self._out.print(Text(words, style="bold"))

    def _say(self, words: str) -> None:
        self._out.print(Text(words))


#: The columns of what was measured beside the figures.
_SHARES: Final[dict[str, Callable[[Line], Spread | None]]] = {
    "utili-\nzation": lambda line: line.utilization,
    "on a\nCPU": lambda line: line.on_cpu,
}


def _share(share: Spread | None) -> str:
    return "" if share is None else f"{share.median:.1%}"


def _cells(outcome: Outcome, line: Line, compared: bool) -> list[str]:
    cells = [line.name]
    if compared:
        cells.append("" if line.ratio is None else times(line.ratio.median))
    share = outcome.share(line)
    if share is not None:
        cells.append(f"{share:.1%}")
    return [*cells, number(line.figures.median), _range(line.figures)]


def _notes(outcome: Outcome) -> list[str]:
    case = outcome.case
    rounds = len(outcome.lines[0].figures.rounds)
    notes = [f"Medians of {rounds} rounds, in which everybody took turns"]
    if case.bound is not None:
        limit, why = case.bound
        notes[0] += f". The limit is {why} = {number(limit)} {case.unit}"
    return [f"{note}." for note in [*notes, case.notes] if note]


def _verdict(outcome: Outcome, verdict: Verdict) -> tuple[str, str, str, str]:
    target = verdict.target
    quantity = "rate" if outcome.case.more_is_better else "time"
    what = {
        "ratio": f"{outcome.case.name}: {quantity} against {target.whom}",
        "share": f"{outcome.case.name}: {target.whom}, of the limit",
        "utilization": f"{outcome.case.name}: {target.whom}, utilization",
        "median": f"{outcome.case.name}: {target.whom}",
    }[target.figure]
    bound = "≥" if target.at_least else "≤"
    limit, figure = (_figure(outcome, target.figure, value) for value in (target.limit, verdict.figure))
    return what, f"{bound} {limit}", figure, "met" if verdict.met else "missed"


def _figure(outcome: Outcome, kind: str, value: float) -> str:
    if kind == "ratio":
        return times(value)
    return f"{value:.1%}" if kind in {"share", "utilization"} else f"{number(value)} {outcome.case.unit}"


def _range(spread: Spread) -> str:
    return f"{number(spread.least)} – {number(spread.greatest)}"


def times(ratio: float) -> str:
    """A ratio, with as many digits as mean something."""
    return f"{ratio:,.0f}×" if ratio >= 100 else f"{ratio:.1f}×" if ratio >= 10 else f"{ratio:.2f}×"


def number(value: float) -> str:
    """A figure of any size, with three digits that mean something."""
    size = abs(value)
    if size >= 1e6:
        return f"{number(value / 1e6)} M"
    if size >= 1e4:  # 3,875 items/s are easier to read than 3.88 k
        return f"{number(value / 1e3)} k"
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"
