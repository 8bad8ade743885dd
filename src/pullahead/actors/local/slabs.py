"""Shared memory for large parts of messages: one copy by the sender, none by the receiver.

Rules
-----
1. A slab carries what came with one message, from one sender to one receiver: one part of `ALONE` bytes and
   more, or all smaller parts. The sender copies them into it; the receiver's views point into it; when the
   last view dies the receiver says so, and the sender uses the slab again, whatever becomes of the other
   parts of that message. So a received array is the receiver's own to write to, and the sender's stays as it
   was.
2. The descriptor of a slab crosses once, with the first message in it. Both ends map it once
   and close it.
3. What is `put` has a slab of its own, sealed against writing, which every reader maps read-only.
4. What is passed on (`stage`) is not copied again: the slab is lent under a number of this channel, and its
   receiver gives it back like any other.
5. Nothing has a name in a file system, and the kernel frees a slab with its last mapping: whoever is
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
from pullahead.actors.local.descriptors import close_all
from pullahead.actors.local.memory import Memory
from pullahead.actors.local.payload import Payload
from pullahead.actors.local.stage import LEAST, passed_memory

if TYPE_CHECKING:
    from pullahead.actors.local.wire import Channel

__all__ = ["IDLE_BYTES", "INLINE", "Budget", "Slabs", "seal", "unpack"]

# Bytes of a stream that travel in the frame, which then is sent at once (wire.WHOLE).
INLINE: Final = 31 << 10
IDLE_BYTES: Final = 256 << 20
# Bytes from which on a part has a slab of its own: so its memory is back before that of the others.
ALONE: Final = LEAST
# Slabs of one message at most: their descriptors may all be new, and have to come with one read. And slabs
# of a channel that are out: beyond, a message has one, because the kernel bounds the descriptors under way.
_MOST: Final = 16
_MOST_OUT: Final = 64
# Descriptors that a process keeps of slabs that it may have to pass on.
_MOST_KEPT: Final = 256
_SMALLEST: Final = 64 << 10
_ALIGN: Final = 64  # a cache line; what vector instructions and Arrow want

_SEALED: Final = -1  # instead of a slab's number: a slab of its own, read-only
_IN_FRAME: Final = -2

Head = tuple[tuple[tuple[int, int, bool], ...], tuple[int, ...], bool]
"""(number and size of each slab, and whether it may be passed on; lengths of the parts; whether the first
part is the pickle stream)."""

_Places = list[tuple[int, int]]
"""Of each part, in which of the slabs it is, and from where on."""


def _places(lengths: Sequence[int], most: int) -> tuple[_Places, list[int]]:
    """Place parts in at most so many slabs. Returns how much each slab has to hold, too.

    Both ends compute the same: with as many slabs as were needed, the places are the same ones.
    """
    places: _Places = []
    ends: list[int] = []
    shared = -1  # the slab of those that have none of their own
    for length in lengths:
        if length >= ALONE and len(ends) < most - (shared < 0):
            slab = len(ends)
            ends.append(0)
        elif shared < 0:
            slab = shared = len(ends)
            ends.append(0)
        else:
            slab = shared
        places.append((slab, ends[slab]))
        ends[slab] += -(-length // _ALIGN) * _ALIGN
    return places, ends


def _parts(payload: Payload) -> tuple[list[memoryview], bool]:
    stream_inside = len(payload.data) > INLINE
    parts = [memoryview(payload.data)] if stream_inside else []
    return parts + [view.cast("B") for view in payload.buffers], stream_inside


@final
class Budget:
    """What the idle slabs of a process hold, over all its channels, and the descriptors that it keeps."""

    __slots__ = ("idle_bytes", "kept")

    def __init__(self) -> None:
        self.idle_bytes = 0
        self.kept = 0


@final
class _Slab:
    __slots__ = ("lent", "memory", "number", "size", "used")

    def __init__(self, number: int, memory: Memory, lent: memoryview | None = None) -> None:
        self.number, self.size, self.memory = number, memory.size, memory
        self.used = 0  # the most that was ever in it: what it costs
        self.lent = lent  # what keeps it from being used for anything else; None: it is this channel's own


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
        self._numbers: weakref.WeakKeyDictionary[Memory, int] = weakref.WeakKeyDictionary()  # of lent ones
        self._lent: dict[int, weakref.ref[Memory]] = {}  # by their numbers
        self._over: deque[int] = deque()  # numbers whose memory is gone
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
        places, ends = _places(lengths, max(1, min(_MOST, _MOST_OUT - len(self._busy))))
        rest = b"" if stream_inside else payload.data
        slabs: list[_Slab] = []
        new: dict[int, int] = {}  # descriptors, by place among the slabs
        first_in = {place: part for part, (place, _) in zip(reversed(parts), reversed(places), strict=True)}
        try:
            for place, end in enumerate(ends):
                slab, fd = self._lend(first_in[place], end) or self._take(end)
                if fd is not None:
                    new[len(slabs)] = fd
                slabs.append(slab)
        except OSError:
            self._take_back(slabs, new)
            return (((_IN_FRAME, 0, False),), lengths, stream_inside), b"".join((*parts, rest)), ()
        try:
            for part, (place, offset) in zip(parts, places, strict=True):
                if slabs[place].lent is not None:
                    continue
                if place in new:
                    memory.write(new[place], part, offset)
                else:
                    slabs[place].memory.copy_in(part, offset)
        except BaseException:  # Ctrl-C, or no memory left
            self._take_back(slabs, new)
            raise
        told = tuple((slab.number, slab.size, slab.memory.is_staged) for slab in slabs)
        return (told, lengths, stream_inside), rest, tuple(new.values())

    def _lend(self, part: memoryview, needed: int) -> tuple[_Slab, int | None] | None:
        """Lend the memory of what is passed on; it comes with its descriptor if the peer has none. None: it
        is to be copied."""
        lent = passed_memory(part)
        if lent is None or len(part) < ALONE or needed > -(-len(part) // _ALIGN) * _ALIGN:
            return None  # others would lie behind it
        view, memory = lent
        fd = None
        with self._lock:
            number = self._numbers.get(memory)
            if number is None:
                fd = os.dup(memory.fd)
                self._made += 1
                number = self._numbers[memory] = self._made
                self._lent[number] = weakref.ref(memory, partial(self._memory_gone, number))
            elif number in self._busy:  # the peer has it already, from another message
                return None
            slab = self._busy[number] = _Slab(number, memory, view)
        return slab, fd

    def _memory_gone(self, number: int, _memory: object) -> None:
        # The garbage collector may call this anywhere: no lock, no wait.
        self._over.append(number)
        self._channel.loop.call(self._send_drops)

    def _send_drops(self) -> None:
        while self._over:
            number = self._over.popleft()
            self._lent.pop(number, None)
            self._channel.send(kinds.SLAB_DROP, number)

    def _take(self, needed: int) -> tuple[_Slab, int | None]:
        """Take an idle slab, or a new one, which comes with its descriptor."""
        size = max(_SMALLEST, 1 << (needed - 1).bit_length())
        with self._lock:
            for index in range(len(self._idle) - 1, -1, -1):  # the latest: its pages are the warmest
                slab = self._idle[index]
                if slab.size == size:
                    del self._idle[index]
                    self._budget.idle_bytes -= slab.used
                    slab.used = max(slab.used, needed)
                    self._busy[slab.number] = slab
                    return slab, None
            self._made += 1
            number = self._made
        fd = memory.create(size)
        try:
            slab = _Slab(number, Memory(fd, size))
        except OSError:
            os.close(fd)
            raise
        slab.used = needed
        self._busy[number] = slab
        return slab, fd

    def _take_back(self, slabs: Sequence[_Slab], new: dict[int, int]) -> None:
        """These are not sent after all. The peer knows nothing of new ones."""
        for place, slab in enumerate(slabs):
            if place in new:
                self._busy.pop(slab.number, None)
                self._numbers.pop(slab.memory, None)
                self._lent.pop(slab.number, None)
                os.close(new[place])
            else:
                self.on_free(slab.number)

    def on_free(self, number: int) -> None:
        """The receiver's last view is gone."""
        dropped = []
        with self._lock:
            slab = self._busy.pop(number, None)
            if slab is None or slab.lent is not None:
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
        slabs, lengths, stream_inside = head
        if slabs[0][0] < 0:
            return unpack(head, rest, fds)
        try:
            new = iter(fds)
            for number, size, may_pass in slabs:
                if number not in self._maps:
                    self._maps[number] = self._mapped(next(new), size, keep=may_pass)
        finally:
            close_all(fds)
        wholes = []
        for number, *_ in slabs:
            # All views of a slab end in this one object, so its death is the death of the last of them.
            anchor, whole = self._maps[number].view()
            self._anchors[number] = weakref.ref(anchor, partial(self._view_gone, number))
            wholes.append(whole)
        return _assemble(wholes, _places(lengths, len(slabs))[0], lengths, stream_inside, rest)

    def _mapped(self, fd: int, size: int, *, keep: bool) -> Memory:
        if not keep or self._budget.kept >= _MOST_KEPT:
            return Memory(fd, size)
        own = os.dup(fd)
        try:
            found = Memory(own, size, keep=True)
        except OSError:
            os.close(own)
            raise
        self._budget.kept += 1
        return found

    def _view_gone(self, number: int, _anchor: object) -> None:
        # The garbage collector may call this anywhere: no lock, no wait.
        self._gone.append(number)
        self._channel.loop.call(self._send_frees)

    def _send_frees(self) -> None:
        while self._gone:
            number = self._gone.popleft()
            self._anchors.pop(number, None)
            known = self._maps.get(number)
            if known is None or not known.is_over:
                self._channel.send(kinds.SLAB_FREE, number)

    def on_drop(self, number: int) -> None:
        """The sender will not use this slab again."""
        self._let_go(self._maps.pop(number, None))

    def _let_go(self, known: Memory | None) -> None:
        if known is not None and known.fd >= 0:
            self._budget.kept -= 1

    def close(self) -> None:
        """Let go of everything; views of the receiver stay good."""
        with self._lock:
            for slab in self._idle:
                self._budget.idle_bytes -= slab.used
            self._idle.clear()
            for slab in self._busy.values():
                slab.memory.is_over = True  # whoever had it may have passed it on
            self._busy.clear()
        for known in self._maps.values():
            self._let_go(known)
        self._maps.clear()


