"""What `map` returns: an iterator over results that knows its report."""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from threading import Thread
from time import monotonic, time
from traceback import format_exception
from types import TracebackType
from typing import Any, Final, Protocol, Self, final

from pullahead.actors.failures import loads_error
from pullahead.core.meter import WorkerTotals
from pullahead.core.trace import Span
from pullahead.errors import RemoteTraceback, ResultError
from pullahead.farm.crew import Crew
from pullahead.farm.failure import Attempt, Failure, Try, brief, reason_of, tried
from pullahead.farm.machine import usable_cores
from pullahead.farm.options import Options
from pullahead.farm.payload import ITSELF, unpack
from pullahead.farm.relay import Unopened, may_hold_refs, opened
from pullahead.farm.run import DONE, Outcome, Run
from pullahead.journal.identity import Place
from pullahead.observe.progress import watcher
from pullahead.observe.report import Report
from pullahead.observe.staffing import Staffing

#: Seconds between two looks at a run for its progress.
_PROGRESS_EVERY: Final = 0.2
#: Seconds that a live source may take to hear that all is over when somebody has asked twice to end.
_PARTING: Final = 2.0
#: No token: sources choose theirs.
_NOBODYS: Final = object()
#: No result: the source has the item tried once more.
_AGAIN: Final = object()


class Ended(Protocol):
    """What is told when everything was taken, or was left."""

    def everything_taken(self) -> None:
        """Nothing more is wanted of the workers for this run."""

    def report_is_final(self, report: Report) -> None:
        """And this is what happened."""


