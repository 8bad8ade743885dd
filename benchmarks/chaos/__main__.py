"""The command."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Never

import click
from benchmarks.chaos import table
from benchmarks.chaos.mayhem import Mayhem, Story
from benchmarks.chaos.verdict import judge
from benchmarks.chaos.work import Paths, items_of


@click.command()
@click.option("--items", type=click.IntRange(1), help="How many.  [default: 20000]")
@click.option(
    "--kills", type=click.IntRange(0), help="At least; if there were fewer, that is said.  [default: 200]"
)
@click.option(
    "--longest", type=click.FloatRange(1), help="Milliseconds an item takes, from 1.  [default: 20]"
)
@click.option(
    "--every", type=click.IntRange(1), default=300, show_default=True,
    help="Milliseconds between two kills.",
)  # fmt: skip
@click.option("--workers", type=click.IntRange(1), default=4, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the items, and of who is killed.")
@click.option("--quick", is_flag=True, help="300 items of up to 100 ms: does it work?")
def main(
    items: int | None,
    kills: int | None,
    longest: float | None,
    every: int,
    workers: int,
    seed: int,
    quick: bool,
) -> None:
    """Kill workers, the queue and the driver of a run at random, and see whether it does what it says."""
    signal.signal(signal.SIGTERM, _end)
    count = items or (300 if quick else 20_000)
    most = (longest or (100.0 if quick else 20.0)) / 1e3
    work = items_of(count, most, seed)
    paths = Paths(Path(tempfile.mkdtemp(prefix="pullahead-chaos-")).resolve())
    is_well = False
    try:
        with click.progressbar(length=count, label="chaos") as bar:
            watch = partial(_show_progress, bar)
            story = Mayhem(paths, (count, workers, most, seed), every / 1e3, seed, watch).run()
        verdict = judge(story, paths, work)
        is_well = table.show(
            story, verdict, work, workers, (12 if quick else 200) if kills is None else kills
        )
        if story.failures or story.hung:
            click.echo(paths.errors.read_text()[-4000:], err=True)
    finally:
        if is_well:
            shutil.rmtree(paths.folder)
        else:
            click.echo(f"what is left of it: {paths.folder}", err=True)
    sys.exit(not is_well)


def _show_progress(bar: Any, story: Story) -> None:
    bar.update(story.ended - bar.pos)


def _end(*signal_and_frame: object) -> Never:
    """Leave nothing running: `finally` is for that."""
    raise SystemExit(1)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.chaos")
