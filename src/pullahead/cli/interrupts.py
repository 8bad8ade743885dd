"""What the command line does about SIGINT and SIGTERM. The library never installs a signal handler.

The first signal drains the run: it takes no more items, gives back what is unstarted, finishes what runs and
delivers it. The second ends the process at once; the workers notice and end by themselves.

While there is no run yet, the first signal raises KeyboardInterrupt. Later it raises nothing: an exception
out of nowhere, in the main thread, may fall between a result's arrival and its being written. The handler
does not call `drain` itself either, because the main thread that it interrupts may hold the very lock which
that takes; a thread of its own does, again and again, because a run that is just being set up may miss the
first call.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from threading import Event, Thread
from types import FrameType
from typing import Any, Final, Self, final

from pullahead.cli.ending import INTERRUPTED

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

#: Seconds between two calls of `drain`.
_AGAIN: Final = 0.1


@final
class Interrupts:
    """Handles the signals between `with` and its end. A signal that the process ignores stays ignored.

    Attributes:
        seen: whether a signal has come.
        drain: what drains the run, once there is one.
    """

    def __init__(self) -> None:
        self.seen = False
        self.drain: Callable[[], object] | None = None
        self._over = Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup, or in a script's background
                self._before[number] = signal.signal(number, self._on)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  the signature of a handler
        if self.seen:
            _show_cursor()
            os._exit(INTERRUPTED)
        self.seen = True
        if self.drain is None:
            raise KeyboardInterrupt
        Thread(target=self._keep_draining, args=(self.drain,), name="pullahead-drain", daemon=True).start()

    def _keep_draining(self, drain: Callable[[], object]) -> None:
        drain()
        while not self._over.wait(_AGAIN):
            drain()


def _show_cursor() -> None:
    """The progress line hides the cursor; whoever ends at once must bring it back."""
    if os.isatty(2):
        os.write(2, b"\x1b[?25h\n")
