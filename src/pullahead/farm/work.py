"""The user's work, whatever its shape, as one object with the same verbs.

Work is a function ``f(item)``; a class, or a `functools.partial` of one, that is built once in each worker;
or an object that is pickled to each worker. A class or object has `process`, and may have `load`, `store`,
`discard` and `close`. A plain function gets `load` and `store` as options. Each of them may be `async def`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from pullahead.core.lookahead import MAX_BYTES, WAY_BYTES
from pullahead.farm.failure import RetryLater

Verb = Callable[..., Any]

#: When `process` raises one of these, its worker ends. Whatever else is raised is the failure of its item.
DEADLY: Final = (SystemExit, KeyboardInterrupt)


@final
@dataclass(frozen=True, slots=True)
class WorkSpec:
    """What travels to a worker. `build` there makes the `Work`.

    Args:
        work: the user's function, class, partial or object.
        load, store: for a plain function.
        batch_size: items per call of `process`, or 0 for one by one.

    Raises:
        TypeError: when built from something that is no work; the message says what is expected.
    """

    work: Any
    load: Verb | None = None
    store: Verb | None = None
    batch_size: int = 0

    def __post_init__(self) -> None:
        target = _target(self.work)
        if not callable(self.work) and not hasattr(self.work, "process"):
            raise TypeError(
                "work: expected a function of one item, or a class or object with a method `process`, got "
                f"{self.work!r}"
            )
        if isinstance(target, type) and not callable(getattr(target, "process", None)):
            raise TypeError(f"work: the class {target.__qualname__} has no method `process`")
        for name in ("load", "store"):
            given = getattr(self, name)
            if given is not None and not callable(given):
                raise TypeError(f"{name}: expected a function, got {given!r}")
            if given is not None and hasattr(target, "process") and hasattr(target, name):
                raise ValueError(f"{name}: given as an option, but {self.name} has a method of that name")

    @property
    def name(self) -> str:
        """What the work is called."""
        target = _target(self.work)
        return getattr(target, "__qualname__", None) or type(target).__qualname__

    @property
    def full_name(self) -> str:
        """What the work is called among all there are: module:name."""
        target = _target(self.work)
        module = getattr(target, "__module__", None) or type(target).__module__
        return f"{module}:{self.name}"

    @property
    def loads(self) -> bool:
        """Whether there is a `load`, as far as it is known before the work is built."""
        target = _target(self.work)
        return self.load is not None or (hasattr(target, "process") and hasattr(target, "load"))

    @property
    def budget(self) -> int:
        """How many bytes a worker may hold and have asked for, as far as that is known."""
        return budget(loads=self.loads)

    def build(self, finish: Callable[[Verb], Any]) -> Work:
        """Make the work, in the worker: this is where a class is instantiated.

        Args:
            finish: calls a function and, if a coroutine comes, waits for it.
        """
        target, work = _target(self.work), self.work
        instance = work() if isinstance(target, type) else work
        if hasattr(instance, "process"):
            verb = functools.partial(getattr, instance)
            return Work(
                process=_finished(instance.process, finish),
                load=self.load or verb("load", None),
                store=self.store or verb("store", None),
                discard=verb("discard", None),
                close=verb("close", None),
                batch_size=self.batch_size,
            )
        return Work(
            process=_finished(work, finish), load=self.load, store=self.store, batch_size=self.batch_size
        )


def budget(*, loads: bool) -> int:
    """Return how many bytes a worker may hold and have asked for."""
    return MAX_BYTES if loads else WAY_BYTES


@final
@dataclass(frozen=True, slots=True)
class Work:
    """The verbs of the user's work in one worker."""

    process: Verb
    load: Verb | None = None
    store: Verb | None = None
    discard: Verb | None = None
    close: Verb | None = None
    batch_size: int = 0

    def process_batch(
        self,
        loaded: dict[int, Any],
        again: Callable[[int], Any],
        begin: Callable[[tuple[int, ...]], None],
    ) -> dict[int, Any]:
        """Process a batch. Returns the result of each item; a `Raised` stands in for each it prevented.

        A batch that raises is cut in halves until what raises is alone: only that has failed. (But a work
        that asks for a batch again later has said all there is to say of it, and one that returns no list
        of results would not return a better one.)

        Args:
            loaded: the items by their numbers.
            again: unpickles and loads an item anew: the call that raised may have changed what it was given.
            begin: called before each call of `process`, with the items that it takes.
        """
        if not loaded:
            return {}
        items = tuple(loaded)
        begin(items)
        try:
            results = self.process(list(loaded.values()))
        except DEADLY:
            raise
        except BaseException as error:  # noqa: BLE001
            if len(items) == 1 or isinstance(error, RetryLater):
                return dict.fromkeys(items, Raised(error))
            half = len(items) // 2
            return self._process_part(items[:half], again, begin) | self._process_part(
                items[half:], again, begin
            )
        try:
            return dict(zip(items, _as_many(results, len(items)), strict=True))
        except DEADLY:
            raise
        except BaseException as error:  # noqa: BLE001
            return dict.fromkeys(items, Raised(error))

    def _process_part(
        self,
        items: tuple[int, ...],
        again: Callable[[int], Any],
        begin: Callable[[tuple[int, ...]], None],
    ) -> dict[int, Any]:
        loaded: dict[int, Any] = {}
        failed: dict[int, Any] = {}
        for item in items:
            try:
                loaded[item] = again(item)
            except DEADLY:
                raise
            except BaseException as error:  # noqa: BLE001
                failed[item] = Raised(error)
        return self.process_batch(loaded, again, begin) | failed


@final
class Raised:
    """Stands in the place of a result that an exception prevented."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _as_many(results: Any, count: int) -> list[Any]:
    """Return what came of a batch as a list. Raises ValueError if it is none, or has another length."""
    is_sequence = _is_sequence(results)
    if not is_sequence or len(results) != count:
        got = len(results) if is_sequence else type(results).__qualname__
        raise ValueError(
            f"process: expected a list of {count} results for a batch of {count} items, got {got}"
        )
    return list(results)


def _finished(process: Verb, finish: Callable[[Verb], Any]) -> Verb:
    """Make an async `process` plain: it has the worker to itself, one call at a time, like any other."""
    if not is_async(process):
        return process
    return lambda loaded: finish(lambda: process(loaded))


def _is_sequence(results: Any) -> bool:
    """Say whether these are results in an order: a list, a tuple, an array along its first axis."""
    if isinstance(results, str | bytes | bytearray | memoryview):
        return False
    # Arrays and tensors are no `Sequence`. A data frame has a shape as well, but iterates over its columns.
    is_array = bool(getattr(results, "shape", ())) and not hasattr(results, "columns")
    return isinstance(results, Sequence) or is_array


def is_async(function: Any) -> bool:
    """Say whether calling it gives a coroutine, as far as can be seen without calling it."""
    method = type(function).__call__ if callable(function) else None
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(method)


def _target(work: Any) -> Any:
    """Return what a partial is about."""
    while isinstance(work, functools.partial):
        work = work.func
    return work
