"""The file of a journal: what is refused, in words; what is a new journal; and who may write."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.journal.things import (
    charged,
    done,
    failed,
    line,
    make,
    names,
    process,
    reading,
    try_to_write,
    write,
    writing,
)

from pullahead.errors import JournalError
from pullahead.journal import Journal, file
from pullahead.journal.file import APPLICATION, FORMAT, Lock, explain
from pullahead.journal.reader import Reader
from pullahead.journal.records import Delivered

DAMAGED = (
    "it is damaged; what can still be read is found by `sqlite3 FILE .recover`, and a new journal begins anew"
)


def open_to_write(path: Path) -> None:
    with writing(path):
        pass


def open_to_read(path: Path) -> None:
    with reading(path):
        pass


both = pytest.mark.parametrize("use", [open_to_write, open_to_read])


def refusal(use: Callable[[Path], object], path: Path) -> str:
    """Return what is said of a journal, after its name."""
    with pytest.raises(JournalError) as caught:
        use(path)
    said = str(caught.value)
    named = f"the journal {str(path)!r}"
    assert said.startswith(named)
    assert "\n" not in said
    return said.removeprefix(named)


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


# Files that are no journals


@both
@pytest.mark.parametrize("content", [b"hello", b"a text\n" * 2000, b"SQLite format 3\0", b"\0" * 5000])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(
    tmp_path: Path, use: Callable[[Path], None], content: bytes
) -> None:
    path = tmp_path / "text"
    path.write_bytes(content)
    assert refusal(use, path) == ": it is not a journal (file is not a database)"
    assert path.read_bytes() == content
    assert names(tmp_path) == ["text"]


@both
def test_the_database_of_another_program_is_refused_and_left_as_it_is(
    tmp_path: Path, use: Callable[[Path], None]
) -> None:
    path = tmp_path / "other.db"
    execute(path, "CREATE TABLE facts (name, value)", "INSERT INTO facts VALUES ('work', 'work')")
    content = path.read_bytes()
    assert refusal(use, path) == ": it is not a journal, but a database of another program"
    assert path.read_bytes() == content


@both
@pytest.mark.parametrize("table", [[], ["CREATE TABLE items (place)"]])
def test_a_database_with_the_mark_of_another_program_is_refused(
    tmp_path: Path, use: Callable[[Path], None], table: list[str]
) -> None:
    path = tmp_path / "other.db"
    execute(path, *table, "PRAGMA application_id = 252006675")
    assert refusal(use, path) == ": it is not a journal, but a database of another program"


@both
def test_a_journal_of_another_format_is_refused(tmp_path: Path, use: Callable[[Path], None]) -> None:
    path = tmp_path / "journal"
    make(path, done(0))
    execute(path, "PRAGMA user_version = 7")
    assert refusal(use, path) == (
        ": expected format 1, got 7: it was written by another version of Pullahead"
    )


def test_a_journal_carries_its_mark_and_its_format(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    make(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
        assert database.execute("PRAGMA user_version").fetchone() == (FORMAT,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert APPLICATION.to_bytes(4, "big") == b"PULA"


# Files that cannot be had


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no folder/journal", "No such file or directory"),
        (".", "Is a directory"),
        ("file/journal", "Not a directory"),
        ("n" * 300, "File name too long"),
    ],
)
def test_where_there_can_be_no_file_none_is_written(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / name
    assert refusal(open_to_write, path) == f" cannot be opened: {said}"
    assert refusal(open_to_read, path) == ": it cannot be opened (unable to open database file)"
    assert names(tmp_path) == ["file"]


def test_what_is_only_read_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    assert refusal(open_to_read, path) == ": it cannot be opened (unable to open database file)"
    assert names(tmp_path) == []


@pytest.fixture
def own_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of somebody who may not write everywhere, as root may, and whom this process is meanwhile."""
    if os.geteuid() != 0:
        yield tmp_path
        return
    nobody = 65534
    with tempfile.TemporaryDirectory() as name:  # that of pytest is root's alone
        os.chown(name, nobody, nobody)
        os.seteuid(nobody)
        try:
            yield Path(name)
        finally:
            os.seteuid(0)


def test_a_file_that_is_read_only_is_refused_and_can_be_read(own_folder: Path) -> None:
    path = own_folder / "journal"
    make(path, done(0))
    path.chmod(stat.S_IRUSR)
    assert refusal(open_to_write, path) == " cannot be opened: Permission denied"
    with reading(path) as reader:
        assert list(reader.find([0])) == [0]


