"""The worker's machine: ask, load, process, store, report, give back.

Rules:
1. Ask early enough: held + asked ≤ lookahead + bundle - 1 beyond what is computed now, and ask as soon as a
   whole bundle is wanted; a message that goes anyway asks for less, too. When nothing is computed, what
   comes next (an item, a slice, a batch) is wanted too: with a lookahead of 0 that is all, so asking on
   demand needs no rule of its own. A bundle is at most half of what is ready for each worker, and so is a
   slice.
2. Of what is loaded, the oldest (the smallest number) is processed first: what was cut from a slice, or came
   back from another worker, has waited already.
3. Whether an item has *started* is decided here alone: when it leaves the buffer, and within a slice when the
   main thread comes to it. A recall takes from what is still in the buffer, and then from the slice.
   Whichever comes first wins, without a round trip.
4. When an item lasts much longer than usual, nobody waits behind it: give all back, ask for nothing, and take
   the youngest items there are instead, if there are enough. Ask again a fetch before it may be over (a
   quarter of those that last so long have ended by then), and look at it again when it has lasted much longer
   once more. A slice that lasts for twice as long as it should, and longer than one item should, is cut:
   what it has finished is reported, what has not begun is in the buffer again, and what runs is looked at
   again when it has lasted so long.
5. What has started is said with the first message that goes anyway; at once after idling only where no
   memory survives the worker.
6. What is said goes when the `outbox` says so: at once, or within some milliseconds where items are
   shorter than that.
7. A second of the main thread is useful, stalled for a named cause, or idle at the tail; see `meter`.

One item's way: granted → (loading →) buffered → running → (storing →) reported. With `load`, an item is
loaded as soon as there is a free place; without it, it is ready as it comes. `take` hands out the next items
for one call of `process`: a batch, or a *slice* of consecutive items that together take about two
milliseconds, so that small items do not pay for a lock each. The main thread begins the items of a slice one
after another, and says so in `running` (see `slices`).

The shell calls one method per event and performs the effects that it returns. `Send` takes the messages that
are collected in `take_messages`. There is one deadline, for collected results, for a batch that waits to
become full, and for what lasts long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple, final

from pullahead.core import messages as m
from pullahead.core import trace
from pullahead.core.asks import Asks
from pullahead.core.lookahead import QUANTUM, Lookahead
from pullahead.core.meter import Meter
from pullahead.core.outbox import Outbox
from pullahead.core.slices import MAX_SLICE, SLICE, Slice, slice_size, stretches
from pullahead.errors import ProtocolError

#: Stores that may be under way before `take` waits for them: results must not pile up without bound.
MAX_STORING: Final = 64
#: Seconds between two reports of the running sums, so that a live report is never older than this.
_TOTALS_EVERY: Final = 0.25
#: Spans that are collected before they travel.
_SPANS_PER_MESSAGE: Final = 2048
#: The share of long items that end sooner than when a stuck worker asks again.
_SOON: Final = 0.25
#: A worker that waits for one of these has an unstarted item itself.
_OWN_CAUSES: Final = frozenset({trace.CAUSE_LOAD, trace.CAUSE_BATCH, trace.CAUSE_REPORT})


class Phase(Enum):
    """What the worker as a whole does."""

    WORKING = "working"
    STOPPING = "stopping"  # nothing new is asked for or begun; what runs is finished and reported
    GONE = "gone"  # the goodbye was sent


class Load(NamedTuple):
    """Run the work's `load` for an item."""

    item: int


class Store(NamedTuple):
    """Run the work's `store` for an item."""

    item: int


class Discard(NamedTuple):
    """An item will not run here. `loaded` says whether the work should clean up after its load."""

    item: int
    loaded: bool


class Send(NamedTuple):
    """Call the queue with `take_messages()`."""


class Wake(NamedTuple):
    """`take` may have something for the main thread, or its deadline has moved."""


Effect = Load | Store | Discard | Send | Wake


