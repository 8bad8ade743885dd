"""What was measured, as two tables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from statistics import median

from benchmarks.recall.large import SMALL_ONES, Figures
from benchmarks.recall.scenes import Measured, Scene
from rich import box
from rich.console import Console
from rich.table import Table

#: Columns when the output is no terminal: wide enough for the tables.
WIDTH = 110


def show(
    scenes: Sequence[tuple[Scene, Measured]], large: Sequence[tuple[str, str, Sequence[Figures]]]
) -> None:
    """Print all of it."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    if scenes:
        console.print(_scenes(scenes))
    if large:
        console.print(_large(large))


def _scenes(scenes: Sequence[tuple[Scene, Measured]]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"milliseconds, median / 95th percentile / greatest; load {os.getloadavg()[0]:.1f}",
        caption="answer: from the recall to its answer, at the queue\n"
        "item: from the end of a hungry worker's last item to the begin of its next one\n"
        "meanwhile: how often that was before the holder's item ended",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("the holder")
    for name in ("recalls", "answer", "moves", "item", "meanwhile"):
        table.add_column(name, justify="right", no_wrap=True)
    for scene, measured in scenes:
        moves = len(measured.moves)
        table.add_row(
            scene.title,
            str(len(measured.answers)),
            _spread(measured.answers),
            str(moves),
            _spread(measured.moves),
            f"{measured.meanwhile / moves:.0%}" if moves else "–",
        )
    return table


def _large(large: Sequence[tuple[str, str, Sequence[Figures]]]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{SMALL_ONES} items of 1 ms behind two of 1 s that one of 2 workers holds: seconds",
        caption="medians over the runs; late: the k-th small item beside the k-th of the ideal queue\n"
        "plain: nothing that is held moves",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("lookahead", no_wrap=True)
    table.add_column("items", no_wrap=True)
    for name in ("runs", "half of the\nsmall", "all of the\nsmall", "late by\nat most", "worst\nrun"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, how, runs in large:
        lateness = [run.lateness for run in runs]
        table.add_row(
            name,
            how,
            str(len(runs)),
            f"{median(run.half for run in runs):.3f}",
            f"{median(run.last for run in runs):.3f}",
            f"{median(lateness):.3f}",
            f"{max(lateness):.3f}",
        )
    return table


def _spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return "–"
    ordered = sorted(seconds)
    high = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"{1e3 * median(ordered):.2f} / {1e3 * high:.2f} / {1e3 * ordered[-1]:.1f}"
