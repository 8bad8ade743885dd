"""A Redis Cluster: streams wherever they are, keys that have to be on one node, nodes that die."""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from benchmarks.servers import free_port
from tests.sources.cluster import RedisCluster, wait_until
from tests.sources.servers import RedisServer

import pullahead as pa
from pullahead.errors import SourceError
from pullahead.sources import open_sink, open_source
from pullahead.sources.redis import RedisQueue
from pullahead.sources.source import Source

pytest.importorskip("redis")
pytestmark = pytest.mark.timeout(180)  # of which each needs ten seconds at most; servers take their time


def nap(x: int) -> int:
    time.sleep(0.005)
    return x


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with closing(RedisCluster()) as made:
        yield made


@pytest.fixture
def own_cluster() -> Iterator[RedisCluster]:
    with closing(RedisCluster()) as made:
        yield made


def entries(cluster: RedisCluster, stream: str) -> list[dict[str, str]]:
    with closing(cluster.client) as client:
        return [fields for _, fields in client.xrange(stream)]


def results_of(cluster: RedisCluster, stream: str) -> Counter[int]:
    return Counter(int(one["result"]) for one in entries(cluster, stream) if "result" in one)


def pending(cluster: RedisCluster, stream: str) -> int:
    with closing(cluster.client) as client:
        return int(client.xpending(stream, "g")["pending"])


class Meanwhile:
    """A sink that writes into a stream, and does something once it has seen some results."""

    def __init__(self, sink: Any, what: Callable[[], None], seen: Counter[int]) -> None:
        self._sink, self._what = sink, what
        self.seen = seen

    def __call__(self, result: int, item: int) -> None:
        self._sink(result, item)
        self.seen[item] += 1
        if self.seen.total() == 50:
            self._what()


@pytest.mark.parametrize("node", [0, 1, 2])
def test_a_run_from_stream_to_stream_whatever_nodes_they_are_on(cluster: RedisCluster, node: int) -> None:
    jobs, results = cluster.stream_on(node), cluster.stream_on((node + 1) % 3, f"results-{node}")
    cluster.put(jobs, [*range(50), "nope"])

    def work(x: int) -> int:
        if x == 7:
            raise ValueError("no seven")
        return x

    # by one node, whichever has them
    report = pa.run(work, cluster.address(jobs, group="g", drain=1), cluster.address(results), workers=2)
    assert (report.done, report.failed) == (49, 1)
    assert results_of(cluster, results) == Counter(set(range(50)) - {7})
    reasons = sorted(one["pullahead-reason"] for one in entries(cluster, f"{{{jobs}}}:dead"))
    assert [reason.partition(", got")[0] for reason in reasons] == [
        "ValueError: no seven",
        "expected JSON in the field 'item'",
    ]
    assert pending(cluster, jobs) == 0


def test_a_stream_whose_name_has_braces_has_its_dead_letters_beside_it(cluster: RedisCluster) -> None:
    cluster.put("{films}:jobs", ["nope"])
    assert pa.run(nap, cluster.address("{films}:jobs", group="g", drain=1), workers=1).done == 0
    assert len(entries(cluster, "{films}:jobs:dead")) == 1


@pytest.mark.parametrize("options", [{"stream": "jobs", "dead": "dead"}, {"stream": "a}b"}])
def test_streams_that_are_not_in_one_slot_are_refused_in_a_line(
    cluster: RedisCluster, options: dict[str, str]
) -> None:
    for open_it, more in ((open_source, {"group": "g"}), (open_sink, {"dead": "dead"})):
        with pytest.raises(ValueError, match="expected stream and dead in one slot of the cluster") as caught:
            open_it(cluster.address(**(more | options)))  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)


def test_a_server_that_is_no_cluster_is_refused_in_a_line(redis_server: RedisServer) -> None:
    port = free_port()
    redis_server.client.config_set("port", port)
    with pytest.raises(SourceError, match=r"cannot reach .*[Cc]luster mode is not enabled") as caught:
        open_source(f"redis://127.0.0.1:{port}/0?stream=jobs&group=g&cluster=1")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("node", [1, 2])
