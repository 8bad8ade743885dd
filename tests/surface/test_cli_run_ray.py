"""`pullahead run --engine ray`, end to end: the same command, and the same lines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.faults.procs import until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(150)]

COMMAND = (sys.executable, "-m", "pullahead", "run")
WANTS = '{"num_cpus": 0.5, "runtime_env": {"env_vars": {"TWICE": "2"}}}'
ENVIRON = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
WORK = """
import os
import time

def odd(item):
    if item == "7":
        raise ValueError("no seven")
    return int(os.environ["TWICE"]) * int(item)

def slow(item):
    time.sleep(0.05)
    with open("computed", "a") as file:
        file.write(f"{item}\\n")
    return item
"""


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    (folder / "work.py").write_text(WORK)
    command = [*COMMAND, *arguments, "--engine", "ray"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, **pipes, text=True, cwd=folder, env=ENVIRON)  # type: ignore[call-overload, no-any-return]


def lines_of(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_items_become_lines_a_report_and_a_timeline(tmp_path: Path) -> None:
    items = [str(one) for one in range(40)]
    more = ("-w", "2", "--to", "out.jsonl", "--timeline", "run.json", "--report", "--worker-options", WANTS)
    with start(tmp_path, "work.py:odd", *items, *more) as process:
        out, said = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, "")
    lines = lines_of(tmp_path / "out.jsonl")
    assert [line["item"] for line in lines] == items
    assert [line["result"] for line in lines if "result" in line] == [2 * x for x in range(40) if x != 7]
    (failed,) = [line for line in lines if "error" in line]
    assert (failed["item"], failed["error"]) == (
        "7",
        {"type": "ValueError", "message": "no seven", "attempts": 1},
    )
    assert "40 items in " in said
    assert said.splitlines()[-1].startswith(
        "pullahead run: 1 of 40 items failed; the first: item '7': ValueError"
    )
    assert "Traceback" not in said
    assert json.loads((tmp_path / "run.json").read_text())


def test_a_command_that_is_interrupted_goes_on_with_its_journal(tmp_path: Path) -> None:
    items = [str(one) for one in range(60)]
    arguments = ("work.py:slow", *items, "-w", "2", "--to", "out.jsonl", "--journal", "run.db")
    with start(tmp_path, *arguments) as process:
        assert until(lambda: len(lines_of(tmp_path / "out.jsonl")) >= 5, 100)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.splitlines()[-1].endswith("; run it again to go on")
    had = len(lines_of(tmp_path / "out.jsonl"))
    assert 5 <= had < 60
    with start(tmp_path, *arguments) as process:
        _, said = process.communicate(timeout=120)
    assert (process.returncode, "Traceback" in said) == (0, False), said
    results = [str(line["result"]) for line in lines_of(tmp_path / "out.jsonl")]
    before, behind = results[:had], results[had:]
    assert before == sorted(before, key=int), "in order, less what was given back"
    assert behind == [item for item in items if item not in before], "and that comes behind it, in order"
    assert len(results) == len(items)
    assert Counter((tmp_path / "computed").read_text().split()) == Counter(items), "nothing twice"
