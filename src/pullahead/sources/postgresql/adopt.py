"""A table of others as a queue, by a short mapping: which column says which row it is, and which is the item.

The table stays as it is. Triggers put an item for each row that comes, take it away with its row, and write
the result into a column, if one is named. So a queue is one thing, whoever's rows its items are; and the
mapping is said once, when the queue is made, and not by each run.

Who writes a row has its table first, and then ours; who ends an item with a result has ours first. So whoever
waited for one and kept the other would wait for ever with one of them. Therefore there are two transactions.
The first one keeps ours alone, for a moment, to make a trigger that does nothing yet; the second one keeps
theirs, while the rows are put, and is not in the way of who ends an item. Triggers that are there stay, and
are enabled: making one again would lock for nothing.

One adopts at a time, and the others wait for as long as a table is large. Several at once would wait for each
other as well, for the locks of a trigger: those make whoever writes an item wait behind them.

Refused: to lease the rows themselves. It needs columns of ours in a table of others, and a second edition of
every statement, with somebody else's names in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple, final

from pullahead.errors import SourceError
from pullahead.sources.postgresql.server import Server, psycopg_3, statement

Run = Callable[..., list[Any]]

#: How a result becomes a value of a column of each type that can hold it.
_VALUES: Final = {"json": "NEW.result", "jsonb": "NEW.result::jsonb", "text": "NEW.result #>> '{}'"}
_BEFORE: Final = "SELECT name, key_column FROM pullahead.tables WHERE queue = %s"
_ADOPTED: Final = (
    "INSERT INTO pullahead.tables VALUES (%s, %s, %s, %s, %s) ON CONFLICT (queue) DO UPDATE SET "
    "item_column = excluded.item_column, result_column = excluded.result_column"
)
#: The number is that of `prepare`: whoever makes tables or triggers here does it alone.
_ALONE: Final = "SELECT pg_advisory_xact_lock(3823097410)"
#: How long locks are waited for, until the transaction ends.
_LOCK_TIMEOUT: Final = "SELECT set_config('lock_timeout', %s, true)"
#: So that types are named with their schemas.
_PATH: Final = "SET LOCAL search_path = pg_catalog, pg_temp"
_ITEMS: Final = "pullahead.items"
#: Whether it is enabled, also in a session that replicates nothing.
_TRIGGER: Final = (
    "SELECT tgenabled IN ('O', 'A') FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgname = %s"
)
#: After what, and of which rows.
_TRIGGERS: Final = {
    "put": ("INSERT", ""),
    "drop": ("DELETE", ""),
    "return": (
        "UPDATE OF state",
        "WHEN (NEW.queue = {queue} AND NEW.state = 'done' AND NEW.key IS NOT NULL)",
    ),
}
#: With its schema, whatever the search path is.
_NAMED: Final = (
    "SELECT format('%%I.%%I', nspname, relname) FROM pg_class "
    "JOIN pg_namespace AS schema ON schema.oid = relnamespace WHERE pg_class.oid = to_regclass(%s)"
)


class _Column(NamedTuple):
    name: str
    type: str
    is_unique: bool


@final
@dataclass(frozen=True, slots=True)
class Mapping:
    """Which table is a queue, and how.

    Attributes:
        table: its name, as SQL has it: with its schema, quoted where it has to be.
        key: the column that says which row it is.
        item: the column that is the item; None: the row, as a dict.
        result: the column that gets the result; None: none does. A row that has one already is no item.
    """

    table: str
    key: str = "id"
    item: str | None = None
    result: str | None = None


@final
class _Triggers:
    """Those of a queue, by what they are for. Their functions are called as they are."""

    def __init__(self, run: Run, queue: str) -> None:
        self._run = run
        self._queue = queue

    def has(self, name: str, table: str) -> bool:
        """Whether there is one, enabled or not."""
        return bool(self._run(_TRIGGER, (table, _ours(name, self._queue))))

    def ensure(self, name: str, table: str) -> None:
        """Let there be one that is enabled. Locks for nothing where there is."""
        there = self._run(_TRIGGER, (table, _ours(name, self._queue)))
        if there == [(True,)]:
            return
        sql = psycopg_3().sql
        after, when = _TRIGGERS[name]
        about = {
            "name": sql.Identifier(_ours(name, self._queue)),
            "table": sql.SQL(table),  # as the server itself has written it
            "after": sql.SQL(after),
            "when": sql.SQL(when).format(queue=sql.Literal(self._queue)),
        }
        self._run(_filled("adopt_trigger_again" if there else "adopt_trigger", about))


def _ours(name: str, queue: str) -> str:
    """Name something of a queue: a name has 63 bytes, and a queue's is somebody else's."""
    return f"{name}_{sha256(queue.encode()).hexdigest()[:16]}"


def adopt(server: Server, queue: str, mapping: Mapping) -> int:
    """Make a queue of a table. Returns how many items were put; saying it again puts none twice.

    Raises:
        SourceError: there is no such table or column, or it cannot be used for that; or the queue is another
            table's already, or has another key; or somebody has locked the table. Nothing was done then, but
            that a trigger which does nothing may be on our items, if something came between the transactions.
    """
    if "$$" in "".join((queue, mapping.table, mapping.key, mapping.item or "", mapping.result or "")):
        raise SourceError(f"{server.shown}: expected names without $$, which ends the body of a function")
    with _alone(server) as run:
        name, key, result = _found(run, server.shown, mapping)
        _refuse_another(run, server.shown, queue, name, key.name)
        about, triggers = _about(queue, name, mapping), _Triggers(run, queue)
        if result is not None:
            if not triggers.has("return", _ITEMS):
                run(_filled("adopt_no_result", about))
            triggers.ensure("return", _ITEMS)
    with _alone(server) as run:
        run(_PATH)
        _refuse_another(run, server.shown, queue, name, key.name)  # who was first, of two
        triggers = _Triggers(run, queue)
        run(_ADOPTED, (queue, name, mapping.key, mapping.item, mapping.result))
        run(_filled("adopt", about))
        for one in ("put", "drop"):
            triggers.ensure(one, name)
        if result is not None:
            sql = psycopg_3().sql
            value = {"value": sql.SQL(_VALUES[result.type]), "type": sql.SQL(key.type)}
            run(_filled("adopt_result", about | value | {"column": sql.Identifier(result.name)}))
        elif triggers.has("return", _ITEMS):
            run(_filled("adopt_no_result", about))
        ((count,),) = run(_filled("adopt_rows", about))
        return int(count)


def refuse_rows(server: Server, queue: str) -> None:
    """Raise SourceError if the items of the queue are rows: each is kept, or its row would be put again."""
    with server.transaction() as run:
        for name, _ in run(_BEFORE, (queue,)):
            raise SourceError(
                f"{server.shown}: expected results=1 for a queue of the rows of {name}, got results=0: "
                "a row whose item is deleted would be put again"
            )


@contextmanager
def _alone(server: Server) -> Iterator[Run]:
    """One transaction, while nobody else adopts. For that it waits as long as it takes."""
    with server.transaction() as run:
        ((patience,),) = run("SHOW lock_timeout")
        run(_LOCK_TIMEOUT, ("0",))
        run(_ALONE)
        run(_LOCK_TIMEOUT, (patience,))
        yield run


def _refuse_another(run: Run, shown: str, queue: str, name: str, key: str) -> None:
    """A queue is of one table, and its items know their rows by one key."""
    for before, key_before in run(_BEFORE, (queue,)):
        if before != name:
            raise SourceError(f"{shown}: expected one table for the queue, got a second one, {name}")
        if key_before != key:
            raise SourceError(f"{shown}: expected {key_before} for the key of {name}, as before, got {key}")


def _found(run: Run, shown: str, mapping: Mapping) -> tuple[str, _Column, _Column | None]:
    """Return the name of the table with its schema, and the columns of the key and of the result."""
    names = run(_NAMED, (mapping.table,))
    if not names:
        raise SourceError(f"{shown}: expected a table {mapping.table}, got none")
    ((name,),) = names
    run(_PATH)
    columns = [_Column(*row) for row in run(statement("columns"), {"name": name})]
    return name, *_checked(shown, mapping, columns)


def _checked(shown: str, mapping: Mapping, columns: list[_Column]) -> tuple[_Column, _Column | None]:
    """Return the columns of the key and of the result."""
    known = {column.name: column for column in columns}
    for name in (mapping.key, mapping.item, mapping.result):
        if name is not None and name not in known:
            names = ", ".join(known)
            raise SourceError(f"{shown}: expected a column {name!r} in {mapping.table}, which has {names}")
    key = known[mapping.key]
    if not key.is_unique:
        raise SourceError(
            f"{shown}: expected a column of {mapping.table} with a unique index for the key, got {key.name!r}"
        )
    result = None if mapping.result is None else known[mapping.result]
    if result is not None and result.type not in _VALUES:
        wanted = ", ".join(_VALUES)
        raise SourceError(
            f"{shown}: expected a column of type {wanted} for the result, "
            f"got {result.name!r} of type {result.type}"
        )
    return key, result


def _about(queue: str, name: str, mapping: Mapping) -> dict[str, Any]:
    sql = psycopg_3().sql
    column = sql.SQL("one" if mapping.item is None else "one.{}").format(sql.Identifier(mapping.item or ""))
    has_result = sql.SQL("false")
    if mapping.result is not None:
        has_result = sql.SQL("one.{} IS NOT NULL").format(sql.Identifier(mapping.result))
    return {
        "queue": sql.Literal(queue),
        "table": sql.SQL(name),  # as the server itself has written it
        "key": sql.Identifier(mapping.key),
        "item": sql.SQL("coalesce(to_json({}), 'null')").format(column),
        "unless": has_result,
        **{name: sql.Identifier(_ours(name, queue)) for name in _TRIGGERS},
    }


def _filled(name: str, about: dict[str, Any]) -> Any:
    return psycopg_3().sql.SQL(statement(name)).format(**about)
