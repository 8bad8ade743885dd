"""What happens to a server in the middle of a run."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any


def nap(x: int) -> int:
    """Take long enough for something to happen meanwhile."""
    time.sleep(0.005)
    return x


class Meanwhile:
    """A sink that does something once it has seen some results."""

    def __init__(self, after: int, what: Any) -> None:
        self.seen: Counter[int] = Counter()
        self._after = after
        self._what = what

    def __call__(self, result: int, item: int) -> None:
        self.seen[item] += 1
        if self.seen.total() == self._after:
            self._what()
