"""A PostgreSQL for tests, on a port and in a folder of its own."""

from __future__ import annotations

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from benchmarks.servers import Postgres, as_somebody, give, postgres_programs
from tests.sources.servers import missing, stopped_processes

#: Enough for tests, small enough for a machine that has other things to do.
_SMALL = ("shared_buffers=16MB", "max_connections=40", "fsync=off")


def programs_or_skip() -> Path:
    """Return the folder of initdb and postgres. Without it, a laptop skips the test, and a build fails."""
    programs = postgres_programs() or missing("postgresql")
    pytest.importorskip("psycopg")
    return programs


class PostgresServer(Postgres):
    """A server that keeps what it has when it is restarted. The user is postgres, the password "right".

    Args:
        settings: of its own, such as `ssl=on`.
        files: what is to be in its folder when it starts: texts by their names.
    """

    def __init__(self, *settings: str, files: Mapping[str, str] | None = None) -> None:
        self._files = dict(files or {})
        self._client: Any = None
        self._queues = 0
        super().__init__(programs_or_skip(), *_SMALL, *settings)
        try:
            self.init()
        except BaseException:
            self.close()
            raise

    def _make(self) -> None:
        super()._make()
        for name, text in self._files.items():
            self.write(name, text)
        self._settings = tuple(one.format(folder=self.folder) for one in self._settings)

    def write(self, name: str, text: str) -> None:
        """Put a file into its folder that nobody else may read."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        give(path)

    def init(self) -> None:
        """Make our tables."""
        from pullahead.sources.postgresql import PostgresQueue

        with PostgresQueue(self.address("any")) as queue:
            queue.init()

    def execute(self, text: str, *arguments: Any) -> list[Any]:
        """Run a statement as somebody else does. Returns its rows."""
        import psycopg

        if self._client is None or self._client.closed:
            self._client = psycopg.connect(
                host="127.0.0.1", port=self.port, user="postgres", password="right", autocommit=True
            )
        try:
            cursor = self._client.execute(text, arguments or None)
            return cursor.fetchall() if cursor.description else []
        except psycopg.OperationalError:
            self._client.close()
            raise

    def address(self, queue: str, *, password: str = "right", **options: Any) -> str:
        """Return the address of a queue."""
        query = urlencode({"queue": queue} | options)
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/postgres?{query}"

    def new_queue(self) -> str:
        """Return a name that no other test has."""
        self._queues += 1
        return f"jobs-{self._queues}"

    def put(self, queue: str, items: Sequence[Any]) -> list[int]:
        """Add items, as JSON. Returns their ids."""
        text = (
            "INSERT INTO pullahead.items (queue, item) SELECT %s, one::json FROM unnest(%s::text[]) "
            "WITH ORDINALITY AS given(one, place) ORDER BY place RETURNING id"
        )
        return [row[0] for row in self.execute(text, queue, [str(item) for item in items])]

    def rows(self, queue: str, columns: str = "item, state, attempts") -> list[Any]:
        """Return what is in a queue, in the order of its items."""
        return self.execute(f"SELECT {columns} FROM pullahead.items WHERE queue = %s ORDER BY id", queue)

    def late(self, queue: str, seconds: float = 86_400.0, of: str = "") -> None:
        """Let so many seconds pass for what is due some time, and say so. `of`: part of the owner's name."""
        which = "WHERE queue = %s AND due IS NOT NULL AND strpos(coalesce(owner, ''), %s) > 0"
        moved = f"UPDATE pullahead.items SET due = due - make_interval(secs => %s) {which}"
        self.execute(moved, seconds, queue, of)
        self.execute("SELECT pg_notify('pullahead:' || %s, '')", queue)

    def log_results(self) -> None:
        """From now on, remember each time that a result is written."""
        self.execute("CREATE TABLE written (id bigint)")
        body = "BEGIN INSERT INTO written VALUES (NEW.id); RETURN NULL; END"
        self.execute(f"CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS '{body}'")
        when = "WHEN (NEW.state = 'done') EXECUTE FUNCTION note()"
        self.execute(f"CREATE TRIGGER note AFTER UPDATE ON pullahead.items FOR EACH ROW {when}")

    def written(self) -> Counter[int]:
        """Return how often the result of each item was written."""
        found = self.execute("SELECT item FROM written JOIN pullahead.items USING (id)")
        return Counter(row[0] for row in found)

    def cut(self) -> None:
        """Cut every connection but our own."""
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )

    def said(self, pattern: str) -> int:
        """How many lines of its log are like that."""
        return len(re.findall(pattern, (self.folder / "log").read_text()))

    def stopped(self) -> AbstractContextManager[None]:
        """In here it does nothing, but is there. Its first process is stopped, too, and starts no others."""
        return stopped_processes(self.processes())

    def limit(self, size_bytes: int | None) -> None:
        """Let it make no file larger than that; None: as large as it likes."""
        most = "unlimited" if size_bytes is None else str(size_bytes)
        for pid in self.processes():
            command = [*as_somebody(), "prlimit", f"--pid={pid}", f"--fsize={most}:"]
            subprocess.run(command, check=True)

    def processes(self) -> list[int]:
        """Return the ids of its processes, its own first."""
        assert self._process is not None
        found, place = [self._process.pid], 0
        while place < len(found):
            pid = found[place]
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            found += [int(child) for child in children.split()]
            place += 1
        return found

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it at once, and wait for that. What was committed is there when it starts again."""
        if self._client is not None:
            self._client.close()
        super().stop(how)
