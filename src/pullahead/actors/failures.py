"""Exceptions on their way between processes: with their own type if they survive it, as text if not.

Many exceptions pickle and do not unpickle, because their constructor wants other arguments than those that
they keep. Those are rebuilt without their constructor, from what they keep. What does not survive that either
is found out by the sender, where the traceback still is.
"""

from __future__ import annotations

import pickle
import traceback
from pathlib import Path
from typing import Any, Final, TypeVar

from pullahead.actors import serial
from pullahead.errors import RemoteError, RemoteTraceback

__all__ = ["describe_error", "dumps_error", "loads_error", "without_our_frames"]

_OURS: Final = str(Path(__file__).parent)
_Error = TypeVar("_Error", bound=BaseException)


def without_our_frames(error: _Error) -> _Error:
    """Take the engine's frames off the top of an error's traceback: users have nothing to see there."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    return error.with_traceback(trace)


def dumps_error(error: BaseException) -> bytes:
    """Pickle an exception and where it was raised."""
    summary = "".join(traceback.format_exception_only(error)).strip()
    packed = _surviving(error)
    return pickle.dumps((packed, summary, _history(error)), 5)


def loads_error(data: bytes | memoryview) -> BaseException:
    """Rebuild an exception, a new one each time; where it came from is its cause."""
    packed, summary, text = pickle.loads(data)
    error: BaseException
    try:
        error = RemoteError(summary) if packed is None else _loads(packed)
        if not isinstance(error, BaseException):
            error = RemoteError(summary)
    except Exception:  # noqa: BLE001  its class may be missing here
        error = RemoteError(summary)
    if text:
        error.__cause__ = RemoteTraceback(text)
    return error


def describe_error(data: bytes | memoryview) -> tuple[str, str]:
    """Return a dumped exception in a line, and where it was raised, without making it."""
    _, summary, text = pickle.loads(data)
    return summary, text


def _surviving(error: BaseException) -> bytes | None:
    """Pickle an error so that it comes back as what it was; None if that cannot be."""
    try:
        packed, _ = serial.dumps(error, out_of_band=False)
    except Exception:  # noqa: BLE001  whatever the user's own pickling raises: the text still travels
        return None
    try:
        return packed if type(_loads(packed)) is type(error) else None
    except Exception:  # noqa: BLE001  its constructor wants something else
        rebuilt = (_rebuild, type(error), error.args, error.__dict__)
    try:
        packed, _ = serial.dumps(rebuilt, out_of_band=False)
        return packed if type(_loads(packed)) is type(error) else None
    except Exception:  # noqa: BLE001
        return None


def _loads(packed: bytes) -> Any:
    loaded = pickle.loads(packed)
    return loaded[0](*loaded[1:]) if isinstance(loaded, tuple) else loaded


def _rebuild(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    """Make an exception of what it keeps."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


def _history(error: BaseException) -> str:
    if error.__traceback__ is not None:
        return "".join(traceback.format_exception(error))
    # Passed on by a process that did not raise it: an argument of a call was an error.
    return error.__cause__.text if isinstance(error.__cause__, RemoteTraceback) else ""
