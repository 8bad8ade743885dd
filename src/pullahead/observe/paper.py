"""What every picture is drawn with, and how it is written.

The same figures give the same bytes: the caller's matplotlib settings are set aside for the moment and put
back, and a file carries no date.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pullahead.observe.palette import INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Pixels per point, of PNG files and of rasters in SVG files.
SCALE: Final = 2


@contextmanager
def own_settings() -> Iterator[None]:
    """Draw with matplotlib's own settings and ours, whatever the caller has set, and put theirs back."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "svg.hashsalt": "pullahead",
                "svg.fonttype": "none",
                "font.family": "DejaVu Sans",
                "text.color": INK,
                "text.parse_math": False,  # a title may hold a dollar
            }
        )
        yield


def save(figure: Figure, path: Path) -> None:
    """Write a figure into a file whose suffix says the kind, `.svg` or `.png`."""
    if path.suffix == ".svg":
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    else:
        figure.savefig(path, format="png", dpi=72 * SCALE, metadata={"Software": None})
