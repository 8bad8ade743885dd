"""One run: items from a source into the crew, outcomes back to whoever wants them.

An item has ended for its source once whoever wanted its result has dealt with it, and says so (`settle`).
What nobody wants any more goes back (`release`).

A feeder thread reads the source while the window has room. Outcomes arrive on the engine's thread and are
taken by the consumer's. In order or not, the consumer takes what is ready in batches of up to `_BATCH`, so
that a lock is not paid for each of a hundred thousand tiny results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from math import inf
from threading import Condition, Lock, Thread, current_thread
from time import monotonic, time
from typing import Any, Final, final

from pullahead import actors
from pullahead.actors.failures import dumps_error
from pullahead.core import trace
from pullahead.core.ledger import State
from pullahead.core.pace import Pace
from pullahead.core.resequencer import Resequencer
from pullahead.core.window import BUDGETS, LIMIT, ORDERED_LIMIT, Window
from pullahead.farm.crew import Crew
from pullahead.farm.custody import Custody
from pullahead.farm.failure import Try
from pullahead.farm.parcels import Parcel, parcels
from pullahead.farm.payload import largest, size_of
from pullahead.farm.recorded import UNPACKED, Recalled
from pullahead.journal.identity import Place
from pullahead.sources.source import Pair, Source

#: Items pickled and submitted at once: enough to make the message cheap, few enough to start at once.
_CHUNK: Final = 2048
#: Bytes of an item, or of a result, that need not be counted: the window of items is bound enough.
_LIGHT: Final = 4096
#: Results taken at once by the consumer.
_BATCH: Final = 256
#: Seconds for which a run takes nothing after it gave something to others, unless its own workers are idle:
#: they need a trip to take it.
_YIELD: Final = 0.5
#: Bytes that are packed before what follows is looked at again: there may be room for less of it.
_ENOUGH: Final = 16 << 20
#: Seconds for which what is at hand waits for more of it, when a run begins.
_HOLD: Final = 0.0005
#: Seconds until the feeder looks whether the run was closed while its source had nothing.
_PATIENCE: Final = 0.1

DONE: Final = State.DONE.value
DEAD: Final = State.DEAD.value
LEFT: Final = State.LEFT.value


#: How one item ended: the item, its last state, its payload; what a journal knows it by, if there is one; and
#: its token. A plain tuple: to make a named one takes longer than all else that is done with it here.
Outcome = tuple[Any, str, Any, Place | None, Any]


@final
class Run:
    """See the module.

    Args:
        crew: who works.
        source: where the items come from; closed when it has nothing more to give, or, if it is live, when
            it has heard of the last end.
        ordered: whether outcomes are taken in the order of the source.
        unit: the batch size, or 1.
        total: how many items the source has, if that is known.
    """

    def __init__(
        self, crew: Crew, source: Source, *, ordered: bool, unit: int = 1, total: int | None = None
    ) -> None:
        self.started = monotonic()
        self.finished: float | None = None
        self.read = self.done = self.failed = 0  # items: from the source so far, and their ends
        self.returned = 0  # to the source, because the run was cancelled
        self.recorded = 0  # of those that have ended, how many did so in an earlier run
        self.absent = 0  # what the journal has and the source, which has ended, did not bring
        self.source_ended = False  # by itself, not by a cancellation
        self._crew = crew
        self._source = Custody(source, crew.queue_count)
        #: As `settle`, of a result. Without deadlines that is the source itself: it is called for each item.
        self.acknowledge: Callable[[Any], object] = self.settle if self._source.is_live else source.done
        self.keep = self._source.keep
        self._unit = unit
        self._total = total
        limit = ORDERED_LIMIT if ordered else LIMIT
        shared = self._source.is_live
        bytes_limit, store = BUDGETS * crew.budget, actors.store_size()
        self._window = Window(crew.size, unit, limit, bytes_limit, store=store, shared=shared)
        self._pace = Pace()
        self._items: dict[int, tuple[Any, Any]] = {}  # token and item, until the outcome is taken
        self._places: dict[int, Place] = {}  # of those that are recorded
        self._weights: dict[int, int] = {}  # bytes of large items, or of their results
        self._ends = Resequencer(ordered=ordered)
        self._unpacked: list[Pair] = []  # taken from the source, and too much to be sent at once
        # Of a live source others may want these; and there is no room for more than can begin soon.
        self._pack_most = inf if shared else _ENOUGH
        self._changed = Condition(Lock())
        self._cancelled = self._over = self._released = False
        self._yields_until = 0.0
        self._blocker = trace.CAUSE_FETCH  # whom the feeder waits for
        self._error: BaseException | None = None
        self._source_error: BaseException | None = None
        # What is at hand is sent together with the news that there is a run: that saves a trip, or two.
        self._holds = getattr(source, "is_at_hand", False)
        # A run of batches may be at its end while something is due later: that one waits here.
        delays = self._source.delays and unit == 1
        self._number = crew.open(self, delays=delays, hold=self._holds)
        self._feeder = Thread(target=self._feed, name="pullahead-feeder", daemon=True)
        self._feeder.start()

    # The consumer's side

    def take(self, patience: float | None = None) -> list[Outcome] | None:
        """Wait for outcomes. Returns some, or None at the end; [] when `patience` seconds have passed.

        Raises what broke the crew, and, after the last outcome, what the source raised.
        """
        with self._changed:
            while not self._ends.any_ready:
                if self._error is not None:
                    raise self._error
                if self._over:
                    self.raise_what_the_source_raised()
                    return None
                self._window.waits(True)
                try:
                    has_changed = self._changed.wait(patience)
                finally:
                    self._window.waits(False)  # also if the user interrupts it, and goes on in an hour
                if not has_changed:
                    return []
            outcomes: list[Outcome] = []
            for end in self._ends.take(_BATCH):
                outcomes += self._leave(*end)
                self._window.consumed(len(end[0]), self._unweigh(end[0]))
            if self._source.is_live or not self._is_full():
                self._changed.notify_all()
        return outcomes

    def _leave(self, numbers: Sequence[int], state: str, payloads: Sequence[Any]) -> Iterable[Outcome]:
        tokens, items = zip(*map(self._items.pop, numbers), strict=True)
        places: Iterable[Place | None] = repeat(None, len(items))
        if self._places:
            places = [self._places.pop(number, None) for number in numbers]
            for place in places:
                if place is not None:
                    self._left(place)
        return zip(items, repeat(state, len(items)), payloads, places, tokens, strict=True)

    def _left(self, place: Place) -> None:
        if self._crew.recorded is not None:
            self._crew.recorded.left(place)

    def settle(self, token: Any, reason: str | None = None, attempts: int = 1) -> None:
        """The end of an item was dealt with, and its source may hear of it. `reason`: why it failed."""
        if self._source.settle(token, reason, attempts):
            with self._changed:
                self._changed.notify_all()  # the feeder tells it

    def release(self, patience: float | None = None) -> None:
        """The consumer takes nothing more: what is not settled goes back. Waits until its source knows."""
        with self._changed:
            self._released = True
            self._changed.notify_all()
        if self._source.is_live and self._feeder is not current_thread():
            self._feeder.join(patience)

    def tries_again(self, token: Any, attempts: int) -> bool:
        """Whether the source of an item that has failed has it tried once more: as if it had not come."""
        if not self._source.tries_again(token, attempts):
            return False
        with self._changed:
            self.failed -= 1
            self.read -= 1
        return True

    def spoiled(self) -> None:
        """A result that was taken turned out to be of no use: its item has failed."""
        with self._changed:
            self.done -= 1
            self.failed += 1

    def cancel(self) -> None:
        """Take no more from the source and give back what is unstarted; what runs is finished."""
        with self._changed:
            if self._cancelled or self._over or self._error is not None:
                return
            self._cancelled = True
            self._changed.notify_all()
        self._crew.cancel_run(self._number)

    def wait_ended(self) -> None:
        """Wait until every item has ended, or the crew is broken. Outcomes stay where they are."""
        with self._changed:
            while not self._over and self._error is None:
                self._changed.wait()
        if self._feeder is not current_thread():
            self._feeder.join(_PATIENCE)  # it may be inside the user's iterable, which cannot be interrupted

    def raise_what_the_source_raised(self) -> None:
        """Raise it, once, unless nothing was wanted of the source any more."""
        if self._source_error is not None and not self._cancelled:
            error, self._source_error = self._source_error, None
            raise error

    # The crew's side

    @property
    def is_live(self) -> bool:
        """Whether its source is a live queue."""
        return self._source.is_live

    @property
    def refused(self) -> int:
        """How many of those that are done have failed after all, because their source refused the result."""
        return self._source.refused

    @property
    def unread(self) -> int:
        """How many items its source is known to still have, which have not ended in an earlier run."""
        recorded = self._crew.recorded
        if self._total is None or self._cancelled or (recorded is not None and recorded.has_more):
            return 0
        return max(0, self._total - self.read)

    @property
    def is_held_back(self) -> bool:
        """Whether most of what is in the system are results that the consumer has not taken, or waits for."""
        return 2 * (self._ends.ready + self._ends.early) > self._window.inside

    def items_ended(self, state: str, items: tuple[int, ...], payloads: list[Any]) -> None:
        """Outcomes arrived."""
        with self._changed:
            if state == LEFT:
                self._let_go(items, payloads[0] if payloads else 0.0)
            else:
                self._arrived(state, items, payloads)
            self._changed.notify_all()

    def _arrived(self, state: str, items: tuple[int, ...], payloads: list[Any]) -> None:
        self._count(state, len(items))
        if self._source.is_live:
            self._pace.ended(len(items), monotonic())
            self._window.paced(self._pace.per_second, self._crew.lookahead)
        if state == DONE:
            self._window.weighs(self._weigh(items, payloads))
        self._ends.ended(items, state, payloads)

    def _unweigh(self, items: Sequence[int]) -> int:
        """These are gone. Returns what large ones among them weighed."""
        weights = self._weights
        return sum([weights.pop(number, 0) for number in items]) if weights else 0

    def _weigh(self, items: Sequence[int], payloads: Sequence[Any]) -> int:
        """Note what large items, or results in their place, weigh. Returns how much that is more."""
        if not self._weights and largest(payloads) <= _LIGHT:
            return 0
        before = self._unweigh(items)
        sizes = map(size_of, payloads)
        heavy = {number: size for number, size in zip(items, sizes, strict=True) if size > _LIGHT}
        self._weights |= heavy
        return sum(heavy.values()) - before

    def _count(self, state: str, items: int) -> None:
        if state == DONE:
            self.done += items
        else:
            self.failed += items

    def _let_go(self, items: tuple[int, ...], delay: float) -> None:
        """These will not be computed here, or not now: their source has them back, for a later run, for
        others, or for whoever takes them in so many seconds."""
        self._source.give_back([self._items.pop(number)[0] for number in items], delay)
        for number in items:
            self._places.pop(number, None)
        if self._cancelled:
            self.returned += len(items)
        else:  # it is as if they had never come
            self.read -= len(items)
            if not delay:
                self._yields_until = monotonic() + _YIELD
        self._window.consumed(len(items), self._unweigh(items))
        self._ends.forget(items)

    def starved(self) -> None:
        """Workers wait for items."""
        with self._changed:
            if self._window.starved(self._ends.ready):
                self._changed.notify_all()

    def ended(self) -> None:
        """The run is closed and every item has ended."""
        with self._changed:
            self._over = True
            self.finished = monotonic()
            self._changed.notify_all()

    def broke(self, error: BaseException) -> None:
        """Nothing more will come."""
        with self._changed:
            self._error = error
            self.finished = monotonic()
            self._changed.notify_all()

    # The feeder's side

    def _feed(self) -> None:
        try:
            while self._feed_some():
                pass
        except BaseException as error:  # noqa: BLE001  whatever the user's iterable raised is the consumer's
            self._source_error = error
        self.source_ended = not self._cancelled
        self._return_unpacked()
        try:
            if not self._source.is_live:
                self._source.close()
            if self.source_ended and self._source_error is None and self._crew.recorded is not None:
                self.absent = self._crew.recorded.absent()
        except Exception as error:  # noqa: BLE001
            self._source_error = self._source_error or error
        self._crew.close_run(self._number)
        self._release_crew()
        if self._source.is_live:
            self._see_out()

    def _return_unpacked(self) -> None:
        """What was taken and never sent comes again, in a later run."""
        tokens = [token for token, _ in self._unpacked]
        self._unpacked.clear()
        if tokens:
            self._source.give_back(tokens)
            with self._changed:
                self.read += len(tokens)
                self.returned += len(tokens)

    def _release_crew(self) -> None:
        """What was at hand is said, or takes longer than one waits for it."""
        if self._holds:
            self._holds = False
            self._crew.release()

    def _see_out(self) -> None:
        """Nothing more is read, but what is out has deadlines until the source has heard of its end."""
        try:
            try:
                self._wait_while(lambda: bool(self._source) and not self._released, shares=False)
                if self._error is None:  # else some may have begun: their leases run out, and that counts
                    self._source.give_all_back()
            finally:
                self._source.close()
        except Exception as error:  # noqa: BLE001  the consumer hears of it
            self._source_error = self._source_error or error

    def _feed_some(self) -> bool:
        """Read and submit what there is room for. Return False at the end."""
        waited, blocker = self._wait_for_room()
        if self._cancelled or self._error is not None:
            return False
        before = monotonic()
        most = min(self._room, _CHUNK)
        taken = self._unpacked[:most] or self._source.take(most, _PATIENCE)
        if not taken:
            # A worker that waited before this run began is not said to starve; with nothing here, each does.
            if (self._window.is_starving or not self._window.inside) and (idle := self._idle):
                self._source.hungry(idle)
            return not self._source.closed or self._gets_some_back()
        cause = blocker if waited > monotonic() - before else trace.CAUSE_SOURCE
        found, left, error = parcels(taken, self._crew.recorded, self._pack_most)
        self._unpacked[:most] = left
        for parcel in found:
            if parcel.state is None:
                self._submit(parcel, cause)
            elif parcel.state == UNPACKED:
                self._fail_here(parcel)
            else:
                self._end_here(parcel.state, parcel)
        if error is not None:
            raise error
        return True

    def _gets_some_back(self) -> bool:
        """A live source is empty. Wait until all that is out has ended, or something has gone back to it.

        Until then a run is not at its end: what it gives to others may come again. But a batch that is not
        full waits for the end, so a run of batches ends here, and gives nothing to others from then on.
        """
        if self._source.is_live and self._unit == 1:
            self._wait_while(self._may_get_some_back)
        return not self._source.closed

    def _may_get_some_back(self) -> bool:
        is_over = self._released or self._cancelled or self._error is not None
        return not is_over and bool(self._source) and self._source.closed

    def _submit(self, parcel: Parcel, cause: str) -> None:
        first = self._enter(parcel.pairs, parcel.recalled, parcel.payloads)
        known = [one.known for one in parcel.recalled] if parcel.recalled else None
        self._crew.submit(self._number, first, parcel.payloads, cause, known)
        if self._holds and monotonic() > self.started + _HOLD:
            self._release_crew()

    def _fail_here(self, parcel: Parcel) -> None:
        """These cannot be pickled."""
        ends = [_unsent(error) for error in parcel.payloads]
        for one, tries in zip(parcel.recalled, ends, strict=False):
            self._crew.unsent(one.known.entry, tries)  # before anybody takes it, and says that a sink has it
        first = self._enter(parcel.pairs, parcel.recalled)
        self.items_ended(DEAD, tuple(range(first, first + len(ends))), ends)

    def _end_here(self, state: str, parcel: Parcel) -> None:
        """These have ended in an earlier run. What the sink of this one has is only counted."""
        both = list(zip(parcel.pairs, parcel.recalled, strict=True))
        new = [(pair, one) for pair, one in both if not one.delivered]
        first = self._enter([pair for pair, _ in new], [one for _, one in new])
        with self._changed:
            self.recorded += len(both)
            self.read += len(both) - len(new)
            self._count(state, len(both) - len(new))
        if new:
            self.items_ended(state, tuple(range(first, first + len(new))), [one.end for _, one in new])
        for (token, _), one in both:
            if one.delivered:
                self._left(one.known.entry.place)
                self._source.settle(token, None if state == DONE else "it failed in an earlier run")

    @property
    def _room(self) -> int:
        """How many items may be read now. Those that have ended in an earlier run need no window."""
        if self._crew.recorded is None or not self._crew.recorded.has_more:
            return self._window.room
        free = _CHUNK - len(self._items)
        return max(self._window.room, free if 4 * free >= _CHUNK else 0)

    @property
    def _idle(self) -> int:
        """How many workers have nothing to compute, if all that has not ended is spread evenly."""
        computing = self._window.inside - self._ends.ready - self._ends.early
        return max(0, self._crew.present - -(-computing // self._unit))

    def _wait_for_room(self) -> tuple[float, str]:
        """Wait for room in the window. Return how long that took, and because of whom."""
        before, self._blocker = monotonic(), trace.CAUSE_FETCH
        self._wait_while(self._is_full)
        return monotonic() - before, self._blocker

    def _is_full(self) -> bool:
        if self._cancelled or self._error is not None:
            return False
        if self._room and (self._idle or monotonic() >= self._yields_until):
            return False
        if self._ends.any_ready:
            self._blocker = trace.CAUSE_CONSUMER
        elif self._ends.early:
            self._blocker = trace.CAUSE_ORDER
        return True

    def _wait_while(self, going: Callable[[], bool], *, shares: bool = True) -> None:
        """Wait as long as this goes on, and tell a live source meanwhile what it wants to hear.

        `shares`: whether the hungry of others get something, which may have to be taken again if they die.
        """
        while True:
            self._source.tend()
            hungry = self._source.wanted() if shares else None
            if hungry is not None:
                self._crew.share(self._number, hungry)
            with self._changed:
                if not going():
                    return
                patience = self._source.patience
                if patience != 0.0 and not self._holds:
                    self._changed.wait(patience)
            self._release_crew()

    def _enter(
        self, pairs: Sequence[Pair], recalled: Sequence[Recalled], payloads: Sequence[Any] = ()
    ) -> int:
        with self._changed:
            first = self._crew.reserve(len(pairs))
            numbers = range(first, first + len(pairs))
            self._places.update(zip(numbers, [one.known.entry.place for one in recalled], strict=False))
            self._items.update(zip(numbers, pairs, strict=True))
            self._ends.expect(first, len(pairs))
            self._window.submitted(len(pairs), self._weigh(numbers[: len(payloads)], payloads))
            self.read += len(pairs)
        return first


def _unsent(error: Exception) -> list[Try]:
    error.add_note("the item could not be pickled, so it was never sent to a worker")
    return [Try(dumps_error(error), None, None, time())]
