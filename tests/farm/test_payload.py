"""Payloads: plain values are themselves, small ones bytes, large buffers stay beside the pickle."""

from __future__ import annotations

import enum
import math
import pickle
from collections import Counter, OrderedDict
from typing import Any, NamedTuple

import numpy as np
import pytest

from pullahead.farm.envelope import opened, sealed
from pullahead.farm.freight import ship, ship_all, ship_now
from pullahead.farm.parcels import parcels
from pullahead.farm.payload import (
    LARGE,
    Payload,
    largest,
    pack,
    pack_for_journal_now,
    size_of,
    unpack,
    unpack_anew,
)
from pullahead.farm.recorded import UNPACKED


class Grade(enum.IntEnum):
    GOOD = 1


class Name(str):
    __slots__ = ()


class Point(NamedTuple):
    x: int
    y: int


class Kind(type):
    def __eq__(cls, other: object) -> bool:
        return cls is other

    __hash__ = None  # type: ignore[assignment]


class Odd(metaclass=Kind):
    """Its class has no hash."""


@pytest.mark.parametrize(
    "value",
    [
        *(b"x", "x" * 5000, [1, {"a": (2.5, b"x")}], 1j, Grade.GOOD, Name("x"), 1 << 63),
        # No records: what they hold is no plain value, too large, or too much.
        *((b"x",), [Grade.GOOD], (Name("x"),), {"a": 1 << 63}, {1j: 2}, [0] * 33, ["x" * 600] * 2, (1, ())),
        *(Counter("x"), OrderedDict(a=1), Point(1, 2), np.float64(1.5), [np.float64(1.5)], (np.int64(3),)),
    ],
)
def test_a_small_value_is_bytes(value: Any) -> None:
    packed = pack(value)
    assert type(packed) is bytes
    assert repr(unpack(packed)) == repr(value)
    assert type(unpack(packed)) is type(value)
    assert size_of(packed) == len(packed)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 0, -(1 << 63), 0.1, float("nan"), "", "text", "\ud800 ü \0"),
        *((), ("text",), (1, 2.5, None, "x", True), [], [1] * 32, {}, {"a": 1, 2: float("nan"), None: "ü"}),
    ],
)
def test_a_plain_value_travels_as_it_is(value: Any) -> None:
    for packer in (pack, ship, ship_now):
        message = ("done", 7, (1,), [packer(value)])
        sent = sealed([message])
        assert type(sent) is bytes
        (came,) = opened(sent)
        assert repr(came) == repr(message)  # a nan is not equal to itself
        assert type(came[3][0]) is not bytes
        assert repr(unpack(came[3][0], own=True)) == repr(value)
    assert 0 < size_of(pack(value)) < 2000


@pytest.mark.parametrize("value", [[1, "a"], {"a": 1}])
def test_a_record_travels_as_it_was(value: Any) -> None:
    before = repr(value)
    for packer in (pack, ship, ship_now):
        packed = packer(value)
        unpack(packed).clear()
        assert value, "whoever gets it has a copy"
    packed = pack(value)
    for _ in range(2):
        again = unpack_anew(packed)
        assert repr(again) == before
        again.clear()
    value.clear()
    assert repr(unpack(packed)) == before


def test_plain_values_are_shipped_without_a_look_at_each() -> None:
    items: list[Any]
    for items in ([1, -(1 << 63), True], [2.5, float("nan"), None, False]):
        assert ship_all(items) is items
    for items in ([1, "text"], [Grade.GOOD], [1, 1 << 63], [-(1 << 63) - 1], [Odd()]):
        assert ship_all(items) is None


def test_an_item_whose_class_cannot_be_hashed_fails_alone() -> None:
    """Pickle cannot take it."""
    found, left, error = parcels([(0, 1), (1, Odd()), (2, 3)], None, math.inf)
    assert (left, error) == ([], None)
    assert [(one.state, len(one.pairs)) for one in found] == [(None, 1), (UNPACKED, 1), (None, 1)]


def test_no_more_is_packed_at_once_than_16_mib() -> None:
    items = [(place, bytes((1 << 20) - place)) for place in range(40)]
    (parcel,), left, error = parcels([(-1, "small"), *items], None, 16 << 20)
    assert [place for place, _ in parcel.pairs] == list(range(-1, 16))
    assert (left, error) == (items[16:], None)
    (parcel,), left, error = parcels(left[:3], None, 16 << 20)
    assert (len(parcel.payloads), left, error) == (3, [], None)
    (parcel,), left, error = parcels([(0, bytes(17 << 20)), (1, Odd())], None, 16 << 20)
    assert (len(parcel.payloads), [place for place, _ in left], error) == (1, [1], None)


def test_what_is_large_is_weighed() -> None:
    huge = 1 << 10_000_000
    for packed in (pack(huge), ship(huge), ship_now(huge)):
        assert size_of(packed) > 1_000_000
        assert unpack(packed) == huge


def test_the_largest_payload_is_known() -> None:
    assert largest([]) == 0
    assert largest([1, None]) == size_of(1)
    assert largest([1, pack("x" * 1023), pack([1])]) == largest([pack("")]) >= 1023, "it is not looked at"
    assert largest([1, pack([1]), pack(b"x" * 5000)]) > 5000
    assert largest([pack(b"x"), pack(b"x" * 100)]) == len(pack(b"x" * 100))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), (1,)])
def test_what_is_no_json_is_a_pickle_in_a_journal(value: Any) -> None:
    packed = pack_for_journal_now(value)
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


def test_what_was_copied_for_its_way_is_the_receivers_own_without_another_copy() -> None:
    payload = pack(np.ones(20_000)).copied()
    array = unpack(payload, own=True)
    assert array.flags.writeable
    assert np.shares_memory(array, np.frombuffer(payload.buffers[0]))
