"""What was measured, as records for the user."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil
from typing import Final, final

_RECENT: Final = 1024  # times kept for the percentiles


@final
@dataclass(frozen=True, slots=True)
class Times:
    """Durations in seconds: how many, their mean, and percentiles of the latest 1024."""

    count: int
    mean: float
    p50: float
    p95: float


@final
@dataclass(frozen=True, slots=True)
class Statistics:
    """What `Overlap.statistics()` returns. All times in seconds.

    Attributes:
        items: how many items were yielded.
        failures: how many failed fetches were raised.
        fetch: from a request to its answer (for a blocking `fetch`: inside the call).
        compute: from handing out an item to asking for the next one.
        stalls: how often the caller had to wait for an item.
        stall_seconds: how long in all. The wait for the end, after the last item, is none of it.
        hidden_seconds: time fetching while the caller computed; side by side counts once.
        exposed_seconds: time fetching while the caller was stalled.
        utilization: time computing ÷ time since the first `next()`.
        lookahead: how many items are held or asked for beyond the current one, now.
        reason: why.
    """

    items: int
    failures: int
    fetch: Times
    compute: Times
    stalls: int
    stall_seconds: float
    hidden_seconds: float
    exposed_seconds: float
    utilization: float
    lookahead: int
    reason: str


@final
class Samples:
    """Durations as they come, for `Times`."""

    __slots__ = ("_count", "_recent", "_total")

    def __init__(self) -> None:
        self._count = 0
        self._total = 0.0
        self._recent: deque[float] = deque(maxlen=_RECENT)

    def add(self, seconds: float) -> None:
        self._count += 1
        self._total += seconds
        self._recent.append(seconds)

    def times(self) -> Times:
        recent = sorted(self._recent)  # copies first, at once: another thread may be adding
        if not recent:
            return Times(0, 0.0, 0.0, 0.0)
        p50, p95 = (recent[ceil(q * len(recent)) - 1] for q in (0.5, 0.95))
        return Times(self._count, self._total / self._count, p50, p95)
