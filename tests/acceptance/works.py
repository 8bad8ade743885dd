"""Works that the acceptance tests run, importable in every process."""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import pullahead as pa
from pullahead import actors


def square(x: int) -> int:
    return x * x


def echo(x: Any) -> Any:
    return x


def pid_of(_: Any) -> int:
    return os.getpid()


def fail_on_three(x: int) -> int:
    if x == 3:
        raise LookupError("three")
    return x


def fail_on_three_until(folder: str, x: int) -> int:
    if x == 3 and (Path(folder) / "fails").exists():
        raise LookupError("three")
    return x


def double_all(xs: list[int]) -> list[int]:
    return [2 * x for x in xs]


def size_of_batch(xs: list[int]) -> list[int]:
    return [len(xs)] * len(xs)


def one_short(xs: list[int]) -> list[int]:
    return xs[1:]


def no_list(xs: list[int]) -> str:
    return "no list"


def as_set(xs: list[int]) -> Any:
    return set(xs)


def as_dict(xs: list[int]) -> Any:
    return dict.fromkeys(xs)


def as_array(xs: list[int]) -> Any:
    return np.array(xs)


def thread_of(_: Any) -> str:
    return threading.current_thread().name


def environment_of(name: str) -> str | None:
    return os.environ.get(name)


def exit_on_three(x: int) -> int:
    if x == 3:
        os._exit(7)
    return x


def load_soon(x: int) -> int:
    time.sleep(0.002)
    return x


def leave_on_forty(x: int) -> int:
    if x == 40:
        raise SystemExit(3)
    time.sleep(0.005)
    return x


def always_exit(_: int) -> int:
    os._exit(7)


def unpicklable_result(x: int) -> Any:
    return threading.Lock() if x == 3 else x


class Poison:
    """Pickles in a worker and does not unpickle anywhere."""

    def __reduce__(self) -> Any:
        return _only_there, ()


def _only_there() -> None:
    raise ImportError("only there")


def poison(x: int) -> Any:
    return Poison() if x == 3 else x


class Shy:
    def __repr__(self) -> str:
        raise RuntimeError("not you again")


def fail_always(item: Any) -> None:
    raise LookupError("always")


def stop_iteration(x: int) -> int:
    if x == 3:
        raise StopIteration(x)
    return x


class NoException(BaseException):
    """Nothing that `except Exception` catches."""


def raise_on_three(kind: type[BaseException], x: int) -> int:
    if x == 3:
        raise kind("three")
    return x


def raise_on_three_in_batches(kind: type[BaseException], xs: list[int]) -> list[int]:
    return [raise_on_three(kind, x) for x in xs]


def exit_quietly(x: int) -> int:
    if x == 3:
        sys.exit("not now")
    return x


