"""Large items and results are copied once, by who has them first: the others have that memory.

An item is lent to its worker, by way of the queue, and a result is the caller's.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance import works

import pullahead as pa

LARGE = 300_000  # numbers: 2.4 MB


def mapped(pid: int | str) -> dict[str, tuple[int, int]]:
    """The shared memory that a process has mapped: from which address on and up to which, by inode."""
    found = {}
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, _, _, _, inode, *name = line.split()
        if name and "memfd:pullahead" in name[0]:
            start, stop = (int(one, 16) for one in span.split("-"))
            found[inode] = start, stop
    return found


def inode_of(array: Any) -> str:
    address = array.__array_interface__["data"][0]
    (inode,) = [inode for inode, (start, stop) in mapped("self").items() if start <= address < stop]
    return inode


@pytest.mark.parametrize("kept", [1, 20])
def test_the_caller_has_the_memory_of_the_worker(kept: int) -> None:
    pytest.importorskip("numpy")
    with pa.Pool(works.ones_or_pid, workers=1) as pool:
        (pid,) = pool.map([0])
        arrays = list(pool.map([LARGE] * kept))
        of_worker = mapped(pid)
        assert {inode_of(array) for array in arrays} <= of_worker.keys()
        for place, array in enumerate(arrays):
            array[:] = place
        assert [float(one.sum()) for one in pool.map([LARGE] * 40)] == [float(LARGE)] * 40
        assert [(float(one[0]), float(one[-1])) for one in arrays] == [(x, x) for x in range(kept)]


def test_more_of_them_than_can_be_staged_come_all_the_same() -> None:
    pytest.importorskip("numpy")
    arrays = list(pa.map(works.ones_or_pid, [LARGE] * 150, workers=2))
    assert all(float(array.sum()) == LARGE for array in arrays)
    assert len({array.__array_interface__["data"][0] for array in arrays}) == 150


def test_what_the_caller_keeps_of_a_worker_that_is_gone_stays() -> None:
    pytest.importorskip("numpy")
    with pa.Pool(works.ones_or_pid, workers=1) as pool:
        kept = list(pool.map([LARGE] * 5))
    assert all(float(array.sum()) == LARGE for array in kept)
    with pa.Pool(works.ones_or_pid, workers=1) as pool:
        kept[0][:] = 2
        assert [float(one.sum()) for one in pool.map([LARGE] * 5)] == [float(LARGE)] * 5
    assert [float(array[0]) for array in kept] == [2.0, 1.0, 1.0, 1.0, 1.0]


def test_after_the_last_large_result_little_is_kept() -> None:
    pytest.importorskip("numpy")
    with pa.Pool(works.ones_or_pid, workers=1) as pool:
        (pid,) = pool.map([0])
        for array in pool.map([16 * LARGE] * 12):  # 38 MB, in 64 MiB
            assert array[0] == 1.0
        del array
        deadline = time.monotonic() + 10
        while len(mapped(pid)) > 3 and time.monotonic() < deadline:
            time.sleep(0.01)  # the last notices are on their way
        assert len(mapped(pid)) <= 3, "128 MiB"


@pytest.mark.parametrize("dies", [False, True])
def test_another_attempt_gets_what_the_first_one_got_whatever_became_of_that(
    dies: bool, tmp_path: Path
) -> None:
    numpy = pytest.importorskip("numpy")
    items = [numpy.full(LARGE, float(place)) for place in range(12)]
    work = partial(works.spoil_once, str(tmp_path), dies)
    with pa.Pool(work, workers=2, retries=30) as pool:
        results = list(pool.map(items))
        assert results == [(float(place * LARGE), True) for place in range(12)]
        assert [float(item[0]) for item in items] == [float(place) for place in range(12)]
        assert {one for one, _ in pool.map(items * 5)} == {float(place * LARGE) for place in range(12)}
        deadline = time.monotonic() + 10
        while (lent := len(mapped("self"))) > 40 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert lent <= 40, "what the dead had is used again"


@pytest.mark.parametrize("numbers", [100, 20_000, LARGE])
def test_the_halves_of_a_batch_get_what_the_whole_one_got(numbers: int) -> None:
    """However large they are: in a pickle, in a slab, or lent."""
    numpy = pytest.importorskip("numpy")
    items = [numpy.full(numbers, float(place)) for place in range(12)]
    with pa.Pool(works.spoil_together, workers=1, batch_size=4, retries=0) as pool:
        for _ in range(3):
            assert list(pool.map(items)) == [float(place * numbers) for place in range(12)]


def test_a_large_item_is_in_memory_once() -> None:
    numpy = pytest.importorskip("numpy")
    with pa.Pool(works.address_and_pid, workers=1) as pool:
        list(pool.map([numpy.ones(LARGE)] * 6))
        (pid,) = {pid for _, pid in pool.map([numpy.ones(LARGE)] * 6)}
        of_worker = mapped(pid)
        assert of_worker
        assert of_worker.keys() <= mapped("self").keys(), "and the queue has made none for it"


def test_what_a_worker_keeps_of_an_item_stays() -> None:
    numpy = pytest.importorskip("numpy")
    with pa.Pool(works.Keeping, workers=1) as pool:
        items = (numpy.full(LARGE, float(place)) for place in range(100))
        assert list(pool.map(items)) == [
            float(sum(range(max(0, place - 79), place + 1))) for place in range(100)
        ]
