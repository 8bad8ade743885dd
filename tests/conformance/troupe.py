"""The classes that the suite runs as actors.

They are in a module of their own so that no actor imports pytest, and are made actor classes in `cast`, so
that mypy knows what they are: it does not let a decorator change the type of a class.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from pullahead import actors


class TwoArguments(Exception):  # noqa: N818  the name says what matters
    """Pickle takes it and cannot bring it back: its constructor wants two arguments, and pickle has one."""

    def __init__(self, left: str, right: str) -> None:
        super().__init__(f"{left} and {right}")


class Unpicklable(TwoArguments):
    """Can be raised, but not sent."""

    def __reduce__(self) -> Any:
        raise TypeError("it stays here")


class OddError(Exception):
    """An ordinary exception of user code, with a field."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message, code)
        self.code = code


class Counter:
    """Counts, and remembers in which order it was called."""

    def __init__(self, start: int = 0, *, step: int = 1) -> None:
        self.value, self.step = start, step
        self.seen: list[Any] = []

    def add(self, n: int = 1) -> int:
        self.value += n * self.step
        return self.value

    def note(self, what: Any) -> None:
        self.seen.append(what)

    def notes(self) -> list[Any]:
        return self.seen

    def echo(self, value: Any) -> Any:
        return value

    def keywords(self, *, must: int, may: int = 2) -> int:
        return must + may

    def star(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return args, kwargs

    @staticmethod
    def static(x: int) -> int:
        return 2 * x

    @classmethod
    def made_by(cls, x: int) -> str:
        return f"{cls.__name__} {x}"

    def _private(self) -> str:
        return "private"

    def __call__(self, x: int) -> int:
        return x + self.value


class Faulty:
    """Fails in every way."""

    def odd(self) -> None:
        raise OddError("odd", code=7)

    def noted(self) -> None:
        error = ValueError("noted")
        error.add_note("while testing")
        raise error

    def chained(self) -> None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer") from error

    def two_arguments(self) -> None:
        raise TwoArguments("this", "that")

    def unpicklable(self) -> None:
        raise Unpicklable("this", "that")

    def unpicklable_result(self) -> Any:
        return threading.Lock()

    def base(self) -> None:
        raise asyncio.CancelledError("base")

    def exit(self, code: Any) -> None:
        sys.exit(code)

    def os_exit(self, code: int) -> None:
        os._exit(code)

    def signal(self, number: int) -> None:
        os.kill(os.getpid(), number)
        time.sleep(10)

    def interrupt(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)  # a signal for this process comes before the call returns

    def segfault(self) -> None:
        import ctypes

        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        ctypes.string_at(0)

    def sleep(self, seconds: float) -> str:
        time.sleep(seconds)
        return "slept"

    def pid(self) -> int:
        return os.getpid()


class BadStart:
    """Its constructor raises."""

    def __init__(self, code: int) -> None:
        raise OddError("no start", code)

    def anything(self) -> None:
        pass


class Caller:
    """Uses other actors."""

    def __init__(self, other: Any = None) -> None:
        self.other = other
        self.ref: Any = None

    def me(self, handle: Any) -> None:
        self.other = handle

    def add(self, n: int = 1) -> Any:
        return actors.get(self.other.add.remote(n))

    def add_later(self, n: int) -> Any:
        return self.other.add.remote(n)

    def get(self, refs: list[Any]) -> Any:
        return actors.get(refs)

    def keep(self, refs: list[Any]) -> None:
        self.ref = refs[0]

    def get_kept(self) -> Any:
        return actors.get(self.ref)

    def give_kept(self) -> Any:
        return [self.ref]

    def drop_kept(self) -> None:
        self.ref = None

    def pass_kept(self, other: Any) -> Any:
        return actors.get(other.get.remote([self.ref]))

    def put(self, value: Any) -> Any:
        return [actors.put(value)]

    def create(self, start: int) -> Any:
        from tests.conformance.cast import Counter as CounterActor

        return CounterActor.remote(start)

    def find(self, name: str) -> Any:
        return actors.get(actors.get_actor(name).add.remote())

    def note(self, what: Any) -> None:
        actors.get(self.other.note.remote(what))

    def later_to_self(self, n: int) -> Any:
        return self.other.echo.remote(n)

    def echo(self, value: Any) -> Any:
        return value

    def init_again(self) -> None:
        actors.init()

    def shut_down(self) -> None:
        actors.shutdown()

    def kill(self, handle: Any) -> None:
        actors.kill(handle)

    def pid(self) -> int:
        return os.getpid()


class Meeting:
    """Methods that can only end together: they prove that calls run at the same time."""

    def __init__(self, parties: int = 2) -> None:
        self.barrier = threading.Barrier(parties)

    def meet(self) -> str:
        self.barrier.wait(timeout=20)
        return threading.current_thread().name

    def thread(self) -> str:
        return threading.current_thread().name


class AsyncMeeting:
    """An async actor."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.event = asyncio.Event()
        self.running = self.most = 0

    async def wait(self) -> str:
        await self.event.wait()
        return "met"

    async def set(self) -> None:
        self.event.set()

    def plain(self) -> bool:
        return asyncio.get_running_loop() is self.loop

    async def crowd(self) -> int:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.02)  # long enough for all the calls to arrive
        self.running -= 1
        return self.most

    async def await_ref(self, refs: list[Any]) -> Any:
        return await refs[0]

    async def fail(self) -> None:
        raise OddError("async", 3)

    def fail_plainly(self) -> None:
        raise OddError("plain", 4)


class Grouped:
    """A long method, and a group that is served meanwhile."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.barrier = threading.Barrier(2)

    def run(self) -> str:
        assert self.stop.wait(timeout=20)
        return threading.current_thread().name

    @actors.method(concurrency_group="control")
    def finish(self) -> str:
        self.stop.set()
        return threading.current_thread().name

    @actors.method(concurrency_group="pool")
    def meet(self) -> None:
        self.barrier.wait(timeout=20)

    def where(self) -> str:
        return threading.current_thread().name


class AsyncGrouped:
    """An async actor whose loop is blocked while the group is served."""

    def __init__(self) -> None:
        self.stop = threading.Event()

    async def block(self) -> bool:
        return self.stop.wait(timeout=20)

    @actors.method(concurrency_group="control")
    async def finish(self) -> None:
        self.stop.set()


class Mailbox:
    """Answers when somebody else has brought something."""

    def __init__(self) -> None:
        self.waiting: list[Future[Any]] = []

    @actors.method(deferred=True)
    def take(self) -> Future[Any]:
        self.waiting.append(Future())
        return self.waiting[-1]

    def bring(self, value: Any) -> None:
        self.waiting.pop(0).set_result(value)

    def bring_from_thread(self, value: Any) -> None:
        future = self.waiting.pop(0)
        threading.Thread(target=lambda: future.set_result(value)).start()

    def spoil(self) -> None:
        self.waiting.pop(0).set_exception(OddError("spoiled", 1))

    def cancel(self) -> None:
        self.waiting.pop(0).cancel()

    @actors.method(deferred=True)
    def wrong(self) -> Any:
        return 3


class Surroundings:
    """Says what its process looks like."""

    def environ(self, name: str) -> str | None:
        return os.environ.get(name)

    def cwd(self) -> str:
        return str(Path.cwd())

    def argv(self) -> list[str]:
        return sys.argv

    def path(self) -> list[str]:
        return sys.path

    def main_thread(self) -> bool:
        return threading.current_thread() is threading.main_thread()

    def modules(self) -> set[str]:
        return set(sys.modules)

    def descriptors(self) -> list[str]:
        return sorted(str(p.readlink()) for p in Path("/proc/self/fd").iterdir() if int(p.name) > 2)


class Arrays:
    """Works on what supports pickle protocol 5."""

    def __init__(self) -> None:
        self.kept: Any = None

    def fill(self, array: Any, value: float) -> Any:
        array[:] = value
        return array

    def facts(self, array: Any) -> tuple[float, bool]:
        return float(array.sum()), bool(array.flags.writeable)

    def make(self, n: int, value: float) -> Any:
        import numpy as np

        return np.full(n, value)

    def keep(self, array: Any) -> None:
        self.kept = array

    def kept_sum(self) -> float:
        return float(self.kept.sum())

    def drop(self) -> None:
        self.kept = None

    def mapped(self) -> int:
        return sum("pullahead" in line for line in Path("/proc/self/maps").read_text().splitlines())

    def descriptors(self) -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    def echo(self, value: Any) -> Any:
        return value

    def length(self, value: Any) -> int:
        return len(value)
