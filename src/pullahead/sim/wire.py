"""One direction between a worker and the queue: late, but in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import final

from pullahead.core.messages import Message
from pullahead.sim.clock import Clock


@final
class Wire:
    """Carries lists of messages.

    Args:
        clock: whose time.
        seconds: draws how long the next one takes.
        deliver: is called with each list when it arrives.
    """

    __slots__ = ("_clock", "_deliver", "_seconds", "carried", "free_at", "under_way")

    def __init__(
        self, clock: Clock, seconds: Callable[[], float], deliver: Callable[[list[Message]], None]
    ) -> None:
        self._clock, self._seconds, self._deliver = clock, seconds, deliver
        self.free_at = 0.0  # when the last that was sent arrives
        self.under_way: deque[list[Message]] = deque()
        self.carried = 0  # lists that had something in them; an empty one only frees a call

    def send(self, messages: list[Message]) -> None:
        """Send messages; what was sent before arrives before."""
        if messages:
            self.carried += 1
        self.under_way.append(messages)
        self.free_at = max(self.free_at, self._clock.now + self._seconds())
        self._clock.at(self.free_at, self._arrive)

    def _arrive(self, _: None) -> None:
        self._deliver(self.under_way.popleft())
