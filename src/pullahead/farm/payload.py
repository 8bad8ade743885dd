"""Items and results as payloads: packed once by the sender, unpacked once by the receiver.

The queue passes payloads on and never opens them. A float, a bool, None and an integer of 64 bits are
themselves, because messages carry them as they are (`envelope`). So are a short text and a *record*, a small
tuple, list or dict of nothing but those, in a tuple of its own: a pickle for each of a thousand items costs
several times as much as one message with all. What else is small is plain bytes: its pickle. One that has
large buffers (arrays, or simply a large pickle) keeps them beside the pickle, so that the engine can move
them through shared memory instead of through its sockets. Where there is a journal, what is JSON is a text:
JSON. What is elsewhere is `Freight`, and is weighed and unpacked here like the others.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, final

from pullahead import actors
from pullahead.actors import serial
from pullahead.journal.plain import exact_json

#: Bytes. From here on, shared memory is cheaper than a copy through a socket.
LARGE: Final = 64 * 1024
#: Types whose values are their own payloads, if they fit into a word. Not subclasses: these are more.
ITSELF: Final = frozenset({int, float, bool, type(None)})
#: The first integer that does not; what is less than its negative does not, either.
WIDE: Final = 1 << 63
#: Characters of a text that needs no pickle, or of all the texts in a record.
_SHORT: Final = 1024
#: What may be a record, if it has no more fields than so many, each of one of these types.
_RECORDS: Final = frozenset({tuple, list, dict})
_CHANGEABLE: Final = frozenset({list, dict})
_FIELDS: Final = 32
_PLAIN: Final = ITSELF | {str}
#: Bytes of what is its own payload, about, and what a short text or a record counts: more than most have.
_WORD: Final = 8
_SMALL: Final = _SHORT + _FIELDS * _WORD
_IN_MESSAGES: Final = ITSELF | {tuple}


class Way(IntEnum):
    """How large buffers travel, from each process to the next."""

    COPIED = 0
    PASSED = 1  # whoever sends them has no more use for them
    LENT = 2  # whoever sends them may need them as they are, and does not change them


_MARKS: Final[dict[int, Any]] = {
    Way.COPIED: pickle.PickleBuffer,
    Way.PASSED: actors.passed,
    Way.LENT: actors.lent,
}


@final
class Payload:
    """A pickle with its large buffers beside it. Pickling it again copies nothing but references.

    Attributes:
        data: the pickle.
        buffers: what was left out of it.
        way: how these travel.
    """

    __slots__ = ("buffers", "data", "way")

    def __init__(self, data: Any, buffers: list[Any], way: int = Way.COPIED) -> None:
        self.data = data
        self.buffers = buffers
        self.way = way

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data) + sum(memoryview(buffer).nbytes for buffer in self.buffers)

    def copied(self) -> Payload:
        """Return that of a result, with buffers of its own: whoever has the arrays may change them.

        What arrives of them can be written to: whoever wants that need not copy it again.
        """
        return Payload(
            self.data, [actors.staged(buffer) or bytearray(buffer) for buffer in self.buffers], Way.PASSED
        )

    def lent(self) -> Payload:
        """Return that of an item, which may be needed more than once, with buffers that cross without another
        copy where that can be. Whoever gets them may write to them."""
        return Payload(self.data, [actors.staged(buffer) or buffer for buffer in self.buffers], Way.LENT)

    def unpacked(self, *, own: bool = False) -> Any:
        """Return what was packed. `own`: with arrays that can be written to, copied where need be."""
        buffers = [_writable(buffer) for buffer in self.buffers] if own else self.buffers
        return pickle.loads(self.data, buffers=buffers)

    def anew(self) -> Any:
        """Return what was packed, as it was: the next call returns the same, whatever becomes of this."""
        buffers = [
            buffer if memoryview(buffer).readonly or actors.restored(buffer) else bytearray(buffer)
            for buffer in self.buffers
        ]
        return pickle.loads(self.data, buffers=buffers)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        data = pickle.PickleBuffer(self.data) if len(self.data) >= LARGE else self.data
        return Payload, (data, list(map(_MARKS[self.way], self.buffers)), int(self.way))

    def __conform__(self, protocol: object) -> bytes:
        """A database wants to store it: all in one, and writable again when it is read."""
        return pickle.dumps(Payload(bytes(self.data), [bytearray(buffer) for buffer in self.buffers]), 5)


def pack(value: Any) -> Any:
    """Return the payload of a value, see the module. Raises what pickling raises."""
    kind = type(value)
    if kind in ITSELF and (kind is not int or is_word(value)):
        return value
    if kind is str and len(value) < _SHORT:
        return (value,)
    if kind in _RECORDS and len(value) <= _FIELDS and _is_record(value):
        return (value if kind is tuple else value.copy(),)  # as it is now
    return _pickled(value)


def _is_record(value: Any) -> bool:
    fields = [*value, *value.values()] if type(value) is dict else value
    kinds = set(map(type, fields))
    if not kinds <= _PLAIN:
        return False
    words = [field for field in fields if type(field) is int] if int in kinds else []
    if words and not (is_word(min(words)) and is_word(max(words))):
        return False
    return str not in kinds or sum([len(field) for field in fields if type(field) is str]) < _SHORT


def is_word(number: int) -> bool:
    """Return whether an integer fits into a word."""
    return -WIDE <= number < WIDE


def _pickled(value: Any) -> Any:
    data, buffers = serial.dumps(value)
    if buffers or len(data) >= LARGE:
        return Payload(data, [buffer.raw() for buffer in buffers])
    return data


def pack_for_journal(value: Any) -> Any:
    """Return a value as JSON if it is JSON, and otherwise its pickle. Raises what pickling raises."""
    text = exact_json(value)
    return _pickled(value) if text is None else text


def pack_for_journal_now(value: Any) -> Any:
    """Return a value as `pack_for_journal` does, as it is now, whatever becomes of its arrays."""
    payload = pack_for_journal(value)
    return payload.copied() if type(payload) is Payload else payload


def as_item(payload: Any) -> Any:
    """Return what travels of an item, as it is now: its payload, ready to be sent more than once."""
    return payload.lent() if type(payload) is Payload else payload


def size_of(payload: Any) -> int:
    """Return how many bytes a payload has, about, or characters of text; 0 if that is not known."""
    kind = type(payload)
    if kind is bytes or kind is str:
        return len(payload)
    if kind in ITSELF:
        return _WORD
    size: int = _SMALL if kind is tuple else payload.size
    return size


def largest(payloads: Sequence[Any], unknown: int = 0) -> int:
    """Return the size of the largest of some payloads; 0 if there are none.

    `unknown`: what counts as the size of one that is elsewhere and of which nobody knows how large it is.
    """
    kinds = set(map(type, payloads))
    if kinds <= _IN_MESSAGES:
        return _SMALL if tuple in kinds else _WORD if kinds else 0
    sizes = map(size_of, payloads)
    return max([size or unknown for size in sizes]) if unknown else max(sizes)


def unpack(payload: Any, *, own: bool = False) -> Any:
    """Return what was packed, also if it comes from a journal. `own`: with arrays that can be written to."""
    kind = type(payload)
    if kind is bytes:
        value = pickle.loads(payload)
        return value.unpacked() if type(value) is Payload else value
    if kind in ITSELF:
        return payload
    if kind is tuple:
        return payload[0]
    if kind is str:
        return json.loads(payload)
    return payload.unpacked(own=own)


def unpack_anew(payload: Any) -> Any:
    """Return what was packed, as it was, each time: whatever has become of what an earlier call returned.

    What is elsewhere is as its ref has it: whoever changes that changes it for all who have the ref.
    """
    kind = type(payload)
    if kind is tuple and type(payload[0]) in _CHANGEABLE:
        return payload[0].copy()
    return payload.anew() if kind is Payload else unpack(payload)


def _writable(buffer: Any) -> Any:
    return bytearray(buffer) if memoryview(buffer).readonly else buffer
