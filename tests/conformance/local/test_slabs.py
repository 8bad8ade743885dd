"""Shared memory: mapped, sealed, used again, let go, and done without."""

from __future__ import annotations

import errno
import gc
import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conformance.local.own import descriptors, mappings

from pullahead.actors.local import kinds, memory, slabs
from pullahead.actors.local.memory import Memory
from pullahead.actors.local.payload import Payload, dumps, loads


class Wire:
    """Two ends of a channel without a channel: what one sends is handled by the other at once."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, int]] = []
        loop = SimpleNamespace(call=lambda job: job())
        sender_end: Any = SimpleNamespace(send=self._to_receiver, loop=loop)
        receiver_end: Any = SimpleNamespace(send=self._to_sender, loop=loop)
        self.budget = slabs.Budget()
        self.sender = slabs.Slabs(sender_end, self.budget)
        self.receiver = slabs.Slabs(receiver_end, slabs.Budget())

    def _to_receiver(self, kind: int, number: int) -> None:
        self.sent.append((kind, number))
        self.receiver.on_drop(number)

    def _to_sender(self, kind: int, number: int, _: int = 0) -> None:
        self.sent.append((kind, number))
        self.sender.on_free(number)

    def transfer(self, value: Any) -> Any:
        """Send a value across."""
        head, rest, fds = self.sender.pack(dumps(value))
        return loads(self.receiver.unpack(head, bytes(rest), list(fds)))


def test_a_slab_comes_back_when_the_last_view_dies_and_is_used_again() -> None:
    wire = Wire()
    first = wire.transfer(np.arange(100_000))
    view = first[10:20]
    del first
    gc.collect()
    assert wire.sent == []
    second = wire.transfer(np.zeros(100_000, dtype=np.int64))
    assert view.tolist() == list(range(10, 20))
    del view
    gc.collect()
    assert wire.sent == [(kinds.SLAB_FREE, 1)]
    third = wire.transfer(np.full(100_000, 7))
    del second, third
    gc.collect()
    assert wire.sent == [(kinds.SLAB_FREE, 1), (kinds.SLAB_FREE, 2), (kinds.SLAB_FREE, 1)]


def test_of_several_large_parts_each_gives_its_memory_back_by_itself() -> None:
    wire = Wire()
    large, small = np.arange(200_000), [np.full(20_000, n) for n in range(3)]
    first, second, *rest = wire.transfer([large, large + 1, *small])
    assert (first[7], second[7], [int(one[7]) for one in rest]) == (7, 8, [0, 1, 2])
    del first
    gc.collect()
    assert wire.sent == [(kinds.SLAB_FREE, 1)]
    again = wire.transfer([large + 2, small[0]])
    assert (again[0][7], second[7]) == (9, 8)
    del second, rest, again
    gc.collect()
    assert sorted(number for _, number in wire.sent[1:]) == [1, 2, 3, 4]


SIZES = st.sampled_from([0, 1, 64, 100, slabs.ALONE - 1, slabs.ALONE, slabs.ALONE + 1])


@given(st.lists(SIZES, min_size=1, max_size=12), st.integers(1, 6), st.sets(st.integers(0, 11)))
def test_parts_are_apart_and_those_that_are_to_be_alone_are(
    lengths: list[int], most: int, alone: set[int]
) -> None:
    slab_of = slabs._shelve(lengths, alone, most)
    offsets, ends = slabs._offsets(lengths, slab_of)
    assert set(slab_of) == set(range(len(ends)))
    mates = {slab: [place for place, one in enumerate(slab_of) if one == slab] for slab in slab_of}
    assert all(mates[slab_of[place]] == [place] for place in alone if place < len(lengths))
    assert len({slab for place, slab in enumerate(slab_of) if place not in alone}) <= most
    for slab, end in enumerate(ends):
        inside = [(offsets[place], lengths[place]) for place in mates[slab]]
        starts = [*(start for start, _ in inside), end]
        assert all(start + length <= after for (start, length), after in zip(inside, starts[1:], strict=True))
        assert all(start % 64 == 0 for start, _ in inside)


def test_a_channel_with_many_slabs_out_uses_one_for_a_message() -> None:
    wire = Wire()
    arrays = [np.full(200_000, n) for n in range(20)]
    held = [wire.transfer(arrays) for _ in range(5)]
    out = len(wire.sender._busy)
    held.append(wire.transfer(arrays))
    assert (out, len(wire.sender._busy)) == (65, 66)
    assert [[int(one[9]) for one in some] for some in held] == [[*range(20)]] * 6


def test_many_large_parts_of_a_message_share_slabs_in_the_end() -> None:
    wire = Wire()
    before = descriptors()
    arrays = [np.full(200_000, n) for n in range(40)]
    head, rest, fds = wire.sender.pack(dumps(arrays))
    assert len(fds) == len(head[0]) == 16, "more descriptors than that do not come with one read"
    received = loads(wire.receiver.unpack(head, bytes(rest), list(fds)))
    assert [int(one[-1]) for one in received] == list(range(40))
    assert descriptors() == before
    del received, head, fds
    gc.collect()
    assert sorted(number for _, number in wire.sent) == list(range(1, 17))


def test_memory_that_ends_in_the_middle_of_a_message_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire()
    del wire.transfer([np.ones(200_000)])[:]
    gc.collect()
    create, left = memory.create, [1]

    def sometimes(size: int) -> int:
        if not left:
            raise OSError(errno.EMFILE, "too many open files")
        left.pop()
        return create(size)

    monkeypatch.setattr(memory, "create", sometimes)
    before = descriptors()
    received = wire.transfer([np.full(200_000, n) for n in range(3)])  # one is there, one is made, one is not
    assert [int(one[-1]) for one in received] == [0, 1, 2]
    assert descriptors() == before
    assert (len(wire.sender._busy), len(wire.sender._idle)) == (0, 1)


def test_a_payload_that_nobody_decodes_gives_its_slab_back() -> None:
    wire = Wire()
    head, rest, fds = wire.sender.pack(dumps(np.ones(100_000)))
    payload = wire.receiver.unpack(head, bytes(rest), list(fds))
    del payload
    gc.collect()
    assert wire.sent == [(kinds.SLAB_FREE, 1)]


def test_a_large_stream_travels_in_the_slab_too() -> None:
    wire = Wire()
    value: dict[str, Any] = {"bytes": b"x" * 500_000, "array": np.ones(50_000), "small": np.ones(3)}
    head, rest, fds = wire.sender.pack(dumps(value))
    _, slab_of, lengths, stream_inside = head
    assert (len(rest), slab_of, len(lengths), stream_inside) == (0, (0, 0), 2, True)
    back = loads(wire.receiver.unpack(head, b"", list(fds)))
    assert back["bytes"] == value["bytes"]
    assert np.array_equal(back["array"], value["array"])
    assert back["small"].flags.writeable


def test_idle_slabs_are_bounded_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slabs, "IDLE_BYTES", 2_500_000)
    wire = Wire()
    before = mappings()
    held = [wire.transfer(np.ones(125_000)) for _ in range(4)]  # 1 MB each
    assert mappings() - before == 8
    while held:
        held.pop(0)
        gc.collect()
    dropped = [number for kind, number in wire.sent if kind == kinds.SLAB_DROP]
    assert dropped == [1, 2]
    assert wire.budget.idle_bytes == 2_000_000
    assert mappings() - before == 4
    wire.sender.close()
    wire.receiver.close()
    gc.collect()
    assert (wire.budget.idle_bytes, mappings() - before) == (0, 0)


def test_views_outlive_the_channel() -> None:
    wire = Wire()
    before = mappings()
    array = wire.transfer(np.ones(100_000))
    wire.sender.close()
    wire.receiver.close()
    gc.collect()
    array[:] = 2
    assert float(array.sum()) == 200_000
    del array
    gc.collect()
    assert mappings() == before


def test_mappings_hold_no_descriptor() -> None:
    wire = Wire()
    before = descriptors()
    held = [wire.transfer(np.ones(10_000)) for _ in range(20)]
    assert descriptors() == before
    assert len(held) == 20


def test_without_shared_memory_the_parts_travel_in_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(size: int) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(memory, "create", refuse)
    wire = Wire()
    sent: list[Any] = [np.arange(20_000), b"y" * 100_000, np.ones(30_000)]
    received = wire.transfer(sent)
    assert np.array_equal(received[0], sent[0])
    assert received[1] == sent[1]
    received[2][:] = 3
    assert float(sent[2].sum()) == 30_000
    opened = loads(slabs.seal(dumps(sent)))
    assert np.array_equal(opened[0], sent[0])


def test_sealed_memory_cannot_be_written() -> None:
    payload = slabs.seal(dumps(np.ones(100_000)))
    assert isinstance(payload.shared, slabs.Sealed)
    with pytest.raises(PermissionError):
        os.pwrite(payload.shared.fd, b"x", 0)
    with pytest.raises(PermissionError):
        Memory(payload.shared.fd, 4096, writable=True)
    array = loads(payload)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 5
    with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
        array.flags.writeable = True


def test_a_sealed_payload_frees_its_memory() -> None:
    before = mappings(), descriptors()
    payload: Payload | None = slabs.seal(dumps(np.ones(100_000)))
    head, rest, fds = Wire().sender.pack(payload)  # type: ignore[arg-type]  # it is not None yet
    copy = loads(slabs.unpack(head, rest, fds))
    payload = None
    gc.collect()
    assert float(copy.sum()) == 100_000
    del copy
    gc.collect()
    assert (mappings(), descriptors()) == before


def test_memory_with_a_name_for_a_moment() -> None:
    """What macOS gets instead of a memfd; Linux can do it as well."""
    names = set(os.listdir("/dev/shm"))  # noqa: PTH208  names are all we need
    fd = memory.create_unlinked()
    assert set(os.listdir("/dev/shm")) == names  # noqa: PTH208
    os.ftruncate(fd, 8192)
    memory.write(fd, memoryview(b"abc"), 4096)
    view = Memory(fd, 8192).view()[1]
    os.close(fd)
    assert bytes(view[4096:4099]) == b"abc"


def test_memory_that_cannot_be_had() -> None:
    with pytest.raises(OSError, match="cannot map"):
        Memory(-1, 4096)
