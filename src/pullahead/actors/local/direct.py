"""A thread that waits for one reply reads it itself.

Without this, a reply goes from the socket to the I/O thread and from there, through a lock, to the thread
that waits: two more switches, a third of a round trip. So a thread that waits for the only reply that is
due on a channel claims the channel: epoll is told to be quiet about it, and the thread blocks in `recv`.
A reply that is just that, one small frame, is settled here. Anything else is left in `inbox`, and the
loop goes on.

The driver's main thread can be hit by a KeyboardInterrupt after any call into C returns, so nothing that
was read may be only in a local variable: `inbox.extend(map(recvmsg, ...))` stores what it read before the
interpreter looks for signals. All that follows can be done twice. The channel is given back in `finally`,
by one call into C, with no bytecode before it at which an interrupt could strike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pullahead.actors.local import kinds
from pullahead.actors.local.descriptors import FD_SPACE
from pullahead.actors.local.io import READ
from pullahead.actors.local.wire import CHUNK, FIXED

if TYPE_CHECKING:
    from pullahead.actors.local.objects import LocalRef
    from pullahead.actors.local.wire import Channel

__all__ = ["read_own_reply"]

_FIXED_SIZE = FIXED.size
_SIZES, _SPACES = (CHUNK,), (FD_SPACE,)


def read_own_reply(ref: LocalRef, channel: Channel) -> None:
    """Block until something arrives on the channel. If it is the reply to the ref, settle it."""
    inbox, loop, fd, claim = channel.inbox, channel.loop, channel.fd, object()
    modify = loop.epoll.modify
    try:
        try:
            with loop.lock:
                if channel.claimed is not None or channel.half_done() or ref.channel is None:
                    return
                channel.claimed = claim
                modify(fd, 0)
            inbox.extend(map(channel.sock.recvmsg, _SIZES, _SPACES))
            _settle(ref, channel)
        finally:
            if channel.claimed is claim:
                channel.claimed = None
                modify(fd, READ)
    except (OSError, ValueError):  # the channel or the loop was closed meanwhile: shutdown settles every ref
        return
    except BaseException:
        channel.resume()
        raise
    if inbox or channel.unsent_bytes:
        channel.resume()


def _settle(ref: LocalRef, channel: Channel) -> None:
    data, ancillary, _, _ = channel.inbox[0]
    if ancillary or len(data) < _FIXED_SIZE:
        return
    size, number, head_size, kind, _, flag = FIXED.unpack_from(data)
    if number != ref.number or kind != kinds.REPLY or head_size or size + _FIXED_SIZE != len(data):
        return
    if ref.settle_alone(flag, data[_FIXED_SIZE:]):
        channel.pending.pop(number, None)
        channel.inbox.popleft()
