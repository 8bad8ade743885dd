"""The seam between a live queue and those who do not take from it: they fill it, look at it, and mend it.

Every method waits for the server, and raises `SourceError` if that cannot be reached or refuses what is
wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self, final, runtime_checkable


@final
@dataclass(frozen=True, slots=True)
class Stats:
    """How a queue stands.

    Attributes:
        ready: nobody has had them.
        out: somebody has them.
        waiting: put with a delay, given back, or to be retried: for a time, or until somebody takes them.
        done: have ended, with their results; None: the queue does not remember that.
        dead: have failed for good.
        due: of those that are out or waiting, how many may be taken now.
        consumers: how many have something.
        oldest: seconds since the first of those that are ready was put; None: none is.
    """

    ready: int
    out: int
    waiting: int
    done: int | None
    dead: int
    due: int
    consumers: int
    oldest: float | None


class DeadItem(NamedTuple):
    """An item that has failed for good. `item`: its JSON; `ended`: seconds since 1970."""

    id: int | str
    item: str
    reason: str
    attempts: int
    ended: float


class Queue(Protocol):
    """A queue at an address. See the module."""

    name: str

    def put(
        self, items: Iterable[Any], *, priority: int = 0, delay: float | None = None
    ) -> Sequence[int | str]:
        """Add items, and return their ids.

        Args:
            items: values that JSON can hold.
            priority: the larger, the earlier.
            delay: seconds until they may be taken; None: at once.

        Raises:
            ResultError: JSON cannot hold one of them.
            ValueError: the queue has no such priorities, or no delays.
        """

    def stats(self) -> Stats:
        """Say how it stands."""

    def dead(self, most: int = 100) -> list[DeadItem]:
        """List what has failed for good, the latest first."""

    def retry(self, ids: Iterable[int | str] | None = None) -> int:
        """Make what has failed for good ready again; None: all of it. Returns how many items that were.

        Raises:
            ValueError: one of these is no id.
        """

    def close(self) -> None:
        """Let go of the connection."""

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Close it."""


@runtime_checkable
class CountsDead(Protocol):
    """What a queue may offer whose `stats` ask for more than what has failed does."""

    def count_dead(self) -> int:
        """Count what has failed for good."""
