"""What is written into a journal."""

from __future__ import annotations

from typing import Any, NamedTuple

from pullahead.journal.identity import Place


class Entry(NamedTuple):
    """An item, as the journal knows it.

    Attributes:
        place: its position or its key.
        digest: see `identity`; None where it has a key.
        label: the item for people, where it is no JSON.
    """

    place: Place
    digest: bytes | None
    label: str | None


class Attempt(NamedTuple):
    """An attempt that failed: the columns of its table, but for the place and the number."""

    worker: int | None
    began: float | None
    ended: float
    summary: str
    traceback: str
    error: bytes


class Ended(NamedTuple):
    """Items have ended, or were charged an attempt: then their state is "open"."""

    entry: Entry
    state: str
    item: Any  # JSON as text; or bytes, or what conforms to them
    result: Any
    attempts: tuple[Attempt, ...]  # all of them, in order


class Delivered(NamedTuple):
    """A sink was handed the ends of these items, and is so many bytes long, if it has a size.

    Without places, it begins anew: whatever it was handed before does not count.
    """

    sink: str
    places: tuple[Place, ...] | None
    size: int | None


class Found(NamedTuple):
    """What a journal has of an item."""

    state: str
    digest: bytes | None
    result: Any
    session: int
    delivered: bool  # to the sink that was asked for
    row: int  # of the table
    attempts: tuple[Attempt, ...]


Record = Ended | Delivered
