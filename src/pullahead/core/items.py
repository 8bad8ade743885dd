"""The lives of items: where each one is, from its submission to its one recorded end.

Rules:
1. An item is in exactly one state. The table below says which event leads where; an entry that is missing
   is an error in Pullahead and raises, it is never ignored.
2. The only thing that ends an item is its own report under the lease that holds it, the retry policy, or
   the cancellation of its run while it is unstarted.
3. Lease numbers only grow, also from one queue to the one that takes its place. A report under a lease that
   no longer covers the item changes nothing and is counted: the item went elsewhere meanwhile.
4. An item that comes back takes its old place: numbers are the order, and the lowest ready one goes first.
5. What a worker was loading when it died is charged nothing: nobody knows which it was, if it was one of
   these. But it is suspect if nothing else was charged, or if it was being loaded in an earlier death, too;
   and so is what was charged beside it. (A death that charges what was suspect is explained by that.) What is
   suspect runs alone until it ends: loaded in its turn, as a part of what runs, and charged as such, while
   nothing else is loaded there. So one that is innocent is charged once at most. That takes its time, hence
   the care.
6. An item belongs to one queue. One that goes to another queue has ended here, and takes its history along:
   what it was charged, and whether it is suspect.

How it works. Items are numbers, consecutive in one submission. The ready ones are ranges; see `ready`. A
*lease* is a range granted to one worker, with a small dict from item to state: made and emptied at the speed
of C, split by nothing more than deleting keys. Items that have ended are forgotten; only sums remain. What an
item *is* (its payload) is the business of the shell.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Set
from dataclasses import dataclass
from enum import Enum
from heapq import heapify, heappop, heappush
from typing import Final, final

from pullahead.core.ready import Ready, ranges_of
from pullahead.errors import ProtocolError


class State(Enum):
    """Where an item is. The last four are ends."""

    READY = "ready"
    HELD = "held"
    RUNNING = "running"
    DELAYED = "delayed"
    DONE = "done"
    DEAD = "dead"
    LEFT = "left"
    AWAY = "away"


class Event(Enum):
    """What can happen to an item."""

    GRANTED = "granted"
    STARTED = "started"
    FINISHED = "finished"
    KEPT = "kept"
    RETURNED = "returned"
    SPARED = "spared"
    RETRIED = "retried"
    BURIED = "buried"
    FELL_DUE = "fell due"
    FOUND_HELD = "found with a worker"
    FOUND_RUNNING = "found running"
    CANCELLED = "cancelled"
    PUT_OFF = "put off"
    MOVED = "moved to another queue"


TABLE: Final[dict[tuple[State, Event], State]] = {
    (State.READY, Event.GRANTED): State.HELD,
    (State.READY, Event.CANCELLED): State.LEFT,
    # Workers of another queue are hungry. From here on it is that one's to grant and to report.
    (State.READY, Event.MOVED): State.AWAY,
    # This queue took the place of one that died, and a worker of that one has the item.
    (State.READY, Event.FOUND_HELD): State.HELD,
    (State.READY, Event.FOUND_RUNNING): State.RUNNING,
    (State.HELD, Event.STARTED): State.RUNNING,
    # One message may carry both the start and the end of a short item: its report implies its start.
    (State.HELD, Event.FINISHED): State.DONE,
    # Given back, recalled, or its worker stopped or was lost before it began. Charged nothing.
    (State.HELD, Event.RETURNED): State.READY,
    # Its load failed, or it began and failed within one message.
    (State.HELD, Event.RETRIED): State.DELAYED,
    (State.HELD, Event.BURIED): State.DEAD,
    # Its source has it come again when it is due: here it would only take the room of others.
    (State.HELD, Event.PUT_OFF): State.LEFT,
    # Its store failed and is tried again where it is, because its result is there.
    (State.HELD, Event.KEPT): State.RUNNING,
    (State.RUNNING, Event.KEPT): State.RUNNING,
    (State.RUNNING, Event.FINISHED): State.DONE,
    # It was said to run, one of a slice, and the note of its lost worker says that by then another one did.
    (State.RUNNING, Event.SPARED): State.READY,
    (State.RUNNING, Event.RETRIED): State.DELAYED,
    (State.RUNNING, Event.BURIED): State.DEAD,
    (State.RUNNING, Event.PUT_OFF): State.LEFT,
    (State.DELAYED, Event.FELL_DUE): State.READY,
    (State.DELAYED, Event.CANCELLED): State.LEFT,
}


def after(state: State, event: Event) -> State:
    """Return where an event leads."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise ProtocolError(f"an item that is {state.value} cannot be {event.value}") from None


