"""The simulator: known answers, determinism, theory, and what it refuses."""

from __future__ import annotations

import json
from array import array
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from pullahead.sim import bimodal, constant, lognormal, simulate
from pullahead.sim.ideal import central_queue
from pullahead.sim.scenario import Scenario
from pullahead.sim.trial import Trial

MS = 1e-3


def at_once(
    computes: list[float], workers: int = 2, lookahead: int | None = None, recall: bool = True
) -> Trial:
    """Everything is there, and no message takes time."""
    return Trial(workers, array("d", computes), None, lambda: lambda: 0.0, lookahead, recall)


# Known answers


def test_on_demand_pays_a_round_trip_for_each_item() -> None:
    run = simulate(workers=1, compute=10 * MS, delay=4 * MS, items=100, lookahead=0, recall=False)
    assert run.seconds == pytest.approx(100 * 14 * MS)
    assert run.utilization == pytest.approx(10 / 14)
    assert run.hoard_idle_seconds == 0.0


def test_the_plain_pattern_hides_a_round_trip_that_is_shorter_than_an_item() -> None:
    run = simulate(workers=1, compute=10 * MS, delay=4 * MS, items=100, lookahead=1, recall=False)
    assert run.seconds == pytest.approx(4 * MS + 100 * 10 * MS)


def test_what_is_held_is_what_was_granted_and_not_begun() -> None:
    # One worker, no delay, one item ahead: of 10 seconds, an item is held in all but the last one.
    run = at_once([1.0] * 10, workers=1, lookahead=1, recall=False).run()
    assert run.seconds == pytest.approx(10.0)
    assert run.held_mean == pytest.approx(0.9)


def test_hoarding_is_counted_while_a_hungry_worker_looks_on() -> None:
    # Worker 0 takes the item of 1 s and holds items 1 and 2; worker 1 is done after 0.2 s, and looks on
    # until item 1 begins at 1.0 s: two items for 0.8 s, and one more for 0.1 s.
    keeping = at_once([1.0, 0.1, 0.1, 0.1, 0.1], lookahead=2, recall=False).run()
    assert list(keeping.finished) == pytest.approx([1.0, 1.1, 1.2, 0.1, 0.2])
    assert keeping.hoard_idle_seconds == pytest.approx(2 * 0.8 + 0.1)
    giving = at_once([1.0, 0.1, 0.1, 0.1, 0.1], lookahead=2, recall=True).run()
    assert max(giving.finished) == pytest.approx(1.0)
    assert giving.hoard_idle_seconds == 0.0
    assert giving.recalls_per_item > 0.0


def test_sojourn_is_the_nearest_rank() -> None:
    run = at_once([1.0] * 4, workers=1, lookahead=1).run()
    assert [run.sojourn(q) for q in (0.0, 0.25, 0.26, 0.5, 1.0)] == pytest.approx([1.0, 1.0, 2.0, 2.0, 4.0])
    with pytest.raises(ValueError, match=r"sojourn: expected a quantile from 0 to 1, got 1\.5"):
        run.sojourn(1.5)


# What no policy can beat


def test_the_ideal_serves_in_order_on_the_worker_that_is_free_first() -> None:
    begins, ends, places = central_queue(
        2, array("d", [3.0, 1.0, 1.0, 2.0]), array("d", [0.0, 0.0, 0.5, 9.0])
    )
    assert list(begins) == [0.0, 0.0, 1.0, 9.0]
    assert list(ends) == [3.0, 1.0, 2.0, 11.0]
    assert list(places) == [0, 1, 1, 1]


@pytest.mark.parametrize("cv", [0.0, 1.0])
def test_the_ideal_waits_as_long_as_theory_says(cv: float) -> None:
    """Pollaczek and Khinchine: one server, load r, mean wait = r / (1 - r) × (1 + cv²) / 2 × mean service."""
    run = Scenario(1, lognormal(1.0, cv), 0.0, arrivals=0.6, items=200_000).trial().ideal()
    assert run.arrivals is not None
    sojourn = fmean(end - at for end, at in zip(run.finished, run.arrivals, strict=True))
    assert sojourn == pytest.approx(1.0 + 0.6 / 0.4 * (1 + cv**2) / 2, rel=0.05)


@pytest.mark.parametrize("lookahead", [0, 1, 4, "auto"])
def test_without_delay_every_policy_is_the_ideal_one(lookahead: Any) -> None:
    """One worker and constant items: there is nothing to be early for, and nobody to take from."""
    run = simulate(1, constant(1.0), 0.0, arrivals=0.8, items=500, lookahead=lookahead)
    assert list(run.finished) == pytest.approx(list(run.ideal.finished))


@pytest.mark.parametrize("arrivals", ["backlog", 400.0])
def test_nothing_is_better_than_the_ideal_and_every_item_ends(arrivals: Any) -> None:
    for lookahead in (0, 1, 16, "auto"):
        run = simulate(4, lognormal(10 * MS, 0.5), 10 * MS, arrivals, 2000, lookahead)
        assert run.items == 2000
        assert min(run.finished) > 0.0
        assert run.useful_seconds == pytest.approx(run.ideal.useful_seconds)
        assert run.seconds >= run.ideal.seconds
        assert run.utilization <= run.ideal.utilization
        if arrivals != "backlog":
            assert run.sojourn(0.99) >= run.ideal.sojourn(0.99)


