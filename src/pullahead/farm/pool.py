"""What the user calls: `map`, `run` and `Pool`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import fields, replace
from threading import Lock, Thread
from time import monotonic
from types import TracebackType
from typing import Any, Self, final
from weakref import ReferenceType, ref

from pullahead.errors import ResultError
from pullahead.farm.crew import Crew
from pullahead.farm.delivery import Delivery
from pullahead.farm.failure import Failure
from pullahead.farm.interrupts import Interrupts, of_a_run
from pullahead.farm.machine import usable_cores
from pullahead.farm.options import Options
from pullahead.farm.relay import Relay
from pullahead.farm.results import Results
from pullahead.farm.run import Run
from pullahead.farm.submissions import Submissions
from pullahead.journal import Journal
from pullahead.observe.report import Report
from pullahead.sources import Source, as_sink, as_source, is_address, open_sink, total_hint


def map(work: Any, items: Any, **options: Any) -> Results:
    """Run `work` on every item, on all cores, and iterate over the results.

    Work starts when `map` is called, not when it is iterated. Workers pull their next items while they
    compute; `items` is read as results are taken, so that it may be endless.

    Args:
        work: a function of one item; or a class (or a `functools.partial` of one) that is built once in each
            worker and has `process(loaded)` and, if it wants, `load(item)`, `store(result, item)`,
            `discard(loaded)` and `close()`.
        items: any iterable, or a live queue: a `pullahead.sources` source, or the address of one, such as
            "redis://host/0?stream=jobs&group=g"; not any other `str`, `bytes` or mapping. An item of a live
            queue is acknowledged when the loop asks for the result after its own.
        workers: processes; None is one per core that this process may use. With (least, most) they come and
            go: at first there are the least, more are started while what is to be done keeps all of them busy
            for longer than starting one takes, and whoever is idle for some seconds is ended, so that its
            cores, or its node of a cluster, are free.
        ordered: results in the order of the items, at most 32,768 of which can wait for a slow one;
            None: where the items have an order. A live queue has none.
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
        trace: record what every worker did, for `report.timeline`. What workers on several machines did is
            lined up; how well is the report's `clock_uncertainty`.
        progress: True shows a line on standard error if that is a terminal; a function is called with a
            `Report` now and then.
        worker_options: options of the worker actors, for example `{"num_gpus": 1}`. On a cluster, workers
            that come and go hold one CPU each, unless this says otherwise or asks for GPUs.
        queues: queue actors that share the workers, and help each other out. On Ray, one is enough for about
            300 workers whose items take a second each, or 3,000 whose items take ten (see docs/design.md).
            Not with a journal, which has one writer, nor where workers come and go. If one of several dies,
            the run ends.

    Returns:
        An iterator with `.report` (live) and `.close()`; also a context manager. Leaving it early gives back
        what is held, finishes what runs and discards those results.

    Raises:
        TypeError, ValueError: wrong arguments, at once.
        Exception: of the work, of its constructor, or of `items`, at their turn.
        RunError: the run cannot go on; the message says what is lost.
        JournalError: the journal cannot be used, or is of another work.
    """
    chosen = Options.of(options)
    with _opened(items, chosen) as source:
        chosen.order(source.capabilities)  # refused before workers are started
        pool = _once(work, options)
        return pool._begin(source, total_hint(items), pool._options, owner=True)


def run(work: Any, source: Any, sink: Any = None, **options: Any) -> Report:
    """Run `work` on everything in `source`, hand each result to `sink(result, item)`, and return the report.

    The sink is called in this thread, one result at a time, in order unless `ordered=False`. Items that fail
    come to it as `Failure` (`on_error` is "collect" here). The first Ctrl-C gives back what is held, finishes
    what runs, hands it to the sink, and then raises KeyboardInterrupt with the report as its `report`; the
    second one raises it at once. (Unless SIGINT has a handler of yours, or this is not the main thread.)

    Args:
        work, options: as for `map`.
        source: any iterable, a `pullahead.sources` source, or the address of a live queue, as for `map`. With
            a live queue the run goes on until it is interrupted, or, with `drain=1` in the address, until all
            that is in the queue has ended. An item is acknowledged once the sink has had its result.
        sink: a function of (result, item), the address of a live queue, or None. What it raises ends the run,
            but for `ResultError`: then it cannot write that result, and the item has failed.
    """
    _check_run_options(options)
    with _opened(source) as opened:
        Options.of(options).order(opened.capabilities)  # refused before workers are started
        pool = _once(work, options)
    with of_a_run() as interrupts, pool:
        results = pool._run(opened, sink, {}, interrupts)
    if interrupts.seen:
        raise _with_report(KeyboardInterrupt(), results)
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
            self._options.least_workers,
            self._options.queues,
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
        with _opened(items, chosen) as source:
            return self._begin(source, total_hint(items), chosen, owner=False)

    def run(self, source: Any, sink: Any = None, **options: Any) -> Report:
        """As `pullahead.run`."""
        with of_a_run() as interrupts:
            results = self._run(source, sink, options, interrupts)
        if interrupts.seen:
            raise _with_report(KeyboardInterrupt(), results)
        return results.report

    def _run(self, source: Any, sink: Any, options: dict[str, Any], interrupts: Interrupts) -> Results:
        _check_run_options(options)
        if isinstance(sink, str) and is_address(sink):
            with open_sink(sink) as opened:
                return self._run(source, opened, options, interrupts)
        deliver = Delivery(sink, as_sink(sink), self._crew)
        results = self.map(source, on_error="collect", pairs=True, **options)
        interrupts.drain = results.cancel
        try:
            _hand_over(results, deliver)
        except KeyboardInterrupt as interrupt:
            if interrupts.seen:  # it is the second one
                deliver.break_off()
                self._crew.kill()
                results.abandon()
            else:  # it comes from a handler of the user's
                results.cancel()
                _hand_over(results, deliver)
            raise _with_report(interrupt, results)  # noqa: B904  it is the same one
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
        submitted, seen, now = self._submissions, self._crew.seen, monotonic()
        return Report(
            workers=list(seen.totals(self._started, now).values()),
            done=submitted.done if submitted else 0,
            failed=submitted.failed if submitted else 0,
            left=submitted.open if submitted else 0,
            seconds=now - self._started,
            started=self._started,
            clock=seen.clock,
            trace=seen.trace(self._started) if self._options.trace else None,
            title=self._name,
            fixed_lookahead=self._options.fixed_lookahead,
            cores=usable_cores(),
            batch_size=self._options.batch_size or 0,
            staffing=self._crew.elastic.staffing(self._started, monotonic()) if self._crew.elastic else None,
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
        ordered = options.order(source.capabilities)
        if self._begun and self._crew.recorded is not None:
            raise RuntimeError("a journal is of one map or run, which this pool has had; make another pool")
        self._begun = True
        if self._crew.recorded is not None:  # a failure that is raised ends the run, and not only its item
            self._crew.recorded.tries_failed = options.on_error == "raise"
        run = Run(self._crew, source, ordered=ordered, unit=options.unit, total=total)
        results = Results(run, options, self._crew, self._name, total, _End(self, owner=owner))
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
class _End:
    """What the end of a run is to its pool. `owner`: the pool ends with it."""

    def __init__(self, pool: Pool, *, owner: bool) -> None:
        self._pool = pool
        self._owner = owner

    def everything_taken(self) -> None:
        if self._owner:
            self._pool.close()

    def report_is_final(self, report: Report) -> None:
        self._pool._final = report


def _once(work: Any, options: dict[str, Any]) -> Pool:
    """Make a pool for one run: who is idle at its end is not needed any more."""
    pool = Pool(work, **options)
    if pool._crew.elastic is not None:
        pool._crew.elastic.is_last = True
    return pool


def _check_run_options(options: dict[str, Any]) -> None:
    for name in ("on_error", "pairs"):
        if name in options:
            raise TypeError(
                f"{name}: not an option of `run`, whose sink gets every result with its item, and a Failure "
                "in place of the result of an item that failed"
            )


@contextmanager
def _opened(items: Any, options: Options | None = None) -> Iterator[Source]:
    """Make a source of what the user gave. If it comes to nothing, what was opened here is closed.

    Results of another map pass through where nobody looks at each: neither the user nor a journal. `options`:
    of a map; None: of a run, whose sink sees each item.
    """
    passes = options is not None and not options.pairs and options.journal is None
    source = as_source(Relay(items) if passes and isinstance(items, Results) else items)
    try:
        yield source
    except BaseException:
        if source is not items:
            source.close()
        raise


def _hand_over(results: Results, deliver: Delivery) -> None:
    for item, result in results:
        try:
            _deliver(results, deliver, result, item)
        except BaseException:
            results.refused()
            raise
    deliver.finish()


def _deliver(results: Results, deliver: Delivery, result: Any, item: Any) -> None:
    """Hand over one result; if the sink cannot write it, the failure of its item."""
    try:
        deliver(result, item, results.place)
    except ResultError as error:
        if isinstance(result, Failure):  # it cannot even write the item
            if results.is_live:
                return  # which is in the queue, with the reason
            raise
        failure = results.spoil(item, error)
        if failure is not None:
            _deliver(results, deliver, failure, item)


def _with_report(interrupt: KeyboardInterrupt, results: Results) -> KeyboardInterrupt:
    interrupt.report = results.report  # type: ignore[attr-defined]
    return interrupt
