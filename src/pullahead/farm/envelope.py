"""Messages as bytes, which every engine carries fastest, where they are numbers, texts and bytes.

Marshalled, not pickled: that takes a third of the time, and an argument of bytes costs Ray half of what a
list does. What marshal cannot write (sums, spans, large payloads, refs) travels as it is.
Marshal takes whatever has a buffer for bytes without a word, so no message may hold a number of NumPy's, say.

The results of a report are bytes by themselves within it: the queue, which only passes them on, opens the
report and not them.
"""

from __future__ import annotations

import marshal
from typing import Any, Final

from pullahead.core.messages import Message

__all__ = ["Sealed", "enclosed", "opened", "sealed", "taken_out"]

Sealed = bytes | list[Message]

#: Of marshal's formats the last one that does not look for what is there twice.
_VERSION: Final = 2
_open: Final = marshal.loads


def sealed(messages: list[Message]) -> Sealed:
    """Return what is sent."""
    try:
        return marshal.dumps(messages, _VERSION)
    except ValueError:
        return messages


def enclosed(results: list[Any]) -> bytes | list[Any]:
    """Return results as they travel within a report: nobody on the way needs to know them one by one."""
    try:
        return marshal.dumps(results, _VERSION)
    except ValueError:
        return results


def taken_out(results: bytes | list[Any]) -> list[Any]:
    """Return the results of a report."""
    return _open(results) if type(results) is bytes else results  # type: ignore[return-value]


def opened(sent: Sealed) -> list[Message]:
    """Return what was said."""
    return _open(sent) if type(sent) is bytes else sent  # type: ignore[return-value]
