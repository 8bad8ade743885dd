"""The pattern as Ray's documentation has it: actors ask a queue and wait, or ask before they compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from pullahead.cli.bench.works import Times, times_of


@final
class Stock:
    """The queue: so many items, made when they are asked for. None: there are no more."""

    def __init__(self) -> None:
        self._left, self._item = 0, None

    def fill(self, count: int, item: Any) -> None:
        """There are so many, all alike."""
        self._left, self._item = count, item

    def get_work_item(self) -> Any:
        """Hand one out."""
        if not self._left:
            return None
        self._left -= 1
        return self._item


@final
class Worker:
    """Computes what it gets.

    Args:
        stock: the handle of the queue.
        work: what to do with an item.
    """

    def __init__(self, stock: Any, work: Callable[[Any], Any]) -> None:
        self._stock, self._work = stock, work

    def blocking(self) -> list[Times]:
        """Ask, wait, compute."""
        import ray

        times = []
        while (item := ray.get(self._stock.get_work_item.remote())) is not None:
            times.append(self._compute(item))
        return times

    def overlapping(self) -> list[Times]:
        """Ask for the next one before computing."""
        import ray

        times, coming = [], self._stock.get_work_item.remote()
        while (item := ray.get(coming)) is not None:
            coming = self._stock.get_work_item.remote()
            times.append(self._compute(item))
        return times

    def overlapped(self) -> list[Times]:
        """The same with `pullahead.overlap`."""
        import pullahead

        return [
            self._compute(item) for item in pullahead.overlap(self._stock.get_work_item.remote, sentinel=None)
        ]

    def process(self, item: Any) -> Times:
        """Compute one."""
        return self._compute(item)

    def _compute(self, item: Any) -> Times:
        return times_of(self._work, item)
