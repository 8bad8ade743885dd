"""One timer for a shell: calls back when a machine's deadline has come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import final

from pullahead.core.exchange import AT_ONCE


@final
class Alarm:
    """Calls `ring` on its own thread once the moment that was set last has come.

    Deadlines move later far more often than earlier (each report that goes out postpones the next), so a
    later moment costs nothing: the thread notices when it wakes for the old one. Only an earlier moment
    wakes it.

    Args:
        ring: called without any lock held; it sets the next moment itself.
        name: of the thread.
        clock: what the moments are of.
    """

    def __init__(self, ring: Callable[[], None], name: str, clock: Callable[[], float] = monotonic) -> None:
        self._ring = ring
        self._clock = clock
        self._changed = threading.Condition(threading.Lock())
        self._moment: float | None = None
        self._sleeps_until: float | None = None
        self._stopped = self._woken = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._started = False

    def set(self, moment: float | None) -> None:
        """Ring at this moment of the clock, or not at all. Replaces the moment before."""
        self._moment = moment
        if moment is None or (self._sleeps_until is not None and self._sleeps_until <= moment):
            return
        with self._changed:
            if not self._started and not self._stopped:
                self._started = True
                self._thread.start()
            self._changed.notify()

    def wake(self) -> None:
        """Ring as soon as possible, whatever moment is set."""
        self._woken = True
        self.set(AT_ONCE)

    def stop(self) -> None:
        """Never ring again. Returns once the thread has ended, unless it is the one that calls."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._started and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while self._wait():
            self._ring()

    def _wait(self) -> bool:
        """Sleep until the moment has come. Return False when stopped."""
        with self._changed:
            while not self._stopped:
                moment, now = self._moment, self._clock()
                if self._woken or (moment is not None and moment <= now):
                    self._moment = self._sleeps_until = None
                    self._woken = False
                    return True
                self._sleeps_until = moment
                self._changed.wait(None if moment is None else min(moment - now, threading.TIMEOUT_MAX))
                self._sleeps_until = None
            return False
