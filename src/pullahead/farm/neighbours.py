"""The other queues, as one of them sees them: the line to each, and what it says there.

A queue is the caller of another one exactly as a worker is: one method, calls whose answers wait until there
is something to say. Nothing is said to a queue before something is wanted of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from threading import RLock
from time import monotonic
from typing import Any, Protocol, final

from pullahead.core import messages as m
from pullahead.core.exchange import Caller
from pullahead.farm.envelope import Sealed, opened
from pullahead.farm.line import DirectLine


class NeighboursPort(Protocol):
    """Who is told what comes."""

    def neighbour_said(self, queue: int, messages: list[m.Message]) -> None:
        """Another queue has answered. With the lock held."""


@final
class _Line:
    """The line to one of them."""

    def __init__(self, peer: int, handle: Any) -> None:
        self.caller = Caller()
        self.outbox: list[m.Message] = []
        self.line = DirectLine(peer, handle)


@final
class Neighbours:
    """See the module.

    Args:
        number: of this queue.
        queues: the handles of all queues, this one's among them.
        lock: held while something is decided.
        port: who is told what comes.
    """

    def __init__(self, number: int, queues: Sequence[Any], lock: RLock, port: NeighboursPort) -> None:
        peer = m.as_peer(number)
        self._lines = {other: _Line(peer, handle) for other, handle in enumerate(queues) if other != number}
        self._lock = lock
        self._port = port

    def say(self, queue: int, message: m.Message) -> None:
        """Tell another queue, now or as soon as a call is free. With the lock held."""
        line = self._lines[queue]
        line.outbox.append(message)
        if line.caller.may_send:
            self._send(queue, line)

    def _send(self, queue: int, line: _Line) -> None:
        messages, line.outbox = line.outbox, []
        line.caller.called(monotonic())
        line.line.send(messages, partial(self._answered, queue))

    def _answered(self, queue: int, call: Future[Sealed]) -> None:
        line = self._lines[queue]
        with self._lock:
            if call.exception() is not None:
                line.caller.lost()  # it is dead: the caller hears of that as well, and the run ends
                return
            line.caller.answered()
            self._port.neighbour_said(queue, opened(call.result()))
            if line.caller.must_send or (line.outbox and line.caller.may_send):
                self._send(queue, line)
