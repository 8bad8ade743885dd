"""Shared memory for large parts of messages: one copy by the sender, none by the receiver.

Rules
-----
1. A slab carries what came with one message, from one sender to one receiver: one part of `ALONE` bytes and
   more, or all smaller parts. The sender copies them into it; the receiver's views point into it; when the
   last view dies the receiver says so, and the sender uses the slab again, whatever becomes of the other
   parts of that message. So a received array is the receiver's own to write to, and the sender's stays as it
   was.
2. The descriptor of a slab crosses once, with the first message in it. Both ends map it once and close it,
   unless it may have to be passed on (rule 4).
3. What is `put` has a slab of its own, sealed against writing, which every reader maps read-only.
4. What is passed on or lent (`stage`) is not copied again: the slab has a number of this channel, and its
   receiver gives it back like any other. What is lent it maps privately.
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
from collections.abc import Collection, Sequence
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final, final

from pullahead.actors.local import kinds, memory
from pullahead.actors.local.descriptors import close_all, most_open
from pullahead.actors.local.loans import MAY_PASS, PRIVATE, Loan, Loans
from pullahead.actors.local.memory import Memory
from pullahead.actors.local.payload import Payload
from pullahead.actors.local.stage import LEAST, Stage, marked

if TYPE_CHECKING:
    from pullahead.actors.local.wire import Channel

__all__ = ["IDLE_BYTES", "INLINE", "Budget", "Slabs", "seal", "unpack"]

# Bytes of a stream that travel in the frame, which then is sent at once (wire.WHOLE).
INLINE: Final = 31 << 10
IDLE_BYTES: Final = 256 << 20
# Bytes from which on a part has a slab of its own: so its memory is back before that of the others.
ALONE: Final = LEAST
# Slabs of one message at most, and how many more are passed on with it: their descriptors may all be new,
# and have to come with one read. And slabs of a channel that are out: beyond, a message has one, because the
# kernel bounds the descriptors under way.
_MOST: Final = 16
_MOST_LOANS: Final = 32
_MOST_OUT: Final = 64
# Descriptors that a process keeps of slabs that it may have to pass on: an eighth of what it may have.
_MOST_KEPT: Final = min(256, most_open() // 8)
_SMALLEST: Final = 64 << 10
_ALIGN: Final = 64  # a cache line; what vector instructions and Arrow want

_SEALED: Final = -1  # instead of a slab's number: a slab of its own, read-only
_IN_FRAME: Final = -2

Head = tuple[tuple[tuple[int, int, int], ...], tuple[int, ...], tuple[int, ...], bool]
"""(number and size of each slab, and how it crosses, see `Loan`; in which slab each part is; lengths of the
parts; whether the first part is the pickle stream)."""


def _shelve(lengths: Sequence[int], alone: Collection[int], most: int) -> list[int]:
    """Return in which slab each part goes. Those of the places `alone` have one each. The others are in at
    most so many: each that is large in its own, and what is left in one."""
    slab_of: list[int] = []
    count = own = 0
    shared = -1  # the slab of those that have none of their own
    for place, length in enumerate(lengths):
        if place in alone:
            slab = count
        elif length >= ALONE and own < most - (shared < 0):
            slab, own = count, own + 1
        elif shared < 0:
            slab = shared = count
            own += 1
        else:
            slab = shared
        slab_of.append(slab)
        count = max(count, slab + 1)
    return slab_of


def _offsets(lengths: Sequence[int], slab_of: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return from where on each part is in its slab, and how much each slab holds. Both ends compute this."""
    offsets: list[int] = []
    ends = [0] * (max(slab_of, default=-1) + 1)
    for length, slab in zip(lengths, slab_of, strict=True):
        offsets.append(ends[slab])
        ends[slab] += -(-length // _ALIGN) * _ALIGN
    return offsets, ends


def _parts(payload: Payload) -> tuple[list[memoryview], bool]:
    stream_inside = len(payload.data) > INLINE
    parts = [memoryview(payload.data)] if stream_inside else []
    return parts + [view.cast("B") for view in payload.buffers], stream_inside


@final
class Budget:
    """What the channels of a process have together.

    Attributes:
        idle_bytes: what its idle slabs hold.
        kept: mappings that have a descriptor.
        stage: its own memory that is passed on.
        writes: whether it writes to what it is lent, and gets copies.
    """

    __slots__ = ("idle_bytes", "kept", "stage", "writes")

    def __init__(self) -> None:
        self.idle_bytes = 0
        self.stage = Stage()
        self.writes = False
        self.kept: weakref.WeakSet[Memory] = weakref.WeakSet()


@final
class _Slab:
    __slots__ = ("fd", "memory", "number", "size", "used")

    how = 0  # as a loan has it: whoever gets this one has it alone

    def __init__(self, number: int, memory: Memory, fd: int | None) -> None:
        self.number, self.size, self.memory = number, memory.size, memory
        self.used = 0  # the most that was ever in it: what it costs
        self.fd = fd  # until it is sent for the first time


@final
class Slabs:
    """The slabs of one channel, in both directions."""

    def __init__(self, channel: Channel, budget: Budget) -> None:
        self._channel = channel
        self._budget = budget
        self._lock = threading.RLock()
        self._busy: dict[int, _Slab] = {}
        self._idle: deque[_Slab] = deque()
        self._numbers = count(1)
        self._loans = Loans(channel, self._lock, self._numbers.__next__)
        self._maps: dict[int, Memory] = {}  # the peer's slabs
        self._anchors: dict[int, weakref.ref[Any]] = {}
        self._exposed: set[int] = set()  # what was lent and not copied: its receiver may write to it
        self._gone: deque[int] = deque()

    # sending

    def pack(self, payload: Payload) -> tuple[Head, bytes | memoryview, tuple[int, ...]]:
        """Put the large parts of a payload into a slab; return its head, the rest, and the descriptor."""
        if payload.shared is not None:
            return payload.shared.head, payload.shared.rest, (os.dup(payload.shared.fd),)
        parts, stream_inside = _parts(payload)
        rest = b"" if stream_inside else payload.data
        lengths = tuple(len(part) for part in parts)
        loans: dict[int, Loan] = {}
        slabs: list[_Slab] = []
        try:
            self._lend(parts, loans)
            slab_of = _shelve(lengths, loans, max(1, min(_MOST, _MOST_OUT - len(self._busy))))
            offsets, ends = _offsets(lengths, slab_of)
            lent = {slab_of[place]: loan for place, loan in loans.items()}
            carriers = [lent.get(slab) or self._take(end, slabs) for slab, end in enumerate(ends)]
        except OSError:
            self._take_back(slabs, loans)
            head = ((_IN_FRAME, 0, 0),), (), lengths, stream_inside
            return head, b"".join((*parts, rest)), ()
        except BaseException:
            self._take_back(slabs, loans)
            raise
        try:
            for place, part in enumerate(parts):
                slab = carriers[slab_of[place]]
                if place in loans:
                    continue
                if slab.fd is not None:
                    memory.write(slab.fd, part, offsets[place])
                else:
                    slab.memory.copy_in(part, offsets[place])
        except BaseException:  # Ctrl-C, or no memory left
            self._take_back(slabs, loans)
            raise
        told = tuple((one.number, one.size, one.how) for one in carriers)
        fds = tuple(one.fd for one in carriers if one.fd is not None)
        for slab in slabs:
            slab.fd = None  # it is the channel's from now on
        return (told, tuple(slab_of), lengths, stream_inside), rest, fds

    def _lend(self, parts: Sequence[memoryview], loans: dict[int, Loan]) -> None:
        """Lend what is passed on, by its place. What cannot be lent is to be copied."""
        for place, part in enumerate(parts):
            found = marked(part)
            if found is not None and len(part) >= ALONE and len(loans) < _MOST_LOANS:
                loan = self._loans.lend(found)
                if loan is not None:
                    loans[place] = loan

    def _take(self, needed: int, taken: list[_Slab]) -> _Slab:
        """Take an idle slab, or a new one, and put it to what was taken."""
        size = max(_SMALLEST, 1 << (needed - 1).bit_length())
        with self._lock:
            for index in range(len(self._idle) - 1, -1, -1):  # the latest: its pages are the warmest
                slab = self._idle[index]
                if slab.size == size:
                    del self._idle[index]
                    taken.append(slab)
                    self._budget.idle_bytes -= slab.used
                    slab.used = max(slab.used, needed)
                    self._busy[slab.number] = slab
                    return slab
        fd, made = memory.make(size)
        slab = _Slab(next(self._numbers), made, fd)
        taken.append(slab)
        slab.used = needed
        self._busy[slab.number] = slab
        return slab

    def _take_back(self, slabs: Sequence[_Slab], loans: dict[int, Loan]) -> None:
        """These are not sent after all. The peer knows nothing of new ones."""
        for loan in loans.values():
            self._loans.take_back(loan)
        for slab in slabs:
            if slab.fd is not None:
                self._busy.pop(slab.number, None)
                os.close(slab.fd)
            else:
                self.on_free(slab.number)

    def on_free(self, number: int, is_over: bool = False) -> None:
        """The receiver's last view is gone. `is_over`: but somebody unknown may have one."""
        dropped = []
        with self._lock:
            slab = self._busy.pop(number, None)
            if slab is None:
                self._loans.returned(number, is_over)
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
        slabs, slab_of, lengths, stream_inside = head
        if slabs[0][0] < 0:
            return unpack(head, rest, fds)
        new = deque(fds)
        try:
            for number, size, how in slabs:
                if number not in self._maps:
                    self._maps[number] = self._mapped(new, size, how)
        finally:
            close_all(new)
        wholes = []
        for place, (number, _, how) in enumerate(slabs):
            # All views of a slab end in this one object, so its death is the death of the last of them.
            anchor, whole = self._maps[number].view()
            self._anchors[number] = weakref.ref(anchor, partial(self._view_gone, number))
            if how & PRIVATE:
                whole = self._shown(whole, number, lengths[slab_of.index(place)])
            wholes.append(whole)
            del anchor, whole
        return _assemble(wholes, slab_of, lengths, stream_inside, rest)

    def _mapped(self, fds: deque[int], size: int, how: int) -> Memory:
        """Map what the next descriptor leads to, which is closed, or kept."""
        keep = bool(how & MAY_PASS) and len(self._budget.kept) < _MOST_KEPT
        try:
            found = Memory(fds[0], size, keep=keep, private=bool(how & PRIVATE))
        except OSError:
            if not how & PRIVATE:
                raise
            # There is no room for what may be written to it.
            found = Memory(fds[0], size, keep=keep, writable=False)
        fd = fds.popleft()
        if keep:
            self._budget.kept.add(found)
        else:
            os.close(fd)
        return found

    def _shown(self, whole: memoryview, number: int, length: int) -> memoryview:
        """Return what was lent, which its receiver may write to."""
        lent = self._maps[number]
        if lent.is_private:
            lent.show(length)
            if not self._budget.writes:
                self._exposed.add(number)
                return whole
        copy = self._budget.stage.copy(whole[:length], wait=False)
        return memoryview(bytearray(whole[:length])) if copy is None else copy

    def _view_gone(self, number: int, _anchor: object) -> None:
        # The garbage collector may call this anywhere: no lock, no wait.
        self._gone.append(number)
        self._channel.loop.call(self._send_frees)

    def _send_frees(self) -> None:
        while self._gone:
            number = self._gone.popleft()
            self._anchors.pop(number, None)
            known = self._maps.get(number)
            is_over = False
            if known is not None:
                is_over = known.is_over
                if number in self._exposed:  # also if it gets copies by now
                    self._exposed.discard(number)
                    self._budget.writes = known.hide() or self._budget.writes
            self._channel.send(kinds.SLAB_FREE, number, is_over)

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
            self._loans.close()
        self._maps.clear()


def _assemble(
    wholes: Sequence[memoryview],
    slab_of: Sequence[int],
    lengths: Sequence[int],
    stream_inside: bool,
    rest: bytes | memoryview,
) -> Payload:
    places = zip(slab_of, _offsets(lengths, slab_of)[0], lengths, strict=True)
    parts = [wholes[slab][start : start + length] for slab, start, length in places]
    return Payload(parts[0], parts[1:]) if stream_inside else Payload(rest, parts)


def unpack(head: Head, rest: bytes | memoryview, fds: Sequence[int]) -> Payload:
    """Open a sealed slab, or parts that came in the frame."""
    ((number, size, _),), slab_of, lengths, stream_inside = head
    if number == _SEALED:
        try:
            _, whole = Memory(fds[0], size, writable=False).view()
        finally:
            close_all(fds)
        return _assemble([whole], slab_of, lengths, stream_inside, rest)
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
    slab_of = (0,) * len(parts)
    offsets, (end,) = _offsets(lengths, slab_of)
    try:
        fd = memory.create(end)
    except OSError:  # each reader gets a copy of this copy
        return Payload(payload.data, [memoryview(bytes(view)) for view in payload.buffers], payload.refs)
    for part, offset in zip(parts, offsets, strict=True):
        memory.write(fd, part, offset)
    memory.seal(fd)
    head = ((_SEALED, end, 0),), slab_of, lengths, stream_inside
    sealed = Sealed(fd, head, b"" if stream_inside else payload.data)
    opened = unpack(sealed.head, sealed.rest, (os.dup(fd),))
    return Payload(opened.data, opened.buffers, payload.refs, sealed)