class TwoArguments(Exception):  # noqa: N818
    """Pickles, and does not unpickle."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.second = second


def raise_with_a_lock(_: int) -> int:
    raise ValueError(threading.Lock())


def exit_on_seventy(folder: str, seconds: float, x: int) -> int:
    if x == 70:
        Path(folder, str(time.monotonic_ns())).touch()
        os._exit(7)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
    return x


def batch_exit_on_seventy(xs: list[int]) -> list[int]:
    if 70 in xs:
        os._exit(7)
    return xs


def store_exit_on_thirty(result: int, item: int) -> int:
    if item == 30:
        os._exit(7)
    return result


def wait_on_zero(folder: str, spin: bool, x: int) -> int:
    """Item 0 takes as long as the file `release` is not there, computing pure Python if it is to."""
    if x == 0:
        _wait_for(Path(folder, "release"), spin)
    return x


def _wait_for(file: Path, spin: bool) -> None:
    give_up = time.monotonic() + 20.0
    while not file.exists() and time.monotonic() < give_up:
        if not spin:
            time.sleep(0.005)


def wait_on_nothing(folder: str, data: bytes) -> tuple[int, int]:
    """Return the length and the first byte; of no bytes, once that is released."""
    if not data:
        _wait_for(Path(folder) / "release", spin=False)
    return len(data), sum(data[:1])


def wait_on_zero_batch(folder: str, xs: list[int]) -> list[int]:
    return [wait_on_zero(folder, False, x) for x in xs]


def small_until(folder: str, spin: bool, dies: bool, which: int, x: int) -> int:
    """Items of 0.2 ms; one of them waits for the file `release`, and may end its worker then."""
    end = time.perf_counter() + 0.0002
    while time.perf_counter() < end:
        pass
    wait_on_zero(folder, spin, x - which)
    if dies and x == which:
        Path(folder, str(time.monotonic_ns())).touch()
        os._exit(7)
    return x


_was_blocked = False
_poll = ctypes.PyDLL(None).poll  # unlike `CDLL`, it keeps the interpreter


class _Watched(ctypes.Structure):
    """As in poll(2)."""

    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short))


def block_on_one(folder: str, which: int, x: int) -> int:
    """Items of 1 ms. One of them stays in C and keeps the interpreter until something is in the pipe `pipe`.

    The next one of the same worker takes as long as the file `end` is not there, and the one 20 behind it, as
    long as `release` is not there, computing pure Python.
    """
    global _was_blocked
    if x == which:
        pipe = _Watched(os.open(Path(folder, "pipe"), os.O_RDONLY | os.O_NONBLOCK), select.POLLIN, 0)
        _poll(ctypes.byref(pipe), 1, 20_000)
        os.close(pipe.fd)
        Path(folder, "over").touch()
        _was_blocked = True
    elif _was_blocked:
        _was_blocked = False
        _wait_for(Path(folder, "end"), spin=False)
    elif x == which + 20:
        _wait_for(Path(folder, "release"), spin=True)
    else:
        time.sleep(0.001)
    return x


def keep(result: int, item: int) -> int:
    return result


def slow_pid(_: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def sleep_and_echo(item: tuple[int, float]) -> int:
    number, seconds = item
    time.sleep(seconds)
    return number


def sleep_on_three(x: int) -> int:
    time.sleep(2.0 if x == 3 else 0.0)
    return x


def raise_two_arguments(_: int) -> int:
    raise TwoArguments("one", "two")


class Doubling:
    """Has every verb, and writes down what it was asked to do."""

    def __init__(self, log: str = "") -> None:
        self._log = Path(log) if log else None
        self._note("built")

    def _note(self, what: str) -> None:
        if self._log is not None:
            with self._log.open("a") as file:
                file.write(what + "\n")

    def load(self, item: int) -> tuple[str, int]:
        self._note(f"load {item}")
        return "loaded", item

    def process(self, loaded: tuple[str, int]) -> int:
        assert loaded[0] == "loaded"
        self._note(f"process {loaded[1]}")
        time.sleep(0.001)
        return 2 * loaded[1]

    def store(self, result: int, item: int) -> tuple[str, int, int]:
        self._note(f"store {item}")
        return "stored", item, result

    def discard(self, loaded: tuple[str, int]) -> None:
        self._note(f"discard {loaded[1]}")

    def close(self) -> None:
        self._note("closed")


class AsyncDoubling:
    """`load` and `store` are coroutines; everything else is not."""

    async def load(self, item: int) -> int:
        await asyncio.sleep(0.001)
        return item

    def process(self, loaded: int) -> int:
        return 2 * loaded

    async def store(self, result: int, item: int) -> tuple[int, int]:
        await asyncio.sleep(0.001)
        return item, result


class AsyncEverything:
    """Every verb is a coroutine, and all of them share one event loop, which `close` is to find open."""

    def __init__(self, log: str, seconds: float = 0.001) -> None:
        self._log = Path(log)
        self._seconds = seconds
        self._loops: set[int] = set()

    async def _note(self, what: str) -> None:
        await asyncio.sleep(0)
        self._loops.add(id(asyncio.get_running_loop()))
        with self._log.open("a") as file:
            file.write(what + "\n")

    async def load(self, item: int) -> int:
        await self._note(f"load {item}")
        return item

    async def process(self, loaded: int) -> int:
        await self._note(f"process {loaded}")
        await asyncio.sleep(self._seconds)
        return 2 * loaded

    async def store(self, result: int, item: int) -> tuple[int, int]:
        await self._note(f"store {item}")
        return item, result

    async def discard(self, loaded: int) -> None:
        await asyncio.sleep(0.05)  # longer than it takes the worker to say goodbye
        await self._note(f"discard {loaded}")

    async def close(self) -> None:
        await self._note(f"closed on {len(self._loops)} loop")


class AsyncExit:
    """Exits in one of its verbs, as a plain work may."""

    def __init__(self, verb: str) -> None:
        self._verb = verb

    async def load(self, item: int) -> int:
        return self._exit("load", item)

    async def process(self, item: int) -> int:
        return self._exit("process", item)

    async def close(self) -> None:
        self._exit("close", 3)

    def _exit(self, verb: str, item: int) -> int:
        if verb == self._verb and item == 3:
            sys.exit(5)
        return item


class AsyncCall:
    """An instance is an async function of one item, which `inspect` cannot see in the instance itself."""

    async def __call__(self, item: int) -> int:
        await asyncio.sleep(0)
        return item + 1


async def add_one(item: int) -> int:
    await asyncio.sleep(0.001)
    return item + 1


async def fail_asynchronously(item: int) -> int:
    await asyncio.sleep(0)
    if item == 3:
        raise asyncio.CancelledError
    return item


async def store_asynchronously(result: int, item: int) -> int:
    return await fail_asynchronously(item)


class BatchSums:
    """Loads each item alone and processes them together."""

    def load(self, item: int) -> int:
        return item + 100

    def process(self, loaded: Sequence[int]) -> list[tuple[int, int]]:
        return [(one, len(loaded)) for one in loaded]


class NotBuilt:
    """Cannot be constructed."""

    def __init__(self) -> None:
        raise ConnectionRefusedError("no model here")

    def process(self, item: int) -> int:
        return item


def load_slowly(item: bytes) -> int:
    time.sleep(0.05)
    return len(item)


def fail_to_load(item: int) -> int:
    if item == 3:
        raise FileNotFoundError("file 3")
    return item


def fail_to_store(result: int, item: int) -> int:
    if item == 3:
        raise PermissionError("file 3")
    return result


def nap(seconds: float, x: int) -> int:
    time.sleep(seconds)
    return x


def nap_for_each(seconds: float, xs: list[int]) -> list[int]:
    time.sleep(seconds * len(xs))
    return xs


def linger_on_three(way: str, x: int) -> int:
    """Item 3 takes a minute, in one way or another."""
    if x == 3:
        _linger(way)
    return x


def _linger(way: str) -> None:
    if way == "sleeps":
        time.sleep(60.0)
    elif way == "spins":
        end = time.monotonic() + 60.0
        while time.monotonic() < end:
            pass
    elif way == "keeps the interpreter":
        ctypes.PyDLL(None).sleep(60)
    else:
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(60.0)  # it may take a moment to reach every thread


def linger_the_first_times(folder: str, times: int, x: int) -> int:
    """So does it here at its first attempts; each attempt at an item leaves a file."""
    attempt = len(list(Path(folder).glob(f"{x}-*")))
    Path(folder, f"{x}-{attempt}").touch(exist_ok=False)
    if x == 3 and attempt < times:
        _linger("sleeps")
    return x


def linger_to_load(x: int) -> int:
    return linger_on_three("sleeps", x)


async def linger_to_load_async(x: int) -> int:
    if x == 3:
        await asyncio.sleep(60.0)
    return x


def linger_to_store(result: int, item: int) -> int:
    return linger_on_three("sleeps", result)


def refuse_some(log: str, bad: Collection[int], xs: list[int]) -> list[int]:
    """Raises for a batch in which one of these is."""
    with Path(log).open("a") as file:
        file.write(f"{xs}\n")
    if found := [x for x in xs if x in bad]:
        raise LookupError(found)
    return [10 * x for x in xs]


def double_in_place(bad: int, loaded: list[dict[str, int]]) -> list[int]:
    """Changes what it is given before it finds out that it cannot have it."""
    for one in loaded:
        one["x"] *= 2
    if any(one["x"] == 2 * bad for one in loaded):
        raise LookupError(bad)
    return [one["x"] for one in loaded]


def in_a_dict(x: int) -> dict[str, int]:
    return {"x": x}


async def in_a_dict_async(x: int) -> dict[str, int]:
    return {"x": x}


def later_at_first(log: str, xs: list[int]) -> list[int]:
    with Path(log).open("a") as file:
        file.write(f"{len(xs)}\n")
    if Path(log).read_text().count("\n") == 1:
        raise pa.RetryLater(0.05)
    return xs


def refuse_then_linger(bad: int, hangs: int, xs: list[int]) -> list[int]:
    """Raises for a batch with the bad one; alone, the other one takes a minute."""
    if bad in xs or (hangs in xs and len(xs) > 1):
        raise LookupError(xs)
    if hangs in xs:
        _linger("sleeps")
    return xs


def reject_odd(xs: list[int]) -> list[int]:
    if any(x % 2 for x in xs):
        raise pa.Reject("odd")
    return xs


def oserror_or_keyerror(x: int) -> int:
    raise OSError(x) if x == 1 else KeyError(x)


def note_and_linger_on_three(folder: str, way: str, x: int) -> int:
    """Leaves a file for each item when it begins."""
    Path(folder, str(x)).touch()
    return linger_on_three(way, x)


def note_and_nap(folder: str, seconds: float, x: int) -> int:
    Path(folder, str(x)).touch()
    return nap(seconds, x)


def nap_with_pid(seconds: float, x: int) -> tuple[int, int]:
    time.sleep(seconds)
    return x, os.getpid()


def nap_or_wait_for_file(file: str, seconds: float, x: int) -> tuple[int, int]:
    """A number below zero is not done before this file is there."""
    time.sleep(seconds)
    while x < 0 and not Path(file).exists():
        time.sleep(seconds)
    return x, os.getpid()


def nap_and_pid(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def plus_one(array: Any) -> Any:
    return array + 1


def plus_one_of_all(arrays: list[Any]) -> list[Any]:
    return [array + 1 for array in arrays]


def large_and_exits_on_each_fiftieth(folder: str, x: int) -> Any:
    if x % 50 == 49:
        marker = Path(folder) / str(x)
        if not marker.exists():
            marker.touch()
            os._exit(7)
    return np.full(40_000, x)


def keep_result(result: Any, item: Any) -> Any:
    return result


class FillsItsBuffer:
    """Has one array for all results."""

    def __init__(self) -> None:
        self._one, self._rows = np.empty(10_000), np.empty((64, 10_000))

    def process(self, x: Any) -> Any:
        if not isinstance(x, list):
            self._one[:] = x
            return self._one
        for row, value in zip(self._rows, x, strict=False):
            row[:] = value
        return [self._rows[i] for i in range(len(x))]


class SlowToClose:
    def __init__(self, folder: str) -> None:
        self.folder = folder

    def process(self, x: int) -> int:
        Path(self.folder, f"worked {os.getpid()}").touch()
        return x

    def close(self) -> None:
        time.sleep(0.5)
        Path(self.folder, f"closed {os.getpid()}").touch()


class HangsAtClose:
    def process(self, x: int) -> int:
        return x

    def close(self) -> None:
        time.sleep(60.0)


class StoresAtLast:
    """Its store fails the first `failures` times for each item; all that it does is noted in a file."""

    def __init__(self, log: str, failures: int = 2) -> None:
        self._log, self._failures = Path(log), failures
        self._tried: Counter[int] = Counter()

    def _note(self, what: str) -> None:
        with self._log.open("a") as file:
            file.write(what + "\n")

    def process(self, item: int) -> int:
        self._note(f"process {item}")
        return 10 * item

    def store(self, result: int, item: int) -> tuple[int, int]:
        self._note(f"store {item}")
        self._tried[item] += 1
        if self._tried[item] <= self._failures:
            raise OSError(f"store {self._tried[item]} of {item}")
        return item, result


class StoresBatchesAtLast(StoresAtLast):
    """Likewise, with batches."""

    def process(self, items: list[int]) -> list[int]:  # type: ignore[override]
        return [super(StoresBatchesAtLast, self).process(item) for item in items]


class LaterThenReject:
    """Asks for an item once more, and then does not want it."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def process(self, item: int) -> int:
        if item not in self._seen:
            self._seen.add(item)
            raise pa.RetryLater(0.01)
        raise pa.Reject("seen before")


