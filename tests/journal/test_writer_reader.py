"""What is written into a journal is what is read from it, by whoever, and after whatever."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Event, current_thread, get_ident
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.journal.things import (
    attempt,
    charged,
    done,
    entry,
    failed,
    line,
    make,
    names,
    process,
    python,
    reading,
    try_to_write,
    write,
    writing,
)

from pullahead.errors import JournalError
from pullahead.journal import Journal
from pullahead.journal.plain import exact_json
from pullahead.journal.reader import Reader
from pullahead.journal.records import Attempt, Delivered, Ended, Entry, Found, Record
from pullahead.journal.writer import Writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def rows(path: Path, question: str) -> list[tuple[Any, ...]]:
    """Ask the file itself."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(question).fetchall()


def find(path: Path, *places: int | str, sink: str | None = None) -> dict[int | str, Found]:
    with reading(path) as reader:
        return reader.find(places, sink)


def handed_to(path: Path, sink: str | None) -> list[int | str]:
    """Return the items that a sink was handed."""
    return [place for place, found in find(path, *range(10), sink=sink).items() if found.delivered]


def states(path: Path) -> dict[str, int]:
    with reading(path) as reader:
        return reader.summary().states


# What is written is found


def test_what_is_written_is_found(path: Path) -> None:
    make(path, done(0, "[1]"), failed(1, 2), charged(2), done(7, b"pickle"), done(3, attempts=1))
    assert find(path, 0, 1, 2, 3, 4, 7) == {
        0: Found("done", b"digest of 0", "[1]", 1, False, 1, ()),
        1: Found("failed", b"digest of 1", None, 1, False, 2, (attempt(0), attempt(1))),
        2: Found("open", b"digest of 2", None, 1, False, 3, (attempt(0),)),
        7: Found("done", b"digest of 7", b"pickle", 1, False, 4, ()),
        3: Found("done", b"digest of 3", "1", 1, False, 5, (attempt(0),)),
    }


def test_what_was_not_written_is_not_found(path: Path) -> None:
    make(path, done(0))
    assert find(path) == {}
    assert find(path, 1, "0", "item 0") == {}


def test_items_are_found_by_their_keys(path: Path) -> None:
    keys = ["a", "", "0", "a\0b", "a\0c", "é", '["a",1]', "x" * 10_000]
    make(path, *[Ended(Entry(key, None, None), "done", '"item"', json.dumps(key), ()) for key in keys])
    found = find(path, *keys, "A", "a\0")
    assert {key: json.loads(one.result) for key, one in found.items()} == {key: key for key in keys}
    assert {one.digest for one in found.values()} == {None}


def test_many_are_found_at_once(path: Path) -> None:
    make(path, *[done(number) for number in range(0, 5000, 2)])
    with reading(path) as reader:
        assert list(reader.find(range(5000))) == list(range(0, 5000, 2))
        assert reader.find(range(5000, 80_000)) == {}


def test_json_stays_text_and_pickles_stay_bytes_in_the_file(path: Path) -> None:
    name = "caf\udce9\0"
    text = exact_json({"name": name})
    assert text is not None
    pickled = pickle.dumps({1})
    make(
        path,
        Ended(entry(0), "done", text, text, ()),
        Ended(entry(1, "{1}"), "done", pickled, pickled, ()),
        Ended(entry(2), "done", '"é\U0001f600"', b"", ()),
        Ended(entry(3), "failed", "null", None, (attempt(1),)),
    )
    kinds = "SELECT typeof(place), typeof(digest), typeof(item), typeof(label), typeof(result) FROM items"
    assert rows(path, kinds) == [
        ("integer", "blob", "text", "null", "text"),
        ("integer", "blob", "blob", "text", "blob"),
        ("integer", "blob", "text", "null", "blob"),
        ("integer", "blob", "text", "null", "null"),
    ]
    assert rows(path, "SELECT item, label, result FROM items") == [
        (text, None, text),
        (pickled, "{1}", pickled),
        ('"é\U0001f600"', None, b""),
        ("null", None, None),
    ]
    assert json.loads(find(path, 0)[0].result) == {"name": name}
    assert rows(path, "SELECT place, number, typeof(error) FROM attempts") == [(3, 1, "blob")]


class Conforms:
    """As large payloads do."""

    def __conform__(self, protocol: object) -> bytes:
        return b"in one"


