"""Frames, and the channel that carries them between two processes.

A frame is a fixed head (body length, number, head length, kind, descriptors, flag), a marshalled head if
there is more to say, and a payload that nobody opens on the way. Marshal, not pickle, for the head: it
is made of builtin types only, and costs 0.15 µs.

Sending never waits for the peer in the thread that reads. A frame of at most `WHOLE` bytes is sent at once by
the thread that has it; what the kernel does not take waits in `_out` for the loop. Other threads wait
while more than `HIGH` bytes stand there, and the loop never does.

A KeyboardInterrupt may hit the driver's main thread between any two bytecodes, so it must not find a
frame half sent: one that fits one kernel buffer is taken whole or not at all, and larger ones are
left to the loop. Payloads of some size travel in shared memory and not here (slabs.py), so frames are small.
"""

from __future__ import annotations

import contextlib
import marshal
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, final

from pullahead.actors.local.descriptors import FD_SPACE, close_all, received_fds
from pullahead.actors.local.io import READ, WRITE, Loop

__all__ = ["CHUNK", "FIXED", "WHOLE", "Channel", "Frame", "Handler"]

FIXED: Final = struct.Struct("<QQIBBH")
# All in bytes. Linux takes a unix stream message of up to about 36 KiB as one buffer, or not at all.
WHOLE: Final = 32 << 10
# Above it a sender waits, below the other it goes on: 20 full socket buffers, 1 ms at memory speed.
HIGH: Final = 4 << 20
LOW: Final = 1 << 20
# What one read takes at most. For 128 KiB and more, malloc asks the kernel each time.
CHUNK: Final = 64 << 10

_loads = marshal.loads  # it comes from our own processes only

Frame = tuple[int, int, tuple[Any, ...], bytes, list[int]]
"""(number, flag, head, payload, descriptors)"""

Handler = Callable[["Channel", Frame], None]
"""What a frame of one kind does."""


