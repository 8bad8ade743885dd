"""The one who writes a journal: in the process of the queue, on a thread of its own."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from time import time
from typing import Final, final

from pullahead.errors import JournalError
from pullahead.journal import Journal
from pullahead.journal.file import Lock, check, connect, explain, explained, lay_out
from pullahead.journal.records import Delivered, Ended, Record

_PUT: Final = """
INSERT INTO items (place, digest, state, attempts, item, label, result, session)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (place) DO UPDATE SET
    digest = excluded.digest, item = excluded.item, label = excluded.label,
    state = excluded.state, attempts = excluded.attempts, result = excluded.result, session = excluded.session
WHERE state != 'done'
"""
_PUT_ATTEMPT: Final = "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_SINK: Final = """
INSERT INTO sinks (name, size) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET size = excluded.size
"""
_HAND_OVER: Final = "INSERT OR IGNORE INTO deliveries SELECT number, ? FROM sinks WHERE name = ?"
_BEGIN_ANEW: Final = "DELETE FROM deliveries WHERE sink = (SELECT number FROM sinks WHERE name = ?)"


@final
class Writer:
    """Holds the lock of a journal and writes one batch after another. See the module.

    Args:
        journal: which, and how.
        work: what the work is called.
        places: "position" or "key".
        pid: of the process that wants the results.

    Raises:
        JournalError: the file cannot be used, is in use, or is of another work.
    """

    def __init__(self, journal: Journal, work: str, places: str, pid: int) -> None:
        self._path = os.fspath(journal.path)
        self._batches: SimpleQueue[tuple[Sequence[Record], Callable[[JournalError | None], None]] | None]
        self._batches = SimpleQueue()
        self._thread: Thread | None = None
        self.session = 0
        try:
            holds_something = Path(self._path).stat().st_size > 0
        except OSError:
            holds_something = False
        with explained(self._path, keeps=holds_something):
            self._lock = Lock(self._path)
            try:
                self._database = connect(self._path, write=True)
                try:
                    self._open(journal, work, places, pid)
                except BaseException:
                    self._database.close()
                    raise
            except BaseException:
                self._lock.release()
                raise

    def write(self, batch: Sequence[Record], wrote: Callable[[JournalError | None], None]) -> None:
        """Write these in one transaction, and call back when it is done, on another thread.

        With an error, nothing of it was written, and nothing more should be.
        """
        if self._thread is None:
            self._thread = Thread(target=self._run, name="pullahead-journal", daemon=True)
            self._thread.start()
        self._batches.put((batch, wrote))

    def close(self) -> None:
        """Finish what was begun, tidy up the log, and let go of the file."""
        if self._thread is not None:
            self._batches.put(None)
            self._thread.join()
        self._database.close()
        self._lock.release()

    def _open(self, journal: Journal, work: str, places: str, pid: int) -> None:
        database = self._database
        is_new = not check(self._path, database)
        if is_new:
            database.execute("PRAGMA journal_mode = WAL")
        database.execute(f"PRAGMA synchronous = {journal.synchronous}")
        database.execute("BEGIN IMMEDIATE")
        with database:
            if is_new:
                lay_out(database)
                facts = {"work": work, "version": journal.version, "places": places, "created": time()}
                database.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
            else:
                self._compare(dict(database.execute("SELECT * FROM facts")), journal, work, places)
            if journal.retry_failed:
                retry_failed(database)
            added = database.execute("INSERT INTO sessions (began, pid) VALUES (?, ?)", (time(), pid))
            self.session = added.lastrowid or 0

    def _compare(self, facts: dict[str, object], journal: Journal, work: str, places: str) -> None:
        """Refuse the journal of another work, or one whose items are known by something else."""
        had = _named(facts.get("work"), facts.get("version"))  # a file that is damaged may lack them
        got = _named(work, journal.version)
        if had != got:
            raise JournalError(
                f"the journal {self._path!r} is of the work {had}, got {got}; name another journal"
            )
        if facts.get("places") != places:
            said = {"position": "without a key", "key": "with a key"}
            begun = said.get(str(facts.get("places")), "in another way")
            raise JournalError(
                f"the journal {self._path!r} was begun {begun}, and this run is "
                f"{said[places]}: its items could not be told"
            )

    def _run(self) -> None:
        while (task := self._batches.get()) is not None:
            batch, wrote = task
            try:
                self._write(batch)
            except Exception as error:  # noqa: BLE001  whatever it is, somebody waits to hear of it
                wrote(explain(self._path, error))
            else:
                wrote(None)

    def _write(self, batch: Sequence[Record]) -> None:
        database = self._database
        with database:
            database.execute("BEGIN IMMEDIATE")
            for record in batch:
                if isinstance(record, Ended):
                    is_new = database.execute(_PUT, self._row(record)).rowcount
                    if record.attempts and is_new:  # what has ended stays as it is
                        database.executemany(_PUT_ATTEMPT, _rows(record))
            for record in batch:
                if isinstance(record, Delivered):
                    database.execute(_PUT_SINK, (record.sink, record.size))
                    if record.places is None:
                        database.execute(_BEGIN_ANEW, (record.sink,))
                    else:
                        database.executemany(_HAND_OVER, [(place, record.sink) for place in record.places])

    def _row(self, record: Ended) -> tuple[object, ...]:
        place, digest, label = record.entry
        attempts = len(record.attempts)
        label = label and _storable(label)
        return place, digest, record.state, attempts, record.item, label, record.result, self.session


def retry_failed(database: sqlite3.Connection) -> int:
    """Forget the failures, within a transaction that is open. Returns how many there were."""
    database.execute("DELETE FROM attempts WHERE place IN (SELECT place FROM items WHERE state = 'failed')")
    changed = "UPDATE items SET state = 'open', attempts = 0 WHERE state = 'failed'"
    return database.execute(changed).rowcount


def _rows(record: Ended) -> Iterator[tuple[object, ...]]:
    for number, attempt in enumerate(record.attempts, 1):
        *before, summary, traceback, error = attempt
        yield record.entry.place, number, *before, _storable(summary), _storable(traceback), error


def _storable(text: str) -> str:
    """Escape what is no text, such as the bytes in a file name that an exception quotes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _named(work: object, version: object) -> str:
    return repr(work) if version is None else f"{work!r}, version {version!r}"
