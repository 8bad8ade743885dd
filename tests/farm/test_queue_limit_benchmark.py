"""The benchmark of what one queue carries: a quick run, and what it makes of readings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.queue_limit.measure import NOTHING, Figures, measure, workers_for
from benchmarks.queue_limit.table import duration, rounded

ROOT = Path(__file__).parents[2]


def test_a_quick_run_prints_what_an_item_costs() -> None:
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "benchmarks.queue_limit", "--quick"]
    ran = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=50
    )
    assert ran.returncode == 0, ran.stderr
    rows = [line.split() for line in ran.stdout.splitlines() if line.startswith(("  nothing ", "  1 ms "))]
    assert [row[0] for row in rows] == ["nothing", "1"]


def test_workers_that_are_played_do_what_they_are_told() -> None:
    found = measure(4, 0.05, processes=2, window=1.0)
    assert 0.3 < found.kept_up < 1.1  # a busy machine makes them late, and none of them is early
    assert 0 < found.busiest <= found.cpu + 0.02  # which is told in steps of a hundredth
    assert found.exchanges >= found.items / 2


def test_a_queue_carries_as_many_workers_as_its_core_has_time_for() -> None:
    found = Figures(4, 0.1, 2.0, items=80, exchanges=100, cpu=0.04, busiest=0.02, load=0.0)
    assert found.per_exchange == pytest.approx(0.0004)
    assert found.per_item == pytest.approx(0.0005)
    assert found.carries == pytest.approx(200)
    assert found.carries_threaded == pytest.approx(400)
    assert found.kept_up == pytest.approx(1.0)


def test_so_many_calls_take_so_many_workers() -> None:
    assert [workers_for(compute, 600) for compute in (NOTHING, 0.001, 0.01, 0.1, 1.0, 10.0)] == [
        *(38, 38, 38, 60, 600, 2000)
    ]


def test_figures_have_two_digits_that_mean_something() -> None:
    assert [rounded(one) for one in (0.123, 1.26, 12.6, 1267.0)] == ["0.12", "1.3", "13", "1,300"]
    assert [duration(one) for one in (NOTHING, 0.001, 0.1, 1.0, 10.0)] == [
        *("nothing", "1 ms", "100 ms", "1 s", "10 s")
    ]
