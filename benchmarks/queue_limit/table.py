"""What was measured, as two tables."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from benchmarks.queue_limit.measure import NOTHING, SATURATED, Figures
from rich import box
from rich.console import Console
from rich.table import Table

#: Columns when the output is no terminal: wide enough for the tables.
WIDTH = 120


def show(ramp: Sequence[Figures], costs: Sequence[Sequence[Figures]]) -> None:
    """Print all of it. `costs`: the rounds of each situation."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    if ramp:
        console.print(_ramp(ramp))
        console.print(_verdict(ramp))
    if costs:
        console.print(_costs(costs))


def _ramp(ramp: Sequence[Figures]) -> Table:
    table = _table(f"more and more workers, items of {duration(ramp[0].compute)}")
    for name in ("workers", "items/s", "of what they\ncould do", "exchanges/s", "the queue\non a CPU"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("its busiest\nthread", "µs per\nexchange", "load"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in ramp:
        table.add_row(
            str(one.workers),
            f"{one.items / one.seconds:,.0f}",
            f"{one.kept_up:.0%}",
            f"{one.exchanges / one.seconds:,.0f}",
            f"{one.cpu / one.seconds:.0%}",
            f"{one.busiest / one.seconds:.0%}",
            f"{1e6 * one.per_exchange:,.0f}",
            f"{one.load:.1f}",
        )
    return table


def _verdict(ramp: Sequence[Figures]) -> str:
    share = max(one.cpu / one.seconds for one in ramp)
    if share > SATURATED:
        return "  The queue was saturated.\n"
    return (
        f"  The queue had {1 - share:.0%} of a core left: this machine had no time for more workers, which "
        "cost at least as much.\n"
    )


def _costs(costs: Sequence[Sequence[Figures]]) -> Table:
    table = _table("what it costs the queue, and how many workers it carries with a core to itself")
    table.caption = (
        "medians over the rounds (least – greatest); CPU time of the queue's process\n"
        "threads: if its threads ran side by side, on cores of their own"
    )
    table.add_column("an item takes", no_wrap=True)
    for name in ("workers", "items\nper exchange", "µs per\nexchange", "µs per\nitem"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("one core\ncarries", "items/s", "threads\ncarry", "load"):
        table.add_column(name, justify="right", no_wrap=True)
    for rounds in costs:
        compute = rounds[0].compute
        table.add_row(
            duration(compute),
            str(rounds[0].workers),
            f"{median(one.items / max(1, one.exchanges) for one in rounds):.2g}",
            _figure(median(1e6 * one.per_exchange for one in rounds)),
            _spread([1e6 * one.per_item for one in rounds]),
            rounded(median(one.carries for one in rounds)),
            rounded(median(1 / one.per_item for one in rounds)),
            rounded(median(one.carries_threaded for one in rounds)),
            f"{median(one.load for one in rounds):.1f}",
        )
    return table


def _table(title: str) -> Table:
    return Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", caption_justify="left")


def _spread(figures: Sequence[float]) -> str:
    return f"{_figure(median(figures))} ({_figure(min(figures))} – {_figure(max(figures))})"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def rounded(value: float) -> str:
    """Return a number with the two digits that mean something."""
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.2g}"


def duration(seconds: float) -> str:
    """Write what an item takes the way a person would."""
    if seconds == NOTHING:
        return "nothing"
    return f"{seconds:g} s" if seconds >= 1 else f"{1e3 * seconds:g} ms"
