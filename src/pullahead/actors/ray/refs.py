"""Refs of this engine, their values, and their futures."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, final
from weakref import WeakValueDictionary

import ray
from ray.exceptions import GetTimeoutError as RayTimeout

from pullahead.actors.ray.failures import translated
from pullahead.actors.refs import ObjectRef
from pullahead.errors import GetTimeoutError, ObjectLostError

if TYPE_CHECKING:
    from pullahead.actors.api import Engine
    from pullahead.actors.ray.engine import RayEngine

__all__ = ["RayRef", "forget_refs", "ref_of", "turns"]

_Callback = Callable[[Future[Any]], object]
_NOTHING: Final = object()
_TOO_LATE: Final = "the engine of this ref was shut down before its value was asked for"
_ray: Any = ray  # half of it has no types


@final
class RayRef(ObjectRef):
    """Holds a ref of Ray's, and the value once somebody has asked for it. Made by `ref_of`."""

    __slots__ = ("_engine", "_value", "ray_ref")

    def __init__(self, engine: RayEngine, ray_ref: Any) -> None:
        self._engine = engine
        self.ray_ref = ray_ref
        self._value: Any = _NOTHING

    @property
    def engine(self) -> Engine:
        """See `ObjectRef`."""
        return self._engine

    @property
    def is_here(self) -> bool:
        """Whether the value was asked for before."""
        return self._value is not _NOTHING

    def result(self, timeout: float | None = None) -> Any:
        """See `ObjectRef`."""
        if self._value is _NOTHING:
            turns.check_may_block()
            if self._engine.is_over:
                raise ObjectLostError(_TOO_LATE)
            try:
                return self.came(ray.get(self.ray_ref, timeout=timeout))
            except RayTimeout:
                raise GetTimeoutError(f"the value did not arrive within {timeout} s") from None
            except Exception as error:  # noqa: BLE001  all that a method may raise, and what Ray does
                failure = translated(error, self.ray_ref)
            raise failure  # out here, or it would show the error that it was made of
        return self._value

    def came(self, value: Any) -> Any:
        """Keep a value, unless another thread has: two gets return the same object."""
        if self._value is _NOTHING:
            self._value = value
        return self._value

    def future(self) -> Future[Any]:
        """See `ObjectRef`. Asking for it makes Ray bring a large value here."""
        if self._engine.is_over and not self.is_here:
            failed: Future[Any] = Future()
            failed.set_exception(ObjectLostError(_TOO_LATE))
            return failed
        return _Arrival(self)

    def __await__(self) -> Generator[Any, None, Any]:
        if self._value is not _NOTHING:
            return self._value
        return (yield from asyncio.wrap_future(self.future()).__await__())

    def __reduce__(self) -> tuple[Any, ...]:
        if _ray.util.client.ray.is_connected():  # whose own pickle knows its refs
            return _restore, (self.ray_ref,)
        context = _ray._private.worker.global_worker.get_serialization_context()
        if context.is_in_band_serialization():
            return _restore, (self.ray_ref,)
        # By somebody else's pickle: the owner's address has to go along, and Ray keeps the value from now on.
        return _restore_written, (_ray.cloudpickle.dumps(self.ray_ref),)

    def __repr__(self) -> str:
        return f"ObjectRef({self.ray_ref.hex()}{', ready' if self.is_here else ''})"


_refs: WeakValueDictionary[bytes, RayRef] = WeakValueDictionary()
_lock = threading.Lock()


def ref_of(engine: RayEngine, ray_ref: Any) -> RayRef:
    """Return the one ref of this process for a ref of Ray's."""
    key = ray_ref.binary()
    with _lock:
        ref = _refs.get(key)
        if ref is None:
            ref = _refs[key] = RayRef(engine, ray_ref)
        return ref


def forget_refs() -> None:
    """Another Ray begins, which may number its values as the one before did."""
    with _lock:
        _refs.clear()


def _restore(ray_ref: Any) -> RayRef:
    from pullahead.actors.ray.engine import attach

    return ref_of(attach(), ray_ref)


def _restore_written(written: bytes) -> RayRef:
    return _restore(_ray.cloudpickle.loads(written))


@final
class _Turns:
    """Runs callbacks one at a time on a thread of their own, in the order in which they became due.

    Not on Ray's: a future of Ray's that is done runs them where they are added, perhaps with a lock held.
    """

    def __init__(self) -> None:
        self._is_over = False  # the engine was shut down: what comes still is run where it comes
        self._due: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def add(self, callback: Callable[[], object]) -> None:
        """Run this behind those that are due already."""
        with self._lock:
            if not self._is_over:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._run, name="pullahead-ray-callbacks", daemon=True
                    )
                    self._thread.start()
                self._due.put(callback)
                return
        _call(callback)

    def begin(self) -> None:
        """There is an engine."""
        self._is_over = False

    def stop(self) -> None:
        """End the thread when it has run what is due."""
        with self._lock:
            self._is_over = True
            thread, self._thread = self._thread, None
            if thread is not None:
                self._due.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def check_may_block(self) -> None:
        """Refuse to wait where waiting would be for ever."""
        if threading.current_thread() is self._thread:
            raise RuntimeError(
                "a blocking get() or wait() on the thread that receives results would wait for itself: "
                "in a callback of a future, use .future() or await, or start a thread"
            )

    def _run(self) -> None:
        while (callback := self._due.get()) is not None:
            _call(callback)
            del callback


def _call(callback: Callable[[], object]) -> None:
    try:
        callback()
    except BaseException:  # noqa: BLE001  the others have their turn all the same
        traceback.print_exc()


turns = _Turns()


@final
class _Arrival(Future[Any]):
    """The future of a ref: its callbacks run in `turns`, never inside `add_done_callback`."""

    def __init__(self, ref: RayRef) -> None:
        super().__init__()
        self._early: deque[_Callback] = deque()  # added before the outcome was here
        self._is_over = False  # the early ones are having their turn, or had it
        self._guard = threading.Lock()
        if ref.is_here:
            self._finish(ref, None)
        else:
            ref.ray_ref.future().add_done_callback(lambda done: turns.add(lambda: self._finish(ref, done)))

    def add_done_callback(self, fn: _Callback) -> None:
        """Run `fn(self)` in its turn. See `ObjectRef.future`."""
        with self._guard:
            if not self._is_over:
                self._early.append(fn)
                return
        turns.add(lambda: fn(self))

    def cancel(self) -> bool:
        """Wait no more; the call goes on. The callbacks do not wait for it."""
        if not super().cancel():
            return False
        turns.add(self._run_early)
        return True

    def _finish(self, ref: RayRef, done: Future[Any] | None) -> None:
        if self.set_running_or_notify_cancel():
            try:
                self.set_result(ref.result() if done is None else ref.came(done.result()))
            except Exception as error:  # noqa: BLE001  whatever it is, it belongs to the waiter
                self.set_exception(translated(error, ref.ray_ref))
        self._run_early()

    def _run_early(self) -> None:
        with self._guard:
            self._is_over = True
            early, self._early = self._early, deque()
        for fn in early:
            _call(partial(fn, self))
