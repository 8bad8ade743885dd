"""Shared memory: mapped, sealed, used again, let go, and done without."""

from __future__ import annotations

import errno
import gc
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

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

    def _to_sender(self, kind: int, number: int) -> None:
        self.sent.append((kind, number))
        self.sender.on_free(number)

    def transfer(self, value: Any) -> Any:
        """Send a value across."""
        head, rest, fds = self.sender.pack(dumps(value))
        return loads(self.receiver.unpack(head, bytes(rest), list(fds)))


def mappings() -> int:
    gc.collect()
    return sum("memfd:pullahead" in line for line in Path("/proc/self/maps").read_text().splitlines())


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


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


def test_a_payload_that_nobody_decodes_gives_its_slab_back() -> None:
    wire = Wire()
    head, rest, fds = wire.sender.pack(dumps(np.ones(100_000)))
    payload = wire.receiver.unpack(head, bytes(rest), list(fds))
    del payload
    gc.collect()
    assert wire.sent == [(kinds.SLAB_FREE, 1)]


def test_a_large_stream_travels_in_the_slab_too() -> None:
    wire = Wire()
    value: dict[str, Any] = {"bytes": b"x" * 1_000_000, "array": np.ones(50_000), "small": np.ones(3)}
    head, rest, fds = wire.sender.pack(dumps(value))
    assert (len(rest), len(head[2]), head[3]) == (0, 2, True)
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
