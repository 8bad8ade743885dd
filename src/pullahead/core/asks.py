"""The asks that are out: how many items are still to come, when they were asked for, and when that was said.

The time of an ask says how long a fetch takes, but only its first answer does: what comes later came late
because it did not exist yet. So a partly answered ask goes on without its time.

An ask may have to wait for a free call before it leaves. For the lookahead that is a part of the fetch, which
an earlier ask would have hidden as well; but who wants to know how far away the queue is must take it off.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import final


@final
@dataclass(slots=True)
class Ask:
    """Credits that were asked for together.

    Attributes:
        made: when, or None if that says nothing about a fetch any more.
        left: when it was sent, or None while it was not.
        credits: how many items are still to come.
    """

    made: float | None
    credits: int
    left: float | None = None


@final
class Asks:
    """Counts credits, oldest first."""

    __slots__ = ("_open", "total")

    def __init__(self) -> None:
        self.total = 0
        self._open: deque[Ask] = deque()

    def made(self, credits: int, now: float) -> None:
        """So many items were asked for."""
        self.total += credits
        self._open.append(Ask(now, credits))

    def sent(self, now: float) -> None:
        """What was asked for has left."""
        for ask in reversed(self._open):
            if ask.left is not None:
                return
            ask.left = now

    def answered(self, items: int) -> tuple[float, float] | None:
        """So many items came. Return when the oldest ask was made, and for how long it waited until it left;
        None if an answer to it had come before."""
        first = self._open[0] if self._open else None
        times = None
        if first is not None and first.made is not None:
            times = first.made, 0.0 if first.left is None else first.left - first.made
        while items and self._open:
            ask = self._open[0]
            come = min(ask.credits, items)
            if come < ask.credits:
                ask.credits -= come
                ask.made = None
            else:
                self._open.popleft()
            items -= come
            self.total -= come
        return times

    def paused(self) -> None:
        """There is nothing to come for now: how long that lasts says nothing about a fetch."""
        for ask in self._open:
            ask.made = None

    def taken_back(self, credits: int) -> None:
        """So many of the oldest will not be answered: those that had come to the queue."""
        self.total -= credits
        while credits:
            ask = self._open[0]
            gone = min(ask.credits, credits)
            if gone < ask.credits:
                ask.credits -= gone
            else:
                self._open.popleft()
            credits -= gone

    def validate(self) -> None:
        """Check the sum; for tests."""
        assert sum(ask.credits for ask in self._open) == self.total
