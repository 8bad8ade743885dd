"""A map that feeds a map: what comes out of the one goes into the other, and nobody opens it on the way."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance import works

import pullahead as pa


def sealed() -> Any:
    """Results that this process must not unpickle."""
    return pa.map(functools.partial(works.sealed_from, os.getpid()), range(100), workers=1)


def test_the_caller_does_not_unpickle_what_it_only_passes_on() -> None:
    assert list(pa.map(works.value_of, sealed(), workers=2)) == list(range(100))


def test_nor_does_it_in_a_longer_chain() -> None:
    second = pa.map(works.echo, sealed(), workers=1)
    assert list(pa.map(works.value_of, second, workers=1)) == list(range(100))


def test_but_what_the_user_sees_is_unpickled() -> None:
    with pytest.raises(RuntimeError, match="only passes on"):
        next(sealed())


@pytest.mark.parametrize(
    "items", [range(50), [None, 2.5, "text", True, "long" * 1000, b"bytes", [1, {2: 3}]]]
)
def test_everything_passes_as_it_is(items: Any) -> None:
    assert list(pa.map(works.echo, pa.map(works.echo, items, workers=1), workers=1)) == list(items)


def test_the_item_of_a_failure_is_the_users() -> None:
    first = pa.map(works.echo, [(13, "x"), 13, "y" * 2000, [13]], workers=1)
    results = list(pa.map(works.fail_on_thirteen, first, workers=1, on_error="collect", retries=0))
    assert [results[0], results[2]] == [(13, "x"), "y" * 2000]
    assert [(one.item, one.attempts) for one in (results[1], results[3])] == [(13, 1), ([13], 1)]


def test_pairs_show_each_item() -> None:
    first = pa.map(works.echo, [["a"], ["b"]], workers=1)
    assert list(pa.map(len, first, workers=1, pairs=True)) == [(["a"], 1), (["b"], 1)]
    first = pa.map(works.echo, [["a"], ["b"]], workers=1, pairs=True)
    assert list(pa.map(works.echo, first, workers=1)) == [(["a"], ["a"]), (["b"], ["b"])]


def test_a_sink_and_a_journal_see_each_item(tmp_path: Path) -> None:
    seen: list[Any] = []
    first = pa.map(works.echo, [["a"], ["b"]], workers=1)
    pa.run(len, first, lambda result, item: seen.append((item, result)), workers=1)
    assert seen == [(["a"], 1), (["b"], 1)]
    first = pa.map(works.echo, [["a"], ["b", "c"]], workers=1)
    journal = str(tmp_path / "journal.db")
    assert list(pa.map(len, first, workers=1, journal=journal, key=lambda item: item[0])) == [1, 2]


def test_the_owner_goes_on_with_what_is_left() -> None:
    """While the other map, which was left, is still inside this one, waiting for a last result."""
    with pa.Pool(works.slowly, workers=1, lookahead=0) as pool:
        first = pool.map([[x] for x in range(6)])
        with pa.map(works.echo, first, workers=1) as second:
            assert next(second) == [0]
        rest = list(first)
    assert 3 <= len(rest) < 6
    assert rest == sorted(x for x in [[1], [2], [3], [4], [5]] if x in rest)


def test_a_result_that_is_a_ref_stands_for_its_value() -> None:
    with pa.Pool(works.put, workers=1) as pool:  # whose worker owns the values
        first = pool.map([["a"], ["b"]])
        assert list(pa.map(works.echo, first, workers=1)) == [["a"], ["b"]]


def test_large_arrays_pass_and_each_stage_has_its_own() -> None:
    numpy = pytest.importorskip("numpy")
    arrays = [numpy.full(300_000, x, dtype=numpy.float64) for x in range(12)]
    first = pa.map(works.plus_one, arrays, workers=2)
    second = pa.map(works.fails_once_in_place, first, workers=1, retries=1)
    results = list(second)
    assert [float(one[0]) for one in results] == [2 * (x + 1) for x in range(12)]
    assert all((one == one[0]).all() and one.flags.writeable for one in results)


def test_a_failure_of_what_cannot_be_unpickled_here_says_so() -> None:
    results = list(pa.map(works.fail_on_thirteen, sealed(), workers=1, on_error="collect", retries=0))
    (failure,) = [
        one for one in results if isinstance(one, pa.Failure) and isinstance(one.error, LookupError)
    ]
    assert "cannot be unpickled in this process" in repr(failure.item)
