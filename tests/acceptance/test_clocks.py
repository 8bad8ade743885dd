"""Workers whose clocks are hours away: their times are lined up, and how well is stated.

All of them are on one machine, so what its one clock shows inside of the work is the truth.
"""

from __future__ import annotations

import functools
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance import works

import pullahead as pa
from pullahead import actors
from pullahead.core import messages as m
from pullahead.core.messages import Message
from pullahead.core.trace import PROCESS
from pullahead.farm import line
from pullahead.farm.line import Answered, DirectLine
from pullahead.testing import delay_line, skewed_clocks

HOUR, DAY = 3600.0, 86400.0
#: Of readings on two clocks that are the same moment, what is lost by reading one after the other.
ROUNDING = 1e-6

Times = tuple[int, float, float]


def at_once(item: int) -> Times:
    """Say when it began and ended, by the clock of the machine."""
    began = time.monotonic()
    time.sleep(0.006)
    return item, began, time.monotonic()


class Built:
    """Says when its worker was ready to begin."""

    def __init__(self) -> None:
        self.at = time.monotonic()

    def process(self, item: int) -> tuple[float, int]:
        time.sleep(0.004)
        return self.at, item


def spans(report: pa.Report, kind: str) -> Iterator[tuple[int, float, float]]:
    """Yield each item with when it began and ended, as the report has it."""
    assert report.trace is not None
    for recorded in report.trace.values():
        for span in recorded:
            if span.kind == kind:
                assert span.size == 1, "no item is shorter than a slice"
                yield span.item, span.start, span.end


def assert_lined_up(report: pa.Report, done: list[Times]) -> None:
    """Each item was computed when its work says so, as far as the report claims to know."""
    truth = {item: (began, ended) for item, began, ended in done}
    error = report.clock_uncertainty + ROUNDING
    computed = list(spans(report, PROCESS))
    assert {item for item, _, _ in computed} == truth.keys()
    for item, start, end in computed:
        began, ended = truth[item]
        assert start - error <= began < ended <= end + error
    end = report.started + report.seconds
    assert all(report.started - error <= start <= stop <= end + error for _, start, stop in computed)


def test_times_of_several_machines_line_up() -> None:
    with skewed_clocks(HOUR, DAY):
        results = pa.map(at_once, range(80), workers=2, trace=True)
    done = list(results)
    report = results.report
    assert_lined_up(report, done)
    assert 0.0 < report.clock_uncertainty < 0.25, "a quarter of a second is much, also for a busy machine"
    assert report.workers, "on Ray, a second one may find its place too late"
    assert all(one.host == f"machine-{one.worker}" for one in report.workers)
    assert report.clocks == 1 + len(report.workers)
    assert f"\n  clocks     {report.clocks} machines, lined up to ±" in str(report)


def test_sums_are_those_of_a_run_on_one_clock() -> None:
    """What is a length needs no clock; startup is a difference of two."""
    with skewed_clocks(HOUR, DAY):
        results = pa.map(Built, range(60), workers=2)
    ready = {at for at, _ in results}
    report = results.report
    error = report.clock_uncertainty + ROUNDING
    for one in report.workers:
        assert any(at - error <= one.started for at in ready)
        assert report.started <= one.started <= one.ended
        assert one.ended - one.started <= report.seconds + 1.0
    assert report.startup_seconds >= sum(at - report.started for at in ready) - len(ready) * error
    assert report.useful_seconds >= 60 * 0.004
    assert 0.0 < report.utilization <= 1.0
    lives = sum(one.ended - one.started for one in report.workers)
    known = report.useful_seconds + report.tail_seconds + sum(report.stall_seconds.values())
    assert known + report.handling_seconds == pytest.approx(lives, abs=len(ready) * 2 * error)


def test_on_one_machine_nothing_is_said_about_clocks() -> None:
    before, line.join = line.join, Timeless
    try:
        results = pa.map(at_once, range(30), workers=2, trace=True)
        done = list(results)
        with skewed_clocks(HOUR), pytest.raises(AssertionError, match="it spoke about clocks"):
            list(pa.map(at_once, range(30), workers=1))
    finally:
        line.join = before
    report = results.report
    assert_lined_up(report, done)
    assert (report.clocks, report.clock_uncertainty) == (1, 0.0)
    assert {(one.host, one.uncertainty) for one in report.workers} == {(socket.gethostname(), 0.0)}
    assert "clocks" not in str(report)


class Timeless:
    """A line on which nobody may speak about clocks."""

    def __init__(self, number: int, queue: Any) -> None:
        self._line = DirectLine(number, queue)

    def send(self, messages: list[Message], answered: Answered) -> None:
        for message in messages:
            if message[0] in {m.CLOCK, m.OFFSET}:
                raise AssertionError(f"it spoke about clocks: {message}")
        self._line.send(messages, answered)

    def close(self) -> None:
        self._line.close()