@pytest.mark.parametrize("open_it", [open_source, open_sink, RedisQueue])
def test_a_node_without_its_cluster_is_refused_in_a_line(
    cluster: RedisCluster, node: int, open_it: Callable[[str], Any]
) -> None:
    """Also where it has the stream: something else may be elsewhere, or the stream may move."""
    more: dict[str, Any] = {"group": "g"} if open_it is open_source else {}
    address = cluster.address(cluster.stream_on(node), **more).replace("cluster=1", "cluster=0")
    with pytest.raises(SourceError, match="expected cluster=1 in the address") as caught:
        open_it(address)
    assert "\n" not in str(caught.value)


def test_a_node_that_may_not_be_asked_what_it_is_says_it_when_it_has_no_such_stream(
    cluster: RedisCluster,
) -> None:
    cluster.nodes[1].client.execute_command("ACL SETUSER narrow on >secret ~* &* +@all -info")
    me: dict[str, Any] = {"username": "narrow", "password": "secret"}
    address = cluster.address(cluster.stream_on(2), group="g", **me).replace("cluster=1", "cluster=0")
    with pytest.raises(SourceError, match="expected cluster=1 in the address"):
        open_source(address)


def test_a_wrong_password_is_said_in_a_line(cluster: RedisCluster) -> None:
    address = cluster.address(cluster.stream_on(2), group="g", username="nobody", password="wrong")
    with pytest.raises(SourceError, match="refuses us: ") as caught:
        open_source(address)
    assert "\n" not in str(caught.value)
    assert "wrong&" not in str(caught.value)


def take_for_ever(source: Source) -> None:
    while True:
        source.take(1, 0.1)


def test_a_run_whose_user_is_deleted_does_not_wait(cluster: RedisCluster) -> None:
    for node in cluster.nodes:
        node.client.execute_command("ACL SETUSER passing on >secret ~* &* +@all")
    source = open_source(
        cluster.address(cluster.stream_on(2), group="g", username="passing", password="secret")
    )
    for node in cluster.nodes:
        node.client.execute_command("ACL DELUSER passing")
    source._server._is_lost = True  # type: ignore[attr-defined]  # as if the cut came in the middle of a call
    begin = time.monotonic()
    with pytest.raises(SourceError, match="refuses us: "):
        take_for_ever(source)
    with pytest.raises(SourceError, match="refuses us: "):
        source.close()
    assert time.monotonic() - begin < 30.0  # and not the minute that a server may be away


@pytest.mark.parametrize("options", [{"group": "g"}, {}])
def test_what_is_closed_has_no_connection(cluster: RedisCluster, options: dict[str, Any]) -> None:
    def connected() -> set[tuple[int, str]]:
        return {
            (place, one["id"])
            for place, node in enumerate(cluster.nodes)
            for one in node.client.client_list()
        }

    gc.collect()  # clients of the other tests
    before = connected()
    opened = (open_source if options else open_sink)(cluster.address(cluster.stream_on(2), **options))
    assert not connected() <= before
    opened.close()
    wait_until(lambda: connected() <= before)  # a node takes a moment to notice
    assert opened is not None


def test_results_go_to_a_stream_beside_which_no_other_could_be(cluster: RedisCluster) -> None:
    with closing(open_sink(cluster.address("a}b"))) as sink:
        sink(1, 1)
    assert results_of(cluster, "a}b") == Counter([1])


@pytest.mark.parametrize(
    ("stream", "letters"),
    [
        ("jobs", "{jobs}:dead"),
        ("{reels}:jobs", "{reels}:jobs:dead"),
        ("jobs{films}", "jobs{films}:dead"),
        ("a{b", "{a{b}:dead"),
    ],
)
def test_dead_letters_are_in_the_slot_of_their_stream(
    cluster: RedisCluster, stream: str, letters: str
) -> None:
    with closing(open_source(cluster.address(stream, group="letters"))) as source:
        cluster.put(stream, [1])
        (one,) = source.take(1, 5.0)
        source.failed(one.token, "no")
    assert [letter["item"] for letter in entries(cluster, letters)] == ["1"]


