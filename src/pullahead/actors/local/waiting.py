"""Threads that wait for refs."""

from __future__ import annotations

import threading
from _thread import allocate_lock, get_ident
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pullahead.actors.local.direct import read_own_reply
from pullahead.actors.local.kinds import PENDING

if TYPE_CHECKING:
    from pullahead.actors.local.objects import LocalRef
    from pullahead.actors.local.runtime import Runtime

__all__ = ["wait_for_one", "wait_for_some"]


def wait_for_one(ref: LocalRef, timeout: float | None) -> bool:
    """Block until the ref is settled; False if the time is over."""
    runtime, channel = ref.runtime, ref.channel
    if runtime.closed or get_ident() in runtime.loop.readers:
        runtime.check_may_block()
    if channel is not None and timeout is None and len(channel.pending) == 1:
        read_own_reply(ref, channel)
        if ref.state != PENDING:
            return True
    gate = allocate_lock()
    gate.acquire()
    if not ref.on_settled(gate.release):
        return True
    runtime.loop.cover()
    if gate.acquire(timeout=-1 if timeout is None else max(timeout, 0)):
        return True
    ref.forget(gate.release)
    return ref.state != PENDING


def wait_for_some(
    runtime: Runtime, refs: Sequence[LocalRef], num_returns: int, timeout: float | None
) -> None:
    """Block until `num_returns` refs are settled, or until the time is over."""
    pending = [ref for ref in refs if ref.state == PENDING]
    missing = num_returns - (len(refs) - len(pending))
    if timeout != 0:
        runtime.check_may_block()
    gate = allocate_lock()
    gate.acquire()
    lock = threading.Lock()

    def arrived() -> None:
        nonlocal missing
        with lock:
            missing -= 1
            if missing == 0:
                gate.release()

    if missing <= 0:
        return
    # A ref that settles between the look above and here counts itself.
    registered = []
    for ref in pending:
        if ref.on_settled(arrived):
            registered.append(ref)
        else:
            arrived()
    runtime.loop.cover()
    gate.acquire(timeout=-1 if timeout is None else max(timeout, 0))
    for ref in registered:
        ref.forget(arrived)
