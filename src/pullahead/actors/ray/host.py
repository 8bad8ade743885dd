"""A Ray actor: builds the user's object, then serves every call.

There are three kinds. Where all methods are plain, calls run on Ray's own thread, the main thread, and Ray
keeps them in the order of each caller. Where some are async or deferred, the Ray actor is async. Where some
are deferred, and it is known how many answers are waited for at most, each waits on a thread of Ray's: a call
passes one thread there and not three, which takes a third less CPU time, and half of the time where all of
them sleep. Ray runs the calls of the last two in any order, also plain ones of one caller (seen on 2.60), so
each call is numbered by its caller and begins in its turn.

Rules
-----
1. If the constructor raises, the process stays and answers every call with that exception.
2. What user code raises travels as bytes of ours, in an exception of ours: Ray would change its type.
3. A numbered call gets its refs as refs, and waits for their values in its turn. If Ray resolved them, a ref
   whose value is an error would end the call before it arrives, and those behind it would wait for ever.
"""

from __future__ import annotations

import asyncio
import marshal
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, Generic, NamedTuple, Never, TypeVar, final

from pullahead.actors import api, serial
from pullahead.actors.failures import dumps_error, without_our_frames
from pullahead.actors.refs import ObjectRef
from pullahead.actors.signatures import is_deferred

__all__ = ["AsyncHost", "Host", "Limits", "RaisedError", "ThreadedHost", "World"]

_Turn = TypeVar("_Turn")
_opened = marshal.loads
_ASYNC_CONCURRENCY = 1000  # as in Ray
#: Seconds that a call holds a thread for one before it, whose caller may have died while it was on its way.
_PATIENCE = 300.0
#: Seconds that pure Python may keep the interpreter while a callback waits for it. Python's own are 0.005.
_SWITCH_INTERVAL = 0.0005


class RaisedError(Exception):
    """What user code raised, as `dumps_error` wrote it, on its way through Ray."""

    def __init__(self, data: bytes, summary: str) -> None:
        super().__init__(data, summary)
        self.data, self.summary = data, summary

    def __str__(self) -> str:
        return self.summary


class World(NamedTuple):
    """What a new process takes over from its creator, before the user's class is imported."""

    path: list[str]
    argv: list[str]
    environ: dict[str, str]
    time_limit: float | None

    def enter(self) -> None:
        """Take it over. The folders of the path that this node has not do no harm."""
        sys.path += [folder for folder in self.path if folder not in sys.path]
        sys.argv[:] = self.argv
        os.environ.update(self.environ)


class Limits(NamedTuple):
    """How many calls of an async actor may run at once: outside of its groups, and in each of them."""

    default: int | None
    groups: dict[str, int]


