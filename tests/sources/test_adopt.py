"""A table of others becomes a queue while it is used, and its items are worked on: nobody waits for ever.

What is said of the table once stays true: of which rows there are items, and where their results go.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from tests.sources.postgresql import PostgresServer

import pullahead as pa
from pullahead.errors import SourceError
from pullahead.sources import as_source
from pullahead.sources.postgresql import PostgresQueue, server

WAIT = 20.0


@pytest.fixture
def films(postgres: PostgresServer) -> str:
    """A table, of which the name is also that of a queue."""
    name = f"films_{postgres.new_queue().removeprefix('jobs-')}"
    postgres.execute(f"CREATE TABLE {name} (id bigint PRIMARY KEY, path text, words text)")
    postgres.execute(f"INSERT INTO {name} SELECT n, n::text FROM generate_series(1, 100) AS n")
    return name


@contextmanager
def session(server: PostgresServer) -> Iterator[Any]:
    """Somebody else, in a transaction."""
    import psycopg

    with closing(psycopg.connect(server.address("any").partition("?")[0])) as made:
        yield made


class Adopting:
    """Adopts on a thread of its own."""

    def __init__(self, server: PostgresServer, queue: str, table: str, **columns: str) -> None:
        self._server = server
        self._what = queue, table, columns
        self.put = -1
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._adopt)
        self._thread.start()

    def _adopt(self) -> None:
        queue, table, columns = self._what
        try:
            with PostgresQueue(self._server.address(queue)) as opened:
                self.put = opened.adopt(table, **columns)
        except BaseException as error:
            self.error = error

    def wait_until_it_waits(self, seconds: float = 0.0) -> None:
        """For somebody's lock, for so long; or has come to its end."""
        deadline = time.monotonic() + WAIT
        text = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted"
        since = "clock_timestamp() - query_start >= make_interval(secs => %s)"
        while self._thread.is_alive():
            if self._server.execute(f"{text} AND application_name = 'pullahead' AND {since}", seconds)[0][0]:
                return
            assert time.monotonic() < deadline
            time.sleep(0.01)  # the server takes its time

    def end(self) -> int:
        """Wait for its end. Returns how many rows it has put."""
        self._thread.join(WAIT)
        assert self.error is None
        return self.put


END = """
UPDATE pullahead.items SET state = 'done', owner = NULL, due = NULL, result = '1', ended_at = now()
WHERE queue = %s AND key = %s
"""


@pytest.mark.parametrize(
    "change", [{}, {"result": "words"}, {"result": "words", "item": "path"}], ids=["none", "same", "other"]
)
def test_to_adopt_again_is_not_in_the_way_of_who_ends_an_item(
    postgres: PostgresServer, films: str, change: dict[str, str]
) -> None:
    with PostgresQueue(postgres.address(films)) as queue:
        assert queue.adopt(films, result="words") == 100
    with session(postgres) as consumer:
        consumer.execute("UPDATE pullahead.items SET priority = 1 WHERE queue = %s AND key = '7'", (films,))
        adopting = Adopting(postgres, films, films, **change)
        adopting.wait_until_it_waits()
        consumer.execute(END, (films, "7"))
        consumer.commit()
    assert adopting.end() == 0
    assert postgres.execute(f"SELECT words FROM {films} WHERE id = 7") == [("1" if change else None,)]


def test_a_second_queue_of_a_table_is_not_in_the_way_of_the_first(
    postgres: PostgresServer, films: str
) -> None:
    with PostgresQueue(postgres.address(films)) as queue:
        assert queue.adopt(films, result="words") == 100
    with session(postgres) as consumer:
        consumer.execute("UPDATE pullahead.items SET priority = 1 WHERE queue = %s AND key = '7'", (films,))
        adopting = Adopting(postgres, f"{films}:second", films, result="words")
        adopting.wait_until_it_waits()
        consumer.execute(END, (films, "7"))
        consumer.commit()
    assert adopting.end() == 99  # one has its words


