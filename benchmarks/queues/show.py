"""The table of the kills."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.queues.kills import LIMIT, Verdict
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pullahead.cli.bench.case import Absent
from pullahead.cli.bench.show import WIDTH

#: Lines about what nobody can explain.
_MOST: Final = 10


def show(verdicts: Sequence[Verdict | Absent]) -> None:
    """Print it."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    table = Table(
        box=SIMPLE_HEAD,
        caption=f"waiting: not ended {LIMIT:g} s after the last kill, and still in the queue\n"
        "failed: recorded as such; lost: not ended, and nobody knows of it\n"
        "running: the item ran when its process was killed\n"
        "unheard: it had ended shortly before, so that its system had not recorded that; at most so long",
        caption_justify="left",
    )
    table.add_column("")
    for title in (
        "items",
        "waiting",
        "failed",
        "lost",
        "run\nagain",
        "running",
        "unheard",
        "not ex-\nplained",
        "last end\nafter",
    ):
        table.add_column(title, justify="right", no_wrap=True)
    for one in verdicts:
        if isinstance(one, Absent):
            table.add_row(Text(f"{one.name}: {one.why}"), style="dim")
            continue
        unheard = f"{one.unheard}, {1e3 * one.longest:.0f} ms" if one.unheard else "0"
        figures = (
            one.items,
            one.waiting,
            one.failed,
            one.lost,
            one.again,
            one.interrupted,
            unheard,
            len(one.unexplained),
        )
        table.add_row(one.name, *map(str, figures), f"{one.seconds:.1f} s")
    console.print()
    console.print(Text("kills: two times a worker, then everything at a time", style="bold"))
    console.print(table)
    for one in verdicts:
        if isinstance(one, Verdict):
            for line in one.unexplained[:_MOST]:
                console.print(Text(f"{one.name}: {line}"))
