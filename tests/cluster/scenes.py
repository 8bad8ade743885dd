"""Scenes on a cluster of three nodes on this machine. `python -m tests.cluster.scenes` prints what it saw."""

from __future__ import annotations

import itertools
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import numpy as np
import pytest
import ray
from ray._common.usage.usage_constants import CLUSTER_METADATA_KEY
from ray._private.internal_api import memory_summary
from ray._private.ray_constants import KV_NAMESPACE_CLUSTER
from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled
from ray.cluster_utils import Cluster
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from tests.nursery import workers_are_forked

import pullahead as pa
from pullahead import actors
from pullahead.core import scaling

#: A program that joins the cluster whose address follows.
JOIN = (sys.executable, "-m", "pullahead", "run", "builtins:len", "four", "--engine", "ray", "--address")
ONE_EACH = {"num_cpus": 1}


def node(_: Any = None) -> str:
    """Return where this is."""
    time.sleep(0.01)
    found: str = ray.get_runtime_context().get_node_id()
    return found


class Noting:
    """Notes which items run, in a folder. The results are large: they may be lost on their way."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def process(self, item: int) -> Any:
        with (self.folder / str(item)).open("a") as file:
            file.write(f"{node()}\n")
        time.sleep(0.03)
        return np.full(100_000, item)


class Where:
    """An actor that says where it is."""

    def node(self) -> str:
        return node()


def placement() -> dict[str, Any]:
    """Workers that take a CPU each are on three nodes, and so are the items."""
    results = pa.map(node, range(150), workers=3, worker_options=ONE_EACH)
    return {"nodes": sorted(Counter(results).values()), "clocks": results.report.clocks}


def spread() -> dict[str, Any]:
    """Workers that would all find a place on one node are on three, because they are told to spread."""
    options = {"num_cpus": 0.1, "scheduling_strategy": "SPREAD"}
    with pa.Pool(node, workers=3, worker_options=options) as pool:
        return {"nodes": sorted(Counter(pool.map(range(150))).values())}


def devices() -> dict[str, Any]:
    """Workers that take a GPU are where one is, and see that one, each its own."""
    with pa.Pool(see_devices, workers=2, worker_options={"num_cpus": 0, "num_gpus": 1}) as pool:
        seen = set(pool.map(range(60)))
    return {"nodes": len({where for where, _ in seen} - {node()}), "devices": sorted(one for _, one in seen)}


def see_devices(_: int) -> tuple[str, str]:
    """Return where this is, and which GPUs it may use."""
    return node(), os.environ["CUDA_VISIBLE_DEVICES"]


def no_place() -> dict[str, Any]:
    """Of five workers three find a place; the others keep nobody waiting."""
    nodes: set[str] = set()
    fed: list[int] = []

    def until_three_take_part() -> Iterator[int]:
        deadline = time.monotonic() + 60
        while len(nodes) < 3 and time.monotonic() < deadline:
            fed.append(len(fed))
            yield fed[-1]

    results = pa.map(node, until_three_take_part(), workers=5, worker_options=ONE_EACH)
    done = 0
    for found in results:
        nodes.add(found)
        done += 1
    return {"all_done": done == len(fed), "nodes": len(nodes), "workers": len(results.report.workers)}


def here() -> dict[str, Any]:
    """An actor can be where its caller is, and somewhere by a resource."""
    near = actors.remote(Where).options(here=True).remote()
    far = actors.remote(Where).options(resources={"far": 1}).remote()
    found = actors.get([near.node.remote(), far.node.remote()])
    pa.kill(near)
    pa.kill(far)
    return {"near": found[0] == node(), "far": found[1] != node()}


def adopted() -> dict[str, Any]:
    """What is Ray's own can be given to `get`, `wait`, `kill`, `get_actor`, and to an actor that begins."""
    handle: Any = ray.remote(Where).options(name="theirs").remote()
    named = actors.get_actor("theirs") == handle
    begun = actors.remote(BeginsWith).options(num_cpus=0).remote(ray.put(2), then=ray.put(3))
    values = pa.get(begun.values.remote(), timeout=20)
    pa.kill(begun)
    ref = handle.node.remote()
    ready, others = pa.wait([ref], timeout=20)
    found = pa.get(ref) == pa.get([ref])[0]
    pa.kill(handle)
    try:
        ray.get(handle.node.remote())
    except ray.exceptions.RayActorError:
        told = {"ready": ready == [ref] and others == [], "killed": True}
        return told | {"same": found, "named": named, "values": values}
    return {"killed": False}


