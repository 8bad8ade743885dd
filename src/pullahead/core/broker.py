"""The model of a queue that hands out items for a while: what every live source must agree with.

A server has to restate these rules in its own language (SQL, Lua) to be atomic, so they exist here once, as
what the others are checked against, operation by operation. One entry's life::

    state             on                        becomes                     attempts
    ready             taken                     out, until now + lease      + 1
    out               extended by its owner     out, until now + lease      –
    out               given back by its owner   ready, at `now + delay`     – 1
    out, overdue      taken by another          out of that one             + 1
    out               failed by its owner       dead                        –
    ready or out      done by whoever had it    done                        –
    out               extended, given back or failed by somebody else: unchanged

Rules.
1. What is overdue, or was given back, is handed out before what nobody has had yet; among each, the oldest.
2. Only being handed out is charged, so what was given back is as if it had never been taken.
3. Nobody takes what it has itself: it works on that, however late it is.
4. A result is a result: `done` counts even if the item has gone to somebody else meanwhile.
5. A deadline that has passed changes nothing by itself: until somebody takes it, its owner may extend it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import NamedTuple, final


class Granted(NamedTuple):
    """An entry that was handed out; `attempt` is 1 the first time."""

    number: int
    attempt: int


@final
@dataclass(slots=True)
class _Entry:
    attempts: int
    owner: Hashable | None  # None: given back
    until: float


@final
class Broker:
    """See the module. Entries are numbers from 0, in the order in which they were put."""

    __slots__ = ("_fresh", "_had", "_next", "dead")

    def __init__(self) -> None:
        self._next = 0
        self._fresh: list[int] = []  # a heap; nobody has had them
        self._had: dict[int, _Entry] = {}
        self.dead: list[int] = []  # those that failed, in that order

    def __len__(self) -> int:
        """How many entries have not ended."""
        return len(self._fresh) + len(self._had)

    def put(self) -> int:
        """Add an entry. Returns its number."""
        number, self._next = self._next, self._next + 1
        heappush(self._fresh, number)
        return number

    def take(self, who: Hashable, n: int, now: float, lease: float) -> list[Granted]:
        """Hand out up to n entries."""
        late = [number for number, one in self._had.items() if one.until <= now and one.owner != who]
        heapify(late)
        numbers = [heappop(late) for _ in range(min(n, len(late)))]
        fresh = [heappop(self._fresh) for _ in range(min(n - len(numbers), len(self._fresh)))]
        return [self._grant(number, who, now + lease) for number in numbers + fresh]

    def is_ready(self, who: Hashable, now: float) -> bool:
        """Whether `take` would hand out something."""
        return bool(self._fresh) or any(one.until <= now and one.owner != who for one in self._had.values())

    def _grant(self, number: int, who: Hashable, until: float) -> Granted:
        before = self._had.get(number)
        attempt = 1 if before is None else before.attempts + 1
        self._had[number] = _Entry(attempt, who, until)
        return Granted(number, attempt)

    def others(self, who: Hashable) -> int:
        """How many entries have not ended and are not with this one: what it may still get."""
        return len(self) - sum(one.owner == who for one in self._had.values())

    def owns(self, who: Hashable, number: int) -> bool:
        """Whether this one has the entry."""
        entry = self._had.get(number)
        return entry is not None and entry.owner == who

    def done(self, number: int) -> None:
        """The entry has its result."""
        self._had.pop(number, None)

    def failed(self, who: Hashable, number: int) -> bool:
        """The entry is dead. Returns whether it was this one's to say so."""
        if not self.owns(who, number):
            return False
        del self._had[number]
        self.dead.append(number)
        return True

    def give_back(self, who: Hashable, numbers: Iterable[int], now: float, delay: float = 0.0) -> None:
        """These were not started; others may have them after `delay` seconds."""
        for number in numbers:
            if self.owns(who, number):
                entry = self._had[number]
                entry.owner, entry.until, entry.attempts = None, now + delay, entry.attempts - 1

    def extend(self, who: Hashable, numbers: Iterable[int], now: float, lease: float) -> None:
        """These are still being worked on."""
        for number in numbers:
            if self.owns(who, number):
                self._had[number].until = now + lease
