"""Consumers as programs: started, kept running, ended, and killed on purpose."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, final

from benchmarks.chaos.processes import descendants, kill
from benchmarks.servers import dies_with_us

#: Seconds that a program may take to end when it is asked to.
_PATIENCE: Final = 5.0
#: Seconds after which a supervisor starts a program again that has ended: as systemd's RestartSec.
_RESTART: Final = 0.1
#: Lets processes go on at the end of its standard input: also when whoever has stopped them is killed.
_ONCE_WE_SAY: Final = ("sh", "-c", 'cat; kill -s CONT "$@"', "sh")
_ROOT: Final = Path(__file__).parent.parent.parent


@final
class Program:
    """One program, which a supervisor starts again whenever it ends.

    Args:
        arguments: of this Python.
        environment: what is to be there beside ours.
        errors: the file for what it says.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], errors: Path) -> None:
        path = os.pathsep.join([str(_ROOT), str(_ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        self._environment = {**os.environ, "PYTHONPATH": path, **environment}
        self._command = [*dies_with_us("TERM"), sys.executable, *arguments]
        self._errors = errors
        self._over = threading.Event()
        self.starts = 0
        self._wakes: subprocess.Popen[bytes] | None = None  # what lets it go on once its input ends
        self._process = self._start()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self._supervisor.start()

    def _start(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        with self._errors.open("ab") as said:
            return subprocess.Popen(
                self._command, env=self._environment, cwd=_ROOT, stdin=subprocess.DEVNULL,
                stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip

    def _supervise(self) -> None:
        while True:
            self._process.wait()
            if self._over.wait(_RESTART):
                return
            self._process = self._start()

    def kill(self) -> list[int]:
        """Kill it and all that it has started, as if the power failed. Returns whom."""
        pids = [self._process.pid, *descendants(self._process.pid)]
        for pid in pids:
            kill(pid)
        return pids

    def pause(self) -> None:
        """Stop it and all that it has started, until `resume`, or until this process ends."""
        if self._wakes is not None:
            return
        pids = [self._process.pid, *descendants(self._process.pid)]
        self._wakes = subprocess.Popen(
            [*_ONCE_WE_SAY, *map(str, pids)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        for pid in pids:
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on, if it is paused."""
        if self._wakes is not None:
            self._wakes.communicate()
            self._wakes = None

    def close(self) -> None:
        """End it for good."""
        self.resume()
        self._over.set()
        process = self._process
        pids = descendants(process.pid)
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
        for pid in [process.pid, *pids] if process.poll() is None else pids:
            kill(pid)
        self._supervisor.join()


def wait_until(condition: Callable[[], bool], seconds: float, pause: float = 0.005) -> bool:
    """Ask again and again; say whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
