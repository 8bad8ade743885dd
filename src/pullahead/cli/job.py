"""One `pullahead run`, from its options to its exit code.

The order matters. What costs nothing to check is checked first (the work, the items, the files), then
workers are started, and the first byte of an existing file is touched only when there is a result to
write.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, final

from pullahead.cli.ending import (
    FAILED,
    INTERRUPTED,
    OK,
    USAGE,
    Refused,
    no_reader,
    quiet,
    say,
    tell,
    with_notes,
)
from pullahead.cli.inputs import choose_items
from pullahead.cli.interrupts import of_a_command
from pullahead.cli.outputs import (
    CannotWrite,
    NoReader,
    Results,
    open_queue,
    open_results,
    set_standard_output_aside,
)
from pullahead.cli.target import load_work
from pullahead.errors import JournalError, SourceError
from pullahead.sources import JsonlSink, RecordSink, Source, is_address, total_hint
from pullahead.sources.jsonl_sink import Mode

WHO = "pullahead run"

_FAILED_BEFORE = "they did in an earlier run, --retry-failed tries them again"


class CannotGoOn(Exception):  # noqa: N818  it ends like that in the middle of a sentence
    """A live queue is out of reach, or refuses us, in the middle of a run."""

    def __init__(self, error: SourceError, report: Any) -> None:
        super().__init__(f"{with_notes(error)}; {report.done} done, {report.failed} failed before")


@final
@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for on the command line."""

    work: str
    inputs: tuple[str, ...]
    from_: str | None
    to: str | None
    append: bool
    overwrite: bool
    engine: str
    where: dict[str, Any]  # of `pullahead.init`
    timeline: str | None
    report: bool
    traceback: bool
    journal: str | None
    options: dict[str, Any]  # of `pullahead.Pool`, those that were given

    def run(self) -> int:
        """Do it, say what went wrong, and return the exit code."""
        with of_a_command() as interrupts:
            try:
                return self._run(interrupts)
            except NoReader:
                return no_reader()
            except KeyboardInterrupt:
                say("interrupted before the first item", WHO)
                return INTERRUPTED
            except (Refused, SourceError) as error:
                return self._end(USAGE, str(error), error)
            except (CannotGoOn, CannotWrite) as error:
                return self._end(FAILED, f"the run ended: {error}", error)
            except SystemExit:  # of the module of the work
                raise
            except BaseException as error:  # noqa: BLE001  the last place where it can be said in one line
                return self._end(FAILED, f"the run ended: {tell(error)}", error)

    def _run(self, interrupts: Any) -> int:
        if self.append and self.overwrite:
            raise Refused("expected --append or --overwrite, got both")
        if self._mode and self.to is None:
            raise Refused(f"expected --to FILE with --{self._mode}, got none")
        _check_timeline(self.timeline)
        items, place = choose_items(self.inputs, self.from_)
        with ExitStack() as opened:
            if isinstance(items, Source):
                opened.callback(items.close)  # if it comes to nothing; a run closes it itself
            return self._run_on(items, place, interrupts)

    def _run_on(self, items: Any, place: str, interrupts: Any) -> int:
        aside = set_standard_output_aside()  # before the work's module can print into it
        work = load_work(self.work)
        with self._open_sink(aside, items) as sink:
            results = Results(sink, self.traceback)
            try:
                report = self._work(work, items, results, interrupts)
            except NoReader:
                quiet(aside.fileno())  # closing must not try again
                raise
        self._summarize(report)
        done, failed = report.done, report.failed
        if interrupts.seen:
            again = "" if self.journal is None else "; run it again to go on"
            say(f"interrupted: {done} done, {failed} failed, {_left(report, items, place)}{again}", WHO)
            return INTERRUPTED
        if failed:
            why = f"the first: {results.first_failure}" if results.first_failure else _FAILED_BEFORE
            if report.refused:  # which nobody knew when the results were written
                why = why if results.first_failure else f"{report.refused} by a result that the queue refused"
                why += "; `pullahead queue failed` says why"
            say(f"{failed} of {done + failed} items failed; {why}", WHO)
        return FAILED if failed else OK

    def _open_sink(self, aside: IO[Any], items: Any) -> RecordSink:
        if self.to is None:
            return JsonlSink(aside)
        if is_address(self.to):
            return open_queue(self.to, self._mode)
        unless: Mode = "refuse" if self.journal is None else "continue"
        return open_results(self.to, self._mode or unless, items, self.journal)

    @property
    def _mode(self) -> Mode | None:
        """What was said of a --to file that exists."""
        return "append" if self.append else "overwrite" if self.overwrite else None

    def _work(self, work: Any, items: Any, results: Results, interrupts: Any) -> Any:
        import pullahead
        from pullahead.farm.options import Options

        if self.engine != "local":
            pullahead.init(self.engine, **self.where)
        try:
            if isinstance(items, Source):
                Options.of(self.options).order(items.capabilities)  # before workers are started for nothing
            pool = pullahead.Pool(work, progress=True, trace=self.timeline is not None, **self.options)
        except (TypeError, ValueError, JournalError) as error:  # an option, or the work's shape
            raise Refused(str(error)) from error
        try:
            with pool:
                interrupts.drain = pool.drain
                pool.run(items, results)
        except SourceError as error:
            if not (isinstance(items, Source) and items.capabilities.deadlines):
                raise
            with suppress(Exception):  # why the run ended matters more than a picture that cannot be drawn
                self._summarize(pool.report)
            raise CannotGoOn(error, pool.report) from error
        return pool.report

    def _summarize(self, report: Any) -> None:
        if self.timeline is not None:
            report.timeline(self.timeline)
        if self.report or _is_terminal():
            with suppress(OSError):
                print(report, file=sys.stderr, flush=True)

    def _end(self, code: int, line: str, error: BaseException) -> int:
        if self.traceback:
            traceback.print_exception(error)
        say(line, WHO)
        return code


def _left(report: Any, items: Any, place: str) -> str:
    back = f"{report.returned} given back"
    total = total_hint(items)
    if total is not None:
        return f"{back}, {total - report.done - report.failed - report.returned} left"
    return f"{back}; the rest of {place} was not read"


def _check_timeline(file: str | None) -> None:
    """A picture that cannot be drawn is refused before hours of work, not after."""
    if file is None:
        return
    from pullahead.observe.report import SUFFIXES

    path = Path(file)
    if path.suffix not in SUFFIXES:
        raise Refused(f"expected --timeline to end in {', '.join(SUFFIXES)}, got {file!r}")
    if not path.absolute().parent.is_dir():
        raise Refused(f"expected --timeline in a folder that exists, got {file!r}")
    if path.suffix != ".json" and importlib.util.find_spec("matplotlib") is None:
        raise Refused(f"--timeline {file} needs matplotlib: pip install 'pullahead[viz]'")


def _is_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # closed
        return False
