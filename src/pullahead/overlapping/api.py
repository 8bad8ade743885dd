"""The function `overlap`: what it takes, and what it refuses."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar, overload

from pullahead.core import trace
from pullahead.overlapping.account import Account
from pullahead.overlapping.flow import Flow
from pullahead.overlapping.futures import SupportsFuture, SupportsResult, async_refused
from pullahead.overlapping.iterator import Overlap
from pullahead.overlapping.leftovers import Leftovers

T = TypeVar("T")


@overload
def overlap(
    fetch: Callable[[], SupportsFuture[T | None]] | Iterable[SupportsFuture[T]],
    *,
    sentinel: object = None,
    lookahead: int | Literal["auto"] = "auto",
    give_back: Callable[[T], object] | None = None,
    recorder: trace.Recorder | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Overlap[T]: ...
@overload
def overlap(
    fetch: Callable[[], SupportsResult[T | None]] | Iterable[SupportsResult[T]],
    *,
    sentinel: object = None,
    lookahead: int | Literal["auto"] = "auto",
    give_back: Callable[[T], object] | None = None,
    recorder: trace.Recorder | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Overlap[T]: ...
@overload
def overlap(
    fetch: Callable[[], T | None] | Iterable[T],
    *,
    sentinel: object = None,
    lookahead: int | Literal["auto"] = "auto",
    give_back: Callable[[T], object] | None = None,
    recorder: trace.Recorder | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Overlap[T]: ...
def overlap(
    fetch: Any,
    *,
    sentinel: object = None,
    lookahead: int | Literal["auto"] = "auto",
    give_back: Callable[[Any], object] | None = None,
    recorder: trace.Recorder | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Overlap[Any]:
    """Iterate over fetched items; the next ones are fetched while the current one is computed.

    Nothing is fetched before the first `next()`.

    Args:
        fetch: a function without arguments that returns a future (an `ObjectRef`, ours or Ray's, or a
            `concurrent.futures.Future`), or that blocks until it has an item. It blocks on one thread of
            its own, one call after another. Or an iterable, which is read ahead on that thread; what it
            yields may be futures as well. An item that is an `ObjectRef` itself is yielded as it is, once its
            value is here.
        sentinel: the item that says that there are no more, by identity, then by `==`. Every request
            that is under way when it comes must be answered too, by items or by more sentinels. Where
            None is an item, pass `sentinel=object()`. In an iterable, which ends by itself, None is an item.
            A StopIteration from `fetch` ends it as well.
        lookahead: how many items to hold or ask for beyond the current one: "auto" finds it from measured
            times, at most 256, and no more than 64 MiB of arrays, buffers or text, but one in any case; 1 is
            the plain pattern; 0 asks only when the item is wanted.
        give_back: called with every item that was fetched and not yielded when the loop is left early. It
            may block or return a future. An item that arrives after that is given back on another thread.
            Errors in it go to `sys.unraisablehook`. Without it such items are lost, and a RuntimeWarning says
            how many, except for an iterable that can be read again, such as a list.
        recorder: writes what happened, for timelines.
        clock: seconds, for tests.

    Returns:
        An iterator with `close()` and `statistics()`. Leaving the loop closes it when nothing else refers to
        it; `with` does so for certain. Fetch errors are raised at their turn and do not end it.

    Raises:
        TypeError: for an async function, for text, for an actor's method without `.remote`, and whatever is
            neither a function nor an iterable.
        ValueError: for a negative lookahead.
    """
    if lookahead != "auto" and (isinstance(lookahead, bool) or not isinstance(lookahead, int)):
        raise TypeError(f"lookahead: expected 'auto' or a number from 0, got {lookahead!r}")
    function, reread = _as_function(fetch)
    if function is not fetch and sentinel is None:
        sentinel = object()  # equal to nothing
    leftovers = Leftovers(give_back) if give_back is not None or not reread else None
    account = Account(None if lookahead == "auto" else lookahead, recorder)
    return Overlap(Flow(function, sentinel, leftovers, account, clock))


def _as_function(fetch: Any) -> tuple[Callable[[], Any], bool]:
    """Return the function to call for each item, and whether the items can be read again from `fetch`."""
    is_async = inspect.isawaitable(fetch) or hasattr(type(fetch), "__aiter__")
    if inspect.iscoroutinefunction(fetch) or (is_async and not callable(fetch)):
        raise async_refused(fetch)
    if not isinstance(fetch, type) and callable(getattr(fetch, "remote", None)):
        raise TypeError(
            "overlap: expected a function, got an actor's method; pass queue.get_work_item.remote itself"
        )
    if callable(fetch):
        return fetch, False
    if isinstance(fetch, str | bytes) or not isinstance(fetch, Iterable):
        raise TypeError(f"overlap: expected a function or an iterable of items, got {type(fetch).__name__}")
    iterator = iter(fetch)
    return iterator.__next__, iterator is not fetch
