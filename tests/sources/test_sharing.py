"""Two processes at one queue: what one holds and has not begun goes to the other when that has nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.sources.postgresql import PostgresServer
from tests.sources.servers import RedisServer

import pullahead as pa

WAIT = 30.0

HOLDER = """
import ast, os, sys, time
import pullahead as pa

def work(x):
    os.write(1, b"began\\n")  # in one piece: there are two workers
    time.sleep(3.0)

pa.run(work, sys.argv[1], **ast.literal_eval(sys.argv[2]))
"""

#: Options of both programs: their workers, and what is between them and the source.
FARMS: dict[str, dict[str, Any]] = {
    "one queue": {"workers": 2},
    "two queues": {"workers": 2, "queues": 2},
    "workers that come and go": {"workers": (2, 4)},
}


def began(x: int) -> float:
    now = time.monotonic()
    time.sleep(3.0)
    return now


def share(address: str, out: Callable[[], int], farm: dict[str, Any]) -> dict[int, float]:
    """Let another process have all of six items, and then take from there too.

    Returns what we got of it, and after how many seconds each began here. `out`: how many are with somebody.
    """
    command = [sys.executable, "-c", HOLDER, address, repr(farm)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    ours: dict[int, float] = {}
    try:
        with pa.Pool(began, **farm) as pool:
            assert [holder.stdout.readline() for _ in range(2)] == ["began\n"] * 2
            deadline = time.monotonic() + WAIT
            while out() < 6:
                assert time.monotonic() < deadline
                time.sleep(0.02)  # the other process takes its time
            was_hungry = time.monotonic()
            report = pool.run(address, lambda when, item: ours.update({item: when - was_hungry}))
    finally:
        holder.wait(WAIT)
        holder.stdout.close()
    assert (report.done, report.left) == (len(ours), 0)
    return ours


@pytest.mark.parametrize("farm", FARMS)
@pytest.mark.parametrize("kind", ["postgresql", "redis"])
def test_what_another_process_holds_and_has_not_begun_comes_within_a_second(
    kind: str, farm: str, request: pytest.FixtureRequest
) -> None:
    if kind == "redis":
        redis: RedisServer = request.getfixturevalue("redis_server")
        stream = redis.new_stream()
        redis.put(stream, range(6))
        redis.client.xgroup_create(stream, "g", "0")
        ours = share(redis.address(stream, drain=1), lambda: len(redis.pending(stream)), FARMS[farm])
        assert redis.pending(stream) == []
    else:
        postgres: PostgresServer = request.getfixturevalue("postgres")
        name = postgres.new_queue()
        postgres.put(name, range(6))
        out = lambda: postgres.rows(name, "state").count(("out",))  # noqa: E731
        ours = share(postgres.address(name, drain=1), out, FARMS[farm])
        assert postgres.rows(name, "state, attempts") == [("done", 1)] * 6
    print(f"{kind}, {farm}: began here after {sorted(ours.values())}")
    assert len(ours) == 2  # a half of the four that had not begun
    assert min(ours.values()) < 2.0  # a second, on a machine that has nothing else to do
