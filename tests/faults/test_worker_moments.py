"""Faults × the moments between the steps of items, on workers. The check is always the same and exact.

Each item has one outcome; what was merely held is charged nothing; what ran is charged; and what is recorded
is recorded once.
"""

from __future__ import annotations

import functools
import os
import sqlite3
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.faults.procs import actors_here, alive, until
from tests.faults.sabotaged_worker import BAD, MOMENTS, SabotagedShell, committed, environment

import pullahead as pa
from pullahead.errors import ActorDiedError
from pullahead.farm import crew

COUNT = 40
FAULTS = ("exit", "kill", "stop")
#: Moments at which no item runs: not even an attempt is charged.
IDLE = ("asked", "held", "goodbye", "gone")


def note(folder: str, item: int) -> int:
    Path(folder, f"process {item} {os.getpid()} {time.monotonic_ns()}").touch()
    return 10 * item


class Plain:
    def __init__(self, folder: str) -> None:
        self.folder = folder

    def process(self, item: int) -> int:
        return note(self.folder, item)


class LoadingAndStoring(Plain):
    def load(self, item: int) -> int:
        return item

    def store(self, result: int, item: int) -> int:
        return result


class Batches(Plain):
    def process(self, items: Any) -> Any:
        return [note(self.folder, item) for item in items]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(crew, "Shell", SabotagedShell)
    (tmp_path / "notes").mkdir()
    yield tmp_path
    assert until(lambda: not actors_here(), 5.0), "no worker outlives its run"
    assert not any(map(alive, committed(tmp_path)))


def run(shape: type[Plain], folder: Path, fault: str, moment: str, **options: Any) -> tuple[list[Any], Any]:
    """Run it over all items; return results and failures in the order of the items, and the report."""
    work = functools.partial(shape, str(folder / "notes"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = pa.map(
            work,
            range(COUNT),
            workers=2,
            on_error="collect",
            worker_options=environment(folder, fault, moment),
            **({"batch_size": 4} if shape is Batches else {}),
            **options,
        )
        values = list(results)
    assert len(committed(folder)) == 1, "the moment has come"
    return values, results.report


def moments_of(shape: type[Plain]) -> list[str]:
    """The moments that come with such a work."""
    return [one for one in MOMENTS if shape is LoadingAndStoring or one not in {"loaded", "stored"}]


CELLS = [
    (shape, fault, moment)
    for shape in (Plain, LoadingAndStoring, Batches)
    for moment in moments_of(shape)
    for fault in FAULTS
]


@pytest.mark.parametrize(("shape", "fault", "moment"), CELLS)
def test_a_fault_between_two_steps_costs_nobody_its_result(
    folder: Path, shape: type[Plain], fault: str, moment: str
) -> None:
    retries = 0 if moment in IDLE or fault == "stop" else 1
    values, report = run(shape, folder, fault, moment, retries=retries)
    assert values == [10 * item for item in range(COUNT)]
    assert (report.done, report.failed, report.left) == (COUNT, 0, 0)
    runs = Counter(int(path.name.split()[1]) for path in (folder / "notes").iterdir())
    assert runs.keys() == set(range(COUNT))
    if fault == "stop" or moment in IDLE:
        assert set(runs.values()) == {1}, "nothing is computed twice"


@pytest.mark.parametrize("fault", ["exit", "kill"])
@pytest.mark.parametrize("shape", [Plain, Batches])
def test_what_was_processed_and_not_reported_is_charged(folder: Path, shape: type[Plain], fault: str) -> None:
    values, _ = run(shape, folder, fault, "processed", retries=0)
    failures = [one for one in values if isinstance(one, pa.Failure)]
    failed = {one.item for one in failures}
    expected = {BAD} if shape is Plain else set(range(BAD // 4 * 4, BAD // 4 * 4 + 4))
    assert failed == expected
    assert {type(one.error) for one in failures} == {ActorDiedError}
    assert [one for one in values if not isinstance(one, pa.Failure)] == [
        10 * item for item in range(COUNT) if item not in failed
    ]


@pytest.mark.parametrize("moment", list(MOMENTS))
@pytest.mark.parametrize("fault", FAULTS)
def test_with_a_journal_each_result_is_recorded_once(folder: Path, fault: str, moment: str) -> None:
    journal = str(folder / "run.db")
    values, _ = run(LoadingAndStoring, folder, fault, moment, retries=1, journal=journal)
    assert values == [10 * item for item in range(COUNT)]
    with closing(sqlite3.connect(journal)) as database:
        recorded = database.execute("SELECT place, state, result FROM items ORDER BY place").fetchall()
    assert recorded == [(item, "done", str(10 * item)) for item in range(COUNT)]
