"""What a worker has to say to the queue, and when it says it.

Rules:
1. What is urgent (an ask, a failure, something given back) goes as soon as a call is free.
2. A finished result goes at once when the worker has nothing to compute, and when its items are long: then an
   exchange costs next to nothing beside the item.
3. Otherwise it waits for company; see `demand`. An exchange per 0.5 ms item would cost more than half of the
   item.
4. Consecutive results of one lease are one message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from pullahead.core import messages as m
from pullahead.core import trace
from pullahead.core.exchange import Caller


@final
class Outbox:
    """Collects messages. See the module."""

    __slots__ = ("_finished", "_lease", "_messages", "_recorder", "_since", "_urgent", "caller")

    def __init__(self, recorder: trace.Recorder) -> None:
        self.caller = Caller()
        self._recorder = recorder
        self._messages: list[m.Message] = []
        self._finished: list[int] = []  # results that are not a message yet, all of one lease
        self._lease = 0
        self._since: float | None = None  # when the oldest of what is here came
        self._urgent = False

    def say(self, message: m.Message, now: float, *, urgent: bool = False) -> None:
        """Put a message in, behind the results before it."""
        self._close_report(now)
        self._messages.append(message)
        self._urgent = self._urgent or urgent
        self._wait_since(now)

    def ask(self, credits: int, now: float) -> None:
        """Ask for so many items."""
        self._messages.append((m.ASK, credits))
        self._urgent = True
        self._wait_since(now)

    def finish(self, items: Sequence[int], lease: int, now: float) -> None:
        """Items of a lease have their results."""
        if lease != self._lease:
            self._close_report(now)
            self._lease = lease
        self._finished.extend(items)
        self._wait_since(now)

    @property
    def is_urgent(self) -> bool:
        """Whether what is here waits for nothing but a free call."""
        return self._urgent

    def due(self, *, at_once: bool, company: float) -> float | None:
        """When to call the queue with what is here; None if there is nothing, or no call is free.

        Args:
            at_once: whether a result waits for nothing.
            company: otherwise, seconds that it waits for others at most.
        """
        free_at = self.caller.free_at
        if free_at is None or self.caller.must_send or self._urgent:
            return free_at
        if self._since is None:
            return None
        return free_at if at_once else max(free_at, self._since + company)

    def take(self, news: list[m.Message], now: float) -> list[m.Message]:
        """Hand over everything, behind `news`, for a call that goes out now."""
        self.caller.called(now)
        self._close_report(now)
        messages, self._messages = [*news, *self._messages], []
        self._since, self._urgent = None, False
        return messages

    def begin_again(self, now: float) -> list[m.Message]:
        """The queue is another one: forget the calls to the one before. Return the reports that are here.

        The rest means nothing to the new one: what was asked, given back or answered.
        """
        self._close_report(now)
        reports = [message for message in self._messages if message[0] in m.REPORTS]
        self._messages, self._since, self._urgent = [], None, False
        sent, self.caller = self.caller.sent, Caller()
        self.caller.sent = sent
        return reports

    def _wait_since(self, now: float) -> None:
        if self._since is None:
            self._since = now

    def _close_report(self, now: float) -> None:
        if self._finished:
            items, self._finished = tuple(self._finished), []
            since = now if self._since is None else self._since
            self._recorder.add(trace.REPORT, since, now, items[0], len(items))
            self._messages.append((m.DONE, self._lease, items))
