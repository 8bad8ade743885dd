"""A Ray actor: builds the user's object, then serves every call.

There are two kinds. Where all methods are plain, calls run on Ray's own thread, the main thread, and Ray
keeps them in the order of each caller. Where some are async or deferred, the Ray actor is async. Ray runs the
calls of such an actor in any order, also plain ones of one caller (seen on 2.60), so each call is numbered by
its caller and begins in its turn.

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
from typing import Any, NamedTuple, Never, final

from pullahead.actors import api, serial
from pullahead.actors.failures import dumps_error, without_our_frames
from pullahead.actors.refs import ObjectRef
from pullahead.actors.signatures import MARK

__all__ = ["AsyncHost", "Host", "Limits", "RaisedError", "World"]

_opened = marshal.loads
_ASYNC_CONCURRENCY = 1000  # as in Ray
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


class Host:
    """The base of the Ray classes of actors whose methods are plain.

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

    def call(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Run a method."""
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


class AsyncHost:
    """The base of the Ray classes of actors that have async or deferred methods. Arguments as for `Host`."""

    def __init__(
        self, target: bytes, world: World, args: list[Any], kwargs: dict[str, Any], limits: Limits
    ) -> None:
        self._blueprint: Any = target, args, kwargs
        self._built: Future[Any] = Future()
        self._lines: dict[tuple[bytes, str | None], _Line] = {}
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
            await line.turn(number)
        if method is None:
            line.advance()
            return None
        has_slot = is_deferred = False
        try:
            try:
                instance = (
                    self._built.result() if self._built.done() else await asyncio.wrap_future(self._built)
                )
                values, kwargs = await _arrived(args, kwargs)
                await slot.acquire()
                has_slot = True
                bound = getattr(instance, method)
                is_deferred = getattr(bound, MARK, {}).get("deferred", False)
                result = bound(*values, **kwargs)
            finally:
                line.advance()
            if not is_deferred:
                return await result if hasattr(result, "__await__") else result
            slot.release()  # whoever waits for an answer runs no more
            has_slot = False
            if not isinstance(result, Future):
                kind = type(result).__name__
                raise TypeError(f"{method} is deferred and must return a Future, not {kind}")
            return await _answer(result)
        except RaisedError:
            raise
        except BaseException as error:  # noqa: BLE001  it belongs to the caller
            raise _raised(error) from None
        finally:
            if has_slot:
                slot.release()

    def _size_of(self, group: str | None) -> int:
        size = self._limits.default if group is None else self._limits.groups[group]
        return size or _ASYNC_CONCURRENCY


@final
class _Line:
    """The calls of one caller: each begins when the one before it has begun. On one loop."""

    __slots__ = ("_next", "_waiting")

    def __init__(self) -> None:
        self._next = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}

    def knows(self, number: int) -> bool:
        return number < self._next or number in self._waiting

    def is_turn(self, number: int) -> bool:
        return number == self._next

    async def turn(self, number: int) -> None:
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        await waiting

    def advance(self) -> None:
        self._next += 1
        waiting = self._waiting.pop(self._next, None)
        if waiting is not None:
            waiting.set_result(None)


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
