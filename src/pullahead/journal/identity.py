"""Which item is which, from one run to the next: by its place in the source, or by its key.

Rules:
1. Without a key, an item is known by its position, and a digest says whether it is the same: an input that
   has changed is refused where it differs, instead of giving one item the result of another.
2. The digest is of what the item says, not of how Python holds it: JSON with sorted keys, in which a path is
   its text and a tuple a list. What JSON cannot hold is pickled, without the pickler's memory of which parts
   are the same object, and sets in order: both differ from one process to the next.
3. With a key, only the key counts. Whoever changes an item gives it another key. A key is text; what else
   it may be is written as JSON, so that the number 1 and the text "1" are the same key.
"""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

from pullahead.errors import SourceError
from pullahead.journal.plain import exact_json

#: A position or a key: what names an item in a journal.
Place = int | str

_DIGEST_BYTES: Final = 16


def digest(item: Any) -> bytes:
    """Return 16 bytes that are the same for the same item in another process. Raises what pickling raises."""
    hashed = blake2b(digest_size=_DIGEST_BYTES)
    try:
        hashed.update(_canonical(item).encode("utf-8", "surrogatepass"))
    except (TypeError, ValueError, RecursionError):
        hashed.update(_canonical_pickle(item))
    return hashed.digest()


def key_of(key: Callable[[Any], Any], item: Any) -> str:
    """Return the key of an item as a journal has it.

    Raises:
        SourceError: it is no text, number or other JSON value. What the function raises is its own.
    """
    found = key(item)
    if type(found) is str and _is_storable(found):
        return found
    text = exact_json(found)
    if text is None or found is None:
        raise SourceError(f"expected the key of an item to be text or a number, got {found!r}")
    return text


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a file name that is not text; as JSON, it is
        return False
    return True


def _plain(value: Any) -> str:
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        if isinstance(path, str):
            return path
    raise TypeError


_canonical: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), default=_plain
).encode


def _canonical_pickle(item: Any) -> bytes:
    try:
        return _Canonical.dumps(item)
    except (ValueError, RecursionError):  # it contains itself, which takes the pickler's memory
        return pickle.dumps(item, 5)


class _Canonical(pickle.Pickler):
    """Pickles equal values to equal bytes, as far as that can be."""

    @classmethod
    def dumps(cls, item: Any) -> bytes:
        stream = io.BytesIO()
        pickler = cls(stream, 5)
        pickler.fast = True
        pickler.dump(item)
        return stream.getvalue()

    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, set | frozenset):
            return sorted(self.dumps(part) for part in value)
        return None
