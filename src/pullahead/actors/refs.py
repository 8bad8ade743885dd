"""The promise of a value: what `.remote()` and `put` return, whichever engine made it."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pullahead.actors.api import Engine

__all__ = ["ObjectRef"]


class ObjectRef:
    """A value that exists or will exist in some process. Pass it on, `get` it, or await it.

    As a top-level argument of a call it arrives as its value; inside a list or another object it
    arrives as a ref. It is hashable and picklable; a ref pickled by your own `pickle.dumps`, instead
    of by a call, keeps its value alive until the process that owns it ends.
    """

    # Not an abstract base class: `isinstance` with one costs 0.3 µs, and every argument is asked.
    __slots__ = ("__weakref__",)

    @property
    def engine(self) -> Engine:
        """The engine that made it, which may be shut down."""
        raise NotImplementedError

    def result(self, timeout: float | None = None) -> Any:
        """Do what `get(ref, timeout=...)` does."""
        raise NotImplementedError

    def future(self) -> Future[Any]:
        """Return a `concurrent.futures.Future` of the value.

        Its callbacks run on the thread that reads from the other process, one at a time, and never inside
        `add_done_callback`: keep them short, and do not block in them (a blocking `get` there raises
        RuntimeError instead of waiting for itself). On the local engine, those of calls on one actor run in
        the order of its replies, if they were added in that order as well; on Ray in any order. The result
        may be there before its callback's turn.
        """
        raise NotImplementedError

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait for the value without blocking the running asyncio loop."""
        raise NotImplementedError
