"""The service of workers: who waits, who is served first and with how much, and who is asked to give back.

Rules:
1. Workers that are hungry (they have nothing to compute) are served first; then other queues whose workers
   are (see `claims`); then those that hold the fewest; then those that wait the longest.
2. Once nothing more is to come, nobody is granted more than its share of all that is unstarted, less what it
   holds of it. That leaves something for everybody (the taper of guided self-scheduling); what is left over
   is granted at the next event. The same holds as long as not all workers are there: who joins first does
   not take what the others would compute. And a worker that has not finished anything yet does not know how
   large items are, so that it holds as many as fit into its budget, but two in any case.
3. A hungry worker with nothing ready gets what another one holds and has not begun; see `recalls`. One of
   another queue does so, too.
4. A worker that is stuck in a long item takes its asks back and gives back what it holds. When the item may
   soon be over, it asks again, like any other.
5. Who waits while nothing more is to come, and nothing is on its way back, is told so, once until its next
   grant.
6. A worker that was told to stop gets nothing more.
7. Where workers come and go, those that are hungry are served by their numbers, not by how long they wait: so
   the last ones become idle when there is too little work for all, and can be spared; see `scaling`.

It knows how many items a worker holds, not which; see `items`. No event looks at every worker. (What is
told about them all, where they come and go, is told four times a second at most.)
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, final

from pullahead.core.claims import Claim, Claims
from pullahead.core.lookahead import WAY_BYTES
from pullahead.core.neighbours import Need
from pullahead.core.ranking import Ranking
from pullahead.core.recalls import Recalls
from pullahead.errors import ProtocolError

#: What a report keeps of those before it, in a worker's pace.
_KEEP: Final = 0.8


@final
@dataclass(slots=True, eq=False)
class Pace:
    """Seconds per item, lately: the quotient of two fading sums.

    Not a fading mean of quotients: of several reports in one message, the first would seem to have taken all
    the time, and the others none.
    """

    keep: float
    seconds: float = 0.0
    items: float = 0.0

    def reported(self, seconds: float, items: int) -> None:
        """So many items more took so long."""
        if seconds > 0.0:
            self.seconds *= self.keep
            self.items *= self.keep
        self.seconds += seconds
        self.items += items

    @property
    def usual(self) -> float:
        """Seconds per item; 0 when nothing is known."""
        return self.seconds / self.items if self.items else 0.0


@final
@dataclass(slots=True, eq=False)
class Worker:
    """One worker, and how it is served."""

    number: int
    credits: int = 0  # items that it asked for and did not get
    asks: deque[tuple[float, int]] = field(default_factory=deque)  # when, and for how many: their sum
    held: int = 0  # items of its leases, held or running
    running: int = 0  # those that are known to run
    hungry: bool = False  # it has nothing to compute
    reported: float = 0.0  # when it last finished something
    pace: Pace = field(default_factory=lambda: Pace(_KEEP))
    told: bool = False  # that nothing is left
    stopping: bool = False  # it was told to
    fresh: bool = True  # it has not finished anything yet
    free_since: float = 0.0  # if it holds nothing; 0.0: since it joined

    @property
    def asked(self) -> float:
        """When the oldest unanswered ask came."""
        return self.asks[0][0] if self.asks else 0.0


@final
class Service:
    """See the module.

    Args:
        unit: how many items one call of `process` takes: shares and recalls are whole batches.
        recall: whether items that a worker holds may go to another one before it is lost.
        workers: how many there will be.
        spares: places for workers, if the last ones should become idle when there is too little work for all;
            who takes the place of another one has its number and so many more. 0: that does not matter.

    Attributes:
        claims: what other queues want.
    """

    __slots__ = (
        "_askers",
        "_hungry",
        "_hungry_credits",
        "_largest",
        "_recall",
        "_recalls",
        "_spares",
        "_to_come",
        "_unit",
        "_untold",
        "claims",
        "recalled",
        "workers",
    )

    def __init__(self, unit: int, recall: bool, workers: int, spares: int = 0) -> None:
        self.workers: dict[int, Worker] = {}
        self.claims = Claims()
        self.recalled = 0  # recalls so far
        self._unit = unit
        self._recall = recall
        self._to_come = workers
        self._spares = spares
        self._largest = 0  # bytes of an item
        self._askers = Ranking()  # workers with credits
        self._hungry = 0  # how many of them are hungry
        self._hungry_credits = 0  # what those asked for
        self._untold: dict[int, None] = {}  # those of them that were not told that nothing is left
        self._recalls = Recalls(unit)

    # Who is there

    def joined(self, number: int) -> None:
        """A worker is there. It gets nothing until it asks."""
        if number in self.workers:
            raise ProtocolError(f"worker {number} joined twice")
        self.workers[number] = Worker(number)
        self._to_come = max(0, self._to_come - 1)

    def weighed(self, largest: int) -> None:
        """There are items of so many bytes."""
        self._largest = max(self._largest, largest)

    def stopping(self, number: int) -> None:
        """A worker was told to stop."""
        worker = self.workers[number]
        worker.stopping = True
        self._settle(worker)

    def left(self, number: int) -> None:
        """A worker is no longer there."""
        self._settle(self.workers.pop(number))
        self._recalls.lost(number)

    # Who waits

    def asked(self, number: int, credits: int, now: float) -> bool:
        """A worker wants up to so many items more. Return whether it waits for them."""
        worker = self.workers[number]
        if worker.stopping:
            return False
        worker.asks.append((now, credits))
        worker.credits += credits
        if worker.hungry:
            self._hungry_credits += credits
        self.queue_up(worker)
        return True

    def hungry(self, number: int, asked: int) -> bool:
        """A worker has nothing to compute, and has not heard of an answer to asks for so many items. Return
        whether this is news."""
        worker = self.workers[number]
        if worker.hungry or worker.credits < asked or not asked:
            return False  # something is on its way to it, or it has taken its asks back
        worker.hungry = True
        self._hungry += 1
        self._hungry_credits += worker.credits
        self.queue_up(worker)
        return True

    def unasked(self, number: int) -> int:
        """A worker takes back its asks. Return for how many items they were."""
        worker = self.workers[number]
        credits = worker.credits
        self._settle(worker)
        return credits

    def queue_up(self, worker: Worker) -> None:
        """Enter a worker among those who wait: the hungry, who holds the fewest, who waits the longest."""
        if worker.credits:
            place = worker.number % self._spares if self._spares and worker.hungry else worker.asked
            self._askers.put(worker.number, (not worker.hungry, worker.held, place))
            if not worker.told:
                self._untold[worker.number] = None

    def step_aside(self, worker: Worker) -> None:
        """A worker had its share: let others go first until it queues up again."""
        self._askers.drop(worker.number)

    @property
    def someone_is_hungry(self) -> bool:
        """Whether any worker has nothing to compute, asked, and could not be served."""
        return self._hungry > 0

    @property
    def someone_waits(self) -> bool:
        """Whether any worker has credits."""
        return bool(self._askers)

    # Who is served

    def first(self) -> Worker | None:
        """Return who is to be served next."""
        number = self._askers.first()
        return None if number is None else self.workers[number]

    def first_claim(self) -> Claim | None:
        """Return the claim that is to be served next, before the workers that are not hungry."""
        return None if self._hungry else self.claims.first()

    def share_of(self, claim: Claim, ready: int) -> int:
        """Return how many of so many ready items a claim may get."""
        own = len(self.workers) + self._to_come
        return self.claims.share(claim, ready + self._recalls.total, own, self._unit)

    @property
    def recallable(self) -> int:
        """How many items workers hold that others could compute."""
        return self._recalls.total

    @property
    def need(self) -> Need:
        """What the hungry lack beyond what is on its way back for them. Asked for when nothing is ready."""
        coming = self._recalls.expected
        missing = max(0, self._hungry_credits - coming) if coming < self._hungry * self._unit else 0
        return Need(missing, self._hungry, len(self.workers) + self._to_come, self._recalls.trip)

    def most(self, worker: Worker, ready: int, *, at_end: bool) -> int:
        """Return how many of so many ready items a worker may get. `at_end`: nothing more is to come."""
        most = worker.credits
        if at_end or self._to_come:
            most = min(most, self._share(worker, ready))
        if worker.fresh and self._largest:
            # What a hungry one held is over, even if it has not said so yet.
            held = 0 if worker.hungry else worker.held
            room = max(2 * self._unit, WAY_BYTES // self._largest) - held
            most = max(0, min(most, room - room % self._unit))
        return most

    def _share(self, worker: Worker, ready: int) -> int:
        """Return a worker's share of what is unstarted, less what it holds of it."""
        share = -(-(ready + self._recalls.total) // (len(self.workers) + self._to_come))
        share += -share % self._unit
        if worker.hungry:
            return share  # whatever it held is over, even if it has not said so yet
        return max(0, share - self._recalls.spare_of(worker.number))

    def granted(self, worker: Worker, count: int, now: float) -> float:
        """A worker gets so many of the items that it asked for. Return how long its ask has waited.

        It has to queue up for the others.
        """
        since = worker.asked
        worker.credits -= count
        if worker.hungry:
            self._hungry -= 1
            self._hungry_credits -= worker.credits + count
            worker.hungry = False
        rest = count
        while rest:
            at, size = worker.asks.popleft()
            if size > rest:
                worker.asks.appendleft((at, size - rest))
            rest -= min(size, rest)
        if not worker.credits:
            self._settle(worker)
        if not worker.held:
            worker.reported = now  # what it computes now begins now
        worker.held += count
        worker.told = False
        self._recalls.granted(worker.number)
        self._weigh(worker)
        return now - since

    def found(self, number: int, held: int, running: int) -> None:
        """A worker of a queue before this one has so many items."""
        worker = self.workers[number]
        worker.held += held + running
        worker.running += running
        self._weigh(worker)

    def came_back(self, number: int, now: float) -> None:
        """That is all that it has. What it computes is taken to begin now: since when is not known."""
        worker = self.workers[number]
        worker.reported = now
        self._weigh(worker)

    def started(self, number: int, count: int) -> None:
        """So many items of a worker run."""
        worker = self.workers[number]
        worker.running += count
        self._recalls.got_ahead(number)
        self._weigh(worker)

    def reported(self, number: int, count: int, now: float) -> None:
        """A worker has finished so many items since its last report."""
        worker = self.workers[number]
        seconds, worker.reported = now - worker.reported, now
        worker.fresh = False
        self._recalls.got_ahead(number)
        worker.pace.reported(seconds, count)

    def let_go(self, number: int, count: int, ran: int, now: float) -> None:
        """A worker has so many items less, of which so many ran."""
        worker = self.workers[number]
        worker.held -= count
        worker.running -= ran
        worker.free_since = now
        self.queue_up(worker)
        self._weigh(worker)

    # Who gives back

    def recall(self, now: float) -> list[tuple[int, int]]:
        """Nothing is ready. Return who is to give back how much for the hungry, here or elsewhere."""
        hungry, credits, workers = self._all_hungry
        if not hungry or not self._recall:
            return []
        chosen = self._recalls.choose(hungry, credits, workers, now)
        self.recalled += len(chosen)
        return chosen

    @property
    def _all_hungry(self) -> tuple[int, int, int]:
        """How many are hungry, what they asked for, and of how many workers, those behind claims included."""
        claims = self.claims
        workers = len(self.workers) + claims.workers
        return self._hungry + claims.hungry, self._hungry_credits + claims.credits, workers

    def answered(self, number: int, returned: int, now: float) -> None:
        """A worker has answered a recall, and so many items came back."""
        self._recalls.answered(number, returned, now)
        self._weigh(self.workers[number])

    @property
    def deadline(self) -> float | None:
        """When one more is to be asked to give back: see `recalls`."""
        if not self._recall:
            return None
        return self._recalls.deadline(*self._all_hungry)

    @property
    def something_comes_back(self) -> bool:
        """Whether a recall may still bring something."""
        return self._recalls.are_awaited

    # Who waits in vain

    def dismiss(self, now: float) -> list[tuple[int, float]]:
        """Nothing more is to come. Return the workers that are to be told so, and how long each waited."""
        dismissed: list[tuple[int, float]] = []
        if self._recalls.are_awaited:
            return dismissed
        for number in self._untold:
            worker = self.workers[number]
            worker.told = True
            dismissed.append((number, now - worker.asked))
            worker.asks = deque([(now, worker.credits)])
        self._untold.clear()
        return dismissed

    # What is told where workers come and go; it looks at every one

    @property
    def spare(self) -> int:
        """How many items could be recalled."""
        return self._recalls.total if self._recall else 0

    @property
    def usual_pace(self) -> float:
        """Seconds per item of a worker, by the mean of those of which it is known; 0.0: of none."""
        known = [usual for usual in (worker.pace.usual for worker in self.workers.values()) if usual]
        return sum(known) / len(known) if known else 0.0

    @property
    def idle(self) -> tuple[tuple[int, float], ...]:
        """The workers that hold nothing, and since when."""
        workers = self.workers.values()
        return tuple((one.number, one.free_since) for one in workers if not (one.held or one.stopping))

    def waited(self, number: int, now: float) -> float | None:
        """Return how long a worker has waited; None: it waits for nothing, or knows that nothing is left."""
        worker = self.workers[number]
        return now - worker.asked if worker.credits and not worker.told else None

    # How it is done

    def _settle(self, worker: Worker) -> None:
        """A worker waits for nothing any more."""
        if worker.hungry:
            self._hungry -= 1
            self._hungry_credits -= worker.credits
            worker.hungry = False
        worker.credits = 0
        worker.asks.clear()
        self._askers.drop(worker.number)
        self._untold.pop(worker.number, None)

    def _weigh(self, worker: Worker) -> None:
        self._recalls.weigh(worker.number, worker.held, worker.running, worker.pace.usual, worker.reported)

    def sizes(self) -> dict[str, int]:
        """Count the entries of everything that grows with asks; for tests."""
        return {"askers": len(self._askers), "untold": len(self._untold), "claims": len(self.claims)}

    def validate(self) -> None:
        """Check every index against every other; for tests."""
        for number, worker in self.workers.items():
            assert number == worker.number
            assert (number in self._askers) == bool(worker.credits)
            assert worker.credits or not worker.hungry
            assert (number in self._untold) == (bool(worker.credits) and not worker.told)
            assert worker.credits == sum(credits for _, credits in worker.asks)
            assert self._recalls.spare_of(number) == max(0, worker.held - (worker.running or self._unit))
        waiting = sum(bool(worker.credits) for worker in self.workers.values())
        assert len(self._askers) == waiting, "somebody waits who is not there"
        assert self._untold.keys() <= self.workers.keys()
        hungry = [worker for worker in self.workers.values() if worker.hungry]
        assert self._hungry == len(hungry)
        assert self._hungry_credits == sum(worker.credits for worker in hungry)
        self._recalls.validate()
        self.claims.validate()
