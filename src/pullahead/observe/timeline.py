"""The picture of a run: the green boxes and gaps of "Overlapping computation and communication", measured.

How to read it: one lane per worker. Compute is green, gaps stay visible, and a gap has the colour of what the
worker waited for. Above each lane a thin strip shows its communication.

How it is drawn:
1. Few intervals are boxes, exact at every zoom. All boxes of one state of one lane are one path, so that a
   file has as many elements as it has kinds of things, not as it has items.
2. More than `_MOST_BOXES` are a raster instead, one image per run: each column of pixels splits its height
   by the time that each state took. Where a box is wider than a pixel that looks the same; where 1,000
   items share a pixel, the height of the green is the utilization of that moment. The size of the file is
   then bounded by its pixels.
3. Positions are in points and computed here. No layout engine: a picture of 64 lanes, or of three runs, is
   the same sheet, only longer.
4. The same trace gives the same bytes: the caller's matplotlib settings are set aside for the moment and
   put back, and the file carries no date.

Colours: Okabe and Ito's palette (2008), which the colour-blind can tell apart, with gaps in a tint of the
hue of what they wait for.

Refused: pyplot, which keeps global state and may open windows; a box per item, which is 100,000 elements
and a browser that gives up; transparency for density, which says "some" where height says how much.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from pullahead.core.trace import (
    CAUSE_CONSUMER,
    CAUSE_FETCH,
    CAUSE_LOAD,
    CAUSE_ORDER,
    CAUSE_REPORT,
    CAUSE_SOURCE,
    CAUSE_TAIL,
    FETCH,
    LOAD,
    PROCESS,
    REPORT,
    STORE,
)
from pullahead.observe import words
from pullahead.observe.lanes import Interval, Lane, lanes, stall, union

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pullahead.observe.report import Report

#: Strips from the top down: the way of an item.
_STRIPS: Final = {
    FETCH: ("fetch", "#E69F00"),
    LOAD: ("load", "#56B4E9"),
    STORE: ("store", "#0072B2"),
    REPORT: ("report", "#CC79A7"),
}

#: A lane's states, from the bottom of a shared column up.
_STATES: Final = {
    PROCESS: ("computing", "#22996E"),
    stall(CAUSE_FETCH): ("waiting for fetch", "#F5D08A"),
    stall(CAUSE_LOAD): ("load", "#B5DDF5"),
    stall(CAUSE_REPORT): ("report", "#E9C3D8"),
    stall(CAUSE_SOURCE): ("the source", "#E58A5B"),
    stall(CAUSE_CONSUMER): ("the caller", "#8DA6C9"),
    stall(CAUSE_ORDER): ("order", "#F0E442"),
    stall(CAUSE_TAIL): ("nothing left", "#DADADA"),
}

#: More boxes than this are a raster. 6,000 are about 700 kB of SVG.
_MOST_BOXES: Final = 6000

#: With more workers than this, the kinds of communication share one strip.
_MOST_OWN_STRIPS: Final = 8

#: Pixels per point, of PNG files and of rasters in SVG files.
_SCALE: Final = 2

# The sheet, in points.
_WIDTH: Final = 900.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 76.0, 64.0, 14.0, 12.0
_PANEL_HEAD: Final = 44.0
_PANEL_GAP: Final = 20.0
_AXIS: Final = 36.0
_LEGEND_ROW: Final = 17.0
_TALLEST_LANE, _LANES_HEIGHT, _FLATTEST_LANE = 58.0, 720.0, 3.0

_INK, _GREY, _PALE, _GROUND = "#1F2933", "#6B7785", "#C9D0D8", "#F5F7F9"


@final
@dataclass(frozen=True, slots=True)
class _Panel:
    """One run on the sheet."""

    label: str
    report: Report
    lanes: Sequence[Lane]
    lane_height: float

    @property
    def height(self) -> float:
        return self.lane_height * max(1, len(self.lanes))

    @property
    def boxes(self) -> int:
        return sum(len(row) for lane in self.lanes for row in lane.rows.values())


@final
@dataclass(frozen=True, slots=True)
class _Row:
    """Where a lane's states are drawn: a band between two heights, 0 the lane's top and 1 its bottom."""

    states: Sequence[str]
    top: float
    bottom: float


def write(path: Path, reports: Sequence[tuple[str, Report]]) -> None:
    """Draw runs below each other on one time axis, as SVG or PNG.

    Raises:
        ImportError: without matplotlib.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError('a picture needs matplotlib: pip install "pullahead[viz]" (a .json does not)') from error
    with _own_settings(matplotlib):
        figure = _sheet([_panel(label, report) for label, report in reports])
        if path.suffix == ".svg":
            figure.savefig(path, format="svg", metadata={"Date": None})
        else:
            figure.savefig(path, format="png", dpi=72 * _SCALE, metadata={"Software": None})


