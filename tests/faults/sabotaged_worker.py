"""A worker that commits a fault at an exact moment between two steps of its items.

`Shell` is imported by name in its own process, so a test puts `SabotagedShell` in its place. The plan is in
the environment of the workers: a folder, a fault and a moment. A fault that was committed leaves a file
there, so that the workers that follow know.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pullahead.core import messages as m
from pullahead.farm.worker import Shell

#: Seconds that a worker is stopped for.
STOPPED = 0.6
BAD = 7

#: Names of moments, each of which comes when
MOMENTS = {
    "asked": "it has asked for items for the first time, and none has come",
    "held": "the first items have come, and none has begun",
    "loaded": "item BAD is loaded, and has not begun",
    "processed": "item BAD is processed, and its result is not reported",
    "stored": "item BAD is stored, and its result is not reported",
    "report": "the first results are about to be sent",
    "sent": "they were sent, and nobody has answered",
    "goodbye": "it is about to say goodbye",
    "gone": "it has said goodbye",
}


def environment(folder: Path, fault: str, moment: str) -> dict[str, Any]:
    """Return the worker options that make it so. `fault`: "exit", "kill" or "stop"."""
    assert moment in MOMENTS, moment
    return {"runtime_env": {"env_vars": {"SABOTAGE": f"{folder}:{fault}:{moment}"}}}


def committed(folder: Path) -> list[int]:
    """Return the pids of the workers that have committed a fault."""
    return [int(path.name.split()[1]) for path in folder.glob("fault *")]


class _Results(dict[int, Any]):
    """What was processed and is not reported."""

    def __init__(self, at: Callable[[str], None]) -> None:
        super().__init__()
        self._at = at

    def __setitem__(self, item: int, result: Any) -> None:
        super().__setitem__(item, result)
        if item == BAD:
            self._at("processed")


class SabotagedShell(Shell):  # type: ignore[misc]  # final, and a test may
    """See the module."""

    def __init__(self, *args: Any, **options: Any) -> None:
        folder, self._fault, self._moment = os.environ["SABOTAGE"].split(":")
        self._folder = Path(folder)
        super().__init__(*args, **options)
        self._results = _Results(self._at)

    def _at(self, moment: str) -> None:
        if moment != self._moment:
            return
        try:
            (self._folder / "committed").touch(exist_ok=False)
        except FileExistsError:
            return
        (self._folder / f"fault {os.getpid()}").touch()
        if self._fault == "exit":
            os._exit(9)
        if self._fault == "stop":
            subprocess.Popen(["/bin/sh", "-c", f"sleep {STOPPED}; kill -CONT {os.getpid()}"])
        os.kill(os.getpid(), signal.SIGSTOP if self._fault == "stop" else signal.SIGKILL)
        time.sleep(0.2)  # a signal may take a moment to reach this thread

    def _send(self) -> None:
        said: set[str] = set()
        send = self._post.send

        def note(messages: list[m.Message]) -> None:
            said.update(message[0] for message in messages)
            if m.DONE in said:
                self._at("report")
            if m.BYE in said:
                self._at("goodbye")
            send(messages)

        self._post.send = note  # type: ignore[method-assign]
        try:
            super()._send()
        finally:
            del self._post.send
        if m.ASK in said:
            self._at("asked")
        if m.DONE in said:
            self._at("sent")
        if m.BYE in said:
            self._at("gone")

    def heard(self, messages: list[m.Message]) -> None:
        super().heard(messages)
        if any(message[0] == m.GRANT for message in messages):
            self._at("held")

    def _load_ended(self, item: int, outcome: Any) -> None:
        with self._lock:  # so that it cannot begin before
            super()._load_ended(item, outcome)
            if item == BAD:
                self._at("loaded")

    def _store_ended(self, item: int, outcome: Any) -> None:
        if item == BAD:
            self._at("stored")
        super()._store_ended(item, outcome)
