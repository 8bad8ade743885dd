"""What workers told of themselves, on the caller's clock."""

from __future__ import annotations

import pytest

from pullahead.core.clocks import DRIFT, Comparison, Sample
from pullahead.core.meter import WorkerTotals
from pullahead.core.trace import PROCESS, Span
from pullahead.farm.seen import Seen

MS = 1e-3
HERE, THERE = "the caller's", "another one"


def totals(started: float, ended: float, clock: str = THERE) -> WorkerTotals:
    return WorkerTotals(clock=clock, started=started, ended=ended, useful=3.0)


def span(start: float, end: float, item: int = 0) -> Span:
    return Span(PROCESS, start, end, item)


def seen(queue: Comparison | None = None, lanes: int = 2) -> Seen:
    return Seen(HERE, lambda number: number % lanes, queue)


def test_what_is_on_the_callers_clock_is_as_it_came() -> None:
    one, spans = seen(), [span(1.0, 2.0), span(2.0, 3.0, 1)]
    sums = totals(1.0, 9.0, HERE)
    one.told(3, sums)
    one.traced(3, spans)
    assert one.totals(0.0, 9.0)[3] is sums
    assert sums.worker == 1, "that is its lane"
    assert one.trace(2.5) == {1: spans[1:]}


def test_a_worker_is_not_seen_before_its_clock_is_known() -> None:
    one = seen()
    one.told(0, totals(1000.0, 1002.0))
    one.traced(0, [span(1000.0, 1001.0)])
    one.forget_before(1e9)
    assert (one.totals(0.0, 9.0), one.trace(0.0)) == ({}, {})
    one.compared(0, Sample(1001.0, -996.0, 1 * MS))
    lined_up = one.totals(0.0, 9.0)[0]
    assert (lined_up.started, lined_up.ended) == (4.0, 6.0)
    assert lined_up.uncertainty == pytest.approx(1 * MS + DRIFT)
    assert one.trace(0.0) == {0: [span(4.0, 5.0)]}


def test_what_was_recorded_before_a_better_estimate_came_is_shifted_by_that() -> None:
    one = seen()
    one.told(0, totals(1000.0, 1001.0))
    one.traced(0, [span(1000.0, 1000.5)])
    one.compared(0, Sample(1000.1, -990.0, 50 * MS))
    assert one.trace(0.0) == {0: [span(10.0, 10.5)]}
    one.compared(0, Sample(1000.9, -990.03125, 1 * MS))
    assert one.trace(0.0) == {0: [span(9.96875, 10.46875)]}
    one.traced(0, [span(1000.5, 1001.0, 1)])
    assert one.trace(0.0) == {0: [span(9.96875, 10.46875), span(10.46875, 10.96875, 1)]}
    assert one.totals(0.0, 20.0)[0].uncertainty < 1.1 * MS


def test_who_takes_the_place_of_another_one_has_a_clock_of_its_own() -> None:
    one = seen(lanes=1)
    for number, (began, offset) in enumerate([(1000.0, -995.0), (7000.0, -6990.0)]):
        one.told(number, totals(began, began + 1.0))
        one.traced(number, [span(began, began + 1.0, number)])
        one.compared(number, Sample(began, offset, 1 * MS))
    assert one.trace(0.0) == {0: [span(5.0, 6.0, 0), span(10.0, 11.0, 1)]}
    assert [(sums.worker, sums.started) for sums in one.totals(0.0, 20.0).values()] == [(0, 5.0), (0, 10.0)]


def test_what_had_ended_is_forgotten_as_far_as_that_is_certain() -> None:
    one = seen()
    one.told(0, totals(1000.0, 1003.0))
    one.traced(0, [span(1000.0, 1001.0, 0), span(1001.0, 1002.0, 1), span(1002.0, 1003.0, 2)])
    one.compared(0, Sample(1000.0, -1000.0, 100 * MS))
    assert len(one.trace(0.0)[0]) == 3
    one.forget_before(2.05)
    assert one.trace(0.0) == {0: [span(1.0, 2.0, 1), span(2.0, 3.0, 2)]}
    one.traced(0, [span(1003.0, 1004.0, 3)])
    assert [lined_up.item for lined_up in one.trace(2.05)[0]] == [2, 3]


def test_only_what_is_looked_at_is_uncertain() -> None:
    one = seen()
    one.told(0, totals(1000.0, 101_000.0))
    one.compared(0, Sample(1000.0, -1000.0, 1 * MS))
    assert one.totals(0.0, 10.0)[0].uncertainty == pytest.approx(1 * MS + DRIFT * 10.0)
    assert one.totals(0.0, 1e6)[0].uncertainty == pytest.approx(1 * MS + DRIFT * 100_000.0)
    assert one.totals(200_000.0, 300_000.0)[0].uncertainty == 0.0, "it was dead by then"


def test_where_the_queue_has_a_clock_of_its_own_both_comparisons_count() -> None:
    queue = Comparison()
    one = seen(queue)
    one.told(0, totals(1000.0, 1001.0))
    one.told(1, totals(5.0, 6.0, HERE))
    one.compared(0, Sample(1000.0, -500.0, 1 * MS))
    assert list(one.totals(0.0, 9.0)) == [1], "how the caller's clock compares with the queue's is not known"
    queue.add(Sample(5.0, 495.0, 2 * MS))  # at 5 here it is 500 at the queue, and 1000 at the worker
    lined_up = one.totals(0.0, 9.0)
    assert (lined_up[0].started, lined_up[0].ended) == pytest.approx((5.0, 6.0), abs=1e-9)
    assert lined_up[0].uncertainty == pytest.approx(3 * MS + 2 * DRIFT, rel=1e-3)
    assert lined_up[1].uncertainty == 0.0


def test_only_what_was_measured_is_looked_ahead() -> None:
    one = seen()
    for worker, (items, ahead) in enumerate([(0, 16), (5, 3), (1, 4), (9, 100)]):
        one.told(worker, WorkerTotals(items=items, lookahead=ahead))
    one.told(4, WorkerTotals(items=1, lookahead=16, is_guess=True))
    assert one.lookahead(besides={3}) == 7
