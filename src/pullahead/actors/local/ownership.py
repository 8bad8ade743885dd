"""The counts behind refs: what this process owns and lent, and what it borrowed.

The rules are in objects.py.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, final
from weakref import ReferenceType, WeakValueDictionary

from pullahead.actors.local import kinds
from pullahead.actors.local import payload as payloads
from pullahead.actors.local.kinds import FAILED
from pullahead.actors.local.objects import BorrowedRef, LocalRef
from pullahead.errors import ObjectLostError

if TYPE_CHECKING:
    from pullahead.actors.local.payload import Payload
    from pullahead.actors.local.runtime import Runtime
    from pullahead.actors.local.wire import Channel

__all__ = ["Objects"]

_PINNED = -1  # the "process" of a ref that a user pickled


@final
class _Loan(ReferenceType[BorrowedRef]):
    """A weak reference to a borrowed ref, with the counts that its owner has for it."""

    __slots__ = ("count", "key")

    key: tuple[int, int]
    count: int

    def __new__(cls, ref: BorrowedRef, died: Callable[[Any], None]) -> Self:
        loan = super().__new__(cls, ref, died)
        loan.key, loan.count = (ref.owner, ref.number), 0
        return loan

    def __init__(self, ref: BorrowedRef, died: Callable[[Any], None]) -> None:
        super().__init__(ref, died)  # type: ignore[call-arg]


@final
class Objects:
    """The tables of one process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.RLock()  # see objects.py
        self._lent: dict[int, LocalRef] = {}  # number -> what we own and others may ask for
        # What was ever lent and is alive here: where a ref that comes home finds itself.
        self._owned: WeakValueDictionary[int, LocalRef] = WeakValueDictionary()
        self._counts: dict[int, dict[int, int]] = {}  # number -> process -> refs there
        self._borrowed: dict[tuple[int, int], _Loan] = {}
        self._pinned: list[LocalRef] = []
        self._dead: deque[_Loan] = deque()

    # handing refs on

    def share(self, ref: LocalRef, process: int) -> None:
        """Count a ref that is about to be sent to a process."""
        if ref.owner == self._runtime.me:
            self._lend(ref, process)
        else:
            channel = self._runtime.channel_to(ref.owner)
            if channel is not None:
                channel.send(kinds.SHARE, ref.number, head=(process,))

    def _lend(self, ref: LocalRef, process: int) -> None:
        with self._lock:
            if process not in self._runtime.dead:
                self._lent[ref.number] = self._owned[ref.number] = ref
                self._count(ref.number, process, 1)

    def pin(self, ref: LocalRef) -> None:
        """Keep a ref for ever: a user pickled it, and nobody knows where the copy is."""
        if ref.owner == self._runtime.me:
            ref.keep()
            with self._lock:
                self._lent[ref.number] = self._owned[ref.number] = ref
                self._counts.setdefault(ref.number, {})[_PINNED] = 1
        else:
            self._pinned.append(ref)

    def adopt(self, owner: int, number: int) -> LocalRef:
        """Take over a ref that arrived, with its count."""
        with self._lock:
            if owner == self._runtime.me:
                ref = self._lent[number]
                self._count(number, owner, -1)
                return ref
            borrowed = self._borrow(owner, number)
            self._borrowed[owner, number].count += 1  # it lives: nobody looks at the count before it dies
            return borrowed

    def find(self, owner: int, number: int) -> LocalRef:
        """Return the ref that a pickle names; the message that it came in keeps it alive."""
        with self._lock:
            if owner != self._runtime.me:
                return self._borrow(owner, number)
            ref = self._owned.get(number)
        if ref is None:  # a user's own pickle, older than this process
            ref = LocalRef(self._runtime, owner, number)
            self._lose(ref)
        return ref

    def _borrow(self, owner: int, number: int) -> BorrowedRef:
        loan = self._borrowed.get((owner, number))
        ref = None if loan is None else loan()
        if ref is None:
            ref = BorrowedRef(self._runtime, owner, number)
            self._borrowed[owner, number] = _Loan(ref, self._released)
        return ref

    def _count(self, number: int, process: int, change: int) -> None:
        counts = self._counts.setdefault(number, {})
        counts[process] = counts.get(process, 0) + change
        if counts[process] == 0:
            del counts[process]
            if not counts:
                del self._counts[number]
                self._lent.pop(number, None)

    # giving refs back

    def _released(self, loan: _Loan) -> None:
        """A borrowed ref died. Called anywhere by the garbage collector: no lock, no wait."""
        self._dead.append(loan)
        self._runtime.loop.call(self._send_releases)

    def _send_releases(self) -> None:
        while self._dead:
            loan = self._dead.popleft()
            owner, number = loan.key
            with self._lock:
                if self._borrowed.get(loan.key) is loan:
                    del self._borrowed[loan.key]
            channel = self._runtime.channel_to(owner) if loan.count else None
            if channel is not None:
                channel.send(kinds.RELEASE, number, head=(loan.count,))

    # frames

    def on_share(self, number: int, process: int) -> None:
        """A borrower of ours sent the ref on."""
        with self._lock:
            if process not in self._runtime.dead and number in self._lent:
                self._count(number, process, 1)

    def on_release(self, channel: Channel, number: int, count: int) -> None:
        """Refs died in the process at the other end."""
        with self._lock:
            if channel.peer not in self._runtime.dead and number in self._lent:
                self._count(number, channel.peer, -count)

    def on_fetch(self, channel: Channel, number: int) -> None:
        """A borrower wants the value."""
        ref = self._lent.get(number)
        if ref is None:
            channel.send(kinds.FETCHED, number, kinds.LOST)
        elif not ref.on_settled(lambda: self._send_value(channel, ref)):
            self._send_value(channel, ref)

    def _send_value(self, channel: Channel, ref: LocalRef) -> None:
        assert ref.payload is not None, "a ref that is lent keeps its payload"
        flag = kinds.ERROR if ref.state == FAILED else kinds.PLAIN if ref.payload.plain else kinds.VALUE
        self._runtime.ship(channel, kinds.FETCHED, ref.number, flag, (), ref.payload)

    def fetch(self, ref: BorrowedRef) -> None:
        """Ask the owner of a borrowed ref for its value."""
        channel = self._runtime.channel_to(ref.owner)
        if channel is None:
            self._lose(ref)
        else:
            channel.send(kinds.FETCH, ref.number)

    def on_fetched(self, owner: int, number: int, state: int, payload: Payload | None) -> None:
        """The value of a borrowed ref came; None if the owner has none."""
        with self._lock:
            loan = self._borrowed.get((owner, number))
            ref = None if loan is None else loan()
        if ref is None:
            return
        if payload is None:
            self._lose(ref)
        else:
            ref.settle(state, payload)

    def _lose(self, ref: LocalRef) -> None:
        gone = self._runtime.dead.get(ref.owner)
        why = f"its owner died: {gone}" if gone else "its owner has freed it"
        ref.settle(FAILED, payloads.dumps_error(ObjectLostError(f"the value of {ref!r} is gone: {why}")))

    def on_died(self, process: int) -> None:
        """A process died: drop its counts, lose what it owned. It is in `runtime.dead` already."""
        with self._lock:
            for number in [n for n, counts in self._counts.items() if process in counts]:
                self._count(number, process, -self._counts[number][process])
            living = [loan() for (owner, _), loan in self._borrowed.items() if owner == process]
            lost = [ref for ref in living if ref is not None]
        for ref in lost:
            self._lose(ref)
