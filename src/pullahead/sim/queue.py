"""The queue under virtual time: a shell around `core.ledger`, as `farm.queue` is one.

Its caller speaks to it without a wire, and items are their own payloads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from pullahead.core import ledger as led
from pullahead.core import messages as m
from pullahead.core.exchange import Mailbox
from pullahead.core.ledger import Ledger
from pullahead.core.retry import ERROR, RetryPolicy
from pullahead.sim.clock import Timer

if TYPE_CHECKING:
    from pullahead.sim.world import World

#: The middle of the jitter that a queue would draw for a backoff.
_NO_JITTER = 0.5


@final
class Queue:
    """Hosts one ledger.

    Args:
        world: where it stands.
        ledger: the machine.
        retry: what becomes of failures.
    """

    def __init__(self, world: World, ledger: Ledger, retry: RetryPolicy) -> None:
        self.ledger = ledger
        self.mail: dict[int, Mailbox[int]] = {}
        self.gone: set[int] = set()  # workers that said goodbye or were lost
        self.stopping = False
        self.received = 0  # lists of messages that came
        self._world, self._clock, self._retry = world, world.clock, retry
        self._touched: dict[int, None] = {}  # whom there may be something to say to, in this order
        self._timer = Timer(world.clock, self._ring)

    def exchange(self, peer: int, messages: list[m.Message]) -> None:
        """A worker's call arrives."""
        self._timer.quiet()
        self.received += 1
        if peer not in self.mail and peer not in self.gone:
            self.mail[peer] = Mailbox()
            self.ledger.joined(peer)
            if self.stopping:
                self._stop(peer)
        for message in messages:
            if peer not in self.gone:
                self._perform(self._handle(peer, message))
        if peer in self.mail:
            self._answer(self.mail[peer].park(peer))
            self._touched[peer] = None
        self._settle()

    def call(self, effects: list[led.Effect]) -> None:
        """The caller has called the ledger: perform what follows."""
        self._timer.quiet()
        self._perform(effects)
        self._settle()

    def stop(self) -> None:
        """Tell every worker to stop."""
        self.stopping = True
        for peer in self.mail:
            self._stop(peer)
        self._settle()

    def lose(self, worker: int, loading: tuple[int, ...] = ()) -> None:
        """A worker's process is known to have ended, while it loaded these."""
        self.mail.pop(worker, None)
        self.gone.add(worker)
        decide = {item: self._decide(item, ERROR, 0.0) for item in self.ledger.running_of(worker)}
        self.call(self.ledger.lost(worker, decide, self._clock.now, loading))

    def _settle(self) -> None:
        """Answer who can be told something, and arm the timer."""
        for peer in self._touched:
            if peer in self.mail:
                self._answer(self.mail[peer].flush())
        self._touched.clear()
        self._timer.set(self.ledger.deadline)
        self._world.settled()

    def _stop(self, peer: int) -> None:
        self.ledger.stopping(peer)
        self._post(peer, (m.STOP,))

    def _ring(self) -> None:
        self._perform(self.ledger.tick(self._clock.now))
        self._settle()

    def _post(self, worker: int, message: m.Message) -> None:
        self.mail[worker].post(message)
        self._touched[worker] = None

    def _answer(self, answers: list[tuple[int, list[Any]]]) -> None:
        for peer, messages in answers:
            self._world.workers[peer].down.send(messages)

    def _perform(self, effects: list[led.Effect]) -> None:
        for effect in effects:
            self._world.decided(effect)
            if isinstance(effect, led.ForWorker):
                granted = effect.items if isinstance(effect, led.Grant) else ()
                self._post(effect.worker, led.message_of(effect, granted))

    def _decide(self, item: int, kind: str, delay: float) -> Any:
        return self._retry.decide(self.ledger.attempts(item), kind, delay, _NO_JITTER)

    def _handle(self, worker: int, message: m.Message) -> list[led.Effect]:
        now, ledger = self._clock.now, self.ledger
        match message:
            case (m.DONE, lease, items):
                return ledger.finished(worker, lease, items, now)[1]
            case (m.ASK, credits):
                return ledger.asked(worker, credits, now)
            case (m.STARTED, lease, items):
                return ledger.started(worker, lease, items)
            case (m.HUNGRY, asked):
                return ledger.hungry(worker, asked, now)
            case (m.RECALLED, returned):
                return ledger.recalled(worker, returned, now)
            case (m.GAVE_BACK, lease, items):
                self._world.returned(worker, len(items))
                return ledger.gave_back(worker, lease, items, now)
            case (m.STUCK,):
                return ledger.stuck(worker)
            case (m.FAILED, lease, item, kind, delay):
                return ledger.failed(worker, lease, item, self._decide(item, kind, delay), now)[1]
            case (m.UNSTORED, lease, item, kind, delay):
                return ledger.unstored(worker, lease, item, self._decide(item, kind, delay), now)[1]
            case (m.BYE,):
                self.gone.add(worker)
                del self.mail[worker]
                return ledger.said_goodbye(worker)
        self._world.heard(worker, message)
        return []
