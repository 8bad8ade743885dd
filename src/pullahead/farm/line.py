"""What joins a worker, or the caller, to the queue: calls go there, answers come back, both in order.

Everything that a worker and the queue say to each other passes here, so this is where a test can make the way
between them longer (`pullahead.testing`). The machines at both ends, the engine below them and the policy
above know nothing of it.

Which line a worker gets travels with its options. An environment variable would not do: the processes are
forked by a server that has its own environment, and a variable would speak to every farm of the program. The
options reach the workers of one farm, those that replace lost ones included, and nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, Protocol, final

from pullahead.core.messages import Message
from pullahead.farm.envelope import Sealed, sealed

#: Is called with each answer: those of one line in the order of its calls, one at a time, and never inside
#: `send`.
Answered = Callable[[Future[Sealed]], object]


class Line(Protocol):
    """A worker's end."""

    def send(self, messages: list[Message], answered: Answered) -> None:
        """Call the queue with messages. Does not wait."""

    def close(self) -> None:
        """Return once all that was said is on its way. Answers that come later are lost."""


#: Makes a worker's line, in its process, from its number and the handle of the queue. It can be pickled.
Join = Callable[[int, Any], Line]


@final
class InTurn:
    """Hands out answers in the order of their calls, whatever order the engine runs its callbacks in.

    The queue answers the calls of a peer in their order, so no answer waits for one that is not there yet.
    """

    def __init__(self) -> None:
        self._called = self._next = 0
        self._early: dict[int, Callable[[], object]] = {}

    def wait(self, call: Any, answered: Answered) -> None:
        """Hand out the answer of a call when it comes. For one thread at a time, as a line is."""
        number, self._called = self._called, self._called + 1
        call.future().add_done_callback(lambda future: self._came(number, partial(answered, future)))

    def _came(self, number: int, hand_out: Callable[[], object]) -> None:
        """Not for two threads at a time: an engine runs one callback after the other."""
        self._early[number] = hand_out
        while self._next in self._early:
            hand_out = self._early.pop(self._next)
            self._next += 1
            hand_out()


@final
class DirectLine:
    """As the engine carries it.

    Args:
        number: of the worker, or of the caller, as a peer of the queue.
        queue: the handle of the queue actor.
    """

    def __init__(self, number: int, queue: Any) -> None:
        self._number, self._queue = number, queue
        self._answers = InTurn()

    def send(self, messages: list[Message], answered: Answered) -> None:
        """See `Line`."""
        self._answers.wait(self._queue.exchange.remote(self._number, sealed(messages)), answered)

    def close(self) -> None:
        """See `Line`."""


#: What joins the workers of farms that begin from now on. Only `pullahead.testing` changes it.
join: Join = DirectLine
