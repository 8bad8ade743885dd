"""A watch over answers: a server that was frozen says nothing, and keeps none of its own limits.

libpq waits for an answer as long as the other end is there, and the other end's kernel is. So a thread cuts
what takes longer than any statement may: whoever waits then hears that the connection is lost. The thread is
one for each connection, sleeps while nobody waits, and looks once in a while otherwise: a call costs nothing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from time import monotonic
from typing import final


@final
class Watch:
    """See the module.

    Args:
        descriptor: of the socket. It is duplicated: the number may be somebody else's later.
        seconds: that an answer may take.
    """

    def __init__(self, descriptor: int, seconds: float) -> None:
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._seconds = seconds
        self._since: float | None = None  # when somebody began to wait
        self._begun, self._closed = Event(), Event()
        self._thread = Thread(target=self._look, name="pullahead-watch", daemon=True)
        self._thread.start()

    @contextmanager
    def over(self) -> Iterator[None]:
        """What is waited for in here is cut if it takes too long."""
        self._since = monotonic()
        self._begun.set()
        try:
            yield
        finally:
            self._since = None

    def _look(self) -> None:
        while not self._closed.is_set():
            self._begun.wait()
            since = self._since
            if since is None:
                self._begun.clear()
                if self._since is not None:  # since just now
                    self._begun.set()
            elif monotonic() - since > self._seconds:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
                return
            self._closed.wait(min(1.0, self._seconds / 2) if self._begun.is_set() else 0.0)

    def close(self) -> None:
        """Watch nothing any more. The connection stays as it is."""
        self._closed.set()
        self._begun.set()
        self._thread.join()
        self._socket.close()