@contextmanager
def _own_settings(matplotlib: Any) -> Iterator[None]:
    """Draw with matplotlib's own settings and ours, whatever the caller has set, and put theirs back."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {"svg.hashsalt": "pullahead", "svg.fonttype": "none", "font.family": "DejaVu Sans", "text.color": _INK}
        )
        yield


def _panel(label: str, report: Report) -> _Panel:
    drawn = lanes(report.trace or {}, report.started, report.seconds)
    height = min(_TALLEST_LANE, max(_FLATTEST_LANE, _LANES_HEIGHT / max(1, len(drawn))))
    return _Panel(label, report, drawn, height)


def _sheet(panels: Sequence[_Panel]) -> Figure:
    from matplotlib.figure import Figure

    legend = _legend(panels)
    height = _TOP + sum(_PANEL_HEAD + panel.height for panel in panels) + _PANEL_GAP * (len(panels) - 1)
    height += _AXIS + _LEGEND_ROW * len(legend) + _BOTTOM
    figure = Figure(figsize=(_WIDTH / 72, height / 72), facecolor="white")
    longest = max((panel.report.seconds for panel in panels), default=0.0)
    top = height - _TOP
    for index, panel in enumerate(panels):
        _draw_head(figure, panel, top, height)
        top -= _PANEL_HEAD
        box = (_LEFT / _WIDTH, (top - panel.height) / height)
        axes = figure.add_axes((*box, (_WIDTH - _LEFT - _RIGHT) / _WIDTH, panel.height / height))
        _draw_lanes(axes, panel, index, longest)
        _draw_time_axis(axes, longest, labelled=panel is panels[-1])
        top -= panel.height + _PANEL_GAP
    _draw_legend(figure, legend, height)
    return figure


def _text(figure: Figure, x: float, y: float, height: float, text: str, **style: Any) -> None:
    """Write at a place in points, from the sheet's lower left corner."""
    figure.text(x / _WIDTH, y / height, text, **style)


def _draw_head(figure: Figure, panel: _Panel, top: float, height: float) -> None:
    report = panel.report
    title = panel.label or report.title or "Pullahead"
    facts = (
        words.plural(len(panel.lanes), "worker"),
        words.plural(report.done + report.failed, "item"),
        words.seconds(report.seconds),
        report.headline_shares(),
    )
    _text(figure, _LEFT, top - 11, height, title, fontsize=12, weight="bold")
    _text(figure, _LEFT, top - 28, height, "   ".join(facts), fontsize=9, color=_GREY)
    _text(figure, _WIDTH - _RIGHT + 8, top - 28, height, "busy", fontsize=8, color=_GREY)


def _draw_lanes(axes: Axes, panel: _Panel, index: int, longest: float) -> None:
    count, seconds = max(1, len(panel.lanes)), panel.report.seconds
    axes.set_xlim(0, longest or 1.0)
    axes.set_ylim(count, 0)
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    rows = _rows(panel.lanes)
    ground = [(0.0, seconds)] if seconds else []
    for number, lane in enumerate(panel.lanes):
        _draw_boxes(axes, ground, number + rows[-1].top, number + rows[-1].bottom, _GROUND, f"ground-{index}-{number}")
    if panel.boxes > _MOST_BOXES:
        _draw_raster(axes, panel, rows, longest)
    else:
        for number, lane in enumerate(panel.lanes):
            for row in rows:
                for state in row.states:
                    intervals = lane.rows.get(state, ())
                    gid = f"run-{index}-worker-{lane.worker}-{state.replace(':', '-')}"
                    _draw_boxes(axes, intervals, number + row.top, number + row.bottom, _colour(state), gid)
    _label_lanes(axes, panel)


