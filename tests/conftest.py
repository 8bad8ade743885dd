"""What all tests share: the path that actors import from, and the check that nothing is left behind."""

from __future__ import annotations

import compileall
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from pullahead import actors

ROOT = Path(__file__).parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(
        0, str(ROOT)
    )  # actors import the classes of test modules by name: `tests.conformance.cast`

from tests.engines import ray_runs  # noqa: E402  from the path above

settings.register_profile("here", deadline=None)  # how long an example takes is the machine's doing
settings.load_profile("here")
# Tests start thousands of interpreters. Where the environment says that none keeps its bytecode, each would
# compile all that it imports of us anew: a fifth of the time that an actor on Ray takes to begin.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
for folder in ("src", "tests", "benchmarks"):
    compileall.compile_dir(ROOT / folder, quiet=2)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background jobs do, and what they start
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Seconds. A process of Ray's takes one to begin, several on a crowded machine, and some tests need ten.
_RAY_HANGS = 180

_OURS = (
    "socket:",
    "anon_inode:[eventpoll]",
    "anon_inode:[eventfd]",
    "anon_inode:[pidfd]",
    "/memfd:pullahead",
)


def our_descriptors() -> set[str]:
    """Name the open descriptors of the kinds that the engine opens."""
    found = set()
    for entry in list(Path("/proc/self/fd").iterdir()):
        try:
            target = str(entry.readlink())
        except FileNotFoundError:  # the one that listed them
            continue
        if target.startswith(_OURS):
            found.add(f"{entry.name} -> {target}")
    return found


def our_threads() -> set[str]:
    """Name the running threads of the engine."""
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("pullahead")}


def fork_servers() -> set[int]:
    """Return the pids of this process's fork servers."""
    found = set()
    for task in Path("/proc/self/task").glob("*/children"):
        for pid in task.read_text().split():
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"pullahead.actors.local.forkserver" in command:
                found.add(int(pid))
    return found


def left_behind(before: set[str]) -> list[str]:
    """List what the engine has left in this process."""
    gc.collect()
    descriptors = set() if ray_runs() else our_descriptors() - before
    left = sorted(descriptors) + sorted(our_threads())
    return left + [f"fork server {pid}" for pid in fork_servers()]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what needs Ray at the end: while one runs, nobody can tell its descriptors from ours."""
    items.sort(key=lambda item: item.get_closest_marker("ray") is not None)
    for item in items:
        if item.get_closest_marker("ray") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_RAY_HANGS))


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_left() -> Iterator[None]:
    """After each module the engine is shut down, and no descriptor, thread or process of it is left."""
    before = our_descriptors()
    yield
    actors.shutdown()
    deadline = time.monotonic() + 2.0
    while left_behind(before) and time.monotonic() < deadline:
        time.sleep(0.01)  # other threads of the test may still be closing what they opened
    assert left_behind(before) == []
