"""The promise of a value: what `.remote()` and `put` return, whichever engine made it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pullahead.actors.api import Engine

__all__ = ["ObjectRef"]


class ObjectRef(ABC):
    """A value that exists or will exist in some process. Pass it on, `get` it, or await it.

    As a top-level argument of a call it arrives as its value; inside a list or another object it
    arrives as a ref. It is hashable and picklable; a ref pickled by your own `pickle.dumps`, instead
    of by a call, keeps its value alive until the process that owns it ends.
    """

    __slots__ = ("__weakref__",)

    @property
    @abstractmethod
    def engine(self) -> Engine:
        """The engine that made it, which may be shut down."""

    @abstractmethod
    def future(self) -> Future[Any]:
        """Return a `concurrent.futures.Future` of the value.

        Its callbacks run on the thread that reads from the other process: keep them short, and do not
        block in them (a blocking `get` there raises RuntimeError instead of waiting for itself).
        """

    @abstractmethod
    def __await__(self) -> Generator[Any, None, Any]:
        """Wait for the value without blocking the running asyncio loop."""