def _label_lanes(axes: Axes, panel: _Panel) -> None:
    """Name each lane, or each so-many-th where the lanes are flatter than letters."""
    size = min(9.0, max(5.5, panel.lane_height * 0.72))
    step = max(1, round(size * 1.25 / panel.lane_height + 0.49))
    for number, lane in enumerate(panel.lanes):
        if number % step:
            continue
        middle, busy = number + 0.5, words.percent(lane.useful / panel.report.seconds)
        place = {"va": "center", "fontsize": size, "clip_on": False}
        axes.annotate(f"worker {lane.worker}", (0, middle), (-8, 0), textcoords="offset points",
                      xycoords=("axes fraction", "data"), ha="right", color=_INK, **place)  # fmt: skip
        axes.annotate(busy, (1, middle), (8, 0), textcoords="offset points",
                      xycoords=("axes fraction", "data"), ha="left", color=_GREY, **place)  # fmt: skip


def _rows(drawn: Sequence[Lane]) -> list[_Row]:
    """Return the bands of every lane, from the top down: strips for communication, then compute and gaps."""
    present = [kind for kind in _STRIPS if any(kind in lane.rows for lane in drawn)]
    if not present:
        return [_Row(list(_STATES), 0.12, 0.88)]
    strips = [[kind] for kind in present] if len(drawn) <= _MOST_OWN_STRIPS else [present]
    top, body, bottom = 0.08, 0.42, 0.92
    if len(strips) == 1:
        body = 0.34
    share = (body - 0.03 - top) / len(strips)
    rows = [
        _Row(kinds, top + share * place, top + share * (place + 0.86)) for place, kinds in enumerate(strips)
    ]
    return [*rows, _Row(list(_STATES), body, bottom)]


def _colour(state: str) -> str:
    return (_STRIPS.get(state) or _STATES[state])[1]


def _draw_boxes(
    axes: Axes, intervals: Sequence[Interval], top: float, bottom: float, colour: str, gid: str
) -> None:
    """Draw intervals as boxes between two heights, all as one path."""
    import numpy as np
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    if not intervals:
        return
    starts, ends = np.asarray(intervals, dtype=float).T
    corners = np.empty((len(intervals), 5, 2))
    corners[:, (0, 3, 4), 0] = starts[:, None]
    corners[:, (1, 2), 0] = ends[:, None]
    corners[:, (0, 1, 4), 1] = top
    corners[:, (2, 3), 1] = bottom
    codes = np.tile([Outline.MOVETO, *[Outline.LINETO] * 3, Outline.CLOSEPOLY], len(intervals))
    points_per_second = (_WIDTH - _LEFT - _RIGHT) / float(axes.get_xlim()[1])
    wide = float((ends - starts).mean()) * points_per_second > 6
    # A white edge keeps neighbours apart that touch; on narrow boxes it would be all there is.
    edge = {"edgecolor": "white", "linewidth": 0.6} if wide and colour != _GROUND else {"linewidth": 0}
    outline = Outline(corners.reshape(-1, 2), codes)
    patch = PathPatch(outline, facecolor=colour, snap=False, gid=gid, **edge)  # type: ignore[arg-type]
    axes.add_artist(patch)


def _draw_raster(axes: Axes, panel: _Panel, rows: Sequence[_Row], longest: float) -> None:
    """Draw all lanes as one image. See rule 2 of the module."""
    import numpy as np

    full_width = (_WIDTH - _LEFT - _RIGHT) * _SCALE
    columns = max(1, round(full_width * panel.report.seconds / longest))
    edges = np.linspace(0.0, panel.report.seconds, columns + 1)
    high = max(6, round(panel.lane_height * _SCALE))
    image = np.zeros((high * len(panel.lanes), columns, 4), dtype=np.uint8)
    for number, lane in enumerate(panel.lanes):
        for row in rows:
            low, deep = round(row.top * high), max(round(row.top * high) + 1, round(row.bottom * high))
            image[number * high + low : number * high + deep] = _columns(lane, row, edges, deep - low)
    axes.imshow(
        image,
        extent=(0.0, panel.report.seconds, float(len(panel.lanes)), 0.0),
        aspect="auto",
        interpolation="none",
        zorder=2,
    )


