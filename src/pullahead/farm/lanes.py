"""The workers of a crew: started, replaced when they die, killed when they had their grace.

A lane is a place for a worker. Who replaces another one has its number and as many more as there are lanes.
Where workers come and go, some lanes are empty. A worker that was drained leaves its lane once it has said
goodbye and its actor has ended, or when it dies: nobody takes its place.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from functools import partial
from heapq import heapify, heappop, heappush
from threading import RLock
from time import monotonic
from typing import Any, Final, Protocol, final

from pullahead import actors
from pullahead.core.replacements import Replacements
from pullahead.errors import ActorDiedError, ItemTimeoutError, PullaheadError
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


class Watch(Protocol):
    """What is told to whoever decides which lanes have a worker. With the lock held."""

    def placed(self, lane: int) -> None:
        """The process of a worker is there."""

    def replaced(self, lane: int) -> None:
        """A worker died, and another one will come."""

    def left(self, lane: int) -> None:
        """A worker that was drained has ended."""


@final
class Lanes:
    """See the module.

    Args:
        size: how many, at least 1.
        start: starts a worker with a number, which has a method `run`; returns its handle.
        item_timeout: seconds that an item may take, for its error.
        grace: seconds that what runs may still take once that is said.
        lock: held while something is decided.
        port: who has the workers.
        first: how many have a worker at first; None: all.
    """

    def __init__(
        self,
        size: int,
        start: Callable[[int], Any],
        item_timeout: float | None,
        grace: float,
        lock: RLock,
        port: LanesPort,
        first: int | None = None,
    ) -> None:
        self.size = size
        self.watch: Watch | None = None  # who decides which lanes have a worker, if they come and go
        self.gone: dict[int, float] = {}  # when workers that are not there any more ended
        self._first = size if first is None else first
        self._start = start
        self._item_timeout = item_timeout
        self._grace = grace
        self._lock = lock
        self._port = port
        self._workers: dict[int, Any] = {}
        self._ends: dict[int, Future[None]] = {}
        self._replaced = [0] * size  # how often, by lane
        self._replacements = Replacements(self._first)
        self._due: list[tuple[float, int]] = []  # a heap: when a lane gets its next worker
        self._grace_ends: dict[int, float] = {}  # by what they were begun for
        self._cut_off: set[int] = set()  # workers that were killed because it had ended
        self._said_goodbye: set[int] = set()
        self._placed: set[int] = set()  # workers whose process is there
        self._leaving: set[int] = set()  # workers that were drained and have not ended
        self._unheard: set[int] = set()  # those of them whose goodbye may have been for a queue that died
        self._look_for_places: float | None = None  # when to say that none is
        self._is_stopping = self._is_closed = False
        self._alarm = Alarm(self._ring, "pullahead-crew-alarm")

    def begin(self) -> None:
        """Start the first workers. Raises what starting one raises."""
        for lane in range(self._first):
            self._fill(lane)
        self._ring()

    def lane(self, number: int) -> int:
        """Return the place of a worker."""
        return number % self.size

    @property
    def count(self) -> int:
        """How many workers are there. With the lock held."""
        return len(self._workers)

    def has(self, number: int) -> bool:
        """Say whether a worker is there, and stays. With the lock held."""
        return number in self._workers and number not in self._leaving

    @property
    def are_failing(self) -> bool:
        """Whether workers have died, and none has finished an item since."""
        return self._replacements.deaths > 0

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
        """A worker has ended as it should, or is about to. With the lock held."""
        self._said_goodbye.add(number)
        self._let_go(number)

    def returning(self) -> tuple[int, ...]:
        """The queue died. Return the workers that may come to the next one. With the lock held."""
        self._unheard |= self._leaving
        self._alarm.set(monotonic())  # those of them that have ended will leave, once there is a queue
        ended = [number for number in self._leaving if self._ends[number].done()]
        return tuple(number for number in self._workers if number not in ended)

    # Lanes that are filled and emptied, with the lock held

    def fill_soon(self, lane: int) -> None:
        """Start a worker in an empty lane, on another thread."""
        heappush(self._due, (monotonic(), lane))
        self._alarm.set(self._due[0][0])

    def drain(self, lane: int) -> int:
        """The worker of a lane is told to stop, and will not be replaced. Return its number."""
        (number,) = (one for one in self._workers if self.lane(one) == lane)
        self._leaving.add(number)
        return number

    def drop(self, lane: int) -> None:
        """The worker of a lane waits for a place: it waits no more."""
        self._due = [entry for entry in self._due if entry[1] != lane]
        heapify(self._due)
        self._replacements.closed(lane)
        for number in [one for one in self._workers if self.lane(one) == lane]:
            del self._ends[number]
            actors.kill(self._workers.pop(number))  # the queue has not heard of it

    def _let_go(self, number: int) -> None:
        """A worker that was drained leaves its lane, if it has ended, and the queue has all that it said."""
        if number not in self._leaving or number not in self._ends or not self._ends[number].done():
            return
        if number in self._said_goodbye:
            self._leave(number)
        elif number in self._unheard:
            self._leave(number)
            self._port.lost(number, PullaheadError("this worker had said goodbye to another queue"), (), ())

    def _leave(self, number: int) -> None:
        actors.kill(self._workers.pop(number))  # on Ray it is still there, and has its place
        del self._ends[number]
        self._freed(number)

    def _freed(self, number: int) -> None:
        """A worker that was drained is not there any more."""
        self.gone[number] = monotonic()
        self._placed.discard(number)
        self._leaving.remove(number)
        self._unheard.discard(number)
        self._replacements.closed(self.lane(number))
        if self.watch is not None:
            self.watch.left(self.lane(number))

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
            handle = self._workers[number] = self._start(number)
            told = self._ends[number] = Future()
            place = actors.placed(handle)
            if not self._placed and self._look_for_places is None:
                self._look_for_places = monotonic() + _PLACE_PATIENCE
        place.add_done_callback(partial(self._has_place, number, told))

    def _has_place(self, number: int, told: Future[None], place: Future[None]) -> None:
        """The process of a worker is there, or will not come. Who is not needed any more never runs."""
        end = place
        with self._lock:
            if place.exception() is None and number in self._workers:
                end = _begun(self._workers[number])
                self._placed.add(number)
                self._look_for_places = None
                if self.watch is not None:
                    self._replacements.opened(self.lane(number))
                    self.watch.placed(self.lane(number))
        end.add_done_callback(partial(self._has_ended, number, told))

    def _has_ended(self, number: int, told: Future[None], end: Future[None]) -> None:
        told.set_result(None)
        error = end.exception()
        if number in self._said_goodbye:
            if error is not None and not isinstance(error, ActorDiedError):
                warnings.warn(f"`close` of the work raised {error!r} in worker {number}", stacklevel=2)
            with self._lock:
                self._let_go(number)
        elif error is None:
            with self._lock:
                self._let_go(number)
        elif not self._is_closed and number in self._ends:
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
            self._placed.discard(number)
            items: tuple[int, ...] | None = ()
            loading: tuple[int, ...] = ()
            is_overdue = False
            if isinstance(error, ActorDiedError) and number not in self._cut_off:
                items, loading = charged(error.note, error.overdue), suspects(error.note, error.overdue)
                is_overdue = error.overdue is not None
            killed = is_overdue or number in self._cut_off
            delay: float | None = 0.0
            if number not in self._leaving:
                delay = self._replacements.died(self.lane(number), items or (), killed=killed)
            if delay is not None:
                self._port.lost(number, self._blamed(error), items, loading)
                self._follow(number, delay)
        actors.kill(handle)  # its process is there if only its queue is not
        if delay is not None:
            self._ring()
            return
        died = f"{self._replacements.deaths} workers died one after the other, and none finished an item"
        self._port.gave_up(died, error)

    def _follow(self, number: int, delay: float) -> None:
        """A worker died: another one comes, but not where it was drained."""
        if number in self._leaving:
            self._freed(number)
            return
        self.gone[number] = monotonic()
        heappush(self._due, (monotonic() + delay, self.lane(number)))
        if self.watch is not None:
            self.watch.replaced(self.lane(number))

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
            for number in list(self._unheard):
                self._let_go(number)
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
        for handle in overdue.values():
            actors.kill(handle)
        if failed is not None:
            self._port.gave_up("a worker that died could not be replaced", failed)
        if look is not None and look <= now and not (self._placed or self._is_stopping):
            warnings.warn(_NO_PLACE, stacklevel=2)  # last: where warnings are errors, it ends this thread


def _begun(worker: Any) -> Future[None]:
    """Let a worker run. Return what tells when it has ended."""
    try:
        end: Future[None] = worker.run.remote().future()
    except Exception as error:  # noqa: BLE001  the cluster is gone, say: nobody else would hear of it
        end = Future()
        end.set_exception(error)
    return end
