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
4. The same trace gives the same bytes (see `paper`).

Refused: pyplot, which keeps global state and may open windows; a box per item, which is 100,000 elements
and a browser that gives up; transparency for density, which says "some" where height says how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from pullahead.observe import words
from pullahead.observe.lanes import Interval, Lane, lanes
from pullahead.observe.machines import labels
from pullahead.observe.palette import GREY, GROUND, INK, PALE, STATES, STRIPS, colour
from pullahead.observe.paper import SCALE, own_settings, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pullahead.observe.report import Report

#: More boxes than this are a raster. 12,000 are about 1.4 MB of SVG.
_MOST_BOXES: Final = 12_000

#: Where a strip of its own would be flatter than this, in points, the kinds of communication share one.
_FLATTEST_STRIP: Final = 3.0

#: A lane flatter than this, in points, has no room for a strip: it shows compute and gaps alone.
_FLAT: Final = 7.0

#: Pixels that make one column where several boxes share a pixel.
_CROWD: Final = 4

#: The name of a machine stands below that of its worker where a lane is so high, and else before its number.
#: Beside a lane is room for so many letters of this size.
_HOST_LETTERS: Final = 16
_HOST_SIZE: Final = 7.0
_TWO_LINES: Final = 22.0
#: Points between two numbers of workers above a run.
_CHANGE_WIDTH: Final = 12.0

# The sheet, in points.
_WIDTH: Final = 900.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 76.0, 64.0, 14.0, 12.0
_PANEL_HEAD: Final = 44.0
_PANEL_GAP: Final = 20.0
_AXIS: Final = 36.0
_LEGEND_ROW: Final = 17.0
_TALLEST_LANE, _LANES_HEIGHT, _FLATTEST_LANE, _TALLEST_PANEL = 58.0, 720.0, 3.0, 2400.0


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

    def busy(self, lane: Lane) -> float:
        staffing, seconds = self.report.staffing, self.report.seconds
        there = seconds if staffing is None else staffing.of(lane.worker)
        return lane.useful / there if there > 0 else nan

    @property
    def stays(self) -> Sequence[Sequence[Interval]]:
        """Of each lane: when it had a worker."""
        staffing, whole = self.report.staffing, [(0.0, self.report.seconds)]
        return [whole if staffing is None else staffing.stays.get(lane.worker, ()) for lane in self.lanes]

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
        import matplotlib  # noqa: F401  it says what is missing before anything is drawn
    except ImportError as error:
        raise ImportError(
            'a picture needs matplotlib: pip install "pullahead[viz]" (a .json does not)'
        ) from error
    with own_settings():
        save(_sheet([_panel(label, report) for label, report in reports]), path)


def _panel(label: str, report: Report) -> _Panel:
    drawn = lanes(report.trace or {}, report.started, report.seconds)
    count = max(1, len(drawn))
    height = min(_TALLEST_LANE, max(_FLATTEST_LANE, _LANES_HEIGHT / count), _TALLEST_PANEL / count)
    return _Panel(label, report, drawn, height)


def _sheet(panels: Sequence[_Panel]) -> Figure:
    from matplotlib.figure import Figure

    legend = _legend(panels)
    height = _TOP + sum(_PANEL_HEAD + panel.height for panel in panels) + _PANEL_GAP * (len(panels) - 1)
    height += _AXIS + _LEGEND_ROW * len(legend) + _BOTTOM
    figure = Figure(figsize=(_WIDTH / 72, height / 72), facecolor="white")
    longest = max((panel.report.seconds for panel in panels), default=0.0) or 1.0
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
        words.plural(len(panel.lanes), "worker") if report.staffing is None else report.headcount(),
        words.plural(report.done + report.failed, "item"),
        words.seconds(report.seconds),
        report.headline_shares(),
        report.headline_clocks(),
    )
    _text(figure, _LEFT, top - 11, height, title, fontsize=12, weight="bold")
    _text(figure, _LEFT, top - 28, height, " · ".join(filter(None, facts)), fontsize=9, color=GREY)
    _text(figure, _WIDTH - _RIGHT + 8, top - 28, height, "busy", fontsize=8, color=GREY)