@pytest.mark.parametrize("is_again", [False, True])
def test_to_adopt_is_not_in_the_way_of_who_writes_rows(
    postgres: PostgresServer, films: str, is_again: bool
) -> None:
    with PostgresQueue(postgres.address(films)) as queue:
        if is_again:
            queue.adopt(films, result="words")
    with session(postgres) as writer:
        writer.execute(f"INSERT INTO {films} VALUES (201, 'a'), (202, 'b')")
        adopting = Adopting(postgres, films, films, result="words")
        adopting.wait_until_it_waits()
        writer.execute(f"INSERT INTO {films} VALUES (203, 'c')")
        writer.execute(f"DELETE FROM {films} WHERE id = 1")
        writer.commit()
    adopting.end()
    keys = postgres.rows(films, "key")
    assert sorted(int(key) for (key,) in keys) == [*range(2, 101), 201, 202, 203]


def test_who_adopts_at_the_same_time_puts_each_row_once(postgres: PostgresServer, films: str) -> None:
    several = [Adopting(postgres, films, films, result="words") for _ in range(4)]
    assert sorted(one.end() for one in several) == [0, 0, 0, 100]
    assert len(postgres.rows(films)) == 100


def test_a_column_for_results_may_be_named_later_or_no_more(postgres: PostgresServer, films: str) -> None:
    with PostgresQueue(postgres.address(films)) as queue:
        for key, columns in enumerate([{}, {"result": "words"}, {"result": "path"}, {}], 1):
            queue.adopt(films, **columns)
            postgres.execute(END, films, str(key))
    rows = postgres.execute(f"SELECT path, words FROM {films} WHERE id < 5 ORDER BY id")
    assert rows == [("1", None), ("2", "1"), ("1", None), ("4", None)]


def test_a_run_does_not_notice_that_its_queue_is_adopted_again_and_again(
    own_postgres: PostgresServer,
) -> None:
    own_postgres.execute("CREATE TABLE films (id bigint PRIMARY KEY, words text)")
    own_postgres.execute("INSERT INTO films SELECT generate_series(1, 400)")
    more = "INSERT INTO films SELECT max(id) + 1 FROM films HAVING max(id) < 500"
    over = threading.Event()

    def again(what: Callable[[], object]) -> None:
        while not over.wait(0.01):
            what()

    with PostgresQueue(own_postgres.address("films")) as queue:
        adopt: list[Callable[[], object]] = [
            lambda: queue.adopt("films", result="words"),
            lambda: own_postgres.execute(more),
        ]
        adopt[0]()
        helpers = [threading.Thread(target=again, args=(what,)) for what in adopt]
        for helper in helpers:
            helper.start()
        try:
            pa.run(lambda row: "said", own_postgres.address("films", drain=1), workers=2)
        finally:
            over.set()
            for helper in helpers:
                helper.join()
    assert own_postgres.said("deadlock detected") == 0
    assert own_postgres.said("lock timeout") == 0
    rest = own_postgres.rows("films", "state")
    assert (
        len(own_postgres.execute("SELECT id FROM films WHERE words = 'said'")) == rest.count(("done",)) >= 400
    )


