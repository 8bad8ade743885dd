"""The other processes: the channels to them, and their deaths.

Rules
-----
1. What this process sends to another goes over one channel: the one it opened, or the one that it was
   offered first. So calls from one caller arrive in order, and a release never overtakes a share.
2. Opening never waits: this end is used at once, the other end goes to the peer through the fork server.
3. Only the fork server says that a process is dead. An end of file says nothing (a fork made by user code
   may hold the socket open, and the exit code is not known yet), and neither does EPIPE.
4. A death is judged when the notice has come and the channel has been read to its end: a reply that was
   sent before the death counts.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import final

from pullahead.actors.local import kinds
from pullahead.actors.local import payload as payloads
from pullahead.actors.local.descriptors import most_open, socket_pair
from pullahead.actors.local.io import Loop
from pullahead.actors.local.slabs import Budget, Slabs
from pullahead.actors.local.wire import Channel, Frame, Handler
from pullahead.errors import ActorDiedError

__all__ = ["Peers"]


@final
class Peers:
    """The channels of one process.

    Args:
        loop: what reads them.
        handlers: what the frames of peers do.
        offer: called with a process and a socket that it should get.
        on_death: called with a process that died, after its last frames were handled.
        on_lost: called with a process that lives, but what it says cannot be understood any more, and why.
    """

    def __init__(
        self,
        loop: Loop,
        handlers: Sequence[Handler],
        offer: Callable[[int, socket.socket], None],
        on_death: Callable[[int], None],
        on_lost: Callable[[int, str], None],
    ) -> None:
        self.dead: dict[int, ActorDiedError] = {}
        self.labels: dict[int, str] = {}  # what this process calls the actors that it started
        self.channels: dict[int, Channel] = {}  # where to send
        self._links: dict[int, list[Channel]] = {}  # all channels with a process
        self._lock = threading.RLock()  # guards these tables; nothing is sent while it is held
        self._loop, self._handlers, self._offer, self._on_death = loop, handlers, offer, on_death
        self._on_lost = on_lost
        self._budget = Budget()
        self.stage = self._budget.stage

    def channel_to(self, process: int) -> Channel | None:
        """Return the channel for what this process sends to another; None if that one is dead."""
        channel = self.channels.get(process)
        return channel if channel is not None else self._connect(process)

    def _connect(self, process: int) -> Channel | None:
        if process in self.dead:
            return None
        ours, theirs = socket_pair()
        with self._lock:
            known = self.channels.get(process)
            unwanted = known is not None or process in self.dead
            if not unwanted:
                known = self.link(process, ours)
        if unwanted:
            ours.close()
            theirs.close()
        else:
            self._offer(process, theirs)
        return known

    def link(self, process: int, sock: socket.socket) -> Channel:
        """Make a channel of a socket whose other end a process has, or will have."""
        channel = Channel(sock, process, self._loop, self._handlers, self._on_end)
        channel.slabs = Slabs(channel, self._budget)
        with self._lock:
            self._links.setdefault(process, []).append(channel)
            self.channels.setdefault(process, channel)
        return channel

    def accept(self, _hub: Channel, frame: Frame) -> None:
        """Take a channel that a process has opened."""
        process, _, _, _, fds = frame
        self.link(process, socket.socket(fileno=fds[0])).pump()

    def mute(self, process: int) -> None:
        """Send nothing more to a process that is about to be killed: calls wait for the notice."""
        for channel in self._links.get(process, ()):
            channel.broken = True

    def flush(self, seconds: float) -> None:
        """Wait until the kernel has what this process sent, or until the time is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not any(channel.unsent_bytes for links in list(self._links.values()) for channel in links):
                return
            time.sleep(0.001)  # rare: only when a process ends while a large reply is on its way

    # deaths, under the loop's lock

    def on_died(self, _hub: Channel, frame: Frame) -> None:
        """The fork server says that a process died."""
        process, _, (*facts, note), _, _ = frame
        error = ActorDiedError(*facts)
        if note is not None:
            *noted, error.overdue = note
            error.note = tuple(noted)
        self.bury(process, error)

    def bury(self, process: int, error: ActorDiedError) -> None:
        """Judge a death: read what is left, then fail what waits."""
        with self._lock:
            if process in self.dead:
                return
            self.dead[process] = error
            self.channels.pop(process, None)
            links = self._links.pop(process, [])
        for channel in links:
            if channel.ended:
                self._on_end(channel)
            else:
                channel.interrupt()  # so that there is an end, even if a fork holds the other end open
                channel.pump()
        self._on_death(process)

    def bury_all(self, why: str) -> None:
        """Judge everyone dead."""
        for process, links in list(self._links.items()):
            error = self.error(process, why)
            self.bury(process, error)
            for channel in links:  # also where a thread of ours was reading
                channel.close()
                self.fail_pending(channel, error)

    def _on_end(self, channel: Channel) -> None:
        if channel.truncated and channel.peer not in self.dead:
            why = f"its channel was lost: more than {most_open()} open files"
            self.bury(channel.peer, self.error(channel.peer, why))
            self._on_lost(channel.peer, why)
        elif channel.peer in self.dead:
            channel.close()
            channel.slabs.close()
            self.fail_pending(channel, self.dead[channel.peer])

    def fail_pending(self, channel: Channel, error: ActorDiedError) -> None:
        """Fail the calls that wait for replies on a channel, the oldest first."""
        if not channel.pending:
            return
        payload = payloads.dumps_error(error)
        while channel.pending:  # other threads may add to it and take from it meanwhile
            for number, ref in list(channel.pending.items()):
                ref.settle(kinds.FAILED, payload)
                channel.pending.pop(number, None)

    def error(self, process: int, why: str) -> ActorDiedError:
        """Describe a death of which the fork server said nothing."""
        return ActorDiedError(self.labels.get(process, f"{process:x}"), detail=why)

    def abandon(self) -> None:
        """Close the descriptors and nothing else: what a forked process does with its copy."""
        for links in self._links.values():
            for channel in links:
                channel.abandon()