@final
class Results(Iterator[Any]):
    """What `map` returns: an iterator over results that knows its report.

    Args:
        run: whose.
        options: of the run.
        crew: who works.
        title: what the report is called.
        total: how many items there are, if that is known.
        ended: called when everything was taken, before the report is final; then with that report.
    """

    def __init__(
        self, run: Run, options: Options, crew: Crew, title: str, total: int | None, ended: Ended
    ) -> None:
        self._run = run
        self._options = options
        self._crew = crew
        self._title = title
        self._total = total
        self._ended = ended
        baseline = crew.seen.totals(run.started, run.started)
        self._baseline = {name: replace(one) for name, one in baseline.items()}
        self._outcomes: deque[Outcome] = deque()
        self._acknowledge, self._keep = run.acknowledge, run.keep
        self._pairs = options.pairs
        self._token: Any = _NOBODYS  # of the last result, as long as nobody has asked for the next one
        self.place: Place | None = None  # of the last result, in the journal
        self._failed_with: Failure | None = None  # in its place
        self._progress = watcher(options.progress, total)
        self._kept_trace: dict[int, list[Span]] | None = None
        self._closed = False

    @property
    def report(self) -> Report:
        """What happened so far."""
        run, crew = self._run, self._crew
        end = run.finished or monotonic()
        before, gone = self._baseline, crew.gone
        sums = crew.seen.totals(run.started, end)
        totals = [
            _within(run.started, min(end, gone.get(name, end)), one, before.get(name))
            for name, one in sums.items()
            if gone.get(name, end) >= run.started
        ]
        known = run.read if run.source_ended else self._total
        refused = run.refused
        return Report(
            workers=totals,
            done=run.done - refused,
            failed=run.failed + refused,
            left=(run.read if known is None else known) - run.done - run.failed,
            refused=refused,
            returned=run.returned,
            recorded=run.recorded,
            absent=run.absent,
            total=known,
            seconds=end - run.started,
            started=run.started,
            clock=self._crew.seen.clock,
            trace=self._trace() if self._options.trace else None,
            title=self._title,
            fixed_lookahead=self._options.fixed_lookahead,
            cores=usable_cores(),
            batch_size=self._options.batch_size or 0,
            staffing=self._staffing(end),
        )

    def _staffing(self, end: float) -> Staffing | None:
        elastic = self._crew.elastic
        return None if elastic is None else elastic.staffing(self._run.started, end)

    def _trace(self) -> dict[int, list[Span]]:
        """What was recorded since this run began, of which its pool forgets all when another one begins."""
        if self._kept_trace is not None:
            return self._kept_trace
        found = self._crew.seen.trace(self._run.started)
        staffing = self._staffing(self._run.finished or monotonic())
        return {
            lane: spans for lane, spans in found.items() if spans or not staffing or lane in staffing.stays
        }

    def __iter__(self) -> Self:
        return self

    def __next__(self, opens: bool = True) -> Any:
        if self._token is not _NOBODYS:  # who asks for the next one has dealt with this one
            if self._failed_with is None:
                self._acknowledge(self._token)
            else:
                self._settle()
        while True:
            if not self._outcomes:
                self._token = _NOBODYS
                self._wait_for_some()
            item, state, result, self.place, self._token = self._outcomes.popleft()
            if state != DONE:
                result = self._failure(item, result)
            elif self._keep is not None or type(result) not in ITSELF:
                result = self._result(item, result, opens)
            if result is not _AGAIN:
                return (item, result) if self._pairs else result

    def unopened(self) -> Any:
        """Return the next result as it came, for another run: `Unopened`, unless it is as plain as it looks.

        Raises what `next` does.
        """
        return Results.__next__(self, self._pairs)

    def _wait_for_some(self) -> None:
        """Wait for outcomes. Raises StopIteration at the end."""
        while not self._outcomes:
            if self._closed:
                raise StopIteration
            self._fill()

    def _settle(self) -> None:
        """The failure that came last was dealt with."""
        failure, token = self._failed_with, self._token
        self._failed_with, self._token = None, _NOBODYS
        if failure is not None:
            self._run.settle(token, reason_of(failure), failure.attempts)

    @property
    def is_live(self) -> bool:
        """Whether the source is a live queue, which keeps what has failed."""
        return self._run.is_live

    def refused(self) -> None:
        """The last result was not dealt with after all: a live source has its item back in the end."""
        self._token, self._failed_with = _NOBODYS, None

    def spoil(self, item: Any, error: Exception) -> Failure | None:
        """The sink cannot write the last result. Return the failure in its place; None: it is tried again."""
        failure = self._spoiled(item, error)
        return failure if isinstance(failure, Failure) else None

    def abandon(self) -> None:
        """Nothing more is wanted, and nobody waits for long: for who has killed the workers."""
        self._closed = True
        self._run.release(_PARTING)

    def _result(self, item: Any, payload: Any, opens: bool) -> Any:
        if not (opens or self._keep or may_hold_refs(payload)):
            return Unopened(payload)
        try:
            result = unpack(payload, own=True)
        except Exception as error:  # noqa: BLE001  a class that cannot be imported here: this item's failure
            error.add_note("the work returned a result that cannot be unpickled in this process")
            return self._spoiled(item, error)
        if self._keep is not None:
            try:
                self._keep(self._token, result)
            except ResultError as error:
                return self._spoiled(item, error)
        return result

    def _spoiled(self, item: Any, error: Exception) -> Any:
        """The work has returned what is of no use: its item has failed."""
        self._run.spoiled()
        last = Attempt(error, "".join(format_exception(error)), None, None, time())
        return self._failed(Failure(opened(item), (last,), 1))

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
        except BaseException as error:
            if not isinstance(error, KeyboardInterrupt):  # after which the user may go on
                self._closed = True
                self._run.cancel()
                self._finish()
            raise
        if self._progress is not None:
            self._progress.update(self.report)
        if outcomes is None:
            self._closed = True
            self._finish()
            self._run.raise_what_the_source_raised()  # while it was told of the last ends
        else:
            self._outcomes.extend(outcomes)

    def _finish(self) -> None:
        self._run.release()
        self._ended.everything_taken()
        if self._options.trace:
            self._kept_trace = self._trace()
        self._ended.report_is_final(self.report)
        if self._progress is not None:
            self._progress.update(self.report)
            self._progress.close()

    def _failure(self, item: Any, payload: Any) -> Any:
        history = tuple(self._attempt(one) for one in payload)
        tries = sum(one.worker is not None for one in history)
        return self._failed(Failure(opened(item), history, tries))

    def _attempt(self, failed: Try) -> Attempt:
        error = loads_error(failed.error)
        cause = error.__cause__
        text = cause.text if isinstance(cause, RemoteTraceback) else ""
        return Attempt(error, text, failed.worker, failed.began, failed.ended)

    def _failed(self, failure: Failure) -> Any:
        """Return the failure as a value, or raise it and end the run; `_AGAIN`: it is none yet."""
        if self._run.tries_again(self._token, failure.attempts):
            self._run.settle(self._token, reason_of(failure), failure.attempts)
            self._token = _NOBODYS
            return _AGAIN
        self._failed_with = failure
        if self._options.on_error == "collect":
            return failure
        self._settle()
        error = failure.error
        with contextlib.suppress(AttributeError):  # an exception class may refuse notes
            error.add_note(
                f"pullahead: while working on item {brief(failure.item)}, {tried(failure.attempts)}"
            )
        self.close()
        if isinstance(error, StopIteration):  # raised from `__next__`, it would end the loop without a word
            raise RuntimeError(f"the work raised StopIteration: {error!r}") from error
        raise error


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