def test_a_folder_that_is_read_only_is_refused(own_folder: Path) -> None:
    folder = own_folder / "folder"
    folder.mkdir()
    make(folder / "journal", done(0))
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert refusal(open_to_write, folder / "new") == " cannot be opened: Permission denied"
        with pytest.raises(JournalError):
            open_to_write(folder / "journal")
    finally:
        folder.chmod(stat.S_IRWXU)


def test_what_was_closed_in_order_is_read_where_nothing_can_be_written(own_folder: Path) -> None:
    folder = own_folder / "folder"
    folder.mkdir()
    make(folder / "journal", done(0))
    assert names(folder) == ["journal"]
    (folder / "journal").chmod(stat.S_IRUSR)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with reading(folder / "journal") as reader:
            assert list(reader.find([0])) == [0]
    finally:
        folder.chmod(stat.S_IRWXU)


def test_what_was_not_closed_in_order_says_what_to_do_where_nothing_can_be_written(own_folder: Path) -> None:
    folder = own_folder / "folder"
    folder.mkdir()
    with writing(folder / "journal") as writer:
        write(writer, done(0))
        for name in ("journal", "journal-wal"):  # as if it had been killed
            (own_folder / name).write_bytes((folder / name).read_bytes())
    for name in ("journal", "journal-wal"):
        (folder / name).write_bytes((own_folder / name).read_bytes())
        (folder / name).chmod(stat.S_IRUSR)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        said = refusal(open_to_read, folder / "journal")
        assert said.startswith(" was not closed in order, and its disk cannot be written now")
    finally:
        folder.chmod(stat.S_IRWXU)


def test_odd_names_are_names(tmp_path: Path) -> None:
    for name in ["a?mode=ro", "100%41", "a#b", "a b'c\"d", "é", os.fsdecode(b"caf\xe9"), "file:x"]:
        path = tmp_path / name
        make(path, done(0))
        assert path.is_file()
        with reading(path) as reader:
            assert list(reader.find([0])) == [0]
    assert len(names(tmp_path)) == 7


def test_a_name_alone_is_in_the_folder_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("journal"), done(0))
    assert names(tmp_path) == ["journal"]


# Files that are new


def test_an_empty_file_is_a_new_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.touch()
    assert refusal(open_to_read, path) == ": it is empty"
    make(path, done(0))
    with reading(path) as reader:
        assert list(reader.find([0])) == [0]


def test_a_journal_that_was_begun_and_has_no_tables_yet_is_a_new_one(tmp_path: Path) -> None:
    """Its run was killed after the log was switched on."""
    path = tmp_path / "journal"
    execute(path, "PRAGMA journal_mode = WAL")
    assert path.stat().st_size > 0
    assert refusal(open_to_read, path) == ": it is empty"
    make(path, done(0))
    with reading(path) as reader:
        assert list(reader.find([0])) == [0]


_DIE_BEFORE_THE_TABLES_ARE_THERE = """
import os, signal, sys
from pathlib import Path
from pullahead.journal import writer
from tests.journal.things import writing

def lay_out(database, lay_out=writer.lay_out):
    lay_out(database)
    os.kill(os.getpid(), signal.SIGKILL)

writer.lay_out = lay_out
with writing(Path(sys.argv[1])):
    pass
"""


def test_a_run_that_is_killed_while_it_makes_the_tables_leaves_a_new_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with process(_DIE_BEFORE_THE_TABLES_ARE_THERE, path) as started:
        assert started.wait(50) == -signal.SIGKILL
    assert path.stat().st_size > 0
    assert refusal(open_to_read, path) == ": it is empty"
    with writing(path) as writer:
        assert writer.session == 1