def test_a_worker_that_takes_the_place_of_a_lost_one_has_the_clock_of_its_own_machine() -> None:
    with skewed_clocks(HOUR, DAY):
        results = pa.map(exit_on_three, range(30), workers=1, on_error="collect", trace=True)
    done = [one for one in results if not isinstance(one, pa.Failure)]
    report = results.report
    assert sorted({one.host for one in report.workers}) == ["machine-0", "machine-1"]
    assert {one.worker for one in report.workers} == {0}
    assert report.lanes == 1
    truth = {item: (began, ended) for item, began, ended in done}
    error = report.clock_uncertainty + ROUNDING
    found = [(item, start, end) for item, start, end in spans(report, PROCESS) if item in truth]
    assert {item for item, _, _ in found} >= {item for item in truth if item > 3}
    for item, start, end in found:
        assert start - error <= truth[item][0] < truth[item][1] <= end + error


def exit_on_three(item: int) -> Times:
    if item == 3:
        works.exit_on_three(item)
    return at_once(item)


def test_a_trace_of_a_pool_holds_its_own_run_only() -> None:
    with skewed_clocks(HOUR, DAY), pa.Pool(at_once, workers=2, trace=True) as pool:
        first = 0
        for items in (40, 20):
            results = pool.map(range(items))
            done = list(results)
            assert_lined_up(results.report, [(first + item, began, ended) for item, began, ended in done])
            first += items
        whole = pool.report
    assert whole.clocks == 1 + len(whole.workers)


def test_behind_a_long_way_it_is_still_within_what_is_stated() -> None:
    trip = 0.04
    with skewed_clocks(HOUR, DAY), delay_line(trip):
        results = pa.map(at_once, range(40), workers=2, trace=True)
    done = list(results)
    assert_lined_up(results.report, done)
    assert results.report.clock_uncertainty >= trip / 2


def test_a_queue_that_takes_the_place_of_a_lost_one_is_asked_as_well(tmp_path: Path) -> None:
    """An item may run twice, if its worker does not come back in time; and spans die with the queue."""
    notes = tmp_path / "notes"
    notes.mkdir()
    with skewed_clocks(HOUR, DAY):
        work, journal = functools.partial(noted, str(notes)), tmp_path / "run.db"
        results = pa.map(work, range(300), workers=2, trace=True, journal=journal)
    done = [next(results) for _ in range(20)]
    actors.kill(results._crew._queues.given_to(0, 0)[0])
    assert sorted(done + list(results)) == list(range(300))
    report = results.report
    error = report.clock_uncertainty + ROUNDING
    runs = [tuple(map(float, file.read_text().split())) for file in notes.iterdir()]
    found = list(spans(report, PROCESS))
    assert {item for item, _, _ in found} >= set(range(280, 300)), "these ran when the other queue was there"
    for item, start, end in found:
        assert any(
            item == one and start - error <= began < ended <= end + error for one, began, ended in runs
        )


def noted(folder: str, item: int) -> int:
    """Note when each run of it began and ended."""
    times = at_once(item)
    (Path(folder) / f"{item}-{os.getpid()}").write_text(" ".join(map(repr, times)))
    return item


def test_a_time_limit_is_one_of_the_machine() -> None:
    work = functools.partial(works.linger_on_three, "sleeps")
    with skewed_clocks(DAY):
        results = pa.map(work, range(12), workers=1, item_timeout=0.4, on_error="collect")
    everything = list(results)
    assert [one.item for one in everything if isinstance(one, pa.Failure)] == [3]
    assert [one for one in everything if not isinstance(one, pa.Failure)] == [x for x in range(12) if x != 3]


def test_a_run_on_several_machines_can_be_replayed() -> None:
    with skewed_clocks(HOUR, DAY):
        results = pa.map(at_once, range(60), workers=2, trace=True)
    list(results)
    report = results.report
    again = report.replay()
    assert again.items == 60
    assert again.seconds < report.seconds + 1.0, "nobody is there only after hours"
    assert again.useful_seconds == pytest.approx(report.useful_seconds, rel=1e-3)


@pytest.mark.parametrize(
    ("seconds", "error", "said"),
    [
        ((), TypeError, "skewed_clocks: expected seconds for at least one machine, got none"),
        ((1.0, "2h"), TypeError, "skewed_clocks: expected a number of seconds, got '2h'"),
        ((True,), TypeError, "skewed_clocks: expected a number of seconds, got True"),
        ((float("nan"),), ValueError, "skewed_clocks: expected a finite number, got nan"),
        ((float("-inf"),), ValueError, "skewed_clocks: expected a finite number, got -inf"),
    ],
)
def test_bad_input_is_refused_in_one_line(seconds: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as raised, skewed_clocks(*seconds):
        pass
    assert str(raised.value) == said
