"""Pickled values with what they carry.

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
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, final

from pullahead.actors import failures, serial

if TYPE_CHECKING:
    from pullahead.actors.local.objects import LocalRef

T = TypeVar("T")

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
    (data, buffers), refs = _collect(serial.dumps, value, by_value)
    return Payload(data, [buffer.raw() for buffer in buffers] if buffers else (), refs)


def loads(payload: Payload) -> Any:
    """Unpickle a value."""
    if payload.plain:
        return loads_plain(payload.data)
    if payload.buffers:
        return pickle.loads(payload.data, buffers=payload.buffers)
    return pickle.loads(payload.data)


def dumps_error(error: BaseException) -> Payload:
    """Pickle an exception and collect the refs in it; see `pullahead.actors.failures`."""
    data, refs = _collect(failures.dumps_error, error)
    return Payload(data, (), refs)


def loads_error(payload: Payload) -> BaseException:
    """Rebuild an exception, a new one each time."""
    return failures.loads_error(payload.data)


def _collect(pickler: Callable[..., T], *args: Any) -> tuple[T, Sequence[LocalRef]]:
    """Call the pickler. Returns what it returned, and the refs that it met."""
    refs: list[LocalRef] = []
    outer, _collecting.refs = _collecting.refs, refs
    try:
        made = pickler(*args)
    finally:
        _collecting.refs = outer
    if refs:  # a second attempt at pickling has met them again
        refs = list(dict.fromkeys(refs))
        for ref in refs:
            ref.keep()  # here, in the user's thread: the thread that reads must not pickle what users made
    return made, refs
