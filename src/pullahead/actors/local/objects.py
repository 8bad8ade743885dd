"""Refs: who owns a value, who borrows it, and when it may go.

Rules
-----
1. The result of a call belongs to the caller, what is `put` to the process that put it. The owner holds
   the value in its ref; a process that got the ref from elsewhere borrows it and fetches the value once.
2. Each way of a ref into process D is one count for D at the owner. It is made by the sender, before the
   bytes go (`share`), and given back by D when its last copy dies (`RELEASE`). The owner frees the value
   when every count is zero and it has no ref itself.
3. A count may be below zero for a moment, when a release arrives before the notice of the sender that
   caused it: that sender still has a count of its own, which it gives back on the same channel
   after the notice. So all counts are zero only when nobody has a ref.
4. A process that died has no counts, now or later.
5. What runs when a ref dies takes no lock: the garbage collector may run it anywhere.

One object per value and process: unpickling finds the ref that is there. So counting local refs is what
Python does anyway, and only the deaths of borrowed refs must be noticed: by a weak reference that keeps the
count beside it. Not by `__del__`: while that runs, another thread can still find the dying ref through a weak
reference, and what it counts there is lost.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from pullahead.actors.local import kinds
from pullahead.actors.local import payload as payloads
from pullahead.actors.local.arrival import Arrival
from pullahead.actors.local.kinds import DECODED, FAILED, PENDING, READY
from pullahead.actors.local.payload import Payload, loads_plain
from pullahead.actors.local.waiting import wait_for_one
from pullahead.actors.refs import ObjectRef
from pullahead.errors import GetTimeoutError

if TYPE_CHECKING:
    import asyncio

    from pullahead.actors.api import Engine
    from pullahead.actors.local.runtime import Runtime
    from pullahead.actors.local.wire import Channel

__all__ = ["BorrowedRef", "LocalRef", "replace_lock", "restore_ref"]

# Guards the states and waiters of all refs; held for a few bytecodes. It can be taken twice, because the
# garbage collector may run a user's `__del__`, which may make a call, while it is held.
_lock = threading.RLock()


def replace_lock() -> None:
    """Forget who held the lock: for a forked process, where its holder does not exist."""
    global _lock
    _lock = threading.RLock()


class LocalRef(ObjectRef):
    """A ref of the local engine. What is not in `ObjectRef` is for the engine only."""

    __slots__ = ("channel", "kept", "number", "owner", "payload", "runtime", "state", "value", "waiters")

    def __init__(self, runtime: Runtime, owner: int, number: int, channel: Channel | None = None) -> None:
        self.runtime = runtime
        self.owner = owner
        self.number = number
        self.channel = channel  # where the reply will come
        self.state = PENDING
        self.payload: Payload | None = None
        self.value: Any = None
        self.kept = False  # the payload stays after decoding, because others may ask for it
        self.waiters: list[Callable[[], object]] | None = None

    @property
    def engine(self) -> Engine:
        """See `ObjectRef.engine`."""
        engine: Engine = self.runtime.engine
        return engine

    def result(self, timeout: float | None = None) -> Any:
        """See `ObjectRef.result`."""
        if self.state == PENDING and not wait_for_one(self, timeout):
            raise GetTimeoutError(f"the value did not arrive within {timeout} s")
        return self.value if self.state == DECODED else self.take()

    # settling

    def settle(self, state: int, payload: Payload) -> None:
        """Set the outcome, once, and tell those who wait."""
        with _lock:
            if self.state != PENDING:
                return
            self.payload = payload
            self.state = state
            self.channel = None
            waiters, self.waiters = self.waiters, None
        if waiters is not None:
            for waiter in waiters:
                waiter()

    def settle_alone(self, flag: int, data: bytes) -> bool:
        """Set the outcome if nobody else waits for it; see direct.py. False if it must be done properly."""
        with _lock:
            if self.waiters is not None or self.state != PENDING:
                return False
            if flag == kinds.PLAIN and not self.kept:
                self.value, self.state = loads_plain(data), DECODED
            else:
                self.payload = Payload(data, plain=flag == kinds.PLAIN)
                self.state = FAILED if flag == kinds.ERROR else READY
            self.channel = None
            return True

    def on_settled(self, waiter: Callable[[], object]) -> bool:
        """Call `waiter()` when the outcome is there; False, and no call, if it is there already.

        It is called by the thread that reads, under the loop's lock: it must be short and not a user's.
        """
        with _lock:
            if self.state != PENDING:
                return False
            if self.waiters is None:
                self.waiters = [waiter]
            else:
                self.waiters.append(waiter)
            return True

    def forget(self, waiter: Callable[[], object]) -> None:
        """Take a waiter back."""
        with _lock:
            if self.waiters is not None and waiter in self.waiters:
                self.waiters.remove(waiter)

    # using

    def take(self) -> Any:
        """Return the value, decoded once, or raise the error, decoded anew."""
        if self.state == DECODED:
            return self.value
        payload = self.payload
        if self.state == FAILED:
            assert payload is not None
            raise payloads.loads_error(payload)
        if payload is None:  # another thread has decoded it just now
            return self.value
        value = payloads.loads(payload)
        with _lock:
            if self.state == READY:
                self.value, self.state = value, DECODED
                if not self.kept:
                    self.payload = None
            return self.value

    def keep(self) -> None:
        """Keep the encoded form for others, from now on. Before the ref is sent anywhere."""
        with _lock:
            self.kept = True
            value = self.value
            missing = self.state == DECODED and self.payload is None
        if missing:
            payload = payloads.dumps(value)
            with _lock:
                self.payload = self.payload or payload

    def future(self) -> Future[Any]:
        """See `ObjectRef.future`."""
        return Arrival(self)

    def __await__(self) -> Generator[Any, None, Any]:
        if self.state == PENDING:
            import asyncio  # whoever awaits has it already; drivers that do not are spared 15 ms

            loop = asyncio.get_running_loop()
            arrived = loop.create_future()

            def wake() -> None:
                if not arrived.done():
                    arrived.set_result(None)

            if self.on_settled(lambda: _call_soon(loop, wake)):
                yield from arrived
        return self.take()

    def __reduce__(self) -> tuple[Any, ...]:
        if not payloads.note_ref(self):
            self.runtime.objects.pin(self)
        return restore_ref, (self.owner, self.number)

    def __repr__(self) -> str:
        state = ("pending", "ready", "error", "ready")[self.state]
        return f"ObjectRef({self.owner & 0xFFFFFFFFFF:x}.{self.number}, {state})"


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
        loop.call_soon_threadsafe(callback)


class BorrowedRef(LocalRef):
    """A ref to a value that another process owns."""

    __slots__ = ("asked",)

    def __init__(self, runtime: Runtime, owner: int, number: int) -> None:
        super().__init__(runtime, owner, number)
        self.asked = False

    def on_settled(self, waiter: Callable[[], object]) -> bool:
        """See `LocalRef.on_settled`; the first one who waits asks the owner."""
        if not super().on_settled(waiter):
            return False
        with _lock:
            asked, self.asked = self.asked, True
        if not asked:
            self.runtime.objects.fetch(self)
        return True

    def keep(self) -> None:
        """Do nothing: others get it from the owner."""


def restore_ref(owner: int, number: int) -> ObjectRef:
    """Find or make the ref that a pickle names."""
    from pullahead.actors.api import current_engine
    from pullahead.actors.local.engine import LocalEngine

    engine = current_engine()
    if not isinstance(engine, LocalEngine):
        raise RuntimeError(f"a ref of the local engine cannot be used on the engine {engine.name!r}")
    return engine.runtime.objects.find(owner, number)
