"""Two large items that one worker holds, and many small ones behind them: when are the small ones done?

The ideal is a central queue without delay, which begins items in their order. It begins both large ones at
once, on two workers, and the small ones when those have ended. So a worker that runs small items while the
other one computes is ahead of it, and nothing can be late but what waits behind a large item all the same.
"""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass
from statistics import median
from typing import final

from benchmarks.recall.farm import Farm
from benchmarks.recall.works import SPIN, Item

from pullahead.core import messages as m
from pullahead.sim.ideal import central_queue

WORKERS = 2
LARGE: Item = (SPIN, 1.0)
SMALL: Item = (SPIN, 0.001)
SMALL_ONES = 200
ITEMS = (LARGE, LARGE, *(SMALL,) * SMALL_ONES)
_USUAL = (SMALL,) * 400  # beforehand, so that "auto" looks ahead as far as small items need it
_TRIES = 20


@final
@dataclass(frozen=True, slots=True)
class Policy:
    """How far workers look ahead, and whether what they hold may move."""

    name: str
    lookahead: int | None
    moves: bool


POLICIES = (
    Policy("auto", None, moves=True),
    Policy("fixed 16", 16, moves=True),
    Policy("fixed 16, nothing moves", 16, moves=False),
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


def measure(policy: Policy) -> Figures:
    """Run it until one worker has got both large items. Raises when that does not happen."""
    for _ in range(_TRIES):
        with Farm(WORKERS, policy.lookahead, moves=policy.moves) as farm:
            farm.round(_USUAL)
            start = time.monotonic()
            done = farm.round(ITEMS)
            first = len(_USUAL)
            grants = [note.rest for note in farm.notes() if note.kind == m.GRANT]
        if any(begin == first and count >= len((LARGE, LARGE)) for begin, count in grants):
            ends = sorted(one.end - start for one in done if one.number >= first + 2)
            late = max(end - allowed for end, allowed in zip(ends, _ideal_ends(), strict=True))
            return Figures(median(ends), ends[-1], late)
    raise RuntimeError(f"{policy.name}: in {_TRIES} runs, nobody got both large items")


def _ideal_ends() -> list[float]:
    _, ends, _ = central_queue(WORKERS, array("d", [seconds for _, seconds in ITEMS]), None)
    return sorted(ends[2:])
