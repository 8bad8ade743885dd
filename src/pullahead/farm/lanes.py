"""The workers of a crew: started, replaced when they die, killed when they had their grace.

A lane is a place for a worker. Who replaces another one has its number and as many more as there are lanes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from functools import partial
from heapq import heappop, heappush
from threading import RLock
from time import monotonic
from typing import Any, Final, Protocol, final

from pullahead import actors
from pullahead.core.replacements import Replacements
from pullahead.errors import ActorDiedError, ItemTimeoutError
from pullahead.farm.alarm import Alarm
from pullahead.farm.note import charged, suspects
from pullahead.farm.post import Unreachable

#: Seconds without a place for any worker after which that is said.
_PLACE_PATIENCE: Final = 10.0
_NO_PLACE: Final = (
    f"for {_PLACE_PATIENCE:g} s no worker has found a place on the cluster, and the run waits: has it a free "
    "machine with all that worker_options ask for?"
)


class LanesPort(Protocol):
    """What is told to whoever has the workers. Without the lock held, but for `lost`."""

    def lost(
        self, number: int, error: Exception, items: tuple[int, ...] | None, loading: tuple[int, ...]
    ) -> None:
        """A worker died. With this error end the attempts of what it ran, if that is known; and what it was
        loading."""

    def gave_up(self, said: str, error: BaseException) -> None:
        """No worker will be replaced any more."""

    def cannot_begin(self, error: BaseException) -> None:
        """The constructor of the work raised this."""


@final
class Lanes:
    """See the module.

    Args:
        size: how many, at least 1.
        start: starts a worker with a number; returns its handle and what tells when it has ended.
        item_timeout: seconds that an item may take, for its error.
        grace: seconds that what runs may still take once that is said.
        lock: held while something is decided.
        port: who has the workers.
    """

    def __init__(
        self,
        size: int,
        start: Callable[[int], tuple[Any, Future[None]]],
        item_timeout: float | None,
        grace: float,
        lock: RLock,
        port: LanesPort,
    ) -> None:
        self.size = size
        self._start = start
        self._item_timeout = item_timeout
        self._grace = grace
        self._lock = lock
        self._port = port
        self._workers: dict[int, Any] = {}
        self._ends: dict[int, Future[None]] = {}
        self._replaced = [0] * size  # how often, by lane
        self._replacements = Replacements(size)
        self._due: list[tuple[float, int]] = []  # a heap: when a lane gets its next worker
        self._grace_ends: dict[int, float] = {}  # by what they were begun for
        self._cut_off: set[int] = set()  # workers that were killed because it had ended
        self._said_goodbye: set[int] = set()
        self._placed: set[int] = set()  # workers whose process is there
        self._look_for_places: float | None = None  # when to say that none is
        self._is_stopping = self._is_closed = False
        self._alarm = Alarm(self._ring, "pullahead-crew-alarm")

    def begin(self) -> None:
        """Start a worker in every lane. Raises what starting one raises."""
        for lane in range(self.size):
            self._fill(lane)
        if not self._placed:
            self._look_for_places = monotonic() + _PLACE_PATIENCE
            self._ring()

    def lane(self, number: int) -> int:
        """Return the place of a worker."""
        return number % self.size

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of the workers that are there. With the lock held."""
        return tuple(self._workers)

    @property
    def have_said_goodbye(self) -> bool:
        """Whether every worker that is there has. With the lock held."""
        return self._ends.keys() <= self._said_goodbye

    # What is heard of them

    def ended(self, items: Iterable[int], *, finished: bool) -> None:
        """These items have ended; `finished`: because a worker has finished them, well or not."""
        self._replacements.ended(items)
        if finished:
            self._replacements.finished()

    def goodbye(self, number: int) -> None:
        """A worker has ended as it should, or is about to."""
        self._said_goodbye.add(number)

    # What is told to them

    def stop(self) -> None:
        """From now on nobody is replaced, and who waits for a place waits no more. With the lock held."""
        self._is_stopping = True
        for number in self._workers.keys() - self._placed:
            del self._ends[number]
            actors.kill(self._workers.pop(number))

    def wait(self) -> None:
        """Wait until the workers that are there have ended."""
        with self._lock:
            ends = list(self._ends.values())
        wait(ends)

    def begin_grace(self, key: int) -> None:
        """What runs may go on for so long; then it is killed, unless the grace of this key was ended."""
        with self._lock:
            self._grace_ends.setdefault(key, monotonic() + self._grace)
        self._ring()

    def end_grace(self, key: int) -> None:
        """What it was begun for has come about."""
        self._grace_ends.pop(key, None)

    def kill_all(self) -> None:
        """End those that are there; they are missed, and replaced if there is something to do."""
        with self._lock:
            handles = list(self._workers.values())
        for handle in handles:
            actors.kill(handle)

    def close(self) -> None:
        """End those that are there, and miss none of them."""
        with self._lock:
            self._is_stopping = self._is_closed = True
            handles = list(self._workers.values())
            self._workers.clear()
            self._ends.clear()
        self._alarm.stop()
        for handle in handles:
            actors.kill(handle)

    # Life and death

    def _fill(self, lane: int) -> None:
        with self._lock:
            number = lane + self._replaced[lane] * self.size
            self._replaced[lane] += 1
            handle, end = self._start(number)
            self._workers[number], self._ends[number] = handle, end
        actors.placed(handle).add_done_callback(partial(self._has_place, number))
        end.add_done_callback(partial(self._has_ended, number))

    def _has_place(self, number: int, placed: Future[None]) -> None:
        if placed.exception() is None:
            self._placed.add(number)

    def _has_ended(self, number: int, end: Future[None]) -> None:
        error = end.exception()
        if number in self._said_goodbye:
            if error is not None and not isinstance(error, ActorDiedError):
                warnings.warn(f"`close` of the work raised {error!r} in worker {number}", stacklevel=2)
        elif error is not None and not self._is_closed and number in self._ends:
            if isinstance(error, ActorDiedError | Unreachable):
                self._replace(number, error)
            else:
                self._port.cannot_begin(error)  # every other worker's constructor would raise it, too

    def _replace(self, number: int, error: ActorDiedError | Unreachable) -> None:
        with self._lock:
            if self._is_closed or number not in self._workers:
                return
            handle = self._workers.pop(number)
            del self._ends[number]
            items: tuple[int, ...] | None = ()
            loading: tuple[int, ...] = ()
            is_overdue = False
            if isinstance(error, ActorDiedError) and number not in self._cut_off:
                items, loading = charged(error.note, error.overdue), suspects(error.note, error.overdue)
                is_overdue = error.overdue is not None
            killed = is_overdue or number in self._cut_off
            delay = self._replacements.died(self.lane(number), items or (), killed=killed)
            if delay is not None:
                self._port.lost(number, self._blamed(error), items, loading)
                heappush(self._due, (monotonic() + delay, self.lane(number)))
        actors.kill(handle)  # its process is there if only its queue is not
        if delay is not None:
            self._ring()
            return
        died = f"{self._replacements.deaths} workers died one after the other, and none finished an item"
        self._port.gave_up(died, error)

    def _blamed(self, error: ActorDiedError | Unreachable) -> Exception:
        """Return what ends the attempts that a death is charged to."""
        if isinstance(error, ActorDiedError) and error.overdue is not None:
            limit = self._item_timeout
            return ItemTimeoutError(f"it took longer than item_timeout={limit:g}: its worker was killed")
        error.__traceback__ = None  # where it was found out is no news
        return error

    def _ring(self) -> None:
        """Do what is due: start workers in the place of others, kill those that had their grace."""
        failed: Exception | None = None
        with self._lock:
            now = monotonic()
            while self._due and self._due[0][0] <= now and not self._is_stopping:
                _, lane = heappop(self._due)
                try:
                    self._fill(lane)
                except Exception as error:  # noqa: BLE001  no more files, say: nobody else would hear of it
                    failed = error
            is_over = [key for key, ends in self._grace_ends.items() if ends <= now]
            for key in is_over:
                del self._grace_ends[key]
            overdue = self._workers.copy() if is_over else {}
            self._cut_off.update(overdue)
            starts = [self._due[0][0]] if self._due and not self._is_stopping else []
            look = self._look_for_places
            if look is not None and (self._placed or self._is_stopping or look <= now):
                self._look_for_places = None
            looks = [] if self._look_for_places is None else [self._look_for_places]
            self._alarm.set(min([*starts, *looks, *self._grace_ends.values()], default=None))
        if look is not None and look <= now and not (self._placed or self._is_stopping):
            warnings.warn(_NO_PLACE, stacklevel=2)
        for handle in overdue.values():
            actors.kill(handle)
        if failed is not None:
            self._port.gave_up("a worker that died could not be replaced", failed)