# The same arguments give the same run


def test_the_same_seed_gives_the_same_trace_to_the_last_byte(tmp_path: Path) -> None:
    def traced(name: str, seed: int) -> bytes:
        run = simulate(3, bimodal(1 * MS, 50 * MS, 0.1), lognormal(5 * MS, 1), 300.0, 500, seed=seed)
        return run.timeline(tmp_path / name).read_bytes()

    first = traced("a.json", 1)
    assert json.loads(first)["traceEvents"]
    assert traced("b.json", 1) == first
    assert traced("c.json", 2) != first


def test_policies_see_the_same_items() -> None:
    runs = [simulate(2, lognormal(1.0, 1.0), 0.1, 1.0, 100, lookahead=k, seed=3) for k in (0, 4)]
    assert runs[0].arrivals == runs[1].arrivals
    assert list(runs[0].ideal.finished) == list(runs[1].ideal.finished)


# What it says of itself


def test_its_report_is_that_of_a_real_run() -> None:
    run = simulate(4, 10 * MS, 5 * MS, items=400, lookahead=2)
    report = run.report
    assert report.items == report.done == 400
    assert report.lanes == 4
    assert report.seconds == run.seconds
    assert report.utilization == pytest.approx(run.utilization)
    assert report.trace is None
    assert "lookahead 2" in str(report)
    assert run.ideal.report.utilization == pytest.approx(run.ideal.utilization)


def test_the_ideal_can_be_drawn_as_well(tmp_path: Path) -> None:
    run = simulate(2, 10 * MS, 5 * MS, 100.0, 50)
    assert run.ideal.timeline(tmp_path / "ideal.svg").read_bytes().startswith(b"<?xml")


def test_it_prints_as_one_line() -> None:
    run = simulate(2, 10 * MS, 0.0, items=100, lookahead=1)
    assert str(run) == "100 items in 500 ms on 2 workers: 200 items/s, busy 100 %, p50 250 ms, p99 500 ms"


def test_ten_thousand_workers_run() -> None:
    run = simulate(10_000, 1.0, 10 * MS, items=10_000, lookahead=0)
    assert run.seconds == pytest.approx(1.01)
    assert run.utilization == pytest.approx(1 / 1.01)


# What makes no sense


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"workers": 0}, ValueError, "workers: expected a whole number from 1, got 0"),
        ({"workers": 2.0}, TypeError, "workers: expected a whole number from 1, got 2.0"),
        ({"items": 0}, ValueError, "items: expected a whole number from 1, got 0"),
        ({"compute": -1}, ValueError, "compute: expected a finite number from 0, got -1"),
        ({"compute": 0}, ValueError, "compute: expected items that take time, got constant(seconds=0.0)"),
        ({"arrivals": "soon"}, TypeError, "arrivals: expected 'backlog' or items per second, got 'soon'"),
        ({"arrivals": 0}, ValueError, "arrivals: expected 'backlog' or a rate above 0, got 0"),
        ({"lookahead": -1}, ValueError, "lookahead: expected 'auto' or a whole number from 0, got -1"),
        ({"lookahead": "max"}, TypeError, "lookahead: expected 'auto' or a whole number from 0, got 'max'"),
        ({"recall": 1}, TypeError, "recall: expected True or False, got 1"),
        ({"seed": "x"}, TypeError, "seed: expected a whole number, got 'x'"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(
    arguments: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as raised:
        simulate(**arguments)
    assert str(raised.value) == said


# Clocks


@pytest.mark.parametrize("lookahead", [0, 1, "auto"])
@pytest.mark.parametrize("arrivals", ["backlog", 500.0])
def test_workers_whose_clocks_began_at_another_time_do_the_same(lookahead: Any, arrivals: Any) -> None:
    trial = Scenario(
        4, lognormal(6 * MS, 1.0), lognormal(3 * MS, 0.3), arrivals, items=400, lookahead=lookahead
    ).trial()
    skewed = replace(trial, ahead=array("d", [86_400.0, -3600.0, 0.0, 1e6]))
    one, other = trial.run(trace=True), skewed.run(trace=True)
    assert list(other.finished) == pytest.approx(list(one.finished), abs=1e-6)
    here, there = one.observe(True), other.observe(True)
    for totals, moved in zip(here.workers, there.workers, strict=True):
        sums, moved_sums = asdict(totals), asdict(moved)
        assert moved_sums.pop("stalls") == pytest.approx(sums.pop("stalls"), abs=1e-6)
        for name, value in sums.items():
            assert moved_sums[name] == (value if isinstance(value, str) else pytest.approx(value, abs=1e-6))
    assert here.trace is not None
    assert there.trace is not None
    assert here.trace.keys() == there.trace.keys()
    for worker, spans in here.trace.items():
        for span, moved_span in zip(spans, there.trace[worker], strict=True):
            assert (span.kind, span.item, span.size) == (moved_span.kind, moved_span.item, moved_span.size)
            assert (moved_span.start, moved_span.end) == pytest.approx((span.start, span.end), abs=1e-6)
