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
    "--runs", type=click.IntRange(1), default=5, show_default=True, help="Of the two large items, per policy."
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
                done = measure(scene, recalls, lambda count, bar=bar: bar.update(count - bar.pos))
            measured.append((scene, done))
    table.show(measured, _measure_large(runs) if not only or _LARGE in only else [])


def _measure_large(runs: int) -> list[tuple[str, list[large.Figures]]]:
    figures: dict[str, list[large.Figures]] = {policy.name: [] for policy in large.POLICIES}
    turns = [policy for _ in range(runs) for policy in large.POLICIES]  # all of them meet the same noise
    with click.progressbar(turns, label=f"{_LARGE:9}") as bar:
        for policy in bar:
            figures[policy.name].append(large.measure(policy))
    return [("ideal", [large.ideal()]), *figures.items()]


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.recall")
