"""Virtual time: what happens when, and timers on top of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from math import inf, nextafter
from typing import Any, Final, final

from pullahead.errors import ProtocolError

#: Timer calls at one moment without any other event: a machine that asks for more is spinning.
_MAX_TICKS: Final = 3


@final
class Clock:
    """A heap of calls. Those of one moment happen in the order in which they were set."""

    __slots__ = ("_calls", "_count", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._calls: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._count = 0

    def at(self, moment: float, call: Callable[[Any], None], about: Any = None) -> None:
        """Let `call(about)` happen at that moment, or now if it is over."""
        self._count += 1
        now = self.now
        heappush(self._calls, (moment if moment > now else now, self._count, call, about))

    def step(self, until: float) -> bool:
        """Jump to the next call and let it happen. Return False when there is none until then."""
        if not self._calls or self._calls[0][0] > until:
            return False
        self.now, _, call, about = heappop(self._calls)
        call(about)
        return True

    def run(self) -> None:
        """Let everything happen that will happen."""
        calls = self._calls
        while calls:
            self.now, _, call, about = heappop(calls)
            call(about)


@final
class Ahead:
    """A clock that began earlier than another one, and ticks as that does.

    Args:
        clock: the other one.
        seconds: how far ahead of that it is; behind it, if negative.
    """

    __slots__ = ("_clock", "_seconds")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds

    @property
    def now(self) -> float:
        """What it shows."""
        return self._clock.now + self._seconds

    def at(self, moment: float, call: Callable[[Any], None], about: Any = None) -> None:
        """See `Clock`."""
        there = moment - self._seconds
        while there + self._seconds < moment:  # rounding must not make it early
            there = nextafter(there, inf)
        self._clock.at(there, call, about)


@final
class Timer:
    """One deadline that moves after every event.

    Most moves are away from the present, so a call that is set is left in the heap and looks, when it
    happens, whether the deadline is still ahead: a move costs nothing.

    Args:
        clock: whose time.
        ring: what to call when the deadline has come.
    """

    __slots__ = ("_armed", "_clock", "_due", "_rang", "_ring")

    def __init__(self, clock: Clock | Ahead, ring: Callable[[], None]) -> None:
        self._clock, self._ring = clock, ring
        self._due: float | None = None
        self._armed: float | None = None  # when the earliest call in the heap happens
        self._rang: deque[float] = deque(maxlen=_MAX_TICKS + 1)

    def set(self, moment: float | None) -> None:
        """Move the deadline; None: there is none."""
        self._due = moment
        if moment is not None and (self._armed is None or moment < self._armed):
            self._armed = max(moment, self._clock.now)
            self._clock.at(self._armed, self._look, self._armed)

    def quiet(self) -> None:
        """Something else happened: ticks count from here."""
        if self._rang:
            self._rang.clear()

    def _look(self, armed: float) -> None:
        if armed != self._armed:
            return  # an earlier call has taken over
        self._armed = None
        due, now = self._due, self._clock.now
        if due is None:
            return
        if due > now:
            self.set(due)
            return
        self._due = None
        self._rang.append(now)
        if len(self._rang) > _MAX_TICKS and self._rang[0] == now:
            raise ProtocolError(f"at {now:.9f} s, a deadline that has come is not over after its tick")
        self._ring()
