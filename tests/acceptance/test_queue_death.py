"""The queue actor is killed in the middle of a run, on either engine."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance import works

import pullahead as pa
from pullahead import actors
from pullahead.errors import RunError


def kill_queue(results: Any) -> None:
    actors.kill(results._crew._queues.given[0])


def test_without_a_journal_the_run_ends_and_says_what_is_lost() -> None:
    results = pa.map(functools.partial(works.nap, 0.002), range(2000), workers=2)
    done = [next(results) for _ in range(20)]
    kill_queue(results)
    killed = time.monotonic()
    with pytest.raises(RunError, match=r"the queue is gone: \d+ items that had not ended are lost"):
        done += list(results)
    assert time.monotonic() - killed < 30.0
    assert done == list(range(len(done)))


@pytest.mark.parametrize("times", [1, 2])
def test_with_a_journal_another_one_goes_on(tmp_path: Path, times: int) -> None:
    work = functools.partial(works.nap, 0.002)
    results = pa.map(work, range(600), workers=2, journal=tmp_path / "run.db", ordered=False)
    done = []
    for _ in range(times):
        done += [next(results) for _ in range(50)]
        kill_queue(results)
    done += list(results)
    assert sorted(done) == list(range(600))
    assert (results.report.done, results.report.failed) == (600, 0)
