"""The worker actor: a shell around `core.pipeline`.

Four kinds of threads feed one machine under one lock. The main thread alone runs `process`, so that signals,
CUDA contexts and database handles behave. The engine's thread brings the queue's answers. The `background`
runs `load` and `store` while the main thread computes. The alarm's thread does what is due then, and what
the main thread asks for when few items are left in its slice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from threading import Condition, RLock
from time import monotonic, thread_time, time
from typing import Any, final

from pullahead.actors.failures import dumps_error
from pullahead.core import messages as m
from pullahead.core import pipeline as pipe
from pullahead.core.lookahead import Lookahead
from pullahead.core.meter import Meter
from pullahead.core.pipeline import Phase, Pipeline
from pullahead.core.slices import Slice
from pullahead.core.trace import Recorder
from pullahead.farm.alarm import Alarm
from pullahead.farm.background import Background
from pullahead.farm.clock import Make, of_worker, own_clock
from pullahead.farm.envelope import enclosed
from pullahead.farm.failure import kind_of
from pullahead.farm.freight import Freight, ship_now
from pullahead.farm.interrupts import leave_to_the_driver
from pullahead.farm.line import DirectLine, Join
from pullahead.farm.note import RunningNote
from pullahead.farm.payload import ITSELF, WIDE, largest, pack_for_journal_now, unpack, unpack_anew
from pullahead.farm.post import Post, Unreachable, latest
from pullahead.farm.work import DEADLY, Raised, WorkSpec, budget

#: Threads for synchronous `load` and `store` calls; as many as other pools of blocking I/O take.
_THREADS = 64


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker works. See `pullahead.map` for the meaning of each."""

    lookahead: int | None = None
    batch_wait: float = 0.0
    load_concurrency: int | None = None
    trace: bool = False
    gives_back: bool = True  # by itself, while an item lasts much longer than usual
    retry_on: tuple[type[Exception], ...] = (Exception,)  # what is worth another attempt
    item_timeout: float | None = None  # seconds that a step of an item may take
    join: Join = DirectLine  # what joins it to the queue
    recorded: bool = False  # whether there is a journal, which holds results as JSON where they are
    clock: Make = of_worker  # what it reads times from
    reference: str = field(default_factory=lambda: own_clock().name)  # the clock of who makes these options
    queue_name: str = ""  # of queues that take the place of this one, with their number behind it


@final
class Worker:
    """The actor. Its shell is built when it is told to run, and in it the work, if that is a class.

    Whoever has started a worker may have no more use for it by the time that its process is there, and ends
    it: then nothing was built that would have to be closed.

    Args:
        shell: what runs here, and what follows its arguments.
    """

    def __init__(self, shell: type[Shell], *arguments: Any) -> None:
        self._shell, self._arguments = shell, arguments

    def run(self) -> None:
        """Raises what the work's constructor raises, and what `Shell.run` does."""
        self._shell(*self._arguments).run()


