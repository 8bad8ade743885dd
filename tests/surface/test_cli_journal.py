"""`pullahead run --journal` and `pullahead journal show`: what they write and what they say."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

WORK = """
import os

def check(item):
    with open("calls", "a") as stream:
        stream.write(f"{item}\\n")
    if item == "3":
        raise ValueError("no three")
    return {"n": item}

def other(item):
    return item

def odd(item):
    return {item}

def field(item):
    return item["size"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module `work` and a file with five items, current."""
    (tmp_path / "work.py").write_text(WORK)
    (tmp_path / "in.txt").write_text("".join(f"{i}\n" for i in range(1, 6)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pullahead(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pullahead", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def run(*arguments: str, work: str = "check") -> subprocess.CompletedProcess[str]:
    return pullahead("run", f"work:{work}", "--from", "in.txt", "--journal", "run.db", "-w", "2", *arguments)


def calls(folder: Path) -> Counter[str]:
    return Counter((folder / "calls").read_text().split())


def items(file: Path) -> list[str]:
    return [json.loads(line)["item"] for line in file.read_text().splitlines()]


def test_the_same_command_goes_on_in_the_same_file_without_further_flags(folder: Path) -> None:
    out = folder / "out.jsonl"
    first = run("--to", "out.jsonl")
    assert (first.returncode, first.stdout) == (1, "")
    assert re.fullmatch(
        r"pullahead run: 1 of 5 items failed; "
        r"the first: item '3': ValueError: no three \[.*work.py, line 8\]\n",
        first.stderr,
    )
    whole = out.read_text()
    with (folder / "in.txt").open("a") as stream:
        stream.write("6\n")
    second = run("--to", "out.jsonl")
    assert second.returncode == 1
    assert second.stderr == (
        "pullahead run: 1 of 6 items failed; they did in an earlier run, --retry-failed tries them again\n"
    )
    assert out.read_text() == whole + '{"item": "6", "result": {"n": "6"}}\n'
    assert calls(folder) == Counter("123456")


def test_what_failed_is_tried_again_when_asked_for(folder: Path) -> None:
    run("--to", "out.jsonl")
    (folder / "work.py").write_text(WORK.replace('item == "3"', "False"))
    assert run("--to", "out.jsonl").returncode == 1
    mended = run("--to", "out.jsonl", "--retry-failed")
    assert (mended.returncode, mended.stderr) == (0, "")
    results = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert Counter(one["item"] for one in results if "result" in one) == Counter("12345")
    assert calls(folder) == Counter("12345") + Counter("3")


def test_standard_output_gets_everything_each_time(folder: Path) -> None:
    first = run()
    assert len(first.stdout.splitlines()) == 5
    again = run()
    assert (again.returncode, again.stdout) == (1, first.stdout)
    assert calls(folder) == Counter("12345")


def test_with_a_key_lines_may_move_and_come(folder: Path) -> None:
    run("--to", "out.jsonl", "--key", ".")
    (folder / "in.txt").write_text("9\n5\n1\n")
    again = run("--to", "out.jsonl", "--key", ".", "--report")
    assert again.returncode == 0
    assert "2 recorded before, 3 absent from the input" in again.stderr
    assert items(folder / "out.jsonl") == ["1", "2", "3", "4", "5", "9"]
    assert calls(folder) == Counter("123459")


def test_a_field_may_be_the_key(folder: Path) -> None:
    (folder / "in.jsonl").write_text('{"id": 1, "size": 10}\n{"id": 2, "size": 20}\n')
    command = ("run", "work:field", "--from", "in.jsonl", "--journal", "run.db", "--key", "id")
    assert len(pullahead(*command).stdout.splitlines()) == 2
    (folder / "in.jsonl").write_text('{"id": 2, "size": 20}\n{"size": 30}\n')
    missing = pullahead(*command)
    assert missing.returncode == 2
    assert [json.loads(line)["result"] for line in missing.stdout.splitlines()] == [20]
    assert missing.stderr == (
        "pullahead run: expected items with a field 'id', as --key says, got {'size': 30}\n"
    )


def test_a_result_that_json_cannot_hold_is_recorded_and_fails_its_line(folder: Path) -> None:
    first = run("--to", "out.jsonl", work="odd")
    assert first.returncode == 1
    assert first.stderr.startswith("pullahead run: 5 of 5 items failed; the first: ")
    assert len((folder / "out.jsonl").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--work-version", "2"), "is of the work 'work:check', got 'work:check', version '2'; name another"),
        (("--key", "."), "was begun without a key, and this run is with a key: its items could not be told"),
    ],
)
def test_a_journal_of_something_else_is_refused(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    run()
    refused = run(*arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert len(refused.stderr.splitlines()) == 1
    assert said in refused.stderr


def test_another_work_is_refused(folder: Path) -> None:
    run()
    refused = run(work="other")
    assert refused.returncode == 2
    assert refused.stderr == (
        "pullahead run: the journal 'run.db' is of the work 'work:check', got 'work:other'; "
        "name another journal\n"
    )


def test_an_input_that_changed_is_refused(folder: Path) -> None:
    run()
    (folder / "in.txt").write_text("1\n7\n")
    refused = run()
    assert refused.returncode == 2
    assert refused.stderr == (
        "pullahead run: item '7' is not the one that the journal 'run.db' has at position 1: the input has "
        "changed, which only items with a key may (key=, or --key)\n"
    )


@pytest.mark.parametrize("flag", [("--key", "."), ("--retry-failed",), ("--synchronous", "full")])
def test_what_is_said_of_a_journal_wants_one(folder: Path, flag: tuple[str, ...]) -> None:
    refused = pullahead("run", "work:check", "a", *flag)
    assert refused.returncode == 2
    assert refused.stderr == (
        f"pullahead run: expected --journal DB with {flag[0]}, got none; see 'pullahead run --help'\n"
    )


def test_a_file_that_is_no_journal_is_left_alone(folder: Path) -> None:
    refused = pullahead("run", "work:check", "a", "--journal", "in.txt")
    assert refused.returncode == 2
    assert refused.stderr == (
        "pullahead run: the journal 'in.txt': it is not a journal (file is not a database)\n"
    )
    assert (folder / "in.txt").read_text() == "1\n2\n3\n4\n5\n"


def test_show_prints_counts_failures_and_where_results_went(folder: Path) -> None:
    run("--to", "out.jsonl")
    size = (folder / "out.jsonl").stat().st_size
    shown = pullahead("journal", "show", "run.db")
    assert (shown.returncode, shown.stderr) == (0, "")
    head, *rest = shown.stdout.splitlines()
    assert re.fullmatch(
        r"run\.db: work:check; items known by their position; 1 run since \d{4}-\d\d-\d\d \d\d:\d\d", head
    )
    assert rest == [
        "  4 done, 1 failed",
        f"  5 handed to {folder / 'out.jsonl'}, {size} bytes",
        '  failed  2: "3", tried once: ValueError: no three',
    ]


def test_show_makes_failed_items_ready(folder: Path) -> None:
    run("--to", "out.jsonl")
    shown = pullahead("journal", "show", "run.db", "--retry-failed")
    assert shown.stdout.splitlines()[-1] == "1 item that failed will be tried again by the next run"
    assert pullahead("journal", "show", "run.db").stdout.splitlines()[1] == (
        "  4 done, 0 failed, 1 tried, and to be tried again"
    )
    run("--to", "out.jsonl")
    assert calls(folder) == Counter("12345") + Counter("3")


def test_show_prints_some_failures_and_says_how_many_there_are(folder: Path) -> None:
    (folder / "in.txt").write_text("3\n" * 5)
    run()
    shown = pullahead("journal", "show", "run.db", "--failures", "2").stdout.splitlines()
    assert [line.split()[0] for line in shown[-3:]] == ["failed", "failed", "and"]
    assert shown[-1] == "  and 3 failures more; --failures 5 prints all"


@pytest.mark.parametrize("name", ["nothing.db", "in.txt"])
def test_show_of_what_is_no_journal_is_one_line(folder: Path, name: str) -> None:
    shown = pullahead("journal", "show", name)
    assert (shown.returncode, shown.stdout) == (1, "")
    assert len(shown.stderr.splitlines()) == 1
    assert shown.stderr.startswith(f"pullahead: the journal '{name}': it ")


def test_show_runs_no_code_of_a_journal(folder: Path) -> None:
    run()
    database = sqlite3.connect("run.db")
    database.execute("UPDATE items SET item = ?, result = ?", (b"cos\nsystem\n", b"cos\nsystem\n"))
    database.execute("UPDATE attempts SET error = ?", (b"cos\nsystem\n(S'touch hacked'\ntR.",))
    database.commit()
    database.close()
    assert pullahead("journal", "show", "run.db").returncode == 0
    assert not (folder / "hacked").exists()


def test_the_journal_is_no_file_for_results(folder: Path) -> None:
    for there in (False, True):
        refused = run("--to", "run.db", "--overwrite")
        assert (refused.returncode, refused.stdout) == (2, "")
        said = "pullahead run: expected --to to be another file than --journal, got 'run.db' for both\n"
        assert refused.stderr == said
        if not there:
            run()


def test_a_journal_that_lacks_facts_is_shown_as_far_as_it_goes(folder: Path) -> None:
    run()
    with closing(sqlite3.connect("run.db")) as database, database:
        database.execute("DELETE FROM facts")
    shown = pullahead("journal", "show", "run.db")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.splitlines()[0] == "run.db: an unknown work; items known by their position; 1 run"
