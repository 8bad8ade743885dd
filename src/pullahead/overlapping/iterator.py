"""The iterator that the user holds: who drops it, closes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self, TypeVar, cast, final

from pullahead.overlapping.flow import Flow
from pullahead.overlapping.leftovers import counted
from pullahead.overlapping.statistics import Statistics

T = TypeVar("T")


@final
class Overlap(Iterator[T]):
    """The iterator that `overlap` returns. One thread at a time may iterate; any may `close()` it."""

    __slots__ = ("__weakref__", "_flow")

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        try:
            return cast(T, self._flow.next())
        except BaseException:
            # The traceback keeps this frame alive: without a reference to the iterator in it, a `for` loop
            # that is left by this exception closes the iterator before any `except` block runs.
            del self
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flow.close()

    def __del__(self) -> None:
        self._flow.close()

    def __repr__(self) -> str:
        account, prefetch = self._flow.account, self._flow.prefetch
        state = "closed" if prefetch.closed else "ended" if prefetch.over else f"{len(prefetch)} requested"
        return f"<overlap: {counted(account.items, 'item')}, {state}, lookahead {account.reason}>"

    def close(self) -> None:
        """Stop: every item that was fetched and not yielded is given back, late ones when they come.

        Without `give_back` a RuntimeWarning says how many there are. Returns at once and can be repeated.
        """
        self._flow.close()

    def statistics(self) -> Statistics:
        """Return where the time went so far. May be called at any time, also in the loop and after it."""
        return self._flow.account.statistics()
