"""Items per second of one way to do it, and how much of the workers' time was within them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import Any, Final, NamedTuple, final

from pullahead.cli.bench import works
from pullahead.cli.bench.case import Measured
from pullahead.cli.bench.peers.way import drain

#: From items to results: a way to use a peer, with the work that it does.
Do = Callable[[Sequence[Any]], Iterable[Any]]

#: Items of the first try, and of a round that warms up.
_FIRST: Final = 20


class Took(NamedTuple):
    """One run: of how many items, in how many seconds, and what is known of them."""

    items: int
    seconds: float
    on_cpu: float | None = None
    utilization: float | None = None


def take(do: Do, items: Sequence[Any], timed: int = 0) -> Took:
    """Run it once.

    Args:
        do: from items to results.
        items: all that there is to do.
        timed: of how many workers the results are `works.Times`, which tell how much of the workers' time was
            within items, and how much of that on a CPU; 0: they are none, and are let go as they come.

    Raises:
        RuntimeError: there were more results than items, or fewer.
    """
    came: list[Any] = []
    start = perf_counter()
    if timed:
        came.extend(do(items))
        count = len(came)
    else:
        count = drain(do(items))
    end = perf_counter()
    if count != len(items):
        raise RuntimeError(f"expected {len(items)} results, got {count}")
    if not timed:
        return Took(count, end - start)
    times = list(map(works.Times._make, came))
    return Took(count, end - start, works.share_on_cpu(times), works.utilization(times, start, end, timed))


@final
class Rate:
    """Measures items per second. The first round warms up: it finds how many there must be, and does few.

    Args:
        do: from items to results.
        count: items in a round; None finds how many keep it busy for about `seconds`.
        most: of these, at most.
        timed: as `take` has it.
        items: so many items.
        per_item: what an item counts, in the unit of the case.
    """

    def __init__(
        self,
        do: Do,
        count: int | None = None,
        seconds: float = 0.0,
        *,
        most: int = 1 << 40,
        timed: int = 0,
        items: Callable[[int], Sequence[Any]] = range,
        per_item: float = 1.0,
    ) -> None:
        self._do, self._seconds, self._most = do, seconds, most
        self._timed, self._items, self._per_item = timed, items, per_item
        self._count, self._cold = count, True

    @property
    def count(self) -> int:
        """Items in a round; where nobody has said how many, this finds it."""
        if self._count is None:
            self._count = self._enough()
        return self._count

    def __call__(self) -> Measured:
        """Do one round."""
        count = min(self.count, _FIRST) if self._cold else self.count
        self._cold = False
        took = self._take(count)
        return Measured(self._per_item * took.items / took.seconds, took.on_cpu, took.utilization)

    def _enough(self) -> int:
        count = min(_FIRST, self._most)
        while count < self._most and (took := self._least(count)) < self._seconds / 2:
            count = min(self._most, int(count * min(8.0, max(1.5, 0.8 * self._seconds / took))))
        return count

    def _least(self, count: int) -> float:
        """Return the seconds of so many items; look again if they are enough to end the search."""
        took = self._take(count).seconds
        return took if took < self._seconds / 2 else min(took, self._take(count).seconds)

    def _take(self, count: int) -> Took:
        return take(self._do, self._items(count), self._timed)
