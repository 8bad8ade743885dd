"""What a simulated run measures while it goes on."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import final

from pullahead.core import ledger as led
from pullahead.core import messages as m
from pullahead.core.ledger import Ledger, State
from pullahead.core.meter import WorkerTotals
from pullahead.core.trace import Span
from pullahead.sim.worker import Worker
from pullahead.sim.world import Costs, World


@final
class Gauges(World):
    """A world that measures. Integrals over time are kept as running sums.

    Args:
        costs: how long things take.
        ledger: the queue's machine.
        workers: how many there will be.
        items: how many there will be.
        over: is called when the run has ended.
        others: the machines of more queues.
        exchange_cost: seconds that a queue takes to handle a call.

    Attributes:
        finished: when each item's computation ended, in seconds; 0 until then.
        useful: seconds of computation so far, over all workers.
        held_seconds: items that were granted and not begun × seconds.
        hoard_seconds: the same, of items of workers that compute, while a queue has a hungry worker and
            nothing ready for it; and of items that are ready in another queue then.
        totals, spans: what each worker told of itself.
    """

    def __init__(
        self,
        costs: Costs,
        ledger: Ledger,
        workers: int,
        items: int,
        over: Callable[[], None],
        *,
        others: Sequence[Ledger] = (),
        exchange_cost: float = 0.0,
    ) -> None:
        super().__init__(costs, ledger, others=others, workers=workers, exchange_cost=exchange_cost)
        self.finished = array("d", bytes(8 * items))
        self.useful = 0.0
        self.held_seconds = 0.0
        self.hoard_seconds = 0.0
        self.ended = 0.0  # when the run was known to be over
        self.totals: dict[int, WorkerTotals] = {}
        self.spans: dict[int, list[Span]] = {}
        self._over = over
        self._held = array("q", bytes(8 * workers))  # of each worker: granted and not begun
        self._computing = bytearray(workers)
        self._all_held = 0
        self._behind = 0  # those of workers that compute
        self._is_hungry = False
        self._elsewhere = 0  # ready in queues, while another one is hungry
        self._since = 0.0

    def _advance(self) -> None:
        """Add what has lasted from the last change until now to the integrals."""
        now = self.clock.now
        lasted = now - self._since
        if lasted:
            self._since = now
            self.held_seconds += self._all_held * lasted
            if self._is_hungry:
                self.hoard_seconds += (self._behind + self._elsewhere) * lasted

    def _hold(self, worker: int, count: int) -> None:
        self._advance()
        self._held[worker] += count
        self._all_held += count
        if self._computing[worker]:
            self._behind += count

    def settled(self) -> None:
        is_hungry = any(queue.ledger.is_hungry for queue in self.queues)
        ready = sum(queue.ledger.ready for queue in self.queues) if is_hungry else 0
        if is_hungry != self._is_hungry or ready != self._elsewhere:
            self._advance()
            self._is_hungry, self._elsewhere = is_hungry, ready

    def decided(self, effect: led.Effect) -> None:
        if isinstance(effect, led.Grant):
            self._hold(effect.worker, effect.size)
        elif isinstance(effect, led.RunEnded):
            self._advance()
            self.ended = self.clock.now
            self._over()
        elif isinstance(effect, led.Ended):
            assert effect.state is State.DONE, "nothing fails in a simulation"

    def returned(self, worker: int, count: int) -> None:
        self._hold(worker, -count)

    def began(self, worker: Worker, items: tuple[int, ...]) -> None:
        number = worker.number
        self._hold(number, -len(items))
        if not self._computing[number]:
            self._computing[number] = True
            self._behind += self._held[number]

    def idles(self, worker: Worker) -> None:
        number = worker.number
        if self._computing[number]:
            self._advance()
            self._computing[number] = False
            self._behind -= self._held[number]

    def cut(self, worker: Worker, items: tuple[int, ...]) -> None:
        self._hold(worker.number, len(items))

    def processed(
        self, worker: Worker, items: tuple[int, ...], ends: list[float]
    ) -> dict[int, tuple[str, float]]:
        for item, end in zip(items, ends, strict=True):
            self.useful += self.costs.compute(item)
            self.finished[item] = end - worker.ahead
        return {}

    def heard(self, worker: int, message: m.Message) -> None:
        kind, what = message
        if kind == m.TOTALS:
            self.totals[worker] = what
        else:
            ahead = self.workers[worker].ahead
            moved = (span._replace(start=span.start - ahead, end=span.end - ahead) for span in what)
            self.spans.setdefault(worker, []).extend(moved if ahead else what)
