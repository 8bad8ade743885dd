"""From trace records to lanes: per worker, what it did and what it waited for, as intervals in order.

Rules:
1. Times are seconds since the run began, cut to the run.
2. A lane has one row per *state*: `process`, each kind of communication, and `stall:<cause>` for each cause.
3. What happens side by side (loads) is one interval: a lane shows when there was communication, not how
   much. Pieces of compute stay apart, so that each item is a box.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from pullahead.core.trace import COMMUNICATION, LOOKAHEAD, PROCESS, STALL, Span

Interval = tuple[float, float]


def stall(cause: str) -> str:
    """Return the state of a worker that waits because of `cause`."""
    return f"{STALL}:{cause}"


@final
@dataclass(frozen=True, slots=True)
class Lane:
    """One worker's intervals by state. See the module."""

    worker: int
    rows: Mapping[str, Sequence[Interval]]

    @property
    def useful(self) -> float:
        """Seconds of compute."""
        return sum(end - start for start, end in self.rows.get(PROCESS, ()))


def lanes(trace: Mapping[int, Sequence[Span]], started: float, seconds: float) -> list[Lane]:
    """Return one lane per worker, in order of their numbers.

    Args:
        trace: spans by worker number, in any order.
        started: when the run began, on the clock of the spans.
        seconds: how long it lasted.
    """
    return [Lane(worker, _rows(list(trace[worker]), started, seconds)) for worker in sorted(trace)]


def _rows(spans: Iterable[Span], started: float, seconds: float) -> dict[str, list[Interval]]:
    rows: dict[str, list[Interval]] = {}
    for kind, start, end, _, _, detail in spans:
        if kind == LOOKAHEAD:
            continue
        low, high = max(start - started, 0.0), min(end - started, seconds)
        if high > low:
            rows.setdefault(stall(detail) if kind == STALL else kind, []).append((low, high))
    return {
        state: union(intervals) if state in COMMUNICATION else sorted(intervals)
        for state, intervals in rows.items()
    }


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Merge intervals that overlap or touch.

    >>> union([(4, 5), (0, 2), (1, 3)])
    [(0, 3), (4, 5)]
    """
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged
