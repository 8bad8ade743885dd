"""An actor that may open no more files: who waits for what it cannot hear is told so, and waits no longer."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pullahead import actors
from pullahead.errors import ActorDiedError

ROOT = Path(__file__).parents[3]
LARGE = 300_000


class Narrow:
    """Can be told to open nothing more."""

    def pid(self) -> int:
        return os.getpid()

    def narrow(self) -> None:
        free = os.open(os.devnull, os.O_RDONLY)
        os.close(free)
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, most))

    def length(self, array: Any) -> int:
        return len(array)


class Sender:
    def ask(self, narrow: Any, size: int) -> int:
        length: int = actors.get(narrow.length.remote(np.ones(size)))
        return length

    def ping(self) -> str:
        return "pong"


SCRIPT = """
import numpy as np
from tests.conformance.local.test_descriptors import LARGE, Narrow
from pullahead import actors
from pullahead.errors import ActorDiedError

narrow = actors.remote(Narrow).remote()
actors.get(narrow.narrow.remote())
try:
    actors.get(narrow.length.remote(np.ones(LARGE)), timeout=20)
except ActorDiedError as error:
    print(error.exitcode)
"""


def test_an_actor_that_cannot_hear_its_driver_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "1\n"
    assert "ends because its driver cannot be heard: its channel was lost: more than" in done.stderr


def test_an_actor_that_another_one_cannot_hear_is_ended() -> None:
    narrow, sender = actors.remote(Narrow).remote(), actors.remote(Sender).remote()
    assert actors.get(sender.ping.remote()) == "pong"
    # The channel between them is there before, and a slab of another size.
    assert actors.get(sender.ask.remote(narrow, LARGE), timeout=20) == LARGE
    actors.get(narrow.narrow.remote())
    with pytest.raises(ActorDiedError, match="open files"):
        actors.get(sender.ask.remote(narrow, 4 * LARGE), timeout=20)
    assert actors.get(narrow.pid.remote(), timeout=20) > 0
