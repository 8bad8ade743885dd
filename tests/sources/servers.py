"""Servers for tests: each starts its own, on a socket file in a folder of its own, and ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlencode

import pytest
from benchmarks.servers import Redis, redis_program

#: Seconds until a cluster is well.
_PATIENCE = 20.0


def redis_or_skip() -> str:
    """Return the program. Without it, a laptop skips the test, and a build fails."""
    program = redis_program() or missing("redis-server")
    pytest.importorskip("redis")
    return program


def missing(package: str) -> NoReturn:
    """A server is not installed."""
    why = f"{package} is not installed (apt-get install {package})"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@contextmanager
def stopped_processes(pids: Sequence[int]) -> Iterator[None]:
    """In here these processes do nothing, but are there."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """Yield a folder that holds no more than that. Only root can make one; who is not skips the test."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    folder.mkdir()
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nobody but root can mount a disk that is small, and not everywhere")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no byte free there. Return the file that has to go so that there are some again."""
    path = folder / "filling"
    with path.open("wb", buffering=0) as file:
        for size in (65_536, 4096, 1):  # the last blocks are small
            with suppress(OSError):
                while file.write(b"x" * size):
                    pass
    return path


class RedisServer(Redis):
    """A server that keeps what it has when it is restarted, each write at once."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._client: Any = None
        self._streams = 0
        super().__init__(redis_or_skip(), "--appendfsync", "always", *options)

    @property
    def client(self) -> Any:
        """redis-py, as somebody else uses it."""
        import redis

        if self._client is None:
            self._client = redis.Redis(
                unix_socket_path=str(self.socket), decode_responses=True, password=self._password
            )
        return self._client

    @property
    def _password(self) -> str | None:
        options = list(self._options)
        return options[options.index("--requirepass") + 1] if "--requirepass" in options else None

    def address(self, stream: str, group: str = "g", **options: Any) -> str:
        """Return the address of a source; of a sink with `group=""`."""
        query = {"stream": stream} | ({"group": group} if group else {}) | options
        return f"unix://{self.socket}?{urlencode(query)}"

    def new_stream(self) -> str:
        """Return a name that no other test has."""
        self._streams += 1
        return f"jobs-{self._streams}"

    def put(self, stream: str, items: Sequence[Any]) -> list[str]:
        """Add items, as JSON. Returns their ids."""
        pipeline = self.client.pipeline(transaction=False)
        for item in items:
            pipeline.xadd(stream, {"item": str(item)})
        return list(pipeline.execute())

    def pending(self, stream: str, group: str = "g") -> list[tuple[str, str, int]]:
        """Return id, consumer and deliveries of what is out."""
        found = self.client.xpending_range(stream, group, "-", "+", 10_000)
        return [(one["message_id"], one["consumer"], one["times_delivered"]) for one in found]

    def stopped(self) -> AbstractContextManager[None]:
        """In here it does nothing, but is there."""
        assert self._process is not None
        return stopped_processes([self._process.pid])

    def wait_for_cluster(self) -> None:
        """Wait until a node that has all slots says that the cluster is well."""
        deadline = time.monotonic() + _PATIENCE
        while "cluster_state:ok" not in str(self.client.execute_command("CLUSTER", "INFO")):
            assert time.monotonic() < deadline, "the cluster is not well"
            time.sleep(0.01)

    def cut(self) -> None:
        """Cut every connection but our own."""
        self.client.client_kill_filter(_type="normal", skipme=True)

    def close(self) -> None:
        """End it and leave nothing."""
        if self._client is not None:
            self._client.close()
        self.stop(signal.SIGKILL)  # also where it does nothing any more
        super().close()
