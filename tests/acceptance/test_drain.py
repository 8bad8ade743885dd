"""Ends before the end: what runs is finished, but not for ever."""

from __future__ import annotations

import functools
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance import works

import pullahead as pa

GRACE = 0.5


def begun(folder: Path, item: int) -> None:
    """Wait until an item has begun."""
    deadline = time.monotonic() + 20.0
    while not (folder / f"{item}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("way", ["sleeps", "keeps the interpreter", "is stopped"])
def test_what_outlasts_the_grace_is_killed_and_left(tmp_path: Path, way: str) -> None:
    work = functools.partial(works.note_and_linger_on_three, str(tmp_path), way)
    results = pa.map(work, range(200), workers=2, grace=GRACE, ordered=False, on_error="collect")
    begun(tmp_path, 3)
    results.cancel()
    before = time.monotonic()
    done = list(results)
    assert time.monotonic() - before < 10 * GRACE
    report = results.report
    assert 3 not in done
    assert (report.done, report.failed, report.left) == (len(done), 0, 200 - len(done))
    assert Counter(done) == Counter(set(done)), "each once"


def test_what_ends_within_the_grace_is_delivered(tmp_path: Path) -> None:
    work = functools.partial(works.note_and_nap, str(tmp_path), 0.3)
    with pa.map(work, range(100), workers=2, grace=20.0, ordered=False) as results:
        begun(tmp_path, 0)
        results.cancel()
        done = list(results)
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == sorted(done), "what has begun has ended"
    assert len(done) >= 1


def test_leaving_a_loop_waits_no_longer_than_the_grace(tmp_path: Path) -> None:
    work = functools.partial(works.note_and_linger_on_three, str(tmp_path), "sleeps")
    before = time.monotonic()
    with pa.map(work, range(40), workers=2, grace=GRACE, ordered=False) as results:
        next(results)
        begun(tmp_path, 3)
    assert time.monotonic() - before < 10.0


def test_another_run_of_the_pool_loses_nothing_when_one_is_cut_off(tmp_path: Path) -> None:
    work = functools.partial(works.note_and_linger_on_three, str(tmp_path), "sleeps")
    with pa.Pool(work, workers=2, grace=GRACE) as pool:
        hangs = pool.map([3])
        begun(tmp_path, 3)
        goes_on = pool.map(range(100, 1100))
        hangs.cancel()
        assert list(hangs) == []
        assert list(goes_on) == list(range(100, 1100))
        assert (hangs.report.left, goes_on.report.done) == (1, 1000)


def test_an_orderly_end_waits_for_close_as_long_as_it_takes(tmp_path: Path) -> None:
    with pa.Pool(functools.partial(works.SlowToClose, str(tmp_path)), workers=2, grace=0.1) as pool:
        while len(list(tmp_path.iterdir())) < 2:  # until both have worked: who has not is not waited for
            assert list(pool.map(range(4))) == list(range(4))
    assert Counter(path.name.split()[0] for path in tmp_path.iterdir()) == {"worked": 2, "closed": 2}


def test_a_work_whose_close_hangs_is_not_waited_for_once_a_run_was_cancelled() -> None:
    before = time.monotonic()
    with pa.Pool(works.HangsAtClose, workers=2, grace=GRACE) as pool:
        results = pool.map(range(1000))
        next(results)
        results.close()
    assert time.monotonic() - before < 10.0


def test_a_run_that_has_ended_when_it_is_cancelled_cuts_nobody_off() -> None:
    """What is cancelled too late has no grace to end: the workers live on."""
    with pa.Pool(works.nap_and_pid, workers=1, grace=0.0) as pool:
        first = pool.map([0.0])
        (pid,) = first
        pool._crew.cancel_run(first._run._number)
        assert set(pool.map([0.1] * 5)) == {pid}


@pytest.mark.parametrize(
    ("grace", "error", "text"),
    [
        ("1", TypeError, "grace: expected seconds, got '1'"),
        (None, TypeError, "grace: expected seconds, got None"),
        (-1, ValueError, "grace: expected seconds from 0, got -1"),
        (float("inf"), ValueError, "grace: expected seconds from 0, got inf"),
    ],
)
def test_a_grace_that_makes_no_sense_is_refused(grace: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        pa.map(works.echo, [1], grace=grace)
    assert str(caught.value) == text
