"""The service of workers: who waits, who is served first and with how much, and who is asked to give back.

Rules:
1. Workers that are hungry (they have nothing to compute) are served first; then those that hold the fewest;
   then those that wait the longest.
2. Once nothing more is to come, no grant is more than a worker's share of what is ready, which leaves
   something for everybody (the taper of guided self-scheduling). What is left over is granted at the next
   event.
3. A hungry worker with nothing ready gets what another one holds and has not begun; see `recalls`.
4. A worker that is stuck in a long item gives its held items back and gets the youngest ready ones instead:
   age is served elsewhere, and when the long item ends, there is something to compute.
5. Who waits while nothing unstarted is left anywhere is told so, once until its next grant.
6. A worker that was told to stop gets nothing more.

It knows how many items a worker holds, not which; see `items`. No event looks at every worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from pullahead.core.ranking import Ranking
from pullahead.core.recalls import Recalls
from pullahead.errors import ProtocolError

#: The weight of the latest report in a worker's pace.
_WEIGHT: Final = 0.2


@final
@dataclass(slots=True, eq=False)
class Worker:
    """One worker, and how it is served."""

    number: int
    credits: int = 0  # items that it asked for and did not get
    asked: float = 0.0  # when the oldest unanswered ask came
    held: int = 0  # items of its leases, held or running
    running: int = 0  # those that are known to run
    hungry: bool = False  # it has nothing to compute
    reported: float = 0.0  # when it last finished something
    pace: float = 0.0  # seconds per item, lately
    told: bool = False  # that nothing is left
    stopping: bool = False  # it was told to


@final
class Service:
    """See the module.

    Args:
        unit: how many items one call of `process` takes: shares and recalls are whole batches.
        recall: whether items that a worker holds may go to another one before it is lost.
    """

    __slots__ = ("_askers", "_hungry", "_recall", "_recalls", "_unit", "_untold", "recalled", "workers")

    def __init__(self, unit: int, recall: bool) -> None:
        self.workers: dict[int, Worker] = {}
        self.recalled = 0  # recalls so far
        self._unit = unit
        self._recall = recall
        self._askers = Ranking()  # workers with credits
        self._hungry = 0  # how many of them are hungry
        self._untold: dict[int, None] = {}  # those of them that were not told that nothing is left
        self._recalls = Recalls(unit)

    # Who is there

    def joined(self, number: int) -> None:
        """A worker is there. It gets nothing until it asks."""
        if number in self.workers:
            raise ProtocolError(f"worker {number} joined twice")
        self.workers[number] = Worker(number)

    def stopping(self, number: int) -> None:
        """A worker was told to stop."""
        worker = self.workers[number]
        worker.stopping = True
        self._settle(worker)

    def left(self, number: int, now: float) -> None:
        """A worker is no longer there."""
        self._settle(self.workers.pop(number))
        self._recalls.lost(number, now)

    # Who waits

    def asked(self, number: int, credits: int, now: float) -> bool:
        """A worker wants up to so many items more. Return whether it waits for them."""
        worker = self.workers[number]
        if worker.stopping:
            return False
        if worker.credits == 0:
            worker.asked = now
        worker.credits += credits
        self.queue_up(worker)
        return True

    def hungry(self, number: int) -> bool:
        """A worker has nothing to compute, and an ask of it is out. Return whether this is news."""
        worker = self.workers[number]
        if worker.hungry or not worker.credits:
            return False  # what it asked for is on its way to it
        worker.hungry = True
        self._hungry += 1
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
            self._askers.put(worker.number, (not worker.hungry, worker.held, worker.asked))
            if not worker.told:
                self._untold[worker.number] = None

    def step_aside(self, worker: Worker) -> None:
        """A worker had its share: let others go first until it queues up again."""
        self._askers.drop(worker.number)

    @property
    def someone_waits(self) -> bool:
        """Whether any worker has credits."""
        return bool(self._askers)

    # Who is served

    def first(self) -> Worker | None:
        """Return who is to be served next."""
        number = self._askers.first()
        return None if number is None else self.workers[number]

    def share(self, ready: int) -> int:
        """Return how many of so many ready items one worker may get, once nothing more is to come."""
        share = -(-ready // len(self.workers))
        return share + -share % self._unit

    def granted(self, worker: Worker, count: int, now: float) -> float:
        """A worker gets so many of the items that it asked for. Return how long its ask has waited.

        It has to queue up for the others.
        """
        since, worker.asked = worker.asked, now
        worker.credits -= count
        self._hungry -= worker.hungry
        worker.hungry = False
        if not worker.credits:
            self._settle(worker)
        self.given(worker, count, now)
        return now - since

    def given(self, worker: Worker, count: int, now: float) -> None:
        """A worker gets so many items."""
        if not worker.held:
            worker.reported = now  # what it computes now begins now
        worker.held += count
        worker.told = False
        self._recalls.granted(worker.number)
        self._weigh(worker)

    def started(self, number: int, count: int) -> None:
        """So many items of a worker run."""
        worker = self.workers[number]
        worker.running += count
        self._weigh(worker)

    def reported(self, number: int, count: int, now: float) -> None:
        """A worker has finished so many items since its last report."""
        worker = self.workers[number]
        worker.pace += _WEIGHT * ((now - worker.reported) / count - worker.pace)
        worker.reported = now

    def let_go(self, number: int, count: int, ran: int) -> None:
        """A worker has so many items less, of which so many ran."""
        worker = self.workers[number]
        worker.held -= count
        worker.running -= ran
        self.queue_up(worker)
        self._weigh(worker)

    # Who gives back

    def recall(self, now: float) -> list[tuple[int, int]]:
        """Nothing is ready. Return who is to give back how much for those who are hungry."""
        if not self._hungry or not self._recall:
            return []
        chosen = self._recalls.choose(self._hungry, len(self.workers), now)
        self.recalled += len(chosen)
        return chosen

    def answered(self, number: int, returned: int, now: float) -> None:
        """A worker has answered a recall, and so many items came back."""
        self._recalls.answered(number, returned, now)
        self._weigh(self.workers[number])

    @property
    def deadline(self) -> float | None:
        """When somebody else is to be asked, because a recall was waited for long enough."""
        return self._recalls.deadline if self._hungry else None

    # Who waits in vain

    def dismiss(self, now: float) -> list[tuple[int, float]]:
        """Nothing unstarted is left. Return the workers that are to be told so, and how long each waited."""
        dismissed: list[tuple[int, float]] = []
        for number in self._untold:
            worker = self.workers[number]
            worker.told = True
            dismissed.append((number, now - worker.asked))
            worker.asked = now
        self._untold.clear()
        return dismissed

    # How it is done

    def _settle(self, worker: Worker) -> None:
        """A worker waits for nothing any more."""
        worker.credits = 0
        self._hungry -= worker.hungry
        worker.hungry = False
        self._askers.drop(worker.number)
        self._untold.pop(worker.number, None)

    def _weigh(self, worker: Worker) -> None:
        self._recalls.weigh(worker.number, worker.held, worker.running, worker.pace, worker.reported)

    def sizes(self) -> dict[str, int]:
        """Count the entries of everything that grows with asks; for tests."""
        return {"askers": len(self._askers), "untold": len(self._untold)}

    def validate(self) -> None:
        """Check every index against every other; for tests."""
        for number, worker in self.workers.items():
            assert number == worker.number
            assert (number in self._askers) == bool(worker.credits)
            assert worker.credits or not worker.hungry
            assert (number in self._untold) == (bool(worker.credits) and not worker.told)
            assert self._recalls.spare_of(number) == max(0, worker.held - max(worker.running, self._unit))
        waiting = sum(bool(worker.credits) for worker in self.workers.values())
        assert len(self._askers) == waiting, "somebody waits who is not there"
        assert self._untold.keys() <= self.workers.keys()
        assert self._hungry == sum(worker.hungry for worker in self.workers.values())
        self._recalls.validate()
