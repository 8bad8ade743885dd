"""The scene as a picture: for each contender a lane per program, with what it computes and what it holds.

The upper part of a lane is the number of items that are held and have not begun, on one scale for all lanes;
the band below it is green by the share of the program's workers that compute. The tail is shaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks.sharing.figures import Figures, beginning, figures
from benchmarks.sharing.measure import Round
from benchmarks.sharing.scene import Scene
from benchmarks.sharing.table import title

from pullahead.core.trace import CAUSE_TAIL, FETCH, PROCESS
from pullahead.observe import words
from pullahead.observe.lanes import Interval, stall
from pullahead.observe.palette import GREY, GROUND, INK, PALE, colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COMPUTING: Final = colour(PROCESS)
_NOTHING: Final = colour(stall(CAUSE_TAIL))
_HELD: Final = colour(FETCH)
#: Okabe and Ito's vermilion: as a line, as thin as it is behind the lanes, and dark enough for letters.
_TAIL, _TAIL_THIN, _TAIL_INK = "#D55E00", "#FBEFE6", "#B24E00"
#: Pixels per point, of PNG files.
_SCALE: Final = 2

#: How opaque the area is whose edge is the line of what is held.
_FAINT: Final = 0.45

# The sheet, in points.
_WIDTH: Final = 900.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 124.0, 92.0, 14.0, 10.0
_HEAD, _GAP, _AXIS, _LEGEND = 56.0, 22.0, 30.0, 18.0
_LANE: Final = 66.0
#: Of a lane: where the band is that shows who computes, and where what is held ends.
_BAND: Final = (0.08, 0.30)
_HOLD: Final = (0.34, 0.96)
#: Points that are one column of the band.
_COLUMN: Final = 3.0


class _Panel(NamedTuple):
    """One contender on the sheet."""

    name: str
    measured: Round
    found: Figures

    @property
    def height(self) -> float:
        return _LANE * len(self.found.programs)


def draw(rounds: Mapping[str, Round], path: Path) -> None:
    """Draw a round of each contender into a file whose suffix says the kind.

    Raises:
        ImportError: without matplotlib.
    """
    import matplotlib

    panels = [
        _Panel(title(name, measured.scene), measured, figures(measured)) for name, measured in rounds.items()
    ]
    with _own_settings(matplotlib):
        figure = _sheet(panels)
        if path.suffix == ".svg":
            figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        else:
            figure.savefig(path, format="png", dpi=72 * _SCALE, metadata={"Software": None})


@contextmanager
def _own_settings(matplotlib: Any) -> Iterator[None]:
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "svg.hashsalt": "pullahead",
                "svg.fonttype": "none",
                "font.family": "DejaVu Sans",
                "text.color": INK,
            }
        )
        yield


def _sheet(panels: Sequence[_Panel]) -> Figure:
    from matplotlib.figure import Figure

    height = _TOP + sum(_HEAD + panel.height for panel in panels) + _GAP * (len(panels) - 1)
    height += _AXIS + _LEGEND + _BOTTOM
    figure = Figure(figsize=(_WIDTH / 72, height / 72), facecolor="white")
    seconds = 1.01 * max(panel.found.makespan for panel in panels)
    most = 1.1 * max(program.most_held for panel in panels for program in panel.found.programs)
    top = height - _TOP
    for panel in panels:
        _head(figure, panel, top, height)
        top -= _HEAD
        box = (_LEFT / _WIDTH, (top - panel.height) / height, (_WIDTH - _LEFT - _RIGHT) / _WIDTH)
        axes = figure.add_axes((*box, panel.height / height))
        axes.set_xlim(0, seconds)
        _lanes(axes, panel, most)
        _time_axis(axes, labelled=panel is panels[-1])
        _tail(axes, panel)
        top -= panel.height + _GAP
    _legend(figure, height)
    return figure


def _head(figure: Figure, panel: _Panel, top: float, height: float) -> None:
    found, scene = panel.found, panel.measured.scene
    facts = (
        f"{words.plural(scene.items, 'item')} of {words.seconds(scene.seconds)}",
        f"all ended after {words.seconds(found.makespan)}",
        f"{words.percent(found.limit / found.makespan)} of the limit",
    )
    name = panel.name[0].upper() + panel.name[1:]
    _text(figure, _LEFT, top - 11, height, name, fontsize=12, weight="bold")
    _text(figure, _LEFT, top - 28, height, " · ".join(facts), fontsize=9, color=GREY)
    beside = _WIDTH - _RIGHT + 10
    _text(figure, beside, top - _HEAD + 16, height, "held, not begun,", fontsize=8, color=GREY)
    _text(figure, beside, top - _HEAD + 5, height, "at most", fontsize=8, color=GREY)


def _lanes(axes: Axes, panel: _Panel, most: float) -> None:
    began = beginning(panel.measured)
    programs = panel.found.programs
    axes.set_ylim(0, len(programs))
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    for number, (notes, program) in enumerate(zip(panel.measured.programs, programs, strict=True)):
        base = len(programs) - 1 - number
        _busy(axes, panel, [(ran.began - began, ran.ended - began) for ran in notes.ran], base)
        low, high = base + _HOLD[0], base + _HOLD[1]
        when, most_held = _columns(axes, program.held, panel.found.makespan)
        held = [low + (high - low) * count / most for count in most_held]
        axes.fill_between((0, panel.found.makespan), low, high, facecolor=GROUND, linewidth=0, zorder=0)
        axes.fill_between(when, low, held, step="post", facecolor=_HELD, alpha=_FAINT, linewidth=0, zorder=2)
        axes.step(when, held, where="post", color=_HELD, linewidth=0.9, zorder=3)
        middle = base + (_BAND[0] + _HOLD[1]) / 2
        slow = panel.measured.scene.is_slow(number)
        _label(axes, f"program {number + 1}", (0, middle), (-10, 6), 9, INK)
        _label(axes, _second_line(panel.measured.scene, program.done, slow), (0, middle), (-10, -6), 8, GREY)
        _label(axes, f"{program.most_held}", (1, (low + high) / 2), (10, 0), 11, INK)


def _columns(axes: Axes, held: Sequence[tuple[float, int]], ended: float) -> tuple[list[float], list[int]]:
    """Return where columns begin that are a point wide, and the most that was held in each of them."""
    wide = 1.0 / _points_per_second(axes)
    found: dict[int, int] = {}
    for (when, count), (until, _) in pairwise([*held, (ended, 0)]):
        for column in range(int(when / wide), int(until / wide) + 1):
            found[column] = max(count, found.get(column, 0))
    return [column * wide for column in found], list(found.values())


def _second_line(scene: Scene, done: int, slow: bool) -> str:
    return f"{scene.slower:g}× slower · {done:,} done" if slow else f"{done:,} done"


def _busy(axes: Axes, panel: _Panel, intervals: Sequence[Interval], base: float) -> None:
    """Draw the band: grey, and green as high as the share of the workers that compute."""
    import numpy as np

    ended = panel.found.makespan
    low, high = base + _BAND[0], base + _BAND[1]
    columns = max(1, round(ended * _points_per_second(axes) / _COLUMN))
    edges = np.linspace(0.0, ended, columns + 1)
    share = _covered(intervals, edges) / panel.measured.scene.workers
    axes.fill_between((0, ended), low, high, facecolor=_NOTHING, linewidth=0, zorder=1)
    tops = low + (high - low) * np.append(share, share[-1])
    axes.fill_between(edges, low, tops, step="post", facecolor=_COMPUTING, linewidth=0, zorder=2)


def _covered(intervals: Sequence[Interval], edges: Any) -> Any:
    """Return of each column how many intervals cover it: they may overlap, as those of two workers do."""
    import numpy as np

    starts, ends = np.sort(np.asarray(intervals, dtype=float).reshape(-1, 2), axis=0).T

    def until(times: Any) -> Any:
        """Seconds that all intervals have covered until each of these moments."""
        return [np.clip(at - starts, 0, None).sum() - np.clip(at - ends, 0, None).sum() for at in times]

    return np.diff(until(edges)) / np.diff(edges)


def _tail(axes: Axes, panel: _Panel) -> None:
    found, programs = panel.found, len(panel.found.programs)
    axes.axvspan(found.idle_from, found.makespan, facecolor=_TAIL_THIN, linewidth=0, zorder=0.5)
    for at in (found.idle_from, found.makespan):
        axes.axvline(at, color=_TAIL, linewidth=0.8, zorder=5)
    axes.annotate(f"tail {words.seconds(found.tail)}", (found.idle_from, programs),
                  (0, 5), textcoords="offset points", ha="left", va="bottom", fontsize=10,
                  weight="bold", color=_TAIL_INK, annotation_clip=False)  # fmt: skip
    axes.axvline(found.limit, color=INK, linewidth=0.9, linestyle=(0, (2, 2)), zorder=5)
    axes.annotate(f"limit {words.seconds(found.limit)}", (found.limit, programs), (-4, 5),
                  textcoords="offset points", ha="right", va="bottom", fontsize=8.5, color=GREY)  # fmt: skip


def _time_axis(axes: Axes, *, labelled: bool) -> None:
    axes.tick_params(axis="x", length=3, color=PALE, labelsize=8, labelcolor=GREY, labelbottom=labelled)
    if labelled:
        axes.annotate("seconds", (1, 0), (10, -7), textcoords="offset points", xycoords="axes fraction",
                      ha="left", va="top", fontsize=8, color=GREY)  # fmt: skip


def _points_per_second(axes: Axes) -> float:
    return (_WIDTH - _LEFT - _RIGHT) / float(axes.get_xlim()[1])


def _text(figure: Figure, x: float, y: float, height: float, text: str, **style: Any) -> None:
    """Write at a place in points, from the sheet's lower left corner."""
    figure.text(x / _WIDTH, y / height, text, **style)


def _label(
    axes: Axes, text: str, place: tuple[float, float], offset: tuple[float, float], size: float, ink: str
) -> None:
    """Write beside a lane: to the left of its beginning, or to the right of its end."""
    axes.annotate(text, place, offset, textcoords="offset points", xycoords=("axes fraction", "data"),
                  ha="left" if place[0] else "right", va="center", fontsize=size, color=ink)  # fmt: skip


def _legend(figure: Figure, height: float) -> None:
    from matplotlib.patches import Patch

    shown = (
        (_COMPUTING, "computing, as a share of the program's workers"),
        (_NOTHING, "nothing to compute"),
        (_HELD, "items held and not begun"),
        (_TAIL_THIN, "tail: a program has nothing to do, and items are left"),
    )
    patches = [Patch(facecolor=each, label=label, linewidth=0) for each, label in shown]
    patches[2].set(alpha=_FAINT)
    figure.legend(
        handles=patches, loc="lower left", bbox_to_anchor=(_LEFT / _WIDTH - 0.005, 4 / height), ncols=4,
        frameon=False, fontsize=8.5, handlelength=1.0, handleheight=1.0, columnspacing=1.6, borderpad=0,
    )  # fmt: skip
