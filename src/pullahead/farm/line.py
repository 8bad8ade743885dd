"""What joins a worker to the queue: its calls go there, the answers come back, both in order.

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
from typing import Any, Protocol, final

from pullahead.core.messages import Message

#: Is called with each answer: those of one line in the order of its calls, one at a time, and never inside
#: `send`.
Answered = Callable[[Future[list[Message]]], object]


class Line(Protocol):
    """A worker's end."""

    def send(self, messages: list[Message], answered: Answered) -> None:
        """Call the queue with messages. Does not wait."""

    def close(self) -> None:
        """Return once all that was said is on its way. Answers that come later are lost."""


#: Makes a worker's line, in its process, from its number and the handle of the queue. It can be pickled.
Join = Callable[[int, Any], Line]


@final
class DirectLine:
    """As the engine carries it.

    Args:
        number: the worker's, as a peer of the queue.
        queue: the handle of the queue actor.
    """

    def __init__(self, number: int, queue: Any) -> None:
        self._number, self._queue = number, queue

    def send(self, messages: list[Message], answered: Answered) -> None:
        """See `Line`."""
        call = self._queue.exchange.remote(self._number, messages)
        call.future().add_done_callback(answered)

    def close(self) -> None:
        """See `Line`."""


#: What joins the workers of farms that begin from now on. Only `pullahead.testing` changes it.
join: Join = DirectLine
