"""Work that has not begun is not kept from a worker that is idle."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance import works

import pullahead as pa


@pytest.mark.parametrize("spin", [False, True], ids=["sleeping", "computing"])
@pytest.mark.parametrize("lookahead", ["auto", 16, 100])
def test_nobody_waits_behind_a_long_item(tmp_path: Path, lookahead: Any, spin: bool) -> None:
    """Whatever its worker had fetched ahead is done by the other one, before the long item ends."""
    work = functools.partial(works.wait_on_zero, str(tmp_path), spin)
    with pa.map(work, range(200), workers=2, lookahead=lookahead, ordered=False) as results:
        done = [next(results) for _ in range(199)]
        (tmp_path / "release").touch()
        done += list(results)
    assert done[-1] == 0
    assert sorted(done) == list(range(200))


@pytest.mark.parametrize(
    "options", [{}, {"store": works.keep}, {"load": works.echo}], ids=["plain", "store", "load"]
)
@pytest.mark.parametrize("spin", [False, True], ids=["sleeping", "computing"])
def test_nobody_waits_behind_a_long_item_among_small_ones(
    tmp_path: Path, spin: bool, options: dict[str, Any]
) -> None:
    """What was taken together with it is done by the other worker, and what came before it is reported."""
    work = functools.partial(works.small_until, str(tmp_path), spin, False, 1000)
    with pa.map(work, range(1500), workers=2, ordered=False, **options) as results:
        done = [next(results) for _ in range(1499)]
        (tmp_path / "release").touch()
        done += list(results)
    assert done[-1] == 1000
    assert sorted(done) == list(range(1500))


@pytest.mark.parametrize("retries", [0, 1])
def test_a_long_item_that_kills_its_worker_is_charged_alone(tmp_path: Path, retries: int) -> None:
    """Whatever was taken together with it has gone elsewhere, or was reported."""
    work = functools.partial(works.small_until, str(tmp_path), False, True, 1000)
    with pa.map(work, range(1500), workers=2, ordered=False, retries=retries, on_error="collect") as results:
        done = [next(results) for _ in range(1499)]
        (tmp_path / "release").touch()
        (failure,) = results
    assert isinstance(failure, pa.Failure)
    assert (failure.item, failure.attempts) == (1000, 1 + retries)
    assert sorted(done) == [x for x in range(1500) if x != 1000]


@pytest.mark.parametrize("options", [{"batch_size": 4}, {"store": works.keep}, {"load": works.echo}])
def test_nor_with_store_and_batches(tmp_path: Path, options: dict[str, Any]) -> None:
    work: Any = functools.partial(works.wait_on_zero, str(tmp_path), False)
    if "batch_size" in options:
        work = functools.partial(works.wait_on_zero_batch, str(tmp_path))
    with pa.map(work, range(200), workers=2, lookahead=40, ordered=False, **options) as results:
        done = [next(results) for _ in range(196)]
        (tmp_path / "release").touch()
        done += list(results)
    assert 0 not in done[:196]
    assert sorted(done) == list(range(200))


@pytest.mark.parametrize("which", [0, 100], ids=["at first", "among others"])
def test_a_worker_that_cannot_hear_keeps_nobody_from_the_rest(tmp_path: Path, which: int) -> None:
    """C code holds its interpreter. Others are asked instead; what it holds comes back when that is over."""
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDWR)  # both ends: opening one would wait for the other
    try:
        work = functools.partial(works.block_on_one, str(tmp_path), which)
        with pa.map(work, range(300), workers=3, lookahead=16, ordered=False) as results:
            # It holds 16 items, and the one that it computes, and a few that it could not report. Another
            # worker computes the one 20 behind it, whose own 16 went to the third one.
            done = [next(results) for _ in range(300 - 16 - 1 - 4 - 1)]
            assert not (tmp_path / "over").exists()
            assert not {which, which + 20} & set(done)
            os.write(pipe, b"!")
            (tmp_path / "release").touch()
            done += [next(results) for _ in range(299 - len(done))]  # but for what its worker began next
            (tmp_path / "end").touch()
            done += list(results)
    finally:
        os.close(pipe)
    assert sorted(done) == list(range(300))


def test_near_the_end_every_worker_gets_its_share() -> None:
    """The first to ask does not take all that is left."""
    with pa.Pool(works.slow_pid, workers=3, lookahead=100) as pool:
        while len(set(pool.map(range(12)))) < 3:
            pass  # until all of them are there
        results = list(pool.map(range(12)))
    assert len(set(results)) == 3
    assert max(results.count(pid) for pid in set(results)) <= 6
