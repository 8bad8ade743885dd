"""A worker's way to the queue, and to the one that takes its place if it dies.

With a journal, a report is kept until the queue says that it is on disk. If the queue dies before, the next
one is told what was kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Sequence
from concurrent.futures import Future
from functools import partial
from threading import RLock, Thread
from time import monotonic, sleep
from typing import Any, Final, Protocol, final

from pullahead import actors
from pullahead.core import messages as m
from pullahead.core.clocks import Questions, Sample
from pullahead.errors import ActorDiedError
from pullahead.farm.envelope import Sealed, opened

#: Seconds that a worker waits for a queue that takes the place of the one that died, and between two looks.
_RETURN: Final = 10.0
_LOOK: Final = 0.01
#: Queues in a row that may die before a worker has found them.
_AHEAD: Final = 6


def latest(reports: Sequence[m.Message], newer: Container[int] = ()) -> list[m.Message]:
    """Return the last report of each item, in order. `newer`: items of which there is a later one elsewhere.

    The queue that took the place of one that died may have granted what it did not know to have ended.
    """
    told: set[int] = set()
    kept: list[m.Message] = []
    for report in reversed(reports):
        if report[0] == m.DONE:
            kind, lease, items, results = report
            both = zip(items, results, strict=True)
            new = [(item, result) for item, result in both if not (item in told or item in newer)]
            told.update(items)
            if new:
                kept.append((kind, lease, tuple([item for item, _ in new]), [result for _, result in new]))
        elif not (report[2] in told or report[2] in newer):
            told.add(report[2])
            kept.append(report)
    return kept[::-1]


class Unreachable(Exception):  # noqa: N818  it is said of the queue
    """A worker has no queue any more. (Not the error of the queue: the worker did not die of it.)"""


class Reader(Protocol):
    """Who is told what comes. Always with the lock held."""

    def heard(self, messages: list[m.Message]) -> None:
        """The queue answered."""

    def alone(self) -> None:
        """The queue died, and another one is being looked for."""

    def rejoined(self, reports: list[m.Message]) -> None:
        """Another one was found, which has to be told what is here. These reports may not be on disk."""

    def broken(self, error: BaseException) -> None:
        """The queue cannot be reached any more."""


@final
class Post:
    """See the module.

    Args:
        join: makes a line from the handle of a queue.
        queue: the handle of the first one.
        before: how many queues died in whose place that one is.
        name: of the queues that follow, with their number behind it; "" if none does.
        lock: held while something is decided.
        reader: who is told what comes.
        now: the worker's clock, if the queue has another one: then they are compared.
    """

    def __init__(
        self,
        join: Callable[[Any], Any],
        queue: Any,
        before: int,
        name: str,
        lock: RLock,
        reader: Reader,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.before = before
        self._join = join
        self._line = join(queue)
        self._name = name
        self._lock = lock
        self._reader = reader
        self._unrecorded: deque[m.Message] = deque()
        self._is_alone = self._is_closed = False
        self._now = now
        self._questions = Questions()
        self._samples: list[Sample] = []  # that were not told yet

    def send(self, messages: list[m.Message]) -> None:
        """Call the queue."""
        if self._name:
            self._unrecorded.extend(message for message in messages if message[0] in m.REPORTS)
        if self._now is not None:
            messages = [*self._about_the_clock(self._now), *messages]
        self._line.send(messages, partial(self._answered, self.before))

    def _about_the_clock(self, clock: Callable[[], float]) -> list[m.Message]:
        """What is known of it is said ahead of all times, which mean nothing without."""
        told: list[m.Message] = [(m.OFFSET, tuple(one)) for one in self._samples]
        self._samples.clear()
        now = clock()
        return [(m.CLOCK, now), *told] if self._questions.ask(now) else told

    def mute(self) -> None:
        """Nobody wants to hear of answers any more."""
        self._is_closed = True

    def close(self) -> None:
        """Return once all that was said is on its way."""
        self._line.close()

    def _answered(self, before: int, call: Future[Sealed]) -> None:
        came = None if self._now is None else self._now()  # before anything that may take its time
        error = call.exception()
        with self._lock:
            if self._is_closed or before != self.before:
                return  # there is nobody left to compute what comes; or it comes from a queue that died
            if error is None:
                messages = self._without_receipts(opened(call.result()))
                self._reader.heard(messages if came is None else self._without_clock(messages, came))
            elif not (self._name and isinstance(error, ActorDiedError)):
                self._reader.broken(error)
            elif not self._is_alone:
                self._is_alone = True
                self._reader.alone()
                Thread(target=self._rejoin, args=(error,), name="pullahead-rejoin", daemon=True).start()

    def _without_receipts(self, messages: list[m.Message]) -> list[m.Message]:
        """Forget the reports that are on disk."""
        if not self._name:
            return messages
        for message in messages:
            if message[0] == m.RECORDED:
                for _ in range(message[1]):
                    self._unrecorded.popleft()
        return [message for message in messages if message[0] != m.RECORDED]

    def _without_clock(self, messages: list[m.Message], came: float) -> list[m.Message]:
        """Keep what the answers to questions tell."""
        rest, news = self._questions.without_answers(messages, came)
        self._samples += news
        return rest

    def _rejoin(self, error: BaseException) -> None:
        before, queue = self._find(self.before + 1)
        self._line.close()
        with self._lock:
            if queue is None:
                self._reader.broken(error)
                return
            self.before = before
            self._is_alone = False
            self._line = self._join(queue)
            self._questions.forget()
            self._samples = list(self._questions.comparison.samples)  # some may have died with the other one
            reports, self._unrecorded = self._unrecorded, deque()
            self._reader.rejoined(list(reports))

    def _find(self, number: int) -> tuple[int, Any]:
        """Wait for the queue of this number. Returns its number, and None if none comes in time.

        It may have died before it was found: then it is the next one, or one after that.
        """
        deadline = monotonic() + _RETURN
        while monotonic() < deadline and not self._is_closed:
            for one in range(number, number + _AHEAD):
                try:
                    return one, actors.get_actor(f"{self._name}{one}")
                except ValueError:
                    continue
            sleep(_LOOK)
        return number, None
