"""Where the items of `pullahead run` come from: the arguments, a file, standard input or a live queue, and
only one of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from pullahead.cli.ending import Refused
from pullahead.sources import is_address, jsonl, lines, open_source

#: Files with these endings hold one JSON value per line; all others one text per line.
JSON_SUFFIXES: Final = (".jsonl", ".ndjson")

_PLACES: Final = "as arguments, with --from FILE, or piped to standard input"


def choose_items(arguments: Sequence[str], file: str | None) -> tuple[Any, str]:
    """Find the items.

    Args:
        arguments: the INPUTs of the command line; ("-",) is standard input.
        file: what came with `--from`; "-" is standard input, and an address is that of a live queue.

    Returns:
        The items, as an iterable or a source, and the name of the place that they come from.

    Raises:
        Refused: items from nowhere, or from more than one place; a file that cannot be read, an address that
            nobody understands.
        SourceError: the live queue cannot be used.
    """
    if arguments and file is not None:
        raise Refused(f"expected items from one place, got {_count(arguments)} and --from {file}")
    if len(arguments) > 1 and "-" in arguments:
        raise Refused(f"expected items from one place, got {_count(arguments)}, one of them '-'")
    if arguments and arguments[0] != "-":
        return list(arguments), "the arguments"
    if not arguments and file is None and _at_a_terminal():
        raise Refused(f"expected items {_PLACES}, got none")
    if file is not None and is_address(file):
        return _open_queue(file)
    return _open(file or "-")


def _open_queue(address: str) -> tuple[Any, str]:
    try:
        queue: Any = open_source(address)
    except (ValueError, ImportError) as error:
        raise Refused(f"--from: {error}") from error
    return queue, queue.name


def _open(file: str) -> tuple[Iterable[Any], str]:
    if file == "-" and sys.stdin is None:
        raise Refused(f"expected items {_PLACES}, but standard input is closed")
    try:
        source = jsonl(file) if Path(file).suffix.lower() in JSON_SUFFIXES else lines(file)
    except OSError as error:
        raise Refused(f"cannot read {file!r}: {error.strerror or error}") from error
    return source, source.name


def _count(arguments: Sequence[str]) -> str:
    return f"{len(arguments)} argument{'' if len(arguments) == 1 else 's'}"


def _at_a_terminal() -> bool:
    try:
        return sys.stdin is None or sys.stdin.isatty()
    except ValueError:  # closed
        return True
