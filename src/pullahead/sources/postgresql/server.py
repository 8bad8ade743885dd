"""A server and what can go wrong with it: psycopg, behind three verbs.

`ask` runs statements as one transaction and returns their rows, or raises: `Away` where it may be worth
another try (a connection that was cut, a table that somebody has locked), `SourceError` where it is not (a
password that is wrong, no such table). `heard` waits for what others say on the channel. `reach` does
something with the server that may be tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache
from importlib import resources
from traceback import clear_frames
from typing import Any, Final, NamedTuple, final

from pullahead.errors import SourceError
from pullahead.sources.postgresql.address import Address
from pullahead.sources.postgresql.watch import Watch
from pullahead.sources.reach import Away, Reach, brief

#: What libpq is told unless the address says something else: seconds until a connection is there, or is given
#: up; seconds of silence before it looks whether the other end lives; ms until what was sent and not
#: confirmed counts as a cut connection.
_LIBPQ: Final = {"connect_timeout": "10", "keepalives_idle": "30", "tcp_user_timeout": "30000"}
#: ms that a statement waits for somebody else's lock, and that it may take at all.
_LOCK_MS: Final = 5_000
_STATEMENT_MS: Final = 30_000

#: How the text begins, or ends, that says why a connection was refused for good. It comes without a code.
_REFUSED: Final = ("password authentication failed", "no password supplied", "no pg_hba.conf entry", "role ")
_REFUSED_END: Final = ("does not exist", "is not permitted to log in")
#: Classes of SQLSTATE after which another try may do: a connection, not enough of something, an operator; and
#: codes: a deadlock, a statement that took too long, a server that only reads (not the first one any more);
#: and somebody's lock.
_AWAY: Final = ("08", "53", "57", "58", "40", "25006")
_LOCKED: Final = "55P03"
#: Classes after which the same statement with other values may do: data, constraints, what a row, an index or
#: a type cannot hold, and what somebody's trigger says, in a class of its own making, too.
_REJECTED: Final = ("0A", "21", "22", "23", "38", "39", "42", "44", "54", "P0")
#: The classes that PostgreSQL has itself (appendix A of its manual).
_THEIRS: Final = frozenset(
    """
    00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F 40 42 44 53
    54 55 57 58 72 F0 HV P0 XX
    """.split()  # noqa: SIM905  one of them a line would be a page
)
#: The schema or the table is not there.
_NO_TABLE: Final = ("42P01", "3F000", "42703")


#: Seconds until a server that says nothing has been frozen: more than it may take by its own limits.
_ANSWER: Final = 45.0


class Statement(NamedTuple):
    """One of our statements, by the name of its file, and its arguments."""

    name: str
    arguments: dict[str, Any]


class Rejected(SourceError):  # noqa: N818  it is the reason of a failure
    """The server will not have a value: a constraint, a trigger, a type of somebody's table says no."""

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


class Locked(Away):
    """Somebody else has a lock for longer than it is waited for."""


class NoTable(Rejected):
    """The tables are not there."""


def psycopg_3() -> Any:
    """Return psycopg.

    Raises:
        ImportError: it is not installed. The message says how to get it.
    """
    try:
        import psycopg
    except ImportError:
        raise ImportError(
            "an address of PostgreSQL needs psycopg: pip install 'pullahead[postgresql]'"
        ) from None
    return psycopg


def known_parameters() -> frozenset[str]:
    """Return the parameters that an address may have because libpq has them."""
    return frozenset(one.keyword.decode() for one in psycopg_3().pq.Conninfo.get_defaults())


@cache
def statement(name: str) -> str:
    """Return one of our statements, without what it says to people only."""
    text = resources.files("pullahead.sources.postgresql").joinpath("sql", f"{name}.sql").read_text()
    return "\n".join(line for line in text.splitlines() if line and not line.startswith("--"))


