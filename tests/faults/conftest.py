"""What holds after every test of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import fork_servers
from tests.faults.procs import descendants, until


@pytest.fixture(autouse=True)
def no_process_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a farm starts ends with it, but for the engine's fork server. (Actors of a test may stay.)"""
    before = set(descendants(os.getpid()))  # a server that other tests use, say
    yield
    if "actors" in request.module.__name__:
        return
    left: list[int] = []

    def is_well() -> bool:
        left[:] = sorted(set(descendants(os.getpid())) - before - fork_servers())
        return not left

    assert until(is_well, 5.0), [_describe(pid) for pid in left]


def _describe(pid: int) -> str:
    """Say what a process is about: what it has open, and where its threads wait."""
    folder = Path(f"/proc/{pid}")
    try:
        files = sorted(str(one.readlink()) for one in (folder / "fd").iterdir())
        waits = [one.read_text() for one in folder.glob("task/*/wchan")]
    except OSError as error:
        return f"{pid}: {error}"
    return f"{pid}: {files} {waits}"
