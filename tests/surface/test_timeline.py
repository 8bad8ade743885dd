"""Pictures and trace files: what is in them, how large they are, and that they do not change."""

from __future__ import annotations

import base64
import itertools
import json
import math
import re
import struct
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullahead.core import trace
from pullahead.core.meter import WorkerTotals
from pullahead.core.trace import Span
from pullahead.observe import palette
from pullahead.observe.lanes import lanes, stall, union
from pullahead.observe.machines import labels, places
from pullahead.observe.report import Report, timelines

START = 1000.0


def a_worker(number: int, items: int, period: float = 1.0) -> tuple[WorkerTotals, list[Span]]:
    """Return a worker that waits for 20 % of each period, for one cause after the other."""
    spans = []
    for item in range(items):
        begin = START + item * period
        middle, end = begin + 0.2 * period, begin + period
        cause = trace.CAUSES[(item + number) % len(trace.CAUSES)]
        spans += [
            Span(trace.STALL, begin, middle, detail=cause),
            Span(trace.FETCH, begin, middle, item),
            Span(trace.LOAD, begin, middle, item),
            Span(trace.PROCESS, middle, end, item),
            Span(trace.STORE, middle, end - 0.3 * period, item),
            Span(trace.REPORT, end - 0.3 * period, end - 0.2 * period, item),
        ]
    useful = 0.8 * items * period
    totals = WorkerTotals(worker=number, pid=500 + number, started=START, items=items,
                          useful=useful, cpu=useful, communication=0.9 * items * period,
                          hidden=0.7 * items * period, exposed=0.2 * items * period)  # fmt: skip
    return totals, spans


def a_run(workers: int, items: int, period: float = 1.0, title: str = "") -> Report:
    made = [a_worker(number, items, period) for number in range(workers)]
    return Report(
        workers=[totals for totals, _ in made],
        trace={totals.worker: spans for totals, spans in made},
        done=workers * items,
        total=workers * items,
        seconds=items * period,
        started=START,
        title=title,
    )


def texts(svg: Path) -> list[str]:
    """Return every text of a picture, in the order in which it is drawn."""
    return [
        "".join(element.itertext()).strip()
        for element in ET.parse(svg).iter("{http://www.w3.org/2000/svg}text")
    ]


def boxes(svg: Path) -> dict[str, int]:
    """Return how many boxes there are of each state of each lane."""
    groups = {}
    for group in ET.parse(svg).iter("{http://www.w3.org/2000/svg}g"):
        if group.get("id", "").startswith("run-"):
            groups[group.attrib["id"]] = sum(
                path.attrib["d"].count("z") for path in group if "d" in path.attrib
            )
    return groups


def elements(svg: Path) -> int:
    return sum(1 for _ in ET.parse(svg).iter())


# Lanes


def test_lanes_hold_intervals_by_state_since_the_run_began() -> None:
    spans = [
        Span(trace.PROCESS, 12.0, 13.0, 1),
        Span(trace.PROCESS, 11.0, 12.0, 0),
        Span(trace.LOAD, 10.0, 11.0, 0),
        Span(trace.LOAD, 10.5, 12.5, 1),
        Span(trace.STALL, 10.0, 11.0, detail="load"),
        Span(trace.LOOKAHEAD, 11.0, 11.0, 2, detail="because"),
    ]
    second, first = lanes({7: spans, 3: []}, started=10.0, seconds=5.0)[::-1]
    assert (first.worker, first.rows) == (3, {})
    assert (second.worker, second.useful) == (7, 2.0)
    assert second.rows == {
        "process": [(1.0, 2.0), (2.0, 3.0)],
        "load": [(0.0, 2.5)],
        "stall:load": [(0.0, 1.0)],
    }


def test_lanes_are_cut_to_the_run() -> None:
    spans = [Span(trace.FETCH, 8.0, 11.0), Span(trace.PROCESS, 14.0, 99.0), Span(trace.REPORT, 20.0, 21.0)]
    (lane,) = lanes({0: spans}, started=10.0, seconds=5.0)
    assert lane.rows == {"fetch": [(0.0, 1.0)], "process": [(4.0, 5.0)]}


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda pair: tuple(sorted(pair))), max_size=15
    )
)
def test_a_union_covers_the_same_seconds_with_gaps_between(intervals: list[tuple[int, int]]) -> None:
    merged = union(intervals)
    assert {s for a, b in merged for s in range(int(a), int(b))} == {
        s for a, b in intervals for s in range(a, b)
    }
    assert all(before[1] < after[0] for before, after in itertools.pairwise(merged))