class FailsTwice:
    """Fails the first two times that it sees an item; the count is on disk, shared by all workers."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def process(self, item: int) -> int:
        attempt = len(list(self._folder.glob(f"{item}-*")))
        (self._folder / f"{item}-{attempt}").touch(exist_ok=False)
        if attempt < 2:
            raise OSError(f"attempt {attempt}")
        return attempt


# For runs with a journal


def double(x: int) -> int:
    return 2 * x


def nap_and_double(x: int) -> int:
    time.sleep(0.01)
    return 2 * x


def upper(text: str) -> str:
    return text.upper()


def note_call(folder: str, name: object) -> None:
    """Leave a file for each call."""
    Path(folder, f"{name} {os.getpid()} {time.monotonic_ns()}").touch()


def note_each_call(folder: str, x: int) -> int:
    note_call(folder, x)
    time.sleep(0.001)
    return 2 * x


def note_each_name(folder: str, item: dict[str, Any]) -> str:
    note_call(folder, item["name"])
    return str(item["name"]).upper()


def name_of(item: dict[str, Any]) -> Any:
    return item["name"]


def note_and_fail_on_three(folder: str, x: int) -> int:
    note_call(folder, x)
    if x == 3:
        raise ValueError("three")
    return x


def wait_for_files(folder: Path, count: int) -> None:
    """Wait until work has left so many files."""
    deadline = time.monotonic() + 20.0
    while len(list(folder.iterdir())) < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def large_array(size: int) -> Any:
    import numpy as np

    return np.arange(size)


def terminate_a_fork(_: int) -> int | None:
    os.kill(os.getpid(), signal.SIGTERM)
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,))
    process.start()
    process.terminate()
    process.join()
    return process.exitcode


class StoresLater:
    """Its first store asks to be tried again much later; meanwhile its worker is idle, and is killed."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def process(self, item: int) -> int:
        with (self._folder / "runs").open("a") as file:
            file.write(f"{item}\n")
        return item

    def store(self, result: int, item: int) -> int:
        if (self._folder / "stored").exists():
            return result
        (self._folder / "stored").touch()
        pid = os.getpid()
        threading.Timer(0.5, lambda: os.kill(pid, signal.SIGKILL)).start()
        raise pa.RetryLater(30.0)


