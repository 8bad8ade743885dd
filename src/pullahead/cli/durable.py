"""What the command line says about the journal of a run, as options of `pullahead.Pool`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

#: The whole item, as a key.
WHOLE = "."


def durable(
    journal: str | None,
    key: str | None,
    version: str | None,
    synchronous: str | None,
    retry_failed: bool,
) -> dict[str, Any]:
    """Return the options.

    Raises:
        click.UsageError: something is said of a journal, and there is none.
    """
    if journal is None:
        said = {
            "--key": key,
            "--work-version": version,
            "--synchronous": synchronous,
            "--retry-failed": retry_failed or None,
        }
        for name, value in said.items():
            if value is not None:
                raise click.UsageError(f"expected --journal DB with {name}, got none")
        return {}
    from pullahead.journal import Journal

    how = {"synchronous": synchronous} if synchronous is not None else {}
    chosen = Journal(path=journal, version=version, retry_failed=retry_failed, **how)  # type: ignore[arg-type]
    return {"journal": chosen} | ({} if key is None else {"key": partial(field_of, key)})


def field_of(name: str, item: Any) -> Any:
    """Return a field of an item, or the item if the name is that of the whole.

    Raises:
        SourceError: the item has no such field.
    """
    if name == WHOLE:
        return item
    name = name.removeprefix(".")
    try:
        return item[name]
    except (TypeError, KeyError):
        from pullahead.errors import SourceError
        from pullahead.farm.failure import brief

        raise SourceError(f"expected items with a field {name!r}, as --key says, got {brief(item)}") from None
