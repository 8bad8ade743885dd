"""Two large items that one worker holds, and many small ones behind them: when are the small ones done?

The ideal is a central queue without delay, which begins items in their order. It begins both large ones at
once, on two workers, and the small ones when those have ended. So a worker that runs small items while the
other one computes is ahead of it, and nothing can be late but what waits behind a large item all the same.

Items sleep or compute. What computes needs a core of its own: on a machine that has other things to do, the
lateness of those that sleep is that of the policy.
"""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass
from statistics import median
from typing import final

from benchmarks.recall.farm import Farm
from benchmarks.recall.works import SLEEP, SPIN

from pullahead.core import messages as m
from pullahead.sim.ideal import central_queue

WORKERS = 2
SMALL_ONES = 200
_LARGE, _SMALL = 1.0, 0.001  # seconds
_LARGE_ONES = 2
_SECONDS = (_LARGE,) * _LARGE_ONES + (_SMALL,) * SMALL_ONES
_USUAL = (_SMALL,) * 400  # beforehand, so that "auto" looks ahead as far as small items need it
_TRIES = 20


@final
@dataclass(frozen=True, slots=True)
class Contender:
    """How far workers look ahead, whether what they hold may move, and how items pass their time."""

    name: str
    lookahead: int | None
    moves: bool
    how: str


_POLICIES = (("auto", None, True), ("fixed 16", 16, True), ("fixed 16, plain", 16, False))
CONTENDERS = tuple(
    Contender(name, lookahead, moves, how) for how in (SLEEP, SPIN) for name, lookahead, moves in _POLICIES
)


@final
@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds since the items were there.

    Attributes:
        half, last: when half of the small items, and all of them, were done.
        lateness: of the small item that is the latest beside the ideal: the k-th against the k-th.
    """

    half: float
    last: float
    lateness: float


def ideal() -> Figures:
    """Return what no queue can beat that begins items in their order."""
    ends = _ideal_ends()
    return Figures(median(ends), ends[-1], 0.0)


def measure(one: Contender) -> Figures:
    """Run it until one worker has got both large items. Raises when that does not happen."""
    first = len(_USUAL)
    for _ in range(_TRIES):
        with Farm(WORKERS, one.lookahead, moves=one.moves) as farm:
            farm.round([(one.how, seconds) for seconds in _USUAL])
            start = time.monotonic()
            done = farm.round([(one.how, seconds) for seconds in _SECONDS])
            grants = [note.rest for note in farm.notes() if note.kind == m.GRANT]
        if any(begin == first and count >= _LARGE_ONES for begin, count in grants):
            ends = sorted(item.end - start for item in done if item.number >= first + _LARGE_ONES)
            late = max(end - allowed for end, allowed in zip(ends, _ideal_ends(), strict=True))
            return Figures(median(ends), ends[-1], late)
    raise RuntimeError(f"{one.name}: in {_TRIES} runs, nobody got both large items")


def _ideal_ends() -> list[float]:
    """Return when the small items end."""
    _, ends, _ = central_queue(WORKERS, array("d", _SECONDS), None)
    return sorted(ends[_LARGE_ONES:])