def test_what_conforms_to_bytes_is_stored_as_bytes(path: Path) -> None:
    make(path, Ended(entry(0), "done", Conforms(), Conforms(), ()), done(1, bytearray(b"a")))
    assert rows(path, "SELECT item, result FROM items") == [(b"in one", b"in one"), ('"item 1"', b"a")]


def test_attempts_come_in_order_and_as_they_were(path: Path) -> None:
    attempts = (
        Attempt(3, 1.5, 2.25, "ValueError: é\0", "two\nlines", b"\0\x80"),
        Attempt(None, None, 0.1, "", "", b""),
        *(attempt(number) for number in range(10)),
    )
    make(path, Ended(entry(0), "failed", "1", None, attempts))
    assert find(path, 0)[0].attempts == attempts
    assert rows(path, "SELECT attempts FROM items") == [(12,)]


def test_what_is_no_text_in_what_people_read_is_escaped(path: Path) -> None:
    """The name of a file may be in the message of an exception, and it need not be text."""
    tried = Attempt(1, 0.0, 1.0, "FileNotFoundError: 'caf\udce9'", 'open("caf\udce9")\n', b"e")
    make(path, Ended(entry(0, "caf\udce9"), "failed", b"1", None, (tried,)))
    assert find(path, 0)[0].attempts == (
        Attempt(1, 0.0, 1.0, r"FileNotFoundError: 'caf\udce9'", 'open("caf\\udce9")\n', b"e"),
    )
    with reading(path) as reader:
        assert reader.failures(1) == [(0, r"caf\udce9", 1, r"FileNotFoundError: 'caf\udce9'")]


def test_a_batch_without_records_is_written(path: Path) -> None:
    make(path)
    assert states(path) == {}


# An item that comes again


def test_what_was_open_may_end_and_keeps_its_attempts(path: Path) -> None:
    make(path, charged(0), charged(1))
    make(path, done(0, "[2]", attempts=2), charged(1, 3))
    found = find(path, 0, 1)
    assert found == {
        0: Found("done", b"digest of 0", "[2]", 2, False, 1, (attempt(0), attempt(1))),
        1: Found("open", b"digest of 1", None, 2, False, 2, (attempt(0), attempt(1), attempt(2))),
    }


@pytest.mark.parametrize("attempts", [0, 1])
def test_what_is_done_is_never_overwritten(path: Path, attempts: int) -> None:
    other = Attempt(9, 9.0, 9.0, "other", "other", b"other")
    late: list[Record] = [
        done(0, '"another"'),
        Ended(entry(0), "failed", "1", None, (other, other)),
        Ended(entry(0), "open", "1", None, (other,)),
    ]
    make(path, done(0, '"first"', attempts), *late)
    make(path, *late)
    assert find(path, 0) == {
        0: Found("done", b"digest of 0", '"first"', 1, False, 1, tuple(map(attempt, range(attempts))))
    }
    assert rows(path, "SELECT count(*) FROM attempts") == [(attempts,)]


def test_rows_keep_their_numbers(path: Path) -> None:
    make(path, charged(5), charged(3))
    make(path, done(3), done(4), done(5))
    with reading(path) as reader:
        assert {place: found.row for place, found in reader.find([3, 4, 5]).items()} == {5: 1, 3: 2, 4: 3}
        assert reader.rows == 3


# Sinks


def test_what_a_sink_was_handed_is_marked(path: Path) -> None:
    make(path, done(0), done(1), failed(2), Delivered("out.jsonl", (0, 2), 120))
    make(path, Delivered("-", (1, 2), None))
    marked = {sink: handed_to(path, sink) for sink in ("out.jsonl", "-", "never heard of", None)}
    assert marked == {"out.jsonl": [0, 2], "-": [1, 2], "never heard of": [], None: []}
    with reading(path) as reader:
        assert reader.size_of_sink("out.jsonl") == 120
        assert reader.size_of_sink("-") is None
        assert reader.size_of_sink("never heard of") is None
        assert reader.summary().sinks == [("out.jsonl", 120, 2), ("-", None, 2)]


def test_a_sink_may_be_handed_the_same_twice(path: Path) -> None:
    make(path, done(0), Delivered("out", (0, 0), 10))
    make(path, Delivered("out", (0,), 10))
    assert handed_to(path, "out") == [0]
    with reading(path) as reader:
        assert reader.summary().sinks == [("out", 10, 1)]


