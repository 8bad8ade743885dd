"""The demo's three ways to do the same job: fetch files over the network and compress each.

The first two are the well-known actor patterns, written as one writes them on Ray, with a probe that measures
them. The third is Pullahead. Every result is (size, CRC-32 of the compressed bytes), so that the three can be
compared.
"""

from __future__ import annotations

import functools
import lzma
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import pullahead
from pullahead.cli.demo.server import Client
from pullahead.core.meter import Meter, WorkerTotals
from pullahead.core.trace import CAUSE_FETCH, FETCH, PROCESS, STALL, Recorder, Span
from pullahead.observe.report import Report

Digest = tuple[int, int]


def compress(body: bytes) -> Digest:
    """The compute of the demo."""
    packed = lzma.compress(body)
    return len(packed), zlib.crc32(packed)


@dataclass(frozen=True, slots=True)
class Ran:
    """One way, done."""

    label: str
    results: dict[str, Digest]
    report: Report


class WorkQueue:
    """Hands out (name, body), one file per call, and None when there are no more.

    It runs in several threads, so that the fetches of all workers go on side by side: the best case for the
    patterns that are to be measured.
    """

    def __init__(self, names: list[str], port: int) -> None:
        self._names = iter(names)
        self._client = Client(port)

    def get_work_item(self) -> tuple[str, bytes] | None:
        name = next(self._names, None)
        return None if name is None else (name, self._client.get(name))


@final
class Probe:
    """Measures a worker that is written by hand."""

    def __init__(self, worker: int) -> None:
        self.meter = Meter(worker, time.monotonic())
        self.recorder = Recorder()
        self.results: dict[str, Digest] = {}
        self._answers: list[tuple[float, float]] = []

    def ask(self, queue: Any) -> Any:
        """Ask for an item; note when the answer comes."""
        asked = time.monotonic()
        ref = queue.get_work_item.remote()
        ref.future().add_done_callback(lambda _: self._answers.append((asked, time.monotonic())))
        return ref

    def wait(self, ref: Any) -> Any:
        """Wait for an item; the wait is a stall."""
        start = time.monotonic()
        item = pullahead.get(ref)
        end = time.monotonic()
        self.meter.stalled(start, end, CAUSE_FETCH)
        self.recorder.add(STALL, start, end, detail=CAUSE_FETCH)
        for asked, answered in self._answers:
            self.meter.communicated(asked, answered)
            self.recorder.add(FETCH, asked, answered)
        self._answers.clear()
        return item

    def process(self, name: str, body: bytes) -> None:
        """Compute."""
        start, cpu = time.monotonic(), time.thread_time()
        self.results[name] = compress(body)
        end = time.monotonic()
        self.meter.computed(start, end, 1, time.thread_time() - cpu)
        self.recorder.add(PROCESS, start, end)

    def outcome(self) -> tuple[dict[str, Digest], WorkerTotals, list[Span]]:
        """Return everything that was measured."""
        return self.results, self.meter.totals, self.recorder.take()


class BlockingWorker:
    """Asks, waits, computes."""

    def __init__(self, number: int, queue: Any) -> None:
        self._probe = Probe(number)
        self._queue = queue

    def run(self) -> Any:
        probe = self._probe
        while (item := probe.wait(probe.ask(self._queue))) is not None:
            probe.process(*item)
        return probe.outcome()


class OverlappingWorker:
    """Asks for the next item before it computes the current one."""

    def __init__(self, number: int, queue: Any) -> None:
        self._probe = Probe(number)
        self._queue = queue

    def run(self) -> Any:
        probe = self._probe
        future = probe.ask(self._queue)
        while (item := probe.wait(future)) is not None:
            future = probe.ask(self._queue)
            probe.process(*item)
        return probe.outcome()


def by_hand(label: str, worker: type, names: list[str], port: int, workers: int) -> Ran:
    """Run one of the two patterns."""
    started = time.monotonic()
    queue = pullahead.remote(max_concurrency=2 * workers)(WorkQueue).remote(names, port)
    crew = [pullahead.remote(worker).remote(number, queue) for number in range(workers)]
    outcomes = pullahead.get([one.run.remote() for one in crew])
    seconds = time.monotonic() - started
    for handle in [*crew, queue]:
        pullahead.kill(handle)
    results: dict[str, Digest] = {}
    for some, _, _ in outcomes:
        results |= some
    report = Report(
        workers=[totals for _, totals, _ in outcomes],
        done=len(results),
        total=len(names),
        seconds=seconds,
        started=started,
        trace={totals.worker: spans for _, totals, spans in outcomes},
        title=label,
    )
    return Ran(label, results, report)


def with_pullahead(label: str, names: list[str], port: int, workers: int) -> Ran:
    """Run the same job with `pullahead.map`."""
    results = pullahead.map(
        compress,
        names,
        load=functools.partial(_fetch, port),
        workers=workers,
        ordered=False,
        pairs=True,
        trace=True,
    )
    return Ran(label, dict(results), results.report)


_clients: dict[int, Client] = {}


def _fetch(port: int, name: str) -> bytes:
    """Load one file, in a thread of the worker."""
    if port not in _clients:
        _clients[port] = Client(port)
    return _clients[port].get(name)


Way = Callable[[], Ran]
