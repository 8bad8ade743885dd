"""`pullahead queue` and `pullahead run --from postgresql://…`: what they do, and what they say in a line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.sources.postgresql import PostgresServer

JOB = "def work(x):\n    if x == 'b':\n        raise ValueError('no b')\n    return {'is': x}\n"


def pullahead(*arguments: str, piped: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pullahead", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=50, check=False, input=piped, cwd=cwd
    )


def said(*arguments: str, piped: str = "") -> str:
    ended = pullahead(*arguments, piped=piped)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_a_queue_is_made_filled_and_looked_at(postgres: PostgresServer, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"n": 1}\n')
    postgres.execute("CREATE DATABASE shop")
    address = postgres.address("jobs", dbname="shop")
    assert said("queue", "init", address) == "made the tables, in version 1\n"
    assert said("queue", "init", address) == "the tables are there, in version 1\n"
    assert said("queue", "put", address, "a", "b") == "put 2 items\n"
    assert said("queue", "put", address, piped="c\n") == "put 1 item\n"
    put = said("queue", "put", address, "--from", str(tmp_path / "in.jsonl"), "--priority", "5")
    assert put == "put 1 item\n"
    assert said("queue", "put", address, "late", "--delay", "3600") == "put 1 item\n"
    stats = said("queue", "stats", address)
    assert re.fullmatch(
        r"ready    4, the oldest for \S+ \w+\nout      0\nwaiting  1\ndone     0\ndead     0\n", stats
    )
    assert said("queue", "failed", address) == "nothing has failed\n"


def test_a_run_from_the_command_line(postgres: PostgresServer, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(JOB)
    name = postgres.new_queue()
    address = postgres.address(name)
    said("queue", "put", address, "a", "b", "c")
    ended = pullahead("run", "job.py:work", "--from", f"{address}&drain=1", "-w", "1", cwd=tmp_path)
    assert ended.returncode == 1
    first = "pullahead run: 1 of 3 items failed; the first: item 'b': ValueError: no b"
    assert ended.stderr.startswith(first)
    assert ended.stderr.count("\n") == 1
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    results = {line["item"]: line.get("result") for line in lines}
    assert results == {"a": {"is": "a"}, "b": None, "c": {"is": "c"}}
    rows = postgres.rows(name, "item, state, result")
    assert rows == [("a", "done", {"is": "a"}), ("b", "dead", None), ("c", "done", {"is": "c"})]
    failed = said("queue", "failed", address)
    assert re.fullmatch(r'\d+  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  "b"  1 attempt: ValueError: no b\n', failed)
    number = failed.split()[0]
    again = pullahead("queue", "retry", address, number, "999999999")
    assert again.stdout == "1 item will be tried again\n"
    assert again.returncode == 2
    assert "expected numbers of items that have failed in" in again.stderr
    assert said("queue", "retry", address, "--all") == "0 items will be tried again\n"
    assert said("queue", "stats", address).splitlines()[0].startswith("ready    1, ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["stats", "redis://:secret@host/0?stream=s"],
            "expected an address as postgresql://host/database?queue=",
        ),
        (
            ["stats", "postgresql://host/db"],
            "expected queue=NAME in the query of postgresql://host/db",
        ),
        (
            ["put", "postgresql://me:secret@127.0.0.1:1/db?queue=a", "x"],
            "cannot reach postgresql://me@127.0.0.1",
        ),
        (["retry", "postgresql://host/db?queue=a"], "or --all, got neither"),
        (["retry", "postgresql://host/db?queue=a", "1", "--all"], "or --all, got both"),
        (["retry", "postgresql://host/db?queue=a", "one"], "'one' is not a valid integer range"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(arguments: list[str], expected: str) -> None:
    ended = pullahead("queue", *arguments)
    assert ended.returncode == 2
    assert expected in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "secret" not in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--from", "{}", "a"], "expected items from one place, got 1 argument and --from"),
        (["--from", "/nowhere/at/all"], "cannot read '/nowhere/at/all'"),
        (
            ["--from", "postgresql://h/d?queue=q"],
            "expected a file for --from, got the address of a queue",
        ),
        (
            ["--priority", "9999999999", "a"],
            "expected a priority from -2147483648 to 2147483647, got 99",
        ),
        (["--delay", "inf", "a"], "interval out of range"),
        (["--delay", "-1", "a"], "-1.0 is not in the range x>=0"),
    ],
)
def test_what_cannot_be_put_is_said_in_a_line(
    arguments: list[str], expected: str, postgres: PostgresServer
) -> None:
    ended = pullahead("queue", "put", postgres.address("jobs"), *arguments)
    assert ended.returncode == 2
    assert expected in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_line_that_is_no_json_puts_nothing_after_it(postgres: PostgresServer, tmp_path: Path) -> None:
    name = postgres.new_queue()
    (tmp_path / "in.jsonl").write_text("1\nnope\n")
    ended = pullahead("queue", "put", postgres.address(name), "--from", str(tmp_path / "in.jsonl"))
    assert ended.returncode == 2
    assert "line 2: expected a JSON value, got 'nope'" in ended.stderr
    assert postgres.rows(name) == []


def test_the_command_refuses_what_such_a_queue_cannot_do(postgres: PostgresServer, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(JOB)
    address = postgres.address(postgres.new_queue())
    for words, expected in (
        (["--ordered"], "ordered: expected"),
        (["--journal", "run.db"], "journal: expected"),
        (["--to", address], "--to: expected a file or a queue in Redis for the results"),
    ):
        ended = pullahead("run", "job.py:work", "--from", address, *words, cwd=tmp_path)
        assert ended.returncode == 2
        assert expected in ended.stderr
        assert ended.stderr.count("\n") == 1
