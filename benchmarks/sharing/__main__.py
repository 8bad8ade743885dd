"""The command."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, Never

import click
from benchmarks.sharing import picture, table
from benchmarks.sharing.contenders import CONTENDERS
from benchmarks.sharing.figures import Figures, figures
from benchmarks.sharing.measure import ProgramError, Round, measure
from benchmarks.sharing.queues import BROKERS, Fill, NotInstalledError
from benchmarks.sharing.scene import Scene

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--broker", type=click.Choice(list(BROKERS)), default="redis", show_default=True)
@click.option("--items", type=click.IntRange(1), default=3000, show_default=True, help="How many.")
@click.option("--ms", type=click.FloatRange(0.1), default=8.0, show_default=True, help="Of one item.")
@click.option(
    "--slower", type=click.FloatRange(1.0), default=10.0, show_default=True,
    help="How many times as long an item takes in the last program.",
)  # fmt: skip
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Of each program.")
@click.option(
    "--prefetch", type=click.IntRange(1), default=64, show_default=True, help="Of the plain pattern."
)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--picture", "drawing", type=_FILE, help="Draw the round with the median tail: .svg or .png.")
@click.option("--json", "written", type=_FILE, help="Write the figures of all rounds.")
@click.option("--quick", is_flag=True, help="One round of 300 items: does it work?")
def main(
    broker: str,
    items: int,
    ms: float,
    slower: float,
    workers: int,
    prefetch: int,
    rounds: int,
    drawing: Path | None,
    written: Path | None,
    quick: bool,
) -> None:
    """Let three programs share a queue, one of them slow: with Pullahead, and with a plain prefetch."""
    if drawing is not None and drawing.suffix not in (".svg", ".png"):
        raise click.BadParameter(f"expected .svg or .png, got {str(drawing)!r}", param_hint="--picture")
    signal.signal(signal.SIGTERM, _end)
    scene = Scene(300 if quick else items, ms / 1e3, slower=slower, workers=workers, prefetch=prefetch)
    try:
        with BROKERS[broker]() as fill:
            measured = _measure(fill, scene, 1 if quick else rounds)
    except (ProgramError, NotInstalledError) as error:
        raise click.ClickException(str(error)) from None
    found = {contender: [figures(one) for one in some] for contender, some in measured.items()}
    table.show(broker, scene, found)
    if drawing is not None:
        picture.draw({name: _typical(some, found[name]) for name, some in measured.items()}, drawing)
        click.echo(f"wrote {drawing}")
    if written is not None:
        written.write_text(json.dumps(_plain(broker, scene, found), indent=1) + "\n")
        click.echo(f"wrote {written}")


def _measure(fill: Fill, scene: Scene, rounds: int) -> dict[str, list[Round]]:
    measured: dict[str, list[Round]] = {contender: [] for contender in CONTENDERS}
    turns = [contender for _ in range(rounds) for contender in CONTENDERS]  # all of them meet the same noise
    with click.progressbar(turns, label="sharing") as bar:
        for contender in bar:
            measured[contender].append(measure(contender, fill(range(scene.items)), scene))
    return measured


def _typical(rounds: Sequence[Round], found: Sequence[Figures]) -> Round:
    tail = median(one.tail for one in found)
    return min(zip(rounds, found, strict=True), key=lambda both: abs(both[1].tail - tail))[0]


def _plain(broker: str, scene: Scene, found: dict[str, list[Figures]]) -> dict[str, Any]:
    """All figures but the steps of what is held, which the picture shows."""
    return {
        "broker": broker,
        "scene": asdict(scene),
        "rounds": {name: [_figures(one) for one in some] for name, some in found.items()},
    }


def _figures(one: Figures) -> dict[str, Any]:
    programs = [{k: v for k, v in each._asdict().items() if k != "held"} for each in one.programs]
    return {**one._asdict(), "programs": programs}


def _end(*signal_and_frame: object) -> Never:
    """Leave nothing running: `finally` is for that."""
    raise SystemExit(1)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.sharing")
