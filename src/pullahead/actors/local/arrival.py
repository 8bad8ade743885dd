"""The future of a ref, and when its callbacks run.

`concurrent.futures` runs a callback at once if the future is done. Here, that would let a reply which is
there already overtake an older one, whose callback still waits for its turn on the thread that reads. And
whoever adds a callback may hold a lock that the callback needs.

So what decides is the ref, not the future. Refs are settled in the order of the replies, under the loop's
lock, and their futures are queued in that order: a callback that was there before the reply has its turn with
its future. One that is added later goes to the end of the same queue. So its place is that of the later of
two moments, the reply's and its own: if both are in the order of the calls, so are the callbacks.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, final

from pullahead.actors.local.kinds import PENDING

if TYPE_CHECKING:
    from pullahead.actors.local.objects import LocalRef

__all__ = ["Arrival"]

_Callback = Callable[[Future[Any]], object]


@final
class Arrival(Future[Any]):
    """See `ObjectRef.future`."""

    def __init__(self, ref: LocalRef) -> None:
        super().__init__()
        self._loop = ref.runtime.loop
        self._ref: LocalRef | None = ref  # None once the outcome is here: a future must not keep its ref
        self._early: deque[_Callback] = deque()  # added before the reply came
        self._given_up = False  # cancelled
        if not ref.on_settled(self._arrived):
            self._finish()
        self._loop.cover()

    def add_done_callback(self, fn: _Callback) -> None:
        """Run `fn(self)` on the thread that reads, in its turn. See `ObjectRef.future`."""
        ref = self._ref
        if ref is not None:
            self._early.append(fn)
            if ref.state == PENDING and not self._given_up:
                return
            try:
                self._early.remove(fn)
            except ValueError:  # it has had its turn meanwhile
                return
        self._loop.after(lambda: self._run_late(fn))

    def cancel(self) -> bool:
        """Wait no more; the call goes on. The callbacks do not wait for it."""
        if not super().cancel():
            return False
        self._given_up = True  # first say so, then look: who adds a callback looks the other way round
        self._loop.after(self._run_early)
        return True

    def _arrived(self) -> None:
        self._loop.after(self._finish)

    # On the thread that reads

    def _finish(self) -> None:
        """Take the outcome over. Decoding may run code of users, so it has its turn as well."""
        ref, self._ref = self._ref, None
        if ref is None:
            return
        if self.set_running_or_notify_cancel():
            try:
                self.set_result(ref.take())
            except BaseException as error:  # noqa: BLE001  whatever it is, it belongs to the waiter
                self.set_exception(error)
        self._run_early()

    def _run_early(self) -> None:
        while self._early:
            try:
                fn = self._early.popleft()
            except IndexError:  # whoever added it took it back
                return
            try:
                fn(self)
            except BaseException:  # noqa: BLE001  the others have their turn all the same
                traceback.print_exc()

    def _run_late(self, fn: _Callback) -> None:
        self._finish()  # its own entry may come just behind this one, while the ref is being settled
        fn(self)
