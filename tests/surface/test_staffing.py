"""Reports and pictures of runs whose workers came and went: shares are of the time when they were there."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullahead.core import trace
from pullahead.core.meter import WorkerTotals
from pullahead.core.trace import Span
from pullahead.observe.advice import advise
from pullahead.observe.report import Report
from pullahead.observe.staffing import Change, Staffing

CHANGES = (Change(2.0, 1, 2, "there is much to do"), Change(7.0, 2, 1, "there was nothing to do for 5 s"))
#: A worker that was there for all of ten seconds, and one for five of them.
STAFFING = Staffing({0: ((0.0, 10.0),), 1: ((2.0, 7.0),)}, CHANGES)
TWO = (
    WorkerTotals(worker=0, started=100.5, ended=110.0, items=90, useful=9.0, cpu=9.0),
    WorkerTotals(worker=1, started=102.5, ended=107.0, items=30, useful=3.0, cpu=3.0, stalls={"source": 1.5}),
)


def a_report(**facts: Any) -> Report:
    defaults: dict[str, Any] = {"done": 120, "total": 120, "seconds": 10.0, "started": 100.0}
    return Report(workers=TWO, **{**defaults, "staffing": STAFFING, **facts})


# When there were workers


def test_stays_and_changes_are_cut_to_the_run() -> None:
    moments = (Change(99.0, 1, 3, "before"), Change(102.0, 3, 2, "during"), Change(111.0, 2, 1, "after"))
    stays: dict[int, list[tuple[float, float | None]]]
    stays = {2: [(90.0, 95.0), (96.0, 101.0), (103.0, None)], 0: [(90.0, None)], 1: [(111.0, None)]}
    cut = Staffing.between(100.0, 110.0, stays, moments)
    assert cut == Staffing({0: ((0.0, 10.0),), 2: ((0.0, 1.0), (3.0, 10.0))}, (Change(2.0, 3, 2, "during"),))
    assert (list(cut.stays), cut.of(2), cut.of(7), cut.seconds) == ([0, 2], 8.0, 0.0, 18.0)


def test_who_comes_when_another_one_leaves_was_not_there_with_it() -> None:
    assert Staffing({0: ((0.0, 5.0),), 1: ((5.0, 9.0),)}).most == 1
    assert Staffing({0: ((0.0, 5.0),), 1: ((4.9, 9.0),)}).most == 2
    assert Staffing({}).most == 0


def test_a_long_course_is_shown_by_its_ends() -> None:
    changes = [Change(0.0, size, size + 1, "") for size in range(1, 12)]
    assert Staffing({}, changes[:3]).course == "1 → 2 → 3 → 4"
    assert Staffing({}, changes).course == "1 → 2 → 3 → 4 → … → 9 → 10 → 11 → 12"


# The report


def test_shares_are_of_the_time_for_which_there_were_workers() -> None:
    report = a_report()
    assert (report.lanes, report.average_workers, report.available_seconds) == (2, 1.5, 15.0)
    assert report.utilization == 0.8
    assert report.communication_efficiency == 0.9
    assert report.load_balance == pytest.approx(0.8 / 0.9)
    assert report.startup_seconds == 1.0, "half a second each, from when they had a place"
    assert report.throughput == 12.0


@given(st.lists(st.tuples(st.integers(1, 10), st.floats(0.0, 1.0)), min_size=1, max_size=6))
def test_load_balance_times_communication_efficiency_is_utilization(lanes: list[tuple[int, float]]) -> None:
    workers = [WorkerTotals(worker=n, useful=long * busy) for n, (long, busy) in enumerate(lanes)]
    stays = {n: ((0.0, float(long)),) for n, (long, _) in enumerate(lanes)}
    report = Report(workers=workers, seconds=10.0, staffing=Staffing(stays))
    assert math.isclose(
        report.load_balance * report.communication_efficiency, report.utilization, abs_tol=1e-9
    )


def test_where_all_were_there_all_the_time_nothing_is_different() -> None:
    whole = Staffing({0: ((0.0, 10.0),), 1: ((0.0, 10.0),)})
    plain, elastic = a_report(staffing=None), a_report(staffing=whole)
    for name in ("lanes", "utilization", "load_balance", "communication_efficiency", "average_workers"):
        assert math.isclose(getattr(plain, name), getattr(elastic, name)), name
    assert str(plain) == str(elastic)


def test_a_lane_that_never_had_a_worker_that_computed_was_being_started() -> None:
    report = a_report(staffing=Staffing({0: ((0.0, 10.0),), 3: ((1.0, 4.0),)}))
    assert report.startup_seconds == 0.5 + 3.0


def test_what_is_printed_says_how_many_there_were_and_why() -> None:
    first, second, *_ = str(a_report(title="work")).splitlines()
    assert first == "work: 120 items in 10 s on 1 to 2 workers (1.5 on average): 12 items/s"
    assert second == "  workers    1 → 2 → 1, first because there is much to do"


def test_advice_reckons_with_those_who_were_there() -> None:
    (advice,) = (line for line in advise(a_report()) if "source" in line)
    assert "workers waited 10 % for the source: it makes 12 items/s, 2 workers could take 15:" in advice


def test_json_has_the_changes() -> None:
    facts = json.loads(json.dumps(a_report().to_dict()))
    assert facts["average_workers"] == 1.5
    assert facts["changes"][0] == {"at": 2.0, "before": 1, "after": 2, "why": "there is much to do"}
    assert a_report(staffing=None).to_dict()["changes"] == []


# Pictures


def traced() -> Report:
    spans = {0: [Span(trace.PROCESS, 100.5, 109.5, 0)], 1: [Span(trace.PROCESS, 102.5, 105.5, 1)]}
    return a_report(trace=spans, title="work")


def test_a_picture_says_when_they_came_and_went(tmp_path: Path) -> None:
    changes = Change(2.0, 20, 21, ""), Change(7.0, 21, 20, ""), Change(7.001, 20, 19, "")
    report = replace(traced(), staffing=STAFFING._replace(changes=changes))
    svg = report.timeline(tmp_path / "run.svg").read_text()
    said = re.findall(r">([^<>]+)</text>", svg)
    assert {text for text in said if text in {"19", "20", "21"}} == {"21", "19"}, "of two at once, the last"
    assert "60 %" in said, "busy, of the five seconds of the second lane"
    assert "90 %" in said


def test_a_replay_has_all_of_them_though_they_were_not_there_together() -> None:
    staffing = Staffing({0: ((0.0, 5.0),), 1: ((5.0, 10.0),)})
    replayed = replace(traced(), staffing=staffing).replay()
    assert staffing.most == 1
    assert (replayed.items, replayed.workers) == (2, 2)


def test_a_trace_file_has_the_reasons(tmp_path: Path) -> None:
    events = json.loads(traced().timeline(tmp_path / "run.json").read_text())["traceEvents"]
    marks = [event for event in events if event.get("cat") == "scaling"]
    assert [(mark["name"], mark["ts"], mark["args"]["reason"]) for mark in marks] == [
        ("1 → 2 workers", 2e6, "there is much to do"),
        ("2 → 1 workers", 7e6, "there was nothing to do for 5 s"),
    ]
    counts = [
        event["args"]["workers"] for event in events if event["ph"] == "C" and event["name"] == "workers"
    ]
    assert counts == [1, 2, 1]
    assert {mark["pid"] for mark in marks} == {3}
