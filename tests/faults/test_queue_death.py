"""The queue actor dies: the run ends at once, and says what is lost and what is safe."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
from tests.faults.procs import actors_here, until

import pullahead as pa
from pullahead.errors import ActorDiedError, RunError


def note_pid(folder: str, x: int) -> int:
    Path(folder, str(os.getpid())).touch()
    time.sleep(0.005)
    return x


class Work:
    def __init__(self, folder: str) -> None:
        self.folder = folder

    def process(self, x: int) -> int:
        return note_pid(self.folder, x)


def kill_the_queue(folder: Path) -> None:
    """It is the one that is no worker."""
    (queue,) = actors_here() - {int(path.name) for path in folder.iterdir()}
    os.kill(queue, signal.SIGKILL)


def submit_for_ever(pool: pa.Pool) -> None:
    while True:
        pool.submit(6).result(20)


def test_a_run_whose_queue_died_ends_within_a_second_and_says_what_is_lost(tmp_path: Path) -> None:
    results = pa.map(Work(str(tmp_path)), range(10_000), workers=2, ordered=False)
    taken = [next(results) for _ in range(60)]
    assert until(lambda: len(list(tmp_path.iterdir())) == 2, 20)
    kill_the_queue(tmp_path)
    before = time.monotonic()
    with pytest.raises(RunError) as caught:
        taken += results
    assert time.monotonic() - before < 1.0
    said = re.fullmatch(
        r"the queue is gone: (\d+) items that had not ended are lost, results that came before are safe "
        r"\(actor Queue \(pid \d+\) died: killed by SIGKILL\)",
        str(caught.value),
    )
    assert said is not None, caught.value
    assert isinstance(caught.value.__cause__, ActorDiedError)
    report = results.report
    assert len(set(taken)) == len(taken) == report.done
    assert report.done + int(said[1]) == results._run.read, "what was read is yielded or lost"
    assert until(lambda: not actors_here(), 5), "its workers are gone"


def test_a_pool_whose_queue_died_says_so_to_whoever_comes(tmp_path: Path) -> None:
    with pa.Pool(Work(str(tmp_path)), workers=2) as pool:
        assert list(pool.map(range(100))) == list(range(100))
        assert until(lambda: len(list(tmp_path.iterdir())) == 2, 20)
        future = pool.submit(5)
        assert future.result(20) == 5
        kill_the_queue(tmp_path)
        with pytest.raises(RunError, match=r"the queue is gone: [01] items? that had"):
            submit_for_ever(pool)
        with pytest.raises(RunError, match="the queue is gone"):
            list(pool.map([7]))
