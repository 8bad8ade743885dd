"""What a run does about Ctrl-C: the first one drains it, the second one ends it.

An exception out of nowhere, in the main thread, may fall between a result's arrival and its being handed
over, or into a destructor, where Python forgets it. So the first signal raises nothing. The handler does not
call `drain` itself either, because the main thread that it interrupts may hold the very lock which that
takes; a thread of its own does, again and again, because a run that is just being set up may miss the first
call.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from threading import Event, Thread, current_thread, main_thread
from types import FrameType
from typing import Any, Final, Self, final

#: Seconds between two calls of `drain`.
_AGAIN: Final = 0.1


@final
class Interrupts:
    """Handles signals between `with` and its end.

    Args:
        numbers: which.
        replaces: whether a signal with this handler is to be handled; others stay as they are.
        again: what a second signal does, in the main thread.

    Attributes:
        seen: whether a signal has come.
        drain: what drains the run; until it is there, the first signal raises KeyboardInterrupt.
    """

    def __init__(
        self, numbers: Sequence[int], replaces: Callable[[Any], bool], again: Callable[[], object]
    ) -> None:
        self.seen = False
        self.drain: Callable[[], object] | None = None
        self._numbers, self._replaces, self._again = numbers, replaces, again
        self._over = Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in self._numbers if current_thread() is main_thread() else ():
            if self._replaces(signal.getsignal(number)):
                self._before[number] = signal.signal(number, self._on)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  the signature of a handler
        if self.seen:
            self._again()
            return
        self.seen = True
        if self.drain is None:
            raise KeyboardInterrupt
        Thread(target=self._keep_draining, args=(self.drain,), name="pullahead-drain", daemon=True).start()

    def _keep_draining(self, drain: Callable[[], object]) -> None:
        drain()
        while not self._over.wait(_AGAIN):
            drain()


def of_a_run() -> Interrupts:
    """Return what `run` uses: it takes Ctrl-C if nobody else does, as `asyncio.run` has it."""
    return Interrupts((signal.SIGINT,), lambda handler: handler is signal.default_int_handler, _interrupt)


def _interrupt() -> None:
    raise KeyboardInterrupt


def leave_to_the_driver() -> None:
    """Be deaf to SIGTERM in this process, but not in what it starts.

    Who ends a service sends it to all of its processes; then the driver drains, and needs its workers for
    that. They end with it in any case.
    """
    if current_thread() is main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _hear_nothing)
        # One that comes to a child before it can hear again waits until then.
        os.register_at_fork(before=_block, after_in_child=_hear_again, after_in_parent=_unblock)


def _hear_nothing(number: int, frame: FrameType | None) -> None:
    """Not SIG_IGN, which a program that is executed from here would inherit."""


def _hear_again() -> None:
    if signal.getsignal(signal.SIGTERM) is _hear_nothing:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _unblock()


def _block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
