"""A sink that writes one line of JSON for each item.

::

    {"item": "a.txt", "result": {"words": 120}}
    {"item": "b.txt", "error": {"type": "ValueError", "message": "no words", "attempts": 1}}

The rules.

1. A line is with the operating system when the call returns: what was written survives the process.
2. JSON as the standard has it. A result that JSON cannot hold raises `ResultError`, and no line is written.
3. A file that exists is refused unless asked otherwise, because results are expensive. What is no regular
   file (a pipe, /dev/null) cannot be lost and is never refused. An `overwrite` empties the file with the
   first line, not before: a run that fails to start leaves the old results where they were, and leaves no
   empty file either.
4. When appending to a file that ends in half a line, the half line is ended first.
5. With a journal, a file goes on where the journal says that it was, and what was written after that is cut
   off: its lines are written again. `continue` is for that; a file of which no journal knows is refused.
"""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import IO, Any, Final, Literal, Self, final

from pullahead.errors import SourceError
from pullahead.sources.encode import encode, type_name
from pullahead.sources.sink import is_failure

Mode = Literal["refuse", "append", "overwrite", "continue"]
MODES: Final = ("refuse", "append", "overwrite", "continue")


@final
class JsonlSink:
    """Writes each item with its result, or its error, as one line of JSON.

    Args:
        target: a path, or a stream that is open for writing (text or binary). A stream is left open.
        mode: what to do when the file exists: "refuse" it, "append" to it, "overwrite" it, or "continue" it
            if the journal of the run knows it, and refuse it otherwise.
        name: what a journal calls it: usually its path. A stream without one is handed all results by each
            run with the same journal.

    Raises:
        FileExistsError: the file exists, and mode is "refuse".
        OSError: it cannot be opened for writing.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | IO[str] | IO[bytes],
        mode: Mode = "refuse",
        *,
        name: str | None = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"expected mode to be one of {', '.join(MODES)}, got {mode!r}")
        self._stream: IO[Any] | None = None
        self._path: Path | None = None
        self._created = self._truncate = self._appends = False
        self._mode = mode
        self.name = name or ""
        self.written = 0  # lines
        if isinstance(target, str | os.PathLike):
            self._path = Path(target)
            self.name = name or str(self._path.absolute())
            if mode != "continue":
                self._open(self._path, mode)
        elif hasattr(target, "write"):
            self._stream = target
        else:
            kind = type(target).__qualname__
            raise TypeError(f"expected a path or a stream that is open for writing, got {kind}")

    def __call__(self, result: Any, item: Any) -> None:
        """Write one line.

        Raises:
            ResultError: JSON cannot hold the result, or the item. Nothing was written.
        """
        if is_failure(result):
            self.write_error(item, result.error, result.attempts)
        else:
            self._write({"item": item, "result": result}, item)

    def write_error(self, item: Any, error: BaseException, attempts: int = 1) -> None:
        """Write the line of an item that has failed."""
        told = {"type": type_name(error), "message": str(error), "attempts": attempts}
        self._write({"item": item, "error": told}, item)

    def resume(self, size: int | None) -> bool:
        """Go on where a journal says that this file was. See `ResumableSink`.

        Raises:
            FileExistsError: the file exists, the journal does not know it, and mode is "continue".
            SourceError: the file is shorter than the journal says.
            OSError: it cannot be opened for writing.
        """
        if self._path is None:
            return True  # of a stream, nothing can be taken back
        known = size is not None and self._mode in ("append", "continue")
        if known:
            _cut(self._path, size or 0)
        if self._stream is None:
            self._open(self._path, "append" if known or _is_empty(self._path) else "refuse")
        return known

    def checkpoint(self) -> int | None:
        """Return the size of the file, all of it on disk now; None for a stream, or what will be emptied.

        Raises:
            OSError: the file could not be written, or was closed.
        """
        if self._path is None:
            return None
        if self._stream is None:
            raise OSError(f"the sink {str(self._path)!r} is closed")
        if not _is_regular(self._path) or self._truncate:  # then nothing of what is there counts
            return None
        self._stream.flush()
        os.fsync(self._stream.fileno())
        return os.fstat(self._stream.fileno()).st_size

    def flush(self) -> None:
        """Hand everything written to the operating system. Each line already does."""
        if self._stream is not None and hasattr(self._stream, "flush"):
            self._stream.flush()

    def close(self) -> None:
        """Close the file; a stream that was handed in is flushed and left open. May be called twice."""
        if self._path is None:
            self.flush()
        elif self._stream is not None:
            stream, self._stream = self._stream, None
            with stream:
                if self._truncate:
                    self._begin(stream)

    def discard(self) -> None:
        """Close as if this sink had never been made, when nothing has been written."""
        if self._path is not None and self._stream is not None and not self.written:
            self._truncate = False
            self.close()
            if self._created:
                self._path.unlink(missing_ok=True)
        else:
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        if getattr(self, "_path", None) is not None:  # a constructor that raised has none
            self.discard()

    def _open(self, path: Path, mode: Mode) -> None:
        regular = _is_regular(path)
        if mode == "refuse" and regular:
            raise FileExistsError(
                f"the file {str(path)!r} exists; append to it, overwrite it, or name another"
            )
        self._created = regular is None
        self._stream = path.open("xb" if mode == "refuse" and self._created else "ab")
        self._truncate = mode == "overwrite" and bool(regular)
        self._appends = mode == "append" and bool(regular)

    def _begin(self, stream: IO[Any]) -> None:
        """Before the first line: empty the file, or end the half line in it."""
        if self._truncate:
            stream.truncate(0)
        elif self._appends and self._path is not None and not _ends_a_line(self._path):
            stream.write(b"\n")
        self._truncate = self._appends = False

    def _write(self, record: dict[str, Any], item: Any) -> None:
        line = encode(record, item)
        if self._stream is None and self._path is not None and self._mode == "continue" and not self.written:
            self._open(self._path, "refuse")  # there is no journal
        if self._stream is None:
            raise ValueError(f"the sink {str(self._path)!r} is closed")
        try:
            self._begin(self._stream)
            self._stream.write(line.decode() if _is_text(self._stream) else line)
            self.flush()
        except OSError:
            self._give_up()
            raise
        self.written += 1

    def _give_up(self) -> None:
        """The disk is full, or the reader has gone: closing must not try again and fail again."""
        if self._path is not None and isinstance(self._stream, io.BufferedWriter):
            self._stream.raw.close()
            self._stream = None


def _cut(path: Path, size: int) -> None:
    """Cut off what was written after a file had this size."""
    had = path.stat().st_size if path.exists() else None
    if had is None or had < size:
        raise SourceError(
            f"expected {str(path)!r} with the {size:,} bytes that the journal says were written, found "
            f"{'no file' if had is None else f'{had:,}'}; overwrite it to have all results written again"
        )
    os.truncate(path, size)


def _is_regular(path: Path) -> bool | None:
    """Whether a regular file is there; None if nothing is."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return None


def _is_empty(path: Path) -> bool:
    """Whether a file is there that has nothing to lose: of a run that died before its first result, say."""
    return bool(_is_regular(path)) and not path.stat().st_size


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as stream:
        if stream.seek(0, os.SEEK_END) == 0:
            return True
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"


def _is_text(stream: IO[Any]) -> bool:
    return hasattr(stream, "encoding")