def _draw_lanes(axes: Axes, panel: _Panel, index: int, longest: float) -> None:
    count, seconds = max(1, len(panel.lanes)), panel.report.seconds
    axes.set_xlim(0, longest)
    axes.set_ylim(count, 0)
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    rows = _rows(panel)
    _draw_ground(axes, panel, count)
    if panel.boxes > _MOST_BOXES:
        _draw_raster(axes, panel, rows, longest)
    else:
        for number, lane in enumerate(panel.lanes):
            for row in rows:
                for state in row.states:
                    intervals = lane.rows.get(state, ())
                    gid = f"run-{index}-worker-{lane.worker}-{state.replace(':', '-')}"
                    _draw_boxes(axes, intervals, number + row.top, number + row.bottom, colour(state), gid)
    _label_lanes(axes, panel, (rows[-1].top + rows[-1].bottom) / 2)
    if (longest - seconds) * _points_per_second(axes) > 100:
        axes.annotate(f"ended at {words.seconds(seconds)}", (seconds, count / 2), (10, 0),
                      textcoords="offset points", va="center", fontsize=8.5, color=GREY,
                      bbox={"facecolor": "white", "linewidth": 0, "pad": 3})  # fmt: skip


def _draw_ground(axes: Axes, panel: _Panel, count: int) -> None:
    """Draw what is behind the boxes, where there were workers; and when their number changed, to what."""
    staffing = panel.report.staffing
    if staffing is None:
        axes.fill_between((0.0, panel.report.seconds), 0.0, count, facecolor=GROUND, linewidth=0, zorder=0)
        return
    for number, stays in enumerate(panel.stays):
        for stay in stays:
            axes.fill_between(stay, number, number + 1.0, facecolor=GROUND, linewidth=0, zorder=0)
    written_at = float("inf")
    for change in reversed(staffing.changes):  # of several at a time, the last one says where they led
        axes.axvline(change.at, color=GREY, linewidth=0.6, linestyle=(0, (2, 3)), zorder=3)
        if (written_at - change.at) * _points_per_second(axes) >= _CHANGE_WIDTH:
            written_at = change.at
            axes.annotate(f"{change.after}", (change.at, 0), (0, 2), textcoords="offset points",
                          ha="center", va="bottom", fontsize=7, color=GREY)  # fmt: skip


def _points_per_second(axes: Axes) -> float:
    return (_WIDTH - _LEFT - _RIGHT) / float(axes.get_xlim()[1])


def _label_lanes(axes: Axes, panel: _Panel, middle_of_lane: float) -> None:
    """Name each lane, or each so-many-th where the lanes are flatter than letters."""
    size = min(9.0, max(5.5, panel.lane_height * 0.72))
    step = max(1, round(size * 1.25 / panel.lane_height + 0.49))
    has_two_lines = panel.lane_height >= _TWO_LINES
    longest = max((lane.worker for lane in panel.lanes), default=0)
    room = _HOST_LETTERS - (0 if has_two_lines else len(f" · {longest}"))
    machines = labels(panel.report.workers, room)
    for number, lane in enumerate(panel.lanes):
        if number % step:
            continue
        host, name, middle = machines.get(lane.worker, ""), f"worker {lane.worker}", number + middle_of_lane
        if host and has_two_lines:
            _label(axes, name, (0, middle), (-8, 5), size, INK)
            _label(axes, host, (0, middle), (-8, -6), _HOST_SIZE, GREY)
        elif host:
            _label(axes, f"{host} · {lane.worker}", (0, middle), (-8, 0), min(size, _HOST_SIZE), INK)
        else:
            _label(axes, name, (0, middle), (-8, 0), size, INK)
        _label(axes, words.percent(panel.busy(lane)), (1, middle), (8, 0), size, GREY)


def _label(
    axes: Axes, text: str, place: tuple[float, float], offset: tuple[float, float], size: float, ink: str
) -> None:
    """Write beside a lane: to the left of its beginning, or to the right of its end."""
    axes.annotate(text, place, offset, textcoords="offset points", xycoords=("axes fraction", "data"),
                  ha="left" if place[0] else "right", va="center", fontsize=size, color=ink)  # fmt: skip


def _rows(panel: _Panel) -> list[_Row]:
    """Return the bands of every lane, from the top down: strips for communication, then compute and gaps."""
    present = [kind for kind in STRIPS if any(kind in lane.rows for lane in panel.lanes)]
    if not present or panel.lane_height < _FLAT:
        return [_Row(list(STATES), 0.1, 0.9)]
    top, body, bottom = 0.08, 0.42 if len(present) > 1 else 0.34, 0.92
    strips = [[kind] for kind in present]
    if (body - top) * panel.lane_height / len(strips) < _FLATTEST_STRIP:
        strips, body = [present], 0.34
    share = (body - 0.03 - top) / len(strips)
    rows = [
        _Row(kinds, top + share * place, top + share * (place + 0.86)) for place, kinds in enumerate(strips)
    ]
    return [*rows, _Row(list(STATES), body, bottom)]


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
    wide = float((ends - starts).mean()) * _points_per_second(axes) > 6
    # A white edge keeps neighbours apart that touch; on narrow boxes it would be all there is.
    edge: dict[str, Any] = {"edgecolor": "white", "linewidth": 0.6} if wide else {"linewidth": 0}
    outline = Outline(corners.reshape(-1, 2), codes)
    patch = PathPatch(outline, facecolor=colour, snap=False, gid=gid, **edge)
    axes.add_artist(patch)


