"""The queue actor: a shell around `core.ledger`.

It owns the items' payloads and the ledger that says where each item is. Every peer (each worker, the caller,
and other queues where there are several) talks to it with one method, `exchange`, whose answer is postponed
until there is something to say.
With a journal, what has ended is said when it is recorded.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from threading import RLock
from time import monotonic, time
from typing import Any, Final, final

from pullahead import actors
from pullahead.actors.failures import dumps_error
from pullahead.core import ledger as led
from pullahead.core import messages as m
from pullahead.core.claims import Claim
from pullahead.core.exchange import Caller, Mailbox
from pullahead.core.ledger import Ledger, State
from pullahead.core.lookahead import QUANTUM
from pullahead.core.notices import Notices
from pullahead.core.retry import ERROR, Again, Bury, RetryPolicy
from pullahead.core.standing import Bulletins
from pullahead.errors import JournalError, ProtocolError
from pullahead.farm.alarm import Alarm
from pullahead.farm.arrivals import Arrivals, Report
from pullahead.farm.envelope import Sealed, opened, sealed, taken_out
from pullahead.farm.failure import Try
from pullahead.farm.freight import UNKNOWN, Freight
from pullahead.farm.interrupts import leave_to_the_driver
from pullahead.farm.neighbours import Neighbours
from pullahead.farm.payload import largest
from pullahead.farm.recording import Known, Recording
from pullahead.journal import Journal
from pullahead.journal.identity import Place
from pullahead.journal.records import Delivered, Entry

Answer = Future[Sealed]
#: More leases than a queue grants in its life.
_LEASES: Final = 1 << 48
#: Calls that may be out, and have threads of their own where the engine does that, at 20 kB each: at most, as
#: many as all peers may have, and of each of many peers.
_MOST_PARKED: Final = 2048
_MANY_PARKED: Final = 1024
_EACH: Final = 4
#: What the caller is told at once.
_URGENT: Final = frozenset({m.STARVED, m.ENDED, m.BYE, m.SAVED, m.UNRECORDED, m.CLOCK})


def actor_options(peers: int) -> dict[str, Any]:
    """Return how a queue for so many peers is started: here, because the caller talks to it, and has to read
    the journal that it writes.

    Two calls of each peer are parked. Behind a large one, which is still being brought, a peer may have sent
    as many as it ever does. Where there are hundreds of peers, four each are as good: not all of them do so
    at once.
    """
    options: dict[str, Any] = {"here": True, "num_cpus": 0}
    if _EACH * peers > _MOST_PARKED:
        return options
    return options | {"parked": min(Caller.MOST * peers, max(_MANY_PARKED, _EACH * peers))}


@final
class Queue:
    """Hosts one ledger. See the module.

    Args:
        retry: what happens to an item that failed.
        unit: how many items one call of `process` takes.
        workers: how many there will be.
        recall: whether held items may go to a worker that would run them sooner.
        seed: of the jitter of backoffs.
        before: how many queues died in whose place this one is.
        deaf: whether a SIGTERM to this process is the caller's to answer.
        lanes: how many workers there may be, if they come and go.
        number, queues: of this queue, and how many there are. It has its share of the workers.
    """

    def __init__(
        self,
        retry: RetryPolicy,
        unit: int = 1,
        workers: int = 0,
        recall: bool = True,
        seed: int = 0,
        before: int = 0,
        deaf: bool = False,
        lanes: int | None = None,
        number: int = 0,
        queues: int = 1,
    ) -> None:
        if deaf:
            leave_to_the_driver()
        first_lease = 1 + before * _LEASES
        own = len(range(number, workers, queues))
        others = tuple(other for other in range(queues) if other != number)
        spares = lanes or 0
        self._ledger = Ledger(
            unit, recall=recall, workers=own, first_lease=first_lease, others=others, spares=spares
        )
        self._number = number
        self._neighbours: Neighbours | None = None  # until it has met them
        self._unsaid: list[led.Want] = []  # what it wanted of them before
        # Calls of workers that came back before the caller has said what there is.
        self._early: dict[int, tuple[list[m.Message], Answer]] | None = {} if before else None
        self._lanes = (
            lanes or workers or 1
        )  # a worker that replaces another one has its number and so many more
        self._bulletins = Bulletins() if spares else None  # where the caller decides how many there are
        self._drained: set[int] = set()  # workers that were told to stop, or will be
        self._recording: Recording | None = None
        self._retry = retry
        self._jitter = random.Random(seed).random
        self._payloads: dict[int, Any] = {}
        self._enclosed: dict[int, bytes] = {}  # results of a report, by its first item, until they are told
        self._tried: dict[int, list[Try]] = {}  # what failed so far, of items that may be tried again
        self._mail: dict[int, Mailbox[Answer]] = {m.CALLER: Mailbox()}
        self._gone: set[int] = set()  # workers that said goodbye or were lost
        self._arrivals = Arrivals(self._came)
        self._asked_at: tuple[float, float] | None = None  # a peer's clock and ours, when it asked for ours
        self._leaving: set[int] = set()  # workers that said goodbye, and a result of theirs is on its way
        self._lost_results: set[int] = set()  # items whose result was lost on its way
        self._touched: set[int] = set()
        self._notices = Notices()
        self._stopping = False
        self._lock = RLock()  # calls come one at a time, but the alarm has a thread of its own
        self._alarm = Alarm(self._tick, "pullahead-queue-alarm")

    def open_journal(self, journal: Journal, work: str, places: str, pid: int) -> None:
        """Record everything from now on. Called before anything else.

        Args:
            journal: which, and how.
            work: what the work is called.
            places: what items are known by, "position" or "key".
            pid: of the caller.

        Raises:
            JournalError: it cannot be used.
        """
        self._recording = Recording(journal, work, places, pid, self._wrote)

    def close_journal(self) -> None:
        """Tidy up. Called when everything has ended and is saved."""
        if self._recording is not None:
            self._recording.close()

    @actors.method(deferred=True)
    def exchange(self, peer: int, said: Sealed) -> Answer:
        """Take a peer's messages. The answer comes when there are messages for it, or when it calls again."""
        answer: Answer = Future()
        messages = opened(said)
        with self._lock:
            if self._early is None:
                self._exchange(peer, messages, answer)
            elif peer != m.CALLER:
                before, older = self._early.get(peer, ([], None))
                self._early[peer] = [*before, *messages], answer
                self._send([] if older is None else [(older, [])])
            else:
                early, self._early = self._early, None
                self._exchange(peer, messages, answer)
                for worker, call in early.items():
                    self._exchange(worker, *call)
        return answer

    def _exchange(self, peer: int, messages: list[m.Message], answer: Answer) -> None:
        self._asked_at = None
        self._admit(peer)
        if peer in self._gone:
            messages = []  # it was given up as lost: whatever it still says is no longer its to say
        for message in messages:
            self._perform(self._received(peer, message))
        if self._recording is not None and peer != m.CALLER:
            reports = sum(message[0] in m.REPORTS for message in messages)
            if reports:
                self._recording.say(peer, (m.RECORDED, reports))
        box = self._mail.get(peer)
        if self._asked_at is not None:
            clock = (m.CLOCK, *self._asked_at, monotonic())
            self._tell(clock) if peer == m.CALLER else self._post(peer, clock)
        answers = [(answer, [(m.STOP,)])] if box is None else box.park(answer)
        if answers and peer == m.CALLER:
            self._notices.told()
        if peer != m.CALLER:
            self._touched.add(peer)
        if self._bulletins is not None:
            self._bulletins.happened()
        self._send(answers + self._flush(monotonic()))

    def _tick(self) -> None:
        with self._lock:
            now = monotonic()
            self._perform(self._ledger.tick(now))
            self._send(self._flush(now))

    @staticmethod
    def _send(answers: list[tuple[Answer, list[m.Message]]]) -> None:
        """Send answers; with the lock held, or one of the other thread could overtake them on its way out."""
        for call, reply in answers:
            call.set_result(sealed(reply))

    def _flush(self, now: float) -> list[tuple[Answer, list[m.Message]]]:
        """Answer every parked call that there is something to say to, and arm the timer."""
        if self._recording is not None:
            self._say_what_is_recorded(self._recording)
        look = self._look_around(self._bulletins, now) if self._bulletins is not None else None
        boxes = [self._mail[peer] for peer in self._touched if peer in self._mail]
        answers = [answer for box in boxes for answer in box.flush()]
        self._touched.clear()
        deadline, due = self._ledger.deadline, self._notices.due(self._ledger.open_items)
        if look is not None:
            deadline = look if deadline is None else min(deadline, look)
        if due is not None and due <= now:
            told = self._mail[m.CALLER].flush()
            if told:
                self._notices.told()
            answers += told
        elif due is not None:
            # A worker's next report comes soon and takes it along, which wakes nobody: give it a moment.
            deadline = due + QUANTUM if deadline is None else min(deadline, due + QUANTUM)
        self._alarm.set(deadline)
        return answers

    def _look_around(self, bulletins: Bulletins, now: float) -> float | None:
        """Tell the caller how things stand, if it is time for that. Returns when the next time is."""
        if bulletins.due is not None and bulletins.due <= now:
            news = bulletins.take(self._ledger.standing, now)
            if news is not None:
                self._tell(news)
        return bulletins.due

    def _post(self, worker: int, message: m.Message) -> None:
        if worker in self._mail:
            self._mail[worker].post(message)
            self._touched.add(worker)

    def _tell(self, message: m.Message) -> None:
        self._mail[m.CALLER].post(message)
        now = monotonic()
        if message[0] == m.OUTCOMES:
            self._notices.ended(len(message[3]), now)
        else:
            self._notices.news(now, urgent=message[0] in _URGENT)

    def _tell_when_recorded(self, message: m.Message) -> None:
        if self._recording is None:
            self._tell(message)
        else:
            self._recording.say(m.CALLER, message)

    def _say_what_is_recorded(self, recording: Recording) -> None:
        for peer, message in recording.due():
            if peer == m.CALLER:
                self._tell(message)
            elif peer in self._mail:
                self._mail[peer].post(message)  # with whatever is said next: there is no hurry

    def _wrote(self, error: JournalError | None) -> None:
        """A batch was written, or cannot be: then nothing more is said of what has ended since."""
        with self._lock:
            if error is not None:
                self._tell((m.UNRECORDED, str(error)))
            elif self._recording is not None:
                self._recording.written()
            self._send(self._flush(monotonic()))

    def _admit(self, peer: int) -> None:
        """A worker joins by calling for the first time."""
        if peer not in self._mail and peer not in self._gone:
            self._mail[peer] = Mailbox()
            if peer > m.CALLER:
                self._ledger.joined(peer)
                if self._bulletins is not None:
                    self._tell((m.JOINED, peer))
                if self._stopping or peer in self._drained:
                    self._stop_worker(peer)

    # Messages in

    def _received(self, peer: int, message: m.Message) -> list[led.Effect]:
        kind, *rest = message
        handlers = _FROM_WORKER if peer > m.CALLER else _FROM_CALLER if peer == m.CALLER else _FROM_QUEUE
        handler = handlers.get(kind)
        if handler is None:
            raise ProtocolError(f"the queue got a message of kind {kind!r} from peer {peer}")
        return handler(self, *rest) if peer == m.CALLER else handler(self, peer, *rest)

    def _opened(self, run: int, delays: bool) -> list[led.Effect]:
        return self._ledger.opened(run, delays)

    def _submitted(
        self, run: int, first: int, payloads: list[Any], cause: str, known: list[Known] | None = None
    ) -> list[led.Effect]:
        self._payloads.update(zip(range(first, first + len(payloads)), payloads, strict=True))
        if self._recording is not None and known is not None:
            self._recording.submitted(first, known, payloads)
            for item, one in enumerate(known, first):
                if one.tries:
                    self._tried[item] = list(one.tries)
                    self._ledger.tried(item, len(one.tries))
        size = largest(payloads, UNKNOWN)
        return self._ledger.submitted(run, first, len(payloads), cause, monotonic(), size)

    def _closed(self, run: int) -> list[led.Effect]:
        return self._ledger.closed(run, monotonic())

    def _cancelled(self, run: int) -> list[led.Effect]:
        return self._ledger.cancelled(run, monotonic())

    def _lost(
        self, worker: int, error: Any, running: tuple[int, ...] | None, loading: tuple[int, ...]
    ) -> list[led.Effect]:
        self._forget(worker)
        decide = {
            item: self._retry.decide(self._ledger.attempts(item), ERROR, 0.0, self._jitter())
            for item in self._ledger.charged(worker, running)
            if item not in self._arrivals.awaited(worker)  # it was finished: the death is not its doing
        }
        for item, decision in decide.items():
            self._note_try(item, decision, Try(error, worker % self._lanes, None, time()))
        return self._ledger.lost(worker, decide, monotonic(), loading)

    def _unsent(self, entry: Entry, tries: list[Try]) -> list[led.Effect]:
        assert self._recording is not None
        self._recording.unsent(entry, tries)
        self._recording.say(m.CALLER, (m.SAVED, m.UNSENT))
        return []

    def _delivered(self, sink: str, places: tuple[Place, ...] | None, size: int | None) -> list[led.Effect]:
        assert self._recording is not None
        self._recording.delivered(Delivered(sink, places, size))
        self._recording.say(m.CALLER, (m.SAVED, m.DELIVERED))
        return []

    def _drain(self, worker: int) -> list[led.Effect]:
        self._drained.add(worker)  # it may come later, from a queue that died
        if worker in self._mail:
            self._perform(self._ledger.spared(worker, monotonic()))
            self._post(worker, (m.STOP,))
        return []

    def _stop(self) -> list[led.Effect]:
        self._stopping = True
        for peer in self._mail:
            if peer > m.CALLER:
                self._stop_worker(peer)
        return []

    def _stop_worker(self, worker: int) -> None:
        self._ledger.stopping(worker)
        self._post(worker, (m.STOP,))

    def _asked(self, worker: int, credits: int) -> list[led.Effect]:
        return self._ledger.asked(worker, credits, monotonic())

    def _is_hungry(self, worker: int, asked: int) -> list[led.Effect]:
        return self._ledger.hungry(worker, asked, monotonic())

    def _recalled(self, worker: int, returned: int) -> list[led.Effect]:
        return self._ledger.recalled(worker, returned, monotonic())

    def _is_stuck(self, worker: int) -> list[led.Effect]:
        return self._ledger.stuck(worker)

    def _started(self, worker: int, lease: int, items: tuple[int, ...]) -> list[led.Effect]:
        return self._ledger.started(worker, lease, items)

    def _finished(
        self, worker: int, lease: int, items: tuple[int, ...], results: bytes | list[Any]
    ) -> list[led.Effect]:
        if type(results) is list and Freight in map(type, results):
            here = []
            for item, result in zip(items, results, strict=True):
                if type(result) is Freight:
                    self._arrivals.bring(Report(worker, lease, item), result)
                else:
                    here.append((item, result))
            items, results = tuple([item for item, _ in here]), [result for _, result in here]
        accepted, effects = self._ledger.finished(worker, lease, items, monotonic())
        if type(results) is bytes and len(accepted) == len(items):
            self._enclosed[items[0]] = results
            return effects
        came = zip(items, taken_out(results), strict=True)
        if len(accepted) == len(items):
            self._payloads.update(came)
        else:
            counts = frozenset(accepted)
            self._payloads.update([(item, result) for item, result in came if item in counts])
        return effects

    def _came(self, report: Report, payload: Any, error: BaseException | None) -> None:
        """A result that was on its way is here, or is lost."""
        worker, lease, item = report
        with self._lock:
            self._arrivals.ended(report)
            if worker not in self._gone:  # else its items run elsewhere
                if error is None:
                    self._perform(self._finished(worker, lease, (item,), [payload]))
                else:
                    self._perform(self._lost_result(report, error))
                if worker in self._leaving and not self._arrivals.awaited(worker):
                    self._perform(self._said_goodbye(worker))
            self._send(self._flush(monotonic()))

    def _lost_result(self, report: Report, error: BaseException) -> list[led.Effect]:
        """The item runs again: at no attempt, unless that has happened to it before."""
        worker, lease, item = report
        if item in self._lost_results:
            return self._failed(worker, lease, item, (dumps_error(error), time(), time()), ERROR, 0.0)
        self._lost_results.add(item)
        return self._ledger.failed(worker, lease, item, Again(0.0, charged=False), monotonic())[1]

    def _failed(self, *report: Any) -> list[led.Effect]:
        return self._judge(self._ledger.failed, *report)

    def _unstored(self, *report: Any) -> list[led.Effect]:
        return self._judge(self._ledger.unstored, *report)

    def _judge(
        self,
        tell: Callable[..., tuple[bool, list[led.Effect]]],
        worker: int,
        lease: int,
        item: int,
        failure: tuple[bytes, float, float],
        kind: str,
        delay: float,
    ) -> list[led.Effect]:
        """Decide about a failure, and tell the ledger."""
        error, began, ended = failure
        attempt = Try(error, worker % self._lanes, began, ended)
        attempts = self._ledger.attempts(item)
        # The queue before may have recorded it and died before it said so.
        is_known = attempt in self._tried.get(item, ())
        decision = self._retry.decide(attempts - is_known, kind, delay, self._jitter())
        if is_known and isinstance(decision, Again):
            decision = replace(decision, charged=False)
        accepted, effects = tell(worker, lease, item, decision, monotonic())
        if accepted:
            self._note_try(item, decision, attempt)
        return effects

    def _note_try(self, item: int, decision: Again | Bury, failed: Try) -> None:
        if isinstance(decision, Bury) or decision.charged:
            tries = self._tried.setdefault(item, [])
            tries.append(failed)
            if self._recording is not None and isinstance(decision, Again):
                self._recording.charged(item, tries)

    def _gave_back(self, worker: int, lease: int, items: tuple[int, ...]) -> list[led.Effect]:
        return self._ledger.gave_back(worker, lease, items, monotonic())

    def _told(self, worker: int, kind: str, what: Any) -> list[led.Effect]:
        self._tell((kind, worker, what))
        return []

    def _clock_asked(self, asked: float) -> list[led.Effect]:
        self._asked_at = asked, monotonic()
        return []

    def _said_goodbye(self, worker: int) -> list[led.Effect]:
        if self._arrivals.awaited(worker):
            self._leaving.add(worker)
            return []
        self._tell((m.BYE, worker))
        self._forget(worker)
        return self._ledger.said_goodbye(worker)

    def _forget(self, worker: int) -> None:
        """It is gone."""
        self._gone.add(worker)
        box = self._mail.pop(worker, None)
        if box is not None:
            self._send(box.close())

    # Other queues

    def _met(self, queues: list[Any]) -> list[led.Effect]:
        self._neighbours = Neighbours(self._number, queues, self._lock, self)
        unsaid, self._unsaid = self._unsaid, []
        return list(unsaid)

    def _over(self, run: int) -> list[led.Effect]:
        return self._ledger.over(run)

    def _wanted(self, peer: int, number: int, credits: int, hungry: int, workers: int) -> list[led.Effect]:
        return self._ledger.wanted(Claim(m.as_peer(peer), number, credits, hungry, workers), monotonic())

    def neighbour_said(self, queue: int, messages: list[m.Message]) -> None:
        """See `NeighboursPort`."""
        for kind, *rest in messages:
            handler = _ANSWERS.get(kind)
            if handler is None:
                raise ProtocolError(f"the queue got a message of kind {kind!r} from queue {queue}")
            self._perform(handler(self, queue, *rest))
        self._send(self._flush(monotonic()))

    def _learn(self, tries: dict[int, list[Try]], lost: set[int]) -> list[led.Effect]:
        self._tried.update(tries)
        self._lost_results.update(lost)
        return []

    def _adopt(self, queue: int, number: int, left: int, lots: list[tuple[Any, ...]]) -> list[led.Effect]:
        """Items of another queue are this one's now."""
        came = []
        for run, first, payloads, histories in lots:
            self._payloads.update(zip(range(first, first + len(payloads)), payloads, strict=True))
            came.append(led.Lot(run, first, len(payloads), histories))
        size = max(largest(payloads, UNKNOWN) for _, _, payloads, _ in lots)
        return self._ledger.came(queue, number, left, tuple(came), monotonic(), size)

    def _want(self, want: led.Want) -> None:
        if self._neighbours is None:
            self._unsaid.append(want)
        else:
            self._neighbours.say(want.queue, led.message_to_queue(want, list))

    def _move(self, move: led.Move) -> None:
        """Items are another queue's now, with all that is known of them."""
        items = [item for lot in move.lots for item in lot.items]
        tries = {item: self._tried.pop(item) for item in items if item in self._tried}
        lost = self._lost_results.intersection(items)
        self._lost_results -= lost
        peer = m.as_peer(move.queue)
        if tries or lost:
            self._post(peer, (m.PAST, tries, lost))
        take = self._payloads.pop
        self._post(peer, led.message_to_queue(move, lambda some: [take(item) for item in some]))
        self._tell((m.WENT, move.queue, len(items)))

    # Effects out

    def _perform(self, effects: list[led.Effect]) -> None:
        if effects and self._bulletins is not None:
            self._bulletins.happened()
        for effect in effects:
            if isinstance(effect, led.ForWorker):
                granted = effect.items if isinstance(effect, led.Grant) else ()
                self._post(
                    effect.worker, led.message_of(effect, list(map(self._payloads.__getitem__, granted)))
                )
            elif isinstance(effect, led.Ended):
                self._deliver(effect)
            elif isinstance(effect, led.Starved):
                self._tell((m.STARVED, effect.run))
            elif isinstance(effect, led.Want):
                self._want(effect)
            elif isinstance(effect, led.Move):
                self._move(effect)
            elif isinstance(effect, led.NoneLeft):
                self._post(m.as_peer(effect.queue), led.message_to_queue(effect, list))
            else:
                self._tell_when_recorded((m.ENDED, effect.run))

    def _deliver(self, ended: led.Ended) -> None:
        """Hand the ends of items to the caller, and forget their payloads."""
        payloads: bytes | list[Any] = list(map(self._payloads.pop, ended.items))
        payloads = self._enclosed.pop(ended.items[0], payloads)
        if self._lost_results:
            self._lost_results.difference_update(ended.items)
        tries = [self._tried.pop(item, []) for item in ended.items] if self._tried else []
        if self._recording is not None:
            self._recording.ended(ended.items, ended.state, payloads, tries or [[]] * len(payloads))
        if ended.state is State.LEFT:
            payloads = [ended.delay] * len(payloads) if ended.delay else []
        elif ended.state is State.DEAD:
            payloads = tries
        self._tell_when_recorded((m.OUTCOMES, ended.run, ended.state.value, ended.items, payloads))


