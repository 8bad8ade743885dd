"""A Redis Cluster for tests: three nodes that have a third of the slots each, and a replica of the first."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from benchmarks.servers import free_port
from tests.sources.servers import RedisServer

#: Seconds until the nodes agree.
_PATIENCE = 30.0
_SLOTS = 16_384
#: ms after which a node that says nothing has failed.
_TIMEOUT_MS = 500


class RedisCluster:
    """See the module."""

    def __init__(self) -> None:
        self.nodes: list[RedisServer] = []
        self.ports: list[int] = []
        try:
            for _ in range(4):
                self._start_node()
            self._meet()
        except BaseException:
            self.close()
            raise

    def _start_node(self) -> None:
        port = free_port()
        kind = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(_TIMEOUT_MS))
        where = ("--port", str(port), "--bind", "127.0.0.1")
        self.nodes.append(RedisServer(*kind, *where, "--cluster-replica-validity-factor", "0"))
        self.ports.append(port)

    def _meet(self) -> None:
        *masters, replica = self.nodes
        for place, node in enumerate(masters):
            first, end = (_SLOTS * part // len(masters) for part in (place, place + 1))
            node.client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
            node.client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", place + 1)
        for port in self.ports[1:]:
            self.nodes[0].client.execute_command("CLUSTER", "MEET", "127.0.0.1", port)
        first_id = masters[0].client.execute_command("CLUSTER", "MYID")
        wait_until(lambda: first_id in str(replica.client.execute_command("CLUSTER", "NODES")))
        replica.client.execute_command("CLUSTER", "REPLICATE", first_id)
        self.wait()

    def wait(self) -> None:
        """Wait until every node knows every other one, all slots are served, and the replica follows."""
        for node in self.nodes:
            node.wait_for_cluster()
            wait_until(lambda node=node: len(known_nodes(node)) == len(self.nodes))  # type: ignore[misc]
        wait_until(lambda: self.nodes[3].client.info("replication").get("master_link_status") == "up")

    @property
    def client(self) -> Any:
        """redis-py, as somebody else uses it."""
        import redis

        return redis.RedisCluster(host="127.0.0.1", port=self.ports[1], decode_responses=True)

    def address(self, stream: str, node: int = 1, **options: Any) -> str:
        """Return the address of a stream, by one of the nodes."""
        query = urlencode({"stream": stream, "cluster": 1} | options)
        return f"redis://127.0.0.1:{self.ports[node]}/0?{query}"

    def put(self, stream: str, items: Sequence[Any]) -> None:
        """Add items, as JSON."""
        client = self.client
        for item in items:
            client.xadd(stream, {"item": str(item)})
        client.close()

    def stream_on(self, node: int, name: str = "jobs") -> str:
        """Return the name of a stream that is on one of the three."""
        from redis.crc import key_slot

        parts = len(self.nodes) - 1
        names = (f"{name}-{number}" for number in range(1000))
        return next(one for one in names if key_slot(one.encode()) * parts // _SLOTS == node)

    def close(self) -> None:
        """End it and leave nothing."""
        for node in self.nodes:
            node.close()


def known_nodes(node: RedisServer) -> list[str]:
    """Return whom a node knows and can reach."""
    found = node.client.execute_command("CLUSTER", "NODES")
    lines = found if isinstance(found, dict) else dict.fromkeys(str(found).splitlines())
    return [str(one) for one in lines if "handshake" not in str(one)]


def wait_until(what: Callable[[], bool]) -> None:
    """Nodes take their time to agree."""
    deadline = time.monotonic() + _PATIENCE
    while not what():
        assert time.monotonic() < deadline, "the nodes of the cluster do not agree"
        time.sleep(0.02)
