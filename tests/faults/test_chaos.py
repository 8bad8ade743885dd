"""Workers, queue and driver of a run are killed at random: the benchmark that does it finds nothing amiss."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from tests.faults.procs import ROOT


@pytest.mark.skipif(sys.platform != "linux", reason="it looks for its victims in /proc")
def test_nothing_is_lost_doubled_or_computed_again_without_need() -> None:
    # The first six kills of this seed hit each of the three.
    command = [sys.executable, "-m", "benchmarks.chaos", "--quick", "--items", "200", "--kills", "6"]
    done = subprocess.run(
        [*command, "--seed", "7"],
        capture_output=True,
        text=True,
        timeout=50,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    for name in (
        "items lost", "items failed", "results recorded twice", "unexplained",
        "drivers that failed", "processes left",
    ):  # fmt: skip
        assert re.search(rf"^ +{name} +0\b", done.stdout, re.MULTILINE), said
    kills = re.search(r"^ +kills +(\d+) +(\d+) worker, (\d+) queue, (\d+) driver", done.stdout, re.MULTILINE)
    assert kills is not None, said
    assert int(kills[1]) >= 6, said
    assert min(map(int, kills.groups())) >= 1, said
