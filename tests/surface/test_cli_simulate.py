"""`pullahead simulate`: the table, JSON, a picture, the same bytes for the same seed, and what is refused."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pullahead.cli import main

#: Small enough to take no time.
SMALL = ("-n", "150", "-w", "2")
SEVEN = ["on demand", "1, the plain pattern", "4", "16", "64", "auto, no recall", "auto"]
NUMBERS = {
    "seconds",
    "throughput",
    "utilization",
    "sojourn_p50",
    "sojourn_p99",
    "held_mean",
    "messages_per_item",
    "recalls_per_item",
    "hoard_idle_seconds",
    "queue_load",
    "queue_load_mean",
    "messages_between",
    "moved_per_item",
}


def simulate(*arguments: str) -> int:
    """Run the command in this process. Return the exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["simulate", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert simulate(*arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return str(out)


def numbers(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, float]]:
    rows = json.loads(printed(capsys, *SMALL, "--json", *arguments))
    return {row.pop("policy"): row for row in rows}


# The table


def test_the_table_has_the_seven_policies_and_the_ideal_in_this_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = printed(capsys, *SMALL).splitlines()
    rule = next(n for n, line in enumerate(lines) if "───" in line)
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines[rule + 1 :]]
    table = rows[: next(n for n, row in enumerate(rows) if row == [""])]
    assert [row[0] for row in table] == [*SEVEN, "ideal"]
    assert {len(row) for row in table} == {10}, "every cell is filled"
    heads = {word for line in lines[:rule] for word in line.split()}
    assert heads >= {"lookahead", "items/s", "ideal", "busy", "p50", "p99", "held", "messages", "recalls"}


def test_what_was_simulated_is_said_above_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    said = printed(
        capsys,
        *SMALL,
        "--compute",
        "bimodal:1ms,50ms,0.1",
        "--delay",
        "2ms",
        "--arrivals",
        "100/s",
        "--seed",
        "7",
    ).splitlines()
    assert said[0] == "150 items, 100 items/s come; 2 workers; seed 7"
    assert said[1] == (
        "compute bimodal(small=0.001, large=0.05, p_large=0.1), round trip constant(seconds=0.002)"
    )


def test_one_may_choose_the_policies(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(numbers(capsys, "--lookahead", "3", "--lookahead", "auto")) == ["3", "auto", "ideal"]


def test_queues_and_what_they_cost_have_columns_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    queues = ("--queues", "2", "--exchange-cost", "100us")
    lines = printed(capsys, *SMALL, *queues, "--lookahead", "auto").splitlines()
    assert lines[2] == "2 queues; an exchange keeps one busy for 100 µs"
    rule = next(n for n, line in enumerate(lines) if "───" in line)
    heads = {word for line in lines[:rule] for word in line.split()}
    assert heads >= {"queue", "load", "between", "queues"}
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines[rule + 1 : rule + 3]]
    assert [row[0] for row in rows] == ["auto", "ideal"]
    assert {len(row) for row in rows} == {12}
    measured = numbers(capsys, *queues, "--lookahead", "auto")["auto"]
    assert 0 < measured["queue_load_mean"] <= measured["queue_load"] < 1
    assert numbers(capsys, "--lookahead", "auto")["auto"]["queue_load"] == 0


# JSON


def test_json_has_every_number_of_every_policy(capsys: pytest.CaptureFixture[str]) -> None:
    rows = numbers(capsys)
    assert list(rows) == [*SEVEN, "ideal"]
    for row in rows.values():
        assert row.keys() == NUMBERS
        assert all(math.isfinite(number) and number >= 0 for number in row.values())
        assert 0 < row["utilization"] <= 1
        assert row["sojourn_p50"] <= row["sojourn_p99"] <= row["seconds"]
        assert row["throughput"] == pytest.approx(150 / row["seconds"])
        assert row["throughput"] <= rows["ideal"]["throughput"] * (1 + 1e-9)
    for name in ("on demand", "1, the plain pattern", "4", "16", "64", "auto, no recall"):
        assert rows[name]["recalls_per_item"] == 0
    assert rows["on demand"]["throughput"] < rows["1, the plain pattern"]["throughput"]
    assert rows["1, the plain pattern"]["throughput"] < rows["auto"]["throughput"]


def test_a_load_is_a_share_of_what_the_workers_can_do(capsys: pytest.CaptureFixture[str]) -> None:
    """Two workers can do 200 items of 10 ms a second: half of that is 100, and 150 items come in 1.5 s."""
    rows = numbers(capsys, "--compute", "10ms", "--arrivals", "50%", "--lookahead", "auto")
    assert rows == numbers(capsys, "--compute", "10ms", "--arrivals", "100/s", "--lookahead", "auto")
    assert rows["ideal"]["seconds"] == pytest.approx(1.5, rel=0.25)


def test_measured_durations_are_read_from_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "times.txt").write_text("10ms\n10ms\n")
    measured = numbers(capsys, "--compute", f"empirical:{tmp_path / 'times.txt'}", "--lookahead", "2")
    assert measured == numbers(capsys, "--compute", "constant:10ms", "--lookahead", "2")


