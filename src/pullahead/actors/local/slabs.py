"""Shared memory for large parts of messages: one copy by the sender, none by the receiver.

Rules
-----
1. A slab carries one message at a time, from one sender to one receiver. The sender copies the parts into
   it; the receiver's views point into it; when the last view dies the receiver says so, and the sender uses
   the slab again. So a received array is the receiver's own to write to, and the sender's stays as it was.
2. The descriptor of a slab crosses once, with the first message in it. Both ends map it once
   and close it.
3. What is `put` has a slab of its own, sealed against writing, which every reader maps read-only.
4. Nothing has a name in a file system, and the kernel frees a slab with its last mapping: whoever is
   killed, nothing is left.

Why pooled: a fresh memfd costs a page fault and a cleared page for every 4 KiB, which makes it a quarter
as fast as one that is used again (1.8 against 7.0 GB/s here, memcpy 8.3). A fresh one is filled by
`pwrite`, which takes its faults inside the kernel (3.2 GB/s); after that, the mapping is faster.

Idle slabs of a process are kept up to `IDLE_BYTES`; the oldest go first. Where shared memory cannot be
had (no descriptors left, no memory) the parts travel in the frame: slower, and otherwise the same.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from pullahead.actors.local import kinds, memory
from pullahead.actors.local.memory import Memory
from pullahead.actors.local.payload import Payload

if TYPE_CHECKING:
    from pullahead.actors.local.wire import Channel

__all__ = ["IDLE_BYTES", "INLINE", "Budget", "Slabs", "seal", "unpack"]

# Bytes of a stream that travel in the frame, which then is sent at once (wire.WHOLE).
INLINE: Final = 31 << 10
IDLE_BYTES: Final = 256 << 20
_SMALLEST: Final = 64 << 10
_ALIGN: Final = 64  # a cache line; what vector instructions and Arrow want

_SEALED: Final = -1  # instead of a slab's number: a slab of its own, read-only
_IN_FRAME: Final = -2

Head = tuple[int, int, tuple[int, ...], bool]
"""(slab, size, lengths of the parts, whether the first part is the pickle stream)."""


def _offsets(lengths: Sequence[int]) -> tuple[list[int], int]:
    """Place parts one after the other; both ends compute the same."""
    offsets, end = [], 0
    for length in lengths:
        offsets.append(end)
        end += -(-length // _ALIGN) * _ALIGN
    return offsets, end


def _parts(payload: Payload) -> tuple[list[memoryview], bool]:
    stream_inside = len(payload.data) > INLINE
    parts = [memoryview(payload.data)] if stream_inside else []
    return parts + [view.cast("B") for view in payload.buffers], stream_inside


@final
class Budget:
    """What the idle slabs of a process hold, over all its channels."""

    __slots__ = ("idle_bytes",)

    def __init__(self) -> None:
        self.idle_bytes = 0


@final
class _Slab:
    __slots__ = ("memory", "number", "size", "used")

    def __init__(self, number: int, size: int, memory: Memory) -> None:
        self.number, self.size, self.memory = number, size, memory
        self.used = 0  # the most that was ever in it: what it costs


@final
class Slabs:
    """The slabs of one channel, in both directions."""

    def __init__(self, channel: Channel, budget: Budget) -> None:
        self._channel = channel
        self._budget = budget
        self._lock = threading.RLock()
        self._busy: dict[int, _Slab] = {}
        self._idle: deque[_Slab] = deque()
        self._made = 0
        self._maps: dict[int, Memory] = {}  # the peer's slabs
        self._anchors: dict[int, weakref.ref[Any]] = {}
        self._gone: deque[int] = deque()

    # sending

    def pack(self, payload: Payload) -> tuple[Head, bytes | memoryview, tuple[int, ...]]:
        """Put the large parts of a payload into a slab; return its head, the rest, and the descriptor."""
        if payload.shared is not None:
            return payload.shared.head, payload.shared.rest, (os.dup(payload.shared.fd),)
        parts, stream_inside = _parts(payload)
        lengths = tuple(len(part) for part in parts)
        offsets, end = _offsets(lengths)
        rest = b"" if stream_inside else payload.data
        try:
            slab, fds = self._take(end)
        except OSError:
            return (_IN_FRAME, 0, lengths, stream_inside), b"".join((*parts, rest)), ()
        for part, offset in zip(parts, offsets, strict=True):
            if fds:
                memory.write(fds[0], part, offset)
            else:
                slab.memory.copy_in(part, offset)
        return (slab.number, slab.size, lengths, stream_inside), rest, fds

    def _take(self, needed: int) -> tuple[_Slab, tuple[int, ...]]:
        size = max(_SMALLEST, 1 << (needed - 1).bit_length())
        with self._lock:
            for index in range(len(self._idle) - 1, -1, -1):  # the latest: its pages are the warmest
                slab = self._idle[index]
                if slab.size == size:
                    del self._idle[index]
                    self._budget.idle_bytes -= slab.used
                    slab.used = max(slab.used, needed)
                    self._busy[slab.number] = slab
                    return slab, ()
            self._made += 1
            number = self._made
        fd = memory.create(size)
        try:
            slab = _Slab(number, size, Memory(fd, size))
        except OSError:
            os.close(fd)
            raise
        slab.used = needed
        self._busy[number] = slab
        return slab, (fd,)

    def on_free(self, number: int) -> None:
        """The receiver's last view is gone."""
        dropped = []
        with self._lock:
            slab = self._busy.pop(number, None)
            if slab is None:
                return
            self._idle.append(slab)
            self._budget.idle_bytes += slab.used
            while self._idle and self._budget.idle_bytes > IDLE_BYTES:
                dropped.append(self._idle.popleft())
                self._budget.idle_bytes -= dropped[-1].used
        for slab in dropped:
            self._channel.send(kinds.SLAB_DROP, slab.number)

    # receiving

    def unpack(self, head: Head, rest: bytes, fds: list[int]) -> Payload:
        """Map what `pack` packed. Under the loop's lock."""
        number, size, lengths, stream_inside = head
        if number < 0:
            return unpack(head, rest, fds)
        if fds:
            try:
                self._maps[number] = Memory(fds[0], size)
            finally:
                os.close(fds[0])
        # All views end in this one object, so its death is the death of the last of them.
        anchor, whole = self._maps[number].view()
        self._anchors[number] = weakref.ref(anchor, partial(self._view_gone, number))
        return _assemble(whole, lengths, stream_inside, rest)

    def _view_gone(self, number: int, _anchor: object) -> None:
        # The garbage collector may call this anywhere: no lock, no wait.
        self._gone.append(number)
        self._channel.loop.call(self._send_frees)

    def _send_frees(self) -> None:
        while self._gone:
            number = self._gone.popleft()
            self._anchors.pop(number, None)
            self._channel.send(kinds.SLAB_FREE, number)

    def on_drop(self, number: int) -> None:
        """The sender will not use this slab again."""
        self._maps.pop(number, None)

    def close(self) -> None:
        """Let go of everything; views of the receiver stay good."""
        with self._lock:
            for slab in self._idle:
                self._budget.idle_bytes -= slab.used
            self._idle.clear()
            self._busy.clear()
        self._maps.clear()


