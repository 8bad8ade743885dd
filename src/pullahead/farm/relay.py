"""Results of a `map` that are the items of another one: they pass through the caller as they came.

Nobody there unpickles them, and none of what they are made of need be known there. What somebody sees is
opened: the item of a failure, by the user. So is what may be a ref, which as an item stands for its value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Protocol, final

from pullahead.farm.payload import Payload, unpack

#: What pickles of refs mention, on every engine.
_OF_REFS: Final = b"pullahead.actors."


class Unopening(Protocol):
    """What can give its results as they came."""

    def unopened(self) -> Any:
        """Return the next one. Raises StopIteration at the end."""


@final
class Unopened:
    """A result as it came."""

    __slots__ = ("payload",)

    def __init__(self, payload: Any) -> None:
        self.payload = payload

    def as_item(self) -> Any:
        """Return its payload as that of an item, which may be needed more than once: it is not given away."""
        payload = self.payload
        return Payload(payload.data, payload.buffers) if type(payload) is Payload else payload

    def __repr__(self) -> str:
        return "<a result of another map that cannot be unpickled in this process>"


@final
class Relay(Iterator[Any]):
    """The results of one run for another. Where they are as they came, they are `Unopened`."""

    def __init__(self, results: Unopening) -> None:
        self._results = results

    def __next__(self) -> Any:
        return self._results.unopened()


def may_hold_refs(payload: Any) -> bool:
    """Whether a result may be a ref, or hold some."""
    data = payload.data if type(payload) is Payload else payload
    return type(data) is bytes and _OF_REFS in data


def opened(item: Any) -> Any:
    """Return an item as the user knows it."""
    if type(item) is not Unopened:
        return item
    try:
        return unpack(item.payload, own=True)
    except Exception:  # noqa: BLE001  its class cannot be imported here, say: the worker could, or says so
        return item
