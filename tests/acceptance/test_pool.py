"""`Pool` and `run`: workers that are built once, sinks, futures, interrupts."""

from __future__ import annotations

import functools
import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance import works
from tests.differences import Differences

import pullahead as pa
from pullahead.core.window import ORDERED_LIMIT
from pullahead.errors import RunError


def test_workers_are_built_once_and_used_many_times(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pa.Pool(functools.partial(works.Doubling, str(log)), workers=2) as pool:
        while not log.exists() or log.read_text().count("built") < 2:
            list(pool.map(range(4)))  # until both are there: one that is not would not be waited for
        for _ in range(5):
            assert list(pool.map(range(4))) == [("stored", i, 2 * i) for i in range(4)]
    lines = Counter(log.read_text().splitlines())
    assert (lines["built"], lines["closed"]) == (2, 2)


def test_maps_of_one_pool_run_side_by_side() -> None:
    with pa.Pool(works.square, workers=2) as pool:
        first, second = pool.map(range(400)), pool.map(range(400, 800))
        assert list(second) == [x * x for x in range(400, 800)]
        assert list(first) == [x * x for x in range(400)]


def test_short_maps_lose_nothing_while_threads_are_interrupted_all_the_time(engine: str) -> None:
    rounds = {"local": 100, "ray": 30}[engine]  # a map there takes 40 ms
    over = threading.Event()

    def compute() -> None:
        while not over.is_set():
            pass

    threads = [threading.Thread(target=compute) for _ in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.00005)
    try:
        with pa.Pool(works.square, workers=2) as pool:
            for thread in threads:
                thread.start()
            for size in [3, 20, 60] * rounds:
                assert sorted(pool.map(range(size), ordered=False)) == [x * x for x in range(size)]
    finally:
        over.set()
        sys.setswitchinterval(interval)
    for thread in threads:
        thread.join()


def test_a_map_of_a_pool_that_is_left_early_leaves_the_pool_usable() -> None:
    with pa.Pool(works.square, workers=2) as pool:
        results = pool.map(range(100_000))
        assert next(results) == 0
        results.close()
        assert results.report.left > 0
        assert list(pool.map(range(10))) == [x * x for x in range(10)]


def test_submit_returns_futures() -> None:
    with pa.Pool(works.fail_on_three, workers=2) as pool:
        futures = [pool.submit(i) for i in range(6)]
        wait(futures)
        assert [f.result() for i, f in enumerate(futures) if i != 3] == [0, 1, 2, 4, 5]
        with pytest.raises(LookupError, match="three"):
            futures[3].result()


def test_closing_a_pool_finishes_what_was_submitted() -> None:
    with pa.Pool(works.square, workers=2) as pool:
        futures = [pool.submit(i) for i in range(100)]
    assert [f.result(timeout=0) for f in futures] == [i * i for i in range(100)]


class SlowToPickle:
    """Says that it is being pickled, and goes on when it may."""

    def __init__(self, begun: threading.Event, go_on: threading.Event) -> None:
        self._begun, self._go_on = begun, go_on

    def __reduce__(self) -> Any:
        self._begun.set()
        self._go_on.wait(20)
        return int, ()


def test_a_submission_that_comes_too_late_is_refused_and_harms_nobody() -> None:
    pool = pa.Pool(works.square, workers=1)
    assert pool.submit(3).result(20) == 9
    begun, go_on = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as other:
        late = other.submit(pool.submit, SlowToPickle(begun, go_on))
        assert begun.wait(20)
        in_time = pool.submit(4)
        pool.close()
        go_on.set()
        with pytest.raises(RuntimeError, match="the pool is closed"):
            late.result(20)
    assert in_time.result(20) == 16


def test_a_closed_pool_says_so() -> None:
    pool = pa.Pool(works.square, workers=1)
    pool.close()
    pool.close()
    with pytest.raises(RuntimeError, match="the pool is closed"):
        pool.map([1])
    with pytest.raises(RuntimeError, match="the pool is closed"):
        pool.submit(1)


def test_options_of_the_pool_are_not_options_of_a_map() -> None:
    with pa.Pool(works.square, workers=1) as pool:
        with pytest.raises(TypeError, match="workers: is an option of the Pool itself"):
            pool.map([1], workers=2)
        with pytest.raises(TypeError, match="nonsense: is unknown"):
            pool.map([1], nonsense=2)


def test_run_drains_into_a_sink_one_at_a_time_and_collects_failures() -> None:
    taken: list[tuple[object, int]] = []
    sink = lambda result, item: taken.append((result, item))  # noqa: E731
    report = pa.run(works.fail_on_three, range(20), sink, workers=2)
    failures = [(item, result) for result, item in taken if isinstance(result, pa.Failure)]
    assert [item for _, item in taken] == list(range(20))
    assert [item for item, _ in failures] == [3]
    assert (report.done, report.failed, report.left) == (19, 1, 0)
    assert sum(one.items for one in report.workers) == 20


def test_the_reports_of_two_runs_are_their_own() -> None:
    with pa.Pool(works.square, workers=2) as pool:
        assert pool.run(range(30)).done == 30
        second = pool.run(range(7))
    assert second.done == 7
    assert sum(one.items for one in second.workers) == 7


def test_an_error_of_the_sink_ends_the_run() -> None:
    def sink(result: int, item: int) -> None:
        raise OSError(f"disk full at {item}")

    with pytest.raises(OSError, match="disk full at 0"):
        pa.run(works.square, range(10_000), sink, workers=2)


@pytest.mark.parametrize("options", [{"on_error": "raise"}, {"pairs": True}])
def test_run_says_which_options_make_no_sense_there(options: dict[str, Any]) -> None:
    name = next(iter(options))
    with pytest.raises(TypeError, match=f"{name}: not an option of `run`"):
        pa.run(works.square, range(3), **options)
    with pa.Pool(works.square, workers=1) as pool, pytest.raises(TypeError, match=f"{name}: not an option"):
        pool.run(range(3), **options)


def test_closing_a_pool_ends_the_maps_that_are_still_open() -> None:
    pool = pa.Pool(works.square, workers=2)
    older, newer = pool.map(itertools.count()), pool.map(itertools.count())
    assert (next(older), next(newer)) == (0, 0)
    pool.close()
    for results in (older, newer):
        values = list(results)  # what ran is finished, what had not begun is left: there may be gaps
        assert values == sorted(values)
        inside = ORDERED_LIMIT + 1_000  # and a few that had left the window when they were handed over
        assert set(values) <= {x * x for x in range(1, inside)}


def test_a_pool_that_loses_its_workers_says_so_to_everyone() -> None:
    pool = pa.Pool(works.square, workers=1)
    results = pool.map(itertools.count())
    future = pool.submit(3)
    assert (next(results), future.result(20)) == (0, 9)
    pool._crew.kill()
    with pytest.raises(RunError, match="closed before this run had ended"):
        list(results)
    with pytest.raises(RunError, match="closed before this run had ended"):
        pool.submit(1)
    pool.close()


def test_a_pool_that_is_dropped_warns_and_ends() -> None:
    pool = pa.Pool(works.pid_of, workers=1)
    pid = pool.submit(0).result(20)
    held = [pool]
    del pool
    with pytest.warns(ResourceWarning, match="a Pool of pid_of was never closed"):
        held.clear()
    deadline = time.monotonic() + 10.0
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()


def test_a_map_of_a_pool_that_is_dropped_is_drained() -> None:
    with pa.Pool(works.square, workers=1) as pool:
        results = pool.map(itertools.count())
        assert next(results) == 0
        run = results._run
        del results
        gc.collect()
        run.wait_ended()
        assert list(pool.map(range(4))) == [0, 1, 4, 9]


def test_results_may_be_collected_while_locks_are_held() -> None:
    """The garbage collector runs destructors on any thread: with the crew's lock held, they must not wait."""
    with pa.Pool(works.square, workers=1) as pool:
        results = pool.map(itertools.count())
        assert next(results) == 0
        run, crew = results._run, pool._crew
        with run._changed, crew._lock:
            del results
            gc.collect()
        run.wait_ended()


def test_the_report_of_a_pool_with_submissions_only() -> None:
    with pa.Pool(works.fail_on_three, workers=2) as pool:
        assert (pool.report.done, pool.report.items) == (0, 0)
        futures = [pool.submit(x) for x in range(10)]
        wait(futures)
        report = pool.report
    assert (report.done, report.failed, report.left, report.items) == (9, 1, 0, 10)
    assert report.seconds > 0.0


def test_the_report_of_the_last_map_stays_when_its_results_are_gone() -> None:
    with pa.Pool(works.square, workers=1) as pool:
        assert sum(pool.map(range(5))) == 30
        gc.collect()
        assert pool.report.done == 5


def test_a_partial_batch_does_not_wait_for_a_run_that_is_idle() -> None:
    with pa.Pool(works.size_of_batch, workers=1, batch_size=4, batch_wait=1000.0) as pool:
        sizes = [pool.submit(0) for _ in range(4)]
        assert [size.result(20) for size in sizes] == [4] * 4
        assert list(pool.map(range(6))) == [4, 4, 4, 4, 2, 2]


def test_a_trace_holds_its_own_run_only() -> None:
    with pa.Pool(works.square, workers=1, trace=True) as pool:
        first, second = pool.run(range(40)), pool.run(range(3))
        kept = pool._crew.seen.trace(0.0)
    for report, items in ((first, 40), (second, 3)):
        assert report.trace is not None
        processed = [span.size for span in report.trace[0] if span.kind == "process"]
        assert sum(processed) == items
    assert sum(span.size for span in kept[0] if span.kind == "process") == 3


INTERRUPTED = """
import itertools, time, sys
import pullahead as pa

def work(x):
    time.sleep(0.02)
    return x

done = []
def sink(result, item):
    done.append(item)
    if len(done) == 5:
        print("ready", flush=True)

try:
    pa.run(work, itertools.count(), sink, workers=2)
except KeyboardInterrupt as interrupt:
    report = interrupt.report
    assert report.done == len(done) == len(set(done)), (report.done, len(done))
    assert report.failed == 0
    print("interrupted", report.left >= 0, flush=True)
"""


def test_an_interrupt_delivers_what_ran_and_raises() -> None:
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout as output:
        assert output.readline() == "ready\n"
        os.kill(process.pid, signal.SIGINT)
        assert output.readline() == "interrupted True\n"
        assert process.wait(20) == 0


ENDLESS = """
import itertools, os, signal, sys, time
import pullahead as pa

def work(x):
    time.sleep(60 if x == 3 else 0)
    return x

def sink(result, item):
    if item == 2:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

try:
    pa.run(work, itertools.count(), sink, workers=2)
except KeyboardInterrupt as interrupt:
    print("interrupted", interrupt.report.done >= 2, flush=True)
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def test_a_second_interrupt_ends_at_once() -> None:
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", ENDLESS], capture_output=True, text=True, timeout=50)
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted True\nTrue\n", "", 0)
    assert time.monotonic() - began < 20.0, "it does not wait for what runs"


EXACT = """
import os, signal, sys, threading
import pullahead as pa

handed, report = [], None
timer = threading.Timer(float(sys.argv[1]), os.kill, (os.getpid(), signal.SIGINT))

def sink(result, item):
    handed.append(item)
    if item == 0:
        timer.start()

try:
    report = pa.run(abs, range(20_000), sink, workers=2)
    timer.join()
except KeyboardInterrupt as interrupt:
    report = getattr(interrupt, "report", report)
assert handed == sorted(set(handed)), "in order, and each once"
assert report.done == len(handed), (report.done, len(handed))
assert report.done + report.left == 20_000
"""


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.03, 0.06, 0.1])
def test_whenever_an_interrupt_comes_no_result_is_lost(seconds: float) -> None:
    command = [sys.executable, "-c", EXACT, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def _interrupt_at_twenty(result: int, item: int) -> None:
    if item == 20:
        os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_that_is_handled_by_the_user_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        report = pa.run(abs, range(40), _interrupt_at_twenty, workers=2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (seen, report.done) == ([signal.SIGINT], 40)


def test_the_report_of_a_run_knows_how_long_workers_idled_at_its_end(differs: Differences) -> None:
    report = pa.run(works.sleep_and_echo, [(0, 0.01), (1, 1.5)], workers=2)  # the other one may come late
    assert report.tail_seconds > 0.1 or (report.lanes == 1 and not differs.places_at_once)


def test_a_script_without_a_main_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import pullahead as pa\n"
        "class Add:\n"
        "    def __init__(self): self.n = 1\n"
        "    def process(self, x): return Number(x.value + self.n)\n"
        "class Number:\n"
        "    def __init__(self, value): self.value = value\n"
        "results = list(pa.map(Add, [Number(i) for i in range(5)], workers=2))\n"
        "assert all(type(r) is Number for r in results)\n"
        "print([r.value for r in results])\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=50)
    assert (done.stdout, done.stderr, done.returncode) == ("[1, 2, 3, 4, 5]\n", "", 0)


def test_leaving_the_interpreter_in_the_middle_of_a_map_leaves_nothing_behind() -> None:
    code = (
        "import itertools, time, pullahead as pa\n"
        "results = pa.map(lambda x: x, itertools.count(), workers=2)\n"
        "print(next(results))\n"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert (done.stdout, done.stderr, done.returncode) == ("0\n", "", 0)
    assert time.monotonic() - started < 20