#: What an item takes along to another queue: how often it was charged, whether a worker died while it loaded
#: it, and whether it is suspect.
History = tuple[int, bool, bool]


@final
@dataclass(slots=True)
class Lease:
    """What is left of a grant: items that are held or running, of one run, with one worker."""

    worker: int
    run: int
    items: dict[int, State]


@final
class Items:
    """Every item that was submitted and has not ended. See the module."""

    __slots__ = (
        "_attempts",
        "_delayed",
        "_first_lease",
        "_leases",
        "_leases_of",
        "_next_lease",
        "_seen",
        "_suspects",
        "ready",
        "stale",
        "sums",
    )

    def __init__(self, first_lease: int = 1) -> None:
        self.ready = Ready()
        self.sums = dict.fromkeys((State.DONE, State.DEAD, State.LEFT, State.AWAY), 0)
        self.stale = 0  # reports about items that were elsewhere
        self._delayed: list[tuple[float, int, int]] = []  # heap of (due, item, run)
        self._leases: dict[int, Lease] = {}
        self._leases_of: defaultdict[int, set[int]] = defaultdict(set)  # by worker
        self._attempts: dict[int, int] = {}  # only of items that were charged
        self._seen: set[int] = set()  # that were being loaded when a worker died, and have not ended
        self._suspects: set[int] = set()  # some of them
        self._first_lease = self._next_lease = first_lease

    # With a worker

    def granted(self, worker: int, first: int, count: int, run: int) -> int:
        """Items that were taken from `ready` are a worker's now. Return the lease."""
        lease, self._next_lease = self._next_lease, self._next_lease + 1
        state = after(State.READY, Event.GRANTED)
        self._leases[lease] = Lease(worker, run, dict.fromkeys(range(first, first + count), state))
        self._leases_of[worker].add(lease)
        return lease

    def found(
        self, worker: int, lease: int, held: tuple[int, ...], running: tuple[int, ...]
    ) -> tuple[int, int]:
        """A worker has these of a queue before this one. Return how many are its own, held and running.

        Those that are not ready are not: they have ended, or went to another worker.
        """
        states: dict[int, State] = {}
        run = 0
        for items, event in ((held, Event.FOUND_HELD), (running, Event.FOUND_RUNNING)):
            for item in items:
                owner = self.ready.take(item)
                if owner is not None:
                    run, states[item] = owner, after(State.READY, event)
        record = self._leases.get(lease)
        if record is not None:
            record.items.update(states)
        elif states:
            self._leases[lease] = Lease(worker, run, states)
            self._leases_of[worker].add(lease)
        ran = sum(state is State.RUNNING for state in states.values())
        return len(states) - ran, ran

    def current(self, worker: int, lease: int, items: tuple[int, ...]) -> tuple[int, ...]:
        """Return those of the items that this lease still covers, and count the others."""
        record = self._leases.get(lease)
        if record is None or record.worker != worker:
            self.stale += len(items)
            return ()
        current = tuple(filter(record.items.__contains__, items))
        self.stale += len(items) - len(current)
        return current

    def started(self, lease: int, items: tuple[int, ...]) -> None:
        """Items of a lease run."""
        states = self._leases[lease].items
        for state in set(map(states.__getitem__, items)):
            after(state, Event.STARTED)
        states.update(dict.fromkeys(items, State.RUNNING))

    def run_of(self, lease: int) -> int:
        """Return whose items a lease covers."""
        return self._leases[lease].run

    def kept(self, lease: int, item: int) -> bool:
        """An item stays in its lease, although its store failed. Return whether that is how its start becomes
        known."""
        states = self._leases[lease].items
        before, states[item] = states[item], after(states[item], Event.KEPT)
        return before is State.HELD

    def take_out(self, lease: int, items: tuple[int, ...], event: Event) -> tuple[int, int]:
        """Items leave their lease, all by the same event. Return their run, and how many of them ran."""
        record = self._leases[lease]
        states = list(map(record.items.pop, items))
        ran = states.count(State.RUNNING)
        if ran:
            after(State.RUNNING, event)
        if ran < len(states):
            after(State.HELD, event)
        if not record.items:
            del self._leases[lease]
            self._leases_of[record.worker].discard(lease)
        return record.run, ran

    def left(self, worker: int) -> None:
        """A worker left in order: it must hold nothing."""
        leases = self.leases_of(worker)
        if leases:
            raise ProtocolError(f"worker {worker} said goodbye while it holds leases {leases}")
        self._leases_of.pop(worker, None)

    def lost(
        self, worker: int, events: dict[int, Event]
    ) -> list[tuple[int, tuple[int, ...], tuple[int, ...]]]:
        """A worker is gone, and with it its leases; these events happened to some of its items.

        Returns (run, those to which nothing happened, the others) of each lease, the oldest first.
        """
        leases = [self._leases.pop(lease) for lease in sorted(self._leases_of.pop(worker, ()))]
        for lease in leases:
            for item, state in lease.items.items():
                spared = Event.SPARED if state is State.RUNNING else Event.RETURNED
                after(state, events.get(item, spared))
        return [
            (
                lease.run,
                tuple(item for item in lease.items if item not in events),
                tuple(item for item in lease.items if item in events),
            )
            for lease in leases
        ]

    # Without one

    def came_back(self, items: tuple[int, ...], run: int) -> None:
        """Items are ready again."""
        for first, stop in ranges_of(items):
            self.ready.put(first, stop, run)

    def charge(self, item: int) -> None:
        """An item used up an attempt."""
        self._attempts[item] = self._attempts.get(item, 0) + 1

    def seen_loading(self, items: set[int], charged: Collection[int]) -> None:
        """A worker died while it loaded these, and these others are about to be charged for it."""
        if not self._suspects.isdisjoint(charged):
            return
        self._suspects.update(self._seen.intersection(items) if charged else items)
        self._suspects.update(charged)
        self._seen.update(items, charged)

    def suspects_among(self, items: range) -> tuple[int, ...]:
        """Return those of the items that are suspect, in order."""
        return tuple(sorted(self._suspects.intersection(items))) if self._suspects else ()

    def moved(self, items: range) -> dict[int, History]:
        """Items that were taken from `ready` are another queue's now. Return the histories of those that have
        one."""
        state = after(State.READY, Event.MOVED)
        histories = {
            item: (self.attempts(item), item in self._seen, item in self._suspects)
            for item in (items if self._attempts or self._seen else ())
            if item in self._attempts or item in self._seen
        }
        self.ended(tuple(items), state)
        return histories

    def came(self, item: int, history: History) -> None:
        """An item of another queue is about to be ready, and has this history."""
        attempts, was_seen, is_suspect = history
        if attempts:
            self._attempts[item] = attempts
        if was_seen:
            self._seen.add(item)
        if is_suspect:
            self._suspects.add(item)

    def delay(self, item: int, run: int, due: float) -> None:
        """An item is ready again when it is due."""
        heappush(self._delayed, (due, item, run))

    def fall_due(self, now: float) -> None:
        """What is due is ready."""
        while self._delayed and self._delayed[0][0] <= now:
            _, item, run = heappop(self._delayed)
            after(State.DELAYED, Event.FELL_DUE)
            self.ready.put(item, item + 1, run)

    def take_delayed(self, run: int) -> tuple[int, ...]:
        """Take what is delayed of a run. Returns it in order."""
        taken = tuple(sorted(item for _, item, owner in self._delayed if owner == run))
        self._delayed = [entry for entry in self._delayed if entry[2] != run]
        heapify(self._delayed)
        return taken

    def ended(self, items: tuple[int, ...], state: State) -> None:
        """Items have ended, and were taken from where they were."""
        self.sums[state] += len(items)
        if self._attempts:
            for item in items:
                self._attempts.pop(item, None)
        if self._seen:
            self._seen.difference_update(items)
            self._suspects.difference_update(items)

    # What can be asked

    @property
    def due(self) -> float | None:
        """When the next delayed item is ready again."""
        return self._delayed[0][0] if self._delayed else None

    @property
    def delayed(self) -> int:
        """How many items are delayed."""
        return len(self._delayed)

    @property
    def grants(self) -> int:
        """How many leases there have been."""
        return self._next_lease - self._first_lease

    def attempts(self, item: int) -> int:
        """How often an item was charged so far."""
        return self._attempts.get(item, 0)

    def leases_of(self, worker: int) -> list[int]:
        """Return the numbers of a worker's leases, the oldest first."""
        return sorted(self._leases_of.get(worker, ()))

    def leases_in(self, run: int) -> list[tuple[int, int]]:
        """Return (worker, lease) for every lease in a run. It looks at every lease: for rare occasions."""
        return [(record.worker, lease) for lease, record in self._leases.items() if record.run == run]

    def running_of(self, worker: int) -> tuple[int, ...]:
        """The items that a worker runs, as far as the queue knows: what it is charged for if it is lost.

        Those that it said it has started. If it has said nothing since its last report, the first that it
        holds: a report implies that the next one starts, and the worker says so only in its next message.
        """
        leases = [self._leases[lease].items for lease in self.leases_of(worker)]
        running = [item for items in leases for item, state in items.items() if state is State.RUNNING]
        return tuple(running or [next(iter(items)) for items in leases[:1]])

    def held_by(self, worker: int) -> set[int]:
        """Return all items of a worker's leases."""
        return {item for lease in self.leases_of(worker) for item in self._leases[lease].items}

    def leased(self, worker: int | None = None) -> list[State]:
        """Return the states of all leased items, or of one worker's. It looks at each: for rare occasions."""
        chosen = self._leases if worker is None else self.leases_of(worker)
        return [state for lease in chosen for state in self._leases[lease].items.values()]

    def open_by_run(self) -> Counter[int]:
        """Count the items of each run; for tests."""
        counts: Counter[int] = Counter(run for _, _, run in self._delayed)
        for first, stop, run in self.ready.ranges():
            counts[run] += stop - first
        for lease in self._leases.values():
            counts[lease.run] += len(lease.items)
        return counts

    def sizes(self) -> dict[str, int]:
        """Count the entries of everything that grows with items; for tests."""
        return {
            "ready": len(self.ready.ranges()),
            "delayed": len(self._delayed),
            "leases": len(self._leases),
            "leases by worker": sum(map(len, self._leases_of.values())),
            "attempts": len(self._attempts),
            "seen loading": len(self._seen),
            "suspects": len(self._suspects),
        }

    def validate(self, workers: Set[int]) -> None:
        """Check that every item is in one place, and every index against the others; for tests."""
        ranges = self.ready.ranges()
        assert self.ready.count == sum(stop - first for first, stop, _ in ranges)
        places = [item for first, stop, _ in ranges for item in range(first, stop)]
        places += [item for _, item, _ in self._delayed]
        places += [item for lease in self._leases.values() for item in lease.items]
        assert len(places) == len(set(places)), "an item is in two places"
        assert all(lease.items for lease in self._leases.values()), "an empty lease is kept"
        assert self._leases_of.keys() <= workers, "a worker that is not there is known here"
        owners = {lease: worker for worker, leases in self._leases_of.items() for lease in leases}
        assert owners == {number: lease.worker for number, lease in self._leases.items()}
        assert self._suspects <= self._seen
