"""Three nodes: where things are, what a dead node costs, and what is said of a cluster that is not there."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
#: Seconds after which who cannot join a cluster knows it.
HALF_A_MINUTE = 30.0
ENVIRON = {
    **os.environ,
    "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray's server for clients forks while threads of gRPC run. With gRPC's handlers for that, one child in
    # three died at once (2.60, "epoll_wait error: Bad file descriptor"), and its client heard of nothing.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
}

pytestmark = [pytest.mark.ray, pytest.mark.timeout(210)]


@pytest.fixture(scope="module")
def silence() -> Iterator[dict[str, Future[tuple[str, int, float]]]]:
    """Addresses where somebody listens and says nothing, and what joining each comes to: in half a minute."""
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(2) as aside:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        yield {one: aside.submit(join, one) for one in (address, f"ray://{address}")}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, silence: object) -> dict[str, Any]:
    """What the scenes saw, in a process of their own: there is one Ray to a process.

    The joining of `silence` has begun by then: it only waits.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster.scenes", str(tmp_path_factory.mktemp("cluster"))],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=ROOT,
        env=ENVIRON,
        check=False,
    )
    lines = [line.removeprefix("SEEN ") for line in done.stdout.splitlines() if line.startswith("SEEN ")]
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(line) for line in lines)


def test_workers_spread_over_the_nodes(seen: dict[str, Any]) -> None:
    counts = seen["placement"]["nodes"]
    assert len(counts) == 3
    assert sum(counts) == 150
    assert seen["placement"]["clocks"] == 1, "they are all on this machine"


def test_workers_spread_where_one_node_would_have_held_them(seen: dict[str, Any]) -> None:
    counts = seen["spread"]["nodes"]
    assert len(counts) == 3
    assert sum(counts) == 150


def test_workers_that_take_a_gpu_are_where_they_are_and_share_none(seen: dict[str, Any]) -> None:
    assert seen["devices"] == {"nodes": 1, "devices": ["0", "1"]}


def test_a_worker_that_finds_no_place_keeps_nobody_waiting(seen: dict[str, Any]) -> None:
    assert seen["no_place"] == {"all_done": True, "nodes": 3, "workers": 3}


def test_an_actor_is_where_its_options_say(seen: dict[str, Any]) -> None:
    assert seen["here"] == {"near": True, "far": True}


def test_refs_and_handles_of_ray_are_welcome(seen: dict[str, Any]) -> None:
    done = {"same": True, "ready": True, "killed": True, "named": True, "values": [2, 3]}
    assert seen["adopted"] == done


def test_a_ref_that_failed_fails_its_call_and_no_other(seen: dict[str, Any]) -> None:
    assert seen["failed_argument"] == {"said": "no such thing", "others": [8, 2]}


def test_a_run_whose_workers_find_no_place_says_so_and_can_be_left(seen: dict[str, Any]) -> None:
    (said,) = seen["nowhere"]["said"]
    assert said.startswith("for 10 s no worker has found a place on the cluster, and the run waits")


def test_what_ran_on_another_node_is_known_when_its_worker_was_killed(seen: dict[str, Any]) -> None:
    assert seen["timeout_elsewhere"] == {"failed": [7], "error": ["ItemTimeoutError"]}


def test_only_the_item_whose_worker_exits_on_another_node_is_charged(seen: dict[str, Any]) -> None:
    assert seen["exit_elsewhere"] == {"failed": [7]}


def test_large_values_come_and_go_through_small_stores(seen: dict[str, Any]) -> None:
    values = seen["large_values"]
    assert values["right"]
    assert "0 objects" in values["left"]
    assert "Spilled" not in values["left"], "so much was never there at once"


def test_large_values_come_while_the_one_before_is_computed(seen: dict[str, Any]) -> None:
    scene = seen["payloads_travel_meanwhile"]
    assert (scene["map"], scene["overlap"], scene["wait"]) == (True, True, True), scene["seconds"]


def test_what_a_task_of_rays_has_made_is_worked_on_elsewhere(seen: dict[str, Any]) -> None:
    assert seen["refs_of_ray"] == {"right": True}


def test_a_caller_outside_the_cluster(seen: dict[str, Any]) -> None:
    client = seen["client"]
    assert "error" not in client, client["error"]
    assert client["done"] == [item for item in range(40) if item not in {3, 5}]
    assert client["failures"] == {"3": "KeyError", "5": "ActorDiedError"}
    assert client["put"] == "x"
    assert client["killed"] == "ActorDiedError"
    assert client["journal"].startswith(
        "journal: the queue writes it on its machine, and this caller is outside"
    )


def test_the_clocks_of_workers_and_of_a_caller_outside_are_compared_over_the_queue(
    seen: dict[str, Any],
) -> None:
    clocks = seen["client"]["clocks"]
    assert (clocks["items"], clocks["clocks"]) == (60, 2)
    assert 0.0 < clocks["stated"] < 0.5
    assert clocks["off"] <= clocks["stated"]


def test_workers_come_with_the_nodes_that_there_are_and_leave_them_free(seen: dict[str, Any]) -> None:
    assert seen["comes_and_goes"] == {
        "nodes": 4,
        "most": 4,
        "left": True,
        "free": True,
        "again": 1,
        "all free": True,
    }


def test_a_dead_node_costs_at_most_what_ran_there_and_its_worker_is_replaced_elsewhere(
    seen: dict[str, Any],
) -> None:
    death = seen["node_death"]
    assert (death["exact"], death["followed"]) == (True, True)
    assert death["failures"] <= 1, "there are no retries, and what was only held is charged nothing"
    assert 0 <= death["ran_again"] <= 40, "what ran there, and what was finished there and had not been said"


def test_a_program_finds_the_cluster_by_itself(seen: dict[str, Any]) -> None:
    assert seen["auto"]["code"] == 0, seen["auto"]["said"]
    assert json.loads(seen["auto"]["out"]) == {"item": "four", "result": 4}


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("ray_version", "Ray: 2.9.0 Python: "), ("python_version", "Python: 3.8.1 ")],
)
def test_a_cluster_of_another_version_is_refused_in_one_line(
    name: str, theirs: str, seen: dict[str, Any]
) -> None:
    code, out, said, seconds = seen["incompatible"][name]
    assert (code, out, said.count("\n")) == (1, "", 1)
    assert re.search(r"cannot join Ray at '[\d.:]+': Version mismatch: The cluster was started with: ", said)
    assert theirs in said
    assert seconds < HALF_A_MINUTE


def join(address: str) -> tuple[str, int, float]:
    began = time.monotonic()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pullahead",
            "run",
            "builtins:len",
            "four",
            "--engine",
            "ray",
            "--address",
            address,
        ],
        capture_output=True,
        text=True,
        timeout=100,
        env=ENVIRON,
        check=False,
    )
    return done.stderr, done.returncode, time.monotonic() - began


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_nobody_listens(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    said, code, _ = join(f"{scheme}127.0.0.1:{port}")
    assert f"cannot join Ray at '{scheme}127.0.0.1:{port}': nobody answers there" in said
    assert (code, said.count("\n")) == (1, 1)


def test_somebody_listens_and_says_nothing(silence: dict[str, Future[tuple[str, int, float]]]) -> None:
    for address, joined in silence.items():
        said, code, seconds = joined.result()
        assert f"cannot join Ray at '{address}': " in said
        assert code == 1
        assert seconds < HALF_A_MINUTE
