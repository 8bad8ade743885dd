"""Items from any iterable: a list, a generator, a file's lines, a running `map`.

What is refused, and why. A `str` or `bytes` is an iterable of characters, which nobody means, unless it is an
address such as "redis://…": then it is that of a live queue. A mapping is an iterable of its keys, and the
values would be lost without a word; `d.items()`, `d.values()` and `list(d)` say which is meant.
"""

from __future__ import annotations

import heapq
import operator
import os
import threading
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any, Final, final

from pullahead.sources.addresses import is_address, open_source
from pullahead.sources.pump import IN_MEMORY, Direct, Pump
from pullahead.sources.source import Capabilities, Pair, Source, Taken

_CAPABILITIES: Final = Capabilities()


@final
class IterableSource:
    """A source over an iterable. Tokens are positions: 0, 1, 2, …

    An iterator that was handed in is left open when the source closes, because its owner may want to go
    on with it; an iterator that the source made from an iterable is closed. Items are remembered from
    `take` until `done`, `failed` or `give_back`, so that they can be given back.

    Args:
        iterable: what to pull from. Pulled lazily: never more than was asked for.
    """

    capabilities = _CAPABILITIES

    def __init__(self, iterable: Iterable[Any]) -> None:
        self.total_hint = total_hint(iterable)
        self._feed: Direct | Pump = Direct(iterable) if type(iterable) in IN_MEMORY else Pump(iterable)
        self.is_at_hand = type(self._feed) is Direct  # `take` never waits
        self._lock = threading.Lock()
        self._closed = False
        self._next = 0
        self._held: dict[int, Any] = {}
        self._returned: list[tuple[int, Any]] = []  # a heap; positions differ, so items are never compared

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<IterableSource {state}, {self._next} taken, {len(self._held)} held>"

    @property
    def closed(self) -> bool:
        """Whether `take` has nothing more to give."""
        return self._feed.ended and not self._returned

    def take(self, n: int, wait: float = 0.0) -> list[Taken]:
        """Hand out up to n items: first what was given back, in its old order, then new ones."""
        return [Taken(*pair, 1) for pair in self.take_pairs(n, wait)]

    def take_pairs(self, n: int, wait: float) -> list[Pair]:
        """See `TakesPairs`."""
        return self._take_returned(n) or self._take_new(n, wait)

    def _take_returned(self, n: int) -> list[Pair]:
        if not self._returned:
            return []
        with self._lock:
            size = min(n, len(self._returned))
            pairs = [heapq.heappop(self._returned) for _ in range(size)]
            self._held.update(pairs)
        return pairs

    def _take_new(self, n: int, wait: float) -> list[Pair]:
        if self._feed.ended:
            return []
        first, items = self._next, self._feed.pull(n, wait)
        self._next += len(items)
        pairs = list(enumerate(items, first))
        with self._lock:
            self._held.update(pairs)
        return pairs

    def done(self, token: int) -> None:
        """The item has its result."""
        self._held.pop(token, None)

    def failed(self, token: int, reason: str, attempts: int = 1) -> None:  # noqa: ARG002  no dead letters
        """The item has failed for good."""
        self._held.pop(token, None)

    def give_back(self, tokens: Iterable[int], delay: float = 0.0) -> None:
        """These items come again, at their old place and as the same attempt."""
        if delay:
            raise ValueError(f"an iterable cannot delay what is given back: expected delay=0, got {delay}")
        with self._lock:
            for token in tokens:
                item = self._held.pop(token)
                if not self._closed:
                    heapq.heappush(self._returned, (token, item))

    def extend(self, tokens: Iterable[int], seconds: float) -> None:
        """Does nothing: an iterable takes nothing back by itself."""

    def close(self) -> None:
        """Stop pulling and let go of the iterable. Items that are out may still end."""
        self._feed.close()
        with self._lock:
            self._closed = True
            self._returned.clear()


def as_source(obj: Any) -> Source:
    """Make a source of what the user gave.

    Args:
        obj: a `Source`, any iterable, or the address of a live queue.

    Raises:
        SourceError: the live queue cannot be used.
        ValueError: its address says what nobody understands.
        TypeError: for a `str`, `bytes`, path, mapping, async iterable, or what is no iterable at all. The
            message says what to write instead.
    """
    if isinstance(obj, Source) and not isinstance(obj, type):
        return obj
    if isinstance(obj, str) and is_address(obj):
        return open_source(obj)
    hint = _why_not(obj)
    if hint:
        raise TypeError(f"expected an iterable of items, got {_describe(obj)}{hint}")
    return IterableSource(obj)


def total_hint(obj: Any) -> int | None:
    """How many items there will be, if that is known without pulling any. For progress only."""
    known = getattr(obj, "total_hint", None)
    if isinstance(known, int):
        return known
    try:
        hint = operator.length_hint(obj, -1)
    except Exception:  # noqa: BLE001  a `__len__` that raises must not end a run that only wanted a hint
        return None
    return hint if hint >= 0 else None


def _why_not(obj: Any) -> str:
    if isinstance(obj, str | os.PathLike):
        path = repr(os.fspath(obj))
        return (
            f"; for the lines of a file write pullahead.sources.lines({path}), for the files of a folder "
            f"pullahead.sources.paths({path}), for one item [{path}]"
        )
    if isinstance(obj, bytes | bytearray | memoryview):
        return "; for one item put it in a list: [data]"
    if isinstance(obj, Mapping):
        return ", which could mean its keys or its values; write d.items(), d.values() or list(d)"
    if isinstance(obj, AsyncIterable):
        return "; an async iterable cannot be pulled from here, collect it or feed it through a generator"
    if isinstance(obj, type):
        return "; did you mean to call it?"
    if not isinstance(obj, Iterable) and not hasattr(type(obj), "__getitem__"):
        return "; for one item put it in a list: [item]"
    return ""


def _describe(obj: Any) -> str:
    if isinstance(obj, type):
        return f"the class {obj.__qualname__}"
    kind = type(obj).__qualname__
    text = repr(obj)
    return "None" if obj is None else f"{kind} {text if len(text) <= 60 else text[:57] + '...'}"
