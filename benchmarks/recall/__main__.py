"""The command."""

from __future__ import annotations

import click
from benchmarks import engines
from benchmarks.recall import large, table
from benchmarks.recall.scenes import SCENES, Measured, Scene, measure

_LARGE = "large"
#: Each of a farm's actors takes one on Ray; the farms come one after another.
_CPUS = 8


@click.command()
@engines.option
@click.option(
    "--only", type=click.Choice([*(scene.name for scene in SCENES), _LARGE]), multiple=True,
    help="Only this scene; may be given again.",
)  # fmt: skip
@click.option("--recalls", type=click.IntRange(1), default=200, show_default=True, help="How many per scene.")
@click.option(
    "--runs", type=click.IntRange(1), default=5, show_default=True, help="Of the two large items, per row."
)
@click.option("--quick", is_flag=True, help="Five recalls, one run: does it work?")
def main(engine: str, only: tuple[str, ...], recalls: int, runs: int, quick: bool) -> None:
    """Measure how soon work that has not begun reaches a worker that is idle."""
    if quick:
        recalls, runs = 5, 1
    with engines.running(engine, _CPUS):
        measured = [(one, _measure(one, recalls)) for one in SCENES if not only or one.name in only]
        rows = _measure_large(runs) if not only or _LARGE in only else []
    table.show(measured, rows)


def _measure(scene: Scene, recalls: int) -> Measured:
    with click.progressbar(length=recalls, label=f"{scene.name:9}") as bar:
        for done in measure(scene, recalls):
            bar.update(min(recalls, len(done.answers)) - bar.pos)
    return done


def _measure_large(runs: int) -> list[tuple[str, str, list[large.Figures]]]:
    figures: dict[large.Contender, list[large.Figures]] = {one: [] for one in large.CONTENDERS}
    turns = [one for _ in range(runs) for one in large.CONTENDERS]  # all of them meet the same noise
    with click.progressbar(turns, label=f"{_LARGE:9}") as bar:
        for one in bar:
            figures[one].append(large.measure(one))
    rows = [(one.name, one.how, some) for one, some in figures.items()]
    return [("ideal", "", [large.ideal()]), *rows]


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.recall")
