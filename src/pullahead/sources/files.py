"""Items from files: their paths, their lines, their JSON values.

The rules.

1. A file is UTF-8 text, one item per line, lines end in "\\n" or "\\r\\n", a byte order mark is no part
   of the first item. What is not UTF-8 or not JSON raises `SourceError` as "FILE, line 17: …", at its
   place: the items before it are handed out first. Nothing is guessed, skipped or repaired.
2. In text an empty line is an item, "": what looks like nothing may be a file name to somebody. In JSONL
   a blank line is no value, and is skipped.
3. Files are opened when they are iterated and closed at their end, and can be iterated again. That they
   exist and can be read is checked at once, so that a typing error costs no start of workers.
4. "-" is standard input. It is read through a reader of our own, because a thread that waits in
   `sys.stdin` at the end of the program takes the interpreter down with it.
"""

from __future__ import annotations

import codecs
import glob
import io
import json
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any, Final, final

from pullahead.errors import SourceError

#: Files up to this size are counted for `len`-hints (progress, time left): 64 MiB take about 30 ms.
COUNTED_BYTES: Final = 64 * 2**20


def paths(where: str | os.PathLike[str], *, recursive: bool = False, hidden: bool = False) -> list[Path]:
    """List files, sorted by path.

    Args:
        where: a folder, one file, or a pattern such as "scans/*.tif" ("**" needs `recursive`).
        recursive: look into the folders below as well.
        hidden: list files and folders whose name begins with a dot, too.

    Returns:
        The paths, as they would be written relative to where the program runs if `where` was. A pattern that
        matches nothing gives an empty list.

    Raises:
        FileNotFoundError: `where` is no pattern and does not exist.
    """
    text = os.fspath(where)
    if not os.path.lexists(text):
        if not glob.has_magic(text):
            raise FileNotFoundError(f"expected a folder, a file or a pattern, found nothing at {text!r}")
        pattern = text
    elif Path(text).is_dir():
        pattern = str(Path(glob.escape(text), "**" if recursive else "*"))
    else:
        return [Path(text)]
    found = glob.iglob(pattern, recursive=recursive, include_hidden=hidden)  # noqa: PTH207  absolute patterns
    return sorted(path for path in map(Path, found) if path.is_file())


def lines(source: str | os.PathLike[str] | IO[str] | IO[bytes]) -> Lines:
    """Read text, one item per line, without the line's end.

    Args:
        source: a path, an open file (text or binary), or "-" for standard input.

    Raises:
        OSError: the file does not exist or cannot be read (at once).
        SourceError: bytes that are not UTF-8 (when they are reached).
    """
    return Lines(source)


def jsonl(source: str | os.PathLike[str] | IO[str] | IO[bytes]) -> JsonLines:
    """Read JSON values, one per line; blank lines are skipped.

    Args:
        source: a path, an open file (text or binary), or "-" for standard input.

    Raises:
        OSError: the file does not exist or cannot be read (at once).
        SourceError: bytes that are not UTF-8, text that is not JSON (when they are reached).
    """
    return JsonLines(source)


class _File:
    """A file, or a stream, as numbered lines of bytes or text."""

    def __init__(self, source: str | os.PathLike[str] | IO[str] | IO[bytes]) -> None:
        self._source = source
        self._total: int | None = None
        if isinstance(source, str | os.PathLike):
            self.name = "standard input" if source == "-" else os.fspath(source)
            if source != "-":
                _check_readable(self.name)
        else:
            self.name = str(getattr(source, "name", "the stream"))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def __length_hint__(self) -> int:
        if self._total is None:
            self._total = self._count()
        return NotImplemented if self._total < 0 else self._total

    def _count(self) -> int:
        if not isinstance(self._source, str | os.PathLike) or self._source == "-":
            return -1
        facts = Path(self._source).stat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > COUNTED_BYTES:
            return -1
        with Path(self._source).open("rb") as stream:
            return sum(1 for line in stream if self._is_item(line))

    def _is_item(self, line: bytes) -> bool:  # noqa: ARG002
        return True

    def _numbered(self) -> Iterator[tuple[int, str]]:
        with self._open() as stream:
            for number, raw in enumerate(stream, 1):
                text = raw if isinstance(raw, str) else self._decode(raw, number)
                yield number, text.removesuffix("\n").removesuffix("\r")

    def _open(self) -> AbstractContextManager[Iterable[str | bytes]]:
        if not isinstance(self._source, str | os.PathLike):
            return nullcontext(self._source)
        return _standard_input() if self._source == "-" else Path(self._source).open("rb")

    def _decode(self, raw: bytes, number: int) -> str:
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            found = f"byte 0x{raw[error.start]:02x} at column {error.start + 1}"
            raise SourceError(f"{self.name}, line {number}: expected UTF-8 text, got {found}") from None


@final
class Lines(_File):
    """The lines of a text, as `lines` reads them."""

    def __iter__(self) -> Iterator[str]:
        return (text for _, text in self._numbered())


@final
class JsonLines(_File):
    """The JSON values of a text, as `jsonl` reads them."""

    def __iter__(self) -> Iterator[Any]:
        for number, text in self._numbered():
            if text.strip():
                yield self._parse(text, number)

    def _is_item(self, line: bytes) -> bool:
        return bool(line.strip())

    def _parse(self, text: str, number: int) -> Any:
        try:
            return json.loads(text, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            got = f"{_shorten(text)} ({error.msg} at column {error.colno})"
        except ValueError as error:
            got = str(error)
        except RecursionError:
            got = "a value nested too deeply"
        raise SourceError(f"{self.name}, line {number}: expected a JSON value, got {got}")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name}, which JSON does not have")


def _shorten(text: str, limit: int = 40) -> str:
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")


def _check_readable(path: str) -> None:
    """Raise what opening would raise, without opening: a pipe can only be opened once."""
    facts = os.stat(path)  # noqa: PTH116  raises the right OSError, with the name
    if stat.S_ISDIR(facts.st_mode):
        raise IsADirectoryError(
            f"expected a file, got the folder {path!r}; for its files use paths({path!r})"
        )
    if not os.access(path, os.R_OK):
        raise PermissionError(f"no permission to read {path!r}")


def _standard_input() -> AbstractContextManager[Iterable[str | bytes]]:
    if sys.stdin is None:
        raise OSError("standard input is closed")
    try:
        number = sys.stdin.fileno()
    except (OSError, io.UnsupportedOperation):  # replaced by something without a descriptor
        return nullcontext(sys.stdin)
    return open(number, "rb", closefd=False)
