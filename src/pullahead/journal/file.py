"""The file of a journal: opened, checked, held by one run at a time, and its errors in words.

A journal is an SQLite database with a write-ahead log, which does not work on network file systems. It is
written by one process. That process holds a lock on the file (`flock`) for as long as it lives, so that a
second run with the same journal is refused, also in the moment in which the first one is dying.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path
from time import monotonic, sleep
from typing import Final, final

from pullahead.errors import JournalError
from pullahead.journal import KEPT

#: "PULA", in the header of the file.
APPLICATION: Final = 0x50554C41
#: Of the tables; a journal of another one is refused.
FORMAT: Final = 1
#: Seconds that a run waits for one that has just been killed to let go of its journal.
_PATIENCE: Final = 3.0

#: What opening a database says where its log's index cannot be made.
_UNWRITABLE: Final = frozenset(
    {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}
)

_WORDS: Final = {
    sqlite3.SQLITE_FULL: "its disk is full",
    sqlite3.SQLITE_READONLY: "it cannot be written: the file or its folder is read-only",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "it may not be opened",
    sqlite3.SQLITE_BUSY: "it is locked by another program",
    sqlite3.SQLITE_LOCKED: "it is locked by another program",
    sqlite3.SQLITE_IOERR: "its disk cannot be read or written",
    sqlite3.SQLITE_CORRUPT: (
        "it is damaged; what can still be read is found by `sqlite3 FILE .recover`, "
        "and a new journal begins anew"
    ),
    sqlite3.SQLITE_NOTADB: "it is not a journal",
    sqlite3.SQLITE_TOOBIG: "it cannot hold an item or a result that is so large",
}


_OF_THE_DISK: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})


def explain(path: str, error: BaseException) -> JournalError:
    """Say what is wrong with a journal."""
    if isinstance(error, OSError):
        return JournalError(f"the journal {path!r} cannot be opened: {error.strerror or error}")
    if isinstance(error, UnicodeDecodeError):  # an error of SQLite that quotes what it found
        code = sqlite3.SQLITE_CORRUPT
    else:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of it is a detail of the same
    said = _WORDS.get(code, "it cannot be used")
    return JournalError(f"the journal {path!r}: {said} ({error})")


@contextmanager
def explained(path: str, *, keeps: bool = False) -> Iterator[None]:
    """Raise `JournalError` for whatever the file system and the database have against a journal.

    `keeps`: it holds something, and is about to be written: if its disk fails, say that this is safe.
    """
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
        said = explain(path, error)
        if keeps and getattr(error, "sqlite_errorcode", 0) & 0xFF in _OF_THE_DISK:
            said = JournalError(f"{said}; {KEPT}")
        raise said from error


@final
class Lock:
    """Held by the one process that writes a journal, until `release` or its end.

    Raises:
        JournalError: another process has it.
        OSError: the file cannot be opened for writing.
    """

    def __init__(self, path: str) -> None:
        # Closing a descriptor of the file would drop the locks of SQLite in this process, so it stays open
        # for as long as the connection does.
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        deadline = monotonic() + _PATIENCE
        while not self._try():
            if monotonic() > deadline:
                os.close(self._descriptor)
                raise JournalError(f"the journal {path!r} is in use by {_user_of(path)}")
            sleep(0.01)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let another process have it."""
        os.close(self._descriptor)


def connect_to_read(path: str) -> sqlite3.Connection:
    """Open a database that is there; also on a disk that is full or read-only, if it was closed in order.

    Raises:
        JournalError: it was not, and its log can be read only where it can be written.
        sqlite3.Error: it is not there, or cannot be read.
    """
    database = connect(path)
    try:
        database.execute("PRAGMA application_id").fetchone()
    except sqlite3.Error as error:
        database.close()
        if not (_needs_to_write(error) and os.access(path, os.R_OK)):
            raise
    else:
        return database
    log = Path(f"{path}-wal")
    if log.exists() and log.stat().st_size:
        raise JournalError(
            f"the journal {path!r} was not closed in order, and its disk cannot be written now, which "
            f"reading it takes then; copy it and {log.name!r} to another disk"
        )
    return sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def _needs_to_write(error: sqlite3.Error) -> bool:
    """Say whether a database cannot be opened because the index of its log cannot be made."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _UNWRITABLE


def connect(path: str, *, write: bool = False) -> sqlite3.Connection:
    """Open a database whose transactions are begun and ended by name.

    Without `write` it must be there. (It is opened for writing all the same, because a log that a killed
    process has left is read through an index that has to be made.)
    """
    mode = "rwc" if write else "rw" if os.access(path, os.W_OK) else "ro"
    uri = f"{Path(path).absolute().as_uri()}?mode={mode}"
    # Each connection is used by one thread at a time, but not always by the one that made it.
    return sqlite3.connect(uri, timeout=5.0, isolation_level=None, uri=True, check_same_thread=False)


def check(path: str, database: sqlite3.Connection) -> bool:
    """Say whether there are tables; False for a file that is empty.

    Raises:
        JournalError: it is another program's database, or of another format.
    """
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (format_,) = database.execute("PRAGMA user_version").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables and not application:
        return False
    if application != APPLICATION:
        raise JournalError(f"the journal {path!r}: it is not a journal, but a database of another program")
    if format_ != FORMAT:
        raise JournalError(
            f"the journal {path!r}: expected format {FORMAT}, got {format_}: it was written by another "
            "version of Pullahead"
        )
    return True


def lay_out(database: sqlite3.Connection) -> None:
    """Make the tables, within a transaction that is open."""
    statement = ""
    for line in files("pullahead.journal").joinpath("schema.sql").read_text().splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            database.execute(statement)
            statement = ""
    database.execute(f"PRAGMA application_id = {APPLICATION}")
    database.execute(f"PRAGMA user_version = {FORMAT}")


def _user_of(path: str) -> str:
    with closing(connect(path)) as database:
        try:
            found = database.execute("SELECT pid FROM sessions ORDER BY number DESC LIMIT 1").fetchone()
        except sqlite3.Error:
            found = None
    return "another process" if found is None else f"process {found[0]}"
