"""The grid as text: a table per load, how many cells meet each bar, and the worst cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from math import isfinite

from benchmarks.policy_grid.bars import (
    BEST_P99,
    BEST_THROUGHPUT,
    HELD,
    HOARD,
    IDEAL_P99,
    IDEAL_THROUGHPUT,
    KINDS,
    MESSAGES,
    SPEED,
    Bar,
    Kind,
    Outcome,
    Verdict,
)
from benchmarks.policy_grid.cells import load_name
from rich import box
from rich.console import Console
from rich.table import Table

from pullahead.sim.policies import PULLAHEAD
from pullahead.sim.scenario import BACKLOG

#: Columns when the output is no terminal: wide enough for the table.
WIDTH = 110
_MARKS = {Verdict.MET: " ", Verdict.OPEN: "?", Verdict.MISSED: "!"}
_STYLES = {Verdict.MET: "green", Verdict.OPEN: "yellow", Verdict.MISSED: "bold red"}


def show(outcomes: Sequence[Outcome]) -> None:
    """Print all of it."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    for load, some in groupby(outcomes, key=lambda one: one.cell.load):
        console.print(_cells(load_name(load), load == BACKLOG, list(some)))
    console.print(_counts(outcomes))
    console.print(_worst(outcomes))


def _cells(load: str, backlog: bool, outcomes: Sequence[Outcome]) -> Table:
    what = "throughput" if backlog else "p99"
    seeds = {len(one.rows[PULLAHEAD]) for one in outcomes}
    span = f"{min(seeds)} to {max(seeds)}" if len(seeds) > 1 else f"{min(seeds)}"
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title=f"{load}: auto in {len(outcomes)} cells, {span} seeds",
        caption="! missed, ? open: the 95 % interval contains the bar, – does not apply",
        title_justify="left",
        caption_justify="left",
    )
    for name in ("item\nms", "delay\nms", "spread\n", "wor-\nkers", "best\nfixed"):
        table.add_column(name, justify="left" if name == "spread\n" else "right", no_wrap=True)
    ideal = "ideal" if backlog else "allowed"
    for name in (f"{what} ÷\nbest fixed", f"{what} ÷\n{ideal}", "held /\nat most", "messages\n÷ items"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("hoard ÷\nfixed 16", justify="right", no_wrap=True)
    best, limit = (BEST_THROUGHPUT, IDEAL_THROUGHPUT) if backlog else (BEST_P99, IDEAL_P99)
    for one in outcomes:
        cell, held = one.cell, one.bars[HELD]
        table.add_row(
            f"{cell.compute:g}",
            f"{cell.delay:g}",
            cell.spread,
            str(cell.workers),
            str(one.best.lookahead),
            _ratio(one.bars.get(best)),
            _ratio(one.bars.get(limit)),
            _styled(held, f"{held.measured.value:.1f} / {held.limit:.0f}"),
            _messages(one),
            _share(one.bars.get(HOARD)),
        )
    return table


def _ratio(bar: Bar | None) -> str:
    if bar is None:
        return "–  "
    margin = f" ±{bar.measured.margin:.3f}" if isfinite(bar.measured.margin) else ""
    return _styled(bar, f"{bar.measured.value:.3f}{margin}")


def _share(bar: Bar | None) -> str:
    return "–  " if bar is None else _styled(bar, f"{100 * bar.measured.value:.1f} %")


def _messages(one: Outcome) -> str:
    bar = one.bars.get(MESSAGES)
    if bar is not None:
        return _styled(bar, f"{bar.measured.value:.2f}")
    rows = one.rows[PULLAHEAD]
    return f"{sum(row.messages for row in rows) / len(rows):.2f}  "


def _styled(bar: Bar, text: str) -> str:
    return f"[{_STYLES[bar.verdict]}]{text} {_MARKS[bar.verdict]}[/]"


def _counts(outcomes: Sequence[Outcome]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title="cells per bar", title_justify="left")
    table.add_column("bar", no_wrap=True)
    for name in ("asked", "met", "open", "missed"):
        table.add_column(name, justify="right", no_wrap=True)
    for kind in KINDS:
        found = Counter(one.bars[kind].verdict for one in outcomes if kind in one.bars)
        if found:
            table.add_row(
                kind.title,
                f"{kind.share:.0%} of {found.total()}",
                *(
                    f"[{_STYLES[verdict]}]{found[verdict]}[/]" if found[verdict] else "0"
                    for verdict in Verdict
                ),
            )
    return table


def _worst(outcomes: Sequence[Outcome], count: int = 10) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title="the worst cells, by throughput and p99",
        title_justify="left",
    )
    table.add_column("cell")
    table.add_column("auto ÷", justify="left", no_wrap=True)
    for name in ("measured", "asked"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in sorted(outcomes, key=lambda one: -_worst_bar(one)[1].excess)[:count]:
        kind, bar = _worst_bar(one)
        if bar.excess > 1.0:
            asked = f"{'≥' if bar.at_least else '≤'} {bar.limit:.2f}"
            table.add_row(one.cell.name, _against(kind, one), _ratio(bar), asked)
    if not table.rows:
        table.add_row("none: no cell is beyond its bars", "", "", "")
    return table


def _worst_bar(one: Outcome) -> tuple[Kind, Bar]:
    speed = [(kind, bar) for kind, bar in one.bars.items() if kind in SPEED]
    return max(speed, key=lambda pair: pair[1].excess)


def _against(kind: Kind, one: Outcome) -> str:
    if kind in (BEST_P99, BEST_THROUGHPUT):
        return f"fixed {one.best.lookahead}"
    return "ideal" if kind is IDEAL_THROUGHPUT else "allowed"
