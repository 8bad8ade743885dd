"""Many workers in one process, which sleep instead of computing.

To the queue it makes no difference where a worker lives. Each of these has a pipeline and a line of its own,
as every worker has, and speaks the real protocol; only its main thread is an entry in a schedule. So a
hundred of them fit where on Ray one process would take a hundred megabytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from heapq import heappop, heappush
from itertools import accumulate, pairwise
from threading import RLock
from time import monotonic
from typing import Any, Final, final

from pullahead.core import messages as m
from pullahead.core.lookahead import Lookahead
from pullahead.core.meter import Meter
from pullahead.core.pipeline import Effect, Pipeline, Send, Wake
from pullahead.core.trace import Recorder
from pullahead.farm.alarm import Alarm
from pullahead.farm.envelope import Sealed, enclosed, opened
from pullahead.farm.line import DirectLine
from pullahead.farm.payload import pack

#: By how much items are shorter and longer than they are told to be, as a share, so that workers lose step.
JITTER: Final = 0.2

_RESULT: Final = pack(None)


@final
class Schedule:
    """What happens when, on one thread, with one lock held."""

    def __init__(self) -> None:
        self.lock = RLock()
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._alarm = Alarm(self._ring, "queue-limit-schedule")

    def at(self, moment: float, what: Callable[[], None]) -> None:
        """Let it happen then; with the lock held."""
        self._count += 1
        heappush(self._entries, (moment, self._count, what))
        if self._entries[0][1] == self._count:
            self._alarm.set(moment)

    def _ring(self) -> None:
        with self.lock:
            while self._entries and self._entries[0][0] <= monotonic():
                heappop(self._entries)[2]()
            if self._entries:
                self._alarm.set(self._entries[0][0])


@final
class Peer:
    """One worker: `farm.worker` without a work.

    Args:
        number: its number as a peer of the queue.
        queue: the handle of the queue.
        length: draws the seconds of an item.
        schedule: shared with all others of this process.
    """

    def __init__(self, number: int, queue: Any, length: Callable[[], float], schedule: Schedule) -> None:
        self._line = DirectLine(number, queue)
        self._pipeline = Pipeline(Lookahead(eager=True), Meter(number, monotonic()), Recorder(False))
        self._length, self._schedule = length, schedule
        self._since, self._ends = 0.0, [0.0]  # when what is computed began, and when each of it ends
        self._looks_at = float("inf")  # when the schedule looks at the deadline

    def begin(self) -> None:
        """Call the queue for the first time; with the lock held, as all below."""
        self._perform(self._pipeline.began(monotonic()))

    def _perform(self, effects: list[Effect]) -> None:
        self._was_cut()
        for effect in effects:
            if isinstance(effect, Send):
                said = self._pipeline.take_messages(monotonic())
                self._line.send([_with_results(one) for one in said], self._answered)
            elif isinstance(effect, Wake):
                self._take()
        self._look_at(self._pipeline.deadline)

    def _answered(self, call: Future[Sealed]) -> None:
        if call.exception() is None:  # else it is the end
            with self._schedule.lock:
                self._catch_up()
                self._perform(self._pipeline.answered(opened(call.result()), monotonic()))

    def _look_at(self, deadline: float | None) -> None:
        if deadline is not None and deadline < self._looks_at:
            self._looks_at = deadline
            self._schedule.at(deadline, partial(self._look, deadline))

    def _look(self, moment: float) -> None:
        if moment != self._looks_at:
            return  # an earlier look has come between
        self._looks_at = float("inf")
        deadline = self._pipeline.deadline
        if deadline is not None and deadline <= monotonic():
            self._catch_up()
            self._perform(self._pipeline.tick(monotonic()))
        else:
            self._look_at(deadline)

    # The main thread

    def _take(self) -> None:
        items = () if self._pipeline.running else self._pipeline.take(monotonic())
        if items:
            self._compute(items)
            self._perform(self._pipeline.tick(monotonic()))

    def _compute(self, items: tuple[int, ...]) -> None:
        self._since = monotonic()
        self._ends = list(accumulate((self._length() for _ in items), initial=self._since))[1:]
        self._schedule.at(self._ends[-1], partial(self._computed, self._ends))

    def _catch_up(self) -> None:
        """Begin what the main thread would have begun by now: the machine is about to look at it.

        This one never says that few are left, so what the machine has put behind them waits for its turn.
        """
        ran, now = self._pipeline.running, monotonic()
        while ran and len(ran.waiting) > ran.ahead:
            since = self._ends[ran.size - len(ran.waiting) - 1]
            if since > now:
                break
            ran.since = since
            ran.waiting.popleft()

    def _computed(self, ends: list[float]) -> None:
        ran = self._pipeline.running
        if ends is not self._ends or ran is None:
            return  # the slice was cut meanwhile, and has ended earlier
        for _ in range(len(ran.waiting) - ran.ahead):
            ran.waiting.popleft()
        ran.times += pairwise([self._since, *ends])
        now = monotonic()
        items, effects = self._pipeline.turn(self._since, now, 0.0, now)
        if items:
            self._compute(items)
        self._perform(effects)

    def _was_cut(self) -> None:
        """The machine may have taken items back: what is computed ends earlier then."""
        ran = self._pipeline.running
        if ran and ran.size < len(self._ends):
            self._ends = self._ends[: ran.size]
            self._schedule.at(self._ends[-1], partial(self._computed, self._ends))


def _with_results(message: m.Message) -> m.Message:
    return (*message, enclosed([_RESULT] * len(message[2]))) if message[0] == m.DONE else message


@final
class Peers:
    """The actor that has them.

    Args:
        queue: the handle of the queue.
        numbers: of the workers that are here.
        seconds: what an item takes.
    """

    def __init__(self, queue: Any, numbers: range, seconds: float) -> None:
        self._schedule, self._seconds = Schedule(), seconds
        draw = random.Random(numbers.start).uniform
        length = partial(draw, (1 - JITTER) * seconds, (1 + JITTER) * seconds)
        self._peers = [Peer(number, queue, length, self._schedule) for number in numbers]

    def begin(self) -> None:
        """Let them begin, one after another within the time of an item, so that they are out of step."""
        now, last = monotonic(), len(self._peers)
        with self._schedule.lock:
            for place, peer in enumerate(self._peers):
                self._schedule.at(now + self._seconds * place / last, peer.begin)