def test_a_run_that_is_refused_leaves_no_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    make(path, work="another")

    def ours() -> list[str]:
        links = [entry.readlink() for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
        return [str(link) for link in links if str(link).startswith(str(tmp_path))]

    errors = []
    for use in (open_to_write, lambda path: Reader(str(path.parent / "text"))):
        (tmp_path / "text").write_text("text")
        with pytest.raises(JournalError) as caught:
            use(path)
        errors.append(caught.value)  # whose traceback holds what was being made
    assert ours() == []


# Files that are torn

PAGE = 4096


def whole(path: Path) -> bytes:
    """Make a journal of some pages. Returns what is in the file."""
    items = [failed(number, 2) if number % 3 else done(number, "x" * 200) for number in range(300)]
    make(path, *items, charged(1000), Delivered("out", (0, 1), 30))
    content = path.read_bytes()
    assert len(content) > 20 * PAGE
    return content


def use_to_the_full(path: Path) -> None:
    """Read everything, and write it once more."""
    with reading(path) as reader:
        reader.find(range(1000))
        reader.summary()
        reader.failures(1000)
        reader.ended(2)
        reader.ended_beyond(5)
        reader.size_of_sink("out")
        assert reader.session + reader.rows + reader.next_position > 0
    with writing(path) as writer:
        write(writer, *[failed(number, 3) for number in range(0, 1000, 3)], Delivered("out", (3,), 40))
    with reading(path) as reader:
        reader.retry_failed()


@pytest.mark.parametrize("pages", [2, 10, 20])
def test_a_file_that_was_cut_off_is_said_to_be_damaged(tmp_path: Path, pages: int) -> None:
    path = tmp_path / "journal"
    content = whole(path)
    path.write_bytes(content[: pages * PAGE])
    assert refusal(use_to_the_full, path) == f": {DAMAGED} (database disk image is malformed)"


@pytest.mark.parametrize("garbage", [b"\xff", b"\0", b"garbage!"])
def test_a_file_whose_middle_is_garbage_is_said_to_be_damaged(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "journal"
    content = whole(path)
    size = len(content) // PAGE // 2 * PAGE
    path.write_bytes(content[:PAGE] + garbage * (size // len(garbage)) + content[PAGE + size :])
    assert refusal(use_to_the_full, path) == f": {DAMAGED} (database disk image is malformed)"


def test_damage_that_is_met_while_writing_is_told_to_the_one_who_waits(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    content = whole(path)
    with closing(sqlite3.connect(path)) as database:
        (root,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'items'").fetchone()
    path.write_bytes(content[: (root - 1) * PAGE] + b"\xff" * PAGE + content[root * PAGE :])
    with writing(path) as writer:
        error = try_to_write(writer, done(7))
    assert str(error) == f"the journal {str(path)!r}: {DAMAGED} (database disk image is malformed)"


def test_wherever_a_file_is_damaged_the_worst_is_a_journal_error(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    content = whole(path)
    chance = random.Random(1)
    outcomes = set()
    for page in range(len(content) // PAGE):
        for garbage in (bytes(PAGE), b"\xff" * PAGE, chance.randbytes(PAGE)):
            path.write_bytes(content[: page * PAGE] + garbage + content[(page + 1) * PAGE :])
            try:
                use_to_the_full(path)
            except JournalError as error:
                outcomes.add(str(error).removeprefix(f"the journal {str(path)!r}: ").partition(" (")[0])
            for rest in ("-wal", "-shm"):
                Path(f"{path}{rest}").unlink(missing_ok=True)
    assert outcomes == {"it is not a journal", DAMAGED}


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (b"CREATE TABLE facts", b"CREATE TABL\xc5 facts"),  # SQLite quotes it, and that is no text
        (b"sqlite_autoindex_facts_1", b"sqlite_autoinde\xf8_facts_1"),
        (b"places", b"placet"),
        (b"position", b"posit\xe9on"),
        (b"version", b"versiom"),
    ],
)
def test_a_byte_that_is_wrong_in_what_is_read_first_is_a_journal_error(
    tmp_path: Path, was: bytes, now: bytes
) -> None:
    path = tmp_path / "journal"
    make(path, done(0), version="1")
    content = path.read_bytes()
    assert was in content
    path.write_bytes(content.replace(was, now))
    with pytest.raises(JournalError, match=r"^the journal "), writing(path, version="1"):
        pass


# What is said


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (sqlite3.SQLITE_FULL, "its disk is full"),
        (sqlite3.SQLITE_IOERR_WRITE, "its disk cannot be read or written"),
        (sqlite3.SQLITE_IOERR_FSYNC, "its disk cannot be read or written"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "it cannot be written: the file or its folder is read-only"),
        (sqlite3.SQLITE_CANTOPEN_ISDIR, "it cannot be opened"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "it is locked by another program"),
        (sqlite3.SQLITE_CORRUPT_INDEX, DAMAGED),
        (sqlite3.SQLITE_NOTADB, "it is not a journal"),
        (sqlite3.SQLITE_TOOBIG, "it cannot hold an item or a result that is so large"),
        (sqlite3.SQLITE_MISMATCH, "it cannot be used"),
    ],
)
def test_each_error_of_the_database_is_said_in_words_with_its_own(code: int, said: str) -> None:
    error = sqlite3.OperationalError("its own words")
    error.sqlite_errorcode = code
    assert str(explain("a", error)) == f"the journal 'a': {said} (its own words)"


def test_an_error_of_the_system_is_said_without_its_number() -> None:
    assert str(explain("a", OSError(28, "No space left on device"))) == (
        "the journal 'a' cannot be opened: No space left on device"
    )
    assert str(explain("a", OSError("odd"))) == "the journal 'a' cannot be opened: odd"


# The lock


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "_PATIENCE", 0.0)


_HOLD = """
import os, sys
from pathlib import Path
from tests.journal.things import done, write, writing
with writing(Path(sys.argv[1])) as writer:
    write(writer, done(0))
    print(os.getpid(), flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Any]:
    """A process that writes the journal, until it is told to close it."""
    with process(_HOLD, tmp_path / "journal") as started:
        assert line(started) == str(started.pid)
        yield started


@pytest.mark.usefixtures("impatient")
def test_a_second_run_is_refused_with_the_process_of_the_first(tmp_path: Path, holder: Any) -> None:
    path = tmp_path / "journal"
    in_use = f" is in use by process {holder.pid}"
    assert refusal(open_to_write, path) == in_use
    with reading(path) as reader:
        with pytest.raises(JournalError) as caught:
            reader.retry_failed()
        assert str(caught.value) == f"the journal {str(path)!r}{in_use}"
        assert list(reader.find([0])) == [0], "reading is for all"
    holder.communicate("close\n", timeout=50)
    assert holder.returncode == 0
    with writing(path) as writer:
        assert writer.session == 2, "who was refused left nothing"


def test_the_lock_is_free_when_its_holder_was_killed(tmp_path: Path, holder: Any) -> None:
    holder.kill()
    with writing(tmp_path / "journal") as writer:  # it may still be dying
        assert writer.session == 2
        write(writer, done(1))
    with reading(tmp_path / "journal") as reader:
        assert sorted(reader.find([0, 1])) == [0, 1]


@pytest.mark.usefixtures("impatient")
def test_the_lock_is_free_after_close_and_after_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    make(path)
    for _ in range(2):
        assert refusal(lambda path: writing(path, work="another").__enter__(), path) == (
            " is of the work 'work', got 'another'; name another journal"
        )
    with writing(path) as writer:
        assert writer.session == 2


@pytest.mark.usefixtures("impatient")
def test_a_journal_that_nobody_has_written_yet_is_in_use_by_another_process(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    lock = Lock(str(path))
    assert refusal(open_to_write, path) == " is in use by another process"
    lock.release()
    make(path)


def test_a_run_waits_for_one_that_is_dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    lock = Lock(str(path))
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            lock.release()

    monkeypatch.setattr(file, "_PATIENCE", 600.0)
    monkeypatch.setattr(file, "sleep", sleep)
    with writing(path) as writer:
        assert writer.session == 1
    assert naps == [0.01] * 3


# What a user gives


def test_a_path_alone_is_a_journal() -> None:
    assert Journal.of("a") == Journal(path="a")
    assert Journal.of(Path("a")) == Journal(path=Path("a"), synchronous="full", version=None)
    journal = Journal(path="a", retry_failed=True)
    assert Journal.of(journal) is journal
    assert Journal.of(None) is None


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"path": 3}, TypeError, "journal: expected a path, got 3"),
        ({"path": b"a"}, TypeError, "journal: expected a path, got b'a'"),
        (
            {"synchronous": "off"},
            ValueError,
            "journal: expected synchronous to be 'full' or 'normal', got 'off'",
        ),
        ({"version": 2}, TypeError, "journal: expected version to be a text, got 2"),
        ({"retry_failed": 1}, TypeError, "journal: expected retry_failed to be True or False, got 1"),
    ],
)
def test_what_is_no_option_is_refused(given: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        Journal(**({"path": "a"} | given))
    assert str(caught.value) == said