def _assemble(
    whole: memoryview, lengths: Sequence[int], stream_inside: bool, rest: bytes | memoryview
) -> Payload:
    offsets, _ = _offsets(lengths)
    parts = [whole[start : start + length] for start, length in zip(offsets, lengths, strict=True)]
    return Payload(parts[0], parts[1:]) if stream_inside else Payload(rest, parts)


def unpack(head: Head, rest: bytes | memoryview, fds: Sequence[int]) -> Payload:
    """Open a sealed slab, or parts that came in the frame."""
    number, size, lengths, stream_inside = head
    if number == _SEALED:
        try:
            _, whole = Memory(fds[0], size, writable=False).view()
        finally:
            os.close(fds[0])
        return _assemble(whole, lengths, stream_inside, rest)
    parts, start = [], 0
    for length in lengths:
        parts.append(memoryview(bytearray(rest[start : start + length])))  # writable, as from a slab
        start += length
    return Payload(parts[0], parts[1:]) if stream_inside else Payload(rest[start:], parts)


@final
class Sealed:
    """What `put` stored: memory that nobody can write to any more."""

    __slots__ = ("__weakref__", "fd", "head", "rest")

    def __init__(self, fd: int, head: Head, rest: bytes | memoryview) -> None:
        self.fd, self.head, self.rest = fd, head, rest
        weakref.finalize(self, os.close, fd).atexit = False


def seal(payload: Payload) -> Payload:
    """Move the large parts of a payload into a sealed slab, for many readers."""
    parts, stream_inside = _parts(payload)
    if not parts:
        return payload
    lengths = tuple(len(part) for part in parts)
    offsets, end = _offsets(lengths)
    try:
        fd = memory.create(end)
    except OSError:  # each reader gets a copy of this copy
        return Payload(payload.data, [memoryview(bytes(view)) for view in payload.buffers], payload.refs)
    for part, offset in zip(parts, offsets, strict=True):
        memory.write(fd, part, offset)
    memory.seal(fd)
    sealed = Sealed(fd, (_SEALED, end, lengths, stream_inside), b"" if stream_inside else payload.data)
    opened = unpack(sealed.head, sealed.rest, (os.dup(fd),))
    return Payload(opened.data, opened.buffers, payload.refs, sealed)
