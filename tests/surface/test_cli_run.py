"""`pullahead run`, end to end: what it writes, where, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.faults.procs import descendants

WORK = """
import os
import time
from pathlib import Path

def double(item):
    return item * 2

def check(item):
    if item == "b":
        raise ValueError("no b\\nat all")
    return item

def odd(item):
    return {item} if item == "b" else item

def slow(item):
    time.sleep(0.1)
    return item

def stuck(item):
    Path(f"pid-{os.getpid()}").touch()
    time.sleep(60)

def die(item):
    if item == "b":
        os._exit(3)
    return item

def third_time(item):
    tries = Path(f"tries-{item}")
    count = len(tries.read_text()) if tries.exists() else 0
    tries.write_text("x" * (count + 1))
    if count < 2:
        raise OSError("busy")
    return count

def lengths(items):
    return [len(items)] * len(items)

class Model:
    def __init__(self):
        raise RuntimeError("no model")
    def process(self, item):
        return item

class Counter:
    def __init__(self):
        self.size = 10
    def load(self, item):
        return item + 1
    def process(self, loaded):
        return loaded * self.size
"""

LOUD = """
print("imported", flush=True)

def loud(item):
    print("working on", item, flush=True)
    return item
"""

COMMAND = [sys.executable, "-m", "pullahead", "run"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module `work`, current."""
    (tmp_path / "work.py").write_text(WORK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, stdin: str = "") -> tuple[int, list[Any], str]:
    """Run the command; returns its exit code, its lines, and what it said."""
    ended = subprocess.run(
        [*COMMAND, *arguments], input=stdin, capture_output=True, text=True, timeout=50, check=False
    )
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    return ended.returncode, lines, ended.stderr


