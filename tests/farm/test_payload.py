"""Payloads: small ones are bytes, large buffers stay beside the pickle."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from pullahead.farm.freight import ship_now
from pullahead.farm.payload import LARGE, Payload, pack, pack_for_journal_now, unpack


@pytest.mark.parametrize("value", [None, 0, "text", [1, {"a": (2.5, b"x")}], float("nan")])
def test_a_small_value_is_bytes(value: Any) -> None:
    packed = pack(value)
    assert type(packed) is bytes
    assert repr(unpack(packed)) == repr(value)


def test_a_large_pickle_travels_beside_the_message() -> None:
    value = b"x" * LARGE
    packed = pack(value)
    assert type(packed) is Payload
    buffers: list[pickle.PickleBuffer] = []
    frame = pickle.dumps(packed, 5, buffer_callback=buffers.append)
    assert len(frame) < 200
    assert unpack(pickle.loads(frame, buffers=buffers)) == value


def test_an_array_is_not_copied_into_the_pickle() -> None:
    array = np.arange(LARGE, dtype=np.uint8)
    packed = pack([array, array[:10]])
    assert type(packed) is Payload
    assert len(packed.data) < 1000
    whole, part = unpack(packed)
    assert (whole == array).all()
    assert (part == array[:10]).all()


def test_a_payload_that_was_received_can_be_sent_on() -> None:
    array = np.arange(LARGE, dtype=np.uint8)
    packed = pack(array)
    for _ in range(2):
        buffers: list[pickle.PickleBuffer] = []
        frame = pickle.dumps(packed, 5, buffer_callback=buffers.append)
        packed = pickle.loads(frame, buffers=[memoryview(bytearray(buffer.raw())) for buffer in buffers])
    received = unpack(packed)
    received[0] = 99
    assert (received[1:] == array[1:]).all()
    assert array[0] == 0


def test_what_is_shipped_now_does_not_change_with_its_array() -> None:
    array = np.arange(LARGE, dtype=np.uint8)
    for packer in (ship_now, pack_for_journal_now):
        array[:3] = 0, 1, 2
        packed = packer([array, "text"])
        array[:] = 0
        assert unpack(packed)[0][:3].tolist() == [0, 1, 2]
    assert ship_now("text") == pack("text")
