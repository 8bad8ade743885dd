"""Memory in which large buffers are made ready to be sent, and are passed on by whoever gets them.

What a sender copies for its way anyway (a result, which the work may change as soon as it has returned it) is
copied into shared memory at once: then it is sent without another copy. And a receiver that only passes it
on, as the queue does, passes on the descriptor, once, and from then on a number: it crosses two channels for
one copy.

Rules
-----
1. What is marked as `passed` is given away: whoever receives it has this very memory, for good, and may write
   to it. Nobody on the way reads it once it is sent.
2. It is used again when its last receiver has no view of it any more: each says so to whom it had it from.
3. If a process dies that it was sent to, that may have passed it on, to somebody who will not say when: it is
   not used again.
4. There are at most `MOST` of these, because each keeps a descriptor. Beyond, and where shared memory cannot
   be had, a copy is an ordinary one.
"""

from __future__ import annotations

import ctypes
import pickle
import threading
import weakref
from collections import deque
from functools import partial
from typing import Any, Final, final

from pullahead.actors.local import memory
from pullahead.actors.local.memory import Memory

__all__ = ["LEAST", "MOST", "Stage", "passed", "passed_memory"]

#: Bytes from which on a buffer is staged: it has a slab of its own (`slabs.ALONE`).
LEAST: Final = 1 << 20
MOST: Final = 32
#: Bytes that are kept while nobody uses them.
_IDLE: Final = 128 << 20


@final
class Stage:
    """The memory of one process. See the module. `copy` is anybody's to call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Memory] = []  # the latest last: its pages are the warmest
        self._out: dict[int, weakref.ref[Any]] = {}  # the anchors of what is in use
        self._back: deque[Memory] = deque()  # what is not any more
        self._count = 0

    def copy(self, buffer: Any) -> memoryview | None:
        """Return a copy of a buffer, ready to be sent; None: it is too small, or cannot be had."""
        part = memoryview(buffer).cast("B")
        if len(part) < LEAST:
            return None
        size = 1 << (len(part) - 1).bit_length()
        with self._lock:
            self._settle()
            found = next((one for one in reversed(self._idle) if one.size == size), None)
            if found is not None:
                self._idle.remove(found)
            elif not self._make_room():
                return None
        try:
            if found is None:
                found = _made(size, part)
            else:
                found.copy_in(part, 0)
        except BaseException as error:
            with self._lock:
                self._count -= 1
            if isinstance(error, OSError):
                return None
            raise
        finally:
            self._trim()  # what came back meanwhile
        anchor, view = found.view()
        self._out[id(found)] = weakref.ref(anchor, partial(self._is_free, found))
        return view[: len(part)]

    def _make_room(self) -> bool:
        """Whether there may be one more; if need be, instead of one that is idle and of another size."""
        if self._count >= MOST:
            if not self._idle:
                return False
            del self._idle[0]
            self._count -= 1
        self._count += 1
        return True

    def _is_free(self, found: Memory, _anchor: object) -> None:
        # The garbage collector may call this anywhere, and whoever it interrupts may have the lock: no wait.
        self._back.append(found)
        self._trim()

    def _trim(self) -> None:
        """Let go of what is too much, unless somebody is at it: that one looks when it is done."""
        while self._back and self._lock.acquire(blocking=False):
            try:
                self._settle()
            finally:
                self._lock.release()

    def _settle(self) -> None:
        while self._back:
            found = self._back.popleft()
            self._out.pop(id(found), None)
            if found.is_over:
                self._count -= 1
            else:
                self._idle.append(found)
        while sum(one.size for one in self._idle) > _IDLE:
            del self._idle[0]
            self._count -= 1


def _made(size: int, part: memoryview) -> Memory:
    fd, made = memory.make(size, keep=True)
    made.is_staged = True
    memory.write(fd, part, 0)
    return made


def passed(buffer: Any) -> pickle.PickleBuffer:
    """Mark a buffer, while it is pickled, as one to be passed on if that can be."""
    part = memoryview(buffer)
    found = getattr(part.obj, "memory", None)
    if type(found) is not Memory or found.fd < 0 or found.is_over or not found.begins(part):
        return pickle.PickleBuffer(buffer)
    mark: Any = (ctypes.c_char * part.nbytes).from_buffer(part)
    mark.passed = part, found
    return pickle.PickleBuffer(mark)


def passed_memory(part: memoryview) -> tuple[memoryview, Memory] | None:
    """Return what was marked, and the memory that it begins; None: this was not."""
    return getattr(part.obj, "passed", None)
