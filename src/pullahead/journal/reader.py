"""What a journal has: for the run that goes on with it, and for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, final

from pullahead.errors import JournalError
from pullahead.journal.file import Lock, check, connect_to_read, explained
from pullahead.journal.identity import Place
from pullahead.journal.records import Attempt, Found
from pullahead.journal.writer import retry_failed

#: Places in one question. SQLite takes no more than 32,766.
_AT_ONCE: Final = 1000


@final
class Reader:
    """Reads a journal, also while it is written. Not for two threads at a time.

    Raises:
        JournalError: it is not there, is not a journal, or cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        with explained(path):
            self._database = connect_to_read(path)
            try:
                if not check(path, self._database):
                    raise JournalError(f"the journal {path!r}: it is empty")
            except BaseException:
                self._database.close()
                raise

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def find(self, places: Sequence[Place], sink: str | None = None) -> dict[Place, Found]:
        """Return what is known of these items, of those of which something is; and whether a sink has it."""
        with explained(self.path):
            found: dict[Place, Found] = {}
            number = self._number_of(sink)
            for first in range(0, len(places), _AT_ONCE):
                some = places[first : first + _AT_ONCE]
                marks = ",".join("?" * len(some))
                delivered = "EXISTS (SELECT 1 FROM deliveries d WHERE d.place = items.place AND d.sink = ?)"
                columns = f"place, state, digest, result, session, {delivered}, rowid, attempts"
                question = f"SELECT {columns} FROM items WHERE place IN ({marks})"  # noqa: S608
                rows = self._database.execute(question, (number, *some)).fetchall()
                for place, state, digest, result, session, has, row, count in rows:
                    attempts = self._attempts(place, count) if count else ()
                    found[place] = Found(state, digest, result, session, bool(has), row, attempts)
            return found

    def _attempts(self, place: Place, count: int) -> tuple[Attempt, ...]:
        """Return the attempts of an item that failed, in order.

        (More may be there, of before it was retried.)
        """
        columns = "worker, began, ended, summary, traceback, error"
        question = f"SELECT {columns} FROM attempts WHERE place = ? AND number <= ? ORDER BY number"  # noqa: S608
        return tuple(Attempt(*row) for row in self._database.execute(question, (place, count)))

    @property
    def session(self) -> int:
        """The number of the latest session."""
        return self._one("SELECT coalesce(max(number), 0) FROM sessions")

    @property
    def rows(self) -> int:
        """No row of the table of items has a greater number than this."""
        return self._one("SELECT coalesce(max(rowid), 0) FROM items")

    @property
    def next_position(self) -> int:
        """Where items are known by position: none has this one, or a greater one."""
        return self._one("SELECT coalesce(max(place), -1) + 1 FROM items")

    def ended(self, session: int) -> int:
        """Count the items that had ended when a session began."""
        question = "SELECT count(*) FROM items WHERE state != 'open' AND session < ?"
        return self._one(question, (session,))

    def ended_beyond(self, position: int) -> int:
        """Count the items that have ended and whose position is at least this."""
        return self._one("SELECT count(*) FROM items WHERE state != 'open' AND place >= ?", (position,))

    def _number_of(self, sink: str | None) -> int | None:
        found = self._database.execute("SELECT number FROM sinks WHERE name = ?", (sink,)).fetchone()
        return None if found is None else found[0]

    def size_of_sink(self, name: str) -> int | None:
        """Return how many bytes a sink had at the last commit; None if that is not known."""
        with explained(self.path):
            found = self._database.execute("SELECT size FROM sinks WHERE name = ?", (name,)).fetchone()
        return None if found is None else found[0]

    def summary(self) -> Summary:
        """Count everything."""
        with explained(self.path):
            database = self._database
            states: defaultdict[str, int] = defaultdict(int)
            states.update(database.execute("SELECT state, count(*) FROM items GROUP BY state"))
            facts = dict(database.execute("SELECT * FROM facts"))
            sessions = database.execute("SELECT began, pid FROM sessions ORDER BY number").fetchall()
            sinks = database.execute(
                "SELECT name, size, (SELECT count(*) FROM deliveries WHERE sink = number) "
                "FROM sinks ORDER BY number"
            ).fetchall()
        return Summary(facts, dict(states), sessions, sinks)

    def failures(self, most: int) -> list[tuple[Place, str, int, str]]:
        """Return (place, item, attempts, last error in a line) of items that have failed for good."""
        question = """
            SELECT items.place, coalesce(label, item), attempts, coalesce(summary, '')
            FROM items LEFT JOIN attempts ON attempts.place = items.place AND number = attempts
            WHERE state = 'failed' ORDER BY items.place LIMIT ?
        """
        with explained(self.path):
            return self._database.execute(question, (most,)).fetchall()

    def retry_failed(self) -> int:
        """Make the items that have failed ready for the next run. Returns how many those are."""
        with explained(self.path):
            lock = Lock(self.path)
            try:
                with self._database as database:
                    database.execute("BEGIN IMMEDIATE")
                    return retry_failed(database)
            finally:
                self._database.close()
                lock.release()

    def _one(self, question: str, values: tuple[Any, ...] = ()) -> int:
        with explained(self.path):
            (count,) = self._database.execute(question, values).fetchone()
        return int(count)


class Summary(NamedTuple):
    """What a journal holds.

    Attributes:
        facts: by name: work, version, places, created.
        states: how many items are "done", "failed" or "open".
        sessions: (seconds since the epoch, pid) of each run.
        sinks: (name, bytes or None, results) of each.
    """

    facts: dict[str, Any]
    states: dict[str, int]
    sessions: list[tuple[float, int]]
    sinks: list[tuple[str, int | None, int]]
