"""One epoll per process, and the threads that take turns at it.

Rules
-----
1. Whoever polls, dispatches; all dispatching happens under `lock`, so that what a frame changes needs no
   lock of its own and the frames of a channel are handled in order.
2. Nothing that users wrote runs under `lock`. Their callbacks wait in `_callbacks` until it is free, and run
   one at a time: two threads at it would change their order.
3. Finalizers may run anywhere, even while `lock` is held by the thread they interrupt: all they do is
   append to a deque and write to an eventfd.

How it works
------------
Descriptors are watched edge-triggered, so one event wakes one thread, and the kernel wakes the thread that
began to wait last. An I/O thread waits here. An actor's main thread waits here too whenever it has nothing
to do: it then receives the next call itself, without a hand-over between threads, which is a third of a
round trip. While it computes, the I/O thread receives instead (guard.py). Nobody hands over anything.

Refused
-------
An asyncio loop or `selectors`: 2 µs more per event, and only one thread may wait. A lock per channel:
every table that frames touch would need one as well.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from pullahead.actors.local.guard import Guard

__all__ = ["READ", "WRITE", "Loop"]

READ = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
WRITE = READ | select.EPOLLOUT
_POKE = (1).to_bytes(8, "little")


@final
class Loop:
    """Waits for descriptors and runs what is due."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a finalizer of a user may run while it is held
        self.ident = 0
        self._dispatcher = 0  # the thread that runs handlers now; they run under the lock
        self._runner = 0  # the thread that runs callbacks now
        self._turn = threading.Lock()  # its; nobody waits for it
        self._deaf = False  # nobody reads any more: callbacks run where they come up
        self.closed = False
        self.idle_queue: deque[Any] | None = None  # the queue of a main thread that waits here; see `_woken`
        self.on_crash: Callable[[], None] = lambda: os._exit(1)
        self.turns = 0  # calls that a main thread which waits here has begun; see guard.py
        self.guard: Guard | None = None
        self.epoll = select.epoll()
        self._poll = self.epoll.poll
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._jobs: deque[Callable[[], None]] = deque()
        self._callbacks: deque[Callable[[], None]] = deque()
        self.readers: set[int] = set()  # threads that must not wait for what they themselves receive
        self._waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poked = False
        self._thread: threading.Thread | None = None
        self.watch(self._waker, self._woken)

    def start(self) -> None:
        """Run the I/O thread."""
        self._thread = threading.Thread(target=self.serve, name="pullahead-io", daemon=True)
        self._thread.start()

    def serve(self) -> None:
        """Be the I/O thread."""
        self.ident = threading.get_ident()
        self.readers.add(self.ident)
        try:
            while not self.closed:
                if self.guard is not None:
                    self.guard.run()
                self.poll()
        except Exception:  # noqa: BLE001  a bug of ours: a process that cannot hear must say so, and not hang
            traceback.print_exc()
            self.on_crash()
            self._go_deaf()

    def cover(self) -> None:
        """Make sure that somebody reads while this thread waits for what was received."""
        if self.guard is not None:
            self.guard.cover()

    def watch(self, fd: int, handler: Callable[[int], None]) -> None:
        """Call `handler(events)`, under the lock, when the descriptor has news."""
        self._handlers[fd] = handler
        self.epoll.register(fd, READ)

    def unwatch(self, fd: int) -> None:
        """Forget a descriptor. Before it is closed."""
        if self._handlers.pop(fd, None) is not None and not self.closed:
            self.epoll.unregister(fd)

    def modify(self, fd: int, events: int) -> None:
        """Choose what to be told about a descriptor; 0 is nothing."""
        if not self.closed:
            self.epoll.modify(fd, events)

    def poll(self, timeout: float | None = None) -> None:
        """Wait for news and handle them; then run the callbacks of users."""
        for fd, events in self._poll(timeout):
            with self.lock:
                handler = self._handlers.get(fd)
                if handler is not None:
                    self._dispatcher = threading.get_ident()
                    handler(events)
                    self._dispatcher = 0
        if self._jobs:
            self._run_jobs()
        if self._callbacks:
            self._run_callbacks()

    def _run_jobs(self) -> None:
        with self.lock:
            while self._jobs:
                self._jobs.popleft()()

    def _run_callbacks(self) -> None:
        ident, turn = threading.get_ident(), self._turn
        # Who does not get the turn leaves: the one who has it looks again after giving it back.
        while self._callbacks and turn.acquire(blocking=False):
            self.readers.add(ident)
            self._runner = ident
            try:
                while self._callbacks:
                    callback = self._callbacks.popleft()
                    try:
                        callback()
                    except BaseException:  # noqa: BLE001  a user's callback must not end the thread that reads
                        traceback.print_exc()
            finally:
                self._runner = 0
                if ident != self.ident:
                    self.readers.discard(ident)
                turn.release()

    def call(self, job: Callable[[], None]) -> None:
        """Run a job soon, under the lock. Safe from anywhere, a finalizer included."""
        self._jobs.append(job)
        self.poke()

    def after(self, callback: Callable[[], None]) -> None:
        """Run a user's callback soon, without the lock, after those that came before it."""
        self._callbacks.append(callback)
        if threading.get_ident() in (self._dispatcher, self._runner):
            return  # who dispatches or runs them looks at them next
        if self._deaf:
            self._run_callbacks()
        else:
            self.poke()
            self.cover()

    def _go_deaf(self) -> None:
        # First say so, then look: who adds a callback looks the other way round.
        self._deaf = True
        self._run_callbacks()

    def poke(self) -> None:
        """Make one waiting thread look at the jobs. Takes no lock."""
        if not self._poked and not self.closed:
            # Set before the write, cleared before the jobs are read: what is appended after the clearing
            # pokes again, what was appended before it is seen.
            self._poked = True
            os.write(self._waker, _POKE)

    def _woken(self, _events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._waker, 8)
        self._poked = False
        if self.idle_queue and threading.get_ident() == self.ident:
            # The queue was filled while the main thread was about to wait, and the poke that should end its
            # wait came here: pass it on.
            time.sleep(0)
            self.poke()

    def must_not_block(self) -> bool:
        """Say whether this thread is one that reads: if it waited, it would wait for itself."""
        return threading.get_ident() in self.readers

    def close(self) -> None:
        """End the I/O thread and free the descriptors."""
        with self.lock:
            if self.closed:
                return
            self.closed = True
            os.write(self._waker, _POKE)
        if self._thread is not None and threading.get_ident() != self.ident:
            self._thread.join()
        self._go_deaf()
        self._free()

    def abandon(self) -> None:
        """Close the descriptors and nothing else: what a forked process does with its copy."""
        self.closed = self._deaf = True
        self._callbacks.clear()  # its parent's
        self._runner, self._turn = 0, threading.Lock()  # who had the turn does not exist here
        self._free()

    def _free(self) -> None:
        self.epoll.close()
        if self._waker >= 0:
            os.close(self._waker)
            self._waker = -1
        self._handlers.clear()
