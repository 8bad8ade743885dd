"""Items and results as bytes: pickled once by the sender, unpickled once by the receiver.

The queue passes payloads on and never opens them. A small one is plain bytes. One that has large buffers
(arrays, or simply a large pickle) keeps them beside the pickle, so that the engine can move them through
shared memory instead of through its sockets. Where there is a journal, what is JSON is a text: JSON.
"""

from __future__ import annotations

import json
import pickle
from typing import Any, Final, final

from pullahead.actors import serial
from pullahead.journal.plain import exact_json

#: Bytes. From here on, shared memory is cheaper than a copy through a socket.
LARGE: Final = 64 * 1024


@final
class Payload:
    """A pickle with its large buffers beside it. Pickling it again copies nothing but references."""

    __slots__ = ("buffers", "data")

    def __init__(self, data: Any, buffers: list[Any]) -> None:
        self.data = data
        self.buffers = buffers

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        data = pickle.PickleBuffer(self.data) if len(self.data) >= LARGE else self.data
        return Payload, (data, [pickle.PickleBuffer(buffer) for buffer in self.buffers])

    def __conform__(self, protocol: object) -> bytes:
        """A database wants to store it: all in one, and writable again when it is read."""
        return pickle.dumps(Payload(bytes(self.data), [bytearray(buffer) for buffer in self.buffers]), 5)


def pack(value: Any) -> Any:
    """Pickle a value: bytes, or a `Payload`. Raises what pickling raises."""
    data, buffers = serial.dumps(value)
    if buffers or len(data) >= LARGE:
        return Payload(data, [buffer.raw() for buffer in buffers])
    return data


def pack_now(value: Any) -> Any:
    """Pickle a value as it is now, whatever becomes of its arrays. Raises what pickling raises."""
    payload = pack(value)
    if type(payload) is Payload:
        payload.buffers = [bytes(buffer) for buffer in payload.buffers]
    return payload


def pack_for_journal(value: Any) -> Any:
    """Return a value as JSON if it is JSON, and otherwise as `pack_now` does. Raises what pickling raises."""
    text = exact_json(value)
    return pack_now(value) if text is None else text


def size_of(payload: Any) -> int:
    """Return how many bytes a payload has, or characters of JSON."""
    if type(payload) is bytes or type(payload) is str:
        return len(payload)
    return len(payload.data) + sum(memoryview(buffer).nbytes for buffer in payload.buffers)


def unpack(payload: Any) -> Any:
    """Return what was packed, also if it comes from a journal."""
    if type(payload) is bytes:
        value = pickle.loads(payload)
        return unpack(value) if type(value) is Payload else value
    if type(payload) is str:
        return json.loads(payload)
    return pickle.loads(payload.data, buffers=payload.buffers)
