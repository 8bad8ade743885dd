"""What is asked of the operating system about processes. Linux first; elsewhere the fallback is named."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["become_subreaper", "close_all_but", "die_with_parent", "kill", "kill_descendants"]

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError, OSError):  # macOS has none: the end of the channel must do
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def become_subreaper() -> None:
    """Become the parent of whatever descendants lose theirs."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Be killed when the thread that forked this process ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


def kill(pid: int) -> None:
    """Send SIGKILL to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_descendants(deadline: float) -> None:
    """Kill and reap children, and the children that they leave, until there are none or time is up."""
    while time.monotonic() < deadline:
        for pid in _children():
            kill(pid)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)


def _children() -> list[int]:
    found: list[int] = []
    for task in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(pid) for pid in task.read_text().split()]
    return found


def close_all_but(keep: Iterable[int]) -> None:
    """Close every descriptor that is not ours."""
    kept = {0, 1, 2, *keep}
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"  # noqa: PTH112  before any import
    for name in os.listdir(folder):  # noqa: PTH208  a Path would open descriptors of its own while we close them
        if int(name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(name))
