"""The tables: made, brought up to date, and checked. Migrations are files, applied by their numbers."""

from __future__ import annotations

from contextlib import suppress
from importlib import resources
from typing import Final, NamedTuple

from pullahead.errors import SourceError
from pullahead.sources.postgresql.server import NoTable, Server, Statement, statement


class Migration(NamedTuple):
    """A file of `sql/migrations`: 0001_items.sql is number 1, items."""

    version: int
    name: str
    text: str


def _migrations() -> list[Migration]:
    folder = resources.files("pullahead.sources.postgresql").joinpath("sql", "migrations")
    found = []
    for file in folder.iterdir():
        number, _, name = file.name.removesuffix(".sql").partition("_")
        if file.name.endswith(".sql"):
            found.append(Migration(int(number), name, file.read_text()))
    return sorted(found)


#: The version that this code needs.
VERSION: Final = max(one.version for one in _migrations())

_APPLIED: Final = "INSERT INTO pullahead.migrations (version, name) VALUES (%s, %s)"


def migrate(server: Server) -> tuple[int, int]:
    """Bring the tables up to date, in one transaction. Returns the versions before and after.

    Raises:
        SourceError: it cannot be done; then nothing was. Or they are newer than this code.
    """
    with suppress(NoTable):  # who may not make a schema may still say `init` where nothing is to be done
        if version(server) == VERSION:
            return VERSION, VERSION
    with server.transaction() as run:
        run(statement("prepare"))  # after which nobody else migrates until we have
        ((before,),) = run(statement("version"))
        _refuse_newer(server, before)
        for one in _migrations():
            if one.version > before:
                run(one.text)
                run(_APPLIED, (one.version, one.name))
    return before, VERSION


def version(server: Server) -> int:
    """Return the version of the tables. Raises `NoTable` where there are none."""
    (((found,),),) = server.ask([Statement("version", {})])
    return int(found)


def check(server: Server) -> None:
    """Raise SourceError unless the tables are those that this code needs."""
    found = version(server)
    _refuse_newer(server, found)
    if found < VERSION:
        raise SourceError(
            f"{server.shown}: expected tables of version {VERSION}, got {found}; "
            f"bring them up to date with: pullahead queue init '{server.shown}'"
        )


def _refuse_newer(server: Server, found: int) -> None:
    if found > VERSION:
        raise SourceError(
            f"{server.shown}: expected tables of version {VERSION}, got {found}, "
            "which a newer pullahead has made"
        )