# The same seed


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["table", "json"])
def test_the_same_seed_prints_the_same_bytes(form: tuple[str, ...]) -> None:
    """Also in another process, whose sets and dicts are hashed otherwise."""

    def output(seed: str, hashing: str) -> bytes:
        command = [sys.executable, "-m", "pullahead", "simulate", *SMALL, "--seed", seed, *form]
        environment = {**os.environ, "PYTHONHASHSEED": hashing}
        return subprocess.run(command, env=environment, capture_output=True, check=True, timeout=50).stdout

    first = output("1", "1")
    assert first
    assert output("1", "2") == first
    assert output("2", "1") != first


# A picture


def test_a_timeline_has_every_policy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    said = printed(capsys, *SMALL, "--timeline", str(target))
    assert said.splitlines()[-1] == f"The timeline is in {target}"
    events = json.loads(target.read_text())["traceEvents"]
    named = {event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert all(any(policy in name for name in named) for policy in SEVEN)
    before = target.read_bytes()
    printed(capsys, *SMALL, "--timeline", str(target))
    assert target.read_bytes() == before


def test_with_json_the_name_of_the_timeline_goes_to_standard_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    target = tmp_path / "run.svg"
    assert simulate(*SMALL, "--lookahead", "1", "--json", "--timeline", str(target)) == 0
    out, err = capsys.readouterr()
    assert [row["policy"] for row in json.loads(out)] == ["1", "ideal"]
    assert err == f"The timeline is in {target}\n"
    assert target.read_bytes().startswith(b"<?xml")


# What is refused


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--compute", "soon"], "'--compute': expected a duration like 10ms, 250us or 1.5s, got 'soon'"),
        (["--compute", "-1ms"], "'--compute': expected a duration like 10ms, 250us or 1.5s, got '-1ms'"),
        (
            ["--compute", "zipf:1,2"],
            "'--compute': expected a duration, lognormal:MEAN,CV, bimodal:SMALL,LARGE,P",
        ),
        (["--compute", "lognormal:10ms"], "'--compute': expected a duration, lognormal:MEAN,CV"),
        (["--compute", "lognormal:10ms,x"], "'--compute': could not convert string to float: 'x'"),
        (
            ["--compute", "lognormal:10ms,-1"],
            "'--compute': lognormal: cv: expected a finite number from 0, got -1",
        ),
        (["--compute", "bimodal:1ms,2ms,3"], "'--compute': bimodal: p_large: expected a number from 0 to 1"),
        (["--compute", "empirical:no-such-file"], "'--compute': .*No such file or directory: 'no-such-file'"),
        (["--compute", "0ms"], "compute: expected items that take time, got constant\\(seconds=0.0\\)"),
        (["--compute", "1e400s"], "'--compute': constant: seconds: expected a finite number from 0, got inf"),
        (["--arrivals", "9" * 400], "arrivals: expected 'backlog' or a rate above 0, got inf"),
        (["--delay", "far"], "'--delay': expected a duration"),
        (["--arrivals", "often"], "'--arrivals': expected backlog, a rate like 500/s or a load like 90%"),
        (["--arrivals", "0/s"], "'--arrivals': expected backlog, a rate like 500/s or a load like 90%"),
        (["--arrivals", "90%", "--compute", "0ms"], "'?--arrivals'?: .*items that take time"),
        (["-w", "0"], "'-w' / '--workers': 0 is not in the range x>=1"),
        (["-n", "0"], "'-n' / '--items': 0 is not in the range x>=1"),
        (["--queues", "3"], "queues: expected at most one per worker, 2, got 3"),
        (["--queues", "0"], "'--queues': 0 is not in the range x>=1"),
        (["--exchange-cost", "much"], "'--exchange-cost': expected a duration like 10ms, 250us or 1.5s"),
        (["-n", "many"], "'-n' / '--items': 'many' is not a valid integer"),
        (["--seed", "x"], "'--seed': 'x' is not a valid integer"),
        (["--lookahead", "-1"], "'?--lookahead'?: expected auto or a whole number from 0, got '-1'"),
        (["--lookahead", "max"], "'?--lookahead'?: expected auto or a whole number from 0, got 'max'"),
        (["--timeline", "run.gif"], "'?--timeline'?: expected a name in .svg, .png or .json, got 'run.gif'"),
        (["now"], "unexpected extra argument"),
    ],
)
def test_wrong_input_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert simulate(*SMALL, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == "", "nothing was simulated"
    assert err.startswith("pullahead simulate: ")
    assert err.count("\n") == 1
    assert re.search(said, err), err
    assert err.endswith("; see 'pullahead simulate --help'\n")


def test_a_timeline_that_cannot_be_written_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    target = tmp_path / "no-such-folder" / "run.json"
    assert simulate(*SMALL, "--lookahead", "1", "--timeline", str(target)) != 0
    _, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert str(target) in err