def _assemble(
    wholes: Sequence[memoryview],
    places: _Places,
    lengths: Sequence[int],
    stream_inside: bool,
    rest: bytes | memoryview,
) -> Payload:
    parts = [
        wholes[slab][start : start + length] for (slab, start), length in zip(places, lengths, strict=True)
    ]
    return Payload(parts[0], parts[1:]) if stream_inside else Payload(rest, parts)


def unpack(head: Head, rest: bytes | memoryview, fds: Sequence[int]) -> Payload:
    """Open a sealed slab, or parts that came in the frame."""
    ((number, size, _),), lengths, stream_inside = head
    if number == _SEALED:
        try:
            _, whole = Memory(fds[0], size, writable=False).view()
        finally:
            close_all(fds)
        return _assemble([whole], _places(lengths, 1)[0], lengths, stream_inside, rest)
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
    places, (end,) = _places(lengths, 1)
    try:
        fd = memory.create(end)
    except OSError:  # each reader gets a copy of this copy
        return Payload(payload.data, [memoryview(bytes(view)) for view in payload.buffers], payload.refs)
    for part, (_, offset) in zip(parts, places, strict=True):
        memory.write(fd, part, offset)
    memory.seal(fd)
    head = ((_SEALED, end, False),), lengths, stream_inside
    sealed = Sealed(fd, head, b"" if stream_inside else payload.data)
    opened = unpack(sealed.head, sealed.rest, (os.dup(fd),))
    return Payload(opened.data, opened.buffers, payload.refs, sealed)
