"""Queues in PostgreSQL: what an address means, what becomes of items and results, who may have what when."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.sources.postgresql import PostgresServer

import pullahead as pa
from pullahead.cli.queue import queue as commands
from pullahead.core.leases import LEAST
from pullahead.errors import ResultError, SourceError
from pullahead.sources import as_source, open_sink, open_source
from pullahead.sources.postgresql import PostgresQueue, PostgresSource, schema

pytest.importorskip("psycopg")

WAIT = 20.0
#: Seconds after which who waits has looked only if it knew that there would be something.
SOON = 6.0


def double(x: Any) -> Any:
    return x * 2


# Addresses


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgresql://host/db", "expected queue=NAME in the query of postgresql://host/db, got none"),
        ("postgresql://host/db?queue=", "expected a name of 1 to 48 .* for queue in .*, got nothing"),
        ("postgresql://host/db?queue=" + "x" * 49, "expected a name of 1 to 48 .*, got 49 bytes"),
        ("postgresql://host/db?queue=a&drian=1", "or an option of libpq, in .*, got 'drian'"),
        ("postgresql://host/db?queue=a&queue=b", "expected queue once in .*, got it twice"),
        ("postgresql://host/db?queue=a&drain=yes", "expected 0 or 1 for drain in .*, got 'yes'"),
        ("postgresql://host/db?queue=a&retries=-1", "a whole number from 0 for retries in .*, got '-1'"),
        ("postgresql://host/db?queue=a&retry_delay=x", "seconds from 0 for retry_delay in .*, got 'x'"),
        ("postgresql://host/db?queue=a&client_encoding=x", "expected one of .*, got 'client_encoding'"),
        ("postgresql://[host/db?queue=a", "libpq understands, got .*host/db"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused_in_a_line(address: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("?", r"\?")) as caught:
        as_source(address)
    assert "\n" not in str(caught.value)


def test_no_message_has_a_password() -> None:
    for address in ("postgresql://me:secret@host/db", "postgres://me@host/db?password=secret"):
        with pytest.raises(ValueError, match="expected queue=NAME") as caught:
            as_source(address)
        assert "secret" not in str(caught.value)


def test_results_go_where_the_items_are_and_nowhere_else() -> None:
    with pytest.raises(ValueError, match="keeps the results of its own items"):
        open_sink("postgresql://host/db?queue=results")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "wrong"}, 'refuses us: password authentication failed for user "postgres"'),
        ({"dbname": "nowhere"}, 'refuses us: database "nowhere" does not exist'),
        ({"port": "1"}, "cannot reach postgresql://.*: connection"),
    ],
)
def test_who_cannot_come_in_hears_it_in_a_line(
    postgres: PostgresServer, change: dict[str, str], said: str
) -> None:
    with pytest.raises(SourceError, match=said) as caught:
        open_source(postgres.address("jobs", **change))
    assert "\n" not in str(caught.value)
    assert "wrong@" not in str(caught.value)


def test_without_psycopg_the_error_says_how_to_get_it() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "import pullahead\n"
        "pullahead.run(print, 'postgresql://host/db?queue=jobs')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    expected = "ImportError: an address of PostgreSQL needs psycopg: pip install 'pullahead[postgresql]'"
    assert ended.stderr.splitlines()[-1] == expected


# Tables


def test_a_database_without_the_tables_says_how_to_make_them(postgres: PostgresServer) -> None:
    postgres.execute("CREATE DATABASE bare")
    address = postgres.address("jobs", dbname="bare")
    with pytest.raises(SourceError, match="pullahead queue init 'postgresql://postgres@127") as caught:
        open_source(address)
    assert "\n" not in str(caught.value)
    with PostgresQueue(address) as queue:
        with pytest.raises(SourceError, match="pullahead queue init"):
            queue.put([1])
        assert queue.init() == (0, 1)
        assert queue.init() == (1, 1)
        assert queue.put([1]) == [1]
    with closing(open_source(address)) as source:
        assert [one.item for one in source.take(1)] == [1]


def test_tables_are_made_once_by_however_many(postgres: PostgresServer) -> None:
    postgres.execute("CREATE DATABASE crowd")
    with ExitStack() as stack:
        queues = [
            stack.enter_context(PostgresQueue(postgres.address("jobs", dbname="crowd"))) for _ in range(4)
        ]
        versions: list[tuple[int, int]] = []
        threads = [threading.Thread(target=lambda one=one: versions.append(one.init())) for one in queues]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(versions) == 4
        assert {after for _, after in versions} == {1}


def test_tables_of_another_version_are_refused(postgres: PostgresServer) -> None:
    postgres.execute("CREATE DATABASE future")
    address = postgres.address("jobs", dbname="future")
    with PostgresQueue(address) as queue:
        queue.init()
    with closing(PostgresServerClient(postgres, "future")) as client:
        client.execute("INSERT INTO pullahead.migrations VALUES (99, 'flying')")
        newer = "expected tables of version 1, got 99, which a newer"
        with pytest.raises(SourceError, match=newer):
            open_source(address)
        with PostgresQueue(address) as queue, pytest.raises(SourceError, match=newer):
            queue.init()
        client.execute("DELETE FROM pullahead.migrations")
        with pytest.raises(SourceError, match="expected tables of version 1, got 0; bring them up to date"):
            open_source(address)


def test_tables_with_items_are_brought_to_the_next_version_as_a_whole_or_not_at_all(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.execute("CREATE DATABASE growing")
    address = postgres.address("jobs", dbname="growing")
    with PostgresQueue(address) as queue:
        queue.init()
        queue.put([1, 2])
    steps = schema._migrations()

    def add(name: str, text: str) -> None:
        steps.append(schema.Migration(len(steps) + 1, name, text))
        monkeypatch.setattr(schema, "VERSION", len(steps))

    monkeypatch.setattr(schema, "_migrations", lambda: steps)
    add("colour", "ALTER TABLE pullahead.items ADD COLUMN colour text NOT NULL DEFAULT 'red'")
    with pytest.raises(SourceError, match="expected tables of version 2, got 1; bring them up to date"):
        open_source(address)
    said = CliRunner().invoke(commands, ["init", address])
    assert (said.exit_code, said.output) == (0, "brought the tables from version 1 to version 2\n")
    add("broken", "ALTER TABLE pullahead.items DROP COLUMN colour; SELECT 1 / 0")
    with PostgresQueue(address) as queue, pytest.raises(SourceError, match="division by zero"):
        queue.init()
    with closing(PostgresServerClient(postgres, "growing")) as client:
        assert client.rows("SELECT version, name FROM pullahead.migrations ORDER BY version") == [
            (1, "items"),
            (2, "colour"),
        ]
        assert client.rows("SELECT item, colour FROM pullahead.items ORDER BY id") == [(1, "red"), (2, "red")]
    steps.pop()
    monkeypatch.setattr(schema, "VERSION", 2)
    with closing(open_source(f"{address}&drain=1")) as source:
        assert [one.item for one in source.take(2, 5.0)] == [1, 2]


class PostgresServerClient:
    """Somebody else in another database of the server."""

    def __init__(self, server: PostgresServer, database: str) -> None:
        import psycopg

        self._client = psycopg.connect(
            host="127.0.0.1",
            port=server.port,
            user="postgres",
            password="right",
            dbname=database,
            autocommit=True,
        )

    def execute(self, text: str) -> None:
        self._client.execute(text)

    def rows(self, text: str) -> list[Any]:
        return self._client.execute(text).fetchall()

    def close(self) -> None:
        self._client.close()


# Items


def test_whoever_can_insert_can_put_items(postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    postgres.execute(
        "INSERT INTO pullahead.items (queue, item) VALUES (%s, %s)", name, '{"path": "ü", "n": [1, null]}'
    )
    with closing(open_source(postgres.address(name))) as source:
        assert [one.item for one in source.take(5)] == [{"path": "ü", "n": [1, None]}]


def test_priorities_come_first_then_what_comes_again_then_the_oldest(postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    with (
        PostgresQueue(postgres.address(name)) as queue,
        closing(open_source(postgres.address(name))) as source,
    ):
        queue.put(["a", "b"])
        back = source.take(2)
        source.give_back([back[1].token])
        queue.put(["c"])
        queue.put(["low"], priority=-1)
        queue.put(["high", "too"], priority=3)
        assert [one.item for one in source.take(3)] == ["high", "too", "b"]
        assert [one.item for one in source.take(3)] == ["c", "low"]


def test_an_item_may_be_put_for_later(postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    with (
        PostgresQueue(postgres.address(name)) as queue,
        closing(open_source(postgres.address(name, drain=1))) as source,
    ):
        queue.put([1], delay=0.5)
        assert source.take(1) == []
        assert not source.closed
        before = time.monotonic()
        (one,) = source.take(1, WAIT)  # nobody says anything when its time comes
        assert 0.3 < time.monotonic() - before < 2.0
        assert (one.item, one.attempt) == (1, 1)


def test_a_number_that_python_does_not_read_is_dead_and_no_end(postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    postgres.put(name, ["1" * 5000, 1])
    assert list(pa.map(double, postgres.address(name, drain=1), workers=1)) == [2]
    (dead, done) = postgres.rows(name, "state, reason")
    assert dead[0] == "dead"
    assert dead[1].startswith("expected JSON in the column 'item', got '1111")
    assert done == ("done", None)


def test_an_item_that_ends_its_consumers_is_dead_after_some_deliveries(postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    postgres.put(name, [1])
    sources = [open_source(postgres.address(name, deliveries=2, retries=1)) for _ in range(3)]
    counts = []
    for source in sources:
        counts.append([one.attempt for one in source.take(1)])
        postgres.late(name)  # it dies, and its lease passes
    for source in sources:
        source.close()
    assert counts == [[1], [2], []]
    (row,) = postgres.rows(name, "state, reason, attempts")
    assert row == ("dead", "delivered 2 times, and never ended", 2)


# Ends


def test_a_run_keeps_results_and_reasons_with_the_items(postgres: PostgresServer) -> None:
    def work(x: int) -> dict[str, int]:
        if x == 3:
            raise ValueError("not three\0")
        return {"twice": 2 * x}

    name = postgres.new_queue()
    postgres.put(name, range(200))
    report = pa.run(work, postgres.address(name, drain=1), workers=2, retries=1)
    assert (report.done, report.failed) == (199, 1)
    rows = postgres.rows(name, "item, state, attempts, result, reason, owner")
    assert rows == [
        (3, "dead", 2, None, "ValueError: not three\\x00", None)
        if x == 3
        else (x, "done", 1, {"twice": 2 * x}, None, None)
        for x in range(200)
    ]


def test_a_result_that_json_cannot_hold_is_the_failure_of_its_item(postgres: PostgresServer) -> None:
    name, seen = postgres.new_queue(), []
    postgres.put(name, [0, 1, 2])

    def work(x: int) -> Any:
        return {1} if x == 1 else x

    report = pa.run(
        work, postgres.address(name, drain=1), lambda result, item: seen.append(result), workers=1
    )
    assert (report.done, report.failed) == (2, 1)
    (failure,) = [one for one in seen if not isinstance(one, int)]
    assert isinstance(failure.error, ResultError)
    assert [state for _, state, _ in postgres.rows(name)] == ["done", "dead", "done"]
    (_, (reason,), _) = postgres.rows(name, "reason")
    assert "item 1: expected result to be a value that JSON can hold, got set" in reason


def test_the_first_result_counts_and_stays(postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    postgres.put(name, [0])
    a, b = (open_source(postgres.address(name)) for _ in range(2))
    with closing(a), closing(b):
        (mine,) = a.take(1)
        postgres.late(name)
        (same,) = b.take(1)
        for source, taken, result in ((b, same, "first"), (a, mine, "second")):
            source.keep_result(taken.token, result)  # type: ignore[attr-defined]
            source.done(taken.token)
            source.extend([], 30.0)
    assert postgres.rows(name, "state, result") == [("done", "first")]


def test_a_result_whose_item_went_back_is_not_kept(postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    postgres.put(name, range(3))

    def sink(result: int, item: int) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        pa.run(double, postgres.address(name), sink, workers=1)
    assert postgres.rows(name, "state, result, attempts") == [("waiting", None, 0)] * 3


def test_without_results_what_is_done_is_gone(postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    postgres.put(name, range(20))
    report = pa.run(lambda x: {x}, postgres.address(name, drain=1, results=0), workers=1)
    assert (report.done, postgres.rows(name)) == (20, [])


def test_what_failed_is_tried_again_ever_later_and_then_dead(postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    postgres.put(name, [1])
    waits = []
    with closing(open_source(postgres.address(name, retries=2, retry_delay=100))) as source:
        for attempt in (1, 2, 3):
            (one,) = source.take(1)
            assert one.attempt == attempt
            source.failed(one.token, "no", 1)
            source.extend([], 30.0)
            ((state, reason, seconds),) = postgres.rows(
                name, "state, reason, extract(epoch FROM due - now())::float8"
            )
            waits.append(seconds)
            assert (state, reason) == ("dead" if attempt == 3 else "waiting", "no")
            postgres.late(name)
        assert waits == [pytest.approx(100, abs=5), pytest.approx(200, abs=5), None]


def test_what_is_tried_again_is_waited_for_although_it_failed_during_a_look(postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    postgres.put(name, [1])
    source = PostgresSource(postgres.address(name, drain=1, retries=1, retry_delay=0))
    (one,) = source.take(1)
    tell = source._consumer.tell

    def fail_meanwhile(*arguments: Any, **options: Any) -> Any:
        heard = tell(*arguments, **options)
        source._consumer.tell = tell  # type: ignore[method-assign]
        source.failed(one.token, "no", 1)
        return heard

    source._consumer.tell = fail_meanwhile  # type: ignore[method-assign]
    with closing(source):
        assert source.take(1) == []
        assert not source.closed
        assert [again.attempt for again in source.take(1, 5.0)] == [2]


@pytest.mark.parametrize("on_error", ["collect", "raise"])
def test_a_run_hears_of_what_failed_once_it_is_tried_no_more(
    on_error: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    """Until then it is in the queue, where it waits for its time."""
    name = postgres.new_queue()
    postgres.put(name, range(3))

    def work(x: int) -> int:
        tries = tmp_path / str(x)
        tries.write_text("x" + (tries.read_text() if tries.exists() else ""))
        if x == 0 or (x == 1 and len(tries.read_text()) < 3):
            raise ValueError(x)
        return x

    address = postgres.address(name, drain=1, retries=2, retry_delay=0.05)
    if on_error == "raise":
        with pytest.raises(ValueError, match="0"):
            list(pa.map(work, address, workers=1, ordered=False))
        assert len((tmp_path / "0").read_text()) == 3
        return
    seen: list[tuple[int, Any]] = []
    report = pa.run(work, address, lambda result, item: seen.append((item, result)), workers=1)
    assert (report.done, report.failed, report.left) == (2, 1, 0)
    assert sorted((item, result) for item, result in seen if isinstance(result, int)) == [(1, 1), (2, 2)]
    (failure,) = [result for _, result in seen if not isinstance(result, int)]
    assert (failure.item, type(failure.error)) == (0, ValueError)
    assert postgres.rows(name, "item, state, attempts") == [(0, "dead", 3), (1, "done", 3), (2, "done", 1)]


# A queue from outside


def test_a_queue_is_filled_looked_at_and_mended(postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    with PostgresQueue(postgres.address(name)) as queue:
        ids = queue.put(range(1500))
        assert [item for item, _, _ in postgres.rows(name)] == list(range(1500))
        assert len(set(ids)) == 1500
        queue.put(["later"], delay=100)
        with closing(open_source(postgres.address(name))) as source:
            taken = source.take(5)
            source.done(taken[0].token)
            source.failed(taken[1].token, "one")
            source.failed(taken[2].token, "two")
            source.extend([], 30.0)
            stats = queue.stats()
            counts = (stats.ready, stats.out, stats.waiting, stats.done, stats.dead, stats.due)
            assert counts == (1495, 2, 1, 1, 2, 0)
            assert stats.consumers == 1
            assert stats.oldest is not None
            assert 0 <= stats.oldest < 60
            dead = {(one.item, one.reason, one.attempts) for one in queue.dead()}
            assert dead == {
                ("1", "one", 1),
                ("2", "two", 1),
            }
            assert len(queue.dead(1)) == 1
            assert queue.retry([taken[1].token, 10**15]) == 1
            assert queue.retry() == 1
            assert queue.retry() == 0
            assert [(one.item, one.attempt) for one in source.take(2)] == [(1, 1), (2, 1)]


def test_what_json_cannot_hold_is_not_put(postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    with PostgresQueue(postgres.address(name)) as queue:
        with pytest.raises(ResultError, match="expected item to be a value that JSON can hold, got set"):
            queue.put([*range(1500), {2}])
        with pytest.raises(ValueError, match="expected a priority from -2147483648 to 2147483647, got 2147"):
            queue.put([1], priority=2**31)
    assert postgres.rows(name) == []


# Waiting


def test_who_waits_hears_of_what_is_put_at_once_and_asks_for_nothing_meanwhile(
    postgres: PostgresServer,
) -> None:
    name = postgres.new_queue()
    with closing(open_source(postgres.address(name))) as source:
        asked: list[Any] = []
        ask = source._server.ask  # type: ignore[attr-defined]

        def heard(said: Any) -> Any:
            asked.append(said)
            return ask(said)

        source._server.ask = heard  # type: ignore[attr-defined]
        for _ in range(10):
            assert source.take(1, 0.02) == []
        assert len(asked) == 1
        threading.Timer(0.1, lambda: postgres.put(name, [7])).start()
        before = time.monotonic()
        assert [one.item for one in source.take(1, WAIT)] == [7]
        assert time.monotonic() - before < 2.0


def taken_and_waiting(source: Any) -> int:
    """Take the only item. Then it listens, for ten seconds if it hears nothing."""
    (one,) = source.take(1, WAIT)
    assert source.take(1, 0.02) == []
    token: int = one.token
    return token


def test_who_waits_looks_when_what_it_put_off_itself_is_due(postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    postgres.put(name, [7])
    with closing(open_source(postgres.address(name))) as source:
        source.give_back([taken_and_waiting(source)], 1.0)
        source.extend([], LEAST)
        assert [(one.item, one.attempt) for one in source.take(1, SOON)] == [(7, 1)]


@pytest.mark.parametrize("who", ["itself", "another one"])
def test_who_waits_looks_when_what_has_failed_is_tried_again(who: str, postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    postgres.put(name, [7])
    address = postgres.address(name, retries=1, retry_delay=1)
    with closing(open_source(address)) as source, closing(open_source(address)) as another:
        token = taken_and_waiting(source)
        waits = source if who == "itself" else another
        assert waits.take(1, 0.02) == []
        source.failed(token, "no")
        source.extend([], LEAST)
        assert [(one.item, one.attempt) for one in waits.take(1, SOON)] == [(7, 2)]


# Tables of others


def films(server: PostgresServer) -> tuple[str, str]:
    """Make a table with two rows, and return the names of a queue and of that."""
    name = server.new_queue()
    table = f'"My Films"."Films of {name}"'
    server.execute('CREATE SCHEMA IF NOT EXISTS "My Films"')
    server.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY, path text, words jsonb, title text)")
    server.execute(f"INSERT INTO {table} VALUES (7, 'a.mp4', NULL, 'A'), (9, NULL, NULL, 'B')")
    return name, table


def test_rows_of_another_table_are_items_and_get_their_results(postgres: PostgresServer) -> None:
    name, table = films(postgres)
    postgres.execute(f"INSERT INTO {table} VALUES (1, 'done.mp4', '5', 'C')")
    with PostgresQueue(postgres.address(name)) as queue:
        assert queue.adopt(table, item="path", result="words") == 2  # one has its result
        assert queue.adopt(table, item="path", result="words") == 0
        postgres.execute(f"INSERT INTO {table} VALUES (10, 'c.mp4'), (11, 'd.mp4') ")
        postgres.execute(f"DELETE FROM {table} WHERE id = 11")
    rows = postgres.rows(name, "key, item, state")
    assert rows == [("7", "a.mp4", "ready"), ("9", None, "ready"), ("10", "c.mp4", "ready")]
    pa.run(lambda path: {"of": path}, postgres.address(name, drain=1), workers=1)
    assert postgres.execute(f"SELECT id, words FROM {table} ORDER BY id") == [
        (1, 5),
        (7, {"of": "a.mp4"}),
        (9, {"of": None}),
        (10, {"of": "c.mp4"}),
    ]
    assert postgres.rows(name, "state") == [("done",)] * 3


def test_a_row_as_a_whole_is_a_dict_and_a_text_gets_a_text(postgres: PostgresServer) -> None:
    name, table = films(postgres)
    with PostgresQueue(postgres.address(name)) as queue:
        assert queue.adopt(table, result="title") == 0  # both have one
        postgres.execute(f"INSERT INTO {table} VALUES (10, 'c.mp4', '[1]')")
    pa.run(lambda row: row["path"], postgres.address(name, drain=1), workers=1)
    assert postgres.rows(name, "item, result") == [
        ({"id": 10, "path": "c.mp4", "words": [1], "title": None}, "c.mp4")
    ]
    assert postgres.execute(f"SELECT title FROM {table} WHERE id = 10") == [("c.mp4",)]


@pytest.mark.parametrize(
    ("table", "columns", "said"),
    [
        ("nowhere", {}, "expected a table nowhere, got none"),
        ("{}", {"key": "no"}, "expected a column 'no' in .*, which has id, path, words, title"),
        ("{}", {"item": "no"}, "expected a column 'no' in"),
        ("{}", {"key": "path"}, "with a unique index for the key, got 'path'"),
        ("{}", {"result": "id"}, "of type json, jsonb, text for the result, got 'id' of type bigint"),
        ("{}; DROP TABLE x", {}, "invalid name syntax|expected a table"),
    ],
)
def test_a_table_that_cannot_be_a_queue_is_refused_in_a_line(
    table: str, columns: dict[str, str], said: str, postgres: PostgresServer
) -> None:
    name, there = films(postgres)
    with PostgresQueue(postgres.address(name)) as queue:
        with pytest.raises(SourceError, match=said) as caught:
            queue.adopt(table.format(there), **columns)
        assert "\n" not in str(caught.value)
    assert postgres.rows(name) == []


def test_a_queue_is_of_one_table(postgres: PostgresServer) -> None:
    (name, first), (_, second) = films(postgres), films(postgres)
    with PostgresQueue(postgres.address(name)) as queue:
        queue.adopt(first)
        with pytest.raises(SourceError, match="expected one table for the queue, got a second one"):
            queue.adopt(second)
    assert len(postgres.rows(name)) == 2


# What the server, or libpq, says no to


def test_a_result_that_its_column_refuses_is_the_failure_of_its_item_alone(postgres: PostgresServer) -> None:
    name, table = films(postgres)
    postgres.execute(f"INSERT INTO {table} VALUES (10, 'c'), (11, 'd')")
    postgres.execute(f"ALTER TABLE {table} ADD CHECK (words::text <> '\"d\"')")
    with PostgresQueue(postgres.address(name)) as queue:
        queue.adopt(table, item="path", result="words")
    report = pa.run(lambda path: "a\0b" if path == "c" else path, postgres.address(name, drain=1), workers=1)
    assert (report.done, report.failed, report.refused, report.left) == (2, 2, 2, 0)
    assert "ended      2 well, 2 failed, 2 of them by a result that the queue refused" in str(report)
    assert postgres.rows(name, "key, state") == [("7", "done"), ("9", "done"), ("10", "dead"), ("11", "dead")]
    reasons = [row[0] for row in postgres.rows(name, "reason")][2:]
    assert "unsupported Unicode escape sequence" in reasons[0]
    assert "violates check constraint" in reasons[1]


@pytest.mark.parametrize(
    ("no", "said"),
    [
        ("CREATE INDEX ON {table} (words)", "index row requires"),
        (
            "CREATE OR REPLACE FUNCTION public.no_words() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF NEW.words LIKE 'xx%' THEN RAISE 'no words today' USING ERRCODE = 'MY001'; END IF; "
            "RETURN NEW; END $$; "
            "CREATE TRIGGER no BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION public.no_words()",
            "no words today",
        ),
    ],
)
def test_so_is_one_that_an_index_or_a_trigger_of_their_own_refuses(
    no: str, said: str, postgres: PostgresServer
) -> None:
    name, table = films(postgres)
    postgres.execute(f"ALTER TABLE {table} ALTER words TYPE text")
    postgres.execute(no.format(table=table))
    with PostgresQueue(postgres.address(name)) as queue:
        queue.adopt(table, item="path", result="words")
    large = "xx" + "".join(random.Random(1).choices("0123456789abcdef", k=20_000))
    report = pa.run(
        lambda path: large if path == "a.mp4" else path, postgres.address(name, drain=1), workers=1
    )
    assert (report.done, report.failed, report.refused, report.left) == (1, 1, 1, 0)
    assert sorted(postgres.rows(name, "state")) == [("dead",), ("done",)]
    (reason,) = [row[0] for row in postgres.rows(name, "reason") if row[0]]
    assert said in reason


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:100%secret@host/db?queue=a",
        "postgresql://me:secret@[::1]x/db?queue=a",
        "postgresql://me:se?secret@host/db",
        "postgres://me:?secret@host/db?queue=a&no=1",
    ],
)
def test_no_part_of_a_password_is_said(address: str) -> None:
    with pytest.raises(ValueError) as caught:
        as_source(address)
    assert "secret" not in str(caught.value)
    assert "se?" not in str(caught.value)


def test_a_key_may_be_of_any_type(postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    postgres.execute("CREATE DOMAIN reel AS bigint")
    postgres.execute("CREATE TABLE reels (id reel PRIMARY KEY, words text)")
    postgres.execute("INSERT INTO reels VALUES (1)")
    with PostgresQueue(postgres.address(name)) as queue:
        queue.adopt("reels", result="words")
    pa.run(lambda row: "said", postgres.address(name, drain=1), workers=1)
    assert postgres.execute("SELECT words FROM reels") == [("said",)]


def test_a_name_that_would_end_a_body_is_refused(postgres: PostgresServer) -> None:
    with PostgresQueue(postgres.address("a$$b")) as queue:
        postgres.execute("CREATE TABLE money (id int PRIMARY KEY)")
        with pytest.raises(SourceError, match=r"expected names without \$\$"):
            queue.adopt("money")


def test_retries_are_not_cut_short_by_deliveries(postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    postgres.put(name, [1])
    with closing(open_source(postgres.address(name, retries=3, deliveries=2))) as source:
        for _ in range(4):
            (one,) = source.take(1)
            source.failed(one.token, "no", 1)
            source.extend([], 30.0)
            postgres.late(name)
    assert postgres.rows(name, "state, attempts, reason") == [("dead", 4, "no")]


def test_what_a_lost_connection_had_taken_after_all_comes_again(postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    postgres.put(name, [1])
    with closing(open_source(postgres.address(name, drain=1))) as source:
        me = source._consumer.name  # type: ignore[attr-defined]
        text = (
            "UPDATE pullahead.items SET state = 'out', owner = %s, attempts = 1, due = now() WHERE queue = %s"
        )
        postgres.execute(text, me, name)
        assert [(one.item, one.attempt) for one in source.take(1)] == [(1, 2)]
        postgres.late(name)
        assert source.take(1) == []  # now it is known