def test_a_sink_has_the_size_that_was_written_last(path: Path) -> None:
    make(path, Delivered("out", (), 0), done(0), Delivered("out", (0,), 50), Delivered("out", (), 70))
    with reading(path) as reader:
        assert reader.summary().sinks == [("out", 70, 1)]
    make(path, Delivered("out", (), None))
    with reading(path) as reader:
        assert reader.summary().sinks == [("out", None, 1)]


def test_what_is_delivered_in_the_batch_in_which_it_ended_is_marked(path: Path) -> None:
    make(path, Delivered("out", (0,), 1), done(0))
    assert handed_to(path, "out") == [0]


def test_a_sink_that_begins_anew_was_handed_nothing(path: Path) -> None:
    make(path, done(0), done(1), Delivered("a", (0, 1), 10), Delivered("b", (1,), 20))
    make(path, Delivered("a", None, 0))
    assert (handed_to(path, "a"), handed_to(path, "b")) == ([], [1])
    with reading(path) as reader:
        assert reader.summary().sinks == [("a", 0, 0), ("b", 20, 1)]


# Counts


def test_what_has_ended_is_counted(path: Path) -> None:
    make(path, done(0), failed(1), charged(2))
    make(path, done(2), done(5), charged(7))
    with reading(path) as reader:
        assert [reader.ended(session) for session in (1, 2, 3)] == [0, 2, 4]
        assert [reader.ended_beyond(position) for position in (0, 1, 3, 5, 6, 8)] == [4, 3, 1, 1, 0, 0]
        assert (reader.session, reader.rows, reader.next_position) == (2, 5, 8)


def test_a_journal_without_items_counts_none(path: Path) -> None:
    make(path)
    with reading(path) as reader:
        assert (reader.ended(2), reader.ended_beyond(0)) == (0, 0)
        assert (reader.session, reader.rows, reader.next_position) == (1, 0, 0)
        assert reader.failures(10) == []
        assert reader.find(range(3)) == {}


def test_the_summary_is_of_everything(path: Path) -> None:
    make(path, done(0), done(1), failed(2), charged(3), Delivered("out", (0,), 9), work="a:b", version="2")
    make(path, work="a:b", version="2")
    with reading(path) as reader:
        facts, counts, sessions, sinks = reader.summary()
    created = facts.pop("created")
    assert facts == {"work": "a:b", "version": "2", "places": "position"}
    assert counts == {"done": 2, "failed": 1, "open": 1}
    assert [pid for _, pid in sessions] == [os.getpid()] * 2
    assert created <= sessions[0][0] <= sessions[1][0]
    assert sinks == [("out", 9, 1)]


def test_each_run_is_a_session_with_the_process_that_wants_the_results(path: Path) -> None:
    sessions = []
    for pid in (11, 22, 33):
        writer = Writer(Journal(path=path), "work", "position", pid)
        sessions.append(writer.session)
        writer.close()
    assert sessions == [1, 2, 3]
    with reading(path) as reader:
        assert [pid for _, pid in reader.summary().sessions] == [11, 22, 33]


def test_failures_are_listed_with_what_was_said_last(path: Path) -> None:
    pickled = Ended(entry(4, "<an image>"), "failed", b"pickle", None, (attempt(7),))
    make(path, failed(9, 3), done(1, attempts=1), pickled, charged(2), failed(3, 0))
    listed = [
        (3, '"item 3"', 0, ""),
        (4, "<an image>", 1, "ValueError: 7"),
        (9, '"item 9"', 3, "ValueError: 2"),
    ]
    with reading(path) as reader:
        assert reader.failures(10) == listed
        assert reader.failures(2) == listed[:2]


# Failed items are tried again


def assert_forgotten(path: Path, session: int) -> None:
    found = find(path, 0, 1, 2, sink="out")
    assert found[0] == Found("open", b"digest of 0", None, session, False, 1, ())
    assert found[1] == Found("done", b"digest of 1", "1", 1, True, 2, (attempt(0),))
    assert found[2] == Found("open", b"digest of 2", None, 1, False, 3, (attempt(0),))
    with reading(path) as reader:
        assert reader.failures(10) == []
        assert reader.summary().sinks == [("out", 5, 1)]


def test_a_run_may_forget_the_failures_of_those_before(path: Path) -> None:
    make(path, failed(0, 2), done(1, attempts=1), charged(2), Delivered("out", (0, 1), 5))
    make(path)
    assert states(path) == {"done": 1, "failed": 1, "open": 1}, "nobody asked"
    make(path, retry_failed=True)
    assert_forgotten(path, session=1)
    make(path, failed(0, 1))
    assert find(path, 0)[0] == Found("failed", b"digest of 0", None, 4, False, 1, (attempt(0),))


