"""`pullahead queue` and `pullahead run --from ADDRESS`: what they do, and what they say in a line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.faults.procs import until
from tests.sources.postgresql import PostgresServer
from tests.sources.servers import RedisServer
from tests.sources.test_redis_faults import late

from pullahead.sources import open_source

JOB = "def work(x):\n    if x == 'b':\n        raise ValueError('no b')\n    return {'is': x}\n"


COMMAND = (sys.executable, "-m", "pullahead")


def pullahead(*arguments: str, piped: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *arguments]
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


class Kind:
    """A kind of queue: where a new one is, and what becomes of its items."""

    def __init__(self, server: PostgresServer | RedisServer) -> None:
        self.address = (
            server.address(server.new_queue(), retry_delay=1)
            if isinstance(server, PostgresServer)
            else server.address(server.new_stream(), "g")
        )
        self.id = r"\d+" if isinstance(server, PostgresServer) else r"\d+-\d+"
        self.nowhere = "999999999" if isinstance(server, PostgresServer) else "1-1"
        self.counts_done = isinstance(server, PostgresServer)


@pytest.fixture(params=["postgres", "redis_server"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return Kind(request.getfixturevalue(request.param))


def stats(kind: Kind) -> dict[str, str]:
    """Return what is said, by its first word."""
    lines = [line.split(maxsplit=1) for line in said("queue", "stats", kind.address).splitlines()]
    expected = ["ready", "out", "waiting", *(["done"] if kind.counts_done else []), "dead"]
    assert [line[0] for line in lines] == expected
    return {line[0]: line[1] for line in lines}


def test_what_is_put_is_counted_and_runs(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "in.jsonl").write_text('"a"\n{"n": [1]}\n')
    assert said("queue", "put", kind.address, "--from", str(tmp_path / "in.jsonl")) == "put 2 items\n"
    assert said("queue", "put", kind.address, "b", "ü") == "put 2 items\n"
    assert said("queue", "put", kind.address, piped="c\n") == "put 1 item\n"
    found = stats(kind)
    assert re.fullmatch(r"5, the oldest for \S+ \w+", found["ready"])
    assert (found["out"], found["waiting"], found["dead"]) == ("0", "0", "0")
    ended = pullahead("run", "job.py:work", "--from", f"{kind.address}&drain=1", "-w", "1", cwd=tmp_path)
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert sorted(str(line["item"]) for line in lines) == ["a", "b", "c", "{'n': [1]}", "ü"]
    assert ended.returncode == 1
    found = stats(kind)
    assert (found["ready"], found["out"], found["waiting"], found["dead"]) == ("0", "0", "0", "1")


def test_what_has_failed_is_listed_and_tried_again(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("def work(x):\n    raise ValueError(f'no {x}')\n")
    assert said("queue", "failed", kind.address) == "nothing has failed\n"
    said("queue", "put", kind.address, "a", "b", "c")
    assert pullahead("run", "job.py:work", "--from", f"{kind.address}&drain=1", cwd=tmp_path).returncode == 1
    failed = said("queue", "failed", kind.address).splitlines()
    when = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    for line in failed:
        assert re.fullmatch(rf'{kind.id}  {when}  "(.)"  1 attempt: ValueError: no \1', line)
    assert sorted(re.findall('"(.)"', "".join(failed))) == ["a", "b", "c"]
    most = said("queue", "failed", kind.address, "--most", "1").splitlines()
    assert most == [failed[0], "and 2 failures more; --most 3 prints all"]
    again = pullahead("queue", "retry", kind.address, failed[0].split()[0], kind.nowhere)
    assert again.stdout == "1 item will be tried again\n"
    assert again.returncode == 2
    assert "expected ids of items that have failed in" in again.stderr
    assert "got 1 id of nothing that can be tried again" in again.stderr
    found = stats(kind)
    assert (found["ready"].split(",")[0], found["dead"]) == ("1", "2")
    assert said("queue", "retry", kind.address, "--all") == "2 items will be tried again\n"
    assert said("queue", "retry", kind.address, "--all") == "0 items will be tried again\n"
    assert said("queue", "failed", kind.address) == "nothing has failed\n"
    (tmp_path / "job.py").write_text("def work(x):\n    return x\n")
    ended = pullahead("run", "job.py:work", "--from", f"{kind.address}&drain=1", cwd=tmp_path)
    assert sorted(json.loads(line)["result"] for line in ended.stdout.splitlines()) == ["a", "b", "c"]


def test_failures_of_a_stream_are_listed_without_a_group(redis_server: RedisServer, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("def work(x):\n    raise ValueError(f'no {x}')\n")
    stream = redis_server.new_stream()
    address = redis_server.address(stream, "")
    assert said("queue", "failed", address) == "nothing has failed\n"
    said("queue", "put", address, "a", "b", "c")
    pullahead("run", "job.py:work", "--from", f"{redis_server.address(stream)}&drain=1", cwd=tmp_path)
    assert len(said("queue", "failed", address).splitlines()) == 3
    assert said("queue", "failed", address, "--most", "1").endswith(
        "and 2 failures more; --most 3 prints all\n"
    )


def test_what_was_trimmed_is_not_called_none(redis_server: RedisServer, tmp_path: Path) -> None:
    stream = redis_server.new_stream()
    address = redis_server.address(stream)
    said("queue", "put", address, "a")
    with closing(open_source(address)) as dead:
        dead.take(1)
        late(redis_server, stream)
        redis_server.client.xtrim(stream, maxlen=0)
        with closing(open_source(address)) as source:
            assert source.take(1) == []
    (line,) = said("queue", "failed", address).splitlines()
    ended = pullahead("queue", "retry", address, line.split()[0])
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.endswith("got 1 id of nothing that can be tried again\n")


def test_what_is_no_id_is_said_in_a_line(kind: Kind) -> None:
    ended = pullahead("queue", "retry", kind.address, "one")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.search("expected (numbers for the )?ids of .*, got 'one'\n$", ended.stderr)
    assert ended.stderr.count("\n") == 1


def test_a_result_that_the_queue_refuses_is_a_failure_of_the_run(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    (tmp_path / "job.py").write_text("def work(row):\n    return row['id']\n")
    postgres.execute("CREATE TABLE reels (id int PRIMARY KEY, words text CHECK (words <> '2'))")
    postgres.execute("INSERT INTO reels VALUES (1), (2), (3)")
    address = postgres.address("reels")
    said("queue", "init", address, "--table", "reels", "--result", "words")
    ended = pullahead("run", "job.py:work", "--from", f"{address}&drain=1", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == (
        "pullahead run: 1 of 3 items failed; 1 by a result that the queue refused; "
        "`pullahead queue failed` says why\n"
    )
    assert 'result refused: new row for relation "reels" violates' in said("queue", "failed", address)


def test_a_result_that_json_cannot_hold_is_dead_in_the_queue(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("def work(x):\n    return {x} if x == 'b' else x\n")
    said("queue", "put", kind.address, "a", "b", "c")
    ended = pullahead("run", "job.py:work", "--from", f"{kind.address}&drain=1", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("pullahead run: 1 of 3 items failed; the first: ")
    (line,) = said("queue", "failed", kind.address).splitlines()
    assert "expected result to be a value that JSON can hold, got set" in line


def test_a_server_that_goes_away_in_the_middle_is_no_wrong_usage(
    own_server: RedisServer, tmp_path: Path
) -> None:
    (tmp_path / "job.py").write_text("import time\ndef work(x):\n    time.sleep(0.02)\n    return x\n")
    own_server.put("jobs", range(1000))
    address = own_server.address("jobs", patience=0.5)
    command = [*COMMAND, "run", "job.py:work", "--from", address, "--to", "out.jsonl", "--report"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        out = tmp_path / "out.jsonl"
        assert until(lambda: out.exists() and out.read_text().count("\n") > 3, 30)
        own_server.stop()
        _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    *report, last = told.splitlines()
    assert any("items in " in line for line in report)
    went = r"unix://.* went away and did not come back: .*; \d+ done, 0 failed before"
    assert re.fullmatch(f"pullahead run: the run ended: {went}", last), last


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["init", "redis://:secret@host/0?stream=s"],
            "expected an address as postgresql://host/database?queue=NAME, got redis://@host/0",
        ),
        (
            ["stats", "amqp://:secret@host/jobs"],
            "postgresql://host/database?queue=NAME or redis://host/0?stream=NAME&group=NAME, got amqp://@host",
        ),
        (["stats", "redis://:secret@host/0?group=g"], "expected stream=NAME in the query of redis://@host/0"),
        (["put", "redis://:secret@127.0.0.1:1/0?stream=s", "x"], "cannot reach redis://@127.0.0.1:1/0"),
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


def test_a_line_that_is_no_json_puts_nothing_of_its_batch(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("1\nnope\n")
    ended = pullahead("queue", "put", kind.address, "--from", str(tmp_path / "in.jsonl"))
    assert ended.returncode == 2
    assert "line 2: expected a JSON value, got 'nope'" in ended.stderr
    assert stats(kind)["ready"] == "0"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["put", "--priority", "5", "a"], "for a stream of Redis, got the priority 5"),
        (["put", "--delay", "2.5", "a"], "for a stream of Redis, got a delay of 2.5 s"),
        (["stats"], "expected group=NAME in the query of unix://"),
    ],
)
def test_what_a_stream_cannot_do_is_said_in_a_line(
    arguments: list[str], expected: str, redis_server: RedisServer
) -> None:
    verb, *rest = arguments
    ended = pullahead("queue", verb, redis_server.address("new", ""), *rest)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert expected in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not redis_server.client.exists("new")


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
