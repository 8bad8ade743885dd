"""What the pair of machines promises, whatever the wire does. The methods that check a promise bear its name:

1. `conservation`: every item is in exactly one state at the queue, and what is leased is in exactly one
   place: in a grant on its way, with its worker, or in a report on its way back.
2. `one_holder`: lease numbers only grow, each has one holder, and no item runs twice at a time on workers
   that the queue counts on. (Who was given up may still compute: its lease number is void.)
3. `bounded_holdings`: what a worker holds, has asked for and computes grows only by asking, and an ask goes
   no further than lookahead + bundle - 1, plus what is taken next when nothing is computed. Whole batches are
   rounded down, so they add nothing. The queue sees no more than that: it knows a worker as it was when it
   sent its last words.
4. `no_starvation`: a grant takes the oldest that is ready, so nothing younger is granted before an item that
   came back. And it moves finitely often: at most once to each worker for each older item that begins
   meanwhile, and once for each time that its worker was stuck or lost, or the item failed.
5. `work_conservation`: a worker with nothing to compute does not stay so for longer than `Bounds` says beside
   an item that is ready, or held behind one that runs.
6. `termination` is checked by who drains the world: see `World.drain`.

A check looks into the machines where they cannot be asked: it must know more than they tell.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pullahead.core import ledger as led
from pullahead.core import messages as m
from pullahead.core.lookahead import QUANTUM
from pullahead.core.pipeline import Phase
from pullahead.core.slices import LEAST_SLICE, slice_size
from pullahead.sim.worker import Worker
from pullahead.sim.world import Costs

if TYPE_CHECKING:
    from tests.core.pair import World

#: Seconds that a trip may take where messages take no time, or a little more: each thing that a worker says
#: may have to wait for 3 ms until a call may go.
FIRST_TRIP: Final = 0.011
#: Seconds for which what a worker has to say may wait: for company, and as long again for what runs to end.
_COMPANY: Final = 2 * QUANTUM + 0.006
#: In a world with more open items than this, only every eighth step is followed by a look at all of them.
_FEW: Final = 64


@dataclass(frozen=True)
class Bounds:
    """How long a worker may have nothing to compute although there is something, in seconds.

    Attributes:
        slowest: what the slowest message so far took, one way.
    """

    slowest: float

    @property
    def beside_ready(self) -> float:
        """With two calls out, an answer must come before a worker can speak: there and back. Then it asks,
        and is granted what is ready: there and back again."""
        return 4 * self.slowest

    @property
    def beside_held(self) -> float:
        """One after another, while the same item runs in front of what waits:

        - a worker says that it has nothing; with two calls out it awaits an answer before: three messages;
        - the item in front must have lasted for one and a half usual trips: then a move is worth it;
        - a recall that is out to somebody else is waited for, at most four usual trips;
        - a recall waits for a call that the queue can answer, and its answer for a call that is free; then
          what came back is granted, maybe to who was hungry before: nine messages.

        There are as many recalls out as workers are hungry, so how many there are of either does not count.
        """
        trip = max(FIRST_TRIP, 4 * self.slowest)
        return (1.5 + 4) * trip + 12 * self.slowest + _COMPANY


class Watched:
    """Costs that remember the slowest message."""

    def __init__(self, costs: Costs) -> None:
        self.compute, self.load, self.store, self.wake = costs.compute, costs.load, costs.store, costs.wake
        self._wire = costs.wire
        self.slowest = 0.0

    def wire(self) -> float:
        seconds = self._wire()
        self.slowest = max(self.slowest, seconds)
        return seconds


@dataclass
class _Watch:
    """What is remembered of one worker."""

    before: int = 0  # held, asked for and computed at the last check
    words: deque[int] = field(default_factory=deque)  # what it had at the last that came, and at those behind
    beside_ready: float | None = None  # since when it has nothing although something is ready
    beside_held: dict[int, tuple[object, float]] = field(default_factory=dict)  # by whom: behind what, when


class Promises:
    """See the module. `World` tells it what happens, and calls `check` after every event."""

    def __init__(self, world: World, costs: Watched) -> None:
        self.world, self.costs = world, costs
        self.grants: dict[int, led.Grant] = {}  # by lease
        self.moves: Counter[int] = Counter()  # grants of each item
        self.explained: Counter[int] = Counter()  # those after a loss, a failure, or a stuck worker
        self._since: dict[int, int] = {}  # how many had begun when an item was granted first
        self._begun: list[int] = []  # or failed before they could
        self._computed: set[int] = set()
        self.longest_idle = 0.0  # beside a held item
        self._watches: dict[int, _Watch] = {}

    # What happens

    def granted(self, grant: led.Grant) -> None:
        """The queue has decided to grant something."""
        self.one_holder(grant)
        self.no_starvation_oldest_first(grant)
        for item in grant.items:
            self.no_starvation_finitely_many_moves(item)

    def said(self, worker: Worker, messages: list[m.Message]) -> None:
        """A worker is about to send this."""
        watch, pipeline = self._watches.setdefault(worker.number, _Watch()), worker.pipeline
        recalled = 0
        for message in reversed(messages):
            if message[0] == m.RECALLED:  # it follows what was recalled
                recalled += message[1]
            elif message[0] == m.GAVE_BACK:
                if recalled:
                    recalled -= len(message[2])
                else:
                    self.explained.update(message[2])
            elif message[0] == m.FAILED and message[2] not in self._computed:  # its load failed
                self._begun.append(message[2])
        total = _all_of(worker) + len(pipeline._stores)
        watch.words.append(total)

    def recalled(self, recall: led.Recall) -> None:
        """The queue has decided to ask for something back."""
        assert recall.size > 0 or not self._is_as_expected(), "a recall of nothing"

    def one_holder_begins(self, worker: Worker, items: tuple[int, ...]) -> None:
        """A worker begins to compute: under leases that were granted to it."""
        self._begun += items
        self._computed.update(items)
        for item in items:
            grant = self.grants[worker.pipeline._holdings.lease[item]]
            assert grant.worker == worker.number, f"lease {grant.lease} was granted to w{grant.worker}"
            assert 0 <= item - grant.first < grant.size

    # What must hold

    def check(self) -> None:
        """After every event."""
        looks_closely = self.world.open_items <= _FEW or not self.world.steps % 8
        if looks_closely:
            self.conservation()
        workers = [worker for worker in self.world.workers if self._counts_on(worker)]
        for worker in workers:
            self._watches.setdefault(worker.number, _Watch())
            if looks_closely:
                worker.pipeline.validate()
                self.conservation_over_the_wire(worker)
            self.bounded_holdings(worker)
            self.bounded_holdings_at_the_queue(worker)
        if not self.world.queue.stopping:
            self.work_conservation(workers)

    def _counts_on(self, worker: Worker) -> bool:
        """Whether a worker lives, and the queue has not given it up."""
        return worker.alive and not worker.is_gone and worker.number not in self.world.queue.gone

    # 1

    def conservation(self) -> None:
        """Every item is in exactly one state."""
        world, ledger = self.world, self.world.queue.ledger
        ledger.validate()
        places: list[int] = [item for _, item, _ in ledger._items._delayed]
        for first, stop, _ in ledger._items.ready.ranges():
            places += range(first, stop)
        for lease in ledger._items._leases.values():
            places += lease.items
        assert all(len(ends) == 1 for ends in world.ends.values()), "an item ended twice"
        assert len(places) + len(world.ends) == world.submitted, "an item is lost, or there twice"
        assert set(places).isdisjoint(world.ends), "an item goes on after its end"

    def conservation_over_the_wire(self, worker: Worker) -> None:
        """What is leased to a worker, or credited to it, is in exactly one place."""
        up, down = _under_way(self.world, worker)
        places = Counter((lease, item) for item, lease in worker.pipeline._holdings.lease.items())
        outbox = worker.pipeline._outbox
        places.update((outbox._lease, item) for item in outbox._finished)
        for message in down:
            if message[0] == m.GRANT:
                places.update((message[1], item) for item in message[3])
        for message in up:
            if message[0] in {m.DONE, m.GAVE_BACK}:
                places.update((message[1], item) for item in message[2])
            elif message[0] == m.FAILED:
                places[message[1], message[2]] += 1
        places.subtract((one[1], one[2]) for one in down if one[0] == m.FORGET)
        items = self.world.queue.ledger._items
        leased = Counter(
            (lease, item) for lease in items.leases_of(worker.number) for item in items._leases[lease].items
        )
        assert places == leased, f"{worker}: at {places - leased} and not at {leased - places}"
        if not self.world.queue.stopping:
            credits = self.world.queue.ledger.waiting.get(worker.number, 0)
            credits += sum(one[1] for one in up if one[0] == m.ASK)
            credits += sum(one[1] for one in down if one[0] == m.UNASKED)
            for one in down:
                credits += len(one[3]) if one[0] == m.GRANT else 0
            assert worker.pipeline.asked == credits, "what was asked for is not what will come"

    # 2

    def one_holder(self, grant: led.Grant) -> None:
        """A lease number is given once, and to one worker."""
        assert grant.lease > max(self.grants, default=0), f"lease {grant.lease} is given twice"
        self.grants[grant.lease] = grant

    # 3

    def bounded_holdings(self, worker: Worker) -> None:
        """It holds, asks for and computes no more than it did, or than an ask may add up to."""
        pipeline, watch = worker.pipeline, self._watches[worker.number]
        policy, ran = pipeline.lookahead, pipeline.running
        mean, here = policy.mean_compute, len(pipeline._holdings.buffer)
        plenty = max(pipeline._demand.plenty, here // 2, slice_size(mean, LEAST_SLICE))
        one_slice = max(1, min(here, plenty, slice_size(mean)))
        next_up = 0 if ran else pipeline._batch_size or one_slice
        bundle = max(1, min(policy.bundle, pipeline._demand.plenty))
        may_ask_up_to = policy.depth + bundle - 1 + next_up + (len(ran.open) if ran else 0)
        total = _all_of(worker)
        most = max(watch.before, may_ask_up_to)
        assert total <= most, f"{worker} has {total} items, and may have {most}"
        watch.before = total

    def bounded_holdings_at_the_queue(self, worker: Worker) -> None:
        """The queue leased and owes it no more than it had when it sent what came last."""
        watch, record = self._watches[worker.number], self.world.queue.ledger._service.workers
        if worker.number not in record:
            return
        while len(watch.words) > len(worker.up.under_way) + 1:
            watch.words.popleft()
        known = record[worker.number].held + record[worker.number].credits
        most = watch.words[0]
        assert known <= most, f"the queue has {known} items for {worker}, which spoke of {most}"

    # 4

    def no_starvation_oldest_first(self, grant: led.Grant) -> None:
        """A grant leaves nothing behind that is older."""
        oldest = min((first for first, _, _ in self.world.queue.ledger._items.ready.ranges()), default=None)
        last = grant.items[-1]
        assert oldest is None or last < oldest, f"item {oldest} is ready, and {last} was granted"

    def no_starvation_finitely_many_moves(self, item: int) -> None:
        """An item is granted once more: something must have made that necessary."""
        self.moves[item] += 1
        begun = self._since.setdefault(item, len(self._begun))
        workers = len(self.world.workers)
        if self.moves[item] > workers:
            older = sum(one < item for one in self._begun[begun:])
            most = self.explained[item] + workers * (1 + older)
            assert self.moves[item] <= most, f"item {item} was granted {self.moves[item]} times, not {most}"

    # 5

    def work_conservation(self, workers: list[Worker]) -> None:
        """Nobody has nothing to compute for long beside what has not begun."""
        now, ledger = self.world.clock.now, self.world.queue.ledger
        ready, hungry = ledger._items.ready.count, ledger.starving
        assert not (hungry and ready), f"{ready} items are ready and {hungry} are hungry"
        if ready and ledger.waiting:
            assert ledger.is_at_end, f"{ready} items are ready and {list(ledger.waiting)} wait"
        bounds = Bounds(self.costs.slowest)
        keepers = {one.number: kept for one in workers if (kept := self._keeps(one)) is not None}
        if not self._is_as_expected():
            keepers = {}
        for worker in workers:
            watch = self._watches[worker.number]
            if not _has_nothing(worker):
                watch.beside_ready = None
                watch.beside_held.clear()
                continue
            if ready:
                since = watch.beside_ready = now if watch.beside_ready is None else watch.beside_ready
                lasted = now - since
                assert lasted <= bounds.beside_ready * (1 + 1e-9) + 1e-9, f"{worker} had nothing for {lasted}"
            else:
                watch.beside_ready = None
            self._beside_held(worker, watch, keepers, bounds)

    def _beside_held(self, worker: Worker, watch: _Watch, keepers: dict[int, object], bounds: Bounds) -> None:
        now = self.world.clock.now
        for keeper in watch.beside_held.keys() - keepers.keys():
            del watch.beside_held[keeper]
        for keeper, behind in keepers.items():
            known, since = watch.beside_held.get(keeper, (None, now))
            if known != behind:
                watch.beside_held[keeper] = behind, now
                continue
            self.longest_idle = max(self.longest_idle, now - since)
            assert now - since <= bounds.beside_held, (
                f"{worker} has had nothing for {now - since} s, and w{keeper} items behind {behind}"
            )

    def _is_as_expected(self) -> bool:
        """Whether all workers are built as the queue and the pipeline expect it: with batches of its size,
        and with a shell that says what has begun, and not only when something else happens. If not, a worker
        may ask for less than the queue moves at a time, and what waits is found later."""
        unit = self.world.unit
        return all((one.batch_size or 1) == unit and one.tick_after_take for one in self.world.shapes)

    def _keeps(self, worker: Worker) -> object | None:
        """What a worker computes while it has something that has not begun; None: nothing waits there."""
        computed, behind = worker.computes()
        return computed if computed and worker.pipeline.held + behind else None


def _all_of(worker: Worker) -> int:
    """What a worker holds, has asked for, and computes or is about to."""
    pipeline = worker.pipeline
    return pipeline.held + pipeline.asked + (len(pipeline.running.open) if pipeline.running else 0)


def _has_nothing(worker: Worker) -> bool:
    """Whether a worker works, and neither computes nor holds anything."""
    pipeline = worker.pipeline
    idle = not pipeline.running and not pipeline.held and not pipeline._is_full()
    return idle and pipeline.phase is Phase.WORKING


def _under_way(world: World, worker: Worker) -> tuple[list[m.Message], list[m.Message]]:
    """What is on its way up and down, or waits to be sent."""
    box = world.queue.mail.get(worker.number)
    up = [one for call in worker.up.under_way for one in call]
    down = [one for answer in worker.down.under_way for one in answer]
    return [*up, *worker.pipeline._outbox._messages], [*down, *(box._outbox if box else ())]
