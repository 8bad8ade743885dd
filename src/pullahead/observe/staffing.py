"""When there were workers, where they come and go: what a run's shares are shares of.

A *stay* is from when a lane has a worker until it has none; who takes the place of one that died goes on with
its stay. A worker that came late or left early was not idle before, nor after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self, final

Stay = tuple[float, float]


class Change(NamedTuple):
    """Workers were started or ended. `at`: seconds since the run began; `before`, `after`: how many."""

    at: float
    before: int
    after: int
    why: str


@final
class Staffing(NamedTuple):
    """See the module.

    Attributes:
        stays: of each lane that had a worker, from when to when, in seconds since the run began.
        changes: what was decided, in order.
    """

    stays: Mapping[int, Sequence[Stay]]
    changes: Sequence[Change] = ()

    @classmethod
    def between(
        cls,
        started: float,
        ended: float,
        stays: Mapping[int, Sequence[tuple[float, float | None]]],
        changes: Sequence[Change],
    ) -> Self:
        """Cut what a whole crew has done to one run. Takes moments; `None`: it is still there."""
        cut = {lane: _cut(started, ended, some) for lane, some in stays.items()}
        during = [change for change in changes if started <= change.at <= ended]
        return cls(
            {lane: some for lane, some in sorted(cut.items()) if some},
            tuple(change._replace(at=change.at - started) for change in during),
        )

    @property
    def seconds(self) -> float:
        """Of all workers together."""
        return sum(self.of(lane) for lane in self.stays)

    def of(self, lane: int) -> float:
        """Return for how many seconds a lane had a worker."""
        return sum(end - start for start, end in self.stays.get(lane, ()))

    @property
    def most(self) -> int:
        """How many workers there were at most at a time."""
        every = [stay for stays in self.stays.values() for stay in stays]
        # At one moment, those that leave have left before others come.
        moves = sorted([(start, 1) for start, _ in every] + [(end, -1) for _, end in every])
        here = most = 0
        for _, move in moves:
            here += move
            most = max(most, here)
        return most

    @property
    def fewest(self) -> int:
        """How many there were at least, as it was decided."""
        return min(
            [self.most, *(number for change in self.changes for number in (change.before, change.after))]
        )

    @property
    def course(self) -> str:
        """Say how many there were, one after the other: "2 → 4 → 8 → 3"."""
        sizes = [*(change.before for change in self.changes[:1]), *(change.after for change in self.changes)]
        shown = [f"{size}" for size in sizes]
        if len(shown) > _LONGEST:
            shown = [*shown[: _LONGEST // 2], "…", *shown[-_LONGEST // 2 :]]
        return " → ".join(shown)


#: Numbers that are shown of a course: a line is a glance.
_LONGEST = 8


def _cut(started: float, ended: float, stays: Sequence[tuple[float, float | None]]) -> tuple[Stay, ...]:
    spans = [(start - started, (ended if end is None else min(end, ended)) - started) for start, end in stays]
    return tuple((max(0.0, start), end) for start, end in spans if end > max(0.0, start))
