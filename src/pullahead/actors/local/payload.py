"""Pickled values with what they carry, and errors that keep their type.

While a value is pickled, the refs in it are collected: whoever sends the bytes tells the owners. A ref
that is pickled outside of this, by a user's own `pickle.dumps`, is pinned, because nobody will ever say
that the copy is gone.

Numbers, strings, bytes, None, and tuples of them as arguments are not pickled but marshalled, which costs a
tenth of it, with nothing to collect and nothing to look for. Only by exact type: marshal would take an array
for bytes without a word.
"""

from __future__ import annotations

import marshal
import pickle
import threading
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, final

from pullahead.actors import serial
from pullahead.errors import RemoteError, RemoteTraceback

if TYPE_CHECKING:
    from pullahead.actors.local.objects import LocalRef

__all__ = [
    "PLAIN",
    "Payload",
    "dumps",
    "dumps_error",
    "dumps_plain",
    "loads",
    "loads_error",
    "loads_plain",
    "note_ref",
]


PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None)})
"""The types that marshal brings back exactly as they were."""

dumps_plain, loads_plain = marshal.dumps, marshal.loads


@final
class Payload:
    """A pickled value: its stream, the buffers left out of it, the refs inside it."""

    __slots__ = ("buffers", "data", "plain", "refs", "shared")

    def __init__(
        self,
        data: bytes | memoryview,
        buffers: Sequence[memoryview] = (),
        refs: Sequence[LocalRef] = (),
        shared: Any = None,
        plain: bool = False,
    ) -> None:
        self.data, self.buffers, self.refs, self.shared, self.plain = data, buffers, refs, shared, plain


class _Collecting(threading.local):
    refs: list[Any] | None = None


_collecting = _Collecting()


def note_ref(ref: LocalRef) -> bool:
    """Remember a ref that is being pickled; False if nobody collects."""
    if _collecting.refs is None:
        return False
    _collecting.refs.append(ref)
    return True


def dumps(value: Any, by_value: bool = False) -> Payload:
    """Pickle a value and collect the refs in it. For `by_value`, see `pullahead.actors.serial.dumps`."""
    refs: list[LocalRef] = []
    outer, _collecting.refs = _collecting.refs, refs
    try:
        data, buffers = serial.dumps(value, by_value)
    finally:
        _collecting.refs = outer
    if refs:  # a second attempt at pickling has met them again
        refs = list(dict.fromkeys(refs))
        for ref in refs:
            ref.keep()  # here, in the user's thread: the thread that reads must not pickle what users made
    return Payload(data, [buffer.raw() for buffer in buffers] if buffers else (), refs)


def loads(payload: Payload) -> Any:
    """Unpickle a value."""
    if payload.plain:
        return loads_plain(payload.data)
    if payload.buffers:
        return pickle.loads(payload.data, buffers=payload.buffers)
    return pickle.loads(payload.data)


def dumps_error(error: BaseException) -> Payload:
    """Pickle an exception; as text if it does not survive the way to another process and back."""
    text = _history(error)
    summary = "".join(traceback.format_exception_only(error)).strip()
    packed: bytes | None
    refs: Sequence[LocalRef] = ()
    try:
        inner = dumps(error)
        packed, refs = bytes(inner.data), inner.refs
        if inner.buffers or type(pickle.loads(packed)) is not type(error):
            packed = None
    except Exception:  # noqa: BLE001  whatever the user's own pickling raises: the text still travels
        packed = None
    return Payload(pickle.dumps((packed, summary, text), 5), (), refs)


def _history(error: BaseException) -> str:
    if error.__traceback__ is not None:
        return "".join(traceback.format_exception(error))
    # Passed on by a process that did not raise it: an argument of a call was an error.
    return error.__cause__.text if isinstance(error.__cause__, RemoteTraceback) else ""


def loads_error(payload: Payload) -> BaseException:
    """Rebuild an exception, a new one each time; where it came from is its cause."""
    packed, summary, text = pickle.loads(payload.data)
    error: BaseException
    try:
        if packed is None:
            raise TypeError("it was sent as text")
        error = pickle.loads(packed)
        if not isinstance(error, BaseException):
            raise TypeError("it came back as something else")
    except Exception:  # noqa: BLE001  its class may be missing here, or refuse its own arguments
        return RemoteError(f"{summary}\n\n{text}" if text else summary)
    if text:
        error.__cause__ = RemoteTraceback(text)
    return error
