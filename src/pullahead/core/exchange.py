"""One-way messages over calls that are answered: the two ends of a long-polled exchange.

A peer calls the queue with a list of messages, and each answer is a list of messages for the peer. Two
rules make of this a full-duplex channel that batches by itself:

1. The peer may send while fewer than two of its calls are unanswered. With two out, it collects, until the
   last one is three milliseconds old: a wire that is longer than that is not a queue that is busy. Where
   there is no backlog, so that processors have time, it is one millisecond, or a third of a trip if that is
   less: what waits for a free call would make each fetch longer, and so all that is held.
2. The queue keeps the peer's newest call and answers every older one at once. The one it keeps is parked: it
   is answered as soon as there is something to say.

So after the first exchange one call is always parked, the queue can speak at any moment, and each message
of the peer is acknowledged by the answer to the call before it. Under light load everything travels at once;
under heavy load, while the queue is busy, both sides collect, and batches grow exactly as far as the load
demands (as Nagle's algorithm does it, without a timer).

Why not one call that returns at once and another one that is parked: two calls per exchange.
Why not messages both ways: on Ray, a call into a worker that computes needs a second thread group there,
and costs more than an answer.
"""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar, final

from pullahead.core.messages import Message
from pullahead.errors import ProtocolError

#: A moment that has always come.
AT_ONCE: Final = float("-inf")

Call = TypeVar("Call")


@final
class Caller:
    """The peer's end: whether it may send."""

    __slots__ = ("_called_at", "_is_lost", "_spacing", "in_flight", "sent")

    #: Calls that may be unanswered: the parked one and one that is on its way.
    LIMIT = 2
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

    These methods return what to answer now, as a list of (call, messages) with at most one entry.
    """

    __slots__ = ("_outbox", "_parked")

    def __init__(self) -> None:
        self._parked: Call | None = None
        self._outbox: list[Message] = []

    def post(self, *messages: Message) -> None:
        """Put messages in; `flush` sends them."""
        self._outbox.extend(messages)

    def park(self, call: Call) -> list[tuple[Call, list[Any]]]:
        """A call came in. The one before it, if it is still unanswered, is answered with what there is."""
        older, self._parked = self._parked, call
        return [] if older is None else [(older, self._take())]

    def flush(self) -> list[tuple[Call, list[Any]]]:
        """Answer the parked call if there is something to say."""
        if self._parked is None or not self._outbox:
            return []
        call, self._parked = self._parked, None
        return [(call, self._take())]

    def close(self) -> list[tuple[Call, list[Any]]]:
        """The peer is gone: nobody waits for an answer, and a call that is parked costs something."""
        call, self._parked = self._parked, None
        return [] if call is None else [(call, self._take())]

    def _take(self) -> list[Message]:
        messages, self._outbox = self._outbox, []
        return messages
