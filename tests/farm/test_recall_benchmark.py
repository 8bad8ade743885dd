"""The benchmark of recalls: a quick run, and what it makes of notes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.recall import scenes
from benchmarks.recall.farm import Done
from benchmarks.recall.scenes import Scene
from benchmarks.recall.watch import Note
from benchmarks.recall.works import SLEEP, SPIN

from pullahead.core import messages as m

ROOT = Path(__file__).parents[2]
LONG, SHORT = (SPIN, 4.0), (SLEEP, 1.0)


def test_a_quick_run_prints_both_tables() -> None:
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "benchmarks.recall", "--quick", "--only", "long", "--only", "large"]
    ran = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=50
    )
    assert ran.returncode == 0, ran.stderr
    assert "20 ms among 0.5" in ran.stdout
    rows = [line.split()[0] for line in ran.stdout.splitlines() if " sleep " in line]
    assert rows == ["auto", "fixed", "fixed"]


def test_an_answer_counts_for_what_the_holder_computed_and_a_move_from_item_to_item() -> None:
    scene = Scene("some", "some scene", 2, 1, (LONG, SHORT, SHORT), holder=LONG)
    done = [Done(1, 10.0, 11.0), Done(0, 10.0, 14.0), Done(2, 11.5, 12.5)]  # as they ended
    notes = [
        Note(11.0, m.DONE, 1, (0, (1,))),
        Note(11.1, m.HUNGRY, 1, (1,)),
        Note(11.125, m.RECALL, 0, (1,)),
        Note(11.375, m.RECALLED, 0, (1,)),
        Note(12.0, m.RECALL, 1, (1,)),  # which computes something else
        Note(12.1, m.RECALLED, 1, (0,)),
        Note(12.5, m.DONE, 1, (1, (2,))),
        Note(14.0, m.DONE, 0, (0, (0,))),
        Note(14.0, m.HUNGRY, 0, (1,)),  # and nothing more comes
    ]
    measured = scenes.read(scene, [done], notes)
    assert measured.answers == [0.25]
    assert measured.moves == [pytest.approx(0.5)]
    assert measured.meanwhile == 1