@final
class Channel:
    """One end of a connection to another process."""

    def __init__(
        self,
        sock: socket.socket,
        peer: int,
        loop: Loop,
        handlers: Sequence[Handler],
        on_end: Callable[[Channel], None],
    ) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.peer = peer
        self.ended = False  # the peer's end is closed and everything it sent was handled
        self.truncated = False  # it ended because this process may not open more files
        self.broken = False  # sending is no use any more
        self.claimed: Any = None  # who reads this channel instead of the loop; see `inbox`
        # What a claimer read and left to the loop, as `recvmsg` returned it.
        self.inbox: deque[tuple[bytes, list[Any], int, Any]] = deque()
        self.pending: dict[int, Any] = {}  # number -> ref that waits for a reply on this channel
        self.slabs: Any = None  # shared memory in both directions; made by slabs.py
        self.loop = loop
        self._handlers = handlers
        self._on_end = on_end
        self._sending = threading.RLock()  # a finalizer of a user may make a call while it is held
        self._room = threading.Condition(self._sending)
        self._out: deque[tuple[memoryview, Sequence[int]]] = deque()
        self._out_bytes = 0
        self._rest = bytearray()
        self._fds: deque[int] = deque()
        sock.setblocking(True)  # each call says MSG_DONTWAIT, but for a claimer's read
        loop.watch(self.fd, self.pump)

    # sending

    def send(
        self,
        kind: int,
        number: int = 0,
        flag: int = 0,
        head: tuple[Any, ...] | None = None,
        payload: bytes | bytearray | memoryview = b"",
        fds: Sequence[int] = (),
    ) -> None:
        """Send a frame. The descriptors are the channel's from now on: it closes them once they are sent."""
        self.send_packed(kind, number, flag, b"" if head is None else marshal.dumps(head, 2), payload, fds)

    def send_packed(
        self,
        kind: int,
        number: int,
        flag: int,
        packed: bytes,
        payload: bytes | bytearray | memoryview,
        fds: Sequence[int] = (),
    ) -> None:
        """Send a frame whose head is marshalled already."""
        size = len(packed)
        fixed = FIXED.pack(size + len(payload), number, size, kind, len(fds), flag)
        frame = b"".join((fixed, packed, payload))
        with self._sending:
            if not self._out and len(frame) <= WHOLE and not self.broken:
                try:
                    if fds:
                        sent, fds = self._send_with(frame, fds), ()
                    else:
                        sent = self.sock.send(frame, socket.MSG_DONTWAIT)
                    if sent == len(frame):
                        return
                    frame = frame[sent:]
                except BlockingIOError:
                    pass
                except OSError:
                    self._break()
            self._send_later(frame, fds)

    def _send_later(self, frame: bytes, fds: Sequence[int]) -> None:
        if self.broken:
            close_all(fds)
            return
        self._out.append((memoryview(frame), fds))
        self._out_bytes += len(frame)
        self.loop.modify(self.fd, WRITE)  # if there is room, the loop hears of it at once
        if self._out_bytes > HIGH and not self.loop.must_not_block():
            self.loop.cover()
            self._room.wait_for(lambda: self._out_bytes <= LOW or self.broken)

    def _break(self) -> None:
        self.broken = True
        for _, fds in self._out:
            close_all(fds)
        self._out.clear()
        self._out_bytes = 0
        self._room.notify_all()

    def _flush(self) -> None:
        with self._sending:
            try:
                while self._out:
                    view, fds = self._out[0]
                    self._out_bytes -= self._send_some(view, fds)
                self.loop.modify(self.fd, READ)
            except BlockingIOError:
                pass
            except OSError:
                self._break()
            if self._out_bytes <= LOW:
                self._room.notify_all()

    def _send_some(self, view: memoryview, fds: Sequence[int]) -> int:
        sent = self._send_with(view, fds) if fds else self.sock.send(view, socket.MSG_DONTWAIT)
        if sent == len(view):
            self._out.popleft()
        else:
            self._out[0] = (view[sent:], ())
        return sent

    def _send_with(self, data: bytes | memoryview, fds: Sequence[int]) -> int:
        """Send descriptors with the first of these bytes; they are the peer's then, and closed here."""
        sent = socket.send_fds(self.sock, [data], list(fds), socket.MSG_DONTWAIT)
        close_all(fds)
        return sent

    @property
    def unsent_bytes(self) -> int:
        """How much still waits for the kernel."""
        return self._out_bytes

    # receiving, always under the loop's lock

    def pump(self, events: int = READ) -> None:
        """Send what waits, read and handle everything that has arrived. `events` is what epoll said.

        A short read says that the socket is empty, which saves a system call, unless descriptors came with
        it (the kernel stops after them) or the peer has hung up (that news comes once).
        """
        if events & select.EPOLLOUT and self._out:
            self._flush()
        if self.claimed is not None or self.ended:
            return
        hung_up = events & ~(select.EPOLLIN | select.EPOLLOUT)
        while True:
            left = bool(self.inbox)  # what a claimer read: it says nothing about the socket
            try:
                if left:
                    data, ancillary, flags, _ = self.inbox.popleft()
                else:
                    data, ancillary, flags, _ = self.sock.recvmsg(CHUNK, FD_SPACE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                data, ancillary, flags = b"", [], 0
            if flags & socket.MSG_CTRUNC:  # descriptors were thrown away: what follows makes no sense
                self.truncated, data = True, b""
            if not data:
                self._end()
                return
            if ancillary:
                self._fds.extend(received_fds(ancillary))
            size = len(data)
            if self._rest:
                data = self._join(data)
            done = self._parse(data)
            if done < len(data):
                self._rest += memoryview(data)[done:]
            if size < CHUNK and not ancillary and not hung_up and not left:
                return

    def _join(self, data: bytes) -> bytes:
        """Put a frame together that came in pieces; nothing while it is not whole."""
        self._rest += data
        if len(self._rest) < FIXED.size or len(self._rest) < FIXED.size + FIXED.unpack_from(self._rest)[0]:
            return b""
        data, self._rest = bytes(self._rest), bytearray()
        return data

    def _parse(self, data: bytes) -> int:
        """Handle the whole frames at the front of `data`; return how many bytes they were."""
        start, end, fixed = 0, len(data), FIXED.size
        while end - start >= fixed:
            size, number, head_size, kind, fds, flag = FIXED.unpack_from(data, start)
            middle = start + fixed + head_size
            stop = start + fixed + size
            if stop > end:
                break
            head = _loads(data[start + fixed : middle]) if head_size else ()
            taken = [self._fds.popleft() for _ in range(fds)] if fds else []
            self._handlers[kind](self, (number, flag, head, data[middle:stop], taken))
            start = stop
        return start

    def _end(self) -> None:
        if not self.ended:
            self.ended = True
            self.loop.unwatch(self.fd)
            with self._sending:
                self._break()  # nobody is left to read; who waits for room must not wait for ever
            self._on_end(self)

    def half_done(self) -> bool:
        """Say whether something was begun that only the loop can go on with."""
        return bool(self.inbox or self._out or self._rest or self._fds or self.ended)

    def resume(self) -> None:
        """Let the loop handle what a claimer read and left, and send what waits."""
        self.loop.call(self._resume)

    def _resume(self) -> None:
        if not self.ended:
            self.loop.modify(self.fd, WRITE if self._out else READ)
            self.pump()

    def interrupt(self) -> None:
        """Make a claimer's blocking read return; what had arrived is still read first."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close this end. Under the loop's lock."""
        self.ended = True
        self.loop.unwatch(self.fd)
        with self._sending:
            self._break()
        self.abandon()

    def abandon(self) -> None:
        """Close the descriptors and nothing else."""
        self.broken = self.ended = True
        self.sock.close()
        close_all(self._fds)
        self._fds.clear()