_FROM_CALLER: Final[dict[str, Callable[..., list[led.Effect]]]] = {
    m.RETURNING: lambda queue, workers: queue._ledger.returning(workers, monotonic()),
    m.OPEN: Queue._opened,
    m.SUBMIT: Queue._submitted,
    m.CLOSE: Queue._closed,
    m.CANCEL: Queue._cancelled,
    m.SHARE: lambda queue, run, hungry: queue._ledger.shared(run, hungry, monotonic()),
    m.OVER: Queue._over,
    m.MEET: Queue._met,
    m.LOST: Queue._lost,
    m.UNSENT: Queue._unsent,
    m.DELIVERED: Queue._delivered,
    m.CLOCK: Queue._clock_asked,
    m.DRAIN: Queue._drain,
    m.STOP: Queue._stop,
}
_FROM_WORKER: Final[dict[str, Callable[..., list[led.Effect]]]] = {
    m.STILL: lambda queue, worker, *what: queue._ledger.still(worker, *what),
    m.BACK: lambda queue, worker: queue._ledger.back(worker, monotonic()),
    m.ASK: Queue._asked,
    m.HUNGRY: Queue._is_hungry,
    m.RECALLED: Queue._recalled,
    m.STUCK: Queue._is_stuck,
    m.STARTED: Queue._started,
    m.DONE: Queue._finished,
    m.FAILED: Queue._failed,
    m.UNSTORED: Queue._unstored,
    m.GAVE_BACK: Queue._gave_back,
    m.CLOCK: lambda queue, _, asked: queue._clock_asked(asked),
    m.OFFSET: lambda queue, worker, sample: queue._told(worker, m.OFFSET, sample),
    m.TOTALS: lambda queue, worker, totals: queue._told(worker, m.TOTALS, totals),
    m.TRACE: lambda queue, worker, spans: queue._told(worker, m.TRACE, spans),
    m.BYE: Queue._said_goodbye,
}
_FROM_QUEUE: Final[dict[str, Callable[..., list[led.Effect]]]] = {m.WANT: Queue._wanted}
_ANSWERS: Final[dict[str, Callable[..., list[led.Effect]]]] = {
    m.PAST: lambda queue, _, *what: queue._learn(*what),
    m.MOVED: Queue._adopt,
    m.NONE_LEFT: lambda queue, *what: queue._ledger.none_left(*what, monotonic()),
}