@final
class Pipeline:
    """See the module. Every method takes `now`, in seconds of one monotonic clock.

    Args:
        lookahead: the policy.
        meter: where the time goes.
        recorder: the trace.
        batch_size: items per call of `process`; 0 means one by one (no batches).
        batch_wait: seconds that a batch may wait to become full.
        loads, stores: whether the work has a `load`, a `store`.
        load_concurrency: loads at a time, or None for as many as are held.
        gives_back: whether to give back what waits behind an item that lasts much longer than usual.
        says_starts: whether to say at once what runs after idling, because no memory survives the worker
            that would tell what its death is charged for.
    """

    def __init__(
        self,
        lookahead: Lookahead,
        meter: Meter,
        recorder: trace.Recorder,
        *,
        batch_size: int = 0,
        batch_wait: float = 0.0,
        loads: bool = False,
        stores: bool = False,
        load_concurrency: int | None = None,
        gives_back: bool = True,
        says_starts: bool = False,
    ) -> None:
        self.lookahead = lookahead
        self.meter = meter
        self.recorder = recorder
        self.running: Slice | None = None  # what `take` handed out, until it was processed
        self.phase = Phase.WORKING
        self._batch_size = batch_size
        self._batch_wait = batch_wait
        self._loads = loads
        self._stores = stores
        self._gives_back = gives_back
        self._says_starts = says_starts
        self._load_limit = load_concurrency or 1 << 30
        self._outbox = Outbox(recorder)
        self._lease: dict[int, int] = {}  # of each item that is held, running or storing
        self._unloaded: deque[int] = deque()
        self._loading: dict[int, float] = {}  # since when
        self._withdrawn: set[int] = set()  # given back while loading: discard when the load is over
        self._buffer: deque[int] = deque()
        self._announced = True  # whether the queue was told what runs
        self._storing: dict[int, float] = {}
        self._asks = Asks()
        self._idle_since: float | None = None
        self._nothing_left = False
        self._said_hungry = False  # since the last grant
        self._plenty = 0  # half of what was ready for each worker at the last grant
        self._bundle = 1  # how many items travel together: as many as the policy says, if there are plenty
        self._stuck_at: float | None = None  # when what runs will have lasted much longer than usual
        self._stuck_until: float | None = None  # it has, and asks again when it may soon be over
        self._batch_since = 0.0  # when the oldest item that waits for a fuller batch began to wait
        self._batch_due: float | None = None  # when it has waited for long enough
        self._totals_at = 0.0

    # What the queue says

    def began(self, now: float) -> list[Effect]:
        """The worker is there and has nothing."""
        self._idle_since = now
        self._totals_at = now
        return self._after(now)

    def answered(self, messages: list[m.Message], now: float) -> list[Effect]:
        """A call to the queue was answered with these messages."""
        self._outbox.caller.answered()
        if self.phase is Phase.GONE:
            return []  # whatever the queue still says, it says to nobody: an answer to a goodbye is a stop
        effects: list[Effect] = []
        for kind, *rest in messages:
            if kind == m.GRANT:
                lease, first, payloads, waited, cause, backlog = rest
                self._plenty = backlog // 2
                effects += self._granted(lease, first, len(payloads), waited, cause, now)
            elif kind == m.CLOSED:
                waited, cause = rest
                self._told_nothing_left(waited, cause, now)
            elif kind == m.RECALL:
                (size,) = rest
                effects += self._recalled(size, now)
            elif kind == m.UNASKED:
                self._asks.taken_back(*rest)
                self._said_hungry = False
            elif kind == m.WITHDRAW:
                (lease,) = rest
                if self.running and any(self._lease[item] == lease for item in self.running.open):
                    effects += self._cut(now)
                effects += self._return([item for item in self._held() if self._lease[item] == lease], now)
            elif kind == m.STOP:
                self.phase = Phase.STOPPING
                effects += self._cut(now) + self._return(self._held(), now)
            else:
                raise ProtocolError(f"a worker got a message of kind {kind!r}")
        return effects + self._after(now)

    def _granted(
        self, lease: int, first: int, count: int, waited: float, cause: str, now: float
    ) -> list[Effect]:
        """Items came. Their ask waited `waited` seconds at the queue because of `cause`."""
        self._account_fetch(first, count, waited, cause, now)
        items = range(first, first + count)
        self._lease.update(dict.fromkeys(items, lease))
        self._said_hungry = False
        if self.phase is not Phase.WORKING or (self._is_stuck and cause != m.UNASKED_FOR):
            self._unloaded.extend(items)
            return self._return(list(items), now)
        if self._loads:
            # One may come back while its load for an earlier lease is still under way: that one will do.
            self._unloaded.extend(item for item in items if item not in self._withdrawn)
            self._unloaded = deque(sorted(self._unloaded))  # the oldest is loaded first, too
            self._withdrawn.difference_update(items)
        else:
            self._arrived(items, now)
        return []

    def _recalled(self, size: int, now: float) -> list[Effect]:
        """Give back up to so many items, the youngest first; what is next to be computed stays."""
        keep = 0 if self.running else self._batch_size or 1
        effects = self._cut(now, size - self.held)
        held = self._held()
        items = held[max(keep, len(held) - size) :]
        effects += self._return(items, now)
        self._outbox.say((m.RECALLED, len(items)), now, urgent=True)
        return effects

    def _told_nothing_left(self, waited: float, cause: str, now: float) -> None:
        """Nothing unstarted is left in the world; before that, an ask had waited because of `cause`."""
        self._account_wait(waited, cause, now)
        self._nothing_left = True
        if self._idle_since is not None and self._obstacle() == trace.CAUSE_FETCH:
            self._stall(now, trace.CAUSE_TAIL)
        self._asks.paused()

    # What the shell has done

    def loaded(self, item: int, now: float) -> list[Effect]:
        """`load` has returned for this item."""
        self._account_load(item, now)
        if item in self._withdrawn:
            self._withdrawn.discard(item)
            return [Discard(item, loaded=True), *self._after(now)]
        self._arrived((item,), now)
        return self._after(now)

    def load_failed(self, item: int, kind: str, delay: float, now: float) -> list[Effect]:
        """`load` has raised for this item. The shell has its error."""
        self._account_load(item, now)
        if item in self._withdrawn:
            self._withdrawn.discard(item)
            return [Discard(item, loaded=False), *self._after(now)]
        self._fail(item, kind, delay, now)
        return self._after(now)

    def take(self, now: float) -> tuple[int, ...]:
        """Hand out a batch, or a slice of items for one call of `process` each; () when there is none yet.

        From here on the batch runs, or the first item of the slice, and `running` is where the main thread
        finds the next one. The caller waits for `Wake` after (). After items, `deadline` has often come
        already (there is room for the next ask): call `tick` at once, so that the answer travels while these
        items are computed.
        """
        count = 0 if self.running or self._is_full() else self._takeable(now)
        if not count:
            if self._idle_since is None and not self.running:
                self._idle_since = now
            return ()
        if self._idle_since is not None:
            self._stall(now, self._obstacle())
        buffer = self._buffer
        items = (buffer.popleft(),) if count == 1 else tuple([buffer.popleft() for _ in range(count)])
        self._batch_since = now  # what a full batch leaves behind begins to wait here
        self.running = Slice(items, now, whole=bool(self._batch_size))
        if self._gives_back:
            # A slice is looked at when it has lasted twice as long as it should: a usual one is not cut.
            least = 2 * SLICE if count > 1 and not self._batch_size else 0.0
            self._stuck_at = now + max(least, self.lookahead.patience)
        self._batch_due = None
        self.meter.computing(now)
        self._announced = False
        if self._idle_since is not None:
            self._idle_since = None
            if self._says_starts:
                self._announce(now)
        return items

    def turn(self, start: float, end: float, cpu: float, now: float) -> tuple[tuple[int, ...], list[Effect]]:
        """`processed` and `take` in one step, so that one message says what has ended and what has begun."""
        effects = self._ended(start, end, cpu, now)
        items = self.take(now)
        return items, effects + self._after(now)

    def processed(self, start: float, end: float, cpu: float, now: float) -> list[Effect]:
        """`process` has ended for what was taken, less what was cut from it.

        Args:
            start, end: when, on the clock of `now`.
            cpu: seconds of CPU time of the thread that ran it.
            now: the moment.
        """
        return self._ended(start, end, cpu, now) + self._after(now)

    def _ended(self, start: float, end: float, cpu: float, now: float) -> list[Effect]:
        ran = self.running
        assert ran is not None
        self._stuck_at = self._stuck_until = None
        self.meter.computed(start, end, ran.size, cpu)
        self._record_process(ran, start, end)
        if self.lookahead.computed(end - start, ran.size):
            self._note_lookahead(now)
        self.running = None
        return self._computed(ran.open, ran.failures, now)

    def _record_process(self, ran: Slice, start: float, end: float) -> None:
        """Record what was computed: a span for each stretch of consecutive items, with its share of time."""
        each = (end - start) / ran.size
        for first, size in stretches(ran.items[: ran.size]) if self.recorder.on else ():
            self.recorder.add(trace.PROCESS, start, start + size * each, first, size)
            start += size * each

    def stored(self, item: int, now: float) -> list[Effect]:
        """`store` has returned for this item."""
        self._account_store(item, now)
        self._finish(item, now)
        return self._after(now)

    def store_failed(self, item: int, kind: str, delay: float, now: float) -> list[Effect]:
        """`store` has raised for this item."""
        self._account_store(item, now)
        self._fail(item, kind, delay, now)
        return self._after(now)

    def tick(self, now: float) -> list[Effect]:
        """Time has come to `deadline`."""
        return self._after(now)

    def take_messages(self, now: float) -> list[m.Message]:
        """Hand over what is to be sent now; performs the `Send` effect's half of the machine."""
        if not self._announced:
            self._announce(now)  # it costs nothing beside what is sent anyway
        wanted = self._wanted()
        if wanted:
            self._ask_for(wanted, now)  # so does this
        self._asks.sent(now)
        over = self._is_over()
        if over and self._idle_since is not None:
            self._stall(now, trace.CAUSE_TAIL)
        news = self._news(now, complete=over or not (self.running or self._buffer))
        if over:
            self.phase = Phase.GONE
            self._outbox.say((m.BYE,), now)
        return self._outbox.take(news, now)

    def _news(self, now: float, *, complete: bool) -> list[m.Message]:
        """Return sums and spans that are due, all of them when `complete`.

        They go ahead of the reports: once the caller knows that the last item has ended, it knows all else.
        A worker with nothing to compute sends them with whatever it sends, because that report may be the
        last one of a run.
        """
        news: list[m.Message] = []
        if self.recorder and (complete or len(self.recorder) >= _SPANS_PER_MESSAGE):
            news.append((m.TRACE, self.recorder.take()))
        if complete or now - self._totals_at >= _TOTALS_EVERY:
            self._totals_at = self.meter.totals.ended = now
            news.append(self._totals())
        return news

    # What can be asked

    @property
    def deadline(self) -> float | None:
        """When `tick` should be called next, or None."""
        if self.phase is Phase.GONE:
            return None
        must_ask = self._wanted() >= self._bundle
        send_at = self._outbox.caller.free_at if must_ask else self._send_at()
        if send_at is not None and self.running and not (must_ask or self._outbox.is_urgent):
            # What runs ends soon, and `turn` sends what is due: the main thread needs no other to wake it.
            send_at += QUANTUM
        due = (send_at, self._batch_due, self._stuck_at, self._stuck_until)
        return min((at for at in due if at is not None), default=None)

    @property
    def held(self) -> int:
        """Items that are here and have not started."""
        return len(self._unloaded) + len(self._loading) - len(self._withdrawn) + len(self._buffer)

    @property
    def asked(self) -> int:
        """Items that were asked for and have not come."""
        return self._asks.total

    def validate(self) -> None:
        """Check every index against every other; for tests."""
        places = [*self._held(), *(self.running.open if self.running else ()), *self._storing]
        assert len(places) == len(set(places)), "an item is in two places"
        assert set(self._lease) == set(places), "an item has no place, or no lease"
        self._asks.validate()
        assert set(self._withdrawn) <= set(self._loading)
        assert len(self._loading) <= self._load_limit

    # How it is done: effects

    def _after(self, now: float) -> list[Effect]:
        """Do what follows from any event: ask, load, send, wake the main thread."""
        effects: list[Effect] = []
        if self.phase is Phase.GONE:
            return effects
        if self._stuck_at is not None and now >= self._stuck_at:
            effects += self._let_go(now)
        if self._stuck_until is not None and now >= self._stuck_until:
            self._stuck_until = None
            assert self.running is not None
            since = self.running.since
            self._stuck_at = since + self.lookahead.patience_after(now - since)
        if self._unloaded:
            self._begin_loads(effects, now)
        self._bundle = max(1, min(self.lookahead.bundle, self._plenty))
        self._ask(now)
        self._say_hungry(now)
        send_at = self._send_at()
        if send_at is not None and now >= send_at:
            effects.append(Send())
        if not self.running:
            effects.append(Wake())
        self._await_batch(now)
        return effects

    def _begin_loads(self, effects: list[Effect], now: float) -> None:
        while self._unloaded and len(self._loading) < self._load_limit:
            item = self._unloaded.popleft()
            self._loading[item] = now
            effects.append(Load(item))

    def _ask(self, now: float) -> None:
        """Ask as soon as a bundle is wanted."""
        wanted = self._wanted()
        if wanted >= self._bundle:
            self._ask_for(wanted, now)

    def _ask_for(self, items: int, now: float) -> None:
        self._asks.made(items, now)
        self._outbox.ask(items, now)

    def _say_hungry(self, now: float) -> None:
        """Say, once, that there is nothing left to compute and that an ask is out."""
        idle = self._idle_since is not None and not self.running and not self._is_full()
        if idle and not self._said_hungry and self._asks.total and not self.held:
            self._said_hungry = True
            self._outbox.say((m.HUNGRY, self._asks.total), now, urgent=True)

    def _let_go(self, now: float) -> list[Effect]:
        """What runs takes long: cut it, if it is a slice. If one item is to blame, nobody waits behind it."""
        ran = self.running
        assert ran is not None
        effects = self._cut(now)
        patient_until = ran.since + self.lookahead.patience
        if now < patient_until:  # it began later than its slice
            self._stuck_at = patient_until
            return effects
        self._stuck_at = None
        items = self._held()
        if items or self._asks.total:
            # Said first, so that what comes back is not granted to an ask of this very worker.
            age = now - ran.since
            rest = self.lookahead.rest(age)
            # It asks again a fetch before it may be over, but not before the answer is here: what that brings
            # counts, and by then it is known better what runs.
            fetch = self.lookahead.usual_fetch
            self._stuck_until = now + max(fetch, self.lookahead.rest(age + fetch, _SOON))
            size = min(len(items) + self._asks.total, self._target(0))
            self._outbox.say((m.STUCK, size, rest), now, urgent=True)
            effects += self._return(items, now)
        return effects

    @property
    def _is_stuck(self) -> bool:
        """Whether what runs has lasted much longer than usual, and nothing was asked for since."""
        return self._stuck_until is not None

    def _wanted(self) -> int:
        """How many items are missing."""
        if self.phase is not Phase.WORKING or self._is_stuck:
            return 0
        # Room is made by `take`. It comes next, so what it will take is asked for in the same call as the
        # report before it: a moment later that call would be in the way.
        next_up = 0 if self.running else self._batch_size or self._next_slice()
        return max(0, self._target(next_up) - self.held - self._asks.total)

    def _target(self, next_up: int) -> int:
        """How many items may be here and on their way, in whole batches, if so many are about to be taken."""
        target = self.lookahead.depth + self._bundle - 1 + next_up
        return target - target % (self._batch_size or 1)

    def _send_at(self) -> float | None:
        """When to call the queue with what there is to say; None: there is nothing, or no call is free."""
        if self._is_over():
            return self._outbox.caller.free_at
        return self._outbox.due(idle=not self.running and not self._buffer, bundle=self._bundle)

    def _await_batch(self, now: float) -> None:
        """Arm the deadline for a batch that waits to become full."""
        waits = self._batch_size and self._buffer and not self.running
        due = self._batch_since + self._batch_wait
        self._batch_due = due if waits and now < due and not self._takeable(now) else None

    def _is_over(self) -> bool:
        busy = self.running or self._storing or self._loading
        return self.phase is Phase.STOPPING and not busy and not self._lease

    def _totals(self) -> m.Message:
        totals = self.meter.totals
        totals.lookahead, totals.bundle = self.lookahead.depth, self.lookahead.bundle
        totals.reason, totals.messages = self.lookahead.reason, 2 * self._outbox.caller.sent
        return m.TOTALS, totals

    # How it is done: items

    def _held(self) -> list[int]:
        """Items that have not started, in the order in which they are computed; the unloaded come last."""
        loading = [item for item in self._loading if item not in self._withdrawn]
        return [*self._buffer, *loading, *self._unloaded]

    def _arrived(self, items: range | tuple[int, ...], now: float) -> None:
        if self._batch_size and not self._buffer:
            self._batch_since = now
        self._put_in(items)

    def _put_in(self, items: Sequence[int]) -> None:
        """Put items, ascending, into the buffer, the oldest first: what has moved must not wait again."""
        in_order = not (self._buffer and items and items[0] < self._buffer[-1])
        self._buffer.extend(items)
        if not in_order:
            self._buffer = deque(sorted(self._buffer))

    def _takeable(self, now: float) -> int:
        ready = len(self._buffer)
        if not ready or self.phase is not Phase.WORKING:
            return 0
        if self._batch_size:
            whole = ready >= self._batch_size or now >= self._batch_since + self._batch_wait
            return min(ready, self._batch_size) if whole or self._no_fuller_batch else 0
        return self._next_slice()

    def _next_slice(self) -> int:
        """How many items `take` hands out at once, where there are no batches."""
        return max(1, min(len(self._buffer), self._plenty, slice_size(self.lookahead.median_compute)))

    def _cut(self, now: float, most: int = MAX_SLICE) -> list[Effect]:
        """Put up to so many items that have not begun back into the buffer; end those that have finished."""
        if self.running is None or most <= 0:
            return []
        self._put_in(self.running.cut(most)[::-1])
        return self._computed(self.running.finished(), self.running.failures, now)

    def _computed(
        self, items: tuple[int, ...], failures: dict[int, tuple[str, float]], now: float
    ) -> list[Effect]:
        """`process` has returned for these items, or failed."""
        effects: list[Effect] = []
        for item in items:
            if failures and item in failures:
                self._fail(item, *failures[item], now)
            elif self._stores:
                self._storing[item] = now
                effects.append(Store(item))
            else:
                self._finish(item, now)
        return effects

    @property
    def _no_fuller_batch(self) -> bool:
        """The queue has nothing left and nothing is being loaded."""
        return self._nothing_left and not self._loading and not self._unloaded

    def _is_full(self) -> bool:
        return len(self._storing) >= MAX_STORING

    def _finish(self, item: int, now: float) -> None:
        self._outbox.finish(item, self._lease.pop(item), now)

    def _announce(self, now: float) -> None:
        """Say what runs: if the worker is lost, that is what it is charged for."""
        self._announced = True
        for lease, some in self._by_lease(self.running.begun if self.running else ()):
            self._outbox.say((m.STARTED, lease, some), now)

    def _fail(self, item: int, kind: str, delay: float, now: float) -> None:
        self._outbox.say((m.FAILED, self._lease.pop(item), item, kind, delay), now, urgent=True)

    def _return(self, items: list[int], now: float) -> list[Effect]:
        """Give back unstarted items."""
        effects: list[Effect] = []
        gone = set(items)
        buffered = gone.intersection(self._buffer)
        for item in items:
            if item in self._loading:
                self._withdrawn.add(item)
            else:
                effects.append(Discard(item, loaded=self._loads and item in buffered))
        self._unloaded = deque(item for item in self._unloaded if item not in gone)
        self._buffer = deque(item for item in self._buffer if item not in gone)
        for lease, some in self._by_lease(tuple(items)):
            self._outbox.say((m.GAVE_BACK, lease, some), now, urgent=True)
        for item in items:
            del self._lease[item]
        return effects

    def _by_lease(self, items: tuple[int, ...]) -> list[tuple[int, tuple[int, ...]]]:
        groups: dict[int, list[int]] = {}
        for item in items:
            groups.setdefault(self._lease[item], []).append(item)
        return [(lease, tuple(some)) for lease, some in groups.items()]

    # How it is done: time

    def _account_fetch(self, first: int, count: int, waited: float, cause: str, now: float) -> None:
        times = None if cause == m.UNASKED_FOR else self._asks.answered(count)
        asked, in_line = (None, 0.0) if times is None else times
        fetch = 0.0 if asked is None else max(0.0, now - asked - waited)
        preventable = self._account_wait(waited, cause, now)
        self._nothing_left = False
        if self._idle_since is not None and self._obstacle() == trace.CAUSE_FETCH:
            self._stall(now, trace.CAUSE_FETCH)
        self.meter.totals.fetches += 1
        self.meter.communicated(now - fetch, now)
        self.recorder.add(trace.FETCH, now - fetch, now, first, count)
        if in_line:
            self.recorder.add(trace.ASK, now - fetch, now - fetch + in_line, first, count)
        if asked is not None and self.lookahead.fetched(fetch):
            self._note_lookahead(now)
        if preventable:
            self._could_have_asked_earlier(now)

    def _account_wait(self, waited: float, cause: str, now: float) -> bool:
        """An ask waited at the queue because of `cause`. Return whether asking earlier would have helped."""
        if self._idle_since is None or self._obstacle() != trace.CAUSE_FETCH:
            return False
        self._stall(min(now, self._idle_since + waited), cause)
        return waited <= 0.0 and now > self._idle_since

    def _account_load(self, item: int, now: float) -> None:
        stalled = self._idle_since is not None and self._obstacle() in {trace.CAUSE_LOAD, trace.CAUSE_BATCH}
        start = self._loading.pop(item)
        if stalled:
            self._stall(now, trace.CAUSE_LOAD)
        self.meter.communicated(start, now)
        self.recorder.add(trace.LOAD, start, now, item)
        if self.lookahead.loaded(now - start):
            self._note_lookahead(now)
        if stalled:
            self._could_have_asked_earlier(now)

    def _account_store(self, item: int, now: float) -> None:
        if self._idle_since is not None and self._obstacle() == trace.CAUSE_REPORT:
            self._stall(now, trace.CAUSE_REPORT)
        start = self._storing.pop(item)
        self.meter.communicated(start, now)
        self.recorder.add(trace.STORE, start, now, item)

    def _obstacle(self) -> str:
        """What the idle main thread waits for, the nearest first."""
        if self._buffer and self._is_full():
            return trace.CAUSE_REPORT
        if self._buffer and self._batch_size:
            return trace.CAUSE_BATCH
        if self.held > len(self._buffer) or (self._buffer and self._loads):
            return trace.CAUSE_LOAD
        return trace.CAUSE_FETCH

    def _could_have_asked_earlier(self, now: float) -> None:
        """A stall that a deeper lookahead would have prevented; the very first one could not be."""
        if self.meter.totals.items and self.lookahead.stalled():
            self._note_lookahead(now)

    def _stall(self, until: float, cause: str) -> None:
        """Account for idleness from where it was last accounted for until `until`."""
        start = self._idle_since
        assert start is not None
        if until <= start:
            return
        nothing_left = self._nothing_left and cause not in _OWN_CAUSES
        if nothing_left or self.phase is not Phase.WORKING:
            cause = trace.CAUSE_TAIL
            self.meter.idled(start, until)
        else:
            self.meter.stalled(start, until, cause)
        self.recorder.add(trace.STALL, start, until, detail=cause)
        self._idle_since = until

    def _note_lookahead(self, now: float) -> None:
        self.recorder.add(
            trace.LOOKAHEAD, now, now, self.lookahead.depth, self.lookahead.bundle, self.lookahead.reason
        )
