"""A queue as those see it who do not take from it: it is made, filled, looked at and mended here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self, final

from pullahead.sources.encode import encode_value
from pullahead.sources.postgresql import schema
from pullahead.sources.postgresql.address import read
from pullahead.sources.postgresql.adopt import Mapping, adopt
from pullahead.sources.postgresql.server import Server, Statement, known_parameters, statement
from pullahead.sources.queue import DeadItem, Stats

#: Items that are put in one statement.
_BATCH: Final = 1000
#: What a column of integers holds.
_SMALLEST, _LARGEST = -(2**31), 2**31 - 1


@final
class PostgresQueue:
    """A queue at an address, for whoever puts items, or looks after them::

        with PostgresQueue("postgresql://host/db?queue=jobs") as queue:
            queue.init()
            queue.put(["a.mp4", "b.mp4"], priority=5)

    See `pullahead.sources.queue`. Where a `SourceError` is raised, nothing was done; what `adopt` may
    leave is said there.

    Args:
        address: as `pullahead.sources.postgresql` has it.

    Raises:
        ValueError, SourceError, ImportError: as for `PostgresSource`.
    """

    def __init__(self, address: str) -> None:
        self._at = read(address, known_parameters())
        self.name = self._at.shown
        self._server = Server(self._at)

    def __repr__(self) -> str:
        return f"<PostgresQueue {self.name}>"

    def init(self) -> tuple[int, int]:
        """Make the tables, or bring them up to date. Returns their versions before and after; 0: none."""
        with self._server.now():
            return schema.migrate(self._server)

    def adopt(
        self, table: str, *, key: str = "id", item: str | None = None, result: str | None = None
    ) -> int:
        """Make the rows of a table of others items of this queue, now and whenever one comes.

        Args:
            table: its name, as SQL has it.
            key: its column that says which row it is; needs a unique index.
            item: the column that is the item; None: the row as a whole, a dict.
            result: a column of type json, jsonb or text that gets the results; None: they are kept here only.
                A row that has one already is no item.

        Returns:
            How many rows are items now that were none before. Saying it again changes nothing.

        Raises:
            SourceError: it cannot be done, as for another table, or another key, than was said before. If the
                server went away meanwhile, or the table was locked, a trigger that does nothing may be left.
        """
        with self._server.now():
            return adopt(self._server, self._at.queue, Mapping(table, key, item, result))

    def put(self, items: Iterable[Any], *, priority: int = 0, delay: float | None = None) -> list[int]:
        """Add items, all or none, and return their ids.

        Args:
            items: values that JSON can hold.
            priority: the larger, the earlier.
            delay: seconds until they may be taken; None: at once.

        Raises:
            ResultError: JSON cannot hold one of them.
        """
        if not _SMALLEST <= priority <= _LARGEST:
            raise ValueError(f"expected a priority from {_SMALLEST} to {_LARGEST}, got {priority}")
        about = {"queue": self._at.queue, "priority": priority, "delay": delay}
        ids: list[int] = []
        texts: Iterator[str] = (encode_value(item, "item", item).decode() for item in items)
        with self._server.now(), self._server.transaction() as run:
            while batch := list(islice(texts, _BATCH)):
                ids += [row[0] for row in run(statement("put"), {**about, "items": batch})]
        return ids

    def stats(self) -> Stats:
        """Say how it stands."""
        return Stats(*self._ask("stats", queue=self._at.queue)[0])

    def dead(self, most: int = 100) -> list[DeadItem]:
        """List what has failed for good, the latest first."""
        return [DeadItem(*row) for row in self._ask("dead", queue=self._at.queue, most=most)]

    def retry(self, ids: Iterable[int | str] | None = None) -> int:
        """Make what has failed for good ready again; None: all of it. Returns how many items that were."""
        which = None if ids is None else [_number(one) for one in ids]
        rows = self._ask("retry", queue=self._at.queue, channel=self._at.channel, ids=which)
        return int(rows[0][0])

    def close(self) -> None:
        """Let go of the connection."""
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, name: str, **arguments: Any) -> list[Any]:
        with self._server.now():
            return self._server.ask([Statement(name, arguments)])[0]


def _number(one: int | str) -> int:
    try:
        return int(one)
    except ValueError:
        raise ValueError(f"expected numbers for the ids of items, got {one!r}") from None