def test_who_adopts_waits_for_whoever_adopts_however_long_that_takes(
    postgres: PostgresServer, films: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_LOCK_MS", 100)
    with session(postgres) as other:
        other.execute("SELECT pg_advisory_xact_lock(3823097410)")  # as whoever has a large table
        adopting = Adopting(postgres, films, films)
        adopting.wait_until_it_waits(5 * 0.1)
        other.commit()
    assert adopting.end() == 100


def test_a_table_that_somebody_has_locked_is_said_to_be_that(
    postgres: PostgresServer, films: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_LOCK_MS", 100)
    with session(postgres) as other, PostgresQueue(postgres.address(films)) as queue:
        other.execute(f"LOCK TABLE {films}")
        with pytest.raises(SourceError, match=r"^postgresql://.*: somebody else has a lock on") as caught:
            queue.adopt(films)
        assert "\n" not in str(caught.value)
        other.rollback()
        assert queue.adopt(films) == 100


def test_another_key_is_refused_and_changes_nothing(postgres: PostgresServer, films: str) -> None:
    postgres.execute(f"CREATE UNIQUE INDEX ON {films} (path)")
    postgres.execute(f"UPDATE {films} SET path = 'film ' || id")
    with PostgresQueue(postgres.address(films)) as queue:
        assert queue.adopt(films, key="id", result="words") == 100
        with pytest.raises(SourceError, match=f"expected id for the key of public.{films}, .*, got path$"):
            queue.adopt(films.upper(), key="path", result="words")
        assert queue.adopt(films, key="id", result="words") == 0
    postgres.execute(END, films, "7")
    assert postgres.execute(f"SELECT words FROM {films} WHERE id = 7") == [("1",)]
    assert len(postgres.rows(films)) == 100


def test_a_second_table_that_is_refused_leaves_nothing(postgres: PostgresServer, films: str) -> None:
    postgres.execute(f"CREATE TABLE more_{films} (id int PRIMARY KEY, words text)")
    ours = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
    functions = "SELECT proname FROM pg_proc WHERE pronamespace = 'pullahead'::regnamespace ORDER BY 1"
    with PostgresQueue(postgres.address(films)) as queue:
        queue.adopt(films)
        before = postgres.execute(ours), postgres.execute(functions)
        with pytest.raises(SourceError, match="expected one table for the queue, got a second one"):
            queue.adopt(f"more_{films}", result="words")
    assert (postgres.execute(ours), postgres.execute(functions)) == before


def test_a_row_that_comes_with_its_result_is_no_item(postgres: PostgresServer, films: str) -> None:
    with PostgresQueue(postgres.address(films)) as queue:
        queue.adopt(films, result="words")
        postgres.execute(f"INSERT INTO {films} VALUES (201, 'a', 'said'), (202, 'b', NULL)")
        assert queue.adopt(films, result="words") == 0
    assert [key for (key,) in postgres.rows(films, "key")][100:] == ["202"]


@pytest.mark.parametrize("table", ["pullahead.items", "{}"])
def test_a_trigger_that_is_disabled_is_enabled_again(
    postgres: PostgresServer, films: str, table: str
) -> None:
    with PostgresQueue(postgres.address(films)) as queue:
        queue.adopt(films, result="words")
        postgres.execute(f"ALTER TABLE {table.format(films)} DISABLE TRIGGER USER")
        queue.adopt(films, result="words")
    postgres.execute("ALTER TABLE pullahead.items ENABLE TRIGGER tell_of_new_items")
    postgres.execute(END, films, "7")
    postgres.execute(f"INSERT INTO {films} VALUES (201)")
    postgres.execute(f"DELETE FROM {films} WHERE id = 1")
    assert postgres.execute(f"SELECT words FROM {films} WHERE id = 7") == [("1",)]
    assert [key for (key,) in postgres.rows(films, "key")] == [*map(str, range(2, 101)), "201"]


def test_a_trigger_that_is_disabled_writes_nothing_that_is_not_wanted_any_more(
    postgres: PostgresServer, films: str
) -> None:
    with PostgresQueue(postgres.address(films)) as queue:
        queue.adopt(films, result="words")
        postgres.execute("ALTER TABLE pullahead.items DISABLE TRIGGER USER")
        queue.adopt(films)
        postgres.execute("ALTER TABLE pullahead.items ENABLE TRIGGER USER")
    postgres.execute(END, films, "7")
    assert postgres.execute(f"SELECT words FROM {films} WHERE id = 7") == [(None,)]


def test_results_of_rows_are_kept_or_the_source_is_refused(postgres: PostgresServer, films: str) -> None:
    with PostgresQueue(postgres.address(films)) as queue:
        queue.adopt(films, result="words")
        with pytest.raises(
            SourceError, match=f"expected results=1 for a queue of the rows of .*{films}"
        ) as caught:
            as_source(postgres.address(films, results=0))
        assert "\n" not in str(caught.value)
        pa.run(lambda row: "said", postgres.address(films, drain=1), workers=1)
        assert queue.adopt(films, result="words") == 0
