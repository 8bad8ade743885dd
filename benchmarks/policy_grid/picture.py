"""The grid as a picture: cells × policies, coloured by how much worse than the best one each is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from benchmarks.policy_grid.bars import Outcome, slowness
from benchmarks.policy_grid.cells import load_name

from pullahead.sim.policies import Policy
from pullahead.sim.scenario import BACKLOG

#: Where colours change. What is hard to see on an even scale, a few per cent, is what decides.
LEVELS: Final = (1.0, 1.01, 1.05, 1.1, 1.25, 1.5, 2.0, 5.0, 20.0)
#: More cells than this are drawn with the loads side by side.
_TALL: Final = 60
_SHORT: Final = {
    "1, the plain pattern": "1",
    "auto, no recall": "auto,\nno recall",
    "on demand": "on\ndemand",
}


def draw(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw it into a file whose suffix says the kind.

    Raises:
        ImportError: without matplotlib.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.figure import Figure

    groups = [list(some) for _, some in groupby(outcomes, key=lambda one: one.cell.load)]
    beside = len(outcomes) > _TALL
    # the same columns in each panel, so that the eye can go down one policy
    policies = max((one.cell.policies for one in outcomes), key=len)
    rows = max(map(len, groups)) if beside else len(outcomes) + 3 * len(groups)
    figure = Figure(figsize=(9.5 * (len(groups) if beside else 1), 2.0 + 0.21 * rows), layout="constrained")
    heights = None if beside else [len(group) for group in groups]
    shape = (1, len(groups)) if beside else (len(groups), 1)
    panels = figure.subplots(*shape, height_ratios=heights, squeeze=False).flat
    # cividis reads the same with every kind of colour blindness, and in grey
    colours = ListedColormap(colormaps["cividis_r"]([place / len(LEVELS) for place in range(len(LEVELS))]))
    norm = BoundaryNorm(LEVELS, len(LEVELS), extend="max")
    for panel, group in zip(panels, groups, strict=True):
        _panel(panel, group, policies, colours, norm)
    figure.colorbar(
        ScalarMappable(norm, colours),
        ax=figure.axes,
        location="top",
        shrink=0.7,
        aspect=45,
        ticks=LEVELS,
        format="{x:g}",
        label="times as slow as the best policy of the row",
    )
    figure.savefig(path, dpi=110)


def _panel(panel: Any, group: Sequence[Outcome], policies: Sequence[Policy], colours: Any, norm: Any) -> None:
    values = [_relative(one, policies) for one in group]
    panel.pcolormesh(values, cmap=colours, norm=norm, edgecolors="white", linewidth=0.8)
    panel.invert_yaxis()
    for y, line in enumerate(values):
        for x, value in enumerate(line):
            if value == value:  # nan is no value: this policy has no business here
                panel.text(
                    x + 0.5,
                    y + 0.52,
                    _number(value),
                    ha="center",
                    va="center",
                    fontsize=7,
                    weight="bold" if value < LEVELS[1] else "normal",
                    color="white" if value >= 1.5 else "black",
                )
    panel.set_xticks(
        [x + 0.5 for x in range(len(policies))], [_SHORT.get(one.name, one.name) for one in policies]
    )
    panel.set_yticks([y + 0.5 for y in range(len(group))], [_label(one) for one in group])
    panel.tick_params(length=0, labelsize=8)
    panel.xaxis.tick_top()
    load = group[0].cell.load
    what = "throughput" if load == BACKLOG else "p99 from arrival to end"
    panel.set_title(f"{load_name(load)}: {what}", loc="left", fontsize=10, weight="bold")
    for side in panel.spines.values():
        side.set_visible(False)


def _relative(one: Outcome, policies: Sequence[Policy]) -> list[float]:
    slow = {policy: slowness(one.cell, rows) for policy, rows in one.rows.items()}
    best = min(slow.values())
    return [slow[policy] / best if policy in slow else float("nan") for policy in policies]


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.0f}"


def _label(one: Outcome) -> str:
    cell = one.cell
    return f"{cell.compute:g} ms, delay {cell.delay:g} ms, {cell.spread}, ×{cell.workers}"