def results(*pairs: tuple[Any, Any]) -> list[Any]:
    return [{"item": item, "result": result} for item, result in pairs]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Its other lines, and what it said.

    `communicate` would lose each line that a `readline` before it has read ahead.
    """
    assert process.stdout
    rest = process.stdout.read()
    _, said = process.communicate(timeout=50)
    return rest, said


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are ended with the test, whatever happens in it."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        with process:  # closes the pipes
            process.kill()


def test_each_argument_is_an_item_and_each_item_a_line(folder: Path) -> None:
    assert run("work:double", "a", "b", "c") == (0, results(("a", "aa"), ("b", "bb"), ("c", "cc")), "")
    assert run("work.py:double", "a", "-w", "1", "--lookahead", "0") == (0, results(("a", "aa")), "")


def test_several_queues_give_the_same_results_and_none_are_there_with_a_journal(folder: Path) -> None:
    assert run("work:double", "a", "b", "-w", "2", "--queues", "2") == (
        0,
        results(("a", "aa"), ("b", "bb")),
        "",
    )
    code, lines, said = run("work:double", "a", "-w", "2", "--queues", "2", "--journal", "run.db")
    assert (code, lines) == (2, [])
    assert "queues: expected 1 with a journal, which is a file with one writer, got 2" in said
    assert said.count("\n") == 1


def test_items_from_a_file_from_json_and_from_standard_input(folder: Path) -> None:
    (folder / "in.txt").write_text("a\nb\n")
    (folder / "in.jsonl").write_text("1\n\n2\n")
    assert run("work:double", "--from", "in.txt") == (0, results(("a", "aa"), ("b", "bb")), "")
    assert run("work:double", "--from", "in.jsonl") == (0, results((1, 2), (2, 4)), "")
    assert run("work:double", stdin="x\ny\n") == (0, results(("x", "xx"), ("y", "yy")), "")
    assert run("work:double", "-", stdin="x\n") == (0, results(("x", "xx")), "")
    assert run("work:double", stdin="") == (0, [], "")


def test_a_class_is_built_in_the_worker_and_may_load(folder: Path) -> None:
    (folder / "in.jsonl").write_text("1\n2\n")
    assert run("work:Counter", "--from", "in.jsonl") == (0, results((1, 20), (2, 30)), "")


def test_results_go_to_a_new_file_or_are_appended_or_overwrite_it(folder: Path) -> None:
    out = folder / "out.jsonl"

    def items() -> list[str]:
        return [json.loads(line)["item"] for line in out.read_text().splitlines()]

    assert run("work:double", "a", "--to", "out.jsonl") == (0, [], "")
    assert items() == ["a"]
    code, _, said = run("work:double", "b", "--to", "out.jsonl")
    assert (code, items()) == (2, ["a"])
    assert said == "pullahead run: the file 'out.jsonl' exists; use --append, --overwrite, or another name\n"
    assert run("work:double", "c", "--to", "out.jsonl", "--append") == (0, [], "")
    assert items() == ["a", "c"]
    assert run("work:double", "d", "--to", "out.jsonl", "--overwrite") == (0, [], "")
    assert items() == ["d"]
    code, _, said = run("work:double", "e", "--to", "out.jsonl", "--overwrite", "--append")
    assert (code, items()) == (2, ["d"])
    assert said == "pullahead run: expected --append or --overwrite, got both\n"


def test_a_failed_item_is_a_line_of_its_own_and_exit_code_1(folder: Path) -> None:
    code, lines, said = run("work:check", "a", "b", "c")
    error = {"type": "ValueError", "message": "no b\nat all", "attempts": 1}
    assert code == 1
    assert lines == [*results(("a", "a")), {"item": "b", "error": error}, *results(("c", "c"))]
    assert said.startswith("pullahead run: 1 of 3 items failed; the first: item 'b': ValueError: no b at all")
    assert said.count("\n") == 1
    assert "work.py, line 11" in said


def test_the_traceback_of_a_failure_comes_when_asked_for(folder: Path) -> None:
    _, _, said = run("work:check", "b", "--traceback")
    assert 'raise ValueError("no b\\nat all")' in said


def test_a_result_that_json_cannot_hold_fails_its_item_and_no_other(folder: Path) -> None:
    code, lines, said = run("work:odd", "a", "b", "c")
    assert code == 1
    assert [line["item"] for line in lines] == ["a", "b", "c"]
    assert lines[1]["error"]["type"] == "pullahead.errors.ResultError"
    assert said == (
        "pullahead run: 1 of 3 items failed; the first: pullahead.errors.ResultError: "
        "item 'b': expected result to be a value that JSON can hold, got set at result\n"
    )


def test_what_the_work_prints_does_not_get_into_the_results(folder: Path) -> None:
    (folder / "noisy.py").write_text(LOUD)
    code, lines, said = run("noisy:loud", "a", "-w", "1")
    assert (code, lines) == (0, results(("a", "a")))
    assert sorted(said.splitlines()) == ["imported", "imported", "working on a"], "here and in the worker"


def test_a_line_of_broken_json_ends_the_run_after_the_items_before_it(folder: Path) -> None:
    (folder / "in.jsonl").write_text('1\n2\n{"a": \n4\n')
    code, lines, said = run("work:double", "--from", "in.jsonl")
    assert (code, lines) == (2, results((1, 2), (2, 4)))
    assert said.startswith("pullahead run: in.jsonl, line 3: expected a JSON value, got '{\"a\": '")
    assert said.count("\n") == 1


def test_a_constructor_that_raises_is_one_line_and_leaves_no_file(folder: Path) -> None:
    code, lines, said = run("work:Model", "a", "b", "--to", "out.jsonl")
    assert (code, lines) == (1, [])
    assert said.startswith("pullahead run: the run ended: RuntimeError: no model")
    assert "work.py, line" in said
    assert said.count("\n") == 1
    assert not (folder / "out.jsonl").exists()


def test_a_worker_that_dies_is_one_line(folder: Path) -> None:
    code, lines, said = run("work:die", "a", "b", "c", "--unordered")
    assert code == 1
    assert [line for line in lines if "result" in line and line["item"] == "b"] == []
    assert said.endswith(": exit code 3\n")  # and no file of ours behind it
    assert said.count("\n") == 1


def test_options_reach_the_run(folder: Path) -> None:
    assert run("work:third_time", "a", "--retries", "2") == (0, results(("a", 2)), "")
    numbers = [str(i) for i in range(6)]
    code, lines, _ = run("work:lengths", *numbers, "-w", "1", "--batch-size", "3", "--batch-wait", "5")
    assert (code, [line["result"] for line in lines]) == (0, [3] * 6)


def test_workers_may_come_and_go(folder: Path) -> None:
    numbers = [str(i) for i in range(60)]
    code, lines, said = run("work:slow", *numbers, "-w", "1-2", "--report")
    assert code == 0
    assert [line["item"] for line in lines] == numbers
    assert "on 1 to 2 workers (" in said
    assert "1 → 2" in said


def test_a_timeline_is_drawn_and_a_report_printed(folder: Path) -> None:
    code, _, said = run("work:double", "a", "b", "--timeline", "run.json", "--report")
    assert code == 0
    assert "2 items in " in said
    assert isinstance(json.loads((folder / "run.json").read_text()), dict | list)


def test_at_a_terminal_it_says_how_it_went(folder: Path) -> None:
    ours, theirs = os.openpty()
    with subprocess.Popen([*COMMAND, "work:double", "a"], stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        out, _ = process.communicate(timeout=50)
    said = b""
    while chunk := read_terminal(ours):
        said += chunk
    os.close(ours)
    assert json.loads(out) == {"item": "a", "result": "aa"}
    assert b"1 item in " in said


def read_terminal(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # the other end is closed
        return b""


def test_an_item_is_worked_on_before_the_next_one_is_there(
    folder: Path, started: list[subprocess.Popen[str]]
) -> None:
    started.append(process := start("work:double"))
    assert process.stdin
    assert process.stdout
    for item in ("a", "b", "c"):
        process.stdin.write(f"{item}\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"item": item, "result": item * 2}
    process.stdin.close()
    assert process.wait(50) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_finishes_what_runs_and_says_what_is_left(
    folder: Path, started: list[subprocess.Popen[str]], number: signal.Signals
) -> None:
    items = [str(i) for i in range(1000)]
    started.append(process := start("work:slow", *items, "-w", "2"))
    assert process.stdout
    process.stdout.readline()
    process.send_signal(number)
    out, said = finish(process)
    assert process.returncode == 130
    done = 1 + out.count("\n")
    assert 1 <= done < 100
    ended = re.fullmatch(
        rf"pullahead run: interrupted: {done} done, 0 failed, (\d+) given back, (\d+) left",
        said.splitlines()[-1],
    )
    assert ended is not None, said
    assert done + int(ended[1]) + int(ended[2]) == 1000
    assert "Traceback" not in said


def test_a_sigterm_to_every_process_drains_as_well(
    folder: Path, started: list[subprocess.Popen[str]]
) -> None:
    """As the manager of a service sends it."""
    items = [str(i) for i in range(1000)]
    started.append(process := start("work:slow", *items, "-w", "2"))
    assert process.stdout
    process.stdout.readline()
    for pid in (*descendants(process.pid), process.pid):
        os.kill(pid, signal.SIGTERM)
    out, said = finish(process)
    assert process.returncode == 130
    done = 1 + out.count("\n")
    assert said.splitlines()[-1].startswith(f"pullahead run: interrupted: {done} done, 0 failed, ")
    assert "Traceback" not in said


def test_an_interrupt_does_not_wait_for_standard_input(
    folder: Path, started: list[subprocess.Popen[str]]
) -> None:
    started.append(process := start("work:double"))
    assert process.stdin
    assert process.stdout
    process.stdin.write("a\n")
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert process.stderr
    said = process.stderr.read().splitlines()[-1]
    assert said == (
        "pullahead run: interrupted: 1 done, 0 failed, 0 given back; the rest of standard input was not read"
    )


def test_what_outlasts_the_grace_is_left(folder: Path, started: list[subprocess.Popen[str]]) -> None:
    started.append(process := start("work:stuck", "a", "b", "c", "-w", "2", "--grace", "0.5"))
    wait_until(lambda: any(folder.glob("pid-*")))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "pullahead run: interrupted: 0 done, 0 failed, 3 given back, 0 left"
    assert "Traceback" not in said


def test_a_second_interrupt_ends_at_once_and_leaves_no_process(
    folder: Path, started: list[subprocess.Popen[str]]
) -> None:
    started.append(process := start("work:stuck", "a", "b", "-w", "2"))
    wait_until(lambda: any(folder.glob("pid-*")))
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)  # a second signal straight after the first may be merged with it
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 130
    assert process.stderr
    said = "pullahead run: ended at once; what was running is lost, what was written is not\n"
    assert process.stderr.read().endswith(said)
    pids = [int(path.name.removeprefix("pid-")) for path in folder.glob("pid-*")]
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 5)


def wait_until(condition: Any, patience: float = 30) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_reader_that_goes_away_ends_it_quietly(folder: Path, started: list[subprocess.Popen[str]]) -> None:
    started.append(process := start("work:slow", *[str(i) for i in range(1000)]))
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(50) == 141
    assert process.stderr.read() == ""


def test_a_full_disk_is_one_line(folder: Path) -> None:
    code, lines, said = run("work:double", "a", "b", "--to", "/dev/full")
    assert (code, lines) == (1, [])
    assert said == "pullahead run: the run ended: cannot write '/dev/full': No space left on device\n"
