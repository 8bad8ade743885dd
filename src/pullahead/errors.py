"""Every error that Pullahead raises, sorted by who can do something about it.

::

    PullaheadError
    ├── you did it             TypeError and ValueError for a wrong call, and
    │   ├── SourceError        an item that cannot be read: says which line
    │   └── ResultError        a result that the sink cannot hold
    ├── the world did it
    │   ├── ActorDiedError     a process ended: who, pid, exit code or signal
    │   ├── GetTimeoutError    `get(timeout=)` ran out; also a TimeoutError
    │   ├── ObjectLostError    the process that owned a value is gone
    │   ├── JournalError       a journal that cannot be read, written or gone on with
    │   ├── RemoteError        an exception that could not be pickled, as text
    │   └── RunError           a run that cannot go on: what is lost, what is safe
    └── we have a bug
        └── ProtocolError      something that the tables say cannot happen

An exception raised by user code keeps its own type; `RemoteTraceback` is its cause and shows where
in the other process it came from.
"""

from __future__ import annotations

import signal
from typing import Any

__all__ = [
    "ActorDiedError",
    "GetTimeoutError",
    "JournalError",
    "ObjectLostError",
    "ProtocolError",
    "PullaheadError",
    "RemoteError",
    "RemoteTraceback",
    "ResultError",
    "RunError",
    "SourceError",
]


class PullaheadError(Exception):
    """The base of every error that Pullahead itself raises."""


class SourceError(PullaheadError):
    """An item could not be read from its source."""


class ResultError(PullaheadError):
    """A result could not be written by its sink."""


class ActorDiedError(PullaheadError):
    """The process of an actor ended while calls to it were pending, or before a call was made.

    Args:
        actor: the actor's class name, with its registered name if it has one.
        pid: its process id, or None if it never had one.
        exitcode: its exit code, or minus the number of the signal that ended it (as in
            `subprocess.Popen.returncode`), or None when unknown.
        detail: one more fact, such as "by kill()".

    Attributes:
        note: what the actor had written into its `pullahead.actors.notepad()`, and the mark beside it, if the
            engine could still tell.
        overdue: which of the timers of its notepad had run for longer than its `time_limit`, and what that
            one stood for; None if that is not why it ended.
    """

    note: tuple[bytes, int] | None = None
    overdue: tuple[int, int] | None = None

    def __init__(
        self, actor: str, pid: int | None = None, exitcode: int | None = None, detail: str = ""
    ) -> None:
        super().__init__(actor, pid, exitcode, detail)
        self.actor, self.pid, self.exitcode, self.detail = actor, pid, exitcode, detail

    def __str__(self) -> str:
        where = "" if self.pid is None else f" (pid {self.pid})"
        why = f", {self.detail}" if self.detail else ""
        return f"actor {self.actor}{where} died: {describe_exit(self.exitcode)}{why}"


def describe_exit(exitcode: int | None) -> str:
    """Say an exit code the way a person would: "exit code 3", "killed by SIGKILL"."""
    if exitcode is None:
        return "its exit status is unknown"
    if exitcode >= 0:
        return f"exit code {exitcode}"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = f"signal {-exitcode}"
    return f"killed by {name}"


class ItemTimeoutError(PullaheadError, TimeoutError):
    """A step of an item (load, process or store) took longer than `item_timeout`. Its worker was killed."""


class GetTimeoutError(PullaheadError, TimeoutError):
    """`get(timeout=)` ran out before the value arrived. The call goes on."""


class JournalError(PullaheadError):
    """A journal cannot be read, written, or gone on with. What was recorded in it stays."""


class ObjectLostError(PullaheadError):
    """A value is gone because the process that owned it is gone."""


class RemoteError(PullaheadError):
    """An exception raised in another process that could not be pickled, so it came as text."""


class RunError(PullaheadError):
    """A run cannot go on. The message says what is lost and what is safe."""


class ProtocolError(PullaheadError):
    """Something happened that the state tables say cannot happen: a bug in Pullahead."""


class RemoteTraceback(Exception):  # noqa: N818  a carrier for text, never raised by itself
    """The traceback of another process, shown as the cause of the exception that came from it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'

    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteTraceback, (self.text,)