@final
class Shell:
    """Builds the work, then runs it on what the queue grants. See the module.

    Args:
        number: its number as a peer of the queue.
        queue: the handle of the queue actor.
        spec: the user's work.
        options: how to work.
        before: how many queues died in whose place this one is.
    """

    def __init__(
        self, number: int, queue: Any, spec: WorkSpec, options: WorkerOptions, before: int = 0
    ) -> None:
        clock = options.clock(number)
        self._now = clock.now  # but whoever watches over this process has the clock of its machine
        self._lock = RLock()
        self._changed = Condition(self._lock)
        name = options.queue_name if options.recorded else ""
        compared = None if clock.name == options.reference else clock.now
        self._post = Post(partial(options.join, number), queue, before, name, self._lock, self, compared)
        self._background = Background(options.load_concurrency or _THREADS)
        self._work = spec.build(self._background.result)
        self._is_recorded = options.recorded  # so the queue needs to know each result
        self._pack = pack_for_journal_now if options.recorded else ship_now
        self._unpack = unpack_anew if spec.batch_size else unpack  # a batch may have to be cut in halves
        self._retry_on = options.retry_on
        self._note = RunningNote(bool(spec.batch_size), options.item_timeout)
        bytes_held = budget(loads=self._work.load is not None)
        self._pipeline = Pipeline(
            Lookahead(
                options.lookahead,
                batch=spec.batch_size or 1,
                eager=self._work.load is None,
                budget=bytes_held,
            ),
            Meter(number, self._now(), os.getpid(), clock.host, clock.name),
            Recorder(options.trace),
            batch_size=spec.batch_size,
            batch_wait=options.batch_wait,
            loads=self._work.load is not None,
            stores=self._work.store is not None,
            load_concurrency=options.load_concurrency,
            gives_back=options.gives_back,
            says_starts=not self._note.survives,
        )
        self._payloads: dict[int, Any] = {}  # of items that were granted and not unpickled yet
        self._items: dict[int, Any] = {}  # unpickled; kept until they are stored
        self._coming: dict[int, float] = {}  # items whose value is on its way, and since when
        # Bytes that a value counts of which nobody knows how large it is: two are all that may be held.
        self._usual = bytes_held // 2
        self._loaded: dict[int, Any] = {}
        self._results: dict[int, Any] = {}  # for `store` as they are, for the queue packed
        self._alarm = Alarm(self._ring, "pullahead-worker-alarm", self._now)
        self._few_left = False  # the main thread has said so
        self._sent: dict[int, Any] = {}  # payloads of a batch, as long as it may have to be cut in halves
        self._since: dict[int, float] = {}  # when a load or a store began
        self._unstored: dict[int, tuple[Any, Any]] = {}  # results and items, until they are stored
        self._broken: BaseException | None = None  # why the queue cannot be reached

    def run(self) -> None:
        """Work until the queue says stop. Raises `Unreachable`, and what `close` of the work raises."""
        leave_to_the_driver()
        with self._lock:
            self._perform(self._pipeline.began(self._now()))
        try:
            items = self._take()
            while items:
                items = self._compute() or self._take()
            self._background.settle()
            if self._work.close is not None:
                self._background.result(self._work.close)
        finally:
            with self._lock:
                self._post.mute()
            self._alarm.stop()
            self._background.close()
            self._post.close()

    def _take(self) -> tuple[int, ...]:
        """Wait for the next items to process; () at the end."""
        with self._lock:
            while True:
                if self._broken is not None:
                    raise Unreachable(f"the queue cannot be reached: {self._broken}")
                now = self._now()
                items = self._pipeline.take(now)
                if items:
                    self._note.running(items)
                    self._perform(self._pipeline.tick(now))
                if items or self._pipeline.phase is Phase.GONE:
                    return items
                self._alarm.set(self._pipeline.deadline)
                self._changed.wait()

    # Computing, on the main thread

    def _compute(self) -> tuple[int, ...]:
        """Process what was taken. Returns the next items, if they are there already."""
        taken = self._pipeline.running
        assert taken is not None
        if self._work.batch_size:
            self._process_batch(taken)
        else:
            self._process_slice(taken)
        self._note.ended()
        with self._lock:
            if self._broken is not None:
                raise Unreachable(f"the queue cannot be reached: {self._broken}")
            useful, end = taken.useful, taken.times[-1][1]
            cpu = min(useful, taken.burnt())
            items, effects = self._pipeline.turn(end - useful, end, cpu, self._now())
            self._note.running(items)
            self._perform(effects)
        return items

    def _process_slice(self, taken: Slice) -> None:
        """Process items one after another, until none is left in the slice.

        All that an item needs is done in its turn: until then it can go to another worker, and once the next
        one begins, its result can be sent. When few are left, the machine is asked to look, and goes on
        behind the next ones.
        """
        process, begin_next, mark = self._work.process, taken.waiting.popleft, self._note.mark
        waiting, times, timed, now = taken.waiting, taken.times, self._note.times, self._now
        is_bare = self._work.load is None and self._work.store is None
        take_payload, keep, results = self._payloads.pop, self._keep, self._results
        plain = ITSELF if is_bare and self._pack is ship_now else None  # they need no packing
        item, end = taken.items[0], now()
        taken.begin(thread_time())
        while True:
            taken.since = since = end  # from then on the machine may look at it
            has_ended = False
            if timed:
                self._note.began(monotonic())
            try:
                if not is_bare:
                    loaded = self._input(item)
                elif type(loaded := take_payload(item)) not in ITSELF:
                    loaded = unpack(loaded)
                taken.since = since = now()
                if timed:
                    self._note.began(monotonic())
                result = process(loaded)
                end, has_ended = now(), True
                times.append((since, end))
                kind = type(result)
                if plain and kind in plain and (kind is not int or -WIDE <= result < WIDE):  # `is_word`
                    results[item] = result
                else:
                    keep(item, result)
            except DEADLY:
                raise
            except BaseException as error:  # noqa: BLE001  the user's error is an outcome, not ours
                if not has_ended:
                    end = now()
                    times.append((since, end))
                taken.failures[item] = self._failed(item, error, since)
            try:
                item = begin_next()
            except IndexError:
                break
            mark(item + 1)
            if len(waiting) <= taken.low:  # `is_low`, without a call
                taken.asked()
                taken.cpu = thread_time()
                self._few_left = True
                self._alarm.wake()
        taken.cpu = thread_time()

    def _process_batch(self, taken: Slice) -> None:
        """Process items in one call."""
        ready: dict[int, Any] = {}
        start = self._now()
        self._note.began(monotonic(), len(taken.items))
        for item in taken.items:
            if item in self._payloads:
                self._sent[item] = self._payloads[item]
            try:
                ready[item] = self._input(item)
            except DEADLY:
                raise
            except BaseException as error:  # noqa: BLE001  its class cannot be imported here, say
                taken.failures[item] = self._failed(item, error, start)
        start = self._now()
        taken.begin(thread_time())
        results = self._work.process_batch(ready, self._anew, self._begin_batch)
        taken.times.append((start, self._now()))
        taken.cpu = thread_time()
        for item in taken.items:
            self._sent.pop(item, None)
        for item, result in results.items():
            if isinstance(result, Raised):
                taken.failures[item] = self._failed(item, result.error, start)
                continue
            try:
                self._keep(item, result)
            except DEADLY:
                raise
            except BaseException as error:  # noqa: BLE001  an unpicklable result is the item's failure
                taken.failures[item] = self._failed(item, error, start)

    def _begin_batch(self, items: tuple[int, ...]) -> None:
        """A batch, or a part of one that raised, is about to be processed."""
        with self._lock:
            self._note.running(items)
        self._note.began(monotonic(), len(items))

    def _anew(self, item: int) -> Any:
        """Return what `process` gets, as if for the first time."""
        value = unpack_anew(self._sent[item])
        if self._work.store is not None:
            self._items[item] = value
        load = self._work.load
        return value if load is None else self._background.result(lambda: load(value))

    def _input(self, item: int) -> Any:
        """Return what `process` gets. Raises what unpickling it raises, and what loading it does."""
        load = self._work.load
        if load is not None and item in self._loaded:
            return self._loaded.pop(item)
        value = self._unpack(self._payloads.pop(item))
        if self._work.store is not None:
            self._items[item] = value
        return value if load is None else self._background.result(lambda: load(value))

    def _keep(self, item: int, result: Any) -> None:
        """Keep a result for `store` or for the queue. Raises what packing it raises."""
        if self._work.store is not None:
            self._results[item] = result
            return
        try:
            self._results[item] = self._pack(result)
        except Exception as error:
            error.add_note(f"the result of `process`, a {type(result).__qualname__}, could not be pickled")
            raise

    def _failed(self, item: int, error: BaseException, since: float) -> tuple[str, float]:
        """Keep an error for the queue, of an attempt since then. Returns its kind and delay."""
        self._items.pop(item, None)
        self._sent.pop(item, None)
        ended = time()
        self._results[item] = dumps_error(error), ended - (self._now() - since), ended
        return kind_of(error, self._retry_on)

    # Effects

    def _perform(self, effects: list[pipe.Effect]) -> None:
        """Do what the machine says; with the lock held."""
        for effect in effects:
            if isinstance(effect, pipe.Send):
                self._send()
            elif isinstance(effect, pipe.Load):
                self._begin_load(effect.item)
            elif isinstance(effect, pipe.Store):
                self._begin_store(effect.item)
            elif isinstance(effect, pipe.Discard):
                self._discard(effect)
            else:
                self._changed.notify()
        self._alarm.set(self._pipeline.deadline)

    def _ring(self) -> None:
        with self._lock:
            few_left, self._few_left = self._few_left, False
            happens = self._pipeline.few_left if few_left else self._pipeline.tick
            self._perform(happens(self._now()))

    def _send(self) -> None:
        messages = self._pipeline.take_messages(self._now())
        self._post.send([self._with_payloads(message) for message in messages])

    def _with_payloads(self, message: m.Message) -> m.Message:
        """Put the results beside the numbers of the items."""
        if message[0] == m.DONE:
            kind, lease, items = message
            results = list(map(self._results.pop, items))
            return kind, lease, items, results if self._is_recorded else enclosed(results)
        if message[0] in {m.FAILED, m.UNSTORED}:
            kind, lease, item, failure, delay = message
            return kind, lease, item, self._results.pop(item), failure, delay
        return message

    def heard(self, messages: list[m.Message]) -> None:
        """See `Reader`."""
        coming: dict[int, Freight] = {}
        for message in messages:
            if message[0] == m.GRANT:
                _, _, first, payloads, *_ = message
                came: Iterable[tuple[int, Any]] = zip(count(first), payloads)
                if self._post.before:  # some may have been granted by a queue before
                    came = [(item, one) for item, one in came if not self._pipeline.has(item)]
                if Freight in map(type, payloads):
                    came = list(came)
                    coming |= {item: one for item, one in came if type(one) is Freight}
                self._payloads.update(came)
                self._pipeline.lookahead.weighed(largest(payloads, self._usual))
        self._perform(self._pipeline.answered(messages, self._now(), coming.keys()))
        for item, freight in coming.items():
            self._bring(item, freight)

    def _bring(self, item: int, freight: Freight) -> None:
        """Have a value brought here. If it is to be loaded, that waits for it, and otherwise the pipeline."""
        brought = freight.ref.future()
        if self._work.load is None and item in self._pipeline.loading and item not in self._coming:
            self._coming[item] = self._now()
            brought.add_done_callback(partial(self._came, item, freight))

    def _came(self, item: int, freight: Freight, brought: Future[Any]) -> None:
        """A value is here, or cannot come. On the engine's thread."""
        error = brought.exception()
        if error is None:
            self._weigh(freight)
        with self._lock:
            since = self._coming.pop(item)
            if error is None:
                self._perform(self._pipeline.loaded(item, self._now()))
            else:
                self._payloads.pop(item, None)
                kind, delay = self._failed(item, error, since)
                self._perform(self._pipeline.load_failed(item, kind, delay, self._now()))

    def _weigh(self, freight: Freight) -> None:
        """A value is here. The next one of which nobody knows how large it is counts as much."""
        freight.weigh()
        with self._lock:
            self._usual = max(1, freight.size)
            self._pipeline.lookahead.weighed(freight.size)

    def alone(self) -> None:
        """See `Reader`."""
        self._pipeline.alone()

    def rejoined(self, reports: list[m.Message]) -> None:
        """See `Reader`."""
        last = latest(reports, self._results)
        self._perform(self._pipeline.rejoined([self._unsaid(one) for one in last], self._now()))

    def broken(self, error: BaseException) -> None:
        """See `Reader`."""
        self._broken = error
        self._changed.notify()

    def _unsaid(self, message: m.Message) -> m.Message:
        """Take the results out of a report again, for when it is said once more."""
        if message[0] == m.DONE:
            kind, lease, items, results = message
            self._results.update(zip(items, results, strict=True))
            return kind, lease, items
        kind, lease, item, failure, of, delay = message
        if kind == m.FAILED or self._pipeline.awaits_verdict(item):
            self._results[item] = failure
        return kind, lease, item, of, delay

    # Load and store, in the background

    def _begin_load(self, item: int) -> None:
        load, payload = self._work.load, self._payloads.pop(item)
        assert load is not None
        if self._work.batch_size:
            self._sent[item] = payload

        def begin() -> Any:
            self._note.loads(item)
            self._begin_beside(item)
            self._items[item] = value = self._unpack(payload)
            if type(payload) is Freight:
                self._weigh(payload)
            return load(value)

        self._background.start(begin, load, lambda outcome: self._load_ended(item, outcome))

    def _begin_beside(self, item: int) -> None:
        self._since[item] = self._now()
        self._note.began_beside(item, monotonic())

    def _load_ended(self, item: int, outcome: Any) -> None:
        self._note.loaded(item)
        self._note.ended_beside(item)
        since = self._since.pop(item)
        self._payloads.pop(item, None)  # it may have been granted again meanwhile: this load will do
        if self._work.store is None:
            self._items.pop(item, None)
        with self._lock:
            if isinstance(outcome, Raised):
                kind, delay = self._failed(item, outcome.error, since)
                self._perform(self._pipeline.load_failed(item, kind, delay, self._now()))
            else:
                self._loaded[item] = outcome
                self._perform(self._pipeline.loaded(item, self._now()))

    def _begin_store(self, item: int) -> None:
        store = self._work.store
        assert store is not None
        if item not in self._unstored:  # or it is stored once more
            self._unstored[item] = self._results.pop(item), self._items.pop(item)
        result, value = self._unstored[item]
        self._note.stores(item)

        def begin() -> Any:
            self._begin_beside(item)
            return store(result, value)

        self._background.start(begin, store, lambda outcome: self._store_ended(item, outcome))

    def _store_ended(self, item: int, outcome: Any) -> None:
        error = outcome.error if isinstance(outcome, Raised) else None
        if error is None:
            try:
                packed = self._pack(outcome)
            except BaseException as unpicklable:  # noqa: BLE001  as what `store` raises, `sys.exit` included
                kind = type(outcome).__qualname__
                unpicklable.add_note(f"what `store` returned, a {kind}, could not be pickled")
                error = unpicklable
        self._note.ended_beside(item)
        since = self._since.pop(item)
        with self._lock:
            self._note.stored(item)
            if error is None:
                del self._unstored[item]
                self._results[item] = packed
                self._perform(self._pipeline.stored(item, self._now()))
            else:
                kind, delay = self._failed(item, error, since)
                self._perform(self._pipeline.store_failed(item, kind, delay, self._now()))

    def _discard(self, effect: pipe.Discard) -> None:
        """Forget an item that will not run here; let the work clean up after its load."""
        item = effect.item
        self._payloads.pop(item, None)
        self._items.pop(item, None)
        self._results.pop(item, None)
        self._unstored.pop(item, None)
        self._sent.pop(item, None)
        if effect.loaded and self._work.load is not None:
            loaded, discard = self._loaded.pop(item), self._work.discard
            if discard is not None:
                self._background.start(lambda: discard(loaded), discard, _ignore)


def _ignore(outcome: Any) -> None:
    """An error while cleaning up changes nothing about the item, which will run elsewhere."""
