"""The queue actor: a shell around `core.ledger`.

It owns the items' payloads and the ledger that says where each item is. Every peer (each worker, and the
caller) talks to it with one method, `exchange`, whose answer is postponed until there is something to say.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future
from threading import RLock
from time import monotonic
from typing import Any, Final, final

from pullahead import actors
from pullahead.core import ledger as led
from pullahead.core import messages as m
from pullahead.core.exchange import Mailbox
from pullahead.core.ledger import Ledger, State
from pullahead.core.retry import ERROR, RetryPolicy
from pullahead.errors import ProtocolError
from pullahead.farm.alarm import Alarm

Answer = Future[list[m.Message]]


@final
class Queue:
    """Hosts one ledger. See the module.

    Args:
        retry: what happens to an item that failed.
        seed: of the jitter of backoffs.
    """

    def __init__(self, retry: RetryPolicy, seed: int = 0) -> None:
        self._ledger = Ledger()
        self._retry = retry
        self._jitter = random.Random(seed).random
        self._payloads: dict[int, Any] = {}
        self._mail: dict[int, Mailbox[Answer]] = {m.CALLER: Mailbox()}
        self._gone: set[int] = set()  # workers that said goodbye or were lost
        self._touched: set[int] = set()
        self._stopping = False
        self._lock = RLock()  # calls come one at a time, but the alarm has a thread of its own
        self._alarm = Alarm(self._tick, "pullahead-queue-alarm")

    @actors.method(deferred=True)
    def exchange(self, peer: int, messages: list[m.Message]) -> Answer:
        """Take a peer's messages. The answer comes when there are messages for it, or when it calls again."""
        answer: Answer = Future()
        with self._lock:
            self._admit(peer)
            if peer in self._gone:
                messages = []  # it was given up as lost: whatever it still says is no longer its to say
            for message in messages:
                self._perform(self._received(peer, message))
            box = self._mail.get(peer)
            answers = [(answer, [(m.STOP,)])] if box is None else box.park(answer)
            self._touched.add(peer)
            answers += self._flush()
        for call, reply in answers:
            call.set_result(reply)
        return answer

    def _tick(self) -> None:
        with self._lock:
            self._perform(self._ledger.tick(monotonic()))
            answers = self._flush()
        for call, reply in answers:
            call.set_result(reply)

    def _flush(self) -> list[tuple[Answer, list[m.Message]]]:
        """Answer every parked call that there is something to say to, and arm the timer."""
        boxes = [self._mail[peer] for peer in self._touched if peer in self._mail]
        answers = [answer for box in boxes for answer in box.flush()]
        self._touched.clear()
        self._alarm.set(self._ledger.deadline)
        return answers

    def _post(self, peer: int, *messages: m.Message) -> None:
        if peer in self._mail:
            self._mail[peer].post(*messages)
            self._touched.add(peer)

    def _admit(self, peer: int) -> None:
        """A worker joins by calling for the first time."""
        if peer not in self._mail and peer not in self._gone:
            self._mail[peer] = Mailbox()
            self._ledger.joined(peer)
            if self._stopping:
                self._stop_worker(peer)

    # Messages in

    def _received(self, peer: int, message: m.Message) -> list[led.Effect]:
        kind, *rest = message
        handlers = _FROM_CALLER if peer == m.CALLER else _FROM_WORKER
        handler = handlers.get(kind)
        if handler is None:
            raise ProtocolError(f"the queue got a message of kind {kind!r} from peer {peer}")
        return handler(self, *rest) if peer == m.CALLER else handler(self, peer, *rest)

    def _opened(self, run: int) -> list[led.Effect]:
        return self._ledger.opened(run)

    def _submitted(self, run: int, first: int, payloads: list[Any], cause: str) -> list[led.Effect]:
        self._payloads.update(zip(range(first, first + len(payloads)), payloads, strict=True))
        return self._ledger.submitted(run, first, len(payloads), cause, monotonic())

    def _closed(self, run: int) -> list[led.Effect]:
        return self._ledger.closed(run, monotonic())

    def _cancelled(self, run: int) -> list[led.Effect]:
        return self._ledger.cancelled(run, monotonic())

    def _lost(self, worker: int, error: Any) -> list[led.Effect]:
        self._mail.pop(worker, None)
        self._gone.add(worker)
        decide = {
            item: self._retry.decide(self._ledger.attempts(item), ERROR, 0.0, self._jitter())
            for item in self._ledger.running_of(worker)
        }
        attempts = {item: self._ledger.attempts(item) + 1 for item in decide}
        effects = self._ledger.lost(worker, decide, monotonic())
        for item in _dead(effects):
            self._payloads[item] = (error, attempts[item])
        return effects

    def _stop(self) -> list[led.Effect]:
        self._stopping = True
        for peer in self._mail:
            if peer != m.CALLER:
                self._stop_worker(peer)
        return []

    def _stop_worker(self, worker: int) -> None:
        self._ledger.stopping(worker)
        self._post(worker, (m.STOP,))

    def _asked(self, worker: int, credits: int) -> list[led.Effect]:
        return self._ledger.asked(worker, credits, monotonic())

    def _started(self, worker: int, lease: int, items: tuple[int, ...]) -> list[led.Effect]:
        return self._ledger.started(worker, lease, items)

    def _finished(
        self, worker: int, lease: int, items: tuple[int, ...], results: list[Any]
    ) -> list[led.Effect]:
        accepted, effects = self._ledger.finished(worker, lease, items)
        results_of = dict(zip(items, results, strict=True))
        for item in accepted:
            self._payloads[item] = results_of[item]
        return effects

    def _failed(
        self, worker: int, lease: int, item: int, error: Any, kind: str, delay: float
    ) -> list[led.Effect]:
        attempts = self._ledger.attempts(item)
        decision = self._retry.decide(attempts, kind, delay, self._jitter())
        accepted, effects = self._ledger.failed(worker, lease, item, decision, monotonic())
        if accepted and _dead(effects):
            self._payloads[item] = (error, attempts + 1)
        return effects

    def _gave_back(self, worker: int, lease: int, items: tuple[int, ...]) -> list[led.Effect]:
        return self._ledger.gave_back(worker, lease, items, monotonic())

    def _told(self, worker: int, kind: str, what: Any) -> list[led.Effect]:
        self._post(m.CALLER, (kind, worker, what))
        return []

    def _said_goodbye(self, worker: int) -> list[led.Effect]:
        self._post(m.CALLER, (m.BYE, worker))
        del self._mail[worker]
        self._gone.add(worker)
        return self._ledger.said_goodbye(worker)

    # Effects out

    def _perform(self, effects: list[led.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, led.Grant):
                items = range(effect.first, effect.first + effect.size)
                payloads = [self._payloads[item] for item in items]
                grant = (m.GRANT, effect.lease, effect.first, payloads, effect.waited, effect.cause)
                self._post(effect.worker, grant)
            elif isinstance(effect, led.Ended):
                self._deliver(effect)
            elif isinstance(effect, led.Recall):
                self._post(effect.worker, (m.RECALL, effect.lease))
            elif isinstance(effect, led.NothingLeft):
                self._post(effect.worker, (m.CLOSED, effect.waited, effect.cause))
            elif isinstance(effect, led.Starved):
                self._post(m.CALLER, (m.STARVED, effect.run))
            else:
                self._post(m.CALLER, (m.ENDED, effect.run))

    def _deliver(self, ended: led.Ended) -> None:
        """Hand the ends of items to the caller, and forget their payloads."""
        payloads = [self._payloads.pop(item) for item in ended.items]
        if ended.state is State.LEFT:
            payloads = []
        self._post(m.CALLER, (m.OUTCOMES, ended.run, ended.state.value, ended.items, payloads))


def _dead(effects: list[led.Effect]) -> list[int]:
    """Return the items that these effects bury."""
    ends = [effect for effect in effects if isinstance(effect, led.Ended) and effect.state is State.DEAD]
    return [item for end in ends for item in end.items]


_FROM_CALLER: Final[dict[str, Callable[..., list[led.Effect]]]] = {
    m.OPEN: Queue._opened,
    m.SUBMIT: Queue._submitted,
    m.CLOSE: Queue._closed,
    m.CANCEL: Queue._cancelled,
    m.LOST: Queue._lost,
    m.STOP: Queue._stop,
}
_FROM_WORKER: Final[dict[str, Callable[..., list[led.Effect]]]] = {
    m.ASK: Queue._asked,
    m.STARTED: Queue._started,
    m.DONE: Queue._finished,
    m.FAILED: Queue._failed,
    m.GAVE_BACK: Queue._gave_back,
    m.TOTALS: lambda queue, worker, totals: queue._told(worker, m.TOTALS, totals),
    m.TRACE: lambda queue, worker, spans: queue._told(worker, m.TRACE, spans),
    m.BYE: Queue._said_goodbye,
}
