"""The public face: `map`, `run` and `Pool`."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import fields, replace
from threading import Lock, Thread
from time import monotonic, time
from traceback import format_exception
from types import TracebackType
from typing import Any, Final, Self, final
from weakref import ReferenceType, ref

from pullahead.actors.failures import loads_error
from pullahead.core.meter import WorkerTotals
from pullahead.core.trace import Span
from pullahead.errors import RemoteTraceback
from pullahead.farm.crew import Crew
from pullahead.farm.delivery import Delivery
from pullahead.farm.failure import Attempt, Failure, Try, brief, tried
from pullahead.farm.machine import usable_cores
from pullahead.farm.options import Options
from pullahead.farm.payload import unpack
from pullahead.farm.run import DONE, Outcome, Run
from pullahead.farm.submissions import Submissions
from pullahead.journal import Journal
from pullahead.journal.identity import Place
from pullahead.observe.progress import watcher
from pullahead.observe.report import Report
from pullahead.sources import Source, as_sink, as_source, total_hint

#: Seconds between two looks at a run for its progress.
_PROGRESS_EVERY: Final = 0.2


def map(work: Any, items: Any, **options: Any) -> Results:
    """Run `work` on every item, on all cores, and iterate over the results.

    Work starts when `map` is called, not when it is iterated. Workers pull their next items while they
    compute; `items` is read as results are taken, so that it may be endless.

    Args:
        work: a function of one item; or a class (or a `functools.partial` of one) that is built once in each
            worker and has `process(loaded)` and, if it wants, `load(item)`, `store(result, item)`,
            `discard(loaded)` and `close()`.
        items: any iterable; not a `str`, `bytes` or mapping.
        workers: processes; None is one per core that this process may use.
        ordered: results in the order of the items. At most some thousand can wait for a slow one.
        pairs: iterate over (item, result) instead of results.
        lookahead: how many items a worker holds beyond the one that it computes. "auto" finds it; a number
            fixes it; 0 asks when idle.
        batch_size: with N, `process` gets a list of up to N loaded items and returns a list as long. If it
            raises, halves of the list are tried, with items loaded anew, until what raises is alone.
        batch_wait: seconds that a batch which is not full waits for more items.
        load, store: for a plain function: `load(item)` runs ahead of it and `store(result, item)` behind it,
            several at a time, both while it computes. May be `async def`. `load` may happen in two workers
            for one item, so it must not claim anything. What `store` returns is the recorded result.
        load_concurrency: loads (and stores) at a time in one worker; "auto" is what the lookahead holds.
        on_error: "raise" raises the work's own exception at the item's turn and ends the run; "collect"
            yields a `Failure` in place of the result.
        retries: how often an item that failed is tried again. What failed to be stored is stored again,
            without computing again.
        retry_on: exception types that are worth another attempt, one or a tuple; whatever else the work
            raises ends its item at once. That a worker died or an item took too long always is.
        item_timeout: seconds that each of the steps of an item (load, process, store) may take, and a batch
            so many times as long as it has items. What takes longer has failed with `ItemTimeoutError`, and
            its worker is replaced; whatever else was there runs elsewhere, at no attempt. A constructor,
            `discard` and `close` may take as long as they like.
        grace: seconds that what runs may still take once the run was cancelled or left early. What takes
            longer is killed, and is left: it has neither a result nor a failure.
        journal: a path, or a `pullahead.journal.Journal`: a file in which every end of an item is recorded
            before anybody hears of it. The same call again goes on where it was: what has ended comes from
            the journal, the rest is computed. Items are known by their position; where the input changes,
            give them a key.
        key: a function of an item that returns its name, a text or a number, for the journal.
        trace: record what every worker did, for `report.timeline`.
        progress: True shows a line on standard error if that is a terminal; a function is called with a
            `Report` now and then.
        worker_options: options of the worker actors, for example `{"num_gpus": 1}`.

    Returns:
        An iterator with `.report` (live) and `.close()`; also a context manager. Leaving it early gives back
        what is held, finishes what runs and discards those results.

    Raises:
        TypeError, ValueError: wrong arguments, at once.
        Exception: of the work, of its constructor, or of `items`, at their turn.
        RunError: the run cannot go on; the message says what is lost.
        JournalError: the journal cannot be used, or is of another work.
    """
    source, total = as_source(items), total_hint(items)
    pool = Pool(work, **options)
    return pool._begin(source, total, pool._options, owner=True)


def run(work: Any, source: Any, sink: Any = None, **options: Any) -> Report:
    """Run `work` on everything in `source`, hand each result to `sink(result, item)`, and return the report.

    The sink is called in this thread, one result at a time, in order unless `ordered=False`. Items that fail
    come to it as `Failure` (`on_error` is "collect" here). A KeyboardInterrupt gives back what is held,
    finishes what runs, hands it to the sink, and is raised again with the report as its `report`.

    Args:
        work, options: as for `map`.
        source: any iterable, or a `pullahead.sources` source.
        sink: a function of (result, item), or None.
    """
    _check_run_options(options)
    with Pool(work, **options) as pool:
        results = pool._run(source, sink, {})
    return results.report  # now that every worker has said goodbye, nothing is missing in it


@final
class Pool:
    """Workers that are built once and used many times. Options are those of `map`.

    `map`, `run` and `submit` may be used side by side and from several threads. Leaving the `with` block
    finishes what runs and ends the workers.
    """

    def __init__(self, work: Any, **options: Any) -> None:
        self._closed = True  # until there is something to close
        self._options = Options.of(options)
        spec = self._options.spec(work)
        self._name = spec.name
        actor_options = dict(self._options.worker_options or {})
        self._crew = Crew(
            spec,
            self._options.worker_count,
            self._options.worker(),
            actor_options,
            self._options.retry(),
            float(self._options.grace),
            Journal.of(self._options.journal),
            self._options.key,
        )
        self._begun = False  # a map or a run
        self._lock = Lock()
        self._closed = False
        self._submissions: Submissions | None = None
        self._started = monotonic()
        self._last: ReferenceType[Results] | None = None
        self._final: Report | None = None  # of the last `map` or `run` that has ended

    def map(self, items: Any, **options: Any) -> Results:
        """As `pullahead.map`; only `ordered`, `pairs`, `on_error` and `progress` are options here."""
        chosen = self._chosen(options)
        return self._begin(as_source(items), total_hint(items), chosen, owner=False)

    def run(self, source: Any, sink: Any = None, **options: Any) -> Report:
        """As `pullahead.run`."""
        return self._run(source, sink, options).report

    def _run(self, source: Any, sink: Any, options: dict[str, Any]) -> Results:
        _check_run_options(options)
        deliver = Delivery(sink, as_sink(sink), self._crew)
        results = self.map(source, on_error="collect", pairs=True, **options)
        try:
            _drain_into(results, deliver)
        except KeyboardInterrupt as interrupt:
            results.cancel()
            _drain_into(results, deliver)
            interrupt.report = results.report  # type: ignore[attr-defined]
            raise
        except BaseException:
            deliver.break_off()
            results.close()
            raise
        return results

    def submit(self, item: Any) -> Future[Any]:
        """Run the work on one item. The future gets its result or its exception."""
        if self._crew.recorded is not None:
            raise RuntimeError(
                "a pool with a journal has one map or run, which is recorded; it has no submit"
            )
        with self._lock:
            self._check_open()
            if self._submissions is None:
                self._submissions = Submissions(self._crew)
        return self._submissions.submit(item)

    def drain(self) -> None:
        """Take no more items; give back what is held and finish what runs. Does not wait. From any thread."""
        self._crew.cancel_all(besides=self._submissions)

    @property
    def report(self) -> Report:
        """The report of the last `map` or `run`; of the pool as a whole before the first."""
        last = None if self._last is None else self._last()
        if last is not None:
            return last.report
        if self._final is not None:
            return self._final
        submitted = self._submissions
        return Report(
            workers=list(self._crew.totals.values()),
            done=submitted.done if submitted else 0,
            failed=submitted.failed if submitted else 0,
            left=submitted.open if submitted else 0,
            seconds=monotonic() - self._started,
            started=self._started,
            trace=dict(self._crew.trace) if self._options.trace else None,
            title=self._name,
            fixed_lookahead=_fixed(self._options),
            cores=usable_cores(),
            batch_size=self._options.batch_size or 0,
        )

    def close(self) -> None:
        """Finish what runs, then end the workers. Waits for it. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        try:
            self._crew.cancel_all(besides=self._submissions)
            if self._submissions is not None:
                self._submissions.close()
        finally:
            self._crew.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._closed and not sys.is_finalizing():
            self._closed = True
            # As for `Results`: the garbage collector may be anywhere, so nothing is done here.
            Thread(target=self._crew.kill, name="pullahead-kill").start()
            warnings.warn(f"a Pool of {self._name} was never closed", ResourceWarning, stacklevel=2)

    def _begin(self, source: Source, total: int | None, options: Options, *, owner: bool) -> Results:
        if self._begun and self._crew.recorded is not None:
            raise RuntimeError("a journal is of one map or run, which this pool has had; make another pool")
        self._begun = True
        if self._crew.recorded is not None:  # a failure that is raised ends the run, and not only its item
            self._crew.recorded.tries_failed = options.on_error == "raise"
        run = Run(self._crew, source, ordered=options.ordered, unit=options.unit)
        results = Results(run, options, self, total, owner=owner)
        self._last = ref(results)  # a loop that is left drops its results, and that must end them
        return results

    def _chosen(self, options: dict[str, Any]) -> Options:
        self._check_open()
        allowed = {"ordered", "pairs", "on_error", "progress"}
        unknown = sorted(set(options) - allowed)
        if unknown:
            names = {field.name for field in fields(Options)}
            why = "is an option of the Pool itself" if unknown[0] in names else "is unknown"
            raise TypeError(f"{unknown[0]}: {why}; one map of a pool takes {', '.join(sorted(allowed))}")
        return replace(self._options, **options)

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the pool is closed")