# The picture


def test_a_picture_has_a_box_for_everything_that_happened(tmp_path: Path) -> None:
    a_run(2, 8).timeline(tmp_path / "run.svg")
    expected: dict[str, int] = {}
    for number in range(2):
        lane = f"run-0-worker-{number}-"
        expected |= {
            lane + "process": 8,
            lane + "fetch": 8,
            lane + "load": 8,
            lane + "store": 8,
            lane + "report": 8,
        }
        expected |= {f"{lane}stall-{cause}": 1 for cause in trace.CAUSES}
    assert boxes(tmp_path / "run.svg") == expected


def test_a_picture_names_the_run_its_numbers_each_worker_and_each_cause(tmp_path: Path) -> None:
    a_run(2, 8, title="of $5 & <6>").timeline(tmp_path / "run.svg")
    said = texts(tmp_path / "run.svg")
    ticks = [str(second) for second in range(9)]
    assert sorted(said) == sorted([
        "of $5 & <6>",
        "2 workers · 16 items · 8 s · busy 80 %, 78 % of communication hidden, 3.2 s exposed",
        "busy", "worker 0", "80 %", "worker 1", "80 %", *ticks, "seconds",
        "in a lane", "computing", "waits for fetch", "waits for load", "waits for report", "waits for batch",
        "waits for source", "waits for caller", "waits for order", "nothing left",
        "above it", "fetch", "load", "store", "report",
    ])  # fmt: skip


def test_a_legend_explains_only_what_is_there(tmp_path: Path) -> None:
    spans = [Span(trace.PROCESS, START, START + 1.0, 0)]
    Report(trace={0: spans}, seconds=1.0, started=START).timeline(tmp_path / "run.svg")
    said = texts(tmp_path / "run.svg")
    assert "computing" in said
    assert not [text for text in said if text.startswith("waits") or text == "above it"]


@pytest.mark.parametrize(
    ("seconds", "unit", "last"),
    [(5e-5, "microseconds", "50"), (0.02, "milliseconds", "20"), (5.0, "seconds", "5"),
     (100.0, "seconds", "100"), (600.0, "minutes", "10"), (36000.0, "hours", "10"), (0.0, "seconds", "1")],
)  # fmt: skip
def test_the_time_axis_has_a_unit_that_suits(seconds: float, unit: str, last: str, tmp_path: Path) -> None:
    Report(trace={0: []}, seconds=seconds).timeline(tmp_path / "run.svg")
    said = texts(tmp_path / "run.svg")
    assert unit in said
    assert said[said.index(unit) - 1] == last


def test_64_workers_each_have_their_name(tmp_path: Path) -> None:
    a_run(64, 20).timeline(tmp_path / "run.svg")
    said = texts(tmp_path / "run.svg")
    assert [text for text in said if text.startswith("worker ")] == [
        f"worker {number}" for number in range(64)
    ]
    assert (tmp_path / "run.svg").stat().st_size < 2_000_000


def test_lanes_flatter_than_letters_are_named_now_and_then(tmp_path: Path) -> None:
    a_run(300, 2).timeline(tmp_path / "run.svg")
    said = [text for text in texts(tmp_path / "run.svg") if text.startswith("worker ")]
    assert said == [f"worker {number}" for number in range(0, 300, 3)]


@pytest.mark.parametrize(("workers", "items"), [(2, 100_000), (64, 500)])
def test_many_items_are_a_small_picture(workers: int, items: int, tmp_path: Path) -> None:
    report = a_run(workers, items, period=0.001)
    report.timeline(tmp_path / "run.svg")
    report.timeline(tmp_path / "run.png")
    assert boxes(tmp_path / "run.svg") == {}
    assert elements(tmp_path / "run.svg") < 1000
    assert (tmp_path / "run.svg").stat().st_size < 2_000_000
    assert (tmp_path / "run.png").stat().st_size < 2_000_000
    assert len(re.findall("data:image/png;base64,", (tmp_path / "run.svg").read_text())) == 1


