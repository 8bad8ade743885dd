"""What items and results are made of: large values, buffers that are used again, and refs."""

from __future__ import annotations

import functools
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance import works
from tests.differences import Differences

import pullahead as pa
from pullahead import actors


def test_what_a_worker_holds_fits_into_64_mib() -> None:
    """However slow a load is: the twelve-MiB items below ask for hundreds ahead."""
    items = (bytes(12 << 20) for _ in range(40))
    results = pa.map(works.echo, items, load=works.load_slowly, workers=1, trace=True)
    assert set(results) == {12 << 20}
    assert results.report.trace is not None
    depths = [span.item for span in results.report.trace[0] if span.kind == "lookahead"]
    assert depths, "it moved"
    assert max(depths) == 4, "and one more on its way, because they travel in twos"
    (reason,) = results.report.reasons
    assert reason.endswith("all that 64 MiB hold")


def test_large_arrays_cross_and_results_are_the_receivers_own(differs: Differences) -> None:
    numpy = pytest.importorskip("numpy")

    def add_in_place(array: Any) -> Any:
        array += 1
        return array

    def add(array: Any) -> Any:
        return array + 1

    arrays = [numpy.full(50_000, i, dtype=numpy.float64) for i in range(8)]
    if not differs.own_arrays:
        failures = list(pa.map(add_in_place, arrays, workers=2, on_error="collect"))
        assert ["read-only" in str(failure.error) for failure in failures] == [True] * 8
    results = list(pa.map(add_in_place if differs.own_arrays else add, arrays, workers=2))
    assert [int(array[0]) for array in arrays] == list(range(8))
    assert [int(result.sum()) for result in results] == [(i + 1) * 50_000 for i in range(8)]
    assert results[0].flags.writeable


def test_large_bytes_cross() -> None:
    items = [bytes([i]) * 300_000 for i in range(5)]
    assert list(pa.map(works.echo, items, workers=2)) == items


@pytest.mark.parametrize("batch_size", [None, 4])
def test_what_process_returns_is_taken_as_it_is_then(batch_size: int | None) -> None:
    """It may be a buffer that the next call fills again."""
    pytest.importorskip("numpy")
    results = list(pa.map(works.FillsItsBuffer, range(100), workers=2, batch_size=batch_size))
    assert [(set(result.tolist()), len(result)) for result in results] == [({i}, 10_000) for i in range(100)]


@pytest.mark.parametrize("options", [{}, {"ordered": False}, {"batch_size": 4}, {"store": works.keep_result}])
def test_many_large_values_cross_both_ways(options: dict[str, Any]) -> None:
    numpy = pytest.importorskip("numpy")
    items = (numpy.full(130_000, i, dtype=numpy.uint8) for i in range(200))
    work = works.plus_one_of_all if "batch_size" in options else works.plus_one
    came = Counter(int(result[0]) for result in pa.map(work, items, workers=2, **options))
    assert came == Counter((i + 1) % 256 for i in range(200))


def test_large_results_of_workers_that_die_come_all_the_same(tmp_path: Path) -> None:
    work = functools.partial(works.large_and_exits_on_each_fiftieth, str(tmp_path))
    results = list(pa.map(work, range(200), workers=2, retries=1))
    assert [(int(result[0]), len(result)) for result in results] == [(x, 40_000) for x in range(200)]
    assert len(list(tmp_path.iterdir())) == 4


def test_an_endless_source_of_large_items_is_read_as_they_are_used() -> None:
    """Some thousand items may wait, but not that many of these."""
    numpy = pytest.importorskip("numpy")
    read: list[int] = []

    def source() -> Iterator[Any]:
        for i in itertools.count():
            read.append(i)
            yield numpy.zeros(8 << 20, dtype=numpy.uint8)

    with pa.map(len, source(), workers=1) as results:
        for _ in range(8):
            next(results)
        time.sleep(0.5)
        assert len(read) <= 8 + 2 * 4 + 8, "32 MiB are 4 items, and some more until they are weighed"


# Refs


class Raiser:
    def look_up(self) -> None:
        raise LookupError("no such thing")

    def after(self, seconds: float, value: Any) -> Any:
        time.sleep(seconds)
        return value


def test_a_ref_as_an_item_arrives_as_its_value_and_inside_one_as_a_ref() -> None:
    def add(item: dict[str, Any]) -> Any:
        return pa.get(item["ref"]) + item["n"]

    ref = pa.put(40)
    assert list(pa.map(works.square, [ref, 3, ref], workers=2)) == [1600, 9, 1600]
    assert list(pa.map(add, [{"ref": ref, "n": n} for n in range(3)], workers=2)) == [40, 41, 42]


@pytest.mark.parametrize("options", [{}, {"load": works.load_soon}, {"batch_size": 3}])
def test_refs_come_to_every_kind_of_work(options: dict[str, Any]) -> None:
    refs = [pa.put(x) for x in range(20)]
    work = works.double_all if "batch_size" in options else works.square
    expected = [work(x) if work is works.square else 2 * x for x in range(20)]
    assert list(pa.map(work, refs, workers=2, **options)) == expected
    with pa.Pool(works.square, workers=1) as pool:
        assert pool.submit(refs[7]).result() == 49


def test_the_item_of_a_result_is_the_ref_itself() -> None:
    refs = [pa.put(x) for x in range(3)]
    assert list(pa.map(works.square, refs, workers=1, pairs=True)) == list(zip(refs, [0, 1, 4], strict=True))


def test_the_error_of_a_ref_is_the_failure_of_its_item() -> None:
    ref = actors.remote(Raiser).remote().look_up.remote()
    good, bad = pa.map(works.square, [pa.put(2), ref], workers=1, on_error="collect", retries=1)
    assert good == 4
    assert type(bad.error) is LookupError
    assert (bad.item, bad.attempts) == (ref, 2)


def test_refs_whose_values_do_not_exist_yet_are_waited_for() -> None:
    sleeper = actors.remote(Raiser).remote()
    refs = [sleeper.after.remote(0.05, x) for x in range(10)]
    assert list(pa.map(works.square, refs, workers=2)) == [x * x for x in range(10)]
