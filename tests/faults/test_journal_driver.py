"""Faults × moments on the driver of a run with a journal: all ends with it, and running again finishes.

The check is always the same and exact: in the end the file has each item once, the journal too, and whatever
was recorded before a run is not computed in it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.faults.errands import steps
from tests.faults.procs import ROOT, driver, kill_tagged, tagged, until
from tests.faults.sabotaged_queue import faults, forget, plan

COUNT = 60
#: Seconds in which all that a driver had started is gone, on a machine that is busy.
SOON = 10.0

PROGRAM = """
import sys
from pathlib import Path
from tests.faults.errands import Errand, LoadingAndStoring
from tests.faults.sabotaged_queue import SabotagedQueue
from tests.faults.sabotaged_sink import SabotagedSink
from pullahead.farm import crew
import pullahead as pa

journal, sink, gate, options = {journal!r}, {sink!r}, {gate!r}, {options!r}
crew.Queue = SabotagedQueue
work = (LoadingAndStoring if options.pop("loads", False) else Errand)(journal, gate=gate, seconds=0.005)
with SabotagedSink(Path(journal).with_name("out.jsonl"), sink) as out:
    report = pa.run(work, range({count}), out, workers=2, journal=journal, **options)
print(report.done, report.failed, report.left)
"""


class Durable:
    """A journal, a sink and the notes of the work, in one folder, and the driver that is run again."""

    def __init__(self, folder: Path, tag: str) -> None:
        self.folder, self.tag = folder, f"{tag}{os.getpid()}-{folder.name}"
        (folder / "notes").mkdir()
        self.journal = str(folder / "run.db")
        self.out = folder / "out.jsonl"

    @contextmanager
    def begun(
        self, sink: str = "", gate: int | None = None, options: dict[str, object] | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        """Run the driver, and check in the end what it left and what it computed."""
        program = PROGRAM.format(
            journal=self.journal, sink=sink, gate=gate, count=COUNT, options=options or {}
        )
        recorded, before = self.recorded(), steps(self.journal)
        with driver(program, self.tag) as process:
            yield process
            assert until(lambda: not tagged(f"PULLAHEAD_TAG={self.tag}"), SOON), "everything ends with it"
        computed = steps(self.journal) - before
        assert not computed.keys() & recorded, "what is recorded is not computed again"
        assert set(computed.values()) <= {1}, "nothing is computed twice in one run"

    def dies(self, sink: str = "", options: dict[str, object] | None = None) -> None:
        """Run the driver, which kills itself or is killed by its queue."""
        with self.begun(sink, options=options) as process:
            said, errors = process.communicate(timeout=40)
            assert (process.returncode, said) == (-signal.SIGKILL, ""), errors

    def finishes(self, options: dict[str, object] | None = None) -> None:
        """Run it until its end. Everything is exact then."""
        forget(self.journal)
        (self.folder / "gate").touch()
        with self.begun(options=options) as process:
            said, errors = process.communicate(timeout=40)
            assert (process.returncode, said, errors) == (0, f"{COUNT} 0 0\n", "")
        self.check(ordered=(options or {}).get("ordered", True) is True)

    def check(self, *, ordered: bool) -> None:
        """The file has each item once, and so has the journal."""
        lines = [json.loads(line) for line in self.out.read_text().splitlines()]
        if not ordered:
            lines.sort(key=lambda line: int(line["item"]))
        assert lines == [{"item": item, "result": 10 * item} for item in range(COUNT)]
        assert self.recorded() == set(range(COUNT))
        with closing(sqlite3.connect(self.journal)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            found = database.execute("SELECT place FROM deliveries ORDER BY place").fetchall()
        assert found == [(item,) for item in range(COUNT)]

    def recorded(self) -> set[int]:
        """Return the items that have ended."""
        if not Path(self.journal).exists():
            return set()
        with closing(sqlite3.connect(self.journal)) as database:
            try:
                return {item for (item,) in database.execute("SELECT place FROM items WHERE state = 'done'")}
            except sqlite3.OperationalError:  # there are no tables yet
                return set()

    def lines(self) -> int:
        return self.out.read_bytes().count(b"\n") if self.out.exists() else 0


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[Durable]:
    one = Durable(tmp_path, "durable-")
    yield one
    kill_tagged(one.tag)


@pytest.mark.parametrize(
    ("gate", "options"),
    [
        (0, {}),
        (0, {"loads": True}),
        (20, {}),
        (20, {"ordered": False}),
        (20, {"batch_size": 4}),
        (20, {"loads": True}),
    ],
)
def test_a_driver_that_is_killed_while_items_run_goes_on(
    durable: Durable, gate: int, options: dict[str, object]
) -> None:
    with durable.begun(gate=gate, options=options) as process:
        # Both workers are at the gate. (What is loaded late may wait behind them.)
        assert until(lambda: sum(item >= gate for item in steps(durable.journal)) == 2, 20)
        process.kill()
    assert len(durable.recorded()) <= gate + 1
    durable.finishes(options)


@pytest.mark.parametrize(
    "sink", ["written 1", "written 30", "half 30", "checkpoint 1", "saved 1", "written 60", "close 1"]
)
def test_a_driver_that_dies_in_its_sink_goes_on(durable: Durable, sink: str) -> None:
    durable.dies(sink)
    durable.finishes()


@pytest.mark.parametrize(
    ("moment", "nth", "slow"),
    [
        ("opened", 1, 0.0),
        ("grant", 1, 0.0),
        ("done", 5, 0.0),
        ("begin", 1, 0.0),
        ("commit", 1, 0.0),
        ("commit", 3, 0.1),
        ("committed", 3, 0.1),
        ("delivered", 1, 0.0),
        ("delivered", 2, 0.1),
        ("ended", 1, 0.0),
        ("stop", 1, 0.0),
        ("close", 1, 0.0),
        ("closed", 1, 0.0),
    ],
)
def test_a_driver_that_is_killed_at_a_moment_of_the_queue_goes_on(
    durable: Durable, moment: str, nth: int, slow: float
) -> None:
    plan(durable.journal, moment, "driver", nth=nth, slow=slow)
    durable.dies()
    assert faults(durable.journal) == 1
    durable.finishes()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_driver_that_is_killed_five_times_goes_on(durable: Durable, seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(5):
        with durable.begun(options={"ordered": False}) as process:
            most = sum(steps(durable.journal).values()) + draw.randrange(12)
            until(lambda most=most: sum(steps(durable.journal).values()) > most, 20)  # type: ignore[misc]
            time.sleep(draw.uniform(0.0, 0.03))
            process.kill()
    durable.finishes({"ordered": False})


def test_a_driver_and_its_queue_die_one_after_the_other(durable: Durable) -> None:
    plan(durable.journal, "commit", nth=3)
    with durable.begun(gate=40) as process:
        assert until(lambda: durable.lines() >= 40, 20)
        assert faults(durable.journal) == 1
        process.kill()
    durable.finishes()


# The command line


WORK = """
import time
from pathlib import Path

