"""The processes of a run: on Ray they are Ray's, which keeps some for later, and does not survive a fork."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from tests.acceptance import works

import pullahead as pa


def test_a_map_that_cannot_begin_leaves_no_process_behind() -> None:
    list(pa.map(works.echo, [1], workers=1))  # whatever the engine keeps is there now
    before = children()
    with pytest.raises(TypeError, match="cannot pickle"):
        pa.map(functools.partial(works.echo, threading.Lock()), [1], workers=2)
    list(pa.map(works.echo, [1], workers=1))  # now the fork server has heard of everything before
    deadline = time.monotonic() + 10.0
    left = children() - before
    while left and time.monotonic() < deadline:
        time.sleep(0.01)
        left = children() - before
    assert not left


def children() -> set[int]:
    """Every process below this one."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                parents[int(folder.name)] = int(stat[1])
    tree = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return tree


def test_what_a_work_forks_hears_a_sigterm() -> None:
    """The worker itself is deaf to it, because its driver has to answer."""
    assert list(pa.map(works.terminate_a_fork, [1], workers=1)) == [-signal.SIGTERM]
