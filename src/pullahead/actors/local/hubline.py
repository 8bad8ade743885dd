"""The line to the fork server: what this process tells it, asks it, and hears from it."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable
from typing import Any, final

from pullahead.actors.local.io import Loop
from pullahead.actors.local.wire import Channel, Frame, Handler
from pullahead.errors import PullaheadError

__all__ = ["HubLine"]

_GONE = -1


@final
class HubLine:
    """This process's end of the channel to the fork server.

    Args:
        sock: the socket.
        loop: what reads it.
        on_died: what a notice of a death does.
        on_accept: what an offered channel does.
        on_end: called, under the loop's lock, when the fork server is gone.
    """

    def __init__(
        self,
        sock: socket.socket,
        loop: Loop,
        on_died: Handler,
        on_accept: Handler,
        on_end: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._on_end = on_end
        self._requests = itertools.count(1)
        self._asking: dict[int, Callable[[int, bytes], None]] = {}
        self.channel = Channel(sock, -1, loop, [on_died, on_accept, self._on_answer], self._ended)

    def tell(self, kind: int, number: int = 0, head: Any = None, fds: tuple[int, ...] = ()) -> None:
        """Send a frame that has no answer."""
        self.channel.send(kind, number, head=head, fds=fds)

    def ask(
        self, kind: int, head: tuple[Any, ...], payload: bytes = b"", fds: tuple[int, ...] = ()
    ) -> tuple[int, bytes]:
        """Send a request and wait for its answer.

        Raises:
            PullaheadError: if the fork server is gone.
        """
        request = next(self._requests)
        arrived = threading.Event()
        answers: list[tuple[int, bytes]] = []

        def answered(flag: int, data: bytes) -> None:
            answers.append((flag, data))
            arrived.set()

        self._asking[request] = answered
        self.channel.send(kind, request, head=head, payload=payload, fds=fds)
        if self.channel.ended:
            answered(_GONE, b"")
        self._loop.cover()
        arrived.wait()
        self._asking.pop(request, None)
        if answers[0][0] == _GONE:
            raise PullaheadError("the fork server ended: no actor can be started or found; call shutdown()")
        return answers[0]

    def _on_answer(self, _channel: Channel, frame: Frame) -> None:
        request, flag, _, data, _ = frame
        answered = self._asking.pop(request, None)
        if answered is not None:
            answered(flag, data)

    def _ended(self, _channel: Channel) -> None:
        self.refuse()
        self._on_end()

    def refuse(self) -> None:
        """Tell those who wait that there will be no answer."""
        for answered in list(self._asking.values()):
            answered(_GONE, b"")