@final
class Server(Reach):
    """See the module. Used from one thread at a time.

    Args:
        address: where it is.
        listens: whether what is said on the channel of the queue is of interest.

    Raises:
        SourceError: it does not answer, or refuses us.
        ValueError: libpq does not understand the address.
    """

    def __init__(self, address: Address, *, listens: bool = False) -> None:
        super().__init__(address.shown, address.patience)
        self._psycopg = psycopg_3()
        self._at = address
        self._listens = listens
        self._connection: Any = None
        self._watch: Watch | None = None
        try:
            given = self._psycopg.conninfo.conninfo_to_dict(address.url)
        except self._psycopg.Error:  # whose text would quote a password
            raise ValueError(f"expected an address that libpq understands, got {self.shown}") from None
        self._given = _LIBPQ | given | {"client_encoding": "utf8"}
        self._given.setdefault("fallback_application_name", "pullahead")
        with self.now():
            encoding = self._connected().info.parameter_status("server_encoding")
        if encoding != "UTF8":
            self.close()
            raise SourceError(f"{self.shown}: expected a database in UTF8, got one in {encoding}")

    @contextmanager
    def now(self) -> Iterator[None]:
        """In here nobody waits for a server that is away, nor for long for somebody's lock. See `Reach`."""
        with super().now():
            try:
                yield
            except Locked as error:
                why = f"somebody else has a lock on what is wanted ({error}); try again later"
                raise SourceError(f"{self.shown}: {why}") from error

    def ask(self, statements: Sequence[Statement]) -> list[list[Any]]:
        """Run statements as one transaction, in one go. Returns the rows of each."""
        psycopg = self._psycopg
        try:
            connection = self._connected()
            with self._watched(), connection.pipeline(), connection.transaction():
                cursors = [connection.execute(statement(one.name), one.arguments) for one in statements]
            return [cursor.fetchall() if cursor.description else [] for cursor in cursors]
        except psycopg.Error as error:
            raise self._sorted(error) from error

    @contextmanager
    def transaction(self) -> Iterator[Callable[..., list[Any]]]:
        """Run texts, one after the other, as one transaction. What is called with each returns its rows."""

        def run(text: str, arguments: Any = None) -> list[Any]:
            cursor = self._connection.execute(text, arguments)
            return cursor.fetchall() if cursor.description else []

        try:
            with self._connected().transaction():
                yield run
        except self._psycopg.Error as error:
            raise self._sorted(error) from error

    def heard(self, seconds: float) -> list[str]:
        """Wait until somebody else says something on the channel, and return what; so long at most."""
        try:
            connection = self._connected()
            me = connection.info.backend_pid
            notices = connection.notifies(timeout=max(0.0, seconds), stop_after=1)
            return [one.payload for one in notices if one.pid != me]
        except self._psycopg.Error as error:
            raise self._sorted(error) from error

    def _connected(self) -> Any:
        if self._connection is None:
            psycopg = self._psycopg
            try:
                made = psycopg.connect(**self._given, autocommit=True, prepare_threshold=None)  # for poolers
            except psycopg.Error as error:
                clear_frames(error.__traceback__)  # it and they hold each other, and with them the socket
                raise self._unconnected(brief(error)) from error
            try:
                self._set_up(made)
            except psycopg.Error as error:
                made.close()
                raise self._sorted(error) from error
            self._connection = made
            if self._listens:
                self._watch = Watch(made.fileno(), _ANSWER)
        return self._connection

    def _watched(self) -> AbstractContextManager[None]:
        return nullcontext() if self._watch is None else self._watch.over()

    def _set_up(self, made: Any) -> None:
        sql = self._psycopg.sql
        made.execute(f"SET lock_timeout = {_LOCK_MS}")
        if self._listens:  # who looks after a queue may wait for as long as a table is large
            made.execute(f"SET statement_timeout = {_STATEMENT_MS}")
            made.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._at.channel)))

    def _unconnected(self, said: str) -> Exception:
        why = said.partition("FATAL: ")[2].strip() or said
        if why.startswith(_REFUSED) or why.endswith(_REFUSED_END):
            return SourceError(f"{self.shown} refuses us: {why}")
        return Away(why)

    def _sorted(self, error: Any) -> Exception:
        """Return what to raise: whether waiting could help. A connection that was cut is let go."""
        said = error.diag.message_primary or brief(error)
        if self._connection is not None and (self._connection.closed or self._connection.broken):
            self.close()
            return Away(said)
        code = error.sqlstate or ""
        if code == _LOCKED:
            return Locked(said)
        if code.startswith(_AWAY) or (not code and isinstance(error, self._psycopg.OperationalError)):
            return Away(said)
        if code == "XX000" and error.diag.source_file == "md.c":  # its files cannot grow: a quota, say
            return Away(said)
        if code in _NO_TABLE:
            return NoTable(
                f"{self.shown}: expected the tables of a queue, got none that fit ({said}); "
                f"make them with: pullahead queue init '{self.shown}'",
                said,
            )
        if code == "42501":
            return SourceError(f"{self.shown} refuses us: {said}")
        if code.startswith(_REJECTED) or (code and code[:2] not in _THEIRS):
            return Rejected(f"{self.shown}: {said}", said)
        return SourceError(f"{self.shown}: {said}")

    def close(self) -> None:
        """Let go of the connection. What is open in it is undone by the server."""
        connection, self._connection = self._connection, None
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
        if connection is not None:
            with suppress(self._psycopg.Error):
                connection.close()
