"""`pullahead bench`: it measures fairly, says all of it, leaves nothing behind. Not how fast anything is."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from click.testing import CliRunner

from pullahead.cli.bench import bench, cases, processes
from pullahead.cli.bench.case import Absent, Case, Contender, Measured, Stage, Target
from pullahead.cli.bench.cases import mixed
from pullahead.cli.bench.cases.on_ray import data
from pullahead.cli.bench.measure import compete
from pullahead.cli.bench.peers import PEERS, Peers
from pullahead.cli.bench.peers.way import Way, chunks, tuned
from pullahead.cli.bench.picture import draw
from pullahead.cli.bench.rate import Rate
from pullahead.cli.bench.show import number, times
from pullahead.cli.bench.works import (
    Times,
    clocked,
    loop,
    loops_in,
    noop,
    share_on_cpu,
    sleep_for,
    times_of,
    utilization,
)

COMMAND = [sys.executable, "-W", "error", "-m", "pullahead", "bench"]

#: The first contender, where it is not the pool's `map`.
OURS = {
    "roundtrip": "pullahead actor call",
    "roundtrip-clusters": "pullahead actor call",
    "load": "pullahead.Pool.map, load=",
    "start": "pullahead.map, first result",
    "start-torch": "pullahead.map, first result",
    "trace": "Recorder.add",
}
#: Those that start a Ray if there is one.
CLUSTERS = [name for name in cases.CASES if name.endswith("-clusters")]


@contextmanager
def marking() -> Iterator[dict[str, str]]:
    """An environment, and a check that no process that has it is left."""
    mark = f"PULLAHEAD_TEST={uuid4()}"
    name, value = mark.split("=")
    yield {**os.environ, name: value}
    deadline = time.monotonic() + 5
    while (left := _with_environment(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)  # the kernel takes a moment to end a process whose parent has ended
    assert left == []


@pytest.fixture
def marked() -> Iterator[dict[str, str]]:
    """See `marking`."""
    with marking() as environment:
        yield environment


def _with_environment(mark: str) -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdecimal() and mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it has ended meanwhile
            continue
    return [command for command in found if command]  # a zombie has no command line


# A whole run


class _QuickRun(NamedTuple):
    """What a run of several cases has recorded, and what it has shown of each."""

    record: dict[str, Any]
    shown: dict[str, list[str]]


def _quick_run(names: Sequence[str], folder: Path, *options: str) -> _QuickRun:
    """Run them with standard input closed."""
    file = folder / "bench.json"
    chosen = [word for name in names for word in ("--case", name)]
    with marking() as environment:
        ended = subprocess.run(
            ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, "--quick", "--json", str(file), *chosen, *options],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (0, "")
    shown: dict[str, list[str]] = {"": []}
    for line in ended.stdout.splitlines():
        if (name := line.partition(": ")[0]) in names:
            shown[name] = []
        shown[next(reversed(shown))].append(line.rstrip())
    record = json.loads(file.read_text())
    assert [case["name"] for case in record["cases"]] == list(names)
    return _QuickRun(record, shown)


@pytest.fixture(scope="module")
def beside_pools(tmp_path_factory: pytest.TempPathFactory) -> _QuickRun:
    names = [name for name in cases.CASES if name not in CLUSTERS]
    return _quick_run(names, tmp_path_factory.mktemp("pools"), "--without", "ray", "--without", "dask")


@pytest.fixture(scope="module")
def beside_clusters(tmp_path_factory: pytest.TempPathFactory) -> _QuickRun:
    return _quick_run(CLUSTERS, tmp_path_factory.mktemp("clusters"))


@pytest.mark.timeout(400)  # of which the run of all of them takes one
@pytest.mark.parametrize("name", [name for name in cases.CASES if name not in CLUSTERS])
def test_a_quick_run_shows_and_records_every_contender(name: str, beside_pools: _QuickRun) -> None:
    _check_case(name, beside_pools)


@pytest.mark.ray
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", CLUSTERS)
def test_a_quick_run_beside_clusters(name: str, beside_clusters: _QuickRun) -> None:
    _check_case(name, beside_clusters)


def _check_case(name: str, run: _QuickRun) -> None:
    record = run.record
    assert set(record) == {
        *("format", "when", "quick", "workers", "cores", "load", "versions", "platform", "cases"),
    }
    assert record["quick"] is True
    named = {"python", "pullahead", "joblib", "mpire", "distributed", "ray", "torch"}
    assert set(record["versions"]) >= named
    (case,) = (case for case in record["cases"] if case["name"] == name)
    first, *shown = run.shown[name]
    assert first.startswith(f"{name}: {case['title']}; ")
    if not case["contenders"]:  # torch, or NumPy, is not here
        (absent,) = case["absent"]
        assert f"  everybody: {absent['why']}" in shown
        return
    assert case["contenders"][0]["name"] == OURS.get(name, "pullahead.Pool.map")
    for line in case["contenders"]:
        _check_line(case, line)
        (row,) = [row for row in shown if re.match(rf"  {re.escape(line['name'])} {{2,}}", row)]
        median, least, greatest = (number(line[key]) for key in ("median", "least", "greatest"))
        assert re.search(rf"{re.escape(median)} {{2,}}{re.escape(least)} – {re.escape(greatest)} ", f"{row} ")
        assert line["ratio"] is None or times(line["ratio"]["median"]) in row
    assert {target["of"][0] for target in case["targets"]} <= {
        one["name"] for one in [*case["contenders"], *case["absent"]]
    } | {"mpire.imap_unordered"}


def _check_line(case: dict[str, Any], line: dict[str, Any]) -> None:
    for spread in filter(None, [line, line["ratio"]]):
        assert 0 < len(spread["rounds"]) == len(case["contenders"][0]["rounds"])
        assert spread["least"] == min(spread["rounds"])
        assert spread["least"] <= spread["median"] <= spread["greatest"] == max(spread["rounds"])
    assert line["least"] > 0 or line["name"] == "import pullahead"  # a difference of two runs
    assert (line["share"] is None) == (case["bound"] is None)


@pytest.mark.parametrize("name", ["roundtrip", "busy-0.5ms"])
def test_ctrl_c_ends_it_with_one_line(name: str, marked: dict[str, str]) -> None:
    process = subprocess.Popen(
        [*COMMAND, "--case", name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**marked, "PYTHONUNBUFFERED": "1"},
        process_group=0,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(1.5)  # pools start at their own pace and say nothing: any moment of it will do
    os.killpg(process.pid, signal.SIGINT)  # to the children too, as a terminal does it
    said = process.communicate(timeout=20)[1]
    assert said.lstrip("\n") == "pullahead: interrupted\n"  # a newline first, after the terminal's own ^C
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--case", "flight"], "'flight' is not one of 'roundtrip', 'noop', 'busy-10us', "),
        (["--engine", "ray", "--case", "roundtrip"], "'roundtrip' is not one of 'noop', 'busy-0.1ms-1',"),
        (
            ["--json", "no/such/folder.json"],
            "expected a file in a folder that exists, got 'no/such/folder.json'",
        ),
        (["--picture", "bench.pdf"], "expected .svg or .png, got 'bench.pdf'"),
        (["--without", "celery"], "'celery' is not one of 'executor', 'pool', 'joblib',"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_measured(arguments: list[str], expected: str) -> None:
    ended = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert expected in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def on_ray(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What a run on Ray has recorded, by the names of its cases."""
    file = tmp_path_factory.mktemp("on ray") / "bench.json"
    chosen = ("--case", "noop", "--case", "work-1ms-2", "--case", "payloads-10MB")
    command = [*COMMAND[:1], *COMMAND[3:], "--engine", "ray", "--quick", *chosen, "--json", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert ended.returncode == 0, ended.stderr
    recorded = json.loads(file.read_text())["cases"]
    assert len(recorded) == 3
    return {case["name"]: case for case in recorded}


@pytest.mark.ray
@pytest.mark.timeout(250)
@pytest.mark.parametrize(
    ("name", "unit"), [("noop", "items/s"), ("work-1ms-2", "items/s"), ("payloads-10MB", "ms")]
)
def test_a_quick_run_on_ray(name: str, unit: str, on_ray: dict[str, dict[str, Any]]) -> None:
    case = on_ray[name]
    figures = {one["name"]: one["rounds"] for one in case["contenders"]}
    assert (case["name"], case["unit"]) == (name, unit)
    others = ["seed, blocking", "seed, overlapping", "seed, pullahead.overlap", "ray.util.ActorPool"]
    assert [one for one in figures if not one.startswith("Ray Data")] == ["pullahead.Pool.map", *others]
    assert all(rounds[0] > 0 for rounds in figures.values())
    timed = [one for one in case["contenders"] if one["on_cpu"] is not None]
    assert all(0 < one["on_cpu"]["median"] < 1.05 for one in timed)
    assert len(timed) == (len(figures) if name != "noop" else "Ray Data map_batches" in figures)


# How it measures


Figures = Sequence[float | Measured]


def scripted(figures: Mapping[str, Figures], log: list[str], **options: Any) -> Case:
    """A case whose contenders do what they are told; the first figure of each is the warm-up's."""

    def measure(name: str, figures: Figures) -> Callable[[], float | Measured]:
        left = list(figures)

        def once() -> float | Measured:
            log.append(name)
            return left.pop(0)

        return once

    def prepare(stage: Stage) -> list[Contender | Absent]:
        stage.stack.callback(log.append, "ended")
        contenders = [Contender(name, measure(name, left)) for name, left in figures.items()]
        return [*contenders, Absent("nobody", "not here")]

    return Case("scripted", "a test", "s", False, (3, 1), prepare, **options)


def test_contenders_take_turns_and_ratios_are_taken_within_a_round() -> None:
    log: list[str] = []
    case = scripted({"ours": [99.0, 2.0, 4.0, 30.0], "theirs": [99.0, 1.0, 1.0, 10.0]}, log)
    outcome = compete(case, False, lambda _: None)
    assert log == ["ours", "theirs"] * 4 + ["ended"]
    ours, theirs = outcome.lines
    assert ours.ratio is None
    assert theirs.ratio is not None
    assert ours.figures.rounds == (2.0, 4.0, 30.0)
    assert theirs.ratio.rounds == (2.0, 4.0, 3.0)
    assert (theirs.ratio.median, theirs.ratio.least, theirs.ratio.greatest) == (3.0, 2.0, 4.0)
    assert outcome.absent == [Absent("nobody", "not here")]


def test_shares_of_time_have_columns_where_somebody_looked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    timed = [Measured(2.0, 0.5), Measured(2.0, 0.75, 0.9), Measured(4.0, 0.25, 0.8), Measured(3.0, 0.5, 0.7)]
    case = scripted({"ours": timed, "theirs": [1.0] * 4}, [])
    monkeypatch.setattr(cases, "case_of", lambda name, engine: case)
    file = tmp_path / "bench.json"
    ended = CliRunner().invoke(bench, ["--case", "trace", "--json", str(file)])
    ours, theirs = json.loads(file.read_text())["cases"][0]["contenders"]
    assert ours["rounds"] == [2.0, 4.0, 3.0]
    assert ours["on_cpu"] == {"median": 0.5, "least": 0.25, "greatest": 0.75, "rounds": [0.75, 0.25, 0.5]}
    assert ours["utilization"]["rounds"] == [0.9, 0.8, 0.7]
    assert theirs["on_cpu"] is theirs["utilization"] is None
    assert re.search(r"\n  +÷ this +s +least – greatest +zation +CPU +\n", ended.output)
    assert re.search(r"\n  ours +3\.00 +2\.00 – 4\.00 +80\.0% +50\.0% +\n", ended.output)
    assert re.search(r"\n  theirs +3\.00× +1\.00 +1\.00 – 1\.00 +\n", ended.output)
    unseen = scripted({"ours": [1.0] * 4}, [])
    monkeypatch.setattr(cases, "case_of", lambda name, engine: unseen)
    assert "CPU" not in CliRunner().invoke(bench, ["--case", "trace"]).output.partition("scripted")[2]


@pytest.mark.parametrize(
    ("target", "figure", "met"),
    [
        (Target("median", "ours", 4.0), 4.0, True),
        (Target("median", "ours", 3.9), 4.0, False),
        (Target("ratio", "theirs", 2.9), 3.0, False),
        (Target("share", "ours", 0.5, at_least=True), 0.5, True),
        (Target("share", "theirs", 0.5, at_least=True), 0.125, False),
    ],
)
def test_targets_are_judged(target: Target, figure: float, met: bool) -> None:
    rounds = {"ours": [0.0, 2.0, 4.0, 30.0], "theirs": [0.0, 1.0, 1.0, 10.0]}
    case = scripted(rounds, [], bound=(8.0, "a test"), targets=(target,))
    (verdict,) = compete(case, False, lambda _: None).verdicts
    assert (verdict.figure, verdict.met) == (figure, met)


def test_what_was_started_is_ended_when_a_contender_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    case = scripted({"ours": [1.0, 1.0], "theirs": [1.0]}, log)  # theirs has nothing left for the round
    monkeypatch.setattr(cases, "case_of", lambda name, engine: case)
    ended = CliRunner().invoke(bench, ["--quick", "--case", "trace"])
    assert ended.exit_code == 1
    assert ended.output.endswith(": IndexError: pop from empty list (while measuring theirs)\n")
    assert log == ["ours", "theirs", "ours", "theirs", "ended"]


def test_a_full_run_ends_with_the_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    case = scripted({"ours": [3.0] * 4, "theirs": [2.0] * 4}, [], targets=(Target("ratio", "theirs", 1.2),))
    monkeypatch.setattr(cases, "case_of", lambda name, engine: case)
    ended = CliRunner().invoke(bench, ["--case", "trace"])
    assert ended.exit_code == 0
    assert re.search(r"scripted: time against theirs +≤ 1\.20× +1\.50× +missed", ended.output)
    assert "nobody: not here" in ended.output


def test_a_rate_finds_how_many_items_keep_a_pool_busy_and_counts_the_results() -> None:
    sizes: list[int] = []

    def run(items: Sequence[int]) -> Sequence[int]:
        sizes.append(len(items))
        time.sleep(len(items) * 1e-6)  # it must take as long as it says for the search to have an end
        return items

    rate = Rate(run, seconds=0.02)
    rate()
    *found, warm = sizes
    assert found == sorted(found)
    assert found[0] == warm == 20
    assert found[-1] == found[-2]  # what was long enough was looked at again
    rate()
    assert sizes[-1] == rate.count == found[-1]
    with pytest.raises(RuntimeError, match="expected 10 results, got 9"):
        Rate(lambda items: items[1:], 10)()


def test_a_rate_of_timed_items_knows_the_share_on_a_cpu() -> None:
    times = [Times(1.0, 1.5, 0.5), Times(2.0, 3.0, 0.25)]
    assert share_on_cpu(times) == 0.5
    assert Rate(lambda items: times, 2, timed=1)().on_cpu == 0.5
    assert Rate(lambda items: times, 2)()[1:] == (None, None)


def test_utilization_is_the_share_of_the_workers_time_within_items() -> None:
    times = [Times(0.5, 1.5, 0.5), Times(2.0, 3.0, 0.25), Times(0.0, 0.5, 0.5)]
    assert utilization(times, since=1.0, until=4.0, workers=2) == 1.5 / 6.0

    def run(items: Sequence[int]) -> list[Any]:
        return [clocked(partial(sleep_for, 0.02), item) for item in items]

    alone, of_two = (Rate(run, 10, timed=workers)().utilization for workers in (1, 2))
    assert alone is not None
    assert of_two is not None
    assert 0.5 < alone <= 1.0
    assert 0.25 < of_two <= 0.5


def test_an_item_is_timed_on_the_clock_and_on_the_cpu() -> None:
    slept = times_of(partial(sleep_for, 0.05), 1)
    assert slept.ended - slept.began >= 0.05
    assert slept.cpu < 0.04


def test_fixed_work_takes_an_idle_core_as_long_as_it_should() -> None:
    work = partial(loop, loops_in(0.002))
    assert 0.001 < min(times_of(work, 1).cpu for _ in range(50)) < 0.004  # a core may change its pace


def test_ray_data_is_timed_from_when_all_its_actors_have_begun() -> None:
    began = {1: [0.0, 1.0, 2.0, 3.0], 2: [1.5, 2.5, 3.5]}
    rows = [data.Row(pid, Times(at, at + 1.0, 1.0)) for pid, moments in began.items() for at in moments]
    assert data.rate(rows, 5.5) == (5 / 4.0, 5.5 / 8.0)


def test_chunks_are_tuned_as_the_standard_library_does_it() -> None:
    assert [tuned(range(count)) for count in (1, 8, 80, 8000)] == [1, 1, 10, 1000]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("joblib", "not installed: pip install joblib"),
        ("mpire", "not installed: pip install mpire"),
        ("dask", "not installed: pip install distributed"),
        ("ray", "not installed: pip install ray"),
        ("torch", "not installed: pip install torch"),
    ],
)
def test_a_peer_is_left_out_where_it_is_missing_or_not_wanted(
    name: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, PEERS[name].package, None)
    with ExitStack() as stack:
        assert Peers(stack).ways(name) == [Absent(PEERS[name].name, why)]
        unwanted = Peers(stack, without=[name])
        assert unwanted.ways(name) == [Absent(PEERS[name].name, "left out, as was asked for")]


