"""What else there is only on several machines.

`delay_line`: a way between workers and queue that takes as long as it is told to.
On one machine a message takes a tenth of a millisecond, so what a lookahead is good for does not show. Behind
a `delay_line` the same farm, with the same processes, behaves as if its queue were far away.

How it works: each worker's messages wait for half a round trip before they leave its process, and the answers
for the other half after they have come back. Both stand in one line, because both wait for equally long:
what is put in last is due last. One timer waits for whoever is first. So any number of messages can be under
way at once, none overtakes another, and the main thread computes undisturbed. What the machine itself needs
for a message (some tenths of a millisecond, more when it is busy) comes on top.

Refused: to wait at the queue's end. There one process would wait for all workers, and what it decides would
be timed from when it was free instead of from when a message came.

`skewed_clocks`: workers whose clocks began at another time, as those of other machines did. Whatever a worker
does is timed by that clock, and nobody is told how far off it is.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import isfinite
from threading import Event, Lock
from time import monotonic
from typing import Any, final

from pullahead.core.messages import Message
from pullahead.farm import clock, line
from pullahead.farm.alarm import Alarm
from pullahead.farm.clock import Clock
from pullahead.farm.line import Answered, DirectLine

__all__ = ["delay_line", "skewed_clocks"]


@contextmanager
def delay_line(round_trip_seconds: float) -> Iterator[None]:
    """Delay every message between workers and queue, for each `map`, `run` and `Pool` that begins inside.

    A farm keeps its delay for as long as it lives, also after the `with` block. The delay holds for this
    process and all its threads, but not for a `map` that a work itself starts in its worker. Of two blocks
    inside each other, the inner one counts. What the caller sends and gets is not delayed.

        with pullahead.testing.delay_line(0.04):
            results = pullahead.map(work, items, workers=4)
        print(sum(results), results.report)

    Args:
        round_trip_seconds: from 0; half of it each way. It comes on top of what the machine itself needs.

    Raises:
        TypeError: if it is not a number.
        ValueError: if it is negative, or not finite.
    """
    one_way = 0.5 * _checked("round_trip_seconds", round_trip_seconds, least=0.0)
    before, line.join = line.join, partial(DelayedLine, one_way)
    try:
        yield
    finally:
        line.join = before


@contextmanager
def skewed_clocks(*seconds: float) -> Iterator[None]:
    """Put workers on machines with other clocks, for each `map`, `run` and `Pool` that begins inside.

    There are as many machines as numbers: the clock of "machine-0" is so many seconds ahead of this one, or
    behind it. The first worker is on the first machine, the second one on the next, and so on, in turn. One
    that takes the place of another one is as many machines further on as there are workers. What holds for
    farms, threads and blocks inside each other is as for `delay_line`.

        with pullahead.testing.skewed_clocks(3600.0, 86400.0):
            results = pullahead.map(work, items, workers=2, trace=True)
        print(sum(results), results.report)

    Raises:
        TypeError: if one of them is not a number, or if there is none.
        ValueError: if one is not finite.
    """
    if not seconds:
        raise TypeError("skewed_clocks: expected seconds for at least one machine, got none")
    ahead = [_checked("skewed_clocks", one) for one in seconds]
    before, clock.make = clock.make, partial(_skewed, ahead)
    try:
        yield
    finally:
        clock.make = before


def _skewed(ahead: list[float], number: int) -> Clock:
    machine = number % len(ahead)
    more = ahead[machine]
    return Clock(lambda: monotonic() + more, f"{clock.own_clock().name} + {machine}", f"machine-{machine}")


def _checked(name: str, seconds: float, least: float = float("-inf")) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name}: expected a number of seconds, got {seconds!r}")
    if not isfinite(seconds) or seconds < least:
        limit = "" if least == float("-inf") else f" from {least:g}"
        raise ValueError(f"{name}: expected a finite number{limit}, got {seconds!r}")
    return float(seconds)


@final
class DelayedLine:
    """A worker's line to the queue, as `pullahead.farm.line` wants it. See the module.

    Args:
        seconds: how long each message waits, either way.
        number: the worker's, as a peer of the queue.
        queue: the handle of the queue actor.
    """

    def __init__(self, seconds: float, number: int, queue: Any) -> None:
        self._seconds = seconds
        self._line = DirectLine(number, queue)
        self._lock = Lock()
        self._under_way: deque[tuple[float, Callable[[], object]]] = deque()  # when, what; the first is next
        self._alarm = Alarm(self._arrive, "pullahead-delay-line")

    def send(self, messages: list[Message], answered: Answered) -> None:
        """Let messages leave after their time."""
        # As on any wire, what was said does not change any more: the sums that a worker tells go on growing.
        said = pickle.dumps(messages, 5)
        self._later(lambda: self._line.send(pickle.loads(said), partial(self._came_back, answered)))

    def close(self) -> None:
        """Wait until all that was said has left; then the timer ends."""
        left = Event()
        self._later(left.set)
        left.wait()
        self._alarm.stop()

    def _came_back(self, answered: Answered, call: Any) -> None:
        self._later(lambda: answered(call))

    def _later(self, what: Callable[[], object]) -> None:
        with self._lock:
            self._under_way.append((monotonic() + self._seconds, what))
            if len(self._under_way) == 1:
                self._alarm.set(self._under_way[0][0])

    def _arrive(self) -> None:
        """Let everything happen that is due. Only the timer's thread does, so it stays in order."""
        while True:
            with self._lock:
                if not self._under_way:
                    return
                moment = self._under_way[0][0]
                if moment > monotonic():
                    self._alarm.set(moment)
                    return
                _, what = self._under_way.popleft()
            what()
