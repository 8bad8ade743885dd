"""What a worker runs, noted before it begins, so that its death charges exactly that.

Where items run one by one, the mark says which one runs now; that costs 0.1 µs. A note has the
items of a batch, those that are being stored, and those that are being loaded. Of the loads, those are noted
whose function has begun, the latest ones if they are many.

Where items have a time limit, one timer says since when the call of `process` runs, and the other one since
when the oldest load or store does, and for which item. A worker that is killed for that is charged for what
was overdue, and for nothing else.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable
from threading import Lock
from typing import Any, Final, final

from pullahead import actors

_PROCESS, _BESIDE = 0, 1  # timers
#: Loads that are noted. Writing a note of so many costs 3 µs.
_MOST_LOADS: Final = 256


@final
class RunningNote:
    """Writes the note of one worker. Where the engine has no memory for it, it does nothing.

    Args:
        batch: whether one call of `process` takes several items.
        time_limit: seconds that a step of an item may take, or None.

    Attributes:
        mark: called with one more than the item that is about to run, of those that run one by one; 0: none.
    """

    __slots__ = (
        "_batch",
        "_beside",
        "_items",
        "_loading",
        "_lock",
        "_pad",
        "_storing",
        "_time_limit",
        "_timed",
        "mark",
    )

    def __init__(self, batch: bool, time_limit: float | None = None) -> None:
        self._pad = actors.notepad()
        self.mark: Callable[[int], object] = _ignore if self._pad is None else self._pad.mark
        self._timed = None if time_limit is None else self._pad  # where the timers are, if anybody looks
        self._time_limit = time_limit or 0.0
        self._beside: dict[int, float] = {}  # loads and stores: since when, the oldest first
        self._lock = Lock()  # loads and stores begin and end on many threads
        self._batch = batch
        self._items: tuple[int, ...] = ()
        self._storing: set[int] = set()
        self._loading: dict[int, None] = {}  # in the order in which they began
        self._write()

    @property
    def survives(self) -> bool:
        """Whether somebody will read it when the worker has died."""
        return self._pad is not None

    def running(self, items: tuple[int, ...]) -> None:
        """These items are about to run; of several that run one by one, the first. None: nothing runs."""
        if self._batch:
            with self._lock:
                self._items = items
                self._write()
        else:
            self.mark(items[0] + 1 if items else 0)

    @property
    def times(self) -> bool:
        """Whether anybody looks at the timers."""
        return self._timed is not None

    def began(self, since: float, items: int = 1) -> None:
        """The call of `process` for so many items runs since then: so many times as long as one it may."""
        if self._timed is not None:
            self._timed.timer(_PROCESS, since + (items - 1) * self._time_limit)

    def ended(self) -> None:
        """No `process` runs."""
        if self._timed is not None:
            self._timed.timer(_PROCESS, 0.0)

    def began_beside(self, item: int, since: float) -> None:
        """A load or a store of an item runs since then."""
        if self._timed is not None:
            with self._lock:
                self._beside[item] = since
                self._time_the_oldest()

    def ended_beside(self, item: int) -> None:
        """It is over."""
        if self._timed is not None:
            with self._lock:
                self._beside.pop(item, None)
                self._time_the_oldest()

    def _time_the_oldest(self) -> None:
        assert self._timed is not None
        item, since = next(iter(self._beside.items()), (0, 0.0))
        self._timed.timer(_BESIDE, since, item)

    def stores(self, item: int) -> None:
        """An item is about to be stored."""
        with self._lock:
            self._storing.add(item)
            self._write()

    def stored(self, item: int) -> None:
        """It was, or could not be."""
        with self._lock:
            self._storing.discard(item)
            self._write()

    def loads(self, item: int) -> None:
        """An item is about to be loaded."""
        with self._lock:
            self._loading[item] = None
            self._write()

    def loaded(self, item: int) -> None:
        """It was, or could not be."""
        with self._lock:
            self._loading.pop(item, None)
            self._write()

    def _write(self) -> None:
        if self._pad is not None:
            loading = tuple(self._loading)[-_MOST_LOADS:]
            note = self._items, tuple(self._storing), loading
            self._pad.write(marshal.dumps(note))


def _ignore(_: int) -> None:
    """Nobody would read it."""


def charged(note: Any, overdue: tuple[int, int] | None = None) -> tuple[int, ...] | None:
    """Return the items that a worker which left this note is charged for; None if it left none.

    Args:
        note: what it left, and its mark.
        overdue: the timer for which it was killed, and what that stood for.
    """
    if overdue is not None and overdue[0] == _BESIDE:
        return (overdue[1],)
    if note is None or not note[0]:
        return None
    items, storing, _ = marshal.loads(note[0])  # noqa: S302  it comes from ourselves
    if note[1]:
        items = (note[1] - 1,)
    return items if overdue is not None else (*items, *storing)


def suspects(note: Any, overdue: tuple[int, int] | None = None) -> tuple[int, ...]:
    """Return what a worker that left this note was loading, if that may be why it died."""
    if overdue is not None or note is None or not note[0]:
        return ()
    *_, loading = marshal.loads(note[0])  # noqa: S302  it comes from ourselves
    return tuple(sorted(loading))
