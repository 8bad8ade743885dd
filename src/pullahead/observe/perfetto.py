"""Traces as JSON trace events, for https://ui.perfetto.dev and chrome://tracing.

One process per worker, with threads for compute, for waiting, and for each kind of communication. Complete
events ("X") of one thread must nest, and loads overlap: each kind gets as many threads as it had side by
side. Process and thread numbers are integers, because strings confuse Perfetto (ray.timeline's do), and
begin at 1, because 0 is the kernel's idle process there.

The format: "Trace Event Format", Google, 2016. Times are microseconds since the run began; how well those of
several machines are lined up is beside each process's name, and in the file's `otherData`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pullahead.core.trace import ASK, FETCH, LOAD, LOOKAHEAD, PROCESS, REPORT, STALL, STORE, Span
from pullahead.observe import words
from pullahead.observe.machines import places

if TYPE_CHECKING:
    from pullahead.observe.report import Report
    from pullahead.observe.staffing import Staffing

Event = dict[str, Any]

_COMPUTE_TID: Final = 1
_WAITING_TID: Final = 2
#: The first thread of each kind of communication, and of asks; the next ones follow it.
_FIRST_TID: Final = {ASK: 500, FETCH: 1000, LOAD: 2000, STORE: 3000, REPORT: 4000}


def write(path: Path, reports: Sequence[tuple[str, Report]]) -> None:
    """Write the traces of several runs as one file, one event per line."""
    with path.open("w", encoding="utf-8") as file:
        file.write('{"displayTimeUnit": "ms", "traceEvents": [\n')
        for number, event in enumerate(events(reports)):
            file.write(",\n" if number else "")
            file.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")))
        about = json.dumps({"runs": [_about(*run) for run in reports]}, ensure_ascii=False)
        file.write(f'\n],\n"otherData": {about}}}\n')


def _about(label: str, report: Report) -> dict[str, Any]:
    return {
        "run": label or report.title,
        "clocks": report.clocks,
        "clock_uncertainty_seconds": report.clock_uncertainty,
    }


def events(reports: Sequence[tuple[str, Report]]) -> Iterator[Event]:
    """Yield the events of several runs. Processes are numbered through all of them."""
    pid = 0
    for label, report in reports:
        where = places(report.workers)
        uncertain: dict[int, float] = {}
        for totals in report.workers:
            uncertain[totals.worker] = max(totals.uncertainty, uncertain.get(totals.worker, 0.0))
        trace = report.trace or {}
        for worker in sorted(trace):
            pid += 1
            name = f"worker {worker}" + _where(where.get(worker, {}))
            yield _metadata("process_name", pid, 0, name=f"{label}: {name}" if label else name)
            if uncertain.get(worker):
                yield _metadata("process_labels", pid, 0, labels=f"±{words.seconds(uncertain[worker])}")
            yield _metadata("process_sort_index", pid, 0, sort_index=pid)
            yield from _worker_events(pid, list(trace[worker]), report.started)
        if report.staffing is not None and report.staffing.changes:
            pid += 1
            yield _metadata("process_name", pid, 0, name=f"{label}: workers" if label else "workers")
            yield from _changes(pid, report.staffing)


def _where(found: dict[str, int]) -> str:
    """Say the process of a lane and its machine; where it was on several, one after the other."""
    said = [f"pid {pid} on {host}" if host else f"pid {pid}" for host, pid in found.items() if pid]
    return f" ({', then '.join(said)})" if said else ""


def _worker_events(pid: int, spans: list[Span], started: float) -> Iterator[Event]:
    threads: dict[int, str] = {}
    ends: dict[str, list[float]] = {kind: [] for kind in _FIRST_TID}  # per thread of a kind: when it is free
    body: list[Event] = []
    # Longer first where two begin together, so that a thread is given to the earliest that still fits.
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        ts = _micros(span.start - started)
        if span.kind == LOOKAHEAD:
            body.extend(_lookahead_events(pid, ts, span))
            continue
        if span.kind == PROCESS:
            tid, thread, name = _COMPUTE_TID, "compute", _named(span)
        elif span.kind == STALL:
            tid, thread, name = _WAITING_TID, "waiting", f"waits for {span.detail}"
        else:
            slot = _free_slot(ends[span.kind], span.start, span.end)
            tid, name = _FIRST_TID[span.kind] + slot, _named(span)
            thread = f"{span.kind} {slot + 1}" if slot else span.kind
        threads[tid] = thread
        body.append(
            {
                "ph": "X",
                "name": name,
                "cat": span.kind,
                "pid": pid,
                "tid": tid,
                "ts": ts,
                "dur": _micros(span.end - span.start),
                "args": {} if span.item < 0 else {"item": span.item, "size": span.size},
            }
        )
    for tid in sorted(threads):
        yield _metadata("thread_name", pid, tid, name=threads[tid])
        yield _metadata("thread_sort_index", pid, tid, sort_index=tid)
    yield from body


def _lookahead_events(pid: int, ts: float, span: Span) -> Iterator[Event]:
    yield {"ph": "C", "name": "lookahead", "pid": pid, "ts": ts, "args": {"lookahead": span.item}}
    yield {"ph": "C", "name": "bundle", "pid": pid, "ts": ts, "args": {"bundle": span.size}}
    yield {
        "ph": "i",
        "s": "t",
        "name": f"lookahead {span.item}",
        "cat": LOOKAHEAD,
        "pid": pid,
        "tid": _COMPUTE_TID,
        "ts": ts,
        "args": {"reason": span.detail},
    }


def _changes(pid: int, staffing: Staffing) -> Iterator[Event]:
    """How many workers there were, and why that changed."""
    yield {
        "ph": "C",
        "name": "workers",
        "pid": pid,
        "ts": 0.0,
        "args": {"workers": staffing.changes[0].before},
    }
    for at, before, after, why in staffing.changes:
        about: Event = {"pid": pid, "ts": _micros(at)}
        yield {"ph": "C", "name": "workers", **about, "args": {"workers": after}}
        name, reason = f"{before} → {after} workers", {"reason": why}
        yield {
            "ph": "i",
            "s": "p",
            "name": name,
            "cat": "scaling",
            **about,
            "tid": _COMPUTE_TID,
            "args": reason,
        }


def _free_slot(ends: list[float], start: float, end: float) -> int:
    """Take the first thread that is free at `start`, until `end`."""
    for slot, busy_until in enumerate(ends):
        if busy_until <= start:
            ends[slot] = end
            return slot
    ends.append(end)
    return len(ends) - 1


def _named(span: Span) -> str:
    if span.item < 0:
        return span.kind
    if span.size > 1:
        return f"{span.kind} {span.item}–{span.item + span.size - 1}"
    return f"{span.kind} {span.item}"


def _metadata(name: str, pid: int, tid: int, /, **args: Any) -> Event:
    return {"ph": "M", "name": name, "pid": pid, "tid": tid, "args": args}


def _micros(seconds: float) -> float:
    """Microseconds, to the nanosecond: that is what a monotonic clock has."""
    return round(seconds * 1e6, 3)
