"""One process of a run, driver or actor: it sends calls and values, and takes what comes back.

The parts: `peers` has the channels and judges deaths, `hub` is the line to the fork server, `objects` counts
refs, `loop` reads. This is where they meet.
"""

from __future__ import annotations

import itertools
import os
import socket
import sys
from collections.abc import Callable
from typing import Any, final

from pullahead.actors.local import kinds
from pullahead.actors.local import payload as payloads
from pullahead.actors.local.hubline import HubLine
from pullahead.actors.local.io import Loop
from pullahead.actors.local.kinds import FAILED, READY
from pullahead.actors.local.objects import LocalRef
from pullahead.actors.local.ownership import Objects
from pullahead.actors.local.payload import Payload
from pullahead.actors.local.peers import Peers
from pullahead.actors.local.slabs import INLINE
from pullahead.actors.local.wire import Channel, Frame, Handler
from pullahead.errors import ProtocolError, PullaheadError

__all__ = ["Runtime"]


def _unexpected(channel: Channel, frame: Frame) -> None:
    raise ProtocolError(f"process {channel.peer:x} sent a frame that nobody serves here: {frame[:3]}")


@final
class Runtime:
    """What a driver and an actor have in common.

    Args:
        me: the number of this process.
        serial_number: its place in the order of births, the prefix of the numbers it gives to actors.
        hub: this end of the channel to the fork server.
        on_hub_end: called, under the loop's lock, when the fork server is gone.
    """

    def __init__(
        self, me: int, serial_number: int, hub: socket.socket, on_hub_end: Callable[[Runtime], None]
    ) -> None:
        self.me = me
        self.engine: Any = None  # the verbs over this runtime; set by them
        self.closing = self.closed = False
        self.on_peer_died: Callable[[int], None] = lambda _process: None
        self.loop = Loop()
        self.objects = Objects(self)
        self.handlers = self._handlers()
        self.peers = Peers(self.loop, self.handlers, self._offer, self._on_death, self._on_lost)
        self.dead, self.channel_to = self.peers.dead, self.peers.channel_to
        self.numbers = itertools.count(1)
        first = kinds.session_of(me) << kinds.SESSION_SHIFT | serial_number << kinds.COUNT_BITS
        self._births = itertools.count(first | 1)
        self.hub = HubLine(hub, self.loop, self.peers.on_died, self.peers.accept, lambda: on_hub_end(self))

    def _handlers(self) -> list[Handler]:
        objects = self.objects
        handlers: list[Handler] = [_unexpected] * 9
        handlers[kinds.REPLY] = self._on_reply
        handlers[kinds.FETCHED] = self._on_fetched
        handlers[kinds.FETCH] = lambda channel, frame: objects.on_fetch(channel, frame[0])
        handlers[kinds.SHARE] = lambda _channel, frame: objects.on_share(frame[0], frame[2][0])
        handlers[kinds.RELEASE] = lambda channel, frame: objects.on_release(channel, frame[0], frame[2][0])
        handlers[kinds.SLAB_FREE] = lambda channel, frame: channel.slabs.on_free(frame[0], bool(frame[1]))
        handlers[kinds.SLAB_DROP] = lambda channel, frame: channel.slabs.on_drop(frame[0])
        return handlers

    def _offer(self, process: int, sock: socket.socket) -> None:
        self.hub.tell(kinds.CONNECT, process, fds=(sock.detach(),))

    def _on_death(self, process: int) -> None:
        self.objects.on_died(process)
        self.on_peer_died(process)

    def _on_lost(self, process: int, why: str) -> None:
        """We cannot hear a process that lives. Nobody else knows, and all would wait for it."""
        if kinds.is_driver(self.me):
            return  # who waits for anything waits here, and has been told
        if kinds.is_driver(process):
            sys.stderr.write(f"pullahead: an actor ends because its driver cannot be heard: {why}\n")
            os._exit(1)
        self.hub.tell(kinds.KILL, process, head=(why,))

    def next_actor(self) -> int:
        """Return a number for a new actor."""
        return next(self._births)

    def check_may_block(self) -> None:
        """Refuse to wait where waiting would be for ever."""
        if self.closed:
            raise PullaheadError(
                "the engine of this ref was shut down, or belongs to the process that forked"
            )
        if self.loop.must_not_block():
            raise RuntimeError(
                "a blocking get() or wait() on the thread that receives results would wait for itself: "
                "in a callback of a future, use .future() or await, or start a thread"
            )

    # values

    def ship(
        self, channel: Channel, kind: int, number: int, flag: int, prefix: tuple[Any, ...], payload: Payload
    ) -> None:
        """Send a frame with a pickled value: the refs in it are counted first, large parts go by slab."""
        if not payload.refs and not payload.buffers and len(payload.data) <= INLINE:
            channel.send(kind, number, flag, (*prefix, None, None) if prefix else None, payload.data)
            return
        for ref in payload.refs:
            self.objects.share(ref, channel.peer)
        refs = tuple((ref.owner, ref.number) for ref in payload.refs) or None
        slab, rest, fds = None, payload.data, ()
        if payload.buffers or len(payload.data) > INLINE:
            slab, rest, fds = channel.slabs.pack(payload)
        channel.send(kind, number, flag, (*prefix, refs, slab), rest, fds)

    def unship(self, channel: Channel, extra: tuple[Any, ...], data: bytes, fds: list[int]) -> Payload:
        """Undo `ship`: take over the refs, and map the slab. `extra` is the end of the frame's head."""
        refs, slab = extra
        payload: Payload = Payload(data) if slab is None else channel.slabs.unpack(slab, data, fds)
        if refs is not None:
            payload.refs = [self.objects.adopt(owner, number) for owner, number in refs]
        return payload

    # calls

    def call(self, process: int, kind: int, prefix: tuple[Any, ...], payload: Payload) -> LocalRef:
        """Send a call and return the ref of its result."""
        number = next(self.numbers)
        channel = self.channel_to(process)
        if channel is None:
            return self._refused(process, number)
        ref = channel.pending[number] = LocalRef(self, self.me, number, channel)
        self.ship(channel, kind, number, kinds.VALUE, prefix, payload)
        if channel.ended:
            self._check_sent(channel)
        return ref

    def call_plain(self, process: int, packed: bytes, arguments: bytes) -> LocalRef:
        """Do the same with marshalled arguments. `packed` is the head of the frame."""
        channel = self.peers.channels.get(process) or self.channel_to(process)
        number = next(self.numbers)
        if channel is None:
            return self._refused(process, number)
        ref = channel.pending[number] = LocalRef(self, self.me, number, channel)
        channel.send_packed(kinds.CALL, number, kinds.PLAIN, packed, arguments)
        if channel.ended:
            self._check_sent(channel)
        return ref

    def _refused(self, process: int, number: int) -> LocalRef:
        ref = LocalRef(self, self.me, number)
        ref.settle(FAILED, payloads.dumps_error(self.dead[process]))
        return ref

    def _check_sent(self, channel: Channel) -> None:
        with self.loop.lock:
            if channel.peer in self.dead:  # its death was judged while we sent
                self.peers.fail_pending(channel, self.dead[channel.peer])

    def _on_reply(self, channel: Channel, frame: Frame) -> None:
        number, flag, _, _, _ = frame
        payload = self._received(channel, frame)
        ref = channel.pending.get(number)
        if ref is not None:
            ref.settle(FAILED if flag == kinds.ERROR else READY, payload)
            channel.pending.pop(number, None)

    def _on_fetched(self, channel: Channel, frame: Frame) -> None:
        number, flag, _, _, _ = frame
        if flag == kinds.LOST:
            self.objects.on_fetched(channel.peer, number, FAILED, None)
        else:
            state = FAILED if flag == kinds.ERROR else READY
            self.objects.on_fetched(channel.peer, number, state, self._received(channel, frame))

    def _received(self, channel: Channel, frame: Frame) -> Payload:
        _, flag, head, data, fds = frame
        if head:
            return self.unship(channel, head, data, fds)
        return Payload(data, plain=flag == kinds.PLAIN)

    # the end

    def forget(self, process: int) -> None:
        """Take back a process that was not born after all."""
        with self.loop.lock:
            self.peers.bury(process, self.peers.error(process, "it was not started"))

    def on_hub_gone(self) -> None:
        """Judge everyone dead: actors do not outlive the fork server."""
        self.peers.bury_all("by shutdown()" if self.closing else "the fork server ended")

    def on_crash(self) -> None:
        """Fail everything instead of waiting for ever: the thread that reads has ended, by a bug."""
        with self.loop.lock:
            self.hub.channel.close()
            self.hub.refuse()
            self.peers.bury_all("the thread that reads has failed: this is a bug in Pullahead")

    def close(self) -> None:
        """Free everything; what waits fails."""
        self.closed = True
        with self.loop.lock:
            self.peers.bury_all("by shutdown()")
            self.hub.refuse()
            self.hub.channel.close()
        self.loop.close()

    def abandon(self) -> None:
        """Switch off in a forked process: close descriptors, touch nothing that is shared."""
        self.closed = True
        self.loop.abandon()
        self.hub.channel.abandon()
        self.peers.abandon()
