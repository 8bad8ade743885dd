"""How many bytes an item has, as far as that is told without a look at all of it."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

#: Parts of a collection that are looked at: large items are few large parts.
_PARTS: Final = 64


def weight(item: Any) -> int:
    """Return the bytes of a buffer, an array, a tensor or a text; of a collection, of its first parts."""
    if isinstance(item, dict):
        parts: Any = item.values()
    elif isinstance(item, tuple | list):
        parts = item
    else:
        return _alone(item)
    return sum(map(_alone, islice(parts, _PARTS)))


def _alone(item: Any) -> int:
    if isinstance(item, bytes | bytearray | str):
        return len(item)
    try:
        size = item.nbytes  # of memoryviews, and of all that is made like NumPy's arrays
    except Exception:  # noqa: BLE001  whatever it is, it does not tell
        return 0
    return size if isinstance(size, int) else 0
