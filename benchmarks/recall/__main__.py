"""The command."""

from __future__ import annotations

import click
from benchmarks.recall import large, table
from benchmarks.recall.scenes import SCENES, measure

_LARGE = "large"


@click.command()
@click.option(
    "--only", type=click.Choice([*(scene.name for scene in SCENES), _LARGE]), multiple=True,
    help="Only this scene; may be given again.",
)  # fmt: skip
@click.option("--recalls", type=click.IntRange(1), default=200, show_default=True, help="How many per scene.")
@click.option(
    "--runs", type=click.IntRange(1), default=5, show_default=True, help="Of the two large items, per row."
)
@click.option("--quick", is_flag=True, help="Five recalls, one run: does it work?")
def main(only: tuple[str, ...], recalls: int, runs: int, quick: bool) -> None:
    """Measure how soon work that has not begun reaches a worker that is idle."""
    if quick:
        recalls, runs = 5, 1
    measured = []
    for scene in SCENES:
        if not only or scene.name in only:
            with click.progressbar(length=recalls, label=f"{scene.name:9}") as bar:
                for done in measure(scene, recalls):
                    bar.update(min(recalls, len(done.answers)) - bar.pos)
            measured.append((scene, done))
    table.show(measured, _measure_large(runs) if not only or _LARGE in only else [])


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
