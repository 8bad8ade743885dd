"""The benchmark of programs that share a queue: a quick run of each kind, and what it makes of notes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import servers
from benchmarks.sharing.figures import figures
from benchmarks.sharing.measure import Round
from benchmarks.sharing.notes import Moved, Notes
from benchmarks.sharing.scene import Ran, Scene
from tests.sources.servers import missing

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("broker", ["redis", "postgresql"])
def test_a_quick_run_prints_a_table_and_draws_it(broker: str, tmp_path: Path) -> None:
    there = servers.redis_program() if broker == "redis" else servers.postgres_programs()
    if there is None:
        missing(broker)
    pytest.importorskip("matplotlib")
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    files = ["--picture", str(tmp_path / "sharing.svg"), "--json", str(tmp_path / "sharing.json")]
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.sharing", "--quick", "--broker", broker, *files],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=55,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "tail: from then to the last end" in ran.stdout
    assert "A plain prefetch of 64" in (tmp_path / "sharing.svg").read_text()
    rounds = json.loads((tmp_path / "sharing.json").read_text())["rounds"]
    ((ours,), (plain,)) = rounds["pullahead"], rounds["prefetch"]
    assert [one["most_held"] for one in plain["programs"]] == [64, 64, 64]
    # Three for each of its two workers, and more where a busy machine makes a fetch as long as some items.
    assert ours["programs"][2]["most_held"] <= 16
    assert ours["tail"] < plain["tail"]
    assert all(wait < 1.0 + 1.0 for wait in ours["moves"])  # a second, and what a busy machine adds


def test_the_tail_is_from_when_one_has_nothing_while_the_queue_is_empty_to_the_last_end() -> None:
    quick = Notes(
        taken=[Moved(10.0, [0, 1]), Moved(13.5, [4])],
        hungry=[10.9, 12.25, 13.25],  # the first one is another story
        ran=[Ran(0, 10.5, 11.0), Ran(1, 11.5, 12.0), Ran(4, 13.75, 14.0)],
    )
    slow = Notes(
        taken=[Moved(10.5, [2, 3, 4, 5]), Moved(14.5, [5])],
        back=[Moved(13.0, [4, 5])],
        ran=[Ran(2, 10.5, 12.5), Ran(3, 12.5, 14.5), Ran(5, 14.5, 16.5)],
    )
    scene = Scene(items=6, seconds=0.5, programs=2, slower=4.0, workers=1)
    found = figures(Round(scene, [quick, slow]))
    assert (found.makespan, found.idle_from, found.tail) == (6.5, 2.0, 4.5)
    assert found.limit == pytest.approx(2.4)
    assert found.moves == [1.5]  # of item 4: it was first said at 12.25; item 5 went back to who had it
    assert [(one.done, one.ended, one.most_held, one.returned) for one in found.programs] == [
        (3, 4.0, 2, 0),
        (3, 6.5, 4, 1),
    ]
    assert found.programs[1].held == [
        (0.0, 0), (0.5, 4), (0.5, 3), (2.5, 2), (3.0, 0), (4.5, 1), (4.5, 0)
    ]  # fmt: skip


def test_notes_survive_their_line() -> None:
    notes = Notes([Moved(1.0, [0])], [Moved(2.0, [0])], [1.5], [Ran(0, 1.0, 1.25)])
    assert Notes.of(notes.line()) == notes
