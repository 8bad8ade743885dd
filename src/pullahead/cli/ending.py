"""How a command ends: one line on standard error, and an exit code."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

OK: Final = 0
FAILED: Final = 1  # some items, or the run
USAGE: Final = 2
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells show it
NO_READER: Final = 141  # 128 + SIGPIPE, the same

#: A line that a person reads to its end.
LONGEST_LINE: Final = 500

_OURS: Final = str(Path(__file__).parents[1]) + os.sep
_FRAME: Final = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')


class Refused(Exception):  # noqa: N818  it is not an error of ours: the usage is
    """Wrong usage. The message is the line that is shown."""


def ending(command: Callable[[], Any]) -> int:
    """Run a command and return its exit code, having said what went wrong."""
    try:
        code = command()
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "pullahead"
        say(f"{error.format_message().rstrip('.')}; see '{path} --help'", path)
        return USAGE
    except click.ClickException as error:
        say(error.format_message())
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        return no_reader()
    return code if isinstance(code, int) else OK


def say(line: str, who: str = "pullahead") -> None:
    """Write one line to standard error, if anybody is there."""
    try:
        print(f"{who}: {one_line(line)}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        quiet(2)


def no_reader() -> int:
    """The reader of our output has gone, as `head` does: that is nobody's mistake and needs no words."""
    quiet(1)
    return NO_READER


def quiet(descriptor: int) -> None:
    """Let what is still buffered go nowhere, so that the interpreter does not complain when it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def one_line(text: str) -> str:
    """Fold a text into one line of readable length."""
    folded = " ".join(text.split())
    return folded if len(folded) <= LONGEST_LINE else folded[: LONGEST_LINE - 1] + "…"


def tell(error: BaseException) -> str:
    """An error as one line: its type, its message, its notes, and where in the user's code it came from."""
    from pullahead.sources.encode import type_name

    message = with_notes(error)
    return f"{type_name(error)}{': ' if str(error) else ''}{message}{_remote_place(error)}"


def with_notes(error: BaseException) -> str:
    """The message of an error, and its notes."""
    return str(error) + "".join(f" ({note})" for note in getattr(error, "__notes__", ()))


def _remote_place(error: BaseException) -> str:
    """Where in the user's code it was raised in the other process, which the text of its cause knows."""
    found = _FRAME.finditer(getattr(error.__cause__, "text", ""))
    frames = [frame for frame in found if not frame["file"].startswith(_OURS)]
    return f" [{frames[-1]['file']}, line {frames[-1]['line']}]" if frames else ""
