"""The queue under virtual time: a shell around `core.ledger`, as `farm.queue` is one.

Its caller speaks to it without a wire, and items are their own payloads. An exchange may cost it time:
then calls and answers are handled one after the other, and wait for their turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

from pullahead.core import ledger as led
from pullahead.core import messages as m
from pullahead.core.claims import Claim
from pullahead.core.exchange import Mailbox
from pullahead.core.ledger import Ledger
from pullahead.core.retry import ERROR, RetryPolicy
from pullahead.errors import ProtocolError
from pullahead.sim.callers import OfSeveral
from pullahead.sim.clock import Timer
from pullahead.sim.link import Link

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
        number: its number among the queues.
        cost: seconds that it takes to handle a call, or an answer.
    """

    def __init__(
        self, world: World, ledger: Ledger, retry: RetryPolicy, number: int = 0, cost: float = 0.0
    ) -> None:
        self.number = number
        self.links: dict[int, Link] = {}  # to the other queues
        self.busy = 0.0  # seconds so far
        self._cost = cost
        self._free_at = 0.0  # when it will have handled all that has come
        self.ledger = ledger
        self.mail: dict[int, Mailbox[int]] = {}
        self.gone: set[int] = set()  # workers that said goodbye or were lost
        self.stopping = False
        self.received = 0  # lists of messages that came
        self._world, self._clock, self._retry = world, world.clock, retry
        self._touched: dict[int, None] = {}  # whom there may be something to say to, in this order
        self._timer = Timer(world.clock, self._ring)

    def exchange(self, peer: int, messages: list[m.Message]) -> None:
        """A worker's call arrives, or another queue's."""
        self._in_turn(self._exchange, (peer, messages))

    def answered(self, queue: int, messages: list[m.Message]) -> None:
        """A call to another queue was answered."""
        self._in_turn(self._heard, (queue, messages))

    def _in_turn(self, handle: Callable[[Any], None], what: Any) -> None:
        if not self._cost:
            handle(what)
            return
        self.busy += self._cost
        self._free_at = max(self._free_at, self._clock.now) + self._cost
        self._clock.at(self._free_at, handle, what)

    def _exchange(self, what: tuple[int, list[m.Message]]) -> None:
        peer, messages = what
        self._timer.quiet()
        self.received += 1
        if peer not in self.mail and peer not in self.gone:
            self.mail[peer] = Mailbox()
            if peer >= 0:
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

    def _heard(self, what: tuple[int, list[m.Message]]) -> None:
        queue, messages = what
        self._timer.quiet()
        self.links[queue].answered()
        for message in messages:
            self._perform(self._handle_answer(queue, message))
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
            if peer >= 0:
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
            if peer >= 0:
                self._world.workers[peer].down.send(messages)
            else:
                self._world.queues[m.as_peer(peer)].links[self.number].down.send(messages)

    def _perform(self, effects: list[led.Effect]) -> None:
        for effect in effects:
            self._world.decided(effect)
            if isinstance(effect, led.ForWorker):
                granted = effect.items if isinstance(effect, led.Grant) else ()
                self._post(effect.worker, led.message_of(effect, granted))
            elif isinstance(effect, led.Want):
                self.links[effect.queue].say(led.message_to_queue(effect, tuple))
            elif isinstance(effect, led.ForQueue):
                self._post(m.as_peer(effect.queue), led.message_to_queue(effect, lambda items: items))
                if isinstance(effect, led.Move):
                    moved = sum(lot.size for lot in effect.lots)
                    self._caller.went(self, effect.queue, moved)
            elif isinstance(effect, led.Ended) and self.links:
                self._caller.ended(self, effect.run, len(effect.items))

    @property
    def _caller(self) -> OfSeveral:
        caller = self._world.caller
        assert isinstance(caller, OfSeveral)
        return caller

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
            case (m.WANT, number, credits, hungry, workers):
                claim = Claim(m.as_peer(worker), number, credits, hungry, workers)
                return ledger.wanted(claim, now)
            case (m.BYE,):
                self.gone.add(worker)
                del self.mail[worker]
                return ledger.said_goodbye(worker)
        self._world.heard(worker, message)
        return []

    def _handle_answer(self, queue: int, message: m.Message) -> list[led.Effect]:
        now, ledger = self._clock.now, self.ledger
        match message:
            case (m.MOVED, number, left, lots):
                came = tuple(led.Lot(run, first, len(items), known) for run, first, items, known in lots)
                return ledger.came(queue, number, left, came, now)
            case (m.NONE_LEFT, number):
                return ledger.none_left(queue, number, now)
        raise ProtocolError(f"a queue got a message of kind {message[0]!r} from another one")