class LoadDiesAfterAFailure:
    """`process` fails once; then the load of the same item kills the worker, once."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def load(self, item: int) -> int:
        if (self._folder / "failed").exists() and not (self._folder / "died").exists():
            (self._folder / "died").touch()
            os._exit(9)
        return item

    def process(self, item: int) -> int:
        if not (self._folder / "failed").exists():
            (self._folder / "failed").touch()
            raise ValueError("once")
        return item


def _opened_outside(value: int, caller: int) -> OpenedOutside:
    if os.getpid() == caller:
        raise RuntimeError("the caller has unpickled what it only passes on")
    return OpenedOutside(value, caller)


class OpenedOutside:
    """A value that can be unpickled in any process but one."""

    def __init__(self, value: int, caller: int) -> None:
        self.value, self.caller = value, caller

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened_outside, (self.value, self.caller)


def sealed_from(caller: int, x: int) -> OpenedOutside:
    return OpenedOutside(x, caller)


def value_of(sealed: OpenedOutside) -> int:
    return sealed.value


def fail_on_thirteen(sealed: Any) -> Any:
    if getattr(sealed, "value", sealed) in (13, [13]):
        raise LookupError("thirteen")
    return sealed


_tried: set[float] = set()


def fails_once_in_place(array: Any) -> Any:
    """Doubles in place where it can, and fails each time that it sees a value for the first time."""
    first = float(array[0])
    doubled = array
    if array.flags.writeable:
        doubled *= 2
    else:
        doubled = array * 2
    if first not in _tried:
        _tried.add(first)
        raise LookupError("once")
    return doubled


def ones_or_pid(count: int) -> Any:
    return np.ones(count) if count else os.getpid()


def spoil_once(folder: str, dies: bool, array: Any) -> tuple[float, bool]:
    """Sums an array and writes to it. The first attempt at each ends after that."""
    total, mark = float(array.sum()), Path(folder) / str(float(array[0]))
    array[:] = -1
    if not mark.exists():
        mark.touch()
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("the first attempt")
    return total, array.flags.writeable


def spoil_together(arrays: list[Any]) -> list[float]:
    """Sums arrays and writes to them. Several at once are too many."""
    totals = [float(array.sum()) for array in arrays]
    for array in arrays:
        array[:] = -1
    if len(arrays) > 1:
        raise RuntimeError("one by one, please")
    return totals


def address_and_pid(array: Any) -> tuple[int, int]:
    return array.__array_interface__["data"][0], os.getpid()


class Keeping:
    """Keeps the last eighty items. Returns the sum of what each of them begins with."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def process(self, array: Any) -> float:
        self.kept = [*self.kept[-79:], array]
        return sum(float(one[0]) for one in self.kept)


def slowly(x: Any) -> Any:
    time.sleep(0.2)
    return x


def put(x: Any) -> Any:
    return actors.put(x)
