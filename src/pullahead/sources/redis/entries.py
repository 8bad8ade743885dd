"""What an entry of a stream is as an item, and back.

An entry has fields. If the one that was named (`item`) is there, its JSON is the item; otherwise the entry
is, as a dict of its fields. Names and values are texts where they are UTF-8, and bytes where they are not.
Nothing is unpickled: whoever may write into a stream may not run code here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pullahead.sources.encode import decode_value

#: What a dead letter says beside the fields of its entry.
ID: Final = "pullahead-id"
STREAM: Final = "pullahead-stream"
REASON: Final = "pullahead-reason"
ATTEMPTS: Final = "pullahead-attempts"
#: How many names and values that are, at the end of the entry.
ADDED: Final = 8
#: Names and values of an entry that a script can write: Lua hands on 8000 at most, and ours are among them.
WIDEST: Final = 7000


def item_of(fields: Sequence[bytes], field: str) -> Any:
    """Return the item.

    Args:
        fields: names and values in turn, as the server has them.
        field: whose JSON it is, if it is there.

    Raises:
        SourceError: the field is no JSON.
    """
    pairs = list(zip(fields[::2], fields[1::2], strict=True))
    name = field.encode()
    for key, value in pairs:
        if key == name:
            return decode_value(value, f"the field {field!r}")
    return {_text(key): _text(value) for key, value in pairs}


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def letter(stream: str, token: str, reason: str, attempts: int, fields: Sequence[bytes]) -> list[str | bytes]:
    """Return what a dead letter says: the entry as it was, and why it is here."""
    told = (STREAM, stream, ID, token, REASON, reason, ATTEMPTS, str(attempts))
    return [*fields, *told]


def scripted(letter: Sequence[str | bytes]) -> Sequence[str | bytes]:
    """Return a dead letter as a script can write it: of an entry that is too wide, why, and where it is."""
    own = len(letter) - ADDED
    if own <= WIDEST:
        return letter
    *told, reason, attempts, number = letter[own:]
    what = f"its {own // 2} fields are too many for a dead letter, and left in the stream"
    return [*told, f"{reason!s}; {what}", attempts, number]
