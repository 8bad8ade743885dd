"""One process in the net of peers: its channels, its calls, and the deaths of others.

Rules
-----
1. What this process sends to another goes over one channel: the one it opened, or the one that it was
   offered first. So calls from one caller arrive in order, and a release never overtakes a share.
2. Opening never waits: this end is used at once, the other end goes to the peer through the fork server.
3. Only the fork server says that a process is dead. An end of file says nothing (a fork made by user code may
   hold the socket open, and the exit code is not known yet), and neither does EPIPE.
4. A death is judged when the notice has come and the channel has been read to its end: a reply that was sent
   before the death counts.
"""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, final

from pullahead.actors.local import kinds
from pullahead.actors.local import payload as payloads
from pullahead.actors.local.io import Loop
from pullahead.actors.local.kinds import FAILED, READY
from pullahead.actors.local.objects import LocalRef
from pullahead.actors.local.ownership import Objects
from pullahead.actors.local.payload import Payload
from pullahead.actors.local.slabs import INLINE, Budget, Slabs
from pullahead.actors.local.wire import Channel, Frame, Handler, socket_pair
from pullahead.errors import ActorDiedError, ProtocolError, PullaheadError

__all__ = ["Runtime"]


def _unexpected(channel: Channel, frame: Frame) -> None:
    raise ProtocolError(
        f"process {channel.peer:x} sent a frame that this process does not serve: {frame[:3]}"
    )


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
        self.loop = Loop()
        self.objects = Objects(self)
        self.dead: dict[int, ActorDiedError] = {}
        self.numbers = itertools.count(1)
        self.on_peer_died: Callable[[int], None] = lambda _process: None
        self.labels: dict[int, str] = {}  # what this process calls the actors that it started
        self.closing = self.closed = False
        first = kinds.session_of(me) << kinds.SESSION_SHIFT | serial_number << kinds.COUNT_BITS
        self._budget = Budget()
        self._births = itertools.count(first | 1)
        self._lock = threading.RLock()  # guards the three tables below; nothing is sent while it is held
        self._channels: dict[int, Channel] = {}  # where to send
        self._links: dict[int, list[Channel]] = {}  # all channels with a process
        self._asking: dict[int, Callable[[int, bytes], None]] = {}  # requests to the fork server
        self.handlers: list[Handler] = [_unexpected] * 9
        self._serve_peers()
        from_hub: list[Handler] = [self._on_died, self._on_accept, self._on_answer]
        self.hub = Channel(hub, -1, self.loop, from_hub, lambda _channel: on_hub_end(self))

    def _serve_peers(self) -> None:
        objects, handlers = self.objects, self.handlers
        handlers[kinds.REPLY] = self._on_reply
        handlers[kinds.FETCHED] = self._on_fetched
        handlers[kinds.FETCH] = lambda channel, frame: objects.on_fetch(channel, frame[0])
        handlers[kinds.SHARE] = lambda _channel, frame: objects.on_share(frame[0], frame[2][0])
        handlers[kinds.RELEASE] = lambda channel, frame: objects.on_release(channel, frame[0], frame[2][0])
        handlers[kinds.SLAB_FREE] = lambda channel, frame: channel.slabs.on_free(frame[0])
        handlers[kinds.SLAB_DROP] = lambda channel, frame: channel.slabs.on_drop(frame[0])

    # channels

    def channel_to(self, process: int) -> Channel | None:
        """Return the channel for what this process sends to another; None if that one is dead."""
        channel = self._channels.get(process)
        return channel if channel is not None else self._connect(process)

    def _connect(self, process: int) -> Channel | None:
        if process in self.dead:
            return None
        ours, theirs = socket_pair()
        with self._lock:
            known = self._channels.get(process)
            unwanted = known is not None or process in self.dead
            if not unwanted:
                channel = self.link(process, ours)
        if unwanted:
            ours.close()
            theirs.close()
            return known
        self.hub.send(kinds.CONNECT, process, fds=(theirs.detach(),))
        return channel

    def link(self, process: int, sock: socket.socket) -> Channel:
        """Make a channel of a socket whose other end a process has, or will have."""
        channel = Channel(sock, process, self.loop, self.handlers, self._on_end)
        channel.slabs = Slabs(channel, self._budget)
        with self._lock:
            self._links.setdefault(process, []).append(channel)
            self._channels.setdefault(process, channel)
        return channel

    def mute(self, process: int) -> None:
        """Send nothing more to a process that is about to be killed: calls wait for the notice."""
        for channel in self._links.get(process, ()):
            channel.broken = True

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

    # sending values

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

    def call(self, process: int, kind: int, prefix: tuple[Any, ...], payload: Payload) -> LocalRef:
        """Send a call and return the ref of its result."""
        number = next(self.numbers)
        channel = self.channel_to(process)
        ref = LocalRef(self, self.me, number, channel)
        if channel is None:
            ref.settle(FAILED, payloads.dumps_error(self.dead[process]))
            return ref
        channel.pending[number] = ref
        self.ship(channel, kind, number, 0, prefix, payload)
        self._check_sent(channel)
        return ref

    def call_plain(self, process: int, packed: bytes, arguments: bytes) -> LocalRef:
        """The same for marshalled arguments. `packed` is the head of the frame."""
        channel = self._channels.get(process) or self.channel_to(process)
        number = next(self.numbers)
        ref = LocalRef(self, self.me, number, channel)
        if channel is None:
            ref.settle(FAILED, payloads.dumps_error(self.dead[process]))
            return ref
        channel.pending[number] = ref
        channel.send_packed(kinds.CALL, number, kinds.PLAIN, packed, arguments)
        if channel.ended:
            self._check_sent(channel)
        return ref

    def _check_sent(self, channel: Channel) -> None:
        if channel.ended and channel.peer in self.dead:
            self._fail_pending(channel, self.dead[channel.peer])  # its death was judged while we sent

    # frames from peers

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

    # frames from the fork server

    def ask_hub(
        self, kind: int, head: tuple[Any, ...], payload: bytes = b"", fds: tuple[int, ...] = ()
    ) -> tuple[int, bytes]:
        """Send a request to the fork server and wait for its answer."""
        self.check_may_block()
        request = next(self.numbers)
        arrived = threading.Event()
        answers: list[tuple[int, bytes]] = []

        def answered(flag: int, data: bytes) -> None:
            answers.append((flag, data))
            arrived.set()

        self._asking[request] = answered
        self.hub.send(kind, request, head=head, payload=payload, fds=fds)
        if self.hub.ended:
            answered(-1, b"")
        self.loop.cover()
        arrived.wait()
        self._asking.pop(request, None)
        if answers[0][0] < 0:
            raise PullaheadError("the fork server ended: no actor can be started or found; call shutdown()")
        return answers[0]

    def _on_answer(self, _channel: Channel, frame: Frame) -> None:
        number, flag, _, data, _ = frame
        answered = self._asking.pop(number, None)
        if answered is not None:
            answered(flag, data)

    def _on_accept(self, _channel: Channel, frame: Frame) -> None:
        number, _, _, _, fds = frame
        self.link(number, socket.socket(fileno=fds[0])).pump()

    def _on_died(self, _channel: Channel, frame: Frame) -> None:
        number, _, head, _, _ = frame
        self.bury(number, ActorDiedError(*head))

    # deaths

    def bury(self, process: int, error: ActorDiedError) -> None:
        """Judge a death: read what is left, then fail what waits. Under the loop's lock."""
        with self._lock:
            if process in self.dead:
                return
            self.dead[process] = error
            self._channels.pop(process, None)
            links = self._links.pop(process, [])
        for channel in links:
            if channel.ended:
                self._on_end(channel)
            else:
                channel.interrupt()  # so that there is an end, even if a fork holds the other end open
                channel.pump()
        self.objects.on_died(process)
        self.on_peer_died(process)

    def forget(self, process: int) -> None:
        """Take back a process that was not born after all."""
        with self.loop.lock:
            self.bury(process, ActorDiedError(self._label(process), None, None, "it was not started"))

    def flush(self, seconds: float) -> None:
        """Wait until the kernel has what this process sent, or until the time is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not any(channel.unsent_bytes for links in list(self._links.values()) for channel in links):
                return
            time.sleep(0.001)  # rare: only when a process ends while a large reply is on its way

    def _on_end(self, channel: Channel) -> None:
        error = self.dead.get(channel.peer)
        if error is not None:
            channel.close()
            channel.slabs.close()
            self._fail_pending(channel, error)

    def _fail_pending(self, channel: Channel, error: ActorDiedError) -> None:
        if not channel.pending:
            return
        payload = payloads.dumps_error(error)
        while channel.pending:
            try:
                _, ref = channel.pending.popitem()
            except KeyError:  # another thread took the last one
                return
            ref.settle(FAILED, payload)

    def on_hub_gone(self) -> None:
        """Judge everyone dead: actors do not outlive the fork server."""
        for answered in list(self._asking.values()):
            answered(-1, b"")
        why = "by shutdown()" if self.closing else "the fork server ended"
        for process in list(self._links):
            self.bury(process, ActorDiedError(self._label(process), None, None, why))

    def close(self) -> None:
        """Free everything; what waits fails."""
        self.closed = True
        with self.loop.lock:
            for process, links in list(self._links.items()):
                error = ActorDiedError(self._label(process), None, None, "by shutdown()")
                self.bury(process, error)
                for channel in links:
                    channel.close()
                    self._fail_pending(channel, error)  # also where a thread of ours was reading
            for answered in list(self._asking.values()):
                answered(-1, b"")
            self.hub.close()
        self.loop.close()

    def abandon(self) -> None:
        """Switch off in a forked process: close descriptors, touch nothing that is shared."""
        self.closed = True
        self.loop.abandon()
        self.hub.abandon()
        for links in self._links.values():
            for channel in links:
                channel.abandon()

    def _label(self, process: int) -> str:
        return self.labels.get(process, f"{process:x}")
