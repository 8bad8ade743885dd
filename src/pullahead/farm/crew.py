"""The caller's side of one queue and its workers: starts them, talks to the queue, replaces the lost.

One outbox and one `Caller` serve every run of the crew. What the queue says about a run is handed to that
run; the rest (sums, spans, goodbyes) is kept here.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import replace
from functools import partial
from heapq import heappop, heappush
from threading import Condition, RLock, Thread
from time import monotonic
from typing import Any, Final, Protocol, final

from pullahead import actors
from pullahead.actors.failures import dumps_error
from pullahead.core import messages as m
from pullahead.core.exchange import Caller
from pullahead.core.items import State
from pullahead.core.meter import WorkerTotals
from pullahead.core.replacements import Replacements
from pullahead.core.retry import RetryPolicy
from pullahead.core.trace import Span
from pullahead.errors import ActorDiedError, ItemTimeoutError, JournalError, RunError
from pullahead.farm.alarm import Alarm
from pullahead.farm.failure import Try
from pullahead.farm.machine import thread_share
from pullahead.farm.note import charged
from pullahead.farm.queue import Queue
from pullahead.farm.recorded import Recorded
from pullahead.farm.recording import Known
from pullahead.farm.told import Told
from pullahead.farm.work import WorkSpec
from pullahead.farm.worker import Worker, WorkerOptions
from pullahead.journal import Journal
from pullahead.journal.identity import Place
from pullahead.journal.records import Entry
from pullahead.observe import words

#: Whose grace begins when all workers are told to stop; runs count from 0.
_ALL: Final = -1
#: Deaths of queues, without one item that ended between them, after which none is replaced any more.
_MOST_DEATHS: Final = 5
#: Seconds that a source may take to notice that nobody wants its items any more.
_SOURCE_PATIENCE: Final = 10.0


class RunPort(Protocol):
    """What the crew tells a run. Called on the engine's thread: must not wait."""

    started: float  # what was recorded before that is none of its business

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
    """One queue actor and its workers. See the module.

    Args:
        spec: the work.
        workers: how many, at least 1.
        options: how a worker works.
        actor_options: options of the worker actors, as the engine takes them.
        retry: what happens to failed items.
        grace: seconds that what runs may still take once its run was cancelled, or its worker told to stop.
        journal: where the one run of this crew is recorded.
        key: what names its items in there; None: their positions do.
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
    ) -> None:
        self.size = workers
        self._retry = retry
        self._journal = journal
        self._told = None if journal is None else Told()
        self._before = 0  # queues that died, in whose place others are
        self._deaths = 0  # of queues, since something has ended
        self._is_alone = False  # the queue died, and there is no other one yet
        self._is_queueless = False  # it died when everything had ended: there will be no other one
        self.recorded: Recorded | None = None
        self.totals: dict[int, WorkerTotals] = {}
        self.trace: dict[int, list[Span]] = {}
        self._lock = RLock()
        self._heard = Condition(self._lock)
        self._caller = Caller()
        self._outbox: list[m.Message] = []
        self._runs: dict[int, RunPort] = {}
        self._next_run = self._next_item = 0
        self._unsaved = 0  # what only the journal is to know, and is not on disk as far as is known
        self._open_items = 0  # sent to the queue, and not ended as far as it has said
        self._stopping = self._killed = False
        self._error: BaseException | None = None
        self._replacements = Replacements(workers)
        self._due: list[tuple[float, int]] = []  # a heap: when a lane gets its next worker
        self._alarm = Alarm(self._ring, "pullahead-crew-alarm")
        self._grace = grace
        self._was_cancelled = False  # an orderly end waits as long as it takes
        # Of cancelled runs; and of all, once workers were told to stop.
        self._grace_ends: dict[int, float] = {}
        self._cut_off: set[int] = set()  # workers that were killed because it had ended
        self._said_goodbye: set[int] = set()
        self._replaced = [0] * workers  # how often, by lane
        self._spec, self._options = spec, options
        self._key = key
        environment = thread_share(workers) | actor_options.get("runtime_env", {}).get("env_vars", {})
        runtime_env = actor_options.get("runtime_env", {}) | {"env_vars": environment}
        self._actor_options = actor_options | {"runtime_env": runtime_env}
        if options.item_timeout is not None:
            self._actor_options["time_limit"] = options.item_timeout
        self._queue: Any = self._first_queue()
        self._unhook = actors.before_shutdown(self._abandon)
        self._workers: dict[int, Any] = {}
        self._ends: dict[int, Future[None]] = {}
        try:
            if journal is not None:
                self.recorded = Recorded(os.fspath(journal.path), key)
            for lane in range(workers):
                self._start_worker(lane)
        except BaseException:  # a work that cannot be pickled, say: leave nothing behind
            self.kill()
            raise

    def _first_queue(self) -> Any:
        while True:
            try:
                return self._new_queue()
            except ActorDiedError as error:  # while it opened its journal: nothing is lost with it
                self._deaths += 1
                if self._journal is None or self._deaths > _MOST_DEATHS:
                    raise RunError(f"no queue lived to begin this run: {error}") from error
                self._before += 1

    def _new_queue(self) -> Any:
        """Start a queue, whose journal is open. Raises `JournalError`, or `ActorDiedError`."""
        named = {"name": f"{self._options.queue_name}{self._before}"} if self._before else {}
        unit = self._spec.batch_size or 1
        queue = (
            actors.remote(Queue).options(**named).remote(self._retry, unit, self.size, before=self._before)
        )
        if self._journal is not None:
            places = "position" if self._key is None else "key"
            try:
                actors.get(
                    queue.open_journal.remote(self._journal, self._spec.full_name, places, os.getpid())
                )
            except BaseException:
                actors.kill(queue)
                raise
            self._journal = replace(
                self._journal, retry_failed=False
            )  # what fails now has failed in this run
        return queue

    # Runs

    def open(self, run: RunPort) -> int:
        """Begin a run. Returns its number. Raises what has broken the crew, if it is broken."""
        with self._lock:
            if self._error is not None:
                raise self._error
            number, self._next_run = self._next_run, self._next_run + 1
            self._runs[number] = run
            since = min(run.started for run in self._runs.values())
            for lane, spans in self.trace.items():
                self.trace[lane] = [span for span in spans if span.end >= since]
            self._say((m.OPEN, number))
            return number

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
        self._say(message if known is None else (*message, known))

    def unsent(self, entry: Entry, tries: list[Try]) -> None:
        """Record that an item has failed because it cannot be pickled."""
        with self._lock:
            self._unsaved += 1
        self._say((m.UNSENT, entry, tries))

    def delivered(self, sink: str, places: tuple[Place, ...] | None, size: int | None) -> None:
        """Record that a sink was handed the ends of these items; None: that it begins anew."""
        with self._lock:
            self._unsaved += 1
        self._say((m.DELIVERED, sink, places, size))

    def wait_saved(self) -> None:
        """Wait until all that was unsent or delivered is recorded. Raises what has broken the crew."""
        with self._heard:
            self._heard.wait_for(lambda: self._error or not self._unsaved)
            if self._error is not None:
                raise self._error

    def close_run(self, run: int) -> None:
        """No more items will come for this run."""
        self._say((m.CLOSE, run))

    def cancel_run(self, run: int) -> None:
        """Forget what is unstarted of a run."""
        self._say((m.CANCEL, run))
        self._was_cancelled = True
        self._begin_grace(run)

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
        with self._lock:
            is_first, self._stopping = not self._stopping and self._error is None, True
            ends = list(self._ends.values())
            if is_first:
                self._say((m.STOP,))
        if is_first:
            self._begin_grace(_ALL)
        try:
            if self._error is None:
                wait(ends)
                with self._heard:
                    self._heard.wait_for(
                        lambda: self._error or self._is_queueless or self._ends.keys() <= self._said_goodbye
                    )
                    self._heard.wait_for(lambda: self._error or not self._unsaved)
                self._close_journal()
        finally:
            self.kill()

    def _close_journal(self) -> None:
        if self.recorded is not None and self._error is None:
            self.recorded.close()
            with suppress(ActorDiedError):  # at this moment: nothing is lost with it
                actors.get(self._queue.close_journal.remote())

    def kill(self) -> None:
        """End every process of the crew at once."""
        with self._lock:
            self._stopping = self._killed = True
            handles = [*self._workers.values(), self._queue]
            self._workers.clear()
            self._ends.clear()
        self._unhook()
        self._alarm.stop()
        if self.recorded is not None:
            self.recorded.close()
        for handle in handles:
            actors.kill(handle)
        with self._lock:
            runs = list(self._runs.values())
            self._runs.clear()
        for run in runs:  # nobody will hear of its end any more
            run.broke(RunError("the pool was closed before this run had ended"))

    def _abandon(self) -> None:
        """The engine is about to end: what dies from now on is no accident."""
        self._break(RunError("the engine was shut down during a run; its unfinished items are lost"))

    def _lane(self, number: int) -> int:
        """Return the place of a worker: who replaces another one has its number and so many more."""
        return number % self.size

    # Talking to the queue

    def _say(self, *messages: m.Message) -> None:
        with self._lock:
            self._outbox.extend(messages)
            if self._told is not None:
                for message in messages:
                    self._told.said(message)
            if self._caller.may_send and self._error is None:
                self._send()

    def _send(self) -> None:
        messages, self._outbox = self._outbox, []
        self._caller.called(monotonic())
        call = self._queue.exchange.remote(m.CALLER, messages)
        call.future().add_done_callback(partial(self._answered, self._before))

    def _answered(self, before: int, call: Future[list[m.Message]]) -> None:
        # The messages are handled without the lock, because users hear of some of them. They stay in order
        # because the engine runs one callback at a time, in the order of the answers.
        error = call.exception()  # of a call to a queue that was killed at the end, this is nobody's news
        if error is not None:
            self._queue_ended(error, before)
            return
        with self._lock:
            self._caller.answered()
            if self._error is None and (self._outbox or self._caller.must_send):
                self._send()
        for message in call.result():
            self._received(message)

    def _received(self, message: m.Message) -> None:
        kind, about, *rest = message
        if kind == m.UNRECORDED:
            self._break(
                JournalError(f"{about}; what was recorded before is safe, the rest is computed again")
            )
            return
        with self._heard:
            if self._error is not None or self._killed:
                return  # every run was told, or is about to be; there is nobody left to tell
            if self._told is not None:
                self._told.heard(message)
            if kind == m.TOTALS:
                (totals,) = rest
                totals.worker = self._lane(about)
                self.totals[about] = totals
                return
            if kind == m.TRACE:
                (spans,) = rest
                self.trace.setdefault(self._lane(about), []).extend(spans)
                return
            if kind == m.BYE:
                self._said_goodbye.add(about)
                self._heard.notify_all()
                return
            if kind == m.SAVED:
                self._unsaved -= 1
                self._heard.notify_all()
                return
            if kind == m.OUTCOMES:
                self._open_items -= len(rest[1])
                self._deaths = 0
            run = self._runs.pop(about) if kind == m.ENDED else self._runs[about]
            if kind == m.ENDED:
                self._grace_ends.pop(about, None)
                self._heard.notify_all()
        if kind == m.OUTCOMES:
            state, items, payloads = rest
            self._replacements.ended(items)
            if state == State.DONE.value or any(tries[-1].began is not None for tries in payloads):
                self._replacements.finished()
            run.items_ended(state, items, payloads)
        elif kind == m.STARVED:
            run.starved()
        else:
            run.ended()

    # Life and death

    def _start_worker(self, lane: int) -> None:
        with self._lock:
            number = lane + self._replaced[lane] * self.size
            self._replaced[lane] += 1
            before = self._before - self._is_alone  # of the queue that it is given, which may be dead
            handle = (
                actors.remote(Worker)
                .options(**self._actor_options)
                .remote(number, self._queue, self._spec, self._options, before)
            )
            self._workers[number] = handle
            self._ends[number] = end = handle.run.remote().future()
        end.add_done_callback(partial(self._worker_ended, number))

    def _worker_ended(self, number: int, end: Future[None]) -> None:
        error = end.exception()
        if number in self._said_goodbye:
            if error is not None and not isinstance(error, ActorDiedError):
                warnings.warn(f"`close` of the work raised {error!r} in worker {number}", stacklevel=2)
        elif error is not None and self._error is None and not self._killed:
            if isinstance(error, ActorDiedError):
                self._replace(number, error)
            else:
                self._break(error)  # its constructor raised: every other worker's would, too

    def _replace(self, number: int, error: ActorDiedError) -> None:
        with self._lock:
            if self._killed:
                return
            del self._workers[number], self._ends[number]
            was_cut_off = number in self._cut_off
            items = () if was_cut_off else charged(error.note, error.overdue)
            killed = was_cut_off or error.overdue is not None
            delay = self._replacements.died(self._lane(number), items or (), killed=killed)
            if delay is not None:
                self._say((m.LOST, number, dumps_error(self._blamed(error)), items))
                heappush(self._due, (monotonic() + delay, self._lane(number)))
                self._heard.notify_all()  # `stop` may wait for its goodbye
        if delay is not None:
            self._ring()
            return
        self._break(
            RunError(
                f"{self._replacements.deaths} workers died one after the other, and none finished an item: "
                "nothing that was yielded before is lost, the items that were unfinished are. "
                f"The last one: {error}"
            ),
            error,
        )

    def _blamed(self, error: ActorDiedError) -> Exception:
        """Return what ends the attempts that a death is charged to."""
        if error.overdue is not None:
            limit = self._options.item_timeout
            return ItemTimeoutError(f"it took longer than item_timeout={limit:g}: its worker was killed")
        error.__traceback__ = None  # where it was found out is no news
        return error

    def _ring(self) -> None:
        """Do what is due: start workers in the place of others, kill those that had their grace."""
        failed: Exception | None = None
        with self._lock:
            now = monotonic()
            while self._due and self._due[0][0] <= now and not self._stopping:
                _, lane = heappop(self._due)
                try:
                    self._start_worker(lane)
                except Exception as error:  # noqa: BLE001  no more files, say: nobody else would hear of it
                    failed = error
            is_over = [key for key, ends in self._grace_ends.items() if ends <= now]
            for key in is_over:
                del self._grace_ends[key]
            overdue = self._workers.copy() if is_over else {}
            self._cut_off.update(overdue)
            starts = [self._due[0][0]] if self._due and not self._stopping else []
            self._alarm.set(min([*starts, *self._grace_ends.values()], default=None))
        for handle in overdue.values():
            actors.kill(handle)
        if failed is not None:
            self._break(RunError(f"a worker that died could not be replaced: {failed}"), failed)

    def _begin_grace(self, key: int) -> None:
        with self._lock:
            if key in self._runs or (key == _ALL and self._was_cancelled):  # a run may have ended meanwhile
                self._grace_ends.setdefault(key, monotonic() + self._grace)
        self._ring()

    def _queue_ended(self, error: BaseException, before: int) -> None:
        with self._heard:
            if before != self._before or self._is_alone:
                return  # that is known
            if self._stopping:
                self._unsaved = 0  # `stop` need not wait for it any more, nor for goodbyes
                self._is_queueless = True
                self._heard.notify_all()
                for handle in self._workers.values() if self._told is not None else ():
                    actors.kill(handle)  # they would wait for another queue
                return
            self._deaths += 1
            if self._told is not None and isinstance(error, ActorDiedError) and self._deaths <= _MOST_DEATHS:
                self._is_alone = True
                self._caller.lost()
                self._before += 1
                Thread(target=self._replace_queue, name="pullahead-replace-queue", daemon=True).start()
                return
        if self._told is None:
            lost = words.plural(self._open_items, "item")
            said = (
                f"the queue is gone, and with it {lost} that had not ended; results that came before are safe"
            )
        else:
            said = (
                f"{self._deaths} queues died one after the other, and nothing ended between them; what is "
                "recorded is safe, and the next run with this journal goes on from there"
            )
        self._break(RunError(f"{said}: {error}"), error)

    def _replace_queue(self) -> None:
        """Let another queue go on where the one that died was, with the same journal and workers."""
        assert self._told is not None
        assert self.recorded is not None
        try:
            queue = self._new_queue()
            with self._lock:  # the feeder goes on submitting
                ends = self._told.look_up(self.recorded)
            for message in ends:
                self._received(message)
            with self._lock:
                if self._killed:
                    actors.kill(queue)
                    return
                self._queue, self._caller, self._is_alone = queue, Caller(), False
                # A worker may have come back before it died: the others that died are unknown there.
                lost = [message for message in self._outbox if message[0] == m.LOST]
                self._outbox = self._told.again(tuple(self._workers)) + lost
                if self._stopping:
                    self._outbox.append((m.STOP,))
                self._send()
        except ActorDiedError as error:  # this one, too
            with self._lock:
                self._is_alone = False
            self._queue_ended(error, self._before)
        except Exception as error:  # noqa: BLE001  no more processes, say: nobody else would hear of it
            said = "the queue died and could not be replaced; what is recorded is safe"
            self._break(RunError(f"{said}: {error}"), error)

    def _break(self, error: BaseException, cause: BaseException | None = None) -> None:
        """Nothing goes on from here: tell every run. `cause`: what the error comes of, if not of itself."""
        if cause is not None:
            error.__cause__ = cause
        with self._lock:
            if self._error is not None:
                return
            self._error = error
            self._stopping = True
            self._heard.notify_all()
            runs = list(self._runs.values())
            self._runs.clear()
        for run in runs:
            run.broke(error)