class BeginsWith:
    """An actor that has what it began with."""

    def __init__(self, first: int, *, then: int) -> None:
        self._values = [first, then]

    def values(self) -> list[int]:
        return self._values


class Adds:
    """An async actor, whose calls wait for each other."""

    async def add(self, number: int) -> int:
        return number + 1


def failed_argument() -> dict[str, Any]:
    """A ref of Ray's whose task has failed is the failure of its call, and of no other."""
    adds = actors.remote(Adds).options(num_cpus=0).remote()
    refs = [ray.remote(num_cpus=0)(one).remote() for one in (raises, lambda: 7)]
    failed, other, last = [adds.add.remote(one) for one in (*refs, 1)]
    try:
        pa.get(failed, timeout=20)
    except LookupError as error:
        return {"said": str(error), "others": pa.get([other, last], timeout=20)}
    return {}


def raises() -> None:
    """Fail."""
    raise LookupError("no such thing")


def nowhere() -> dict[str, Any]:
    """Workers that find no place at all: that is said, and the run can be left."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pa.map(node, [1], workers=1, worker_options={"resources": {"missing": 1}}):
            deadline = time.monotonic() + 30
            while not caught and time.monotonic() < deadline:
                time.sleep(0.1)
    return {"said": [str(one.message) for one in caught]}


def timeout_elsewhere() -> dict[str, Any]:
    """What a worker on another node ran when it was killed is known, and nobody else is charged."""

    def linger(item: int) -> int:
        time.sleep(60 if item == 7 else 0.002)
        return item

    options = {"num_cpus": 0, "resources": {"far": 1}}
    everything = list(
        pa.map(linger, range(20), workers=1, item_timeout=0.5, worker_options=options, on_error="collect")
    )
    failures = [one for one in everything if isinstance(one, pa.Failure)]
    return {"failed": [one.item for one in failures], "error": [type(one.error).__name__ for one in failures]}


def exit_elsewhere() -> dict[str, Any]:
    """Of a worker that exits, Ray does not say where it was; what it ran is known all the same."""

    def leave(item: int) -> int:
        return sys.exit(5) if item == 7 else item

    options = {"num_cpus": 0, "resources": {"far": 1}}
    everything = list(pa.map(leave, range(20), workers=1, worker_options=options, on_error="collect"))
    return {"failed": [one.item for one in everything if isinstance(one, pa.Failure)]}


def large_values() -> dict[str, Any]:
    """Three times as much as the stores of all nodes hold comes and goes through them, and is gone then."""
    items = (np.full(2_000_000, i) for i in range(92))  # 16 MB each
    options = {"num_cpus": 0, "resources": {"far": 1}}
    sums = list(pa.map(first_tenth, items, workers=2, worker_options=options))
    return {"right": [int(one[-1]) for one in sums] == list(range(92)), "left": left_in_the_stores()}


def payloads_travel_meanwhile() -> dict[str, Any]:
    """Large items, results and what `overlap` fetches come while the item before is computed.

    The smallest of the times between two items tells: whatever else the machine does makes some longer, and
    nothing makes one shorter than the way of what is not sent before it is waited for.
    """
    far = {"num_cpus": 0, "resources": {"far": 1}}
    item = np.zeros(4_000_000)  # 32 MB
    rows = list(pa.map(begin_and_end, (item for _ in range(12)), workers=1, worker_options=far))
    between = [after[0] - before[1] for before, after in itertools.pairwise(rows)]
    makes = actors.remote(Makes).options(**far).remote()
    pa.get(makes.array.remote())  # so that the next one is not the first
    began = time.perf_counter()
    pa.get(makes.array.remote())
    way = time.perf_counter() - began
    gaps, last = [], 0.0
    for _ in itertools.islice(pa.overlap(makes.array.remote), 8):
        gaps.append(time.perf_counter() - last)
        time.sleep(0.3)
        last = time.perf_counter()
    ready, _ = pa.wait([makes.array.remote()], timeout=20)
    began = time.perf_counter()
    pa.get(ready[0])
    brought = time.perf_counter() - began
    pa.kill(makes)
    return {
        "map": min(between) < way / 3,
        "overlap": min(gaps[2:]) < way / 3,
        "wait": brought < way / 3,
        "seconds": [way, min(between), min(gaps[2:]), brought],
    }


class Makes:
    """An actor with a large result."""

    def array(self) -> Any:
        return np.zeros(4_000_000)


def begin_and_end(array: Any) -> tuple[float, float]:
    """Return when an item began, and when it ended."""
    began = time.perf_counter()
    time.sleep(0.3)
    assert len(array) == 4_000_000
    return began, time.perf_counter()


def refs_of_ray() -> dict[str, Any]:
    """What a task of Ray's has made on one node is worked on on another."""
    make = ray.remote(num_cpus=0, resources={"far": 0.1})(np.full)
    refs = [make.remote(500_000, i) for i in range(30)]
    near = NodeAffinitySchedulingStrategy(node(), soft=False)
    options = {"num_cpus": 0, "scheduling_strategy": near}
    tenths = list(pa.map(first_tenth, refs, workers=1, worker_options=options))
    return {"right": [int(one[-1]) for one in tenths] == list(range(30))}


