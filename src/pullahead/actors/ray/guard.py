"""The guard of one actor: a process of its own that ends it when a timer of its notepad has run for too long.

Not a thread of the actor: that would not run while C code keeps the interpreter, or while it is stopped.
It imports nothing of Ray.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Final

from pullahead.actors.notes import Notepad

__all__ = ["begin"]

#: Seconds between two looks, at most and at least.
_LONGEST: Final = 0.05
_SHORTEST: Final = 0.002

_CODE: Final = (
    "import sys; sys.path[:] = {path!r}; "
    "from pullahead.actors.ray.guard import watch; watch({file!r}, {pid}, {limit!r})"
)


def begin(file: str, limit: float) -> None:
    """Start the guard of this process, whose notepad is in a file. It ends with this process."""
    code = _CODE.format(path=sys.path, file=file, pid=os.getpid(), limit=limit)
    subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.DEVNULL, start_new_session=True)


def watch(file: str, pid: int, limit: float) -> None:
    """Look at the timers of a process until it is gone, or has to be."""
    import mmap

    from pullahead.actors.notes import SIZE

    with open(file, "r+b") as opened:  # noqa: PTH123  a Path is one import more
        notepad = Notepad(mmap.mmap(opened.fileno(), SIZE))
    pause = min(_LONGEST, max(_SHORTEST, limit / 10))
    while os.getppid() == pid:
        overdue = notepad.overdue(time.monotonic(), limit)
        if overdue is not None:
            notepad.judge(overdue)
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(pause)
