"""The command."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
from benchmarks.policy_grid import cells, picture, store, table
from benchmarks.policy_grid.bars import outcomes
from benchmarks.policy_grid.cells import Cell
from benchmarks.policy_grid.measure import Job, measure

import pullahead

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--cells", "which", type=click.Choice(["subset", "full"]), default="subset", show_default=True)
@click.option("--seeds", type=click.IntRange(1), help="How many runs of each cell.  [default: 10]")
@click.option(
    "--only", metavar="SUBSTRING", help='Only cells with this in their name, like "delay 10 ms, cv 2".'
)
@click.option(
    "--limit", type=click.IntRange(1), default=200_000, show_default=True,
    help="Leave out cells that need more items.",
)  # fmt: skip
@click.option("--quick", is_flag=True, help="Three tiny cells, two seeds: does it work?")
@click.option(
    "--out", type=_FILE, default="policy_grid.jsonl", show_default=True,
    help="The rows. What is there already is not computed again.",
)  # fmt: skip
@click.option("--show", type=_FILE, help="Compute nothing: show the rows of this file.")
@click.option("--picture", "drawing", type=_FILE, help="Where to draw.  [default: beside --out, as .svg]")
def main(
    which: str,
    seeds: int | None,
    only: str | None,
    limit: int,
    quick: bool,
    out: Path,
    show: Path | None,
    drawing: Path | None,
) -> None:
    """Compare policies over a grid of simulated scenarios, with confidence intervals."""
    if drawing is not None and drawing.suffix not in (".svg", ".png", ".pdf"):
        raise click.BadParameter(f"expected .svg, .png or .pdf, got {str(drawing)!r}", param_hint="--picture")
    if show is not None and not show.exists():
        raise click.BadParameter(f"there is no file {str(show)!r}", param_hint="--show")
    try:
        if show is not None:
            rows = store.load(show, same_code=False)
            wanted = [job for job in rows if only is None or only in job.cell.name]
        else:
            some = _chosen(which, only, limit, quick)
            wanted = _jobs(some, range(seeds or (2 if quick else 10)), shorter=10 if quick else 1)
            rows = compute(wanted, out)
    except store.UnusableFileError as error:
        raise click.ClickException(str(error)) from None
    judged = outcomes({job: rows[job] for job in wanted})
    if not judged:
        raise click.ClickException("nothing to show: no cell has been run under all of its policies")
    table.show(judged)
    drawing = drawing or (None if show else out.with_suffix(".svg"))
    if drawing is not None:
        picture.draw(judged, drawing)
        click.echo(f"wrote {drawing}")


def compute(wanted: Sequence[Job], out: Path) -> store.Rows:
    """Return a row for each job: from the file, or simulated now and appended to it."""
    rows = store.load(out, same_code=True)
    missing = [job for job in wanted if job not in rows]
    click.echo(f"{len(wanted):,} runs, {len(wanted) - len(missing):,} of them in {out}", err=True)
    if not missing:
        return rows
    with (
        store.open_to_append(out) as file,
        pullahead.map(measure, missing, ordered=False, pairs=True, progress=True) as results,
    ):
        try:
            for job, row in results:
                store.append(file, job, row)
                rows[job] = row
        except KeyboardInterrupt:
            click.echo(f"interrupted: the same command goes on from {out}", err=True)
            sys.exit(130)
    return rows


def _chosen(which: str, only: str | None, limit: int, quick: bool) -> list[Cell]:
    some = cells.quick() if quick else cells.full() if which == "full" else cells.subset()
    named = [cell for cell in some if only is None or only in cell.name]
    if not named:
        example = some[0].name
        raise click.BadParameter(f"no cell has {only!r} in its name; one is {example!r}", param_hint="--only")
    fit = [cell for cell in named if cell.items <= limit]
    _say_left_out([cell for cell in named if cell.items > limit], limit)
    if not fit:
        raise click.BadParameter(f"all cells need more than {limit:,} items", param_hint="--limit")
    return fit


def _say_left_out(out: Sequence[Cell], limit: int) -> None:
    """List what is left out; how many items a cell needs depends on neither its spread nor its load."""
    if not out:
        return
    click.echo(f"left out, because they need more than {limit:,} items: {len(out)} cells")
    for compute_ms, delay, workers, items in sorted({(c.compute, c.delay, c.workers, c.items) for c in out}):
        click.echo(f"  compute {compute_ms:g} ms, delay {delay:g} ms, workers {workers}: {items:,} items")


def _jobs(some: Iterable[Cell], seeds: Iterable[int], shorter: int) -> list[Job]:
    """Return the jobs, seed by seed, so that an interrupted run has something to show; long ones first."""
    by_length = sorted(some, key=lambda cell: -cell.items)
    return [
        Job(cell, cell.items // shorter, policy, seed)
        for seed in seeds
        for cell in by_length
        for policy in cell.policies
    ]


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.policy_grid")
