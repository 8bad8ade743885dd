"""The caller's side of a queue and its workers, or of several, for the runs that they work on.

What the queue says about a run is handed to that run; the rest (sums, spans, goodbyes) is kept here. Nothing
of a run is called with the crew's lock held: who has the lock of a run may want that of the crew.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from threading import Condition, RLock
from typing import Any, Final, Protocol, final

from pullahead import actors
from pullahead.actors.failures import dumps_error
from pullahead.core import messages as m
from pullahead.core.clocks import Sample
from pullahead.core.items import State
from pullahead.core.retry import RetryPolicy
from pullahead.errors import JournalError, RunError
from pullahead.farm.elastic import Elastic
from pullahead.farm.envelope import taken_out
from pullahead.farm.failure import Try
from pullahead.farm.lanes import Lanes
from pullahead.farm.machine import thread_share
from pullahead.farm.queue import Queue, actor_options
from pullahead.farm.queues import Queues
from pullahead.farm.recorded import Recorded
from pullahead.farm.recording import Known
from pullahead.farm.seen import Seen
from pullahead.farm.shards import Shards
from pullahead.farm.work import WorkSpec
from pullahead.farm.worker import Shell, Worker, WorkerOptions
from pullahead.journal import KEPT, Journal
from pullahead.journal.identity import Place
from pullahead.journal.records import Entry
from pullahead.observe import words

#: Whose grace begins when all workers are told to stop; runs count from 0.
_ALL: Final = -1
#: Seconds that a source may take to notice that nobody wants its items any more.
_SOURCE_PATIENCE: Final = 10.0


class RunPort(Protocol):
    """What the crew tells a run. Called on the engine's thread: must not wait."""

    started: float  # what was recorded before that is none of its business

    @property
    def unread(self) -> int:
        """How many items its source is known to still have."""

    @property
    def is_held_back(self) -> bool:
        """Whether whoever takes its results is slower than the workers."""

    def items_ended(self, state: str, items: tuple[int, ...], payloads: list[Any]) -> None:
        """These items have ended."""

    def starved(self) -> None:
        """Workers wait for items of this run."""

    def cancel(self) -> None:
        """Take no more items."""

    def ended(self) -> None:
        """The run is closed and every item has ended."""

    def broke(self, error: BaseException) -> None:
        """Nothing more will come."""


