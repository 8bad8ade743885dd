"""The figures as a picture: one panel per case, one bar per contender, ours in green.

What a panel shows: medians as bars, the least and the greatest of the rounds as a thin line across the end of
each, and the figures themselves in a column at the right, so that no axis is needed. A dashed line is what
nobody can beat. A diamond is a target, filled if it was met. Where the fastest is more than `_WIDE` times as
fast as the slowest, the bars are logarithmic, and say so. Contenders that have a case of their own, because
idle ones would disturb the others (see `peers`), stand in the panel of the case that theirs continues.

Panels are put one after the other below the shortest column. Positions are in points and computed here, as in
the picture of a run (see `pullahead.observe.timeline`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log10
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final, final

from pullahead.cli.bench.record import Record
from pullahead.cli.bench.show import number
from pullahead.core.trace import PROCESS
from pullahead.observe import paper
from pullahead.observe.palette import GREY, GROUND, INK, PALE, colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: From the slowest to the fastest; beyond that a bar would be a hair.
_WIDE: Final = 40.0

#: A round that was held up may be so many times as long as all else that is shown; the rest is cut off.
_OUTLIER: Final = 1.5

#: All in points.
_COLUMNS: Final = 3
_MARGIN: Final = 24.0
_GUTTER: Final = 26.0
_NAMES: Final = 142.0
_BARS: Final = 128.0
_FIGURES: Final = 38.0
_COLUMN: Final = _NAMES + _BARS + _FIGURES
_TOP: Final = 78.0
_BOTTOM: Final = 16.0
_HEAD: Final = 18.0
_LINE: Final = 9.5
_ROW: Final = 12.5
_GAP: Final = 20.0

#: Letters in a line of a title of this size, and of a name.
_TITLE_LETTERS: Final = 74
_NAME_LETTERS: Final = 36

_OURS: Final = colour(PROCESS)
_PEERS: Final = PALE


@final
@dataclass(frozen=True, slots=True)
class _Bar:
    name: str
    median: float
    least: float
    greatest: float
    ours: bool


@final
@dataclass(frozen=True, slots=True)
class _Panel:
    """One case: its bars from the top down, its targets as (row, figure, met)."""

    name: str
    unit: str
    words: list[str]
    bars: list[_Bar]
    bound: float | None
    targets: list[tuple[int, float, bool]]

    @property
    def height(self) -> float:
        """In points."""
        return _HEAD + _LINE * len(self.words) + _ROW * len(self.bars)

    @property
    def logarithmic(self) -> bool:
        """Whether a bar would be a hair otherwise."""
        medians = [bar.median for bar in self.bars]
        return max(medians) > _WIDE * min(medians)


def draw(record: Record, path: Path) -> None:
    """Draw a record (see `record`) into a file whose suffix says the kind.

    Raises:
        ImportError: without matplotlib.
    """
    with paper.own_settings():
        paper.save(_sheet(record), path)


def _sheet(record: Record) -> Figure:
    from matplotlib.figure import Figure

    panels = list(_panels(record))
    places, depth = _places(panels)
    width = 2 * _MARGIN + _COLUMNS * _COLUMN + (_COLUMNS - 1) * _GUTTER
    height = _TOP + depth + _BOTTOM
    figure = Figure(figsize=(width / 72, height / 72), facecolor="white")
    _heading(figure, record, width, height)
    for panel, (left, top) in zip(panels, places, strict=True):
        _draw_panel(figure, panel, left, height - top, width, height)
    return figure


def _places(panels: Sequence[_Panel]) -> tuple[list[tuple[float, float]], float]:
    """Return the left upper corner of each panel, from that of the sheet, and how deep all are."""
    depths = [_TOP] * _COLUMNS
    places = []
    for panel in panels:
        column = depths.index(min(depths))
        places.append((_MARGIN + column * (_COLUMN + _GUTTER), depths[column]))
        depths[column] += panel.height + _GAP
    return places, max(depths) - _GAP - _TOP if panels else 0.0


# What is drawn


def _panels(record: Record) -> Iterator[_Panel]:
    cases = {case["name"]: case for case in record["cases"]}
    for case in cases.values():
        if case["contenders"] and case["beside"] not in cases:
            yield _panel([case, *(other for other in cases.values() if other["beside"] == case["name"])])


def _panel(cases: Sequence[dict[str, Any]]) -> _Panel:
    """Return the panel of a case, and of those that continue it, whose first contender is ours again."""
    case = cases[0]
    lines = [line for one in cases for line in one["contenders"][0 if one is case else 1 :]]
    better = "more" if case["more_is_better"] else "less"
    bars = [
        _Bar(line["name"], line["median"], line["least"], line["greatest"], _is_ours(line["name"]))
        for line in lines
    ]
    unit = f"{case['unit']}, {better} is better"
    words = wrap(case["title"], _TITLE_LETTERS)
    return _Panel(case["name"], unit, words, bars, case["bound"], list(_targets(cases, bars)))


def _is_ours(name: str) -> bool:
    return "pullahead" in name or name.startswith("Recorder")


def _targets(cases: Sequence[dict[str, Any]], bars: Sequence[_Bar]) -> Iterator[tuple[int, float, bool]]:
    """Yield where a target is, in the unit of the case, and in the row of which contender."""
    bound = cases[0]["bound"]
    rows = {bar.name: row for row, bar in enumerate(bars)}
    for case in cases:
        medians = {line["name"]: line["median"] for line in case["contenders"]}
        for target in case["targets"]:
            theirs = [medians[name] for name in target["of"] if name in medians]
            if target["figure"] == "ratio":
                best = max(theirs) if target["at_least"] else min(theirs)
                yield 0, best * target["limit"], target["met"]
            elif target["figure"] == "median":
                yield rows[target["of"][0]], target["limit"], target["met"]
            elif bound:  # a share of it; utilization, too, where items take as long as they say
                yield rows[target["of"][0]], bound * target["limit"], target["met"]


# How it is drawn


def _heading(figure: Figure, record: Record, width: float, height: float) -> None:
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items() if number)
    cores = f"{record['cores']} cores" if record["cores"] != 1 else "1 core"
    lines = [
        f"{record['when']}; {cores}, load {record['load']:g} at the start; {record['platform']}",
        versions,
    ]
    if record["quick"]:
        lines[0] = "A quick run: it shows that everything works, not how fast it is. " + lines[0]
    left = _MARGIN / width
    figure.text(left, 1 - 28 / height, "pullahead bench", size=15, weight="bold", color=INK)
    for place, line in enumerate(lines):
        figure.text(left, 1 - (43 + 11 * place) / height, line, size=7.5, color=GREY)
    _legend(figure, width, height)


def _legend(figure: Figure, width: float, height: float) -> None:
    sheet = figure.add_axes((0, 0, 1, 1), zorder=-1)
    sheet.set(xlim=(0, width), ylim=(height, 0))
    sheet.axis("off")
    y = 26.0
    entries = {
        "median of the rounds, Pullahead's green": 182.0,
        "least to greatest": 92.0,
        "nobody can beat that": 110.0,
        "target, met": 68.0,
        "target, missed": 58.0,
    }
    x = width - _MARGIN - sum(entries.values()) - 14
    for place, (words, room) in enumerate(entries.items()):
        if place == 0:
            sheet.barh([y - 2], [10], left=x, height=6, color=_OURS)
        elif place == 1:
            sheet.plot([x, x + 10], [y - 2, y - 2], color=INK, linewidth=0.9, solid_capstyle="butt")
        elif place == 2:
            sheet.plot([x + 5, x + 5], [y - 7, y + 3], color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
        else:
            _diamond(sheet, x + 5, y - 2, met=place == 3)
        sheet.text(x + 14, y, words, size=7.5, color=GREY)
        x += room


def _draw_panel(figure: Figure, panel: _Panel, left: float, top: float, width: float, height: float) -> None:
    """Draw it; `left` and `top` are points from the left and from the bottom of the sheet."""
    figure.text(left / width, (top - 9) / height, panel.name, size=9.5, weight="bold", color=INK)
    unit = panel.unit + (", log scale" if panel.logarithmic else "")
    figure.text((left + _COLUMN) / width, (top - 9) / height, unit, size=7, color=GREY, ha="right")
    for place, line in enumerate(panel.words):
        figure.text(left / width, (top - 20 - _LINE * place) / height, line, size=7, color=GREY)
    rows = _ROW * len(panel.bars)
    bottom = top - panel.height
    axes = figure.add_axes(
        ((left + _NAMES) / width, bottom / height, _BARS / width, rows / height), facecolor=GROUND
    )
    least, most = _limits(panel)
    axes.set(xlim=(least, most), ylim=(len(panel.bars) - 0.5, -0.5))
    if panel.logarithmic:
        axes.set_xscale("log")
    axes.set_xticks([], [], minor=False)
    axes.set_xticks([], [], minor=True)
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    for row, bar in enumerate(panel.bars):
        _draw_bar(axes, row, bar, least)
    if panel.bound is not None:
        axes.axvline(panel.bound, color=INK, linewidth=0.9, linestyle=(0, (3, 2)), zorder=3)
    for row, figure_, met in panel.targets:
        _diamond(axes, figure_, row, met)


def _draw_bar(axes: Axes, row: int, bar: _Bar, least: float) -> None:
    face = _OURS if bar.ours else _PEERS
    axes.barh([row], [bar.median - least], left=least, height=0.66, color=face, zorder=2)
    axes.plot(
        [bar.least, bar.greatest], [row, row], color=INK, linewidth=0.9, zorder=3, solid_capstyle="butt"
    )
    ink, weight = (INK, "bold") if bar.ours else (GREY, "normal")
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "clip_on": False}
    name = bar.name if len(bar.name) <= _NAME_LETTERS else bar.name[: _NAME_LETTERS - 1] + "…"
    axes.text(-5 / _BARS, row, name, size=7, ha="right", color=ink, **place)
    axes.text(
        1 + _FIGURES / _BARS, row, number(bar.median), size=7, ha="right", color=ink, weight=weight, **place
    )


def _limits(panel: _Panel) -> tuple[float, float]:
    """Return what the bars stand on, and what is at the right end."""
    shown = [bar.median for bar in panel.bars] + [figure for _, figure, _ in panel.targets]
    shown += [panel.bound] if panel.bound is not None else []
    most = max(shown)
    most = max(most, min(_OUTLIER * most, max(bar.greatest for bar in panel.bars)))
    if not panel.logarithmic:
        return 0.0, 1.04 * most
    least = min(value for bar in panel.bars for value in (bar.median, bar.least))
    return least / 2, most * 10 ** (0.04 * log10(most / least))


def _diamond(axes: Axes, x: float, y: float, met: bool) -> None:
    axes.plot(
        [x],
        [y],
        marker="D",
        markersize=4.2,
        markerfacecolor=INK if met else "white",
        markeredgecolor=INK,
        markeredgewidth=0.8,
        zorder=4,
        clip_on=False,
    )
