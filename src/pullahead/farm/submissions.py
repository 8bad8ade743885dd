"""`Pool.submit`: single items with a future each, as one run that is never closed while the pool is open."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Event, Lock
from typing import Any, final

from pullahead.actors.failures import loads_error
from pullahead.core.ledger import State
from pullahead.core.trace import CAUSE_SOURCE
from pullahead.errors import RunError
from pullahead.farm.crew import Crew
from pullahead.farm.freight import ship
from pullahead.farm.payload import unpack


@final
class Submissions:
    """Futures by item number; filled on the engine's thread as outcomes arrive."""

    unread = 0  # nobody knows what else will be submitted
    is_held_back = False  # it comes however many futures are not looked at

    def __init__(self, crew: Crew) -> None:
        self.started = float("inf")  # of no run that is reported: it needs no trace to be kept
        self.done = self.failed = 0
        self._crew = crew
        self._futures: dict[int, Future[Any]] = {}
        self._lock = Lock()
        self._error: BaseException | None = None
        self._closed = False
        self._over = Event()
        self._number = crew.open(self)

    @property
    def open(self) -> int:
        """How many items have not ended."""
        return len(self._futures)

    def submit(self, item: Any) -> Future[Any]:
        """Send one item. Raises what pickling it raises, or what has broken the crew."""
        payload = ship(item)
        future: Future[Any] = Future()
        with self._lock:
            if self._error is not None:
                raise self._error
            if self._closed:  # while this item was pickled
                raise RuntimeError("the pool is closed")
            number = self._crew.reserve(1)
            self._futures[number] = future
            self._crew.submit(self._number, number, [payload], CAUSE_SOURCE)
        return future

    def close(self) -> None:
        """No more items will be submitted. Waits until what was submitted has ended."""
        with self._lock:
            self._closed = True
        self._crew.close_run(self._number)
        self._over.wait()

    def items_ended(self, state: str, items: tuple[int, ...], payloads: list[Any]) -> None:
        """Outcomes arrived."""
        with self._lock:
            if self._error is not None:
                return  # another thread has closed the pool: they have their error
            futures = [self._futures.pop(number) for number in items]
            if state == State.DONE.value:
                self.done += len(items)
            elif state == State.DEAD.value:
                self.failed += len(items)
        if state == State.LEFT.value:
            payloads = [None] * len(items)
        for future, payload in zip(futures, payloads, strict=True):
            if future.set_running_or_notify_cancel():
                _settle(future, state, payload)

    def cancel(self) -> None:
        """Nothing to do: what was submitted is finished."""

    def starved(self) -> None:
        """Nothing to do: the user submits when there is something to submit."""

    def ended(self) -> None:
        """Everything that was submitted has ended."""
        self._over.set()

    def broke(self, error: BaseException) -> None:
        """Nothing more will come: every future that waits gets the error."""
        with self._lock:
            self._error = error
            futures = list(self._futures.values())
            self._futures.clear()
        for future in futures:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
        self._over.set()


def _settle(future: Future[Any], state: str, payload: Any) -> None:
    try:
        if state == State.DONE.value:
            future.set_result(unpack(payload, own=True))
        elif state == State.DEAD.value:
            future.set_exception(loads_error(payload[-1].error))
        else:
            future.set_exception(RunError("the pool was closed before this item was started"))
    except Exception as error:  # noqa: BLE001  a result that cannot be unpickled here
        future.set_exception(error)