@final
class Crew:
    """The queue and its workers. See the module.

    Args:
        spec: the work.
        workers: how many, at least 1.
        options: how a worker works.
        actor_options: options of the worker actors, as the engine takes them.
        retry: what happens to failed items.
        grace: seconds that what runs may still take once its run was cancelled, or its worker told to stop.
        journal: where the one run of this crew is recorded.
        key: what names its items in there; None: their positions do.
        least: how many workers there are at first, and at least, if they come and go; None: always all.
        queues: how many there are; one, if there is a journal.

    Raises:
        JournalError: it cannot be used, or is of another work.
        RunError: no queue lived to begin.
    """

    def __init__(
        self,
        spec: WorkSpec,
        workers: int,
        options: WorkerOptions,
        actor_options: dict[str, Any],
        retry: RetryPolicy,
        grace: float,
        journal: Journal | None = None,
        key: Callable[[Any], Any] | None = None,
        least: int | None = None,
        queues: int = 1,
    ) -> None:
        if journal is not None and actors.is_outside():
            raise ValueError(
                "journal: the queue writes it on its machine, and this caller is outside of the cluster: "
                "run it on a machine of the cluster"
            )
        self.size = workers
        self.budget = workers * spec.budget  # bytes that all of them together may hold
        self._retry, self._spec, self._options = retry, spec, options
        environment = thread_share(workers) | actor_options.get("runtime_env", {}).get("env_vars", {})
        runtime_env = actor_options.get("runtime_env", {}) | {"env_vars": environment}
        # Ray's actors hold no CPU unless they say so: as many as there may be would find a place on one node,
        # and no autoscaler would bring another one. Workers that stay do not wait for one: of two pools of
        # which one feeds the other, the first could have all CPUs.
        holds_core = least is not None and not actor_options.get("num_gpus")
        cores = {"num_cpus": 1} if holds_core else {}
        self._actor_options = cores | actor_options | {"runtime_env": runtime_env}
        if options.item_timeout is not None:
            self._actor_options["time_limit"] = options.item_timeout
        self._lock = RLock()
        self._heard = Condition(self._lock)
        self._runs: dict[int, RunPort] = {}
        self._next_run = self._next_item = 0
        self._open_items = 0  # sent to the queue, and not ended as far as it has said
        self._unsaved = 0  # what only the journal is to know, and is not on disk as far as is known
        self._is_queueless = False  # the queue died when everything had ended
        self._was_cancelled = False  # an orderly end waits as long as it takes
        self._stopping = False
        self._error: BaseException | None = None
        starts = self._start_worker, options.item_timeout, grace
        self._lanes = Lanes(workers, *starts, self._lock, self, least)
        self._least = least
        self.elastic: Elastic | None = None  # if workers come and go
        places = "position" if key is None else "key"
        self.queue_count = queues
        self._queues: Queues | Shards
        if queues == 1:
            start = partial(self._start_queue, 0)
            self._queues = Queues(start, journal, spec.full_name, places, self._lock, self)
        else:
            homes = [len(range(number, workers, queues)) for number in range(queues)]
            self._queues = Shards(self._start_queue, homes, spec.batch_size or 1, self._lock, self)
        self.seen = Seen(options.reference, self._lanes.lane, self._queues.clock)
        self._unhook = actors.before_shutdown(self._abandon)
        try:
            if journal is not None:
                self._queues.recorded = Recorded(os.fspath(journal.path), key)
            if least is not None:
                about = self._lanes, self._queues.say, self._to_come, self._lock
                self.elastic = Elastic(least, spec.batch_size or 1, *about)
                self.elastic.is_last = journal is not None
            self._lanes.begin()
        except BaseException:  # a work that cannot be pickled, say: leave nothing behind
            self.kill()
            raise

    @property
    def gone(self) -> dict[int, float]:
        """When workers that are not there any more ended, by their numbers."""
        return self._lanes.gone.copy()

    @property
    def present(self) -> int:
        """How many workers there are now, those that are being started among them."""
        with self._lock:
            return self.size if self._least is None else self._lanes.count

    @property
    def lookahead(self) -> int:
        """How many items all workers together look ahead."""
        return self.seen.lookahead(besides=self._lanes.gone)

    @property
    def recorded(self) -> Recorded | None:
        """What the journal has, if there is one."""
        return self._queues.recorded

    def _start_queue(self, number: int, before: int) -> Any:
        named = {"name": f"{self._options.queue_name}{before}"} if before else {}
        unit = self._spec.batch_size or 1
        peers = -(-self.size // self.queue_count) + self.queue_count  # the other queues and the caller too
        queue = actors.remote(Queue).options(**actor_options(peers), **named)
        if self._least is not None:
            there = max(self._least, self._lanes.count)
            return queue.remote(self._retry, unit, there, before=before, deaf=True, lanes=self.size)
        one_of = {"number": number, "queues": self.queue_count} if self.queue_count > 1 else {}
        return queue.remote(self._retry, unit, self.size, before=before, deaf=True, **one_of)

    def _start_worker(self, number: int) -> Any:
        queue, before = self._queues.given_to(number, self._lanes.lane(number))
        worker = actors.remote(Worker).options(**self._actor_options)
        return worker.remote(Shell, number, queue, self._spec, self._options, before)

    # Runs

    def open(self, run: RunPort, *, delays: bool = False, hold: bool = False) -> int:
        """Begin a run. Returns its number. Raises what has broken the crew, if it is broken.

        Args:
            run: which.
            delays: whether its source can have an item come again later.
            hold: whether it has more to say in a moment. Then it says when that was all: by `release`.
        """
        with self._lock:
            if self._error is not None:
                raise self._error
            number, self._next_run = self._next_run, self._next_run + 1
            self._runs[number] = run
            self.seen.forget_before(min(run.started for run in self._runs.values()))
            if hold:
                self._queues.hold()
            self._queues.say((m.OPEN, number, delays))
            return number

    def release(self) -> None:
        """A run that began with more to say has said it."""
        self._queues.release()

    def reserve(self, count: int) -> int:
        """Return the first of so many item numbers that nobody else has."""
        with self._lock:
            first, self._next_item = self._next_item, self._next_item + count
            return first

    def submit(
        self, run: int, first: int, payloads: list[Any], cause: str, known: list[Known] | None = None
    ) -> None:
        """Send items whose numbers are consecutive from `first` on. `known`: what a journal knows of each."""
        with self._lock:
            self._open_items += len(payloads)
        message = m.SUBMIT, run, first, payloads, cause
        self._queues.say(message if known is None else (*message, known))

    def unsent(self, entry: Entry, tries: list[Try]) -> None:
        """Record that an item has failed because it cannot be pickled."""
        with self._lock:
            self._unsaved += 1
        self._queues.say((m.UNSENT, entry, tries))

    def delivered(self, sink: str, places: tuple[Place, ...] | None, size: int | None) -> None:
        """Record that a sink was handed the ends of these items; None: that it begins anew."""
        with self._lock:
            self._unsaved += 1
        self._queues.say((m.DELIVERED, sink, places, size))

    def wait_saved(self) -> None:
        """Wait until all that was unsent or delivered is recorded. Raises what has broken the crew."""
        with self._heard:
            self._heard.wait_for(lambda: self._error or not self._unsaved)
            if self._error is not None:
                raise self._error

    def _to_come(self) -> tuple[int, bool]:
        runs = self._runs.values()
        return sum(run.unread for run in runs), bool(runs) and all(run.is_held_back for run in runs)

    def close_run(self, run: int) -> None:
        """No more items will come for this run."""
        self._queues.say((m.CLOSE, run))

    def share(self, run: int, hungry: int) -> None:
        """So many workers of other crews have nothing to compute, which take from the source of this run."""
        self._queues.say((m.SHARE, run, hungry))

    def cancel_run(self, run: int) -> None:
        """Forget what is unstarted of a run."""
        self._queues.say((m.CANCEL, run))
        with self._lock:
            self._was_cancelled = True
            is_open = run in self._runs  # it may have ended meanwhile
        if is_open:
            self._lanes.begin_grace(run)

    def cancel_all(self, besides: RunPort | None) -> None:
        """Cancel every run that is open, but for one."""
        with self._lock:
            runs = [run for run in self._runs.values() if run is not besides]
        for run in runs:
            run.cancel()

    def stop(self) -> None:
        """Let every worker finish what it runs and end; then end the queue. Waits for it.

        Every run has been closed or cancelled before. A run's end is waited for, but not for ever: it may
        depend on a source that does not return.
        """
        with self._heard:
            self._heard.wait_for(lambda: self._error or self._stopping or not self._runs, _SOURCE_PATIENCE)
            is_first, self._stopping = not self._stopping and self._error is None, True
            is_waited_for = self._error is None
            self._staff_stays()
            self._lanes.stop()
            if is_first:
                self._queues.stop()
        if is_first and self._was_cancelled:
            self._lanes.begin_grace(_ALL)
        try:
            if is_waited_for:
                self._lanes.wait()
                with self._heard:
                    self._heard.wait_for(
                        lambda: self._error or self._is_queueless or self._lanes.have_said_goodbye
                    )
                    self._heard.wait_for(lambda: self._error or not self._unsaved)
                if self.recorded is not None and self._error is None:
                    self.recorded.close()
                    self._queues.close_journal()
        finally:
            self.kill()

    def kill(self) -> None:
        """End every process of the crew at once."""
        with self._lock:
            self._stopping = True
            self._queues.close()
            runs = list(self._runs.values())
            self._runs.clear()
        self._unhook()
        if self.recorded is not None:
            self.recorded.close()
        if self.elastic is not None:
            self.elastic.close()
        self._lanes.close()
        self._queues.kill()
        for run in runs:  # nobody will hear of its end any more
            run.broke(RunError("the pool was closed before this run had ended"))

    def _staff_stays(self) -> None:
        if self.elastic is not None:
            self.elastic.stop()

    def _abandon(self) -> None:
        """The engine is about to end: what dies from now on is no accident."""
        self._break(RunError("the engine was shut down during a run; its unfinished items are lost"))

    def _break(self, error: BaseException, cause: BaseException | None = None) -> None:
        """Nothing goes on from here: tell every run. `cause`: what the error comes of, if not of itself."""
        if cause is not None:
            error.__cause__ = cause
        with self._heard:
            if self._error is not None:
                return
            self._error = error
            self._stopping = True
            self._queues.close()
            self._staff_stays()
            self._lanes.stop()
            self._heard.notify_all()
            runs = list(self._runs.values())
            self._runs.clear()
        for run in runs:
            run.broke(error)

    # What the queue says

    def received(self, message: m.Message) -> None:
        """See `QueuePort`."""
        kind, about, *rest = message
        if kind == m.UNRECORDED:
            self._break(JournalError(f"{about}; {KEPT}"))
        elif kind in _OF_A_RUN:
            self._heard_of_run(kind, about, rest)
        else:
            self._heard_of_crew(kind, about, rest)

    def _heard_of_crew(self, kind: str, about: Any, rest: list[Any]) -> None:
        with self._heard:
            if kind == m.TOTALS:
                self.seen.told(about, *rest)
            elif kind == m.TRACE:
                self.seen.traced(about, *rest)
            elif kind == m.OFFSET:
                self.seen.compared(about, Sample(*rest[0]))
            elif kind == m.BYE:
                self._lanes.goodbye(about)
                self._heard.notify_all()
            elif kind == m.SAVED:
                self._unsaved -= 1
                self._heard.notify_all()
            elif kind == m.JOINED and self.elastic is not None:
                self.elastic.joined(about)
            elif kind == m.STANDING and self.elastic is not None:
                self.elastic.heard(about, *rest)

    def _heard_of_run(self, kind: str, number: int, rest: list[Any]) -> None:
        with self._heard:
            run = self._runs.pop(number, None) if kind == m.ENDED else self._runs.get(number)
            if run is None:
                return  # the crew has ended meanwhile, and it was told
            if kind == m.ENDED:
                self._lanes.end_grace(number)
                self._heard.notify_all()
            if kind == m.OUTCOMES:
                state, items, payloads = *rest[:2], taken_out(rest[2])
                self._open_items -= len(items)
                self._queues.finished()
                self._lanes.ended(items, finished=_were_run(state, payloads))
        if kind == m.OUTCOMES:
            run.items_ended(state, items, payloads)
        elif kind == m.STARVED:
            run.starved()
        else:
            run.ended()

    # What becomes of queue and workers

    def returning(self) -> tuple[int, ...]:
        """See `QueuePort`."""
        return self._lanes.returning()

    def queueless(self) -> None:
        """See `QueuePort`."""
        with self._heard:
            self._unsaved = 0  # `stop` need not wait for it any more, nor for goodbyes
            self._is_queueless = True
            self._heard.notify_all()
        if self.recorded is not None:
            self._lanes.kill_all()  # they would wait for another queue

    def lost(
        self, number: int, error: Exception, items: tuple[int, ...] | None, loading: tuple[int, ...]
    ) -> None:
        """See `LanesPort`."""
        self._queues.say((m.LOST, number, dumps_error(error), items, loading))
        self._heard.notify_all()  # `stop` may wait for its goodbye

    def cannot_begin(self, error: BaseException) -> None:
        """See `LanesPort`."""
        self._break(error)

    def gave_up(self, said: str, error: BaseException) -> None:
        """See `QueuePort` and `LanesPort`."""
        if self.recorded is not None:
            kept = "what is recorded is safe, and the next run with this journal goes on from there"
        else:
            lost = words.plural(self._open_items, "item")
            are = "is" if self._open_items == 1 else "are"
            kept = f"{lost} that had not ended {are} lost, results that came before are safe"
        self._break(RunError(f"{said}: {kept} ({error})"), error)


#: What the queue says about a run; the rest is about itself and the workers.
_OF_A_RUN: Final = frozenset({m.OUTCOMES, m.STARVED, m.ENDED})


def _were_run(state: str, payloads: list[Any]) -> bool:
    """Whether a worker has come to the end of one of these."""
    if state == State.DEAD.value:
        return any(tries[-1].began is not None for tries in payloads)
    return bool(payloads)  # results, or until when they were put off
