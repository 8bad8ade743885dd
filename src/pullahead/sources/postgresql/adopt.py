"""A table of others as a queue, by a short mapping: which column says which row it is, and which is the item.

The table stays as it is. Triggers put an item for each row that comes, take it away with its row, and write
the result into a column, if one is named. So a queue is one thing, whoever's rows its items are; and the
mapping is said once, when the queue is made, and not by each run.

Refused: to lease the rows themselves. It needs columns of ours in a table of others, and a second edition of
every statement, with somebody else's names in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple, final

from pullahead.errors import SourceError
from pullahead.sources.postgresql.server import Server, psycopg_3, statement

#: How a result becomes a value of a column of each type that can hold it.
_VALUES: Final = {"json": "NEW.result", "jsonb": "NEW.result::jsonb", "text": "NEW.result #>> '{}'"}
_ADOPTED: Final = (
    "INSERT INTO pullahead.tables VALUES (%s, %s, %s, %s, %s) ON CONFLICT (queue) DO UPDATE SET "
    "key_column = excluded.key_column, item_column = excluded.item_column, "
    "result_column = excluded.result_column WHERE tables.name = excluded.name RETURNING name"
)
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


def adopt(server: Server, queue: str, mapping: Mapping) -> int:
    """Make a queue of a table. Returns how many items were put; saying it again puts none twice.

    Raises:
        SourceError: there is no such table or column, or it cannot be used for that; or the queue is another
            table's already.
    """
    with server.transaction() as run:
        if "$$" in "".join((queue, mapping.table, mapping.key, mapping.item or "", mapping.result or "")):
            raise SourceError(f"{server.shown}: expected names without $$, which ends the body of a function")
        names = run(_NAMED, (mapping.table,))
        if not names:
            raise SourceError(f"{server.shown}: expected a table {mapping.table}, got none")
        ((name,),) = names
        run("SET LOCAL search_path = pg_catalog, pg_temp")  # so that types are named with their schemas
        columns = [_Column(*row) for row in run(statement("columns"), {"name": name})]
        key, result = _checked(server.shown, mapping, columns)
        if not run(_ADOPTED, (queue, name, mapping.key, mapping.item, mapping.result)):
            raise SourceError(f"{server.shown}: expected one table for the queue, got a second one, {name}")
        before = _count(run, queue)
        about = _about(queue, name, mapping)
        run(_filled("adopt", about))
        if result is not None:
            sql = psycopg_3().sql
            value = {"value": sql.SQL(_VALUES[result.type]), "type": sql.SQL(key.type)}
            run(_filled("adopt_result", about | value | {"column": sql.Identifier(result.name)}))
        return _count(run, queue) - before


def _count(run: Any, queue: str) -> int:
    ((count,),) = run("SELECT count(*) FROM pullahead.items WHERE queue = %s", (queue,))
    return int(count)


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
    ours = sha256(queue.encode()).hexdigest()[:16]  # a name has 63 bytes, and a queue's is somebody else's
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
        "put": sql.Identifier(f"put_{ours}"),
        "drop": sql.Identifier(f"drop_{ours}"),
        "return": sql.Identifier(f"return_{ours}"),
    }


def _filled(name: str, about: dict[str, Any]) -> Any:
    return psycopg_3().sql.SQL(statement(name)).format(**about)
