"""Values and records as JSON, and back; or an error that says what JSON cannot hold, and where.

JSON as the standard has it: NaN and infinities are refused, tuples become lists, a path becomes a string,
and everything else that JSON cannot hold raises `ResultError`. A `repr` in its place would look like a
result. The error is searched for only after the encoder has failed, so that it may name the place at
leisure.
"""

from __future__ import annotations

import json
import os
from typing import Any, Final

from pullahead.errors import ResultError, SourceError

#: Deeper than any record that people write, shallower than the interpreter's stack.
DEEPEST: Final = 100
_SHOWN: Final = 60


def _plain(value: object) -> str:
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        if isinstance(path, str):
            return path
    raise TypeError


#: Made once: `json.dumps` makes an encoder for every call that has options, a fifth of a line's cost.
_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_plain).encode
_encode_escaped: Final = json.JSONEncoder(allow_nan=False, default=_plain).encode


def type_name(error: BaseException) -> str:
    """An error's type the way people write it: ValueError, json.decoder.JSONDecodeError."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def encode(record: dict[str, Any], item: Any) -> bytes:
    """One line of JSON, its end included.

    Raises:
        ResultError: JSON cannot hold a value of the record. The message names the item, the type and the
        place.
    """
    try:
        text = _encode(record)
    except (TypeError, ValueError, RecursionError):
        raise ResultError(_explain(record, item)) from None
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # file names that are not text carry lone surrogates; escaped, they survive
        return _encode_escaped(record).encode() + b"\n"


def encode_value(value: Any, part: str, item: Any) -> bytes:
    """One value as JSON, without an end of line. `part`: what of its record. Raises as `encode` does."""
    line = encode({part: value}, item)
    return line[len(f'{{"{part}": ') : -len("}\n")]


def decode_value(text: str | bytes, where: str) -> Any:
    """One value from JSON.

    Raises:
        SourceError: it is none. The message says `where`.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        shown = text[:_SHOWN] if isinstance(text, str) else text[:_SHOWN].decode(errors="replace")
        raise SourceError(f"expected JSON in {where}, got {shown!r} ({error})") from None


def _explain(record: dict[str, Any], item: Any) -> str:
    name = repr(item)
    name = name if len(name) <= 60 else name[:59] + "…"
    for part, value in record.items():
        offence = _find_offence(value, part, 0)
        if offence:
            return f"item {name}: expected {part} to be a value that JSON can hold, got {offence}"
    return f"item {name}: expected a value that JSON can hold, got one that contains itself or is too deep"


def _find_offence(value: Any, where: str, depth: int) -> str:
    """What JSON cannot hold in this value, and where; "" if nothing is wrong with it."""
    if depth > DEEPEST:
        return f"a value that contains itself or is too deep at {where[:60]}…"
    if isinstance(value, dict):
        bad = next((key for key in value if not isinstance(key, str | int | float | None)), None)
        if bad is not None:
            return f"a key of type {type(bad).__qualname__} in {where}"
        parts: Any = value.items()
    elif isinstance(value, list | tuple):
        parts = enumerate(value)
    else:
        return _find_atom(value, where)
    found = (_find_offence(part, f"{where}[{key!r}]", depth + 1) for key, part in parts)
    return next(filter(None, found), "")


def _find_atom(value: Any, where: str) -> str:
    try:
        _encode_escaped(value)
    except ValueError:
        return f"{value!r} at {where}"
    except TypeError:
        kind = type(value)
        module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        hint = " (its tolist() would do)" if hasattr(value, "tolist") else ""
        return f"{module}{kind.__qualname__} at {where}{hint}"
    return ""
