"""Runs the scene: starts the programs, lets them begin together, and hears what they noted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.sharing.notes import Notes
from benchmarks.sharing.scene import Scene

_ROOT: Final = Path(__file__).parent.parent.parent


class ProgramError(Exception):
    """A program did not do what it should; the message is what it said."""


class Round(NamedTuple):
    """The scene, once."""

    scene: Scene
    programs: list[Notes]


def measure(contender: str, address: str, scene: Scene) -> Round:
    """Run the scene on what is in the queue.

    Args:
        contender: one of `contenders.CONTENDERS`.
        address: of a queue that has the items 0, 1, … of the scene, and which ends when it is empty.

    Raises:
        ProgramError: a program failed, hangs, or an item was not computed exactly once.
    """
    with ExitStack() as stack:
        programs = [
            stack.enter_context(_program(contender, address, scene, n)) for n in range(scene.programs)
        ]
        for one in programs:
            stack.callback(one.kill)
        for one in programs:
            _hear(one, "ready\n")
        for one in programs:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        notes = [Notes.of(_hear(one)) for one in programs]
    found = sorted(ran.item for one in notes for ran in one.ran)
    if found != list(range(scene.items)):
        raise ProgramError(
            f"expected each of {scene.items} items to be computed once, got {len(found)} "
            f"computations of {len(set(found))} items"
        )
    return Round(scene, notes)


def _program(contender: str, address: str, scene: Scene, number: int) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(_ROOT), *filter(None, sys.path)])
    told = (contender, address, json.dumps(asdict(scene)), str(number))
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sharing.program", *told],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
        start_new_session=True,  # Ctrl-C is for who has started them, and ends them
    )


def _hear(program: subprocess.Popen[str], expected: str | None = None) -> str:
    assert program.stdout is not None
    said = program.stdout.readline()
    if not said or (expected is not None and said != expected):
        raise ProgramError(f"expected a program to say {expected or 'what it noted'!r}, got {said!r}")
    return said
