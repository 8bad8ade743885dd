"""The benchmark of live queues: a quick run of ours alone, and what it makes of its log."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.queues import cases, kills, work
from benchmarks.queues.ideal import run_on_time
from benchmarks.queues.programs import Program
from benchmarks.queues.work import Log, Run
from tests.faults.procs import alive, descendants, until
from tests.sources.servers import redis_or_skip

ROOT = Path(__file__).parents[2]


def test_a_quick_run_of_ours_alone(tmp_path: Path) -> None:
    redis_or_skip()
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    file = tmp_path / "found.json"
    command = [sys.executable, "-m", "benchmarks.queues", "--quick", "--ours", "--only", "short-redis"]
    ran = subprocess.run(
        [*command, "--json", str(file)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(file.read_text())
    (case,) = found["cases"]
    (line,) = case["contenders"]
    assert (case["name"], line["name"]) == ("short-redis", "Pullahead")
    assert 0.0 < line["utilization"]["median"] <= 1.0
    assert "appendfsync everysec" in " ".join(ran.stdout.split())  # in lines of some width


def test_a_log_is_read_by_process_and_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path / "log")
    for name, value in log.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(work, "_descriptor", -1)
    work.process(work.item(3))
    work.load_and_process(*work.item(4, 0.001))
    work._say(5, False)  # and dies
    os.close(work._descriptor)
    runs = log.runs()
    assert [(run.number, run.pid) for run in runs] == [(n, os.getpid()) for n in (3, 4, 5)]
    assert [run.ended is None for run in runs] == [False, False, True]
    assert runs[1].ended is not None
    assert runs[1].ended - runs[1].began >= 0.001
    assert log.records == 5
    log.clear()
    assert log.runs() == []


def test_a_process_with_threads_is_within_items_once() -> None:
    runs = [Run(0, 1, 0.0, 2.0), Run(1, 1, 1.0, 1.5), Run(2, 2, 1.0, 3.0), Run(3, 1, 1.5, 4.0)]
    assert cases.seconds_within(runs) == pytest.approx(4.0 + 2.0)


def test_each_repeat_is_explained_by_a_kill_or_not_at_all() -> None:
    runs = [
        Run(0, 1, 0.0, None),  # killed while it ran
        Run(1, 2, 0.5, 0.9),  # killed shortly after
        Run(2, 2, 0.0, 0.4),  # nobody was killed for so long that this explains it
        Run(3, 3, 0.0, 0.1),  # nobody was killed
        *(Run(number, 4, 5.0 + number, 5.5 + number) for number in range(5)),
    ]
    verdict = kills.Verdict("some", 5)
    kills.judge(verdict, runs, {1: 0.5, 2: 1.0 + kills.SHORTLY / 2}, last=2.0)
    assert (verdict.again, verdict.interrupted, verdict.unheard) == (4, 1, 1)
    assert verdict.longest == pytest.approx(0.1 + kills.SHORTLY / 2)
    assert [line.split(" began")[0] for line in verdict.unexplained] == ["item 2", "item 3"]
    assert verdict.seconds == pytest.approx(9.5 - 2.0)


def test_an_ideal_queue_runs_each_item_once_and_none_before_its_time() -> None:
    items = [work.item(number, 0.001) for number in range(20)]
    arrivals = [0.004 * (number // 2) for number in range(20)]
    puts, runs = run_on_time(items, arrivals)
    assert sorted(run.number for run in runs) == list(range(20))
    assert len({run.pid for run in runs}) <= 2
    assert all(run.began >= puts[run.number] for run in runs)
    assert all(run.ended is not None and run.ended >= run.began + 0.001 for run in runs)


def test_the_ideal_is_no_later_than_the_items_take() -> None:
    sizes, arrivals = cases.mixed(400)
    assert sorted(set(sizes)) == [0.001, 0.2]
    assert list(arrivals) == sorted(arrivals)
    assert cases.mixed(400) == (sizes, arrivals)
    assert cases.ideal(400) >= 200.0


_WAITS = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"


def _states(pid: int) -> set[str]:
    """What a process and all that it has started do, as the kernel abbreviates it."""
    both = [pid, *descendants(pid)]
    return {Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[0] for one in both}


def _commands(pid: int) -> list[bytes]:
    """The last arguments of all that a process has started, once they run: a fork is not yet its program."""
    commands = [Path(f"/proc/{one}/cmdline").read_bytes() for one in descendants(pid)]
    return [command.rstrip(b"\0").rpartition(b"\0")[2] for command in commands]


def test_a_program_is_paused_with_all_that_it_has_started_and_goes_on(tmp_path: Path) -> None:
    program = Program(["-c", _WAITS], {}, tmp_path / "errors")
    pid = program._process.pid
    assert until(lambda: _commands(pid).count(b"import time; time.sleep(60)") == 1, 10)
    program.pause()
    assert until(lambda: _states(pid) == {"T"}, 10)
    program.resume()
    assert until(lambda: "T" not in _states(pid), 10)
    program.pause()
    program.close()
    assert not alive(pid)


_PAUSES = """
import pathlib, sys, time
from benchmarks.queues.programs import Program
program = Program(["-c", "import time; time.sleep(60)"], {}, pathlib.Path(sys.argv[1]))
command = pathlib.Path(f"/proc/{program._process.pid}/cmdline")
while b"setpriv" in command.read_bytes():  # which has to have begun what it is for
    time.sleep(0.01)
program.pause()
print(program._process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="nothing ends with its parent without setpriv")
def test_a_program_that_is_paused_ends_when_the_benchmark_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PAUSES, str(tmp_path / "errors")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as benchmark:
        assert benchmark.stdout is not None
        pid = int(benchmark.stdout.readline())
        benchmark.kill()
    assert until(lambda: not alive(pid), 10)
