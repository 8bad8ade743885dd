"""The I/O thread of an actor whose main thread reads for itself: it reads only while that one is busy.

If both waited on the epoll all the time, a call that arrives in the few microseconds between a reply and
the main thread's next wait would wake the I/O thread: two threads then fight for the interpreter, and a round
trip takes up to twice as long (18 and 35 µs on one core). So this thread looks every tick whether the main
thread is still at the same call, and steps in if it is. Ticks that find another call each time grow longer,
because each costs a switch. When the main thread has been idle for some ticks, it rests until the next call.

A main thread that begins to wait for something that only a reader can bring does not wait for a tick: it
calls `cover`.
"""

from __future__ import annotations

import contextlib
import threading
from _thread import allocate_lock
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from pullahead.actors.local.io import Loop

__all__ = ["Guard"]

# Seconds; what a control call waits at most when a long call has just begun, and never again.
TICK = 0.001
LONGEST_TICK = 0.008  # after many short calls
REST_AFTER = 3  # idle ticks; more would cost actors that are called every few milliseconds


@final
class Guard:
    """Stands in for a main thread that computes."""

    def __init__(self, loop: Loop) -> None:
        self.resting = False  # the main thread says `cover` when it begins a call and sees this
        self._loop = loop
        self._gate = allocate_lock()
        self._gate.acquire()
        self._begun = threading.Event()

    def begin(self) -> None:
        """Turn the I/O thread into the guard, and wait until it is."""
        self._loop.guard = self
        self._loop.poke()  # this thread does not poll now, so the I/O thread must notice
        self._begun.wait()

    def cover(self) -> None:
        """Look now, not at the next tick. Called by the main thread."""
        with contextlib.suppress(RuntimeError):  # it is on its way already
            self._gate.release()

    def run(self) -> None:
        """Guard until the loop is closed."""
        self._begun.set()
        loop, gate, idle, tick = self._loop, self._gate, 0, TICK
        while not loop.closed:
            turn = loop.turns
            called = gate.acquire(timeout=tick)
            if loop.idle_queue is not None:
                idle = idle + 1 if loop.turns == turn else 0
                if idle >= REST_AFTER:
                    self._rest()
                    idle, tick = 0, TICK
                elif not idle:
                    tick = min(2 * tick, LONGEST_TICK)
            elif called or loop.turns == turn:
                idle, tick, turn = 0, TICK, loop.turns
                while loop.idle_queue is None and loop.turns == turn:
                    loop.poll()
            else:
                idle, tick = 0, min(2 * tick, LONGEST_TICK)

    def _rest(self) -> None:
        # First say so, then look: the main thread stops idling first, then looks whether we rest.
        self.resting = True
        if self._loop.idle_queue is not None:
            self._gate.acquire()
        self.resting = False
