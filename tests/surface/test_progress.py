"""The progress line: what it says, when it is redrawn, and that it is silent where nobody looks."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from pullahead.core.meter import WorkerTotals
from pullahead.observe.progress import Progress, say, watcher
from pullahead.observe.report import Report


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal 120 columns wide, whatever this test runs in."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    return Terminal()


def at(done: int, total: int | None = 100, **facts: Any) -> Report:
    """Return a run after ten seconds in which one worker computed for six and waited for four."""
    totals = WorkerTotals(useful=6.0, stalls={"fetch": 0.05, "source": 3.95})
    return Report(workers=[totals], done=done, total=total, seconds=10.0, **facts)


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (at(20), "20/100 · 2/s · busy 60 % · waits for source 40 % · 40 s left"),
        (at(19, failed=1), "20/100 · 2/s · busy 60 % · waits for source 40 % · 1 failed · 40 s left"),
        (at(100), "100/100 · 10/s · busy 60 % · waits for source 40 %"),
        (at(1234, total=None), "1,234 · 123/s · busy 60 % · waits for source 40 %"),
        (at(0), "0/100 · 0/s · busy 60 % · waits for source 40 %"),
        (Report(total=5), "0/5 · –/s · busy –"),
        (
            Report(
                workers=[WorkerTotals(useful=9.95, stalls={"fetch": 0.05})], done=5, total=5, seconds=10.0
            ),
            "5/5 · 0.5/s · busy 99.5 %",
        ),
    ],
)
def test_what_a_line_says(report: Report, said: str) -> None:
    assert say(report) == said


def test_nothing_is_printed_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    progress = Progress(100, stream)
    progress.update(at(20))
    progress.close()
    assert stream.getvalue() == ""


def test_a_line_is_redrawn_at_most_ten_times_a_second(terminal: Terminal) -> None:
    clock = Clock()
    progress = Progress(100, terminal, clock)
    lengths = []
    for moment in (0.0, 0.05, 0.09, 0.11, 0.15, 0.22):
        clock.now = 50.0 + moment
        progress.update(at(20))
        lengths.append(len(terminal.getvalue()))
    drawn = [after > before for before, after in zip([0, *lengths], lengths, strict=False)]
    assert drawn == [True, False, False, True, False, True]
    progress.close()


def test_closing_shows_the_last_report_and_leaves_the_line(terminal: Terminal) -> None:
    progress = Progress(100, terminal, Clock())
    progress.update(at(20))
    progress.update(at(100))
    assert "100/100" not in terminal.getvalue()
    progress.close()
    assert "20/100 · 2/s · busy 60 % · waits for source 40 % · 40 s left" in terminal.getvalue()
    assert "100/100 · 10/s · busy 60 % · waits for source 40 %" in terminal.getvalue()
    assert terminal.getvalue().rstrip("\x1b[?25h").endswith("\n")
    length = len(terminal.getvalue())
    progress.close()
    progress.update(at(100))
    assert len(terminal.getvalue()) == length


def test_closing_before_anything_happened_prints_nothing(terminal: Terminal) -> None:
    Progress(None, terminal).close()
    assert terminal.getvalue() == ""


def test_a_run_of_unknown_length_has_a_line(terminal: Terminal) -> None:
    progress = Progress(None, terminal, Clock())
    progress.update(at(20, total=None))
    progress.close()
    assert "20 · 2/s · busy 60 %" in terminal.getvalue()


def test_true_is_a_line_on_a_terminal(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    assert isinstance(watcher(True, 100), Progress)


@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_true_is_nothing_without_a_terminal(stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    assert watcher(True, 100) is None


def test_true_is_nothing_when_standard_error_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    assert watcher(True, 100) is None


def test_none_and_false_are_nothing(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    assert (watcher(None, 100), watcher(False, 100)) == (None, None)


def test_a_callable_gets_every_report_and_what_it_raises_is_raised() -> None:
    seen: list[Report] = []
    watch = watcher(seen.append, None)
    assert watch is not None
    reports = [at(1), at(2)]
    for report in reports:
        watch.update(report)
    watch.close()
    assert seen == reports

    def fails(report: Report) -> None:
        raise KeyError("mine")

    failing = watcher(fails, None)
    assert failing is not None
    with pytest.raises(KeyError, match="mine"):
        failing.update(at(1))


def test_anything_else_is_a_type_error() -> None:
    with pytest.raises(
        TypeError, match="progress is None, True or a callable that takes a report, not 'yes'"
    ):
        watcher("yes", 1)  # type: ignore[arg-type]