def test_a_crowded_column_is_green_to_the_height_of_its_utilization() -> None:
    np = pytest.importorskip("numpy")
    raster = pytest.importorskip("pullahead.observe.raster")
    (lane,) = lanes(a_run(1, 1000).trace or {}, START, 1000.0)
    edges = np.linspace(0.0, 1000.0, 11)
    image = raster.band(lane.rows, list(palette.STATES), edges, 50, True)
    green = [int(palette.colour(trace.PROCESS)[i : i + 2], 16) for i in (1, 3, 5)]
    assert image.shape == (50, 10, 4)
    assert (image[:, :, :3] == green).all(axis=2).sum(axis=0).tolist() == [40] * 10
    assert (image[:, :, 3] == 255).all()
    assert (image[-1, :, :3] == green).all()  # the green is at the bottom


def test_a_column_with_room_shows_what_took_most_of_it() -> None:
    np = pytest.importorskip("numpy")
    raster = pytest.importorskip("pullahead.observe.raster")
    rows = {trace.PROCESS: [(0.0, 1.6)], stall("fetch"): [(1.6, 2.9)]}
    image = raster.band(rows, list(palette.STATES), np.array([0.0, 1.0, 2.0, 3.0, 4.0]), 1, False)
    colours = [palette.colour(state) for state in (trace.PROCESS, trace.PROCESS, stall("fetch"))]
    shown = ["#" + "".join(f"{part:02X}" for part in pixel[:3]) for pixel in image[0]]
    assert shown == [*colours, "#000000"]
    assert image[0, :, 3].tolist() == [255, 255, 255, 0]


def test_the_same_run_gives_the_same_bytes_and_no_date(tmp_path: Path) -> None:
    for suffix in ("svg", "png", "json"):
        paths = [tmp_path / f"{name}.{suffix}" for name in ("first", "second")]
        for path in paths:
            a_run(2, 10).timeline(path)
        assert paths[0].read_bytes() == paths[1].read_bytes()
    assert "date" not in (tmp_path / "first.svg").read_text()


def test_the_callers_settings_neither_change_nor_show(tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    a_run(1, 3).timeline(tmp_path / "plain.svg")
    with matplotlib.rc_context({"font.size": 40, "axes.facecolor": "black", "text.usetex": True}):
        before = dict(matplotlib.rcParams)
        a_run(1, 3).timeline(tmp_path / "styled.svg")
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "styled.svg").read_bytes() == (tmp_path / "plain.svg").read_bytes()


def test_a_picture_of_nothing_is_still_a_picture(tmp_path: Path) -> None:
    Report(trace={}).timeline(tmp_path / "run.svg")
    assert "0 workers · 0 items · 0 s · busy –" in texts(tmp_path / "run.svg")


