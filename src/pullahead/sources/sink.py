"""The other end of a run: where results go.

A sink is called `sink(result, item)` once for each item, on the thread that called `run`, one call at a
time, and never again for the same item. When an item has failed, its `Failure` comes in place of a
result. An exception raised by a sink ends the run, but for `ResultError`: that says that it cannot write
this result, so the item has failed, and the sink is called once more, with its `Failure`. Whoever made a
sink closes it.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeGuard, runtime_checkable

Sink = Callable[[Any, Any], object]

_FAILURE_NAMES: Final = ("attempts", "error", "item", "traceback")


class FailedItem(Protocol):
    """What a sink may rely on in a `Failure`.

    It is told from a result by these four names together, so that sinks need to know nothing of the run.
    Nothing that JSON can hold has them.
    """

    item: Any
    error: BaseException
    traceback: str
    attempts: int


@runtime_checkable
class ResumableSink(Protocol):
    """What a sink may offer so that each result is in it once, whatever dies: then it is a file, of which the
    end can be cut off. Its `name` says which file, for the journal."""

    name: str

    def resume(self, size: int | None) -> bool:
        """Go on at this size, in bytes; None: the journal does not know this file.

        Returns whether what the journal says was written is there; if not, it is all written again. Raises
        OSError or SourceError if the file cannot go on.
        """

    def checkpoint(self) -> int | None:
        """Return the size in bytes of what is safely written; None if it has no size."""


class RecordSink(ResumableSink, Protocol):
    """What our own sinks offer: they write records, of results and of failures, and can be closed."""

    def __call__(self, result: Any, item: Any) -> object:
        """Write the record of one item."""

    def write_error(self, item: Any, error: BaseException, attempts: int) -> None:
        """Write the record of an item that has failed."""

    def close(self) -> None:
        """Let go of the file, or the connection."""

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Close it; a file that was made for a run which came to nothing is removed."""


def resumable(sink: Any) -> ResumableSink | None:
    """Return the sink if it can go on where it was."""
    return sink if isinstance(sink, ResumableSink) else None


def is_failure(result: object) -> TypeGuard[FailedItem]:
    """Whether this came in place of a result."""
    return all(hasattr(result, name) for name in _FAILURE_NAMES)


def as_sink(obj: Any) -> Sink:
    """Make a sink of what the user gave.

    Args:
        obj: a callable that takes `(result, item)`, such as a `JsonlSink`; None for none at all.

    Raises:
        TypeError: it cannot be called that way. The message says what to write instead.
    """
    if obj is None:
        return _nowhere
    if isinstance(obj, str | os.PathLike):
        path = repr(os.fspath(obj))
        raise TypeError(
            f"expected a sink, a callable (result, item), got {path}; for a file of JSON lines write "
            f"pullahead.sources.JsonlSink({path})"
        )
    if not callable(obj) or isinstance(obj, type):
        raise TypeError(f"expected a sink, a callable (result, item), got {_describe(obj)}")
    _check_arguments(obj)
    checked: Sink = obj
    return checked


def _check_arguments(sink: Callable[..., object]) -> None:
    try:
        signature = inspect.signature(sink)
    except (TypeError, ValueError):  # some builtins do not say
        return
    try:
        signature.bind(None, None)
    except TypeError as error:
        name = getattr(sink, "__qualname__", repr(sink))
        raise TypeError(
            f"expected a sink that can be called as sink(result, item), got {name}{signature}: {error}"
        ) from None


def _describe(obj: object) -> str:
    if isinstance(obj, type):
        return f"the class {obj.__qualname__}; did you mean to call it?"
    kind = type(obj).__qualname__
    if hasattr(obj, "append"):
        return f"{kind}; to collect results write lambda result, item: results.append(result)"
    if hasattr(obj, "write"):
        return f"{kind}; for JSON lines write pullahead.sources.JsonlSink(stream)"
    return f"{kind} {obj!r}"


def _nowhere(result: Any, item: Any) -> None:
    """The sink of a run whose results nobody wants."""
