"""`Report.replay`: a recorded run under another policy costs what that policy would have cost."""

from __future__ import annotations

from array import array
from dataclasses import replace
from typing import Any

import pytest

from pullahead.core import trace
from pullahead.core.meter import WorkerTotals
from pullahead.core.trace import Span
from pullahead.observe.report import Report
from pullahead.sim import Result, lognormal, simulate
from pullahead.sim.trial import Trial

MS = 1e-3


def recorded(lookahead: Any = "auto", arrivals: Any = "backlog", **options: Any) -> Report:
    """A simulated run with its trace."""
    run = simulate(4, lognormal(20 * MS, 0.5), 10 * MS, arrivals, 600, lookahead, **options)
    return run.observe(True)


def constant_items(count: int, seconds: float) -> array[float]:
    return array("d", [seconds] * count)


def round_trip(seconds: float) -> Any:
    return lambda: lambda: seconds / 2


# What it costs


@pytest.mark.parametrize("arrivals", ["backlog", 150.0])
@pytest.mark.parametrize("lookahead", [0, 1, 4, "auto"])
def test_the_same_policy_takes_nearly_the_same_time(lookahead: Any, arrivals: Any) -> None:
    report = recorded(lookahead, arrivals, recall=lookahead == "auto")
    again = report.replay(lookahead)
    assert again.items == report.items
    assert again.useful_seconds == pytest.approx(report.useful_seconds)
    assert again.seconds == pytest.approx(report.seconds, rel=0.03)
    assert again.utilization == pytest.approx(report.utilization, rel=0.03)


@pytest.mark.parametrize("lookahead", [1, "auto"])
def test_asking_on_demand_would_have_cost_a_round_trip_for_each_item(lookahead: Any) -> None:
    """One worker, 100 items of 10 ms, 4 ms there and back."""
    report = Trial(1, constant_items(100, 10 * MS), None, round_trip(4 * MS), 1).run(trace=True).observe(True)
    if lookahead == "auto":
        report = simulate(1, 10 * MS, 4 * MS, items=100).observe(True)
    assert report.replay(0).seconds == pytest.approx(100 * 14 * MS, rel=0.01)
    assert report.replay(1).seconds == pytest.approx(4 * MS + 100 * 10 * MS, rel=0.01)


def test_a_run_on_demand_shows_what_looking_ahead_would_have_saved() -> None:
    report = recorded(0, recall=False)
    on_demand, plain, deeper = (report.replay(lookahead).seconds for lookahead in (0, 1, 4))
    assert on_demand > 1.3 * plain > 1.3 * deeper * 0.95
    assert report.replay().seconds == pytest.approx(deeper, rel=0.03)


def test_no_policy_is_faster_than_the_source_was() -> None:
    report = recorded(1, 100.0, recall=False)
    for lookahead in (1, 16, "auto"):
        again = report.replay(lookahead)
        assert again.seconds == pytest.approx(report.seconds, rel=0.03)
        assert again.arrivals is not None
        assert list(again.arrivals) == sorted(again.arrivals)


def test_items_move_only_under_auto_unless_one_says_so() -> None:
    report = recorded(64, recall=False)
    assert report.replay(64).recalls_per_item == 0
    assert report.replay(64, recall=True).recalls_per_item > 0
    assert report.replay("auto", recall=False).recalls_per_item == 0


def test_the_same_trace_is_replayed_the_same_way() -> None:
    report = recorded()
    assert list(report.replay(2).finished) == list(report.replay(2).finished)


# What a run can consist of


def with_everything(lookahead: int | None) -> Result:
    """Two workers; each item is loaded for 60 ms, computed for 20 ms and stored for 10 ms."""
    count = 200
    return Trial(
        2,
        constant_items(count, 20 * MS),
        None,
        round_trip(2 * MS),
        lookahead,
        recall=lookahead is None,
        loads=constant_items(count, 60 * MS),
        stores=constant_items(count, 10 * MS),
    ).run(trace=True)


