"""For how long a run has what it took from a live queue, and when it says that it still works on it.

A queue with deadlines gives an item to somebody else once its deadline has passed: that is how nothing is
lost when a process dies. So whoever lives has to move its deadlines on, and a lease is a bargain: a short one
brings back soon what a dead process held, a long one is not lost because a live one was kept from renewing it
for a while. What is worth waiting for follows from how long items take::

    event                          effect
    took                           out; to be renewed once half of its lease is over
    ended, gave back               not out any more; what ended says how long an item takes
    half of a lease is over        renew, for as long as a lease is now
    out for longer than HELD_MOST  renewed no more: it hangs, and somebody else may have it

How long a lease is: the 99th percentile of the recent times from taking an item to its end, but from LEAST to
MOST. While nobody knows, LEAST: what takes longer is renewed, that is what renewing is for.

Prior art: Google Pub/Sub's clients lease by the 99th percentile of the times to acknowledge, from 10 s to
600 s, and for an hour in all; Amazon's SQS lets nobody have a message for longer than twelve hours. Refused:
one timer for all that is out. What was taken just now would be renewed for nothing, at each round of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from heapq import heappop, heappush
from typing import Any, Final, final

from pullahead.core.estimates import percentile

#: Seconds. For half of it a caller may be kept from renewing, by C code or a busy machine, and lose nothing.
LEAST: Final = 30.0
#: Seconds until others have what a dead process held, however long its items took.
MOST: Final = 600.0
#: Seconds after which an item is renewed no more.
HELD_MOST: Final = 12 * 3600.0
#: Deliveries after which an item that never ended is dead. RabbitMQ's quorum queues have 20, SQS advises 5. A
#: consumer that dies charges all that it had, so there have to be more than one item could be to blame for.
DELIVERIES: Final = 10

_QUANTILE: Final = 0.99
#: Ends that say how long an item takes: enough for a 99th percentile, few enough to forget what was.
_RECENT: Final = 256


@final
class Leases:
    """What is out, and until when. See the module. Times are seconds on one clock."""

    __slots__ = ("_due", "_number", "_out", "_times")

    def __init__(self) -> None:
        self._out: dict[Hashable, tuple[float, int]] = {}  # since when, and which entry of the heap counts
        self._due: list[tuple[float, int, Any]] = []  # a heap: when, a number that orders equals, token
        self._number = 0
        self._times: deque[float] = deque(maxlen=_RECENT)

    def __len__(self) -> int:
        return len(self._out)

    def __repr__(self) -> str:
        return f"<Leases: {len(self._out)} out, for {self.seconds:g} s each>"

    @property
    def out(self) -> list[Any]:
        """What is out, in the order in which it was taken or renewed last."""
        return list(self._out)

    @property
    def seconds(self) -> float:
        """How long a lease is that begins now."""
        if not self._times:
            return LEAST
        return min(MOST, max(LEAST, percentile(sorted(self._times), _QUANTILE)))

    @property
    def deadline(self) -> float | None:
        """When `due` has something to say next; None: nothing is out that is renewed."""
        self._drop_old()
        return self._due[0][0] if self._due else None

    def took(self, tokens: Iterable[Hashable], now: float, lease: float | None = None) -> None:
        """These are out since `now`, each for a lease: of so many seconds, or of what it is now."""
        when = now + (self.seconds if lease is None else lease) / 2
        for token in tokens:
            self._plan(token, now, when)

    def ended(self, token: Hashable, now: float) -> None:
        """This one has ended. Not being out is no error: it may have been given back meanwhile."""
        since, _ = self._out.pop(token, (None, 0))
        if since is not None:
            self._times.append(now - since)

    def gave_back(self, tokens: Iterable[Hashable]) -> None:
        """These went back unstarted, which says nothing about how long they take."""
        for token in tokens:
            self._out.pop(token, None)

    def due(self, now: float) -> list[Any]:
        """Return what is to be renewed now, for `seconds`; it counts as renewed."""
        found = []
        when = now + self.seconds / 2
        while (first := self.deadline) is not None and first <= now:
            _, _, token = heappop(self._due)
            since, _ = self._out[token]
            if now - since < HELD_MOST:
                found.append(token)
                self._plan(token, since, when)
        return found

    def _plan(self, token: Hashable, since: float, when: float) -> None:
        self._number += 1
        self._out[token] = since, self._number
        heappush(self._due, (when, self._number, token))

    def _drop_old(self) -> None:
        """Forget what has ended, at the top of the heap: that is where it matters."""
        while self._due and self._out.get(self._due[0][2], (0.0, 0))[1] != self._due[0][1]:
            heappop(self._due)
