"""`pullahead bench`: what this machine does, measured beside what others offer, in one run.

::

    cases/    what is compared; on_ray/ has those for Ray
    case      the words for it: a case, its contenders, its targets
    peers/    everybody's pools; ours, too
    works     what the workers do
    rate      items per second of one of them       processes   what they take: CPU, memory
    measure   round after round, every contender in turn; medians and ratios
    machine   where, and with what                  alone       one pool in an interpreter of its own
    show      for people       record    for machines       picture   for both

Absolute times say little on a shared machine, so every contender runs in every round, right after the others,
and a ratio is taken within each round. What is printed is the median over the rounds, with the least and the
greatest beside it.
"""

from __future__ import annotations

import importlib.util
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import click

from pullahead.cli.bench.cases import CASES

#: Kinds of pictures.
PICTURES: Final = (".svg", ".png")

_ON_RAY: Final = "busy-0.5ms-1, sleep-5ms-2, payloads-48MB and so on"


def _writable(ctx: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a file that could not be written, before minutes are spent on what belongs in it."""
    if path is not None and not path.absolute().parent.is_dir():
        raise click.BadParameter(f"expected a file in a folder that exists, got '{path}'", ctx, option)
    return path


def _drawable(ctx: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """Refuse what could not be drawn."""
    if path is not None:
        if path.suffix not in PICTURES:
            raise click.BadParameter(f"expected {' or '.join(PICTURES)}, got '{path}'", ctx, option)
        if importlib.util.find_spec("matplotlib") is None:
            raise click.BadParameter("needs matplotlib: pip install 'pullahead[viz]'", ctx, option)
    return _writable(ctx, option, path)


@click.command()
@click.option(
    "--json",
    "file",
    metavar="FILE",
    callback=_writable,
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write every round of every contender to FILE.",
)
@click.option(
    "--picture",
    metavar="FILE",
    callback=_drawable,
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Draw all of it into FILE, .svg or .png.",
)
@click.option("--quick", is_flag=True, help="Seconds instead of minutes: does it work, not how fast is it.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="On this machine, or on a Ray that is started for it.",
)
@click.option(
    "--case",
    "names",
    multiple=True,
    metavar="NAME",
    help=f"Only this one; may be repeated.  [{', '.join(CASES)}; with --engine ray: {_ON_RAY}]",
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(["executor", "pool", "joblib", "mpire", "dask", "ray", "torch"]),
    help="Leave out a peer that is installed; may be repeated.",
)
def bench(
    file: Path | None,
    picture: Path | None,
    quick: bool,
    engine: str,
    names: tuple[str, ...],
    without: tuple[str, ...],
) -> None:
    """Measure this machine against what others offer.

    Every comparison is interleaved: each contender runs in each round, and the ratio is taken within the
    round. Everybody's workers are started and warm before the clock runs, but where the start is what is
    measured.
    """
    from pullahead.cli.bench import show
    from pullahead.cli.bench.cases import case_of
    from pullahead.cli.bench.cases import names as known
    from pullahead.cli.bench.machine import conditions
    from pullahead.cli.bench.measure import compete
    from pullahead.cli.bench.peers import Peers
    from pullahead.cli.bench.record import record_of, write
    from pullahead.cli.ending import tell
    from pullahead.cli.engines import engine_options

    engine_options(engine, None)  # refuses an engine that is not here
    chosen = list(dict.fromkeys(names)) or known(engine)
    for name in chosen:
        if name not in known(engine):
            there_are = ", ".join(map(repr, known(engine)))
            raise click.BadParameter(f"{name!r} is not one of {there_are}", param_hint="--case")
    screen = show.Screen()
    about = conditions(quick)
    screen.conditions(about)
    outcomes = []
    with ExitStack() as stack:
        peers = Peers(stack, without)
        for case in [case_of(name, engine) for name in chosen]:
            try:
                with screen.watching(case) as watch:
                    outcome = compete(case, quick, watch, peers)
            except Exception as error:  # whatever is raised, the reader wants to know by whom
                raise click.ClickException(f"{case.name}: {tell(error)}") from error
            screen.outcome(outcome)
            outcomes.append(outcome)
    if not quick:
        screen.targets(outcomes)
    if file is not None:
        write(file, about, outcomes)
    if picture is not None:
        from pullahead.cli.bench.picture import draw

        draw(record_of(about, outcomes), picture)
