"""Whom to ask to give something back, how much, and which of these recalls are out.

Rules:
1. Recalled is from the worker whose held items would wait longest: those that it holds × its seconds per
   item, plus what has passed since it last reported. (The order by this does not change with time.)
2. So much that it keeps its share of everything that is held: one recall then serves many hungry workers, and
   none is needed again soon.
3. What runs, or is about to, is nobody's to recall: the first item (or batch) of each worker, and with it
   what was just granted to a hungry one.
4. A worker has one recall at a time. One that does not answer (its interpreter is held by C code) is not
   waited for: after four usual trips others are asked, and it is asked again once it has answered.
5. A worker that had nothing to give is asked again when it has been granted something.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, final

from pullahead.core.ranking import Ranking

#: Seconds that a recall takes, as long as none has been answered.
_FIRST_TRIP: Final = 0.01
#: Seconds. No patience is shorter: the answer of a busy worker waits for its interpreter.
_LEAST_PATIENCE: Final = 0.002
_TRIPS: Final = 4
#: The weight of the latest trip in the usual one.
_WEIGHT: Final = 0.2


@final
class Recalls:
    """See the module.

    Args:
        unit: how many items one call of `process` takes.
    """

    __slots__ = ("_awaited", "_barren", "_expected", "_out", "_ranking", "_spare", "_trip", "_unit", "total")

    def __init__(self, unit: int = 1) -> None:
        self.total = 0  # items that could be recalled, everywhere
        self._unit = unit
        self._spare: dict[int, int] = {}
        self._ranking = Ranking()  # of those that may be asked
        self._out: dict[int, tuple[float, int]] = {}  # since when, for how many
        self._awaited: OrderedDict[int, float] = OrderedDict()  # since when those that are not overdue
        self._expected = 0  # items that are on their way back, as far as nobody is overdue
        self._barren: set[int] = set()
        self._trip = _FIRST_TRIP

    def weigh(self, worker: int, held: int, running: int, pace: float, reported: float) -> None:
        """Something about a worker has changed.

        Args:
            worker: its name.
            held: items of its leases, those that run among them.
            running: how many of them are known to run.
            pace: its seconds per item.
            reported: when it last reported.
        """
        spare = max(0, held - max(running, self._unit))
        self.total += spare - self._spare.get(worker, 0)
        if spare:
            self._spare[worker] = spare
        else:
            self._spare.pop(worker, None)
        if spare and worker not in self._out and worker not in self._barren:
            self._ranking.put(worker, reported - spare * pace)
        else:
            self._ranking.drop(worker)

    def granted(self, worker: int) -> None:
        """A worker got something: it is worth asking again."""
        self._barren.discard(worker)

    def spare_of(self, worker: int) -> int:
        """Return how much could be recalled from a worker."""
        return self._spare.get(worker, 0)

    def choose(self, hungry: int, workers: int, now: float) -> list[tuple[int, int]]:
        """Recall for so many hungry workers, out of so many. Returns whom to ask, for how many items."""
        self._give_up(now)
        chosen: list[tuple[int, int]] = []
        while self._expected < hungry * self._unit:
            worker = self._ranking.first()
            if worker is None:
                break
            spare = self._spare[worker]
            size = max(self._unit, spare - self.total // workers)
            size = min(spare, size - size % self._unit)
            self._ranking.drop(worker)
            self._out[worker] = now, size
            self._awaited[worker] = now
            self._expected += size
            chosen.append((worker, size))
        return chosen

    def answered(self, worker: int, returned: int, now: float) -> None:
        """A worker has answered a recall and has returned so many items. The caller weighs it again."""
        since, size = self._out.pop(worker, (now, 0))
        if self._awaited.pop(worker, None) is not None:
            self._expected -= size
        self._trip += _WEIGHT * (now - since - self._trip)
        if not returned:
            self._barren.add(worker)

    def lost(self, worker: int, now: float) -> None:
        """A worker has left."""
        if worker in self._out:
            self.answered(worker, 0, now)
        self._barren.discard(worker)
        self.total -= self._spare.pop(worker, 0)
        self._ranking.drop(worker)

    @property
    def deadline(self) -> float | None:
        """When the oldest recall that is out is overdue."""
        return next(iter(self._awaited.values())) + self._patience if self._awaited else None

    @property
    def _patience(self) -> float:
        return max(_LEAST_PATIENCE, _TRIPS * self._trip)

    def _give_up(self, now: float) -> None:
        while self._awaited:
            worker, since = next(iter(self._awaited.items()))
            if since + self._patience > now:
                break
            del self._awaited[worker]
            self._expected -= self._out[worker][1]

    def validate(self) -> None:
        """Check the sums; for tests."""
        assert self.total == sum(self._spare.values())
        assert self._expected == sum(self._out[worker][1] for worker in self._awaited)
        assert self._awaited.items() <= {worker: since for worker, (since, _) in self._out.items()}.items()
