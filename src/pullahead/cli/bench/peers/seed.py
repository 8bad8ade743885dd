"""The pattern as Ray's documentation has it: actors ask a queue and wait, or ask before they compute."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, final


@final
class Stock:
    """The queue."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()

    def fill(self, items: Iterable[Any]) -> None:
        """These are the items."""
        self._items = deque(items)

    def get_work_item(self) -> Any:
        """Hand one out; None: there are no more."""
        return self._items.popleft() if self._items else None


@final
class Worker:
    """Computes what it gets.

    Args:
        stock: the handle of the queue.
        work: what to do with an item.
    """

    def __init__(self, stock: Any, work: Callable[[Any], Any]) -> None:
        self._stock, self._work = stock, work

    def blocking(self) -> list[Any]:
        """Ask, wait, compute."""
        import ray

        results = []
        while (item := ray.get(self._stock.get_work_item.remote())) is not None:
            results.append(self._work(item))
        return results

    def overlapping(self) -> list[Any]:
        """Ask for the next one before computing."""
        import ray

        results, coming = [], self._stock.get_work_item.remote()
        while (item := ray.get(coming)) is not None:
            coming = self._stock.get_work_item.remote()
            results.append(self._work(item))
        return results

    def overlapped(self) -> list[Any]:
        """The same with `pullahead.overlap`."""
        import pullahead

        items = pullahead.overlap(self._stock.get_work_item.remote, sentinel=None)
        return [self._work(item) for item in items]

    def process(self, item: Any) -> Any:
        """Compute one."""
        return self._work(item)