def _columns(lane: Lane, row: _Row, edges: Any, pixels: int) -> Any:
    """Return a band as an image: in each column, states stacked from the bottom up by their share of it."""
    import numpy as np
    from matplotlib.colors import to_rgba_array

    colours = np.vstack([to_rgba_array([_colour(state) for state in row.states]), np.zeros(4)])
    shares = np.array([_covered(lane.rows.get(state, ()), edges) for state in row.states])
    filled = np.cumsum(shares, axis=0)
    filled /= np.maximum(1.0, filled[-1])  # kinds of communication that share a strip may overlap
    heights = (np.arange(pixels)[::-1] + 0.5) / pixels
    index = (filled[None, :, :] <= heights[:, None, None]).sum(axis=1)
    return (colours[index] * 255).astype(np.uint8)


def _covered(intervals: Sequence[Interval], edges: Any) -> Any:
    """Return which share of each column the intervals cover."""
    import numpy as np

    widths = np.diff(edges)
    if not intervals:
        return np.zeros(len(widths))
    flat = np.asarray(union(intervals), dtype=float)
    sums = np.concatenate([[0.0], np.cumsum(flat[:, 1] - flat[:, 0])])
    before = np.stack([sums[:-1], sums[1:]], axis=1)
    return np.diff(np.interp(edges, flat.ravel(), before.ravel())) / widths


def _draw_time_axis(axes: Axes, longest: float, labelled: bool) -> None:
    """Draw ticks in a unit that suits the longest run, and light lines behind all lanes."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    size, unit = next((pair for pair in _TIME_UNITS if longest >= pair[2]), _TIME_UNITS[-1])[:2]
    steps = [1, 1.5, 2, 3, 6, 10] if size >= 60 else [1, 2, 2.5, 5, 10]
    ticks = MaxNLocator(nbins=9, steps=steps).tick_values(0.0, (longest or 1.0) / size)
    axes.set_xticks([tick * size for tick in ticks if 0 <= tick * size <= (longest or 1.0)])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / size:g}"))
    axes.tick_params(axis="x", length=3, color=_PALE, labelsize=8, labelcolor=_GREY, labelbottom=labelled)
    axes.grid(axis="x", color=_PALE, linewidth=0.5)
    axes.set_axisbelow(True)
    if labelled:
        axes.set_xlabel(unit, fontsize=8.5, color=_GREY, labelpad=3)


#: Seconds per unit, its name, and the length of a run from which on it is used.
_TIME_UNITS: Final = (
    (3600.0, "hours", 7200.0),
    (60.0, "minutes", 120.0),
    (1.0, "seconds", 1.0),
    (1e-3, "milliseconds", 1e-3),
    (1e-6, "microseconds", 0.0),
)


def _legend(panels: Sequence[_Panel]) -> list[list[tuple[str, str]]]:
    """Return the rows of the legend: names and colours of what is there."""
    there = {state for panel in panels for lane in panel.lanes for state in lane.rows}
    rows = [[pair for state, pair in table.items() if state in there] for table in (_STATES, _STRIPS)]
    return [row for row in rows if row]


def _draw_legend(figure: Figure, rows: Sequence[Sequence[tuple[str, str]]], height: float) -> None:
    from matplotlib.patches import Patch

    for place, row in enumerate(rows):
        figure.legend(
            handles=[Patch(facecolor=colour, label=name) for name, colour in row],
            loc="lower left",
            bbox_to_anchor=(_LEFT / _WIDTH, (_BOTTOM + _LEGEND_ROW * (len(rows) - 1 - place)) / height),
            ncols=len(row),
            frameon=False,
            fontsize=8.5,
            borderpad=0,
            borderaxespad=0,
            handlelength=1.0,
            handleheight=1.0,
            handletextpad=0.5,
            columnspacing=1.6,
        )
