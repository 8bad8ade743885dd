"""The queue's machine: the life of every item, from submission to its one recorded end.

Rules:
1. An item is in exactly one state. The table below says which event leads where; an entry that is missing
   is an error in Pullahead and raises, it is never ignored.
2. The only thing that ends an item is its own report under the lease that holds it, the retry policy, or
   the cancellation of its run while it is unstarted.
3. Lease numbers only grow. A report under a lease that no longer covers the item changes nothing and is
   counted: the item went elsewhere meanwhile.
4. An item that comes back takes its old place: numbers are the order, and the lowest ready one goes first.
5. Workers that are hungry (they have nothing to compute) are served first; then those that hold the fewest.
6. Once the source has ended, no grant is more than a worker's share of what is ready, which leaves something
   for everybody (the taper of guided self-scheduling). What is left over is granted at the next event.
7. A hungry worker with nothing ready gets what another one holds and has not begun; see `recalls`.
8. A worker that is stuck in a long item gives its held items back and gets the youngest ready ones instead:
   age is served elsewhere, and when the long item ends, there is something to compute.

How it works. Items are numbers, consecutive in one submission. The `ready` ones are ranges. A *lease* is a
range granted to one worker, with a small dict from item to state: made and emptied at the speed of C, split
by nothing more than deleting keys. Items that have ended are forgotten; only sums remain. What an item *is*
(its payload) is the business of the shell.

The machine answers with effects, in the order in which they should be performed. It has one deadline: the
moment when the next retry is due, or when a recall is waited for no longer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple, final

from pullahead.core.messages import UNASKED_FOR
from pullahead.core.ranking import Ranking
from pullahead.core.ready import Ready, ranges_of
from pullahead.core.recalls import Recalls
from pullahead.core.retry import Again, Bury
from pullahead.core.trace import CAUSE_SOURCE
from pullahead.errors import ProtocolError

#: The weight of the latest report in a worker's pace.
_WEIGHT: Final = 0.2


class State(Enum):
    """Where an item is. The last three are ends."""

    READY = "ready"
    HELD = "held"
    RUNNING = "running"
    DELAYED = "delayed"
    DONE = "done"
    DEAD = "dead"
    LEFT = "left"


class Event(Enum):
    """What can happen to an item."""

    GRANTED = "granted"
    STARTED = "started"
    FINISHED = "finished"
    RETURNED = "returned"
    SPARED = "spared"
    RETRIED = "retried"
    BURIED = "buried"
    FELL_DUE = "fell due"
    CANCELLED = "cancelled"


TABLE: Final[dict[tuple[State, Event], State]] = {
    (State.READY, Event.GRANTED): State.HELD,
    (State.READY, Event.CANCELLED): State.LEFT,
    (State.HELD, Event.STARTED): State.RUNNING,
    # One message may carry both the start and the end of a short item: its report implies its start.
    (State.HELD, Event.FINISHED): State.DONE,
    # Given back, recalled, or its worker stopped or was lost before it began. Charged nothing.
    (State.HELD, Event.RETURNED): State.READY,
    # Its load failed, or it began and failed within one message.
    (State.HELD, Event.RETRIED): State.DELAYED,
    (State.HELD, Event.BURIED): State.DEAD,
    (State.RUNNING, Event.FINISHED): State.DONE,
    # It was said to run, one of a slice, and the note of its lost worker says that by then another one did.
    (State.RUNNING, Event.SPARED): State.READY,
    (State.RUNNING, Event.RETRIED): State.DELAYED,
    (State.RUNNING, Event.BURIED): State.DEAD,
    (State.DELAYED, Event.FELL_DUE): State.READY,
    (State.DELAYED, Event.CANCELLED): State.LEFT,
}


class Grant(NamedTuple):
    """Give `size` items from `first` on to a worker. Its ask waited `waited` seconds, because of `cause`."""

    worker: int
    lease: int
    run: int
    first: int
    size: int
    waited: float
    cause: str


class Ended(NamedTuple):
    """These items of a run have ended, all in the same way: DONE, DEAD or LEFT."""

    run: int
    items: tuple[int, ...]
    state: State


class Withdraw(NamedTuple):
    """Ask a worker to give back what is unstarted of a lease: its run was cancelled."""

    worker: int
    lease: int


class Recall(NamedTuple):
    """Ask a worker to give back up to so many unstarted items: another one would run them sooner."""

    worker: int
    size: int


class Unasked(NamedTuple):
    """Tell a worker that its last so many credits are taken back, as it wished."""

    worker: int
    credits: int


class NothingLeft(NamedTuple):
    """Tell a worker not to wait for more: nothing unstarted is left. Its ask had waited so long before."""

    worker: int
    waited: float
    cause: str


class Starved(NamedTuple):
    """A run that is not closed has nothing ready, and a worker waits."""

    run: int


class RunEnded(NamedTuple):
    """Every item that was submitted to a closed run has ended."""

    run: int


Effect = Grant | Ended | Withdraw | Recall | Unasked | NothingLeft | Starved | RunEnded


@dataclass(slots=True)
class _Lease:
    worker: int
    run: int
    items: dict[int, State]


@dataclass(slots=True)
class _Worker:
    credits: int = 0
    asked: float = 0.0  # when the oldest unanswered ask came
    leases: set[int] = field(default_factory=set)
    held: int = 0  # items of its leases, held or running
    running: int = 0  # those that are known to run
    hungry: bool = False  # it has nothing to compute
    reported: float = 0.0  # when it last finished something
    pace: float = 0.0  # seconds per item, lately
    told: bool = False  # that nothing is left
    stopping: bool = False  # it was told to


@dataclass(slots=True)
class _Run:
    open: int = 0  # submitted and not ended
    closed: bool = False
    cancelled: bool = False
    starved: bool = False  # said once, until items come


@dataclass(frozen=True, slots=True)
class LedgerStatistics:
    """Sums over the life of a ledger."""

    ready: int
    held: int
    running: int
    delayed: int
    done: int
    dead: int
    left: int
    stale_reports: int
    grants: int
    recalls: int


@final
class Ledger:
    """See the module. Every method takes `now` in seconds and returns the effects to perform.

    Args:
        unit: how many items one call of `process` takes: shares and recalls are whole batches.
        recall: whether items that a worker holds may go to another one before it is lost.
    """

    def __init__(self, unit: int = 1, *, recall: bool = True) -> None:
        self._unit = unit
        self._recall = recall
        self._ready = Ready()
        self._askers = Ranking()  # workers with credits
        self._hungry = 0  # how many of them are hungry
        self._untold: dict[int, None] = {}  # those of them that were not told that nothing is left
        self._recalls = Recalls(unit)
        self._recalled = 0  # recalls so far
        self._delayed: list[tuple[float, int, int]] = []  # heap of (due, item, run)
        self._leases: dict[int, _Lease] = {}
        self._workers: dict[int, _Worker] = {}
        self._runs: dict[int, _Run] = {}
        self._attempts: dict[int, int] = {}  # only of items that were charged
        self._next_lease = 1
        self._cause = CAUSE_SOURCE  # what the queue would be waiting for if it were empty now
        self._sums = dict.fromkeys((State.DONE, State.DEAD, State.LEFT), 0)
        self._stale = 0

    # What the caller does

    def opened(self, run: int) -> list[Effect]:
        """A run began. Its number must be new."""
        if run in self._runs:
            raise ProtocolError(f"run {run} was opened twice")
        self._runs[run] = _Run()
        return []

    def submitted(self, run: int, first: int, count: int, cause: str, now: float) -> list[Effect]:
        """Items came. `cause` says what had kept the caller from sending them earlier."""
        record = self._runs[run]
        if record.closed:
            raise ProtocolError(f"run {run} is closed, but items {first} to {first + count - 1} came")
        if not count:
            return []
        record.open += count
        record.starved = False
        self._cause = cause
        if record.cancelled:
            return self._leave(run, tuple(range(first, first + count)), State.READY)
        self._ready.put(first, first + count, run)
        return self._serve(now)

    def closed(self, run: int, now: float) -> list[Effect]:
        """No more items will come for this run."""
        self._runs[run].closed = True
        return self._end_run(run) + self._serve(now)

    def cancelled(self, run: int, now: float) -> list[Effect]:
        """Forget what is unstarted of a run; what runs is finished and reported."""
        record = self._runs.get(run)
        if record is None:
            return []  # it ended while the cancellation was on its way
        record.cancelled = True
        effects: list[Effect] = []
        for first, stop in self._ready.take_run(run):
            effects += self._leave(run, tuple(range(first, stop)), State.READY)
        delayed = tuple(sorted(item for _, item, owner in self._delayed if owner == run))
        self._delayed = [entry for entry in self._delayed if entry[2] != run]
        heapify(self._delayed)
        if delayed:
            effects += self._leave(run, delayed, State.DELAYED)
        effects += [Withdraw(held.worker, lease) for lease, held in self._leases.items() if held.run == run]
        return effects + self._end_run(run) + self._serve(now)

    # What the workers do

    def joined(self, worker: int) -> list[Effect]:
        """A worker is there. It gets nothing until it asks."""
        if worker in self._workers:
            raise ProtocolError(f"worker {worker} joined twice")
        self._workers[worker] = _Worker()
        return []

    def asked(self, worker: int, credits: int, now: float) -> list[Effect]:
        """A worker wants up to so many items more."""
        record = self._workers[worker]
        if record.stopping:
            return []
        if record.credits == 0:
            record.asked = now
        record.credits += credits
        self._rank(worker, record)
        return self._serve(now)

    def hungry(self, worker: int, now: float) -> list[Effect]:
        """A worker has nothing to compute, and an ask of it is out."""
        record = self._workers[worker]
        if record.hungry or not record.credits:
            return []  # what it asked for is on its way to it
        record.hungry = True
        self._hungry += 1
        self._rank(worker, record)
        return self._serve(now)

    def recalled(self, worker: int, returned: int, now: float) -> list[Effect]:
        """A worker has answered a recall; what it returned, so many items, it gave back just before."""
        self._recalls.answered(worker, returned, now)
        self._weigh(worker, self._workers[worker])
        return self._serve(now)

    def stuck(self, worker: int, size: int, above: int, now: float) -> list[Effect]:
        """What a worker runs takes long: it takes back its asks, and just before it gave back what it held.

        In exchange it gets up to so many of the youngest ready items, all beyond `above`, the last one that
        it gave back: now or never, and at most half of what is left when all who ask are served.
        """
        record = self._workers[worker]
        effects: list[Effect] = [Unasked(worker, record.credits)] if record.credits else []
        self._settled(worker, record)
        effects += self._serve(now)
        size = min(size, self._ready.count // 2)
        if size and not record.stopping:
            first, count, run = self._ready.take_youngest(size, above)
            if count:
                grant = self._lease(worker, record, first, count, run, now, now)
                effects.append(grant._replace(cause=UNASKED_FOR))
        return effects

    def started(self, worker: int, lease: int, items: tuple[int, ...]) -> list[Effect]:
        """Items began to run: from now on, losing their worker charges them an attempt."""
        holding = self._current(worker, lease, items)
        for item in holding:
            states = self._leases[lease].items
            states[item] = self._after(states[item], Event.STARTED)
        if holding:
            record = self._workers[worker]
            record.running += len(holding)
            self._weigh(worker, record)
        return []

    def finished(
        self, worker: int, lease: int, items: tuple[int, ...], now: float
    ) -> tuple[tuple[int, ...], list[Effect]]:
        """Items were processed (and stored). Return those whose report counts, and the effects."""
        accepted = self._current(worker, lease, items)
        if not accepted:
            return (), []
        run = self._leases[lease].run
        record = self._workers[worker]
        record.pace += _WEIGHT * ((now - record.reported) / len(items) - record.pace)
        record.reported = now
        for state in self._take_out(lease, accepted):
            self._after(state, Event.FINISHED)
        return accepted, self._end(run, accepted, State.DONE)

    def failed(
        self, worker: int, lease: int, item: int, decision: Again | Bury, now: float
    ) -> tuple[bool, list[Effect]]:
        """An item failed, and this is what the retry policy says. Return whether the report counts."""
        if not self._current(worker, lease, (item,)):
            return False, []
        run = self._leases[lease].run
        (state,) = self._take_out(lease, (item,))
        return True, self._retry_or_bury(run, item, state, decision, now)

    def gave_back(self, worker: int, lease: int, items: tuple[int, ...], now: float) -> list[Effect]:
        """Unstarted items came back; they are ready at their old place and are charged nothing."""
        returned = self._current(worker, lease, items)
        if not returned:
            return []
        run = self._leases[lease].run
        for state in self._take_out(lease, returned):
            self._after(state, Event.RETURNED)
        return self._return(run, returned) + self._serve(now)

    def stopping(self, worker: int) -> list[Effect]:
        """A worker was told to stop: it gets nothing from now on, so that it holds nothing at its goodbye."""
        record = self._workers[worker]
        record.stopping = True
        self._settled(worker, record)
        return []

    def said_goodbye(self, worker: int, now: float) -> list[Effect]:
        """A worker left in order: it must hold nothing."""
        leases = self._workers[worker].leases
        if leases:
            raise ProtocolError(f"worker {worker} said goodbye while it holds leases {sorted(leases)}")
        self._leave_us(worker, now)
        return []

    def lost(self, worker: int, decide: dict[int, Again | Bury], now: float) -> list[Effect]:
        """A worker's process ended. What it held is ready again; what it ran is decided by the caller.

        Args:
            worker: its number; unknown ones (it had left in order) change nothing.
            decide: the retry policy's decision for each item that is `charged`.
            now: the moment.
        """
        record = self._workers.get(worker)
        effects: list[Effect] = []
        if record is None:
            return effects
        self._leave_us(worker, now)
        for lease in sorted(record.leases):
            held = self._leases.pop(lease)
            back = tuple(item for item in held.items if item not in decide)
            for item in back:
                ran = held.items[item] is State.RUNNING
                self._after(held.items[item], Event.SPARED if ran else Event.RETURNED)
            effects += self._return(held.run, back)
            for item, state in held.items.items():
                if item in decide:
                    effects += self._retry_or_bury(held.run, item, state, decide[item], now)
        return effects + self._serve(now)  # once all is back: the oldest goes first

    def tick(self, now: float) -> list[Effect]:
        """Time has come to `deadline`: what fell due is ready again."""
        while self._delayed and self._delayed[0][0] <= now:
            _, item, run = heappop(self._delayed)
            self._after(State.DELAYED, Event.FELL_DUE)
            self._ready.put(item, item + 1, run)
        return self._serve(now)

    # What can be asked

    @property
    def deadline(self) -> float | None:
        """When `tick` should be called next, or None."""
        retry = self._delayed[0][0] if self._delayed else None
        overdue = self._recalls.deadline if self._hungry else None
        return min((at for at in (retry, overdue) if at is not None), default=None)

    @property
    def open_items(self) -> int:
        """How many items were submitted and have not ended."""
        return sum(run.open for run in self._runs.values())

    def attempts(self, item: int) -> int:
        """How often an item was charged so far."""
        return self._attempts.get(item, 0)

    def running_of(self, worker: int) -> tuple[int, ...]:
        """The items that a worker runs, as far as the queue knows: what it is charged for if it is lost.

        Those that it said it has started. If it has said nothing since its last report, the first that it
        holds: a report implies that the next one starts, and the worker says so only in its next message.
        """
        record = self._workers.get(worker)
        leases = [self._leases[lease].items for lease in sorted(record.leases)] if record else []
        running = [item for items in leases for item, state in items.items() if state is State.RUNNING]
        return tuple(running or [next(iter(items)) for items in leases[:1]])

    def charged(self, worker: int, noted: tuple[int, ...] | None) -> tuple[int, ...]:
        """The items that the loss of a worker charges: those that it noted, as far as it still holds them.

        Without a note, those of `running_of`.
        """
        if noted is None:
            return self.running_of(worker)
        record = self._workers.get(worker)
        held = {item for lease in record.leases for item in self._leases[lease].items} if record else set()
        return tuple(item for item in noted if item in held)

    def statistics(self) -> LedgerStatistics:
        """Count everything."""
        states = [state for lease in self._leases.values() for state in lease.items.values()]
        return LedgerStatistics(
            ready=self._ready.count,
            held=states.count(State.HELD),
            running=states.count(State.RUNNING),
            delayed=len(self._delayed),
            done=self._sums[State.DONE],
            dead=self._sums[State.DEAD],
            left=self._sums[State.LEFT],
            stale_reports=self._stale,
            grants=self._next_lease - 1,
            recalls=self._recalled,
        )

    def validate(self) -> None:
        """Check every index against every other; for tests."""
        ranges = self._ready.ranges()
        assert self._ready.count == sum(stop - first for first, stop, _ in ranges)
        places = [item for first, stop, _ in ranges for item in range(first, stop)]
        places += [item for _, item, _ in self._delayed]
        places += [item for lease in self._leases.values() for item in lease.items]
        assert len(places) == len(set(places)), "an item is in two places"
        for number, lease in self._leases.items():
            assert lease.items, "an empty lease is kept"
            assert number in self._workers[lease.worker].leases
        for name, worker in self._workers.items():
            states = [state for lease in worker.leases for state in self._leases[lease].items.values()]
            assert (worker.held, worker.running) == (len(states), states.count(State.RUNNING))
            assert (name in self._askers) == bool(worker.credits)
            assert worker.credits or not worker.hungry
            assert (name in self._untold) == (bool(worker.credits) and not worker.told)
            assert self._recalls.spare_of(name) == max(0, worker.held - max(worker.running, self._unit))
        assert self._hungry == sum(worker.hungry for worker in self._workers.values())
        self._recalls.validate()
        opened = dict.fromkeys(self._runs, 0)
        for first, stop, run in ranges:
            opened[run] += stop - first
        for _, _, run in self._delayed:
            opened[run] += 1
        for lease in self._leases.values():
            opened[lease.run] += len(lease.items)
        assert opened == {run: record.open for run, record in self._runs.items()}

    # How it is done

    @staticmethod
    def _after(state: State, event: Event) -> State:
        try:
            return TABLE[state, event]
        except KeyError:
            raise ProtocolError(f"an item that is {state.value} cannot be {event.value}") from None

    def _current(self, worker: int, lease: int, items: tuple[int, ...]) -> tuple[int, ...]:
        """Return those of the items that this lease still covers, and count the others."""
        record = self._leases.get(lease)
        if record is None or record.worker != worker:
            self._stale += len(items)
            return ()
        current = tuple(item for item in items if item in record.items)
        self._stale += len(items) - len(current)
        return current

    def _take_out(self, lease: int, items: tuple[int, ...]) -> list[State]:
        """Remove items from a lease, and the lease when it is empty. Return their states."""
        record = self._leases[lease]
        states = [record.items.pop(item) for item in items]
        worker = self._workers[record.worker]
        worker.held -= len(items)
        if worker.running:
            worker.running -= states.count(State.RUNNING)
        if not record.items:
            del self._leases[lease]
            worker.leases.discard(lease)
        self._rank(record.worker, worker)
        self._weigh(record.worker, worker)
        return states

    def _rank(self, name: int, worker: _Worker) -> None:
        """Enter a worker among those who wait: the hungry, who holds the fewest, who waits the longest."""
        if worker.credits:
            self._askers.put(name, (not worker.hungry, worker.held, worker.asked))
            if not worker.told:
                self._untold[name] = None

    def _settled(self, name: int, worker: _Worker) -> None:
        """A worker waits for nothing any more."""
        worker.credits = 0
        self._hungry -= worker.hungry
        worker.hungry = False
        self._askers.drop(name)
        self._untold.pop(name, None)

    def _weigh(self, name: int, worker: _Worker) -> None:
        self._recalls.weigh(name, worker.held, worker.running, worker.pace, worker.reported)

    def _leave_us(self, name: int, now: float) -> None:
        self._settled(name, self._workers.pop(name))
        self._recalls.lost(name, now)

    def _return(self, run: int, items: tuple[int, ...]) -> list[Effect]:
        """Unstarted items are ready again, or left when their run was cancelled. The caller serves."""
        if self._runs[run].cancelled:
            return self._leave(run, items, State.READY)
        for first, stop in ranges_of(items):
            self._ready.put(first, stop, run)
        return []

    def _leave(self, run: int, items: tuple[int, ...], state: State) -> list[Effect]:
        self._after(state, Event.CANCELLED)
        return self._end(run, items, State.LEFT)

    def _retry_or_bury(
        self, run: int, item: int, state: State, decision: Again | Bury, now: float
    ) -> list[Effect]:
        if isinstance(decision, Bury):
            self._after(state, Event.BURIED)
            return self._end(run, (item,), State.DEAD)
        self._after(state, Event.RETRIED)
        if decision.charged:
            self._attempts[item] = self._attempts.get(item, 0) + 1
        if self._runs[run].cancelled:
            return self._leave(run, (item,), State.DELAYED)
        heappush(self._delayed, (now + decision.delay, item, run))
        return []

    def _end(self, run: int, items: tuple[int, ...], state: State) -> list[Effect]:
        self._sums[state] += len(items)
        if self._attempts:
            for item in items:
                self._attempts.pop(item, None)
        self._runs[run].open -= len(items)
        return [Ended(run, items, state), *self._end_run(run)]

    def _end_run(self, run: int) -> list[Effect]:
        record = self._runs.get(run)
        if record is None or record.open or not record.closed:
            return []
        del self._runs[run]
        return [RunEnded(run)]

    def _serve(self, now: float) -> list[Effect]:
        """Grant what is ready to those who asked; recall for those who stay hungry."""
        effects: list[Effect] = []
        shares: dict[int, int] = {}  # what each may still get at this event
        aside: list[int] = []  # those who had their share
        while self._ready.count:
            name = self._askers.first()
            if name is None:
                break
            worker = self._workers[name]
            share = shares.setdefault(name, self._share())
            grant = self._grant(name, worker, min(worker.credits, share), now)
            effects.append(grant)
            shares[name] = share - grant.size
            if not shares[name] and self._ready.count:
                aside.append(name)
                self._askers.drop(name)
            else:
                self._rank(name, worker)
        for name in aside:
            self._rank(name, self._workers[name])
        if self._ready.count:
            return effects
        return effects + self._recall_some(now) + self._say_starved() + self._say_nothing_left(now)

    def _share(self) -> int:
        """Return how many items one worker may be granted at once."""
        count = self._ready.count
        if not self._is_at_end():
            return count  # more will come
        share = -(-count // len(self._workers))
        return share + -share % self._unit

    def _grant(self, name: int, worker: _Worker, most: int, now: float) -> Grant:
        first, count, run = self._ready.take_oldest(most)
        since, worker.asked = worker.asked, now
        worker.credits -= count
        self._hungry -= worker.hungry
        worker.hungry = False
        if not worker.credits:
            self._settled(name, worker)
        return self._lease(name, worker, first, count, run, since, now)

    def _lease(
        self, name: int, worker: _Worker, first: int, count: int, run: int, since: float, now: float
    ) -> Grant:
        """Note that these items are a worker's now."""
        lease, self._next_lease = self._next_lease, self._next_lease + 1
        state = self._after(State.READY, Event.GRANTED)
        self._leases[lease] = _Lease(name, run, dict.fromkeys(range(first, first + count), state))
        worker.leases.add(lease)
        if not worker.held:
            worker.reported = now  # what it computes now begins now
        worker.held += count
        worker.told = False
        self._recalls.granted(name)
        self._weigh(name, worker)
        return Grant(name, lease, run, first, count, now - since, self._cause)

    def _recall_some(self, now: float) -> list[Effect]:
        """Have workers who hold much give something back for those who are hungry."""
        if not self._hungry or not self._recall:
            return []
        chosen = self._recalls.choose(self._hungry, len(self._workers), now)
        self._recalled += len(chosen)
        return [Recall(worker, size) for worker, size in chosen]

    def _say_starved(self) -> list[Effect]:
        """Tell the caller of each open run, once, that workers wait for it."""
        if not self._askers:
            return []
        starved = [
            number for number, run in self._runs.items() if not (run.closed or run.cancelled or run.starved)
        ]
        for number in starved:
            self._runs[number].starved = True
        return [Starved(number) for number in starved]

    def _is_at_end(self) -> bool:
        """Say whether nothing more is to come: every run is closed, or idle while one that is closed waits
        for its last items (which may themselves wait for company in a batch)."""
        closed = [run for run in self._runs.values() if run.closed or run.cancelled]
        others = [run for run in self._runs.values() if not (run.closed or run.cancelled)]
        return not others or (any(run.open for run in closed) and not any(run.open for run in others))

    def _say_nothing_left(self, now: float) -> list[Effect]:
        """Tell each waiting worker, once, that nothing unstarted is left anywhere."""
        if self._delayed or not self._is_at_end():
            return []
        effects: list[Effect] = []
        for name in self._untold:
            worker = self._workers[name]
            worker.told = True
            waited, worker.asked = now - worker.asked, now
            effects.append(NothingLeft(name, waited, self._cause))
        self._untold.clear()
        return effects
