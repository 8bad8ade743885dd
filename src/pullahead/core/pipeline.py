"""The worker's machine: ask, load, process, store, report, give back.

Rules:
1. Ask early enough; see `demand`. For how much is computed in one go, see `portions`.
2. Of what is loaded, the oldest is processed first; where an item is meanwhile, see `holdings`.
3. Whether an item has *started* is decided here alone: when it leaves the buffer, and within a slice when the
   main thread comes to it. A recall takes from what is still in the buffer, and then from the slice.
   Whichever comes first wins, without a round trip. What will begin sooner here than it could elsewhere
   stays.
4. When an item lasts much longer than usual, nobody waits behind it: give all back; see `patience`. A slice
   that lasts for too long is cut: what it has finished is reported, what has not begun is in the buffer
   again, and what runs is looked at again when it has lasted so long.
5. What has started is said with the first message that goes anyway. It is a message by itself, which waits
   for company like a result, where something waits behind a batch that is not full, and, where no memory
   survives the worker, after idling.
6. What is said goes when the `outbox` says so: at once, or within some milliseconds where items are
   shorter than that.
7. A second of the main thread is useful, stalled for a named cause, or idle at the tail; see `meter` and
   `account`.

One item's way: granted → (loading →) buffered → running → (storing →) reported. With `load`, an item is
loaded as soon as there is a free place; without it, it is ready as it comes, and so is one that is suspect.
`take` hands out the next items for one call of `process`: a batch, or a *slice* of consecutive items that
together take about two milliseconds, so that small items do not pay for a lock each. The main thread begins
the items of a slice one after another, and says so in `running` (see `slices`). Where what waits in a slice
lasts long enough to hide that, the main thread only says when few are `few_left`: the machine puts more
behind them, and takes out what has finished. Such a slice goes on as long as there are items, and the main
thread stops for none of this.

The shell calls one method per event and performs the effects that it returns. `Send` takes the messages that
are collected in `take_messages`. There is one deadline, for collected results, for a batch that waits to
become full, for what lasts long, and for what a recall has left here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import Enum
from typing import NamedTuple, final

from pullahead.core import messages as m
from pullahead.core import trace
from pullahead.core.account import Account
from pullahead.core.demand import Demand
from pullahead.core.holdings import Holdings
from pullahead.core.lookahead import Lookahead
from pullahead.core.meter import Meter
from pullahead.core.news import News
from pullahead.core.outbox import Outbox
from pullahead.core.patience import Patience
from pullahead.core.portions import Portions
from pullahead.core.slices import MAX_SLICE, SLICE, Slice, stretches
from pullahead.core.starts import Starts
from pullahead.core.stores import MOST, Stores
from pullahead.errors import ProtocolError


class Phase(Enum):
    """What the worker as a whole does."""

    WORKING = "working"
    STOPPING = "stopping"  # nothing new is asked for or begun; what runs is finished and reported
    GONE = "gone"  # the goodbye was sent


class Load(NamedTuple):
    """Run the work's `load` for an item."""

    item: int