def slowly(item):
    Path(__file__).with_name("notes").joinpath(f"process {item} {time.monotonic_ns()}").touch()
    time.sleep(0.05)
    return 10 * item
"""


def command(durable: Durable) -> subprocess.Popen[str]:
    """Begin `pullahead run`."""
    (durable.folder / "work.py").write_text(WORK)
    items = durable.folder / "items.jsonl"
    items.write_text("".join(f"{item}\n" for item in range(COUNT)))
    words = ["-m", "pullahead", "run", "work.py:slowly", "--from", "items.jsonl", "--to", "out.jsonl"]
    return subprocess.Popen(
        [sys.executable, *words, "--journal", "run.db", "-w", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=durable.folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT / 'src'}", "PULLAHEAD_TAG": durable.tag},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_same_command_goes_on(durable: Durable, number: signal.Signals) -> None:
    with command(durable) as process:
        assert until(lambda: durable.lines() >= 10, 20)
        process.send_signal(number)
        said, errors = process.communicate(timeout=20)
    assert until(lambda: not tagged(f"PULLAHEAD_TAG={durable.tag}"), SOON), "everything ends with it"
    if number is signal.SIGKILL:
        assert (process.returncode, said, errors) == (-signal.SIGKILL, "", "")
    else:
        assert (process.returncode, said) == (130, "")
        assert errors.startswith(f"pullahead run: interrupted: {durable.lines()} done, 0 failed, "), errors
        assert errors.endswith("; run it again to go on\n"), errors
        assert max(Counter(steps(durable.journal)).values()) == 1
    recorded, first = durable.recorded(), durable.lines()
    assert 10 <= len(recorded) < COUNT
    before = steps(durable.journal)
    with command(durable) as process:
        said, errors = process.communicate(timeout=20)
    assert (process.returncode, said, errors) == (0, "", "")
    assert not (steps(durable.journal) - before).keys() & recorded
    if number is not signal.SIGKILL:
        assert steps(durable.journal) == Counter(range(COUNT)), "what ran was finished and recorded"
        # What was given back comes behind what had been begun; either is in order.
        order = [json.loads(line)["item"] for line in durable.out.read_text().splitlines()]
        assert order == sorted(order[:first]) + sorted(order[first:])
    durable.check(ordered=number is signal.SIGKILL)