def test_they_are_forgotten_by_hand(path: Path) -> None:
    make(path, failed(0, 2), done(1, attempts=1), charged(2), Delivered("out", (0, 1), 5))
    reader = Reader(str(path))
    assert reader.retry_failed() == 1
    assert_forgotten(path, session=1)
    with reading(path) as again:
        assert again.retry_failed() == 0
    assert names(path.parent) == ["journal"]


# Whose journal it is


@pytest.mark.parametrize(
    ("begun", "goes_on", "said"),
    [
        (
            {"work": "a:one"},
            {"work": "a:two"},
            "is of the work 'a:one', got 'a:two'; name another journal",
        ),
        (
            {"version": "1"},
            {"version": "2"},
            "is of the work 'work', version '1', got 'work', version '2'; name another journal",
        ),
        ({}, {"version": "1"}, "is of the work 'work', got 'work', version '1'; name another journal"),
        ({"version": "1"}, {}, "is of the work 'work', version '1', got 'work'; name another journal"),
        (
            {},
            {"places": "key"},
            "was begun without a key, and this run is with a key: its items could not be told",
        ),
        (
            {"places": "key"},
            {},
            "was begun with a key, and this run is without a key: its items could not be told",
        ),
    ],
)
def test_the_journal_of_another_run_is_refused(
    path: Path, begun: dict[str, Any], goes_on: dict[str, Any], said: str
) -> None:
    make(path, failed(0), **begun)
    with pytest.raises(JournalError) as caught:
        make(path, done(1), retry_failed=True, **goes_on)
    assert str(caught.value) == f"the journal {str(path)!r} {said}"
    with reading(path) as reader:
        assert reader.session == 1
        assert reader.summary().states == {"failed": 1}, "who is refused leaves everything as it was"


@pytest.mark.parametrize("options", [{}, {"version": "1"}, {"places": "key", "work": "é"}])
def test_the_same_work_of_the_same_version_goes_on(path: Path, options: dict[str, Any]) -> None:
    make(path, done("0"), **options)
    make(path, done("1"), **options)
    assert states(path) == {"done": 2}


# While it is written


def test_a_reader_sees_each_commit(path: Path) -> None:
    with writing(path) as writer, reading(path) as reader:
        assert (reader.session, reader.rows) == (1, 0)
        for number in range(5):
            write(writer, done(number), done(number + 100))
            assert reader.summary().states == {"done": 2 * number + 2}
            assert list(reader.find([number])) == [number]


def test_a_reader_may_stay_when_the_writer_goes_and_another_comes(path: Path) -> None:
    make(path)
    with reading(path) as reader:
        for number in range(3):
            make(path, done(number))
            assert reader.summary().states == {"done": number + 1}
    assert names(path.parent) == ["journal"]


def test_batches_are_written_in_order_on_one_other_thread(path: Path) -> None:
    heard: list[tuple[int, JournalError | None, int, str]] = []
    all_heard = Event()

    def told(number: int, error: JournalError | None) -> None:
        heard.append((number, error, get_ident(), current_thread().name))
        if len(heard) == 50:
            all_heard.set()

    with writing(path) as writer:
        for number in range(50):
            writer.write([done(number), charged(1000, number)], partial(told, number))
        assert all_heard.wait(30)
    assert [number for number, *_ in heard] == list(range(50))
    assert {(error, name) for _, error, _, name in heard} == {(None, "pullahead-journal")}
    assert {thread for _, _, thread, _ in heard} != {get_ident()}
    assert len({thread for _, _, thread, _ in heard}) == 1
    assert len(find(path, 1000)[1000].attempts) == 49


def test_close_finishes_what_was_begun(path: Path) -> None:
    heard: list[JournalError | None] = []
    with writing(path) as writer:
        for number in range(20):
            writer.write([done(number)], heard.append)
    assert heard == [None] * 20
    assert states(path) == {"done": 20}


def test_after_close_there_is_one_file(path: Path) -> None:
    with writing(path) as writer:
        write(writer, done(0))
        assert names(path.parent) == ["journal", "journal-shm", "journal-wal"]
    assert names(path.parent) == ["journal"]
    with reading(path) as reader:
        reader.summary()
    assert names(path.parent) == ["journal"]


