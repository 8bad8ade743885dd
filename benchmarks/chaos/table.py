"""What has happened, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.chaos.mayhem import DRIVER, QUEUE, WORKER, Story
from benchmarks.chaos.verdict import Verdict
from benchmarks.chaos.work import Item
from rich import box
from rich.console import Console
from rich.table import Table

#: Columns when the output is no terminal.
WIDTH: Final = 110
#: Lines about what nobody can explain.
_MOST: Final = 20


def show(story: Story, verdict: Verdict, items: Sequence[Item], workers: int, kills: int) -> bool:
    """Print it all. Returns whether everything is as it should be."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    ideal = sum(seconds for _, seconds in items) / workers
    must_be_zero = {
        "items lost": len(verdict.lost),
        "items failed": len(verdict.failed),
        "results recorded twice": len(verdict.doubled),
        "unexplained": len(verdict.unexplained),
        "drivers that failed": len(story.failures),
        "processes left": story.left,
    }
    table = Table(box=box.SIMPLE_HEAD, show_header=False)
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    by_kind = ", ".join(f"{story.killed(kind)} {kind}" for kind in (WORKER, QUEUE, DRIVER))
    table.add_row("kills", str(len(story.kills)), by_kind)
    table.add_row("driver restarts", str(story.drivers - 1))
    table.add_row(
        "items", f"{len(items):,}", f"of {len(items) and sum(s for _, s in items) / len(items):.4f} s"
    )
    for name in ("items lost", "items failed", "results recorded twice"):
        table.add_row(name, str(must_be_zero[name]), "in the journal or in the file")
    table.add_row("runs of `process` beyond the first", str(verdict.again))
    table.add_row("  explained: killed while it ran", str(verdict.interrupted))
    gaps = (
        f"at most {1e3 * verdict.longest:.0f} ms after its end; {1e3 * verdict.longest_without_queue:.0f} ms"
    )
    table.add_row("  explained: killed with its result", str(verdict.unrecorded), f"{gaps} with no queue")
    table.add_row("  unexplained", str(must_be_zero["unexplained"]))
    for name in ("drivers that failed", "processes left"):
        table.add_row(name, str(must_be_zero[name]))
    table.add_row("seconds", f"{story.seconds:.1f}", f"ideal: {ideal:.1f}, all items ÷ {workers} workers")
    table.add_row("lost to failures", f"{1 - ideal / story.seconds:.0%}", "of the time, with every start")
    console.print(table)
    if len(story.kills) < kills:
        console.print(f"the items ran out after {len(story.kills)} kills, before there were {kills}")
    if story.hung:
        console.print("it hung: no item ended for a long time")
    for line in verdict.unexplained[:_MOST]:
        console.print(line, soft_wrap=True)
    return not story.hung and not any(must_be_zero.values())