@final
class Results(Iterator[Any]):
    """What `map` returns: an iterator over results that knows its report."""

    def __init__(self, run: Run, options: Options, pool: Pool, total: int | None, *, owner: bool) -> None:
        self._run = run
        self._options = options
        self._pool = pool
        self._owner = owner  # of the pool, which then ends with this iterator
        self._total = total
        self._baseline = {name: replace(one) for name, one in pool._crew.totals.copy().items()}
        self._outcomes: deque[Outcome] = deque()
        self.place: Place | None = None  # of the last result, in the journal
        self._progress = watcher(options.progress, total)
        self._kept_trace: dict[int, list[Span]] | None = None
        self._closed = False

    @property
    def report(self) -> Report:
        """What happened so far."""
        run, crew = self._run, self._pool._crew
        end = run.finished or monotonic()
        before = self._baseline
        totals = [
            _within(run.started, end, one, before.get(name)) for name, one in crew.totals.copy().items()
        ]
        known = run.read if run.source_ended else self._total
        return Report(
            workers=totals,
            done=run.done,
            failed=run.failed,
            left=(run.read if known is None else known) - run.done - run.failed,
            returned=run.returned,
            recorded=run.recorded,
            absent=run.absent,
            total=known,
            seconds=end - run.started,
            started=run.started,
            trace=self._trace() if self._options.trace else None,
            title=self._pool._name,
            fixed_lookahead=_fixed(self._options),
            cores=usable_cores(),
            batch_size=self._options.batch_size or 0,
        )

    def _trace(self) -> dict[int, list[Span]]:
        """What was recorded since this run began, of which its pool forgets all when another one begins."""
        if self._kept_trace is not None:
            return self._kept_trace
        since = self._run.started
        return {
            lane: [span for span in spans if span.end >= since]
            for lane, spans in self._pool._crew.trace.copy().items()
        }

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        while not self._outcomes:
            if self._closed:
                raise StopIteration
            self._fill()
        item, state, payload, self.place = self._outcomes.popleft()
        result = self._result(item, payload) if state == DONE else self._failure(item, payload)
        return (item, result) if self._options.pairs else result

    def _result(self, item: Any, payload: Any) -> Any:
        try:
            return unpack(payload)
        except Exception as error:  # noqa: BLE001  a class that cannot be imported here: this item's failure
            self._run.spoiled()
            error.add_note("the work returned a result that cannot be unpickled in this process")
            last = Attempt(error, "".join(format_exception(error)), None, None, time())
            return self._failed(Failure(item, (last,), 1))

    def cancel(self) -> None:
        """Take no more items; what runs is finished within its `grace` and can still be iterated over."""
        self._run.cancel()

    def close(self) -> None:
        """Give back what is held, finish what runs within its `grace`, discard its results. Waits for it."""
        if self._closed:
            return
        self._closed = True
        self._outcomes.clear()
        self._drain()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Dropped before its end: a loop that was left by `break`. What runs must still be finished, and that
        # takes time which a destructor must not take; a thread that the interpreter waits for has it.
        # The garbage collector may call this on any thread, with any lock held: so all of it happens there.
        if not getattr(self, "_closed", True) and not sys.is_finalizing():
            self._closed = True
            Thread(target=self._drain, name="pullahead-drain").start()

    def _drain(self) -> None:
        try:
            self._run.cancel()
            self._run.wait_ended()
        finally:
            self._finish()

    def _fill(self) -> None:
        """Wait for outcomes; ends this iterator when there are no more."""
        try:
            patience = None if self._progress is None else _PROGRESS_EVERY
            outcomes = self._run.take(patience)
        except Exception:
            self._closed = True
            self._finish()
            raise
        if self._progress is not None:
            self._progress.update(self.report)
        if outcomes is None:
            self._closed = True
            self._finish()
        else:
            self._outcomes.extend(outcomes)

    def _finish(self) -> None:
        if self._owner:
            self._pool.close()
        if self._options.trace:
            self._kept_trace = self._trace()
        self._pool._final = self.report
        if self._progress is not None:
            self._progress.update(self.report)
            self._progress.close()

    def _failure(self, item: Any, payload: Any) -> Failure:
        history = tuple(self._attempt(one) for one in payload)
        return self._failed(Failure(item, history, sum(one.worker is not None for one in history)))

    def _attempt(self, failed: Try) -> Attempt:
        error = loads_error(failed.error)
        cause = error.__cause__
        text = cause.text if isinstance(cause, RemoteTraceback) else ""
        return Attempt(error, text, failed.worker, failed.began, failed.ended)

    def _failed(self, failure: Failure) -> Failure:
        """Return the failure as a value, or raise it and end the run."""
        if self._options.on_error == "collect":
            return failure
        error = failure.error
        with contextlib.suppress(AttributeError):  # an exception class may refuse notes
            error.add_note(
                f"pullahead: while working on item {brief(failure.item)}, {tried(failure.attempts)}"
            )
        self.close()
        if isinstance(error, StopIteration):  # raised from `__next__`, it would end the loop without a word
            raise RuntimeError(f"the work raised StopIteration: {error!r}") from error
        raise error


def _check_run_options(options: dict[str, Any]) -> None:
    for name in ("on_error", "pairs"):
        if name in options:
            raise TypeError(
                f"{name}: not an option of `run`, whose sink gets every result with its item, and a Failure "
                "in place of the result of an item that failed"
            )


def _fixed(options: Options) -> int | None:
    return None if isinstance(options.lookahead, str) else options.lookahead


def _drain_into(results: Results, deliver: Delivery) -> None:
    for item, result in results:
        deliver(result, item, results.place)
    deliver.finish()


def _within(start: float, end: float, now: WorkerTotals, before: WorkerTotals | None) -> WorkerTotals:
    """Return the sums of one run of a pool: those since its start, and idle from its last work to its end."""
    if before is None:
        return now
    stalls = {cause: seconds - before.stalls.get(cause, 0.0) for cause, seconds in now.stalls.items()}
    sums = ("items", "useful", "cpu", "communication", "hidden", "exposed", "fetches", "messages")
    return replace(
        now,
        started=start,
        stalls=stalls,
        tail=max(0.0, end - now.ended),
        **{name: getattr(now, name) - getattr(before, name) for name in sums},
    )
