"""Beside one actor, a process of its own that ends it when a timer of its notepad has run for too long.

Not a thread of the actor: that would not run while C code keeps the interpreter, or while it is stopped. It
is outside of the engines' rooms so that it imports nothing of theirs: Ray alone would cost it 60 MB.
"""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import time
from typing import Final

from pullahead.actors.notes import SIZE, Notepad

__all__ = ["begin"]

#: Seconds between two looks, at most and at least.
_LONGEST: Final = 0.05
_SHORTEST: Final = 0.002

_CODE: Final = (
    "import sys; sys.path[:] = {path!r}; "
    "from pullahead.actors.timekeeper import watch; watch({descriptor}, {pid}, {limit!r})"
)


def begin(descriptor: int, limit: float) -> None:
    """Have somebody look at the timers of this process, whose notepad is in an open file, until it ends."""
    code = _CODE.format(path=sys.path, descriptor=descriptor, pid=os.getpid(), limit=limit)
    subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        pass_fds=(descriptor,),  # not the file's name: somebody else might put another one there
        start_new_session=True,
    )


def watch(descriptor: int, pid: int, limit: float) -> None:
    """Look at the timers of a process until it is gone, or has to be."""
    notepad = Notepad(mmap.mmap(descriptor, SIZE))
    pause = min(_LONGEST, max(_SHORTEST, limit / 10))
    while os.getppid() == pid:
        overdue = notepad.overdue(time.monotonic(), limit)
        if overdue is not None:
            notepad.judge(overdue)
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(pause)