def first_tenth(array: Any) -> Any:
    """Return a part that is still large enough to travel as an object."""
    assert not array.flags.writeable, "it is in the store"
    return array[: len(array) // 10] + 0


def left_in_the_stores() -> str:
    """Return what Ray says is there, when it has had time to be freed; with all refs, if it is not.

    It takes Ray a while to notice that the owner of an object has ended before it could free it.
    """
    here = ray.get_runtime_context().gcs_address  # there may be other Rays on this machine
    deadline = time.monotonic() + 45
    while time.monotonic() < deadline:
        said = str(memory_summary(here, stats_only=True))  # type: ignore[no-untyped-call]
        if " 0 objects" in said:
            return said.strip().splitlines()[-1]
        time.sleep(0.1)
    return str(memory_summary(here))  # type: ignore[no-untyped-call]


def client(port: int) -> dict[str, Any]:
    """A caller outside the cluster."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster.client", f"ray://127.0.0.1:{port}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [line.removeprefix("SEEN ") for line in done.stdout.splitlines() if line.startswith("SEEN ")]
    return json.loads(lines[0]) if lines else {"error": done.stderr[-2000:]}


def comes_and_goes(cluster: Cluster, every: dict[str, Any]) -> dict[str, Any]:
    """Nodes with a CPU, so with a worker each, are filled, one that comes later, too, and all are free again.

    That is what an autoscaler does: it brings a node because somebody waits for one.
    """
    work = pa.Pool(node, workers=(1, 6))
    with pytest.MonkeyPatch.context() as patch, work as pool:
        patch.setattr(scaling, "PATIENCE", 1.0)  # these nodes are not paid for
        results = pool.map(range(1_000_000), ordered=False)
        lanes, seen = pool._crew._lanes, see_nodes(results, 3)
        while lanes.count < 6:
            seen.add(next(results))
        with taken_meanwhile(results) as nodes:  # or workers have nothing to do, and leave
            came = cluster.add_node(**every)
        seen |= nodes | see_nodes(results, 4)
        results.close()
        report = results.report
        left = until(lambda: lanes.count == 1, 20)
        free = until(lambda: free_cores() == 3.0, 20)
        again = len(set(pool.map(range(50))))
    cluster.remove_node(came)
    return {
        "nodes": len(seen),
        "most": report.lanes,
        "left": left,
        "free": free,
        "again": again,
        "all free": until(lambda: free_cores() == 3.0, 20),
    }


@contextmanager
def taken_meanwhile(results: Iterator[str]) -> Iterator[set[str]]:
    """Take results on a thread, into a set."""
    found: set[str] = set()
    is_over = threading.Event()

    def take() -> None:
        while not is_over.is_set():
            found.add(next(results))

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join()


def free_cores() -> float:
    """Return how many cores of the cluster nobody has."""
    return float(ray.available_resources().get("CPU", 0.0))  # type: ignore[no-untyped-call]


def see_nodes(results: Any, count: int) -> set[str]:
    """Take results until they come from so many nodes."""
    seen: set[str] = set()
    deadline = time.monotonic() + 40
    while len(seen) < count and time.monotonic() < deadline:
        seen.add(next(results))
    return seen


def until(condition: Any, seconds: float) -> bool:
    """Poll a condition: Ray says some things a moment later."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(condition())


def node_death(cluster: Cluster, victim: Any, every: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A node is killed, and another one comes: its worker has a successor there, and nothing is lost.

    What was held by the worker that died is charged nothing, and there are no retries; what ran is charged.
    """
    folder.mkdir()
    under_way, come = threading.Event(), threading.Event()
    fed: list[int] = []
    done: list[int] = []
    failed: list[int] = []
    seen: set[str] = set()  # nodes

    def until_it_works(deadline: float) -> Iterator[int]:
        while time.monotonic() < deadline and (len(fed) < 300 or not come.is_set() or new not in seen):
            fed.append(len(fed))
            yield fed[-1]

    def take(results: Iterator[Any]) -> None:
        for one in results:
            item = one.item if isinstance(one, pa.Failure) else int(one[-1])
            (failed if isinstance(one, pa.Failure) else done).append(item)
            seen.update((folder / str(item)).read_text().split())
            if len(done) == 60:
                under_way.set()

    work = pa.Pool(_noting(str(folder)), workers=3, worker_options=ONE_EACH, on_error="collect")
    with work as pool:
        results = pool.map(until_it_works(time.monotonic() + 60), ordered=False)
        taker = threading.Thread(target=take, args=[results])
        taker.start()
        under_way.wait(60)
        cluster.remove_node(victim, allow_graceful=False)  # these two work on the main thread only
        new = cluster.add_node(**every).node_id
        come.set()
        taker.join()
    runs = Counter({int(file.name): len(file.read_text().split()) for file in folder.iterdir()})
    return {
        "exact": sorted(done + failed) == fed,
        "failures": len(failed),
        "ran_again": sum(count - 1 for count in runs.values()),
        "followed": new in seen,
    }


def auto(cluster: Cluster) -> dict[str, Any]:
    """A program finds the cluster that its environment names."""
    environ = {**os.environ, "RAY_ADDRESS": cluster.address}
    done = subprocess.run(
        [*JOIN, "auto"], capture_output=True, text=True, timeout=100, check=False, env=environ
    )
    return {"code": done.returncode, "out": done.stdout, "said": done.stderr}


def incompatible(cluster: Cluster) -> dict[str, Any]:
    """Join a cluster of which is written down that another Ray, and another Python, have started it."""
    store = GcsClient(address=cluster.address)
    key, namespace = CLUSTER_METADATA_KEY, KV_NAMESPACE_CLUSTER
    known = json.loads(store.internal_kv_get(key, namespace))
    seen = {}
    for name, version in (("ray_version", "2.9.0"), ("python_version", "3.8.1")):
        store.internal_kv_put(key, json.dumps(known | {name: version}).encode(), True, namespace)
        began = time.monotonic()
        done = subprocess.run(
            [*JOIN, cluster.address], capture_output=True, text=True, timeout=100, check=False
        )
        seen[name] = (done.returncode, done.stdout, done.stderr, time.monotonic() - began)
    return seen


def _noting(folder: str) -> Any:
    import functools

    return functools.partial(Noting, folder)


def scenes(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Play all, each on what the one before has left."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    # A dead node is known as one after 2.5 s, not after 15.
    soon = {"health_check_period_ms": 500, "health_check_failure_threshold": 5}
    head = {"include_dashboard": False, "ray_client_server_port": port, "_system_config": soon}
    every: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 160 << 20}  # ten of the large items
    cluster = Cluster(initialize_head=True, head_node_args=every | head)
    cluster.add_node(wait=False, **every, resources={"far": 10}, num_gpus=2)
    victim = cluster.add_node(wait=False, **every)
    cluster.wait_for_nodes()
    pa.init("ray", address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    for scene in (spread, placement, devices, no_place):  # what is free again is known a while later
        yield scene.__name__, scene()
    with ThreadPoolExecutor(1) as aside:  # beside those that want no CPU and no empty stores; one waits 10 s
        outside = aside.submit(client, port)
        for scene in (here, adopted, failed_argument, nowhere, timeout_elsewhere, exit_elsewhere):
            yield scene.__name__, scene()
        yield "client", outside.result()
    for scene in (payloads_travel_meanwhile, large_values, refs_of_ray):
        yield scene.__name__, scene()
    yield "comes_and_goes", comes_and_goes(cluster, every)
    yield "node_death", node_death(cluster, victim, every, folder / "notes")
    pa.shutdown()
    yield "auto", auto(cluster)
    yield "incompatible", incompatible(cluster)
    cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    with workers_are_forked():
        for name, seen in scenes(Path(sys.argv[1])):
            print("SEEN", json.dumps([name, seen]), flush=True)
