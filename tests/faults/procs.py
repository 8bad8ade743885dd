"""Looking at processes from outside: who is alive, who descends from whom, what they left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import fork_servers

ROOT = Path(__file__).parent.parent.parent


def alive(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def descendants(pid: int) -> list[int]:
    """Return the pids of children, their children, and so on."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            for child in map(int, task.read_text().split()):
                found += [child, *descendants(child)]
    return found


def actors_here() -> set[int]:
    """Return the pids of this process's actors, and of what they have started."""
    return {pid for server in fork_servers() for pid in descendants(server)}


def tagged(tag: str) -> list[int]:
    """Return the pids of all processes with this in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environ = (entry / "environ").read_bytes()
            except OSError:  # gone, or not ours
                continue
            if tag.encode() in environ and alive(int(entry.name)):
                found.append(int(entry.name))
    return found


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll a condition; the engine promises limits, not events that a test could wait for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def kill_tagged(tag: str) -> None:
    """Kill what a driver left behind."""
    for pid in tagged(f"PULLAHEAD_TAG={tag}"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def driver(
    source: str, tag: str, folder: Path | None = None, **options: object
) -> Iterator[subprocess.Popen[str]]:
    """Run a driver program. Its descendants carry `tag` in their environment, wherever they end up.

    `folder` is where it and they make temporary files.
    """
    folders = {} if folder is None else {"TMPDIR": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PULLAHEAD_TAG": tag, **folders},
        **options,  # type: ignore[call-overload]  # Popen's own keywords
    )
    try:
        yield process
    finally:
        process.kill()
        kill_tagged(tag)  # they may hold the pipes that we read next
        process.communicate()


def read_pids(process: subprocess.Popen[str]) -> list[int]:
    """Read a line of pids that a driver printed."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError(process.communicate()[1])
    return [int(word) for word in line.split()]
