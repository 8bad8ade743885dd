"""The two listings of the seed, as they would be written for Ray, with nothing changed but the import.

A worker pulls work from a queue actor and computes on it: once waiting for each item, once with the next
request under way while it computes. The queue ends with a sentinel, so that the programs end.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.engines import ENGINES, start_ray

SRC = Path(__file__).parent.parent.parent / "src"

COMMON = """
import {ray} as ray

@ray.remote
class WorkQueue:
    def __init__(self, items):
        self.items = list(items)
        self.given = []

    def get_work_item(self):
        item = self.items.pop(0) if self.items else None
        self.given.append(item)
        return item

    def report(self):
        return self.given
"""

BLOCKING = """
@ray.remote
class Worker:
    def __init__(self, work_queue):
        self.work_queue = work_queue
        self.results = []

    def process(self, work_item):
        self.results.append(work_item * work_item)

    def run(self):
        while True:
            # Ask, and wait for the answer with nothing to do.
            work_item = ray.get(self.work_queue.get_work_item.remote())
            if work_item is None:
                return self.results
            self.process(work_item)
"""

OVERLAPPING = """
@ray.remote
class Worker:
    def __init__(self, work_queue):
        self.work_queue = work_queue
        self.results = []

    def process(self, work_item):
        self.results.append(work_item * work_item)

    def run(self):
        self.work_future = self.work_queue.get_work_item.remote()
        while True:
            work_item = ray.get(self.work_future)
            if work_item is None:
                return self.results
            # Ask for the next one first: the answer travels while this one is computed.
            self.work_future = self.work_queue.get_work_item.remote()
            self.process(work_item)
"""

MAIN = """
ray.init({options})
queue = WorkQueue.remote(range(1, 101))
workers = [Worker.remote(queue) for _ in range(2)]
results = ray.get([worker.run.remote() for worker in workers])
print(sorted(x for part in results for x in part) == [n * n for n in range(1, 101)])
print([item for item in ray.get(queue.report.remote()) if item is not None] == list(range(1, 101)))
print(all(part == sorted(part) for part in results))
ray.shutdown()
"""


#: What `init` is given, by engine.
OPTIONS = {"local": "", "ray": "'ray', log_to_driver=False, logging_level=40"}


@pytest.fixture(scope="module", params=ENGINES, autouse=True)
def engine(request: pytest.FixtureRequest) -> str:
    """The program starts the engine."""
    name: str = request.param
    return name


def program(worker: str, options: str) -> str:
    return COMMON.format(ray="pullahead") + worker + MAIN.format(options=options)


@pytest.mark.parametrize("worker", [BLOCKING, OVERLAPPING], ids=["blocking", "overlapping"])
def test_as_a_script(worker: str, engine: str, tmp_path: Path) -> None:
    script = tmp_path / "seed.py"
    script.write_text(program(worker, OPTIONS[engine]))
    strict = ["-W", "error"] if engine == "local" else []  # Ray has warnings of its own, and says them
    done = subprocess.run(
        [sys.executable, *strict, str(script)],
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "PYTHONPATH": str(SRC), "RAY_USAGE_STATS_ENABLED": "0"},
        check=False,
    )
    assert (done.stdout, done.returncode) == ("True\nTrue\nTrue\n", 0), done.stderr
    assert engine == "ray" or done.stderr == ""


@pytest.mark.parametrize("worker", [BLOCKING, OVERLAPPING], ids=["blocking", "overlapping"])
def test_in_this_process(worker: str, engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    if engine == "ray":
        start_ray()  # that of the session, which the program joins
    exec(compile(program(worker, repr(engine)), "<seed>", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == "True\nTrue\nTrue\n"
