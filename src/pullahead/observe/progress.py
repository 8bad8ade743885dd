"""A line that says how a run is doing, on a terminal.

Standard error, because standard output may be data; only where it is a terminal, because a log file has no
use for a line that redraws itself. There is no thread: the run calls `update` when it pleases, and the line
is redrawn at most ten times a second.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, TextIO, final

from pullahead.observe import words

if TYPE_CHECKING:
    from pullahead.observe.report import Report

#: Faster than this nobody reads.
_REDRAW_SECONDS: Final = 0.1

#: A wait for this share of the workers' time is worth its place on the line.
_WORTH_SAYING: Final = 0.01


class Watcher(Protocol):
    """What a run tells how it is doing."""

    def update(self, report: Report) -> None:
        """Take a report. Cheap enough to be called after every batch of results."""

    def close(self) -> None:
        """The run is over, or left. Calling it again does nothing."""


def watcher(progress: bool | Callable[[Report], object] | None, total: int | None) -> Watcher | None:
    """Return what a run's `progress` option means.

    Args:
        progress: None or False for nothing, True for a line on standard error if that is a terminal, or a
            callable that takes the report.
        total: how many items there are, None if unknown.

    Returns:
        What to update, or None if nobody watches.
    """
    if progress is True:
        return Progress(total) if _is_terminal(sys.stderr) else None
    if callable(progress):
        return _Calls(progress)
    if progress is None or progress is False:
        return None
    raise TypeError(f"progress is None, True or a callable that takes a report, not {progress!r}")


def say(report: Report) -> str:
    """Say how a run is doing, in one line."""
    ended = report.done + report.failed
    parts = [
        f"{ended:,}" if report.total is None else f"{ended:,}/{report.total:,}",
        f"{words.count(report.throughput)}/s",
        f"busy {words.percent(report.utilization)}",
    ]
    for cause, spent in list(report.stall_seconds.items())[:1]:
        if report.available_seconds and spent / report.available_seconds >= _WORTH_SAYING:
            parts.append(f"waits for {cause} {words.percent(spent / report.available_seconds)}")
    if report.failed:
        parts.append(f"{report.failed:,} failed")
    if report.total is not None and 0 < ended < report.total:
        parts.append(f"{words.seconds((report.total - ended) / report.throughput)} left")
    return " · ".join(parts)


@final
class Progress:
    """The line. Prints nothing at all where its stream is no terminal.

    Args:
        total: how many items there are, None if unknown: the bar then only shows that things move.
        stream: where to, standard error if None.
        clock: seconds that only grow.
    """

    def __init__(
        self, total: int | None, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        target = sys.stderr if stream is None else stream
        self._bar: Any = _bar(total, target) if _is_terminal(target) else None
        self._clock = clock
        self._next = float("-inf")
        self._latest: Report | None = None

    def update(self, report: Report) -> None:
        """Show a report, unless one was shown less than a tenth of a second ago."""
        if self._bar is None:
            return
        self._latest = report
        now = self._clock()
        if now >= self._next:
            self._next = now + _REDRAW_SECONDS
            self._draw(report)

    def close(self) -> None:
        """Show the last report and leave the line standing. Calling it again does nothing."""
        bar, self._bar = self._bar, None
        if bar is not None and self._latest is not None:
            _redraw(bar, self._latest)
            bar.stop()

    def _draw(self, report: Report) -> None:
        if not self._bar.live.is_started:
            self._bar.start()
        _redraw(self._bar, report)


@final
class _Calls:
    """A plain callable as a watcher. What it raises is the caller's to see."""

    def __init__(self, call: Callable[[Report], object]) -> None:
        self._call = call

    def update(self, report: Report) -> None:
        self._call(report)

    def close(self) -> None:
        pass


def _is_terminal(stream: TextIO | None) -> bool:
    """Say whether a stream is a terminal. It may be None (pythonw) or closed (at exit)."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def _bar(total: int | None, stream: TextIO) -> Any:
    """Make rich's bar. Imported here: it takes as long as everything else of `import pullahead`."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        BarColumn(bar_width=24, complete_style="green", finished_style="green"),
        TextColumn("{task.description}", markup=False),
        console=Console(file=stream),
        auto_refresh=False,  # no thread: a fork of this process must find no lock held
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bar.add_task("", total=total)
    return bar


def _redraw(bar: Any, report: Report) -> None:
    (task,) = bar.task_ids
    bar.update(task, completed=report.done + report.failed, total=report.total, description=say(report))
    bar.refresh()
