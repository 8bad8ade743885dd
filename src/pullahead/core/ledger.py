"""The queue's machine: it brings together the items that are ready and the workers that wait.

What happens to an item is the business of `items`, what that means for its run the business of `runs`, and
who is served with how much the business of `service`. Here each event goes to those whom it concerns. If it
may have changed what can be served, what is ready is granted to those who asked; and when nothing is left
over, some are asked to give back for those who are still hungry, the runs hear that workers wait, and the
workers hear it when nothing more is to come.

Where there are several queues, each has a ledger. When workers of one of them stay hungry, others give it
items that are ready there (see `neighbours` and `claims`), and from then on these are its own: it grants
them, tries them again, and says how they ended.

A ledger may take the place of one whose queue died. Then its workers come back with what they have, under
the leases of the one before, and nothing is granted, and no run cancelled, until all of them have, or for a
quarter of a second: what a worker has is not computed twice.

The machine answers with effects, in the order in which they should be performed. It has one deadline: the
moment when the next retry is due, when a recall is waited for no longer, when workers are not, or when hunger
has lasted for long enough to be another queue's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from pullahead.core.claims import Claim, of_others
from pullahead.core.effects import (
    Effect,
    Ended,
    Forget,
    ForQueue,
    ForWorker,
    Grant,
    Lot,
    Move,
    NoneLeft,
    NothingLeft,
    Recall,
    RunEnded,
    Starved,
    StoreAgain,
    Unasked,
    Withdraw,
    message_of,
    message_to_queue,
)
from pullahead.core.items import TABLE, Event, Items, State, after
from pullahead.core.neighbours import Neighbours, Want
from pullahead.core.retry import Again, Bury
from pullahead.core.runs import Runs
from pullahead.core.service import Service, Worker
from pullahead.core.standing import Standing
from pullahead.core.trace import CAUSE_SOURCE

#: What a shell needs, from here and from the files behind it.
__all__ = [
    "TABLE",
    "Effect",
    "Ended",
    "Event",
    "ForQueue",
    "ForWorker",
    "Forget",
    "Grant",
    "Ledger",
    "LedgerStatistics",
    "Lot",
    "Move",
    "NoneLeft",
    "NothingLeft",
    "Recall",
    "RunEnded",
    "Starved",
    "State",
    "StoreAgain",
    "Unasked",
    "Want",
    "Withdraw",
    "message_of",
    "message_to_queue",
]

#: Seconds that workers have to come back to a queue that took the place of another one.
_RETURN: Final = 0.25
#: Items: more than travel together.
_PLENTY: Final = 1 << 20


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
    away: int
    stale_reports: int
    grants: int
    recalls: int


@final
class Ledger:
    """See the module. Every method takes `now` in seconds and returns the effects to perform.

    Args:
        unit: how many items one call of `process` takes: shares and recalls are whole batches.
        recall: whether items that a worker holds may go to another one before it is lost.
        workers: how many there will be, if that is known.
        first_lease: greater than any number of a lease of the queues before.
        spares: places for workers, if they come and go: then the last ones become idle when there is little
            work. 0: they do not.
        others: the other queues, if there are any.
    """

    def __init__(
        self,
        unit: int = 1,
        *,
        recall: bool = True,
        workers: int = 0,
        first_lease: int = 1,
        others: tuple[int, ...] = (),
        spares: int = 0,
    ) -> None:
        self._items = Items(first_lease)
        self._runs = Runs(shared=bool(others))
        self._neighbours = Neighbours(others) if others else None
        self._service = Service(unit, recall, workers, spares)
        self._unit = unit
        self._returning: set[int] = set()  # workers that were with the queue before
        self._returned_at: float | None = None  # when they are waited for no longer
        self._to_cancel: list[int] = []  # runs, once they are there
        self._cause = CAUSE_SOURCE  # what the queue would be waiting for if it were empty now
        self._ready_since: float | None = None  # since when there is something that nobody could take

    # What the caller does

    def opened(self, run: int, delays: bool = False) -> list[Effect]:
        """A run began. Its number must be new. `delays`: its source can have an item come again later."""
        self._runs.opened(run, delays)
        return []

    def submitted(
        self, run: int, first: int, count: int, cause: str, now: float, largest: int = 0
    ) -> list[Effect]:
        """Items came, the largest with so many bytes. `cause` says what had kept the caller from sending them
        earlier."""
        self._runs.submitted(run, first, count)
        self._service.weighed(largest)
        if not count:
            return []
        self._cause = cause
        if self._runs.is_cancelled(run):
            return self._leave(run, tuple(range(first, first + count)), State.READY)
        self._items.ready.put(first, first + count, run)
        return self._serve(now)

    def tried(self, item: int, attempts: int) -> None:
        """An item that is about to come was charged so often in an earlier run."""
        for _ in range(attempts):
            self._items.charge(item)

    def closed(self, run: int, now: float) -> list[Effect]:
        """No more items will come for this run."""
        effects: list[Effect] = [RunEnded(run)] if self._runs.closed(run) else []
        return effects + self._serve(now)

    def cancelled(self, run: int, now: float) -> list[Effect]:
        """Forget what is unstarted of a run; what runs is finished and reported."""
        if self._returning:
            self._to_cancel.append(run)
            return []
        if not self._runs.cancelled(run):
            return []  # it ended while the cancellation was on its way
        effects: list[Effect] = []
        for first, stop in self._items.ready.take_run(run):
            effects += self._leave(run, tuple(range(first, stop)), State.READY)
        delayed = self._items.take_delayed(run)
        if delayed:
            effects += self._leave(run, delayed, State.DELAYED)
        effects += [Withdraw(worker, lease) for worker, lease in self._items.leases_in(run)]
        return effects + self._serve(now)

    def over(self, run: int) -> list[Effect]:
        """All of a run has ended, here and in other queues."""
        self._runs.over(run)
        return []

    def shared(self, run: int, hungry: int, now: float) -> list[Effect]:
        """So many workers of other crews, which take from the source of this run, have nothing to compute.

        What they get of it is left: the source has it back. 0: there are none any more.
        """
        self._service.claims.said(of_others(run, hungry, self._unit))
        return self._serve(now)

    # What other queues do

    def wanted(self, claim: Claim, now: float) -> list[Effect]:
        """Another queue has said what it wants from now on."""
        self._service.claims.said(claim)
        return self._serve(now)

    def came(
        self, queue: int, number: int, left: int, lots: tuple[Lot, ...], now: float, largest: int = 0
    ) -> list[Effect]:
        """Items of another queue, the largest with so many bytes, are this one's now. They answer its claim
        of this number, and so many are left there."""
        assert self._neighbours is not None
        effects: list[Effect] = []
        self._neighbours.gave(queue, number, left)
        self._service.weighed(largest)
        for run, first, size, histories in lots:
            self._runs.came(run, size)
            for item, history in histories.items():
                self._items.came(item, history)
            effects += self._return(run, tuple(range(first, first + size)))
        return effects + self._serve(now)

    def none_left(self, queue: int, number: int, now: float) -> list[Effect]:
        """Nothing more is to come from another queue for this claim."""
        assert self._neighbours is not None
        self._neighbours.is_dry(queue, number)
        return self._serve(now)

    # What a queue hears that took the place of another one

    def returning(self, workers: tuple[int, ...], now: float) -> list[Effect]:
        """These workers were with the queue before, and will come back with what they have."""
        self._returning = set(workers)
        self._returned_at = now + _RETURN
        return []

    def still(self, worker: int, lease: int, held: tuple[int, ...], running: tuple[int, ...]) -> list[Effect]:
        """A worker has these items under a lease of the queue before, as far as nobody else has them now."""
        self._service.found(worker, *self._items.found(worker, lease, held, running))
        return []

    def back(self, worker: int, now: float) -> list[Effect]:
        """That is all that a worker has."""
        self._service.came_back(worker, now)
        self._returning.discard(worker)
        return self._all_back(now) if not self._returning else []

    def _all_back(self, now: float) -> list[Effect]:
        """Nobody is waited for any longer."""
        self._returning.clear()
        self._returned_at = None
        runs, self._to_cancel = self._to_cancel, []
        effects = [effect for run in runs for effect in self.cancelled(run, now)]
        return effects + self._serve(now)

    # What the workers do

    def joined(self, worker: int) -> list[Effect]:
        """A worker is there. It gets nothing until it asks."""
        self._service.joined(worker)
        return []

    def asked(self, worker: int, credits: int, now: float) -> list[Effect]:
        """A worker wants up to so many items more."""
        return self._serve(now) if self._service.asked(worker, credits, now) else []

    def hungry(self, worker: int, asked: int, now: float) -> list[Effect]:
        """A worker has nothing to compute, and has not heard of an answer to asks for so many items."""
        return self._serve(now) if self._service.hungry(worker, asked) else []

    def recalled(self, worker: int, returned: int, now: float) -> list[Effect]:
        """A worker has answered a recall; what it returned, so many items, it gave back just before."""
        self._service.answered(worker, returned, now)
        return self._serve(now)

    def stuck(self, worker: int) -> list[Effect]:
        """What a worker runs takes long: it takes back its asks, and next it gives back what it holds."""
        credits = self._service.unasked(worker)
        return [Unasked(worker, credits)] if credits else []

    def started(self, worker: int, lease: int, items: tuple[int, ...]) -> list[Effect]:
        """Items began to run: from now on, losing their worker charges them an attempt."""
        holding = self._items.current(worker, lease, items)
        if holding:
            self._items.started(lease, holding)
            self._service.started(worker, len(holding))
        return []

    def finished(
        self, worker: int, lease: int, items: tuple[int, ...], now: float
    ) -> tuple[tuple[int, ...], list[Effect]]:
        """Items were processed (and stored). Return those whose report counts, and the effects."""
        accepted = self._items.current(worker, lease, items)
        if not accepted:
            return (), []
        self._service.reported(worker, len(items), now)
        run = self._take_out(worker, lease, accepted, Event.FINISHED, now)
        return accepted, self._end(run, accepted, State.DONE) + self._taper(now)

    def failed(
        self, worker: int, lease: int, item: int, decision: Again | Bury, now: float
    ) -> tuple[bool, list[Effect]]:
        """An item failed, and this is what the retry policy says. Return whether the report counts."""
        if not self._items.current(worker, lease, (item,)):
            return False, []
        if isinstance(decision, Again) and self._may_wait_elsewhere(lease, item, decision):
            run = self._take_out(worker, lease, (item,), Event.PUT_OFF, now)
            return True, self._end(run, (item,), State.LEFT, decision.delay) + self._taper(now)
        run = self._take_out(worker, lease, (item,), _event_of(decision), now)
        return True, self._retry_or_bury(run, item, decision, now) + self._taper(now)

    def unstored(
        self, worker: int, lease: int, item: int, decision: Again | Bury, now: float
    ) -> tuple[bool, list[Effect]]:
        """An item's store failed, and this is what the retry policy says. Return whether the report counts.

        If it is tried again, that is done where its result is: the item stays with its worker and runs. (But
        not in a run that was cancelled, where nothing is tried again.)
        """
        if not self._items.current(worker, lease, (item,)):
            return False, [Forget(worker, lease, item)]
        if isinstance(decision, Bury):
            return True, [Forget(worker, lease, item), *self.failed(worker, lease, item, decision, now)[1]]
        if self._runs.is_cancelled(self._items.run_of(lease)):
            return True, [Forget(worker, lease, item), *self.failed(worker, lease, item, decision, now)[1]]
        if decision.charged:
            self._items.charge(item)
        if self._items.kept(lease, item):
            self._service.started(worker, 1)
        return True, [StoreAgain(worker, lease, item, decision.delay)]

    def gave_back(self, worker: int, lease: int, items: tuple[int, ...], now: float) -> list[Effect]:
        """Unstarted items came back; they are ready at their old place and are charged nothing."""
        returned = self._items.current(worker, lease, items)
        if not returned:
            return []
        run = self._take_out(worker, lease, returned, Event.RETURNED, now)
        return self._return(run, returned) + self._serve(now)

    def stopping(self, worker: int) -> list[Effect]:
        """A worker was told to stop: it gets nothing from now on, so that it holds nothing at its goodbye."""
        self._service.stopping(worker)
        return []

    def spared(self, worker: int, now: float) -> list[Effect]:
        """As `stopping`, of one that is not needed: it hears why it has waited, which was not for the end."""
        waited = self._service.waited(worker, now)
        self._service.stopping(worker)
        return [] if waited is None else [NothingLeft(worker, waited, self._cause)]

    def said_goodbye(self, worker: int) -> list[Effect]:
        """A worker left in order: it must hold nothing."""
        self._items.left(worker)
        self._service.left(worker)
        return []

    def lost(
        self, worker: int, decide: dict[int, Again | Bury], now: float, loading: tuple[int, ...] = ()
    ) -> list[Effect]:
        """A worker's process ended. What it held is ready again; what it ran is decided by the caller.

        Args:
            worker: its number; unknown ones (it had left in order) change nothing.
            decide: the retry policy's decision for each item that is `charged`.
            now: the moment.
            loading: what it was loading, if anything: that may be suspect from now on.
        """
        effects: list[Effect] = []
        was_awaited = worker in self._returning
        self._returning.discard(worker)
        if worker not in self._service.workers:
            return self._all_back(now) if was_awaited and not self._returning else effects
        self._service.left(worker)
        if loading:
            self._items.seen_loading(self._items.held_by(worker).intersection(loading), decide.keys())
        events = {item: _event_of(decision) for item, decision in decide.items()}
        for run, spared, charged in self._items.lost(worker, events):
            effects += self._return(run, spared)
            for item in charged:
                effects += self._retry_or_bury(run, item, decide[item], now)
        if was_awaited and not self._returning:
            return effects + self._all_back(now)
        return effects + self._serve(now)  # once all is back: the oldest goes first

    def tick(self, now: float) -> list[Effect]:
        """Time has come to `deadline`: what fell due is ready again."""
        self._items.fall_due(now)
        if self._returned_at is not None and now >= self._returned_at:
            return self._all_back(now)
        return self._serve(now)

    # What can be asked

    @property
    def deadline(self) -> float | None:
        """When `tick` should be called next, or None."""
        looks = None if self._neighbours is None else self._neighbours.deadline
        due = self._items.due, self._service.deadline, self._returned_at, looks
        return min((at for at in due if at is not None), default=None)

    @property
    def is_hungry(self) -> bool:
        """Whether a worker has nothing to compute, asked, and could not be served."""
        return self._service.someone_is_hungry

    @property
    def ready(self) -> int:
        """How many items are ready."""
        return self._items.ready.count

    @property
    def open_items(self) -> int:
        """How many items were submitted and have not ended."""
        return self._runs.open_items

    @property
    def open_runs(self) -> list[int]:
        """The runs that have not ended."""
        return list(self._runs.open_by_run)

    @property
    def is_at_end(self) -> bool:
        """Whether nothing more is to come, as far as the queue knows."""
        return self._runs.at_end

    @property
    def standing(self) -> Standing:
        """How things are, for whoever decides how many workers there should be. It looks at every worker."""
        service, ready = self._service, self._items.ready.count
        unstarted = ready + service.spare
        is_over = self._runs.at_end and not (unstarted or self._items.delayed)
        return Standing(unstarted, service.usual_pace, self._ready_since, service.idle, is_over)

    @property
    def waiting(self) -> dict[int, int]:
        """The workers that wait, and for how many items each. It looks at every worker: for tests."""
        return {number: one.credits for number, one in self._service.workers.items() if one.credits}

    @property
    def starving(self) -> list[int]:
        """Those of them that have nothing to compute; for tests."""
        return [number for number, one in self._service.workers.items() if one.hungry]

    def attempts(self, item: int) -> int:
        """How often an item was charged so far."""
        return self._items.attempts(item)

    def running_of(self, worker: int) -> tuple[int, ...]:
        """The items that a worker runs, as far as the queue knows: what it is charged for if it is lost."""
        return self._items.running_of(worker)

    def charged(self, worker: int, noted: tuple[int, ...] | None) -> tuple[int, ...]:
        """The items that the loss of a worker charges: those that it noted, as far as it still holds them.

        Without a note, those of `running_of`.
        """
        if noted is None:
            return self.running_of(worker)
        held = self._items.held_by(worker)
        return tuple(item for item in noted if item in held)

    def statistics(self) -> LedgerStatistics:
        """Count everything. It looks at every item that is with a worker."""
        items, states = self._items, self._items.leased()
        return LedgerStatistics(
            ready=items.ready.count,
            held=states.count(State.HELD),
            running=states.count(State.RUNNING),
            delayed=items.delayed,
            done=items.sums[State.DONE],
            dead=items.sums[State.DEAD],
            left=items.sums[State.LEFT],
            away=items.sums[State.AWAY],
            stale_reports=items.stale,
            grants=items.grants,
            recalls=self._service.recalled,
        )

    def sizes(self) -> dict[str, int]:
        """Count the entries of everything that grows with items, asks or runs; for tests."""
        neighbours = {} if self._neighbours is None else self._neighbours.sizes()
        runs = {"open runs": len(self.open_runs)}
        return self._items.sizes() | self._service.sizes() | neighbours | runs

    def validate(self) -> None:
        """Check every index against every other; for tests."""
        self._items.validate(self._service.workers.keys())
        self._service.validate()
        self._runs.validate()
        if self._neighbours is not None:
            self._neighbours.validate()
        for number, worker in self._service.workers.items():
            states = self._items.leased(number)
            assert (worker.held, worker.running) == (len(states), states.count(State.RUNNING))
        open_by_run = self._runs.open_by_run
        assert dict.fromkeys(open_by_run, 0) | self._items.open_by_run() == open_by_run

    # Lives

    def _take_out(self, worker: int, lease: int, items: tuple[int, ...], event: Event, now: float) -> int:
        """Items leave their lease and their worker. Return their run."""
        run, ran = self._items.take_out(lease, items, event)
        self._service.let_go(worker, len(items), ran, now)
        return run

    def _return(self, run: int, items: tuple[int, ...]) -> list[Effect]:
        """Unstarted items are ready again, or left when their run was cancelled. The caller serves."""
        if self._runs.is_cancelled(run):
            return self._leave(run, items, State.READY)
        self._items.came_back(items, run)
        return []

    def _leave(self, run: int, items: tuple[int, ...], state: State) -> list[Effect]:
        after(state, Event.CANCELLED)
        return self._end(run, items, State.LEFT)

    def _may_wait_elsewhere(self, lease: int, item: int, decision: Again) -> bool:
        """Whether an item that failed goes back to its source until it is due. One that was charged does not:
        how often, is known here alone."""
        run = self._items.run_of(lease)
        can_wait = self._runs.delays(run) and not self._runs.is_cancelled(run)
        return can_wait and decision.may_wait_elsewhere and not self._items.attempts(item)

    def _retry_or_bury(self, run: int, item: int, decision: Again | Bury, now: float) -> list[Effect]:
        """A failed item, which is in no lease any more, is delayed or dead."""
        if isinstance(decision, Bury):
            return self._end(run, (item,), State.DEAD)
        if decision.charged:
            self._items.charge(item)
        if self._runs.is_cancelled(run):
            return self._leave(run, (item,), State.DELAYED)
        self._items.delay(item, run, now + decision.delay)
        return []

    def _end(self, run: int, items: tuple[int, ...], state: State, delay: float = 0.0) -> list[Effect]:
        self._items.ended(items, state)
        ended: list[Effect] = [Ended(run, items, state, delay)]
        return [*ended, RunEnded(run)] if self._runs.ended(run, len(items)) else ended

    # Service

    def _taper(self, now: float) -> list[Effect]:
        """Items have ended. That makes room for somebody's share, where there are shares, or was the last."""
        limited = self._runs.at_end or self._items.ready.count
        return self._serve(now) if limited and self._service.someone_waits else []

    def _serve(self, now: float) -> list[Effect]:
        """Grant what is ready to those who asked; recall for those who stay hungry."""
        effects: list[Effect] = []
        if self._returning:
            return effects
        if self._items.ready.count:
            self._grant(effects, now)
            if self._items.ready.count:
                self._ready_since = now if self._ready_since is None else self._ready_since
                return effects + self._look_around(now)
        self._ready_since = None
        for worker, size in self._service.recall(now):
            effects.append(Recall(worker, size))
        if self._neighbours is not None:
            effects += self._look_around(now)
        if self._service.someone_waits:
            effects += [Starved(run) for run in self._runs.starve()]
        if self._runs.at_end and not self._items.delayed:
            effects += self._dismiss(now)
        return effects

    def _dismiss(self, now: float) -> list[Effect]:
        """Nothing more is to come. Tell those who wait, unless there is something on its way or elsewhere."""
        service, effects = self._service, list[Effect]()
        if service.something_comes_back:
            return effects
        effects += [NoneLeft(claim.queue, claim.number) for claim in service.claims.dismiss()]
        if service.someone_waits and (self._neighbours is None or self._neighbours.are_dry):
            dismissed = service.dismiss(now)
            effects += [NothingLeft(worker, waited, self._cause) for worker, waited in dismissed]
        return effects

    def _look_around(self, now: float) -> list[Want]:
        """Tell other queues what is wanted of them, if that has changed."""
        return [] if self._neighbours is None else self._neighbours.look(self._service.need, now)

    @property
    def _backlog(self) -> int:
        """How many items are ready for each worker; plenty if the caller has more and may not send it yet."""
        if self._cause != CAUSE_SOURCE and not self._runs.at_end:
            return _PLENTY
        return self._items.ready.count // len(self._service.workers)

    def _grant(self, effects: list[Effect], now: float) -> None:
        """Grant what is ready to those who asked, in their order, as far as their shares go."""
        ready, service = self._items.ready, self._service
        at_end = self._runs.at_end
        aside: list[Worker] = []  # those who had their share
        while ready.count:
            claim = service.first_claim() if service.claims else None
            if claim is not None:
                effects += self._leave_to(claim) if claim.is_elsewhere else [self._move(claim)]
                continue
            worker = service.first()
            if worker is None:
                break
            most = service.most(worker, ready.count, at_end=at_end)
            if not most:
                aside.append(worker)
                service.step_aside(worker)
                continue
            first, count, run = ready.take_oldest(most)
            lease = self._items.granted(worker.number, first, count, run)
            waited = service.granted(worker, count, now)
            about = (
                waited,
                self._cause,
                self._backlog,
                self._items.suspects_among(range(first, first + count)),
            )
            effects.append(Grant(worker.number, lease, run, first, count, *about))
            service.queue_up(worker)
        for worker in aside:
            service.queue_up(worker)

    def _leave_to(self, claim: Claim) -> list[Effect]:
        """Answer a claim of other crews with its share of what is ready of its run, if anything is."""
        ready, effects = self._items.ready, list[Effect]()
        rest = self._service.share_of(claim, ready.count)
        self._service.claims.answered(claim)
        while rest and (found := ready.take_oldest_of(claim.number, rest)):
            first, count = found
            effects += self._leave(claim.number, tuple(range(first, first + count)), State.READY)
            rest -= count
        return effects

    def _move(self, claim: Claim) -> Move:
        """Answer a claim of another queue with its share of what is ready."""
        ready, lots = self._items.ready, list[Lot]()
        rest = min(ready.count, self._service.share_of(claim, ready.count))
        self._service.claims.answered(claim)
        while rest:
            first, count, run = ready.take_oldest(rest)
            lots.append(Lot(run, first, count, self._items.moved(range(first, first + count))))
            self._runs.went(run, count)
            rest -= count
        left = ready.count + self._service.recallable
        return Move(claim.queue, claim.number, left, tuple(lots))


def _event_of(decision: Again | Bury) -> Event:
    return Event.BURIED if isinstance(decision, Bury) else Event.RETRIED
