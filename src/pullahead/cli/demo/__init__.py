"""`pullahead demo`: the main job on real input, three ways, in one table and one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pullahead.cli.demo.runs import Ran


@click.command()
@click.option("--files", default=800, show_default=True, type=click.IntRange(1), help="How many files.")
@click.option(
    "--delay",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0.0, 10_000.0),
    help="Milliseconds that the network takes for each file.",
)
@click.option("-w", "--workers", type=click.IntRange(1), help="Workers.  [default: one per core]")
@click.option(
    "--picture",
    default="demo",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the picture goes: this name with .svg and .png.",
)
def demo(files: int, delay: float, workers: int | None, picture: Path) -> None:
    """See workers wait, overlap and pull ahead, on real input.

    A server on this machine hands out the Python standard library's own source files, each after a delay; the
    work compresses each file. It is done by a worker that asks and waits, by one that asks for the next item
    before it computes the current one, and by Pullahead.
    """
    import pullahead
    from pullahead.cli.demo import runs
    from pullahead.cli.demo.server import FileServer, library_files
    from pullahead.farm.machine import usable_cores

    count = workers or usable_cores()
    names = library_files(files)
    click.echo(
        f"{len(names)} files of Python's standard library, {delay:g} ms of network each, then lzma, "
        f"on {count} worker{'s' if count > 1 else ''}."
    )
    server = pullahead.remote(FileServer).remote(names, delay / 1000)
    port = pullahead.get(server.port.remote())
    ways: list[runs.Way] = [
        lambda: runs.by_hand("blocking", runs.BlockingWorker, names, port, count),
        lambda: runs.by_hand("overlapping", runs.OverlappingWorker, names, port, count),
        lambda: runs.with_pullahead("Pullahead", names, port, count),
    ]
    done = [way() for way in ways]
    pullahead.kill(server)
    _check(names, done)
    _print_table(done)
    _print_limit(done[-1], delay / 1000)
    _draw(done, picture)


def _check(names: list[str], done: list[Ran]) -> None:
    for ran in done:
        if sorted(ran.results) != sorted(names):
            raise click.ClickException(f"{ran.label}: expected {len(names)} results, got {len(ran.results)}")
        if ran.results != done[0].results:
            raise click.ClickException(f"{ran.label}: its results differ from those of {done[0].label}")
    click.echo(f"All three gave the same {len(names)} results.")


def _print_table(done: list[Ran]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for title in ("", "seconds", "utilization", "hidden s", "exposed s", "speed-up"):
        table.add_column(title, justify="right" if title else "left")
    slowest = done[0].report.seconds
    for ran in done:
        report = ran.report
        table.add_row(
            ran.label,
            f"{report.seconds:.2f}",
            f"{report.utilization:.1%}",
            f"{report.hidden_seconds:.2f}",
            f"{report.exposed_seconds:.2f}",
            f"{slowest / report.seconds:.2f}×",
        )
    Console().print(table)


def _print_limit(ran: Ran, delay: float) -> None:
    """Say how far Pullahead was from what this machine and this network allow."""
    report = ran.report
    compute = report.useful_seconds / report.lanes
    limit = max(compute, delay)
    click.echo(
        f"Limit: {limit:.2f} s, the compute of each worker (the network takes all requests at once, so it "
        f"needs no more than {delay * 1000:g} ms). Pullahead took {report.seconds:.2f} s, "
        f"{report.seconds / limit - 1:.1%} above the limit."
    )


def _draw(done: list[Ran], picture: Path) -> None:
    from pullahead.observe.report import timelines

    reports = [(ran.label, ran.report) for ran in done]
    try:
        written = [timelines(picture.with_suffix(suffix), reports) for suffix in (".svg", ".png")]
    except ImportError as error:
        click.echo(f"No picture: {error}")
        return
    click.echo(f"Picture: {written[0]} and {written[1].name}")