def test_a_peer_is_started_once_and_its_processes_are_known() -> None:
    before = processes.descendants()
    with ExitStack() as stack:
        peers = Peers(stack)
        ways = [way for way in peers.ways("pool") if isinstance(way, Way)]
        assert peers.ways("pool") == ways
        started = processes.descendants() - before
        assert all(way.processes == started for way in ways)
        assert len(started) >= 2
        for way in ways:
            assert sorted(way.run(noop, range(20))) == list(range(20))
        assert processes.private(started) > 4e6  # an interpreter has some MB of its own
    assert not (processes.descendants() - before) & {pid for pid in started if _is_worker(pid)}


def _is_worker(pid: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_cpu_time_of_processes() -> None:
    us = {os.getpid()}
    before, deadline = processes.cpu(us), time.process_time() + 0.1
    while time.process_time() < deadline:
        pass
    assert 0.08 <= processes.cpu(us) - before < 1.0


def test_peaks_of_processes() -> None:
    """Of a fresh one: ours has memory that was freed and is still resident."""
    takes = "input(); block = b'x' * 30_000_000; del block; print('took', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", f"print('up', flush=True); {takes}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        processes.begin_peaks({child.pid})
        had = processes.resident({child.pid})
        print(file=child.stdin, flush=True)
        assert child.stdout.readline() == "took\n"
        assert 25_000_000 < processes.peaks({child.pid}) - had < 60_000_000
        child.communicate("\n")
    assert child.returncode == 0


def test_chunks_are_all_items_once_in_order() -> None:
    assert [list(one) for one in chunks(range(20))] == [[n, n + 1] for n in range(0, 20, 2)]
    assert chunks([]) == []


def test_the_mixed_sizes_are_those_that_are_said_and_their_bounds_are_right() -> None:
    sizes = mixed.sizes(mixed.ITEMS)
    assert (sizes.count(0.001), sizes.count(0.1), len(sizes)) == (1425, 75, 1500)
    assert mixed.ideal([1.0, 2.0, 3.0], 2) == 3.0
    assert mixed.ideal([1.0, 1.0, 1.0, 1.0], 2) == 2.0
    assert mixed.on_demand([1.0, 2.0, 3.0], 2) == 4.0
    assert mixed.ideal(sizes, 2) <= mixed.on_demand(sizes, 2)


def test_the_best_of_several_is_the_one_that_is_hardest_to_beat() -> None:
    rounds = {"ours": [0.0, 6.0, 6.0, 6.0], "slow": [0.0, 1.0, 1.0, 1.0], "fast": [0.0, 3.0, 3.0, 3.0]}
    several = Target("ratio", ("slow", "fast", "gone"), 3.0, at_least=True, called="the best")
    gone = Target("ratio", "gone", 1.0)
    (verdict,) = compete(scripted(rounds, [], targets=(several, gone)), False, lambda _: None).verdicts
    assert (verdict.figure, verdict.met, verdict.target.whom) == (2.0, False, "the best")


def test_a_case_where_nobody_can_take_part_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    why = Absent("everybody", "needs luck")
    case = Case(
        "unlucky", "a test", "s", False, (3, 1), lambda stage: [why], targets=(Target("median", "ours", 1.0),)
    )
    monkeypatch.setattr(cases, "case_of", lambda name, engine: case)
    picture = tmp_path / "bench.svg"
    ended = CliRunner().invoke(bench, ["--case", "trace", "--picture", str(picture)])
    assert (ended.exit_code, ended.exception) == (0, None)
    assert ended.output.rstrip().endswith("unlucky: a test; less is better\n  everybody: needs luck")
    assert picture.exists()


# The picture


def _record(monkeypatch: pytest.MonkeyPatch, file: Path, *some: Case) -> Any:
    found = {case.name: case for case in some}
    monkeypatch.setattr(cases, "case_of", lambda name, engine: found[name])
    monkeypatch.setattr(cases, "names", lambda engine: list(found))
    ended = CliRunner().invoke(bench, ["--json", str(file)])
    assert ended.exit_code == 0, ended.output
    return json.loads(file.read_text())


def test_a_picture_has_a_panel_per_case_and_clusters_stand_in_that_which_they_continue(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    target = Target("ratio", "theirs", 1.2)
    first = scripted({"pullahead": [3.0] * 4, "theirs": [2.0] * 4}, [], targets=(target,))
    second = replace(
        scripted({"pullahead": [5.0] * 4, "a cluster": [700.0] * 4}, []), name="more", beside="scripted"
    )
    record = _record(monkeypatch, tmp_path / "bench.json", first, second)
    picture = tmp_path / "bench.svg"
    draw(record, picture)
    words = re.findall(r"<text[^>]*>([^<]*)</text>", picture.read_text())
    assert "scripted" in words
    assert "more" not in words
    assert [word for word in words if word in {"pullahead", "theirs", "a cluster"}] == [
        "pullahead",
        "theirs",
        "a cluster",
    ]
    assert {"3.00", "2.00", "700"} <= set(words)
    assert "s, less is better, log scale" in words
    again = tmp_path / "again.svg"
    draw(record, again)
    assert again.read_bytes() == picture.read_bytes()


def test_figures_have_three_digits_that_mean_something() -> None:
    figures = {0.0421: "0.04", 9.876: "9.88", 98.76: "98.8", 987.6: "988", -3.456: "-3.46"}
    large = {3875.4: "3,875", 12_345.6: "12.3 k", 176_290.0: "176 k", 1_234_567.8: "1.23 M"}
    assert {figure: number(figure) for figure in figures | large} == figures | large
    assert [times(ratio) for ratio in (0.0421, 1.256, 12.56, 1256.7)] == ["0.04×", "1.26×", "12.6×", "1,257×"]