def test_a_png_is_wide_enough_to_read(tmp_path: Path) -> None:
    a_run(2, 4).timeline(tmp_path / "run.png")
    data = (tmp_path / "run.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24])[0] == 1800


def test_several_runs_share_one_time_axis(tmp_path: Path) -> None:
    reports = [("blocking", a_run(2, 10)), ("overlapping", a_run(2, 5))]
    assert timelines(tmp_path / "runs.svg", reports) == tmp_path / "runs.svg"
    said = texts(tmp_path / "runs.svg")
    assert [said.count(text) for text in ("blocking", "overlapping", "seconds", "worker 1", "computing")] == [
        1, 1, 1, 2, 1,
    ]  # fmt: skip
    assert [text for text in said if text.startswith("ended")] == ["ended at 5 s"]
    ends = {}
    for group in ET.parse(tmp_path / "runs.svg").iter("{http://www.w3.org/2000/svg}g"):
        if group.get("id", "").endswith("-worker-0-process"):
            ends[group.attrib["id"]] = max(float(x) for x in re.findall(r"[ML] (\S+) ", group[0].attrib["d"]))
    left, right = 76.0, 836.0
    assert ends == {"run-0-worker-0-process": right, "run-1-worker-0-process": (left + right) / 2}


def test_a_raster_covers_its_part_of_a_common_axis(tmp_path: Path) -> None:
    timelines(tmp_path / "runs.svg", [("long", a_run(1, 4)), ("short", a_run(1, 20_000, period=0.0001))])
    svg = (tmp_path / "runs.svg").read_text()
    (picture,) = re.findall(r"data:image/png;base64,\s*([^\"]+)", svg)
    width = struct.unpack(">II", base64.b64decode(picture)[16:24])[0]
    assert width == math.ceil((836 - 76) * 2 * 0.5 / 4)


# Colours


# Machado, Oliveira and Fernandes (2009), full deficiency.
_EYES = {
    "normal": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "green-blind": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "red-blind": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "blue-blind": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def _times(matrix: tuple[tuple[float, ...], ...], vector: list[float]) -> list[float]:
    return [sum(factor * part for factor, part in zip(row, vector, strict=True)) for row in matrix]


def _lab(colour: str, eyes: str) -> list[float]:
    """Return what eyes see, in CIELAB, where a distance of 2 is just visible side by side."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    seen = [min(1.0, max(0.0, part)) for part in _times(_EYES[eyes], linear)]
    xyz = _times(((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)), seen)
    x, y, z = (
        math.cbrt(part) if part > 0.008856 else 7.787 * part + 16 / 116
        for part in (xyz[0] / 0.9505, xyz[1], xyz[2] / 1.089)
    )
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)]


@pytest.mark.parametrize("eyes", _EYES)
@pytest.mark.parametrize("table", [palette.STATES, palette.STRIPS], ids=["states", "strips"])
def test_no_two_colours_of_a_row_look_alike(table: dict[str, tuple[str, str]], eyes: str) -> None:
    for (one, first), (other, second) in itertools.combinations(table.values(), 2):
        assert math.dist(_lab(first, eyes), _lab(second, eyes)) > 12, (one, other)


def test_everything_that_a_trace_can_hold_has_a_colour() -> None:
    assert set(palette.STRIPS) == trace.COMMUNICATION
    assert set(palette.STATES) == {trace.PROCESS, *map(stall, trace.CAUSES)}


# Several machines


HOSTS = ("ip-10-0-23-114.eu-west-1.compute.internal", "gpu-worker-abcde-xyz12.example", "head")


def on_machines(report: Report, hosts: tuple[str, ...] = HOSTS) -> Report:
    """Put the workers of a run on these machines, in turn, with a clock each."""
    workers = [
        replace(totals, host=(host := hosts[totals.worker % len(hosts)]), clock=host, uncertainty=0.0004)
        for totals in report.workers
    ]
    return replace(report, workers=workers)


def test_a_picture_of_several_machines_names_them_and_says_how_well_they_are_lined_up(tmp_path: Path) -> None:
    on_machines(a_run(4, 2)).timeline(tmp_path / "run.svg")
    said = texts(tmp_path / "run.svg")
    assert any(text.endswith(" exposed · 4 machines, lined up to ±400 µs") for text in said)
    assert [text for text in said if text.startswith("worker ")] == [f"worker {n}" for n in range(4)]
    machines = ["ip-10-0-23-114", "gpu-w…bcde-xyz12", "head"]
    assert [text for text in said if text in machines] == [*machines, machines[0]]


def test_where_lanes_are_flat_a_machine_and_a_number_are_one_line(tmp_path: Path) -> None:
    on_machines(a_run(64, 1)).timeline(tmp_path / "run.svg")
    said = texts(tmp_path / "run.svg")
    assert not any(text.startswith("worker ") for text in said)
    assert {"head · 2", "head · 62", "ip-1…23-114 · 0"} <= set(said)


def test_a_picture_of_one_machine_does_not_name_it(tmp_path: Path) -> None:
    one = on_machines(a_run(2, 2), hosts=("node",))
    replace(one, clock="node").timeline(tmp_path / "run.svg")
    said = texts(tmp_path / "run.svg")
    assert not any("node" in text or "machine" in text for text in said)


@pytest.mark.parametrize(
    ("hosts", "most", "said"),
    [
        (["a.x", "b.x"], 16, ["a", "b"]),
        (["a.x", "a.y"], 16, ["a.x", "a.y"]),
        (["10.0.0.1", "10.0.0.2"], 16, ["10.0.0.1", "10.0.0.2"]),
        (["10.0.0.1", "192.168.0.2"], 16, ["10.0.0.1", "192.168.0.2"]),
        (["a", "a"], 16, []),
        (["a", ""], 16, []),
        (["0123456789", "b"], 7, ["01…6789", "b"]),
    ],
)
def test_names_of_machines_are_short_and_differ(hosts: list[str], most: int, said: list[str]) -> None:
    workers = [WorkerTotals(worker=lane, host=host) for lane, host in enumerate(hosts)]
    assert list(labels(workers, most).values()) == said


def test_a_lane_that_was_on_two_machines_has_the_name_of_the_last_one() -> None:
    workers = [
        WorkerTotals(worker=0, pid=9, host="b", started=5.0),
        WorkerTotals(worker=0, pid=8, host="a", started=1.0),
        WorkerTotals(worker=1, pid=7, host="a", started=1.0),
    ]
    assert labels(workers, 16) == {0: "b", 1: "a"}
    assert places(workers) == {0: {"a": 8, "b": 9}, 1: {"a": 7}}


def test_a_trace_file_names_machines_and_says_how_well_they_are_lined_up(tmp_path: Path) -> None:
    report = on_machines(a_run(2, 1, title="a run"), hosts=("a", "b"))
    moved = WorkerTotals(worker=1, pid=999, host="c", started=START + 1, clock="c", uncertainty=0.002)
    replace(report, workers=[*report.workers, moved], clock="a").timeline(tmp_path / "run.json")
    found = {(one["name"], one["pid"]): one["args"] for one in events(tmp_path / "run.json")}
    assert found["process_name", 1] == {"name": "a run: worker 0 (pid 500 on a)"}
    assert found["process_name", 2] == {"name": "a run: worker 1 (pid 501 on b, then pid 999 on c)"}
    assert found["process_labels", 1] == {"labels": "±400 µs"}
    assert found["process_labels", 2] == {"labels": "±2 ms"}
    data = json.loads((tmp_path / "run.json").read_text())
    assert data["otherData"] == {"runs": [{"run": "a run", "clocks": 3, "clock_uncertainty_seconds": 0.002}]}


# Perfetto


def events(path: Path) -> list[dict[str, Any]]:
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["displayTimeUnit"] == "ms"
    found: list[dict[str, Any]] = data["traceEvents"]
    return found


def test_a_trace_file_has_a_process_per_worker_and_a_thread_per_activity(tmp_path: Path) -> None:
    spans = [
        Span(trace.LOOKAHEAD, 10.0, 10.0, 2, 1, "1 → 2: because"),
        Span(trace.STALL, 10.0, 10.5, detail="fetch"),
        Span(trace.FETCH, 10.0, 10.25, 0, 8),
        Span(trace.LOAD, 10.25, 10.5, 0),
        Span(trace.PROCESS, 10.5, 11.0, 0),
    ]
    report = Report(workers=[WorkerTotals(worker=4, pid=77)], trace={4: spans}, started=10.0, seconds=1.0)
    report.timeline(tmp_path / "run.json")
    assert events(tmp_path / "run.json") == [
        {"ph": "M", "name": "process_name", "pid": 1, "tid": 0, "args": {"name": "worker 4 (pid 77)"}},
        {"ph": "M", "name": "process_sort_index", "pid": 1, "tid": 0, "args": {"sort_index": 1}},
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 1, "args": {"name": "compute"}},
        {"ph": "M", "name": "thread_sort_index", "pid": 1, "tid": 1, "args": {"sort_index": 1}},
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 2, "args": {"name": "waiting"}},
        {"ph": "M", "name": "thread_sort_index", "pid": 1, "tid": 2, "args": {"sort_index": 2}},
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 1000, "args": {"name": "fetch"}},
        {"ph": "M", "name": "thread_sort_index", "pid": 1, "tid": 1000, "args": {"sort_index": 1000}},
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 2000, "args": {"name": "load"}},
        {"ph": "M", "name": "thread_sort_index", "pid": 1, "tid": 2000, "args": {"sort_index": 2000}},
        {"ph": "X", "name": "waits for fetch", "cat": "stall", "pid": 1, "tid": 2, "ts": 0.0,
         "dur": 500_000.0, "args": {}},
        {"ph": "X", "name": "fetch 0–7", "cat": "fetch", "pid": 1, "tid": 1000, "ts": 0.0, "dur": 250_000.0,
         "args": {"item": 0, "size": 8}},
        {"ph": "C", "name": "lookahead", "pid": 1, "ts": 0.0, "args": {"lookahead": 2}},
        {"ph": "C", "name": "bundle", "pid": 1, "ts": 0.0, "args": {"bundle": 1}},
        {"ph": "i", "s": "t", "name": "lookahead 2", "cat": "lookahead", "pid": 1, "tid": 1, "ts": 0.0,
         "args": {"reason": "1 → 2: because"}},
        {"ph": "X", "name": "load 0", "cat": "load", "pid": 1, "tid": 2000, "ts": 250_000.0,
         "dur": 250_000.0, "args": {"item": 0, "size": 1}},
        {"ph": "X", "name": "process 0", "cat": "process", "pid": 1, "tid": 1, "ts": 500_000.0,
         "dur": 500_000.0, "args": {"item": 0, "size": 1}},
    ]  # fmt: skip


def test_loads_side_by_side_get_a_thread_each_and_give_it_back(tmp_path: Path) -> None:
    times = [(0.0, 2.0), (0.5, 1.0), (0.75, 3.0), (1.0, 2.0), (2.0, 4.0)]
    spans = [Span(trace.LOAD, start, end, item) for item, (start, end) in enumerate(times)]
    Report(trace={0: spans}, seconds=4.0).timeline(tmp_path / "run.json")
    found = events(tmp_path / "run.json")
    names = [event["args"]["name"] for event in found if event["name"] == "thread_name"]
    assert names == ["load", "load 2", "load 3"]
    assert [event["tid"] for event in found if event["ph"] == "X"] == [2000, 2001, 2002, 2001, 2000]


def test_an_ask_is_a_part_of_its_fetch_and_has_a_thread_in_a_trace_file_only(tmp_path: Path) -> None:
    spans = [Span(trace.FETCH, 0.0, 1.0, 0), Span(trace.ASK, 0.0, 0.25, 0), Span(trace.PROCESS, 1.0, 2.0, 0)]
    report = Report(workers=[WorkerTotals()], trace={0: spans}, seconds=2.0)
    report.timeline(tmp_path / "run.json")
    found = [(event["name"], event["tid"]) for event in events(tmp_path / "run.json") if event["ph"] == "X"]
    assert found == [("fetch 0", 1000), ("ask 0", 500), ("process 0", 1)]
    report.timeline(tmp_path / "run.svg")
    assert ">ask<" not in (tmp_path / "run.svg").read_text()


def test_processes_are_numbered_through_several_runs(tmp_path: Path) -> None:
    timelines(tmp_path / "runs.json", [("seed", a_run(2, 1)), ("Pullahead", a_run(1, 1))])
    names = {
        event["pid"]: event["args"]["name"]
        for event in events(tmp_path / "runs.json")
        if event["name"] == "process_name"
    }
    assert names == {
        1: "seed: worker 0 (pid 500)",
        2: "seed: worker 1 (pid 501)",
        3: "Pullahead: worker 0 (pid 500)",
    }


def test_pids_and_tids_are_integers_and_x_events_of_a_thread_do_not_overlap(tmp_path: Path) -> None:
    a_run(3, 20).timeline(tmp_path / "run.json")
    threads: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for event in events(tmp_path / "run.json"):
        assert type(event["pid"]) is int
        if event["ph"] == "X":
            assert type(event["tid"]) is int
            threads.setdefault((event["pid"], event["tid"]), []).append(
                (event["ts"], event["ts"] + event["dur"])
            )
    assert len(threads) == 3 * 6
    for intervals in threads.values():
        assert len(intervals) == 20
        assert all(before[1] <= after[0] + 0.001 for before, after in itertools.pairwise(sorted(intervals)))
