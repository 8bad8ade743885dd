"""What travels not in the messages but beside them: a ref does, and who needs the value has it brought.

An item that is a ref is freight on every engine. Large payloads are where the engine has a store of objects
on each machine: then a value goes from the machine that has it to the one that needs it, once, while
something else is computed there.
"""

from __future__ import annotations

from typing import Any, Final, final

from pullahead import actors
from pullahead.actors import ObjectRef
from pullahead.core.lookahead import WAY_BYTES
from pullahead.farm.payload import ITSELF, Payload, as_item, is_word, pack, unpack
from pullahead.farm.relay import Unopened

__all__ = ["UNKNOWN", "Freight", "freight_of", "ship", "ship_now"]

#: Bytes that a value counts at the queue of which nobody knows yet how many it has: two are all that a worker
#: gets before it has found out.
UNKNOWN: Final = WAY_BYTES // 2


@final
class Freight:
    """A value that is elsewhere.

    Attributes:
        ref: of the value.
        size: bytes; 0 if that is not known.
        is_packed: whether the value is a payload, which has to be unpacked.
    """

    __slots__ = ("is_packed", "ref", "size")

    def __init__(self, ref: ObjectRef, size: int, is_packed: bool) -> None:
        self.ref, self.size, self.is_packed = ref, size, is_packed

    def unpacked(self, *, own: bool = False) -> Any:
        """Return the value; waits for it. Raises what keeps it from coming."""
        value = self.ref.result()
        return unpack(value, own=own) if self.is_packed else value

    def weigh(self) -> None:
        """Find out how large the value is, now that it is here."""
        self.size = self.size or actors.size_of(self.ref) or 0

    def __reduce__(self) -> tuple[Any, ...]:
        return Freight, (self.ref, self.size, self.is_packed)

    def __repr__(self) -> str:
        return f"Freight({self.ref!r}, {self.size:,} bytes)"


def freight_of(item: Any) -> Freight | None:
    """Return what travels for an item that is a ref; None if it is none."""
    ref = actors.as_ref(item)
    return None if ref is None else Freight(ref, actors.size_of(ref) or 0, is_packed=False)


def _aside(payload: Any) -> Any:
    """Return what travels instead of a payload: itself, unless it is better put than passed."""
    if type(payload) is not Payload or not actors.is_better_put(payload.size):
        return payload
    return Freight(actors.put(payload), payload.size, is_packed=True)


def ship(item: Any) -> Any:
    """Return what travels to a worker for an item. Raises what pickling it raises."""
    if type(item) is Unopened:
        return as_item(_aside(item.as_item()))
    return freight_of(item) or as_item(_aside(pack(item)))


def ship_all(items: list[Any]) -> list[Any] | None:
    """Return what travels for each, if they are so plain that this takes no looking at each; or None."""
    try:
        kinds = set(map(type, items))
    except TypeError:  # a class that cannot be hashed, of a class of classes of somebody's
        return None
    if int in kinds:
        plain = kinds <= {int, bool} and is_word(min(items)) and is_word(max(items))
    else:
        plain = kinds <= ITSELF
    return items if plain else None


def ship_now(result: Any) -> Any:
    """Return what travels for a result as it is now, whatever becomes of its arrays. Raises as `ship`."""
    packed = pack(result)
    if type(packed) is not Payload:
        return packed
    travels = _aside(packed)  # what is put is a copy
    return travels.copied() if type(travels) is Payload else travels
