"""Memory in which large buffers are made ready to be sent, and are passed on by whoever gets them.

What a sender copies for its way anyway (a result, which the work may change as soon as it has returned it) is
copied into shared memory at once: then it is sent without another copy. And a receiver that only passes it
on, as the queue does, passes on the descriptor, once, and from then on a number: it crosses two channels for
one copy.

Rules
-----
1. What is marked as `passed` is given away: whoever receives it has this very memory, for good, and may write
   to it. Nobody on the way reads it once it is sent.
2. What is marked as `lent` stays whose it is, and as it is: whoever receives it may write to it as well, but
   nobody else sees that, because there it is mapped privately (`memory`). So an item is with the queue and
   with a worker at once, and can go to another worker if that one dies. On the way nobody writes to it. A
   process that writes to much of what it is lent gets copies instead: so its private pages are few.
3. It is used again when its last receiver has no view of it any more: each says so to whom it had it from.
4. If a process dies that it was sent to, it is not used again: that may have passed it on, or left a child
   that looks at it, and nobody will say when. This is said with the view's end, too.
5. There are at most `MOST` of these, because each keeps a descriptor. Beyond, and where shared memory cannot
   be had, a copy is an ordinary one.
"""

from __future__ import annotations

import ctypes
import pickle
import threading
import weakref
from collections import deque
from functools import partial
from typing import Any, Final, NamedTuple, final

from pullahead.actors.local import memory
from pullahead.actors.local.memory import CAN_LEND, Memory

__all__ = ["LEAST", "MOST", "Marked", "Stage", "lent", "marked", "passed", "restored"]

#: Bytes from which on a buffer is staged, and has a slab of its own: a copy then takes longer than all else.
LEAST: Final = 1 << 19
MOST: Final = 64
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

    def copy(self, buffer: Any, *, wait: bool = True) -> memoryview | None:
        """Return a copy of a buffer, ready to be sent; None: it is too small, or cannot be had.

        `wait`: for whoever else wants one at the moment; who has what that one waits for must not.
        """
        part = memoryview(buffer).cast("B")
        if len(part) < LEAST:
            return None
        size = 1 << (len(part) - 1).bit_length()
        if wait:
            with self._lock:
                found, is_room = self._find(size)
        elif self._lock.acquire(blocking=False):
            try:
                found, is_room = self._find(size)
            finally:
                self._lock.release()
        else:
            return None
        if not is_room:
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
        found.used = max(found.used, len(part))
        anchor, view = found.view()
        self._out[id(found)] = weakref.ref(anchor, partial(self._is_free, found))
        return view[: len(part)]

    def _find(self, size: int) -> tuple[Memory | None, bool]:
        """Return one that is idle, and whether there is one or may be one more."""
        self._settle()
        found = next((one for one in reversed(self._idle) if one.size == size), None)
        if found is None:
            return None, self._make_room()
        self._idle.remove(found)
        return found, True

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
        while sum(one.used for one in self._idle) > _IDLE:
            del self._idle[0]
            self._count -= 1


def _made(size: int, part: memoryview) -> Memory:
    fd, made = memory.make(size, keep=True)
    made.is_staged = True
    memory.write(fd, part, 0)
    return made


class Marked(NamedTuple):
    """What crosses without another copy.

    Attributes:
        view: of what is sent.
        memory: that it begins.
        is_lent: whether it is lent, and not given away.
    """

    view: memoryview
    memory: Memory
    is_lent: bool


def passed(buffer: Any) -> pickle.PickleBuffer:
    """Mark a buffer, while it is pickled, as one to be passed on if that can be."""
    part = memoryview(buffer)
    found = _memory_of(part)
    return pickle.PickleBuffer(buffer if found is None or found.is_private else _mark(part, found, False))


def lent(buffer: Any) -> pickle.PickleBuffer:
    """Mark a buffer, while it is pickled, as one to be lent if that can be."""
    part = memoryview(buffer)
    found = _memory_of(part) if CAN_LEND else None
    is_good = found is not None and not found.was_written_to()
    return pickle.PickleBuffer(_mark(part, found, True) if found and is_good else buffer)


def marked(part: memoryview) -> Marked | None:
    """Return what was marked; None: this was not."""
    return getattr(part.obj, "marked", None)


def _memory_of(part: memoryview) -> Memory | None:
    """Return the memory that a buffer begins, if others can have it."""
    found = _begins(part)
    return found if found is not None and found.fd >= 0 and not found.is_over else None


def _begins(part: memoryview) -> Memory | None:
    """Return the memory that a writable buffer begins."""
    found = getattr(part.obj, "memory", None)
    return found if type(found) is Memory and not part.readonly and found.begins(part) else None


def restored(buffer: Any) -> bool:
    """Have a buffer that was lent show what it was lent with. Return False if it was not lent."""
    found = _begins(memoryview(buffer))
    if found is None or not found.is_private:
        return False
    found.restore()
    return True


def _mark(part: memoryview, found: Memory, is_lent: bool) -> Any:
    mark: Any = (ctypes.c_char * part.nbytes).from_buffer(part)
    mark.marked = Marked(part, found, is_lent)
    return mark
