"""A queue that notes when it hears of hunger, recalls something and hears of it again.

It is the queue of every run with ears: it sees what passes in `exchange`, and changes nothing.
"""

from __future__ import annotations

from concurrent.futures import Future
from time import monotonic
from typing import Any, Final, NamedTuple, final

from pullahead import actors
from pullahead.core import messages as m
from pullahead.core.retry import RetryPolicy
from pullahead.farm.envelope import Sealed, opened
from pullahead.farm.queue import Queue

_NOTED: Final = frozenset({m.HUNGRY, m.RECALL, m.RECALLED, m.DONE})


class Note(NamedTuple):
    """One message between the queue and a worker: when the queue heard or said it."""

    at: float
    kind: str
    worker: int
    rest: tuple[Any, ...]  # without payloads; of a grant, its first item and how many there are


@final
class WatchedQueue:
    """See the module. `recall`: as for `Queue`."""

    def __init__(self, recall: bool) -> None:
        self._queue = Queue(RetryPolicy(retries=0), recall=recall)
        self._notes: list[Note] = []

    @actors.method(deferred=True)
    def exchange(self, peer: int, said: Sealed) -> Future[Sealed]:
        """Do what the queue does."""
        self._note(peer, opened(said))
        answer = self._queue.exchange(peer, said)
        answer.add_done_callback(lambda done: self._note(peer, opened(done.result())))
        return answer

    def notes(self) -> list[Note]:
        """Return what was noted."""
        return self._notes

    def _note(self, peer: int, messages: list[m.Message]) -> None:
        now = monotonic()
        for kind, *rest in messages:
            if kind == m.GRANT:
                _, first, payloads, *_ = rest
                self._notes.append(Note(now, kind, peer, (first, len(payloads))))
            elif kind in _NOTED:
                self._notes.append(Note(now, kind, peer, tuple(rest[:2])))