@pytest.mark.parametrize(("synchronous", "level"), [("full", 2), ("normal", 1)])
def test_what_was_asked_of_the_disk_is_asked_of_the_database(
    path: Path, synchronous: str, level: int
) -> None:
    for _ in range(2):  # it is not kept in the file
        with writing(path, synchronous=synchronous) as writer:
            assert writer._database.execute("PRAGMA synchronous").fetchone() == (level,)
            assert writer._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


places = st.integers(0, 5)
batches = st.lists(
    st.lists(
        st.builds(done, places, st.sampled_from(["1", b"2"]), st.integers(0, 2))
        | st.builds(charged, places, st.integers(1, 3))
        | st.builds(
            Delivered, st.sampled_from("ab"), st.lists(places).map(tuple), st.none() | st.integers(0, 9)
        )
        | st.builds(Delivered, st.sampled_from("ab"), st.none(), st.just(0)),
        max_size=4,
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=60)
@given(batches=batches, runs=st.sets(st.integers(0, 5)))
def test_it_has_what_a_dict_has(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Record]], runs: set[int]
) -> None:
    """Whatever is written, and wherever one run ends and the next begins."""
    path = tmp_path_factory.mktemp("journal") / "journal"
    known: dict[int | str, tuple[Any, ...]] = {}  # state, result, session, attempts
    handed: set[tuple[str, int | str]] = set()
    sizes: dict[str, int | None] = {}
    session = 1
    writer = Writer(Journal(path=path, synchronous="normal"), "work", "position", 1)
    for number, batch in enumerate(batches):
        if number in runs:
            writer.close()
            writer = Writer(Journal(path=path, synchronous="normal"), "work", "position", 1)
            session += 1
        write(writer, *batch)
        for one in batch:
            if isinstance(one, Ended) and known.get(one.entry.place, ("open",))[0] != "done":
                known[one.entry.place] = one.state, one.result, session, one.attempts
        for one in batch:
            if isinstance(one, Delivered):
                sizes[one.sink] = one.size
                if one.places is None:
                    handed = {(sink, place) for sink, place in handed if sink != one.sink}
                else:
                    handed |= {(one.sink, place) for place in one.places}
    writer.close()
    with reading(path) as reader:
        for sink in ("a", "b", None):
            found = reader.find(range(6), sink)
            kept = {place: (one.state, one.result, one.session, one.attempts) for place, one in found.items()}
            assert kept == known
            assert {place: one.delivered for place, one in found.items()} == {
                place: (sink, place) in handed for place in known
            }
        assert {name: reader.size_of_sink(name) for name in sizes} == sizes
        assert reader.ended(session + 1) == sum(state == "done" for state, *_ in known.values())


# When it goes wrong


def test_of_a_batch_for_which_the_disk_is_too_small_nothing_is_there(path: Path) -> None:
    with writing(path) as writer:
        write(writer, done(0), Delivered("out", (0,), 10))
        (pages,) = writer._database.execute("PRAGMA page_count").fetchone()
        writer._database.execute(f"PRAGMA max_page_count = {pages + 2}")
        batch = [done(0, "2"), *[done(number, "x" * 1000, 1) for number in range(1, 50)]]
        error = try_to_write(writer, Delivered("out", (), 99), *batch)
        assert str(error) == f"the journal {str(path)!r}: its disk is full (database or disk is full)"
        assert isinstance(error, JournalError)
        with reading(path) as reader:
            assert reader.summary().states == {"done": 1}
            assert reader.size_of_sink("out") == 10
    assert find(path, *range(50)) == {0: Found("done", b"digest of 0", "1", 1, False, 1, ())}
    assert rows(path, "SELECT * FROM attempts") == []
    assert handed_to(path, "out") == [0]
    make(path, *batch)
    assert states(path) == {"done": 50}, "another run goes on when there is room"


