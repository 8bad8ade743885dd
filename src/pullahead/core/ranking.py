"""Who comes first, among many whose keys change: a heap that forgets lazily.

A key that changes is pushed again; the old entry is thrown away when it comes to the top. So a change costs
O(log n), and so does finding the first.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Any, final

#: Old entries that may stand in the heap for each one that counts, before it is built anew.
_SLACK = 4


@final
class Ranking:
    """Names with keys; the smallest key is first. Keys must be comparable, and so must names."""

    __slots__ = ("_heap", "_keys")

    def __init__(self) -> None:
        self._heap: list[tuple[Any, int]] = []
        self._keys: dict[int, tuple[Any, int]] = {}  # the entry that counts

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, name: int) -> bool:
        return name in self._keys

    def put(self, name: int, key: Any) -> None:
        """Enter a name, or change its key."""
        entry = (key, name)
        known = self._keys.get(name)
        if known == entry:
            return
        self._keys[name] = entry
        heappush(self._heap, entry)
        if len(self._heap) > _SLACK * (len(self._keys) + _SLACK):
            self._heap = list(self._keys.values())
            heapify(self._heap)

    def drop(self, name: int) -> None:
        """Forget a name, if it is there."""
        self._keys.pop(name, None)

    def first(self) -> int | None:
        """Return the name with the smallest key, or None."""
        heap, keys = self._heap, self._keys
        while heap:
            entry = heap[0]
            if keys.get(entry[1]) == entry:
                return entry[1]
            heappop(heap)
        return None
