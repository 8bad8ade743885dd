"""Reports: the metrics by their definitions, what is printed, and what is advised."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullahead.core import trace
from pullahead.core.meter import WorkerTotals
from pullahead.observe import words
from pullahead.observe.advice import RULES
from pullahead.observe.report import Report, timelines


def worker(number: int = 0, **sums: Any) -> WorkerTotals:
    """Return a worker of a run that began at 100 and lasts ten seconds."""
    return WorkerTotals(worker=number, **{"started": 100.0, "ended": 110.0, **sums})


def a_report(*workers: WorkerTotals, **facts: Any) -> Report:
    """Return a run of ten seconds; without workers, of one that was busy all the time."""
    items = sum(totals.items for totals in workers) or 100
    defaults: dict[str, Any] = {"done": items, "total": items, "seconds": 10.0, "started": 100.0}
    busy = (worker(items=100, useful=10.0, cpu=10.0),)
    return Report(workers=workers or busy, **{**defaults, **facts})


def stalled(**stalls: float) -> Report:
    """Return two workers that computed for what these stalls, in seconds of both, leave of their time."""
    each = {cause: spent / 2 for cause, spent in stalls.items()}
    useful = 10.0 - sum(each.values())
    return a_report(
        *(worker(n, items=80, useful=useful, cpu=useful, stalls=each, lookahead=n + 1) for n in range(2))
    )


# Metrics


TWO = (
    worker(0, items=30, useful=6.0, cpu=5.0, stalls={"fetch": 2.0, "source": 1.0}, tail=0.5,
           communication=4.0, hidden=2.5, exposed=1.5, lookahead=3, reason="2 → 3: because"),
    worker(1, items=20, useful=4.0, cpu=4.5, stalls={"source": 4.0}, tail=1.0,
           communication=4.0, hidden=3.5, exposed=0.5, lookahead=2, reason="1 → 2: because"),
)  # fmt: skip


def test_metrics_follow_their_published_definitions() -> None:
    report = a_report(*TWO, done=47, failed=2, left=1, retried=5, total=50)
    assert {name: getattr(report, name) for name in (
        "items", "done", "failed", "left", "retried", "seconds", "throughput", "lanes", "utilization",
        "overlap",
        "load_balance", "communication_efficiency", "hidden_seconds", "exposed_seconds", "cpu_share",
        "stall_seconds", "tail_seconds", "handling_seconds", "lookahead", "reasons",
    )} == {
        "items": 50, "done": 47, "failed": 2, "left": 1, "retried": 5, "seconds": 10.0, "throughput": 4.9,
        "lanes": 2, "utilization": 0.5, "overlap": 0.75, "load_balance": 5 / 6,
        "communication_efficiency": 0.6,
        "hidden_seconds": 6.0, "exposed_seconds": 2.0, "cpu_share": 0.95,
        "stall_seconds": {"source": 5.0, "fetch": 2.0}, "tail_seconds": 1.5, "handling_seconds": 1.5,
        "lookahead": 3, "reasons": ("2 → 3: because", "1 → 2: because"),
    }  # fmt: skip


@given(st.lists(st.integers(0, 10), min_size=1, max_size=8))
def test_load_balance_times_communication_efficiency_is_utilization(useful: list[int]) -> None:
    report = a_report(*(worker(number, useful=float(spent)) for number, spent in enumerate(useful)))
    assert math.isclose(report.load_balance * report.communication_efficiency, report.utilization)


def test_a_worker_that_took_the_place_of_a_dead_one_shares_its_lane() -> None:
    first = worker(0, useful=2.0, ended=103.0)
    second = worker(0, useful=6.0, started=104.0)
    report = a_report(first, second, worker(1, useful=4.0))
    assert (report.lanes, report.utilization, report.load_balance) == (2, 0.6, 0.75)
    assert report.startup_seconds == 0.0


def test_startup_is_counted_within_the_run() -> None:
    kept_by_a_pool, late, never = worker(0, started=90.0), worker(1, started=104.0), worker(2, started=999.0)
    assert a_report(kept_by_a_pool, late, never).startup_seconds == 14.0


def test_items_of_an_endless_source_are_those_known_so_far() -> None:
    assert a_report(total=None, done=3, failed=1, left=2).items == 6


def test_nothing_divides_by_zero() -> None:
    empty = Report()
    assert (empty.items, empty.overlap, empty.load_balance, empty.lookahead) == (0, 1.0, 1.0, 0)
    for name in ("throughput", "utilization", "communication_efficiency", "cpu_share"):
        assert math.isnan(getattr(empty, name)), name
    assert (empty.stall_seconds, empty.reasons) == ({}, ())
    assert json.loads(json.dumps(empty.to_dict(), allow_nan=False))["utilization"] is None


def test_a_report_is_a_snapshot() -> None:
    totals = worker(useful=1.0, stalls={"fetch": 1.0})
    report = a_report(totals)
    totals.useful, totals.stalls["fetch"] = 9.0, 9.0
    assert (report.useful_seconds, report.stall_seconds) == (1.0, {"fetch": 1.0})
    with pytest.raises(FrozenInstanceError):
        report.done = 3  # type: ignore[misc]


def test_a_report_can_be_pickled() -> None:
    report = a_report(*TWO, title="a run")
    assert pickle.loads(pickle.dumps(report)).to_dict() == report.to_dict()


def test_to_dict_holds_every_metric_and_every_worker() -> None:
    facts = json.loads(json.dumps(a_report(*TWO, title="a run").to_dict(), allow_nan=False))
    assert facts["title"] == "a run"
    assert facts["stall_seconds"] == {"source": 5.0, "fetch": 2.0}
    assert [totals["useful"] for totals in facts["workers"]] == [6.0, 4.0]
    missing = [
        name for name, value in vars(Report).items() if isinstance(value, property) and name not in facts
    ]
    assert missing == ["available_seconds"]


# What is printed


def test_a_print_says_what_happened_and_what_to_do() -> None:
    report = a_report(*TWO, done=47, failed=2, left=1, retried=5, total=50, title="thumbnails")
    assert str(report).splitlines() == [
        "thumbnails: 49 of 50 items in 10 s on 2 workers: 4.9 items/s",
        "  ended      47 well, 2 failed, 1 left, 5 retried",
        "  busy       50 % of the workers' time, on a CPU for 95 % of it, load balance 83 %",
        "  hidden     75 % of 8 s of communication; exposed 2 s",
        "  waited     42 %: source 5 s, fetch 2 s, at the end 1.5 s",
        "  lookahead  3 (2 → 3: because)",
        "→ 2 items failed (4.1 %): the traceback of the first failure says why",
        "→ workers waited 25 % for the source: it makes 4.9 items/s, 2 workers could take 10: make the "
        "source faster or use 1 worker",
        "→ workers waited 10 % for fetches at lookahead 3: if items are large, send a path or an address and "
        "read it in load=",
    ]  # fmt: skip
    assert repr(report) == (
        "<Report 49 of 50 items, 10 s, busy 50 %, 75 % of communication hidden, 2 s exposed>"
    )


def test_a_print_says_that_a_lookahead_was_fixed() -> None:
    assert "  lookahead  3 (fixed)" in str(a_report(*TWO, fixed_lookahead=3)).splitlines()


@pytest.mark.parametrize(
    ("lookahead", "batch_size", "reason", "line"),
    [
        (1, 0, "1: p95 fetch 1 ms ≤ p50 work 9 ms", "; more would not help: one item hides a fetch"),
        (8, 8, "8: p95 fetch 1 ms ≤ p50 batch 9 ms", "; more would not help: one batch hides a fetch"),
        (1, 0, "1: nothing measured yet", ""),
        (1, 0, "1: p95 fetch 80 ms > p50 work 4 µs, all that 64 MiB hold", ""),
        (2, 0, "1 → 2: p95 fetch 9 ms > p50 work 5 ms", ""),
        (16, 8, "8 → 16: p95 fetch 9 ms > p50 batch 5 ms", ""),
    ],
)
def test_a_print_says_where_looking_further_ahead_cannot_help(
    lookahead: int, batch_size: int, reason: str, line: str
) -> None:
    one = worker(items=100, useful=10.0, cpu=10.0, lookahead=lookahead, reason=reason)
    lines = str(a_report(one, batch_size=batch_size)).splitlines()
    assert f"  lookahead  {lookahead} ({reason}){line}" in lines
    lines = str(a_report(one, batch_size=batch_size, fixed_lookahead=lookahead)).splitlines()
    assert f"  lookahead  {lookahead} (fixed)" in lines


def test_a_print_of_nothing() -> None:
    assert str(Report()) == "0 items in 0 s on 0 workers: – items/s\n→ nothing has been processed yet"


def test_a_print_of_one_item() -> None:
    report = a_report(worker(items=1, useful=10.0, cpu=10.0))
    assert str(report).splitlines()[0] == "1 item in 10 s on 1 worker: 0.1 items/s"


def test_a_print_has_at_most_ten_lines_whatever_went_wrong() -> None:
    causes = dict.fromkeys(trace.CAUSES[:-1], 1.0)
    worst = worker(
        items=3, useful=2.0, cpu=0.1, stalls=causes, tail=1.0, started=102.0, clock="b", uncertainty=0.1,
        communication=3.0, hidden=1.0, exposed=2.0, reason="because",
    )  # fmt: skip
    report = a_report(worst, done=1, failed=2, left=3, retried=4, total=6, title="the worst")
    assert len(report.advice) > 3
    assert len(str(report).splitlines()) == 10


def test_a_print_says_how_well_several_clocks_are_lined_up() -> None:
    one, other = worker(0, clock="a"), worker(1, clock="b", uncertainty=0.0004, host="node-b")
    report = a_report(one, other, clock="a")
    assert (report.clocks, report.clock_uncertainty) == (2, 0.0004)
    assert str(report).splitlines()[1] == "  clocks     2 machines, lined up to ±400 µs"
    facts = report.to_dict()
    assert (facts["clocks"], facts["clock_uncertainty"]) == (2, 0.0004)
    assert [(one["host"], one["uncertainty"]) for one in facts["workers"]] == [("", 0.0), ("node-b", 0.0004)]


def test_a_print_of_one_machine_says_nothing_of_clocks() -> None:
    report = a_report(worker(0, clock="a"), worker(1, clock="a"), clock="a")
    assert (report.clocks, report.clock_uncertainty) == (1, 0.0)
    assert "clocks" not in str(report)


def test_the_callers_clock_is_one_of_them() -> None:
    assert a_report(worker(0, clock="b", uncertainty=0.1), clock="a").clocks == 2


# Advice: one test per rule, on both sides of its threshold where that is not obvious


@pytest.mark.parametrize(
    ("report", "advice"),
    [
        (
            stalled(fetch=6.2),
            "workers waited 31 % for fetches at lookahead 2: if items are large, send a path or an address "
            "and read it in load=",
        ),
        (
            a_report(worker(items=50_000, useful=5.0, cpu=5.0, stalls={"fetch": 5.0})),
            "workers waited 50 % for fetches: an item is only 100 µs of work: put more work into one item",
        ),
        (
            a_report(worker(items=4, useful=5.0, cpu=5.0, stalls={"fetch": 5.0})),
            "workers waited 50 % for fetches: 4 items are too few to look ahead in: cut them smaller",
        ),
        (
            a_report(worker(items=80, useful=6.9, cpu=6.9, stalls={"fetch": 3.1}), fixed_lookahead=1),
            'fetch is exposed for 31 % of the time although lookahead is fixed at 1: use lookahead="auto"',
        ),
        (
            stalled(load=5.0),
            "workers waited 25 % for load: allow more loads at a time (load_concurrency=), or make what they "
            "read from faster",
        ),
        (
            stalled(report=5.0),
            "workers waited 25 % for results to leave: make results smaller, or write them in store= and "
            "return their name",
        ),
        (
            stalled(batch=5.0),
            "workers waited 25 % for batches to fill: lower batch_wait, or make batch_size smaller",
        ),
        (
            stalled(source=12.4),
            "workers waited 62 % for the source: it makes 16 items/s, 2 workers could take 42.1: make the "
            "source faster or use 1 worker",
        ),
        (
            stalled(source=5.0),
            "workers waited 25 % for the source: it makes 16 items/s, 2 workers could take 21.3: make the "
            "source faster",
        ),
        (
            stalled(consumer=10.0),
            "the caller's loop is the bottleneck: workers waited 50 % for it; it takes 16 items/s, they "
            "could make 32: do less in the loop, or move work to store=, which runs in the workers",
        ),
        (
            stalled(order=5.0),
            "results wait for order, workers for 25 % of the time: use ordered=False",
        ),
        (
            a_report(
                worker(0, items=50, useful=10.0, cpu=10.0), worker(1, items=30, useful=6.0, cpu=6.0, tail=4.0)
            ),
            "workers idled 20 % at the end, waiting for the last items (load balance 80 %): put long items "
            "first, or cut them smaller",
        ),
        (
            a_report(worker(0, items=1, useful=10.0, cpu=10.0), worker(1, tail=10.0)),
            "workers idled 50 % at the end: 1 item for 2 workers: use fewer workers, or cut the items "
            "smaller",
        ),
        (
            a_report(*(worker(n, items=50, useful=10.0, cpu=6.0) for n in range(4)), cores=2),
            "4 workers had only 60 % of a core each while they computed: use 2 workers, one per core",
        ),
        (
            a_report(*(worker(n, items=50, useful=10.0, cpu=6.0) for n in range(2)), cores=2),
            "process was on a CPU for only 60 % of its time: if it reads or writes, move that to load= and "
            "store=; if the machine is crowded, use fewer workers; if it waits for a GPU, all is well",
        ),
        (
            a_report(worker(items=50, useful=6.0, cpu=6.0, started=104.0)),
            "starting the workers took 40 % of the run: keep them for several runs with Pool, or use fewer",
        ),
        (
            a_report(worker(items=100_000, useful=6.0, cpu=6.0)),
            "handling items took 40 % of the workers' time, 40 µs beside 60 µs of work each: put more work "
            "into one item",
        ),
        (
            a_report(worker(items=10, useful=9.8, cpu=9.8, communication=2.0, hidden=1.99, exposed=0.01)),
            "nothing to do: busy 98 %; looking ahead further would not help, because only 0.1 % of the "
            "workers' time was exposed communication",
        ),
        (a_report(), "nothing to do: busy 100 %, and there was no communication to hide"),
        (
            stalled(fetch=0.8, load=0.8, source=0.8),
            "no single cause stands out: waits 12 %, starting 0 %, handling items 0 % of the workers' time",
        ),
        (
            a_report(done=60, failed=40),
            "40 items failed (40 %): the traceback of the first failure says why; if it is chance, retries=2 "
            "tries them again",
        ),
        (a_report(worker(), done=0, total=0), "nothing to do: the source had no items"),
        (a_report(worker(), done=0, total=None), "nothing has been processed yet"),
        (a_report(worker(), done=0, left=7, total=None), "nothing has been processed: 7 items left"),
    ],
)
def test_advice(report: Report, advice: str) -> None:
    if report.failed:
        assert report.advice[0] == advice
    else:
        assert report.advice == (advice,)


def test_a_result_that_the_queue_refused_is_no_failure_that_a_traceback_explains() -> None:
    why = "a result that the queue refused: `pullahead queue failed` says why"
    assert a_report(done=8, failed=2, refused=2).advice == (f"2 items failed (20 %) by {why}",)
    failed = "1 item failed (10 %): the traceback of the first failure says why; if it is chance, retries=2"
    several = a_report(done=7, failed=3, refused=2).advice
    assert several == (f"{failed} tries them again", f"2 items failed (20 %) by {why}")


@pytest.mark.parametrize("cause", trace.CAUSES[:-1])
def test_every_cause_of_a_stall_has_a_rule_that_fires_from_five_percent_on(cause: str) -> None:
    assert [rule.name for rule in RULES if rule.lost(stalled(**{cause: 1.0})) >= rule.least] == [cause]
    assert [rule.name for rule in RULES if rule.lost(stalled(**{cause: 0.99})) >= rule.least] == []


def test_the_largest_loss_comes_first() -> None:
    report = stalled(order=2.0, consumer=4.0, load=3.0)
    assert [line.split()[0] for line in report.advice] == ["the", "workers", "results"]


# Timelines without a picture


def test_a_suffix_that_is_not_known_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a timeline is written as \.svg, \.png, \.json, not as 'run\.pdf'"):
        a_report(trace={}).timeline(tmp_path / "run.pdf")


def test_a_run_without_a_trace_says_how_to_record_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="this run recorded no trace to draw: run it with trace=True"):
        a_report().timeline(tmp_path / "run.svg")
    with pytest.raises(ValueError, match="'second' recorded no trace"):
        timelines(tmp_path / "run.svg", [("first", a_report(trace={})), ("second", a_report())])
    assert list(tmp_path.iterdir()) == []


def test_a_picture_without_matplotlib_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    report = a_report(trace={0: []})
    with pytest.raises(ImportError, match=r'pip install "pullahead\[viz\]"'):
        report.timeline(tmp_path / "run.svg")
    assert report.timeline(tmp_path / "run.json") == tmp_path / "run.json"


def test_a_report_imports_neither_pictures_nor_terminals() -> None:
    code = (
        "import sys, pullahead.observe.report, pullahead.observe.progress\n"
        "print([name for name in ('matplotlib', 'numpy', 'rich') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


# Words


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0 s"), (2e-9, "2 ns"), (4.5e-4, "450 µs"), (0.0301, "30.1 ms"), (0.99999, "1 s"), (1.0, "1 s"),
        (12.34, "12.3 s"), (99.9, "99.9 s"), (99.96, "1 min 40 s"), (125.0, "2 min 05 s"),
        (3720.0, "1 h 02 min"), (math.nan, "–"), (math.inf, "–"), (0.9996, "1 s"),
    ],
)  # fmt: skip
def test_seconds(value: float, said: str) -> None:
    assert words.seconds(value) == said


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0, "0 %"), (0.0004, "0 %"), (0.001, "0.1 %"), (0.0994, "9.9 %"), (0.0996, "10 %"), (0.5, "50 %"),
        (0.989, "99 %"), (0.9949, "99.5 %"), (0.9999, "100 %"), (1.0, "100 %"), (math.nan, "–"),
    ],
)  # fmt: skip
def test_percent(share: float, said: str) -> None:
    assert words.percent(share) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0"), (3.0, "3"), (0.352, "0.352"), (42.13, "42.1"), (1234.6, "1,235"), (math.nan, "–")],
)
def test_count(value: float, said: str) -> None:
    assert words.count(value) == said


def test_a_run_without_items_has_waited_for_nothing() -> None:
    report = Report(workers=[WorkerTotals(tail=1.0)], seconds=0.001, total=0)
    assert "waited" not in str(report)


def test_a_print_says_what_an_earlier_run_had_done() -> None:
    report = a_report(worker(items=30, useful=9.0), done=99, failed=1, recorded=70, absent=5, seconds=10.0)
    assert report.throughput == 3.0, "what was computed in this run"
    ended = next(line for line in str(report).splitlines() if "ended" in line)
    assert ended.split(maxsplit=1)[1] == "99 well, 1 failed, 70 recorded before, 5 absent from the input"


def test_a_print_of_a_run_that_had_nothing_to_do_says_so_and_no_more() -> None:
    report = a_report(worker(tail=1.0), done=3, failed=0, recorded=3, total=3, seconds=1.0, title="hash")
    assert str(report).splitlines() == [
        "hash: 3 items in 1 s on 1 worker: 0 items/s",
        "  ended      3 well, 3 recorded before",
        "→ nothing to do: all items had ended in an earlier run",
    ]


def test_a_print_says_what_was_given_back() -> None:
    report = a_report(worker(items=2, useful=1.0), done=2, left=8, returned=4, seconds=1.0)
    assert "2 well, 8 left, 4 of them given back" in str(report)