class _Threads:
    """What runs methods on Ray's threads.

    Args:
        target: the user's class, pickled.
        world: what to take over.
        args: of its constructor; refs among them are refs still.
        kwargs: likewise.
    """

    def __init__(self, target: bytes, world: World, args: list[Any], kwargs: dict[str, Any]) -> None:
        self._blueprint: Any = target, args, kwargs
        self._methods: dict[str, Callable[..., Any]] = {}
        self._instance: Any = None
        self._failure: RaisedError | None = None
        self._building = threading.Lock()
        _adopt(world)

    def build(self) -> None:
        """Build the user's object, unless it is there."""
        with self._building:
            if self._blueprint is None:
                return
            target, args, kwargs = self._blueprint
            try:
                self._instance = _build(target, [_value(one) for one in args], _values(kwargs))
            except BaseException as error:  # noqa: BLE001  every call will raise it
                self._failure = _raised(error)
            self._blueprint = None

    def is_here(self) -> None:
        """Return: there is a process."""

    def _run(self, method: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        if self._blueprint is not None:
            self.build()  # somebody else has the handle, and was faster than whoever started this actor
        if self._failure is not None:
            raise self._failure
        try:
            bound = self._methods.get(method)
            if bound is None:
                bound = self._methods[method] = getattr(self._instance, method)
            return bound(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001  it belongs to the caller
            raise _raised(error) from None


class Host(_Threads):
    """The base of the Ray classes of actors whose methods are plain. Arguments as for `_Threads`."""

    def call(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Run a method."""
        return self._run(method, args, kwargs)


class ThreadedHost(_Threads):
    """The base of the Ray classes of actors that have deferred methods and a thread for each answer that is
    waited for. Arguments as for `_Threads`. Methods run one at a time."""

    def __init__(self, target: bytes, world: World, args: list[Any], kwargs: dict[str, Any]) -> None:
        super().__init__(target, world, args, kwargs)
        self._lines: dict[bytes, _Line[threading.Lock]] = {}
        self._running = threading.Lock()

    def call(self, head: bytes, /, *args: Any, **kwargs: Any) -> Any:
        """Run a method when its turn has come, and wait for its answer. Arguments as for `AsyncHost`."""
        caller, number, _, method = _opened(head)
        with self._running:
            line = self._lines.setdefault(caller, _Line())
            if line.knows(number):
                return None  # the caller was interrupted and could not know that it was sent
            turn = None if line.is_turn(number) else line.wait(number, _closed_lock())
        if turn is not None and not turn.acquire(timeout=_PATIENCE):
            raise _raised(TimeoutError(f"the call before this one did not come within {_PATIENCE:g} s"))
        values, kwargs, failure = self._arrived(args, kwargs)
        with self._running:
            try:
                if method is None:
                    return None
                if failure is not None:
                    raise failure
                result = self._run(method, values, kwargs)
            finally:
                self._let_next_begin(line)
        if not is_deferred(self._methods[method]):
            return result
        if not isinstance(result, Future):
            raise _raised(_no_future(method, result))
        try:
            return result.result()
        except BaseException as error:  # noqa: BLE001  it belongs to the caller
            raise _raised(error) from None

    @staticmethod
    def _arrived(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Sequence[Any], dict[str, Any], Any]:
        """Wait for the values of refs among the arguments, or say why one cannot come."""
        try:
            return [_value(one) for one in args], _values(kwargs), None
        except BaseException as error:  # noqa: BLE001  it belongs to the caller
            return args, kwargs, _raised(error)

    @staticmethod
    def _let_next_begin(line: _Line[threading.Lock]) -> None:
        turn = line.advance()
        if turn is not None:
            turn.release()


def _closed_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


class AsyncHost:
    """The base of the Ray classes of actors that have async or deferred methods.

    Arguments as for `_Threads`, and `limits` of how many calls run at once.
    """

    def __init__(
        self, target: bytes, world: World, args: list[Any], kwargs: dict[str, Any], limits: Limits
    ) -> None:
        self._blueprint: Any = target, args, kwargs
        self._built: Future[Any] = Future()
        self._lines: dict[tuple[bytes, str | None], _Line[asyncio.Future[None]]] = {}
        self._slots: dict[str | None, asyncio.Semaphore] = {}
        self._limits = limits
        _adopt(world)

    async def is_here(self) -> None:
        """Return: there is a process."""

    async def build(self) -> None:
        """Build the user's object, on the loop on which its methods run."""
        (target, args, kwargs), self._blueprint = self._blueprint, None
        try:
            args, kwargs = await _arrived(args, kwargs)
            self._built.set_result(_build(target, args, kwargs))
        except BaseException as error:  # noqa: BLE001  every call will raise it
            self._built.set_exception(_raised(error))

    async def call(self, head: bytes, /, *args: Any, **kwargs: Any) -> Any:
        """Run a method when its turn has come.

        All calls of a group come on one loop, so no lock is needed.

        Args:
            head: (caller, number, group, method), marshalled, because bytes cost Ray least. `method`: None if
                the call could not be sent.
            args: of the method; refs among them are refs still, and of ours, which Ray does not resolve.
            kwargs: likewise.
        """
        caller, number, group, method = _opened(head)
        line = self._lines.setdefault((caller, group), _Line())
        slot = self._slots.get(group)
        if slot is None:
            slot = self._slots[group] = asyncio.Semaphore(self._size_of(group))
        if line.knows(number):
            return None  # the caller was interrupted and could not know that it was sent
        if not line.is_turn(number):
            await line.wait(number, asyncio.get_running_loop().create_future())
        if method is None:
            self._let_next_begin(line)
            return None
        has_slot = False
        try:
            try:
                instance = (
                    self._built.result() if self._built.done() else await asyncio.wrap_future(self._built)
                )
                values, kwargs = await _arrived(args, kwargs)
                await slot.acquire()
                has_slot = True
                bound = getattr(instance, method)
                result = bound(*values, **kwargs)
            finally:
                self._let_next_begin(line)
            if not is_deferred(bound):
                return await result if hasattr(result, "__await__") else result
            slot.release()  # whoever waits for an answer runs no more
            has_slot = False
            if not isinstance(result, Future):
                raise _no_future(method, result)
            return await _answer(result)
        except RaisedError:
            raise
        except BaseException as error:  # noqa: BLE001  it belongs to the caller
            raise _raised(error) from None
        finally:
            if has_slot:
                slot.release()

    @staticmethod
    def _let_next_begin(line: _Line[asyncio.Future[None]]) -> None:
        turn = line.advance()
        if turn is not None:
            turn.set_result(None)

    def _size_of(self, group: str | None) -> int:
        size = self._limits.default if group is None else self._limits.groups[group]
        return size or _ASYNC_CONCURRENCY


@final
class _Line(Generic[_Turn]):
    """The calls of one caller: each begins when the one before it has begun. For one thread at a time."""

    __slots__ = ("_begins", "_next", "_waiting")

    def __init__(self) -> None:
        self._next, self._begins = 0, -1
        self._waiting: dict[int, _Turn] = {}

    def knows(self, number: int) -> bool:
        return number < self._next or number == self._begins or number in self._waiting

    def is_turn(self, number: int) -> bool:
        """Whether it may begin; then it does."""
        if number == self._next:
            self._begins = number
        return number == self._next

    def wait(self, number: int, turn: _Turn) -> _Turn:
        """Keep what this call waits for."""
        self._waiting[number] = turn
        return turn

    def advance(self) -> _Turn | None:
        """One has begun. Return what the next one waits for, if it is there."""
        self._next += 1
        turn = self._waiting.pop(self._next, None)
        if turn is not None:
            self._begins = self._next
        return turn


def _adopt(world: World) -> None:
    from pullahead.actors.ray.engine import attach

    world.enter()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    engine = attach()
    if world.time_limit is not None:
        engine.begin_guard(world.time_limit)


def _build(target: bytes, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    return serial.loads(target)(*args, **kwargs)


def _value(one: Any) -> Any:
    return api.get(one) if isinstance(one, ObjectRef) else one


def _values(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(one) for name, one in kwargs.items()}


async def _arrived(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Sequence[Any], dict[str, Any]]:
    """Wait for the values of refs among the arguments. Does not yield where there are none."""
    args = [await one if isinstance(one, ObjectRef) else one for one in args]
    return args, {name: await one if isinstance(one, ObjectRef) else one for name, one in kwargs.items()}


async def _answer(result: Future[Any]) -> Any:
    try:
        return await asyncio.wrap_future(result)
    except asyncio.CancelledError:
        if result.cancelled():
            raise CancelledError from None  # as whoever cancelled it knows it
        raise


def _no_future(method: str, result: Any) -> TypeError:
    return TypeError(f"{method} is deferred and must return a Future, not {type(result).__name__}")


def _raised(error: BaseException) -> RaisedError:
    """Return what travels instead of an error; ends the process if the error says so."""
    if isinstance(error, SystemExit | KeyboardInterrupt):
        _exit(error)
    if isinstance(error, RaisedError):
        return error
    summary = f"{type(error).__qualname__}: {error}"
    return RaisedError(dumps_error(without_our_frames(error)), summary)


def _exit(error: BaseException) -> Never:
    """End the process as the exception says: SystemExit with its code, KeyboardInterrupt as by Ctrl-C."""
    if isinstance(error, KeyboardInterrupt):
        if threading.current_thread() is not threading.main_thread():
            os.kill(os.getpid(), signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    code = getattr(error, "code", None)
    if not isinstance(code, int | None):
        sys.stderr.write(f"{code}\n")
        code = 1
    raise SystemExit(code)
