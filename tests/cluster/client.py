"""A caller outside the cluster. `python -m tests.cluster.client ADDRESS` prints what it saw."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from typing import Any

import ray

import pullahead as pa
from pullahead.core.trace import PROCESS
from pullahead.testing import skewed_clocks


def sometimes(item: int) -> Any:
    """Fail for one item, die of another one."""
    if item == 3:
        raise KeyError(item)
    if item == 5:
        os._exit(3)
    return item


def timed(item: int) -> tuple[int, float, float]:
    """Say when it began and ended, by the one clock that all of this is on."""
    began = time.monotonic()
    time.sleep(0.01)
    return item, began, time.monotonic()


def clocks() -> dict[str, Any]:
    """Say how far off a worker's times are, whose clock is compared with the queue's, as this one's is."""
    with skewed_clocks(3600.0, 86400.0):
        results = pa.map(timed, range(60), workers=1, trace=True)
    truth = {item: (began, ended) for item, began, ended in results}
    report = results.report
    assert report.trace is not None
    spans = [span for recorded in report.trace.values() for span in recorded if span.kind == PROCESS]
    off = [max(one.start - truth[one.item][0], truth[one.item][1] - one.end) for one in spans]
    stated = report.clock_uncertainty
    return {"items": len(spans), "off": max(off), "stated": stated, "clocks": report.clocks}


class Idles:
    """An actor of Ray's own."""

    def ping(self) -> None:
        """Answer."""


def killed() -> str:
    """Kill one by Ray's own handle, and say what a call of it raises then."""
    handle: Any = ray.remote(Idles).remote()
    ray.get(handle.ping.remote())
    pa.kill(handle)
    try:
        pa.get(handle.ping.remote(), timeout=20)
    except pa.PullaheadError as error:
        return type(error).__name__
    return "nothing"


if __name__ == "__main__":
    pa.init("ray", address=sys.argv[1], logging_level=logging.ERROR)
    everything = list(pa.map(sometimes, range(40), workers=1, on_error="collect"))
    failures = {one.item: type(one.error).__name__ for one in everything if isinstance(one, pa.Failure)}
    done = [one for one in everything if not isinstance(one, pa.Failure)]
    try:
        pa.map(sometimes, range(3), journal="run.db")
    except ValueError as error:
        refused = str(error)
    seen = {"done": done, "failures": failures, "put": pa.get(pa.put("x")), "journal": refused}
    seen["clocks"] = clocks()
    seen["killed"] = killed()
    print("SEEN", json.dumps(seen))
    pa.shutdown()
