"""Processes, looked at from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

#: Seconds within which everything is gone after a driver.
PATIENCE: Final = 5.0
_TAG: Final = "PULLAHEAD_CHAOS"
_ROOT: Final = Path(__file__).parent.parent.parent


def descendants(pid: int) -> list[int]:
    """Return the pids of children, their children, and so on."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # gone meanwhile
            for child in map(int, task.read_text().split()):
                found += [child, *descendants(child)]
    return found


def has_open(pid: int, path: Path) -> bool:
    """Say whether a process has this very file open."""
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(entry.readlink()) == str(path):
                    return True
    return False


def kill(pid: int) -> bool:
    """Send SIGKILL; say whether there was somebody to get it."""
    if not _is_alive(pid):
        return False
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def tagged(tag: str) -> list[int]:
    """Return the pids of all that descend from a driver with this tag, wherever they have ended up."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # gone, or not ours
                words = (entry / "environ").read_bytes().split(b"\0")
                if f"{_TAG}={tag}".encode() in words and _is_alive(int(entry.name)):
                    found.append(int(entry.name))
    return found


@contextmanager
def driver(tag: str, errors: Path, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """Start a driver; it does not outlive the block."""
    path = os.pathsep.join([str(_ROOT), *filter(None, sys.path)])
    with (
        errors.open("ab") as stream,
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.chaos.driver", *map(str, arguments)],
            stderr=stream,
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": path, _TAG: tag},
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def sweep(tag: str) -> int:
    """Wait until all that ever descended from these drivers is gone. Kills, and counts, what stays."""
    deadline = time.monotonic() + PATIENCE
    while (left := tagged(tag)) and time.monotonic() < deadline:
        time.sleep(0.01)
    for pid in left:
        kill(pid)
    return len(left)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
