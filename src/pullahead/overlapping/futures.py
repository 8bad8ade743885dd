"""What a call may return: a value, a future, an `ObjectRef` of either engine; never a coroutine."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any, Protocol, TypeVar, cast

T_co = TypeVar("T_co", covariant=True)


class SupportsResult(Protocol[T_co]):
    """What overlap needs to know of a `concurrent.futures.Future`, for type checkers."""

    def result(self, timeout: float | None = None) -> T_co: ...
    def add_done_callback(self, fn: Callable[[Any], object], /) -> None: ...


class SupportsFuture(Protocol[T_co]):
    """An `ObjectRef`, ours or Ray's, for type checkers."""

    def future(self) -> SupportsResult[T_co]: ...


def as_future(result: object) -> Future[Any] | None:
    """Return the future that a result is or has, None for a plain value.

    For Ray, asking for the future right after the request is what makes a large result travel at once.
    """
    if isinstance(result, Future):
        return result
    if not callable(getattr(type(result), "future", None)):
        return None
    future = cast(SupportsFuture[Any], result).future()
    if not isinstance(future, Future):
        raise TypeError(
            f"expected {type(result).__name__}.future() to return a concurrent.futures.Future, "
            f"got {type(future).__name__}"
        )
    return future


def future_inside(item: object) -> Future[Any] | None:
    """Return the future of the value of an item that is a ref itself, None for any other item.

    What is wrong with such a ref is seen by who asks for its value.
    """
    if isinstance(item, Future) or not hasattr(type(item), "__await__"):  # both engines' refs have it
        return None
    try:
        return as_future(item)
    except Exception:  # noqa: BLE001  as said above
        return None


def outcome(future: Future[Any]) -> tuple[Any, BaseException | None]:
    """Return the value and the exception of a future that is done: one of them is None."""
    error = CancelledError() if future.cancelled() else future.exception()
    return (future.result() if error is None else None), error


def async_refused(thing: object) -> TypeError:
    """Return the error for an async function, or for what one returned."""
    if inspect.iscoroutine(thing):
        thing.close()  # or Python warns that it was never awaited
    return TypeError(
        "overlap: expected a function that blocks or returns a future, got an async one; pass "
        "lambda: asyncio.run_coroutine_threadsafe(fetch(), loop), with a loop that runs in another thread"
    )
