"""One-way messages over calls that are answered: the two ends of a long-polled exchange.

A peer calls the queue with a list of messages, and each answer is a list of messages for the peer. Three
rules make of this a full-duplex channel that batches by itself:

1. The peer may send while fewer than three of its calls are unanswered. With three out, it collects, until
   the last one is three milliseconds old: a wire that is longer than that is not a queue that is busy. Where
   there is no backlog, so that processors have time, it is one millisecond, or a third of a trip if that is
   less: what waits for a free call would make each fetch longer, and so all that is held.
2. The queue keeps the peer's two newest calls and answers every older one at once. Those that it keeps are
   parked: the older one of them is answered as soon as there is something to say.
3. With no call out, the peer sends one, even if it has nothing to say.

So after the first exchange a call is always parked, and the queue can speak at any moment. Where both sides
have something to say in turn (a report and an ask there, a grant back; outcomes here, more items there), the
second parked call is what the queue answers with, and the peer's next one takes its place: one call and one
answer for each turn, none of which is empty. (With one parked call, the answer leaves none, so an empty one
follows, and the next that has something to say makes the queue answer that: twice as many, and half of them
wake somebody for nothing.) Under light load everything travels at once; under heavy load, while the queue is
busy, both sides collect, and batches grow exactly as far as the load demands (as Nagle's algorithm does it,
without a timer).

Why not one call that returns at once and another one that is parked: two calls per exchange.
Why not messages both ways: on Ray, a call into a worker that computes needs a second thread group there,
and costs more than an answer.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, Generic, TypeVar, final

from pullahead.core.messages import Message
from pullahead.errors import ProtocolError

#: Calls of a peer that the queue keeps.
PARKED: Final = 2
#: A moment that has always come.
AT_ONCE: Final = float("-inf")

Call = TypeVar("Call")


@final
class Caller:
    """The peer's end: whether it may send."""

    __slots__ = ("_called_at", "_is_lost", "_spacing", "in_flight", "sent")

    #: Calls that may be unanswered: the parked ones and one that is on its way.
    LIMIT = PARKED + 1
    #: Calls that may be unanswered in any case, over a long wire.
    MOST = 32
    #: Seconds between two calls beyond the limit: an exchange costs about a twentieth of that.
    SPACING = 0.003
    #: Without a backlog, at most so many seconds between them, and in one trip at least so many of them.
    HURRIED = 0.001
    PER_TRIP = 3

    def __init__(self) -> None:
        self.in_flight = 0
        self.sent = 0
        self._called_at = AT_ONCE
        self._spacing = self.SPACING
        self._is_lost = False

    def lost(self) -> None:
        """Nobody is there any more: no call may go."""
        self._is_lost = True

    def hurry(self, trip: float) -> None:
        """There is no backlog, and a trip to the queue and back usually takes so many seconds. 0: there is
        one, or the trip is not known."""
        self._spacing = min(self.HURRIED, trip / self.PER_TRIP) if trip else self.SPACING

    @property
    def may_send(self) -> bool:
        """Whether a call may go, whatever the time."""
        return self.in_flight < self.LIMIT and not self._is_lost

    @property
    def free_at(self) -> float | None:
        """When the next call may go; None: not before one is answered."""
        if self.may_send:
            return AT_ONCE
        return self._called_at + self._spacing if self.in_flight < self.MOST and not self._is_lost else None

    @property
    def must_send(self) -> bool:
        """No call is out: the queue could not speak. Send, even if there is nothing to say."""
        return self.in_flight == 0 and not self._is_lost

    def called(self, now: float) -> None:
        """A call went out."""
        if self.free_at is None or now < self.free_at:
            raise ProtocolError(f"a call went out too soon, while {self.in_flight} were unanswered")
        self.in_flight += 1
        self.sent += 1
        self._called_at = now

    def answered(self) -> None:
        """A call was answered."""
        if self.in_flight == 0:
            raise ProtocolError("an answer came to no call")
        self.in_flight -= 1


@final
class Mailbox(Generic[Call]):
    """The queue's end for one peer: which call to answer, with what.

    These methods return what to answer now, as a list of (call, messages), the oldest call first.
    """

    __slots__ = ("_outbox", "_parked")

    def __init__(self) -> None:
        self._parked: deque[Call] = deque()
        self._outbox: list[Message] = []

    def post(self, *messages: Message) -> None:
        """Put messages in; `flush` sends them."""
        self._outbox.extend(messages)

    def park(self, call: Call) -> list[tuple[Call, list[Any]]]:
        """A call came in. If that is one too many, the oldest one is answered with what there is."""
        self._parked.append(call)
        return self._answer() if len(self._parked) > PARKED else []

    def flush(self) -> list[tuple[Call, list[Any]]]:
        """Answer the oldest parked call if there is something to say."""
        return self._answer() if self._parked and self._outbox else []

    def close(self) -> list[tuple[Call, list[Any]]]:
        """The peer is gone: nobody waits for an answer, and a call that is parked costs something."""
        return [answer for _ in range(len(self._parked)) for answer in self._answer()]

    def _answer(self) -> list[tuple[Call, list[Any]]]:
        messages, self._outbox = self._outbox, []
        return [(self._parked.popleft(), messages)]
