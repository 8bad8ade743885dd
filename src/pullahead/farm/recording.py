"""The queue's side of a journal: what is written, and what is said only then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, final

from pullahead.actors.failures import describe_error
from pullahead.core import messages as m
from pullahead.core.commits import Commits
from pullahead.core.ledger import State
from pullahead.errors import JournalError
from pullahead.farm.failure import Try
from pullahead.farm.freight import Freight
from pullahead.journal import Journal
from pullahead.journal.records import Attempt, Delivered, Ended, Entry, Record

_NAMES = {State.DONE: "done", State.DEAD: "failed"}
#: What is written for an item that cannot be; its label says what it was.
_NO_ITEM: Final = "null"


class Known(NamedTuple):
    """What the queue is told of an item that is to be recorded.

    Attributes:
        entry: which item it is.
        tries: what failed in earlier runs.
    """

    entry: Entry
    tries: tuple[Try, ...] = ()


@final
class Recording:
    """See the module. Every method but `wrote` of the writer is called with the queue's lock held.

    Args:
        journal, work, places, pid: as for `Writer`.
        wrote: told on another thread that a batch was written, or why not.
    """

    def __init__(
        self,
        journal: Journal,
        work: str,
        places: str,
        pid: int,
        wrote: Callable[[JournalError | None], None],
    ) -> None:
        from pullahead.journal.writer import Writer  # few runs need a database

        self._writer = Writer(journal, work, places, pid)
        self._commits: Commits[Record, tuple[int, m.Message]] = Commits()
        self._wrote = wrote
        self._known: dict[int, tuple[Entry, Any]] = {}  # and its payload

    def submitted(self, first: int, known: Sequence[Known], payloads: Sequence[Any]) -> None:
        """Items came."""
        for number, (one, payload) in enumerate(zip(known, payloads, strict=True), first):
            self._known[number] = one.entry, _NO_ITEM if type(payload) is Freight else payload

    def charged(self, item: int, tries: Sequence[Try]) -> None:
        """An item was charged an attempt and will be tried again."""
        entry, payload = self._known[item]
        self._commits.record(Ended(entry, "open", payload, None, _attempts(tries)))

    def ended(
        self, items: Sequence[int], state: State, payloads: Sequence[Any], tries: Sequence[Sequence[Try]]
    ) -> None:
        """Items have ended, with these results, or with nothing but tries."""
        for item, payload, tried in zip(items, payloads, tries, strict=True):
            entry, given = self._known.pop(item)
            if state is not State.LEFT:
                result = payload if state is State.DONE else None
                self._commits.record(Ended(entry, _NAMES[state], given, result, _attempts(tried)))

    def unsent(self, entry: Entry, tries: Sequence[Try]) -> None:
        """An item has failed that could not be sent here."""
        self._commits.record(Ended(entry, "failed", _NO_ITEM, None, _attempts(tries)))

    def delivered(self, record: Delivered) -> None:
        """A sink has come so far."""
        self._commits.record(record)

    def say(self, peer: int, message: m.Message) -> None:
        """Say this to a peer once all that was recorded so far is on disk."""
        self._commits.say((peer, message))

    def due(self) -> list[tuple[int, m.Message]]:
        """Take what may be said now; what is to be written goes to the writer."""
        batch = self._commits.next_batch()
        if batch:
            self._writer.write(batch, self._wrote)
        return self._commits.due()

    def written(self) -> None:
        """The batch before is on disk."""
        self._commits.written()

    def close(self) -> None:
        """Finish what was begun. Without the queue's lock held: it waits for the writer."""
        self._writer.close()


def _attempts(tries: Sequence[Try]) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(one.worker, one.began, one.ended, *describe_error(one.error), one.error) for one in tries
    )