_FILES_MAY_NOT_GROW = """
import resource, signal, sys
from pathlib import Path
from tests.journal.things import done, try_to_write, write, writing

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
with writing(path) as writer:
    write(writer, *[done(number) for number in range(10)])
    size = Path(f"{path}-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50_000, resource.RLIM_INFINITY))
    print(try_to_write(writer, *[done(number, "x" * 1000) for number in range(10, 1000)]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


def test_of_a_batch_that_the_system_did_not_take_nothing_is_there(path: Path) -> None:
    said = python(_FILES_MAY_NOT_GROW, path)
    assert said == [f"the journal {str(path)!r}: its disk cannot be read or written (disk I/O error)"]
    assert list(find(path, *range(1000))) == list(range(10))
    assert names(path.parent) == ["journal"]
    make(path, done(10))
    assert states(path) == {"done": 11}


def test_what_is_too_large_for_the_database_is_an_error_in_words(path: Path) -> None:
    with writing(path) as writer:
        writer._database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000)
        error = try_to_write(writer, done(0), done(1, "x" * 200_000))
    assert str(error) == (
        f"the journal {str(path)!r}: it cannot hold an item or a result that is so large "
        "(string or blob too big)"
    )
    assert states(path) == {}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (done(2**70), "it cannot be used (Python int too large to convert to SQLite INTEGER)"),
        (
            Delivered("out", (), 2**70),
            "it cannot be used (Python int too large to convert to SQLite INTEGER)",
        ),
        (
            done("caf\udce9"),
            "it cannot be used ('utf-8' codec can't encode character '\\udce9' in position 3: "
            "surrogates not allowed)",
        ),
    ],
)
def test_what_no_database_can_hold_is_an_error_and_nobody_waits_forever(
    path: Path, record: Record, said: str
) -> None:
    with writing(path) as writer:
        error = try_to_write(writer, done(0), record)
        assert str(error) == f"the journal {str(path)!r}: {said}"
        assert states(path) == {}
        write(writer, done(1))
    assert list(find(path, 0, 1)) == [1]


WRITE_ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from pullahead.errors import JournalError
from tests.journal.things import writing
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
try:
    with writing(Path(sys.argv[1])):
        print("written")
except JournalError as error:
    print(error)
"""


def test_the_disk_may_be_full_when_a_journal_is_begun(path: Path) -> None:
    said = python(WRITE_ON_A_FULL_DISK, path)
    assert said == [f"the journal {str(path)!r}: its disk cannot be read or written (disk I/O error)"]
    make(path, done(0))
    assert states(path) == {"done": 1}, "it is a new one"


def test_what_a_journal_holds_is_said_to_be_safe_when_its_disk_is_full(path: Path) -> None:
    make(path, done(0))
    (said,) = python(WRITE_ON_A_FULL_DISK, path)
    assert said.startswith(f"the journal {str(path)!r}: its disk cannot be read or written (disk I/O error)")
    assert said.endswith("; what was recorded before is safe, the rest is computed again")
    assert states(path) == {"done": 1}


_WRITE_UNTIL_KILLED = """
import sys
from itertools import count
from pathlib import Path
from tests.journal.things import attempt, done, write, writing
from pullahead.journal.records import Delivered

with writing(Path(sys.argv[1])) as writer:
    for number in count():
        places = tuple(range(10 * number, 10 * number + 10))
        write(writer, *[done(place, "x" * 500, 1) for place in places], Delivered("out", places, places[-1]))
        print(number, flush=True)
"""


@pytest.mark.parametrize("batches", [1, 20, 150])
def test_of_a_run_that_was_killed_there_are_whole_batches_and_all_that_was_told(
    path: Path, batches: int
) -> None:
    with process(_WRITE_UNTIL_KILLED, path) as started:
        told = [line(started) for _ in range(batches)]
        assert told == [str(number) for number in range(batches)]
        with reading(path) as reader:
            (while_it_runs,) = reader.summary().states.values()
        assert while_it_runs >= 10 * batches
        started.kill()
        assert started.wait(50) == -signal.SIGKILL
        assert started.stdout is not None
        told += started.stdout.read().splitlines()
    with reading(path) as reader:
        count = reader.rows
        assert count % 10 == 0
        assert count // 10 in {len(told), len(told) + 1}, "what was told, and perhaps one that could not be"
        found = reader.find(range(count + 100), "out")
        assert list(found) == list(range(count))
        assert {(one.state, one.delivered, one.attempts) for one in found.values()} == {
            ("done", True, (attempt(0),))
        }
        assert reader.size_of_sink("out") == count - 1
        assert reader.summary().states == {"done": count}
    make(path, done(count))
    assert names(path.parent) == ["journal"]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_reader_that_is_closed_says_so(path: Path) -> None:
    make(path)
    reader = Reader(str(path))
    reader.close()
    reader.close()
    with pytest.raises(JournalError) as caught:
        reader.find([0])
    assert str(caught.value) == (
        f"the journal {str(path)!r}: it cannot be used (Cannot operate on a closed database.)"
    )
