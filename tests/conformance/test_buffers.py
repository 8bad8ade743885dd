"""Large buffers: they arrive, they are the receiver's own, and they go away."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
from tests.conformance.cast import Arrays, Caller
from tests.differences import Differences

from pullahead import actors

BIG = 1_000_000  # 8 MB of float64


@pytest.mark.parametrize("n", [1, 8191, 8192, BIG])
def test_an_array_is_the_receivers_own(n: int, differs: Differences) -> None:
    arrays = Arrays.remote()
    sent = np.ones(n)
    if not differs.own_arrays:
        with pytest.raises(ValueError, match="read-only"):
            actors.get(arrays.fill.remote(sent, 7.0))
        assert actors.get(arrays.facts.remote(sent)) == (float(n), False)
        return
    received = actors.get(arrays.fill.remote(sent, 7.0))
    assert (float(sent.sum()), float(received.sum())) == (n, 7.0 * n)
    received[:] = 1
    assert received.flags.writeable
    assert actors.get(arrays.facts.remote(sent)) == (float(n), True)


def test_many_parts_in_one_message() -> None:
    parts = [np.full(20_000 + i, i, dtype=np.int32) for i in range(20)] + [np.arange(10)]
    back = actors.get(Arrays.remote().echo.remote(parts))
    assert all(np.array_equal(a, b) for a, b in zip(parts, back, strict=True))
    assert all(part.ctypes.data % 64 == 0 for part in back[:20])


def test_arrays_of_every_layout() -> None:
    square = np.arange(40_000.0).reshape(200, 200)
    values = [
        square,
        square.T,
        square[::2, ::3],
        np.asfortranarray(square),
        square.astype(">f4"),
        np.empty((0, 5)),
    ]
    back = actors.get(Arrays.remote().echo.remote(values))
    for sent, received in zip(values, back, strict=True):
        assert (sent.dtype, sent.shape) == (received.dtype, received.shape)
        assert np.array_equal(sent, received)


def test_a_read_only_array_stays_read_only() -> None:
    fixed = np.ones(BIG)
    fixed.flags.writeable = False
    assert actors.get(Arrays.remote().facts.remote(fixed)) == (BIG, False)


def test_bytes_of_every_size(differs: Differences) -> None:
    arrays = Arrays.remote()
    for size in (0, 1, 30_000, 31_000, 32_000, 33_000, 64 << 10, 200_000, 5_000_000):
        data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        assert actors.get(arrays.echo.remote(data)) == data
        mutable = actors.get(arrays.echo.remote(bytearray(data)))
        assert (type(mutable) is bytearray, mutable) == (differs.keeps_bytearrays, data)


def test_what_is_put_is_read_only_everywhere() -> None:
    ref = actors.put({"array": np.ones(BIG), "small": np.ones(3)})
    mine = actors.get(ref)["array"]
    assert (float(mine.sum()), mine.flags.writeable) == (BIG, False)
    ref = actors.put(np.ones(BIG))
    readers = [Arrays.remote() for _ in range(3)]
    assert actors.get([reader.facts.remote(ref) for reader in readers]) == [(BIG, False)] * 3


def test_a_large_value_owned_by_an_actor_goes_straight_to_its_reader() -> None:
    owner, reader = Caller.remote(), Caller.remote()
    (ref,) = actors.get(owner.put.remote(np.arange(BIG)))
    (value,) = actors.get(reader.get.remote([ref]))
    assert np.array_equal(value, np.arange(BIG))
    assert np.array_equal(actors.get(ref), np.arange(BIG))


def test_a_large_result_is_passed_on_by_ref(differs: Differences) -> None:
    maker, user = Arrays.remote(), Arrays.remote()
    ref = maker.make.remote(BIG, 2.0)
    assert actors.get(user.facts.remote(ref)) == (2.0 * BIG, differs.own_arrays)
    mine = actors.get(ref)
    assert float(mine.sum()) == 2.0 * BIG
    assert actors.get(user.facts.remote(ref)) == (2.0 * BIG, differs.own_arrays)


def test_a_large_array_in_the_constructor() -> None:
    class Model:
        def __init__(self, weights: Any) -> None:
            self.weights = weights

        def total(self) -> float:
            return float(self.weights.sum())

    assert actors.get(actors.remote(Model).remote(np.ones(BIG)).total.remote()) == BIG


def test_memory_that_is_held_is_not_reused(differs: Differences) -> None:
    arrays = Arrays.remote()
    actors.get(arrays.keep.remote(np.full(BIG, 3.0)))
    for value in range(5):
        assert actors.get(arrays.facts.remote(np.full(BIG, float(value)))) == (
            value * BIG,
            differs.own_arrays,
        )
    assert actors.get(arrays.kept_sum.remote()) == 3.0 * BIG
    received = [actors.get(arrays.make.remote(BIG, float(i))) for i in range(6)]
    assert [float(array[0]) for array in received] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    view = received[2][10:20]
    del received
    gc.collect()
    for i in range(6):
        actors.get(arrays.make.remote(BIG, 100.0 + i))
    assert list(view) == [2.0] * 10
