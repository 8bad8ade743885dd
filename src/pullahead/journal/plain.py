"""Values that JSON can hold without changing them."""

from __future__ import annotations

import json
from typing import Any, Final

_ATOMS: Final = frozenset({str, int, float, bool, type(None)})

#: Made once: `json.dumps` makes an encoder for every call that has options.
_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_encode_escaped: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def exact_json(value: Any) -> str | None:
    """Return a value as JSON from which `json.loads` makes an equal one of the same types, or None.

    A tuple would come back as a list, a path or a number of NumPy as something else: those are not JSON here.
    """
    try:
        if not _is_plain(value):
            return None
        text = _encode(value)
    except (ValueError, RecursionError):  # NaN, infinity, a number with too many digits; a value in itself
        return None
    try:
        text.encode()
    except UnicodeEncodeError:  # file names that are not text carry lone surrogates; escaped, they survive
        text = _encode_escaped(value)
        return text if json.loads(text) == value else None  # but two that make a pair come back as one
    return text


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind in _ATOMS:
        return True
    if kind is list:
        return all(map(_is_plain, value))
    if kind is dict:
        return all(type(key) is str for key in value) and all(map(_is_plain, value.values()))
    return False
