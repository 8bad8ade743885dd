"""Where the results of `pullahead run` go, and what is counted on the way.

Standard output belongs to the results: before the work is imported it is set aside, and whatever else
prints there (the work, in this process or in a worker) goes to standard error instead of into the middle
of the data.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import IO, Any, final

from pullahead.cli.ending import Refused, tell
from pullahead.errors import ResultError, SourceError
from pullahead.sources import JsonlSink, RecordSink, is_failure, open_sink
from pullahead.sources.jsonl_sink import Mode


class CannotWrite(Exception):  # noqa: N818  it ends like that in the middle of a sentence
    """The results cannot be written any more."""


class NoReader(Exception):  # noqa: N818  nobody's error: `head` has read enough
    """Whoever read our output has gone."""


def set_standard_output_aside() -> IO[Any]:
    """Return the real standard output; from now on its descriptor leads to standard error."""
    if sys.stdout is None:
        raise Refused("expected somewhere to write, but standard output is closed; use --to FILE")
    try:
        number = sys.stdout.fileno()
    except (OSError, io.UnsupportedOperation):  # replaced by something without a descriptor
        return sys.stdout
    sys.stdout.flush()
    aside = os.fdopen(os.dup(number), "wb")
    os.dup2(2, number)
    return aside


def open_queue(address: str, mode: Mode | None) -> RecordSink:
    """Open the live queue for the results.

    Raises:
        Refused: something was said of a file, or the address makes no sense.
        SourceError: it cannot be used.
    """
    if mode is not None:
        raise Refused(
            f"expected --to FILE with --{mode}, got the address of a queue, which is always added to"
        )
    try:
        return open_sink(address)
    except (ValueError, ImportError) as error:
        raise Refused(f"--to: {error}") from error


def open_results(to: str, mode: Mode, source: Any, journal: str | None) -> JsonlSink:
    """Open the file for the results.

    Raises:
        Refused: it exists, cannot be written, or is the file that the items come from, or the journal.
    """
    if _same_file(to, getattr(source, "name", "")):
        raise Refused(f"expected --to to be another file than --from, got {to!r} for both")
    if journal is not None and (Path(to).absolute() == Path(journal).absolute() or _same_file(to, journal)):
        raise Refused(f"expected --to to be another file than --journal, got {to!r} for both")
    try:
        return JsonlSink(to, mode)
    except OSError as error:
        raise cannot_write(to, error) from error


def cannot_write(to: str, error: OSError) -> Refused:
    """Say why the results cannot go there."""
    if isinstance(error, FileExistsError):
        return Refused(f"the file {to!r} exists; use --append, --overwrite, or another name")
    return Refused(f"cannot write {to!r}: {error.strerror or error}")


def _same_file(to: str, other: str) -> bool:
    try:
        return Path(to).samefile(other)
    except OSError:
        return False


@final
class Results:
    """The sink of the command line: writes lines, counts them, and remembers the first failure.

    Args:
        sink: writes the lines.
        tracebacks: print the traceback of each failure to standard error.
    """

    def __init__(self, sink: RecordSink, tracebacks: bool = False) -> None:
        self.name = sink.name
        self.checkpoint = sink.checkpoint
        self._sink = sink
        self._tracebacks = tracebacks
        self.first_failure = ""

    def resume(self, size: int | None) -> bool:
        """Go on where the journal says that the file was. See `ResumableSink`."""
        try:
            return self._sink.resume(size)
        except OSError as error:
            raise cannot_write(self._sink.name, error) from error

    def __call__(self, result: Any, item: Any) -> None:
        """Write one line."""
        try:
            self._write(result, item)
        except BrokenPipeError as error:
            raise NoReader from error
        except OSError as error:  # a full disk, say
            where = repr(self.name) if self.name else "to standard output"
            raise CannotWrite(f"cannot write {where}: {error.strerror or error}") from error
        except SourceError as error:  # a server that has gone
            raise CannotWrite(str(error)) from error

    def _write(self, result: Any, item: Any) -> None:
        if is_failure(result):
            self._fail(item, result.error, result.attempts, result.traceback)
            return
        self._sink(result, item)

    def _fail(self, item: Any, error: BaseException, attempts: int, traceback: str) -> None:
        self._sink.write_error(item, error, attempts)
        if not self.first_failure:
            named = "" if isinstance(error, ResultError) else f"item {item!r}: "
            self.first_failure = f"{named}{tell(error)}"
        if self._tracebacks and traceback:
            print(f"item {item!r}, attempt {attempts}:\n{traceback.rstrip()}", file=sys.stderr, flush=True)