def test_loads_and_stores_are_replayed() -> None:
    report = with_everything(None).observe(True)
    on_demand = report.replay(0).seconds
    # Each item costs its round trip, its load and its compute; the store goes on behind the next one's way.
    assert on_demand == pytest.approx(100 * (2 + 60 + 20) * MS, rel=0.02)
    assert on_demand == pytest.approx(with_everything(0).seconds, rel=0.02)
    assert report.replay(6).seconds == pytest.approx(with_everything(6).seconds, rel=0.02)
    assert report.replay().seconds < on_demand / 2
    kinds = {span.kind for spans in report.replay(0).observe(True).trace.values() for span in spans}  # type: ignore[union-attr]
    assert kinds >= {trace.LOAD, trace.STORE}


def test_a_run_in_batches_is_replayed_in_batches() -> None:
    run = Trial(2, constant_items(160, 5 * MS), None, round_trip(10 * MS), 8, batch_size=8).run(trace=True)
    report = run.observe(True)
    again = report.replay(8)
    assert again.seconds == pytest.approx(run.seconds, rel=0.03)
    recorded_again = again.observe(True).trace
    assert recorded_again is not None
    sizes = [span.size for spans in recorded_again.values() for span in spans if span.kind == trace.PROCESS]
    assert sizes == [8] * 20


def test_a_worker_that_came_late_comes_late_again() -> None:
    run = Trial(2, constant_items(100, 10 * MS), None, round_trip(0.0), 1, starts=array("d", [0.0, 0.5])).run(
        trace=True
    )
    assert run.seconds == pytest.approx(0.75)
    assert run.observe(True).replay(1).seconds == pytest.approx(0.75)


def by_hand(*spans: Span) -> Report:
    """One worker's trace; it began at 100 s."""
    totals = WorkerTotals(worker=0, started=100.0, ended=110.0, items=1, useful=1.0)
    return Report(workers=[totals], done=1, total=1, seconds=10.0, started=100.0, trace={0: list(spans)})


def test_of_an_item_that_was_tried_again_the_last_time_counts() -> None:
    report = by_hand(
        Span(trace.PROCESS, 101.0, 102.0, item=7),
        Span(trace.PROCESS, 104.0, 107.0, item=7),
        Span(trace.PROCESS, 107.0, 108.0, item=3),
    )
    again = report.replay(1)
    assert again.items == 2
    assert again.seconds == pytest.approx(1.0 + 3.0), "item 3 came before item 7"
    assert list(again.finished) == pytest.approx([1.0, 4.0])


def test_of_a_batch_each_item_took_the_same() -> None:
    again = by_hand(Span(trace.PROCESS, 101.0, 103.0, item=10, size=4)).replay(0)
    assert list(again.finished) == pytest.approx([0.5, 1.0, 1.5, 2.0])


# What cannot be replayed


@pytest.mark.parametrize(
    ("lookahead", "got"), [(-1, "-1"), (1.5, "1.5"), (True, "True"), ("max", "'max'"), (None, "None")]
)
def test_a_lookahead_that_makes_no_sense_is_refused_in_one_line(lookahead: Any, got: str) -> None:
    report = by_hand(Span(trace.PROCESS, 101.0, 102.0, item=0))
    with pytest.raises(ValueError, match="lookahead") as error:
        report.replay(lookahead)
    assert str(error.value) == f"lookahead: expected 'auto' or a whole number from 0, got {got}"


def test_a_run_without_a_trace_says_how_to_record_one() -> None:
    with pytest.raises(ValueError, match="trace") as error:
        replace(by_hand(), trace=None).replay()
    assert str(error.value) == "this run recorded no trace to replay: run it with trace=True"


def test_a_run_that_computed_nothing_cannot_be_replayed() -> None:
    with pytest.raises(ValueError, match="nothing") as error:
        by_hand(Span(trace.FETCH, 101.0, 102.0, item=0)).replay()
    assert str(error.value) == "this run computed nothing that could be replayed"
