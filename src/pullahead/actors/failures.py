"""Exceptions on their way between processes: with their own type if they survive it, as text if not.

Many exceptions pickle and do not unpickle, because their constructor wants other arguments than those that
they keep. That is found out by the sender, where the traceback still is.
"""

from __future__ import annotations

import pickle
import traceback

from pullahead.actors import serial
from pullahead.errors import RemoteError, RemoteTraceback

__all__ = ["dumps_error", "loads_error"]


def dumps_error(error: BaseException) -> bytes:
    """Pickle an exception and where it was raised."""
    summary = "".join(traceback.format_exception_only(error)).strip()
    packed: bytes | None
    try:
        packed, _ = serial.dumps(error, out_of_band=False)
        if type(pickle.loads(packed)) is not type(error):
            packed = None
    except Exception:  # noqa: BLE001  whatever the user's own pickling raises: the text still travels
        packed = None
    return pickle.dumps((packed, summary, _history(error)), 5)


def loads_error(data: bytes | memoryview) -> BaseException:
    """Rebuild an exception, a new one each time; where it came from is its cause."""
    packed, summary, text = pickle.loads(data)
    error: BaseException
    try:
        error = RemoteError(summary) if packed is None else pickle.loads(packed)
        if not isinstance(error, BaseException):
            error = RemoteError(summary)
    except Exception:  # noqa: BLE001  its class may be missing here
        error = RemoteError(summary)
    if text:
        error.__cause__ = RemoteTraceback(text)
    return error


def _history(error: BaseException) -> str:
    if error.__traceback__ is not None:
        return "".join(traceback.format_exception(error))
    # Passed on by a process that did not raise it: an argument of a call was an error.
    return error.__cause__.text if isinstance(error.__cause__, RemoteTraceback) else ""