def _draw_raster(axes: Axes, panel: _Panel, rows: Sequence[_Row], longest: float) -> None:
    """Draw all lanes as one image. See rule 2 of the module."""
    import numpy as np

    from pullahead.observe.raster import band

    pixels = (_WIDTH - _LEFT - _RIGHT) * SCALE * panel.report.seconds / longest
    # A column shows either one box, or the shares of so many that they are a smooth curve.
    crowded = panel.boxes / len(panel.lanes) > pixels
    columns = max(1, round(pixels / _CROWD if crowded else pixels))
    edges = np.linspace(0.0, panel.report.seconds, columns + 1)
    high = max(1, round(panel.lane_height * SCALE))
    image = np.zeros((high * len(panel.lanes), columns, 4), dtype=np.uint8)
    for number, lane in enumerate(panel.lanes):
        for row in rows:
            low, deep = round(row.top * high), max(round(row.top * high) + 1, round(row.bottom * high))
            lines = slice(number * high + low, number * high + deep)
            image[lines] = band(lane.rows, row.states, edges, deep - low, crowded)
    axes.imshow(
        image,
        extent=(0.0, panel.report.seconds, float(len(panel.lanes)), 0.0),
        aspect="auto",
        interpolation="none",
        zorder=2,
    )


def _draw_time_axis(axes: Axes, longest: float, labelled: bool) -> None:
    """Draw ticks in a unit that suits the longest run, and light lines behind all lanes."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    size, unit = next((pair for pair in _TIME_UNITS if longest >= pair[2]), _TIME_UNITS[-1])[:2]
    ticks = MaxNLocator(nbins=9, steps=[1, 2, 2.5, 5, 10]).tick_values(0.0, longest / size)
    axes.set_xticks([tick * size for tick in ticks if 0 <= tick * size <= longest])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / size:g}"))
    axes.tick_params(axis="x", length=3, color=PALE, labelsize=8, labelcolor=GREY, labelbottom=labelled)
    axes.grid(axis="x", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)
    if labelled:
        axes.set_xlabel(unit, fontsize=8.5, color=GREY, labelpad=3)


#: Seconds per unit, its name, and the length of a run from which on it is used.
_TIME_UNITS: Final = (
    (3600.0, "hours", 7200.0),
    (60.0, "minutes", 120.0),
    (1.0, "seconds", 1.0),
    (1e-3, "milliseconds", 1e-3),
    (1e-6, "microseconds", 0.0),
)


#: Rows of a caption and its names with their colours.
_Legend = list[tuple[str, list[tuple[str, str]]]]


def _legend(panels: Sequence[_Panel]) -> _Legend:
    """Return what the legend must explain: what is there."""
    drawn = {state for panel in panels for row in _rows(panel) for state in row.states}
    there = {state for panel in panels for lane in panel.lanes for state in lane.rows} & drawn
    tables = (("in a lane", STATES), ("above it", STRIPS))
    rows = [(caption, [pair for state, pair in table.items() if state in there]) for caption, table in tables]
    return [row for row in rows if row[1]]


def _draw_legend(figure: Figure, rows: _Legend, height: float) -> None:
    from matplotlib.patches import Patch

    for place, (caption, row) in enumerate(rows):
        bottom = _BOTTOM + _LEGEND_ROW * (len(rows) - 1 - place)
        _text(figure, _LEFT - 8, bottom + 2.5, height, caption, ha="right", fontsize=8, color=GREY)
        figure.legend(
            handles=[Patch(facecolor=colour, label=name) for name, colour in row],
            loc="lower left",
            bbox_to_anchor=(_LEFT / _WIDTH, bottom / height),
            ncols=len(row),
            frameon=False,
            fontsize=8,
            borderpad=0,
            borderaxespad=0,
            handlelength=1.0,
            handleheight=1.0,
            handletextpad=0.5,
            columnspacing=1.5,
        )
