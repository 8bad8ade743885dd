"""Bands of a lane as pixels, for runs with more items than a picture has room for boxes.

Needs NumPy, which matplotlib brings; only `timeline` imports this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_rgba_array

from pullahead.observe.lanes import Interval, union
from pullahead.observe.palette import colour


def band(
    rows: Mapping[str, Sequence[Interval]], states: Sequence[str], edges: Any, pixels: int, shared: bool
) -> Any:
    """Return a band as an image of so many pixels in height and a column between every two edges.

    Args:
        rows: intervals by state.
        states: what the band shows, from the bottom up.
        edges: where columns begin and end, in seconds.
        shared: whether the states stack up by their share of a column, or the largest takes it whole.

    Returns:
        An array of bytes of the shape (pixels, columns, 4), transparent where there is nothing.
    """
    colours = np.vstack([to_rgba_array([colour(state) for state in states]), np.zeros(4)])
    shares = np.array([covered(rows.get(state, ()), edges) for state in states])
    if not shared:
        rest = np.maximum(0.0, 1.0 - shares.sum(axis=0))
        most = np.argmax(np.vstack([shares, rest]), axis=0)
        shares = (most == np.arange(len(shares))[:, None]).astype(float)
    filled = np.cumsum(shares, axis=0)
    filled /= np.maximum(1.0, filled[-1])  # kinds of communication that share a strip may overlap
    heights = (np.arange(pixels)[::-1] + 0.5) / pixels
    index = (filled[None, :, :] <= heights[:, None, None]).sum(axis=1)
    return (colours[index] * 255).astype(np.uint8)


def covered(intervals: Sequence[Interval], edges: Any) -> Any:
    """Return which share of each column the intervals cover."""
    widths = np.diff(edges)
    if not intervals:
        return np.zeros(len(widths))
    flat = np.asarray(union(intervals), dtype=float)
    sums = np.concatenate([[0.0], np.cumsum(flat[:, 1] - flat[:, 0])])
    before = np.stack([sums[:-1], sums[1:]], axis=1)
    return np.diff(np.interp(edges, flat.ravel(), before.ravel())) / widths
