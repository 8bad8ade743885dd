"""The caller's side of a journal: which items have ended in an earlier run, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, final

from pullahead.core.ledger import State
from pullahead.errors import SourceError
from pullahead.farm.failure import Try, brief
from pullahead.farm.freight import freight_of
from pullahead.farm.payload import pack_for_journal
from pullahead.farm.recording import Known
from pullahead.journal.identity import Place, digest, key_of
from pullahead.journal.records import Entry, Found

_STATES = {"done": State.DONE.value, "failed": State.DEAD.value}


#: The state of an item that cannot be pickled: it never comes to the queue.
UNPACKED: Final = "unpacked"


@final
@dataclass(slots=True)
class Recalled:
    """An item that was read from the source, and what the journal has of it.

    Attributes:
        known: what the queue is told.
        payload: the item, packed; or why it cannot be.
        state: how it has ended in an earlier run; None if it has not; or UNPACKED.
        end: its result as a payload, or what was tried.
        delivered: whether the sink of this run has been handed that.
    """

    known: Known
    payload: Any
    state: str | None = None
    end: Any = None
    delivered: bool = False


@final
class Recorded:
    """What the journal has of the items of one run. See the module.

    Args:
        path: of the journal, which the queue of this run has opened for writing.
        key: what names an item; None: its position does.

    Attributes:
        sink: the name of where results go; what it was handed is not handed to it again.
        tries_failed: whether items that have failed in an earlier run are tried again.
        repeated: items of this run so far that had ended before it.
    """

    def __init__(self, path: str, key: Callable[[Any], Any] | None) -> None:
        self.sink: str | None = None
        self.tries_failed = False
        self.repeated = 0
        from pullahead.journal.reader import Reader  # few runs need a database

        self._reader = Reader(path)
        self._key = key
        self._lock = Lock()  # `close` may come from another thread
        self._session = self._reader.session
        self._ended_before = self._reader.ended(self._session)
        self._beyond = self._reader.next_position if key is None else 0  # what is new, by its position
        self._position = 0
        self._open: set[Place] = set()  # keys of items that are in the system
        self._met = bytearray(self._reader.rows // 8 + 1)  # a bit for each row that an item of this run had

    @property
    def has_more(self) -> bool:
        """Whether the journal may know the next items of the source."""
        return self._position < self._beyond if self._key is None else self.repeated < self._ended_before

    def read(self, items: Sequence[Any]) -> tuple[list[Recalled], Exception | None]:
        """Look up the next items of the source.

        Returns what is known of each, up to one that cannot be told from others, and that error.
        """
        identified: list[Recalled] = []
        error: Exception | None = None
        for item in items:
            try:
                identified.append(self._identify(item))
            except Exception as caught:  # noqa: BLE001  the user's function may raise anything
                error = caught
                break
        found = self._find([one.known.entry.place for one in identified])
        for index, one in enumerate(identified if found else ()):
            had = found.get(one.known.entry.place)
            if had is not None:
                try:
                    self._recall(one, had, items[index])
                except SourceError as caught:
                    return identified[:index], caught
        return identified, error

    def look_up(self, places: Sequence[Place]) -> dict[Place, tuple[str | None, Any]]:
        """Return what a queue that died has recorded of these: how they ended, or None and what was tried."""
        with self._lock:
            found = self._reader.find(places)
        return {place: self._so_far(one) for place, one in found.items()}

    def _so_far(self, found: Found) -> tuple[str | None, Any]:
        if found.state == "failed" and found.session < self._session:
            return None, ()  # in an earlier run, and it is tried again in this one
        return (None, _tries(found)) if found.state == "open" else _end(found)

    def left(self, place: Place) -> None:
        """An item is not in the system any more: its end was taken."""
        self._open.discard(place)

    def absent(self) -> int:
        """Count the items that the journal has an end of and the source did not bring. Once it has ended."""
        with self._lock:
            if self._key is None:
                return self._reader.ended_beyond(self._position)
            return self._ended_before - self.repeated

    def size_of_sink(self) -> int | None:
        """Return how many bytes the sink had when it was last recorded; None if that is not known."""
        with self._lock:
            return None if self.sink is None else self._reader.size_of_sink(self.sink)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._reader.close()

    # How it is done

    def _identify(self, item: Any) -> Recalled:
        """Name an item, and pack it."""
        place = self._place_of(item)
        freight = freight_of(item)
        if freight is not None:
            if self._key is None:
                raise SourceError(
                    "an item is a ref, which the next run could not tell from others: give items a key (key=)"
                )
            return Recalled(Known(Entry(place, None, brief(item))), freight)
        try:
            payload = pack_for_journal(item)
            mark = digest(item) if self._key is None else None
        except Exception as error:  # noqa: BLE001  what cannot be pickled is that item's failure
            return Recalled(Known(Entry(place, None, None)), error, UNPACKED)
        return Recalled(Known(Entry(place, mark, None if type(payload) is str else brief(item))), payload)

    def _place_of(self, item: Any) -> Place:
        if self._key is None:
            self._position += 1
            return self._position - 1
        key = key_of(self._key, item)
        if key in self._open:
            raise SourceError(_twice(key, item))
        self._open.add(key)
        return key

    def _find(self, places: list[Place]) -> dict[Place, Found]:
        if not places or (isinstance(places[0], int) and places[0] >= self._beyond):
            return {}
        with self._lock:
            return self._reader.find(places, self.sink)

    def _recall(self, one: Recalled, found: Found, item: Any) -> None:
        entry = one.known.entry
        if found.digest is not None and entry.digest != found.digest:  # none: it could not be pickled
            raise SourceError(
                f"item {brief(item)} is not the one that the journal {self._reader.path!r} has at position "
                f"{entry.place}: the input has changed, which only items with a key may (key=, or --key)"
            )
        if self._key is not None and (found.session >= self._session or self._was_met(found.row)):
            raise SourceError(_twice(str(entry.place), item))
        if found.state == "open":
            one.known = Known(entry, _tries(found))
            return
        self.repeated += 1
        if found.state == "failed" and self.tries_failed:
            return
        one.state, one.end = _end(found)
        one.delivered = found.delivered

    def _was_met(self, row: int) -> bool:
        """Say whether an item of this run had this row, and that one has it now."""
        byte, bit = divmod(row, 8)
        if self._met[byte] >> bit & 1:
            return True
        self._met[byte] |= 1 << bit
        return False


def _end(found: Found) -> tuple[str, Any]:
    return _STATES[found.state], found.result if found.state == "done" else list(_tries(found))


def _tries(found: Found) -> tuple[Try, ...]:
    return tuple(Try(one.error, one.worker, one.began, one.ended) for one in found.attempts)


def _twice(key: str, item: Any) -> str:
    return f"item {brief(item)}: an item with the key {key!r} came before; expected a key of its own for each"