def test_runs_hear_each_other_whatever_node_they_came_by(cluster: RedisCluster) -> None:
    jobs = cluster.stream_on(0, "shared")
    cluster.put(jobs, range(4))
    with (
        closing(open_source(cluster.address(jobs, 0, group="g"))) as one,
        closing(open_source(cluster.address(jobs, 2, group="g"))) as other,
    ):
        assert len(one.take(4)) == 4
        assert other.take(1) == []
        other.hungry(3)  # type: ignore[attr-defined]
        wait_until(lambda: one.wanted() == 3)  # type: ignore[attr-defined]


def run_with(
    cluster: RedisCluster,
    jobs: str,
    results: str,
    what: Callable[[], None],
    *,
    node: int = 1,
    seen: Counter[int] | None = None,
) -> Counter[int]:
    """A run of 300 items in the middle of which something happens. Returns what its sink has seen."""
    cluster.put(jobs, range(300))
    with closing(open_sink(cluster.address(results))) as sink:
        meanwhile = Meanwhile(sink, what, Counter() if seen is None else seen)
        pa.run(nap, cluster.address(jobs, node, group="g", drain=1), meanwhile, workers=2)
    return meanwhile.seen


def nothing_is_lost(cluster: RedisCluster, jobs: str, results: str) -> None:
    assert set(results_of(cluster, results)) == set(range(300))
    assert pending(cluster, jobs) == 0


def test_connections_that_are_cut_again_and_again(cluster: RedisCluster) -> None:
    over = threading.Event()
    seen: Counter[int] = Counter()

    def cut() -> None:
        before = 0
        while not over.wait(0.02):
            if seen.total() > before:  # on a crowded machine a connection takes longer than that
                before = seen.total()
                for node in cluster.nodes:
                    node.cut()

    helper = threading.Thread(target=cut)
    jobs, results = cluster.stream_on(1, "cut"), cluster.stream_on(2, "uncut")
    try:
        run_with(cluster, jobs, results, helper.start, seen=seen)
    finally:
        over.set()
        helper.join()
    nothing_is_lost(cluster, jobs, results)


def test_a_node_that_is_restarted_in_the_middle(own_cluster: RedisCluster) -> None:
    node = own_cluster.nodes[2]  # nobody follows it

    def restart() -> None:
        node.stop(signal.SIGKILL)
        time.sleep(2.0)  # long enough for the others to say that the cluster is down
        node.start()

    jobs, results = own_cluster.stream_on(2), own_cluster.stream_on(0, "results")
    run_with(own_cluster, jobs, results, restart)
    nothing_is_lost(own_cluster, jobs, results)


def test_a_node_that_dies_and_is_followed_by_its_replica(own_cluster: RedisCluster) -> None:
    """Also where it is the one that the address names."""
    jobs, results = own_cluster.stream_on(0), own_cluster.stream_on(1, "results")

    def die() -> None:
        own_cluster.nodes[0].client.wait(
            1, 10_000
        )  # what was said is with the replica: Redis itself may lose it
        own_cluster.nodes[0].stop(signal.SIGKILL)

    run_with(own_cluster, jobs, results, die, node=0)
    assert own_cluster.nodes[3].client.info("replication")["role"] == "master"
    nothing_is_lost(own_cluster, jobs, results)


def test_a_stream_that_moves_to_another_node(cluster: RedisCluster) -> None:
    from redis.crc import key_slot

    jobs, results = cluster.stream_on(1, "moving"), cluster.stream_on(2, "moved")
    slot = key_slot(jobs.encode())
    source, target = cluster.nodes[1].client, cluster.nodes[2].client

    def move() -> None:
        ids = {node: node.execute_command("CLUSTER", "MYID") for node in (source, target)}
        target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        source.execute_command("MIGRATE", "127.0.0.1", cluster.ports[2], jobs, 0, 5000)
        time.sleep(0.5)  # so long it is on its way
        for node in (target, source):
            node.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[target])

    assert run_with(cluster, jobs, results, move) == Counter(range(300))
    assert target.exists(jobs)
    nothing_is_lost(cluster, jobs, results)