class Store(NamedTuple):
    """Run the work's `store` for an item; maybe once more."""

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
        self._has_load, self._has_store = loads, stores
        self._gives_back = gives_back
        self._says_starts = says_starts
        self._outbox = Outbox(recorder)
        self._holdings = Holdings(loads=loads, load_concurrency=load_concurrency)
        self._account = Account(lookahead, meter, recorder)
        self._starts = Starts()
        self._stores = Stores()
        self._demand = Demand(lookahead, self._outbox, batch_size)
        self._patience = Patience(lookahead)
        self._portions = Portions(batch_size, batch_wait, lookahead, self._demand, self._holdings)
        self._news = News(meter, recorder, lookahead)
        self._has_rejoined = False

    # What the queue says

    def began(self, now: float) -> list[Effect]:
        """The worker is there and has nothing."""
        self._account.idle_since = now
        self._news.began(now)
        return self._after(now)

    def answered(self, messages: list[m.Message], now: float, coming: Collection[int] = ()) -> list[Effect]:
        """A call to the queue was answered with these messages.

        Without a `load`, the values of `coming` are still on their way: each has its `loaded` or
        `load_failed` when it has come, or cannot.
        """
        self._outbox.caller.answered()
        if self.phase is Phase.GONE:
            return []  # whatever the queue still says, it says to nobody: an answer to a goodbye is a stop
        effects: list[Effect] = []
        came = False
        for kind, *rest in messages:
            if kind == m.GRANT:
                came = True
                lease, first, payloads, waited, cause, backlog, *more = rest
                self._demand.granted(backlog)
                suspects = more[0] if more else ()
                items = range(first, first + len(payloads))
                effects += self._granted(lease, items, waited, cause, suspects, coming, now)
            elif kind == m.CLOSED:
                waited, cause = rest
                self._account.told_nothing_left(waited, cause, self._obstacle(), now)
                self._demand.asks.paused()
            elif kind == m.RECALL:
                (size,) = rest
                effects += self._recalled(size, now)
            elif kind == m.UNASKED:
                self._demand.taken_back(*rest)
            elif kind == m.STORE_AGAIN:
                _, item, delay = rest
                self._stores.again(item, now + delay)
            elif kind == m.FORGET:
                _, item = rest
                self._stores.forget(item)
                self._holdings.release(item)
                effects.append(Discard(item, loaded=False))
            elif kind == m.WITHDRAW:
                (lease,) = rest
                leases = self._holdings.lease
                if self.running and any(leases[item] == lease for item in self.running.open):
                    effects += self._cut(now)
                effects += self._return([item for item in self._held() if leases[item] == lease], now)
            elif kind == m.STOP:
                self.phase = Phase.STOPPING
                self._account.stopping = True
                effects += self._cut(now) + self._return(self._held(), now)
            else:
                raise ProtocolError(f"a worker got a message of kind {kind!r}")
        if came:
            self._put_behind(now)
        return effects + self._after(now)

    def _granted(
        self,
        lease: int,
        granted: range,
        waited: float,
        cause: str,
        suspects: tuple[int, ...],
        coming: Collection[int],
        now: float,
    ) -> list[Effect]:
        """Items came. Their ask waited `waited` seconds at the queue because of `cause`."""
        self._account.fetched(granted, waited, cause, self._demand.asks, self._obstacle(), now)
        items: Sequence[int] = granted
        if self._has_rejoined:  # some may be here: it came too late for them to be found
            items = self._holdings.moved(granted, lease)
        if self.phase is not Phase.WORKING or self._patience.is_stuck:
            self._holdings.refused(items, lease)
            return self._return(items, now)
        self._patience.came_anew(granted)
        ready = self._holdings.granted(items, lease, now, suspects, coming)
        if ready:
            self._arrived(ready, now)
        return []

    def _recalled(self, size: int, now: float) -> list[Effect]:
        """Give back up to so many items, the youngest first; what begins sooner here than elsewhere stays."""
        if not self._starts.is_said:
            self._announce(now)  # or it would look as if that had begun after the answer; see `recalls`
        ran = self.running
        unstarted = self._in_hand
        stays = max(
            self.lookahead.soon(now - ran.since if ran else None), 0 if ran else self._batch_size or 1
        )
        given = max(0, min(size, unstarted - stays))
        effects = self._cut(now, given - self.held)
        held = self._held()
        first = max(0, len(held) - given)
        stay = (*(ran.unstarted if ran else ()), *held[:first])
        self._patience.keep(stay[max(0, unstarted - size) :], now)
        effects += self._return(held[first:], now)
        self._outbox.say((m.RECALLED, len(held) - first), now, urgent=True)
        return effects

    def alone(self) -> None:
        """The queue died. What is here goes on; nothing is said until another one takes its place."""
        self._outbox.caller.lost()

    def rejoined(self, unrecorded: list[m.Message], now: float) -> list[Effect]:
        """The queue died, and another one took its place: it has to be told what is here.

        Args:
            unrecorded: reports to the queue before, in order, that may not have been recorded.
            now: the moment.
        """
        reports = [*unrecorded, *self._outbox.begin_again(now)]
        # A store that failed and is under way again, or has ended since, is reported again by its end.
        last = {one[2]: one for one in reports if one[0] == m.UNSTORED and self.awaits_verdict(one[2])}
        reports = [one for one in reports if one[0] != m.UNSTORED or last.get(one[2]) is one]
        self._has_rejoined = True
        self._demand.begin_again()
        ran = self.running
        waiting = ran.unstarted if ran else ()  # for now: the main thread goes on
        held = [*self._held(), *waiting]
        running = [item for item in ran.open if item not in waiting] if ran else []
        self._starts.told(running)
        told: dict[int, tuple[list[int], list[int]]] = {}
        for place, here in enumerate((held, [*running, *self._stores])):
            for lease, some in self._holdings.by_lease(here):
                told.setdefault(lease, ([], []))[place].extend(some)
        for _, lease, items, *_ in (one for one in reports if one[0] != m.UNSTORED):
            told.setdefault(lease, ([], []))[1].extend(items if isinstance(items, tuple) else (items,))
        for lease, (unstarted, begun) in told.items():
            self._outbox.say((m.STILL, lease, tuple(unstarted), tuple(begun)), now, urgent=True)
        for message in reports:
            self._outbox.say(message, now, urgent=True)
        self._outbox.say((m.BACK,), now, urgent=True)
        return self._after(now)

    # What the shell has done

    def loaded(self, item: int, now: float) -> list[Effect]:
        """`load` has returned for this item, or its value has come."""
        has_moved = self._load_ended(item, now)
        if self._holdings.was_withdrawn(item):
            return [Discard(item, loaded=True), *self._after(now)]
        self._arrived((item,), now)
        if has_moved or not self.running:
            return self._after(now)
        return self._begin_loads(now)  # while the main thread computes, nothing else follows from it

    def load_failed(self, item: int, kind: str, delay: float, now: float) -> list[Effect]:
        """`load` has raised for this item, or its value cannot come. The shell has its error."""
        self._load_ended(item, now)
        if self._holdings.was_withdrawn(item):
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
        if not count or self._holdings.must_wait(count):
            if self._account.idle_since is None and not self.running:
                self._account.idle_since = now
            return ()
        was_idle = self._account.idle_since is not None
        if was_idle:
            self._account.stalled(now, self._obstacle())
            self._account.idle_since = None
        items = self._holdings.take(count)
        self._portions.taken(now)
        self.running = Slice(items, now, whole=bool(self._batch_size))
        self.running.low = self._portions.low
        others = 0 if self._batch_size else count - 1
        if self._gives_back or others:  # nobody waits behind one item or a batch, but for what is given back
            self._patience.began(now, others, backlog=self._demand.is_plenty)
        self.meter.computing(now)
        self._starts.began()
        # What waits behind a batch that is not full looks like a part of it, as long as nobody knows better.
        if (was_idle and self._says_starts) or (count < self._batch_size and self.held):
            self._announce(now)
        return items

    def turn(self, start: float, end: float, cpu: float, now: float) -> tuple[tuple[int, ...], list[Effect]]:
        """`processed` and `take` in one step, so that one message says what has ended and what has begun."""
        effects = self._ended(start, end, cpu, now)
        items = self.take(now)
        few = self.running is not None and self.running.is_low
        return items, effects + (self.few_left(now) if few else self._after(now))

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
        if ran.ahead:  # they were put in when the main thread had just found nothing
            self._holdings.put(ran.cut(ran.ahead)[::-1])
        self._patience.ended()
        self._note_process(ran.items[: ran.size], start, end, ran.times, cpu, now)
        self._starts.ended(ran.items, goes_on=False)
        self.running = None
        return self._computed(ran.open, ran.failures, now)

    def _note_process(
        self,
        items: tuple[int, ...],
        start: float,
        end: float,
        times: list[tuple[float, float]],
        cpu: float,
        now: float,
    ) -> None:
        """Account for what was computed, and record it: a span for each item that would be a slice by itself;
        of smaller ones one for each stretch of consecutive items, with its share of the time."""
        self.meter.computed(start, end, len(items), cpu)
        each = (end - start) / len(items)
        longest = max([ended - began for began, ended in times], default=0.0)
        since = start
        if self.recorder.on and not self._batch_size and each >= SLICE and len(times) == len(items):
            for item, (began, ended) in zip(items, times, strict=True):
                self.recorder.add(trace.PROCESS, began, ended, item)
        elif self.recorder.on:
            for first, size in stretches(items):
                self.recorder.add(trace.PROCESS, since, since + size * each, first, size)
                since += size * each
        if self.lookahead.computed(end - start, len(items), longest):
            self._account.note_lookahead(now)

    def _look(self, ran: Slice, now: float) -> list[Effect]:
        """While the main thread computes: take out what has finished, and put more behind what waits."""
        ended, new, times = ran.settle()
        if ended:
            lasted = [end - start for start, end in times]
            useful, end = sum(lasted), times[-1][1]
            self._note_process(ended, end - useful, end, times, min(useful, ran.burnt()), now)
            self.meter.computing(ran.since)
        effects = self._computed(new, ran.failures, now)
        ran.low = self._portions.low
        self._put_by_age(ran)
        count = self._more(ran)
        self._starts.ended(ended, goes_on=True)
        if count:
            ran.extend(self._holdings.take(count))
        elif ran.is_low:
            ran.asked()  # there is nothing to put in: it ends, and `turn` sees to what comes next
        if (ended or count) and not self._patience.is_stuck and (self._gives_back or ran.waiting):
            self._patience.goes_on(ran.since, len(ran.waiting), now)
        return effects

    def _put_behind(self, now: float) -> None:
        """Items have come while the main thread computes: put them where it finds them. Else it would soon
        have to ask for a look that does nothing but that."""
        ran = self.running
        if not ran or ran.low < 0:
            return
        self._put_by_age(ran)
        if self._has_older(ran):
            return  # the next look decides
        count = self._more(ran)
        if count:
            ran.extend(self._holdings.take(count))
            self._patience.waits_longer(ran.since, len(ran.waiting), now)

    def _put_by_age(self, ran: Slice) -> None:
        """What has come back, and is older than what waits in the slice, does not wait behind that. (What is
        loaded comes in any order.)"""
        may_refill = ran.low >= 0 and self._may_put_in and not self._holdings.has_suspects
        if may_refill and not self._has_load and self._has_older(ran):
            self._holdings.put(ran.cut(MAX_SLICE)[::-1])

    def _has_older(self, ran: Slice) -> bool:
        """Whether anything in the buffer is older than the last that waits in the slice."""
        buffer = self._holdings.buffer
        return bool(buffer and ran.waiting) and buffer[0] < ran.items[ran.size - 1]

    def stored(self, item: int, now: float) -> list[Effect]:
        """`store` has returned for this item."""
        self._store_ended(item, now)
        self._finish(item, now)
        return self._after(now)

    def store_failed(self, item: int, kind: str, delay: float, now: float) -> list[Effect]:
        """`store` has raised for this item. Its result stays until the queue has said what becomes of it."""
        self._store_ended(item, now)
        self._stores.failed(item)
        self._outbox.say((m.UNSTORED, self._holdings.lease[item], item, kind, delay), now, urgent=True)
        return self._after(now)

    def tick(self, now: float) -> list[Effect]:
        """Time has come to `deadline`."""
        return self._after(now)

    def few_left(self, now: float) -> list[Effect]:
        """The main thread has few items left in its slice: put more behind them, while it computes."""
        return (self._look(self.running, now) if self.running else []) + self._after(now)

    def take_messages(self, now: float) -> list[m.Message]:
        """Hand over what is to be sent now; performs the `Send` effect's half of the machine."""
        if not self._starts.is_said:
            self._announce(now)  # it costs nothing beside what is sent anyway
        wanted = self._wanted()
        is_parked = self._outbox.caller.must_send and self.running is not None
        if wanted >= (self._demand.bundle if is_parked else 1):
            self._demand.ask(wanted, now)  # so does this
        self._demand.asks.sent(now)
        over = self._is_over()
        if over and self._account.idle_since is not None:
            self._account.stalled(now, trace.CAUSE_TAIL)
        complete = over or not (self.running or self._holdings.buffer)
        news = self._news.take(now, self._outbox.caller.sent, complete=complete)
        if over:
            self.phase = Phase.GONE
            self._outbox.say((m.BYE,), now)
        return self._outbox.take(news, now)

    # What can be asked

    def has(self, item: int) -> bool:
        """Say whether an item is held, running or storing here."""
        return item in self._holdings.lease

    def awaits_verdict(self, item: int) -> bool:
        """Say whether the store of an item has failed, and what becomes of it is not known."""
        return self._stores.waits(item)

    @property
    def deadline(self) -> float | None:
        """When `tick` should be called next, or None."""
        if self.phase is Phase.GONE:
            return None
        must_ask = self._is_due(self._wanted())
        send_at = self._outbox.caller.free_at if must_ask else self._send_at()
        if send_at is not None and self.running and not (must_ask or self._outbox.is_urgent):
            # What runs ends soon, and `turn` sends what is due: the main thread needs no other to wake it.
            send_at += self._demand.company(self._in_hand)
        patience = self._patience
        looks = patience.ends_at, patience.stuck_until, patience.kept_until
        due = (send_at, self._portions.due, self._stores.due, *looks)
        return min((at for at in due if at is not None), default=None)

    @property
    def held(self) -> int:
        """Items that are here and have not started."""
        return self._holdings.size

    @property
    def loading(self) -> tuple[int, ...]:
        """Items whose load is under way."""
        return self._holdings.loading

    @property
    def asked(self) -> int:
        """Items that were asked for and have not come."""
        return self._demand.asks.total

    def validate(self) -> None:
        """Check every index against every other; for tests."""
        places = [*self._held(), *(self.running.open if self.running else ()), *self._stores]
        assert len(places) == len(set(places)), "an item is in two places"
        assert set(self._holdings.lease) == set(places), "an item has no place, or no lease"
        self._holdings.validate()
        self._demand.asks.validate()

    # How it is done: effects

    def _after(self, now: float) -> list[Effect]:
        """Do what follows from any event: ask, load, send, wake the main thread."""
        effects: list[Effect] = []
        if self.phase is Phase.GONE:
            return effects
        ran = self.running
        if ran:
            if self._patience.must_look(now):
                effects += self._let_go(now)
            self._patience.asks_again(ran.since, now)
        overdue = self._patience.overdue(now)
        if overdue:
            effects += self._give_up(overdue, now)
        effects += self._begin_loads(now)
        effects += [Store(item) for item in self._stores.fall_due(now)]
        self._demand.look_again()
        wanted = self._wanted()
        is_idle = self._account.idle_since is not None
        is_hungry = is_idle and not (self.running or self.held or self._is_full())
        if self._is_due(wanted) or (is_hungry and wanted):
            self._demand.ask(wanted, now)
        if is_hungry:
            self._demand.say_hungry(now)  # behind the ask: with it goes how much is asked for
        send_at = self._send_at()
        if send_at is not None and now >= send_at:
            effects.append(Send())
        if not self.running:
            effects.append(Wake())
        self._portions.wait(now, idle=not self.running, nothing_more=self._nothing_more)
        return effects

    def _begin_loads(self, now: float) -> list[Effect]:
        return [Load(item) for item in self._holdings.begin_loads(now)]

    def _let_go(self, now: float) -> list[Effect]:
        """What runs takes long: cut it, if it is a slice. If one item is to blame, nobody waits behind it."""
        ran = self.running
        assert ran is not None
        if ran.added and ran.waiting and not self._patience.has_ended(ran.since, now):
            return self._look(ran, now)  # it goes on, and no item in it is to blame
        if not self._gives_back:
            effects = self._look(ran, now)  # what has ended in its slice is reported, however long it lasts
            if ran.waiting:
                self._patience.looks_again(ran.since, now)
            else:
                self._patience.ended()  # nothing waits behind it: its end is soon enough
            return effects
        effects = self._cut(now)
        items = self._held()
        if self._patience.has_ended(ran.since, now) and (items or self.asked):
            self._patience.stuck(ran.since, now)
            # Said first, so that what comes back is not granted to an ask of this very worker.
            self._outbox.say((m.STUCK,), now, urgent=True)
            effects += self._return(items, now)
        return effects

    def _give_up(self, items: frozenset[int], now: float) -> list[Effect]:
        """What a recall has left here has not begun in time, but for what is next."""
        ran = self.running
        effects = self._cut(now) if ran and not items.isdisjoint(ran.unstarted) else []
        held = self._held()[0 if ran else self._batch_size or 1 :]
        return effects + self._return([item for item in held if item in items], now)

    def _wanted(self) -> int:
        """How many items are missing."""
        if self.phase is not Phase.WORKING or self._patience.is_stuck:
            return 0
        # Room is made by `take`. It comes next, so what it will take is asked for in the same call as the
        # report before it: a moment later that call would be in the way.
        next_up = 0 if self.running else self._portions.next
        ahead = self.running.ahead if self.running else 0
        return self._demand.missing(self._holdings.size + ahead, next_up)

    def _is_due(self, wanted: int) -> bool:
        return self._demand.is_due(wanted, nothing_left=self._account.nothing_left)

    @property
    def _in_hand(self) -> int:
        """Items that are here and have not begun, those in the slice among them."""
        return self.held + (len(self.running.waiting) if self.running else 0)

    def _send_at(self) -> float | None:
        """When to call the queue with what there is to say; None: there is nothing, or no call is free."""
        if self._is_over():
            return self._outbox.caller.free_at
        idle = not self.running and not self._holdings.buffer
        demand = self._demand
        return self._outbox.due(at_once=idle or demand.are_long, company=demand.company(self._in_hand))

    def _is_over(self) -> bool:
        busy = self.running or self._stores or self._holdings.is_loading
        return self.phase is Phase.STOPPING and not busy and not self._holdings.lease

    # How it is done: items

    def _held(self) -> list[int]:
        return self._holdings.in_order()

    def _arrived(self, items: Sequence[int], now: float) -> None:
        self._portions.came(now)
        self._holdings.put(items)

    def _takeable(self, now: float) -> int:
        working = self.phase is Phase.WORKING
        return self._portions.ready(now, nothing_more=self._nothing_more) if working else 0

    def _more(self, ran: Slice) -> int:
        """How many items to put behind those that wait in the slice."""
        return self._portions.more(ran, self._wanted()) if self._may_put_in else 0

    @property
    def _may_put_in(self) -> bool:
        return self.phase is Phase.WORKING and not self._patience.is_stuck and not self._is_full()

    def _cut(self, now: float, most: int = MAX_SLICE) -> list[Effect]:
        """Put up to so many items that have not begun back into the buffer; end those that have finished."""
        if self.running is None:
            return []
        self._holdings.put(self.running.cut(most)[::-1])
        return self._computed(self.running.finished(), self.running.failures, now)

    def _computed(
        self, items: tuple[int, ...], failures: dict[int, tuple[str, float]], now: float
    ) -> list[Effect]:
        """`process` has returned for these items, or failed."""
        if not items:
            return []
        self._holdings.ran(items)
        if not (self._has_store or failures):
            for lease, some in self._holdings.release_all(items):
                self._outbox.finish(some, lease, now)
            return []
        effects: list[Effect] = []
        for item in items:
            if item in failures:
                self._fail(item, *failures.pop(item), now)  # it may come again while this slice goes on
            elif self._has_store:
                self._stores.begin(item, now)
                effects.append(Store(item))
            else:
                self._finish(item, now)
        return effects

    @property
    def _nothing_more(self) -> bool:
        """The queue has nothing left and nothing is being loaded."""
        return self._account.nothing_left and self._holdings.nothing_loads

    def _is_full(self) -> bool:
        return len(self._stores) >= MOST

    def _finish(self, item: int, now: float) -> None:
        self._outbox.finish((item,), self._holdings.release(item), now)

    def _announce(self, now: float) -> None:
        begun = self._starts.unsaid(self.running.begun if self.running else ())
        for lease, some in self._holdings.by_lease(begun):
            self._outbox.say((m.STARTED, lease, some), now)

    def _fail(self, item: int, kind: str, delay: float, now: float) -> None:
        lease = self._holdings.release(item)
        self._outbox.say((m.FAILED, lease, item, kind, delay), now, urgent=True)

    def _return(self, items: Sequence[int], now: float) -> list[Effect]:
        """Give back unstarted items."""
        for lease, some in self._holdings.by_lease(items):
            self._outbox.say((m.GAVE_BACK, lease, some), now, urgent=True)
        return [Discard(item, loaded) for item, loaded in self._holdings.give_back(items)]

    # How it is done: time

    def _load_ended(self, item: int, now: float) -> bool:
        """Account for it. Return whether the lookahead has moved."""
        obstacle = self._obstacle()  # before it is gone
        return self._account.loaded(item, self._holdings.load_ended(item), obstacle, now)

    def _store_ended(self, item: int, now: float) -> None:
        obstacle = self._obstacle()  # before it is gone
        self._account.stored(item, self._stores.ended(item), obstacle, now)

    def _obstacle(self) -> str:
        """What the idle main thread waits for, the nearest first."""
        if self._holdings.buffer and self._is_full():
            return trace.CAUSE_REPORT
        if self._holdings.buffer and self._batch_size:
            return trace.CAUSE_BATCH
        return trace.CAUSE_LOAD if self._holdings.waits_for_load else trace.CAUSE_FETCH
