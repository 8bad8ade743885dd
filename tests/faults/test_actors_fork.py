"""Forks made by user code: the copy is switched off, and the original is not disturbed."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.cast import Counter, Mailbox

from pullahead import actors


def in_fork(work: Any) -> str:
    """Run `work()` in a fork of this process and return what it said."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and forks: that is the test
        pid = os.fork()
    if pid == 0:
        try:
            said = str(work())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        said = stream.read()
    assert os.waitpid(pid, 0)[1] == 0
    return said


def test_a_fork_of_the_driver_has_no_engine_and_disturbs_nothing() -> None:
    counter, box = Counter.remote(), Mailbox.remote()
    known, pending = counter.add.remote(), box.take.remote()
    actors.get(known)

    def child() -> str:
        assert actors.api.running_engine() is None
        left = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.exists()]
        assert not [name for name in left if name.startswith(("anon_inode:[event", "socket:"))], left
        late = _error(lambda: pending.future().result(0.01))
        return f"{actors.get(known)} {late} {_error(lambda: actors.get(pending))}"

    assert in_fork(child) == "1 TimeoutError PullaheadError"
    assert actors.get(counter.add.remote()) == 2
    actors.get(box.bring.remote("x"))
    assert actors.get(pending) == "x"


def _error(work: Any) -> str:
    try:
        return str(work())
    except BaseException as error:
        return type(error).__name__


def test_a_fork_may_start_an_engine_of_its_own() -> None:
    counter = Counter.remote()
    assert actors.get(counter.add.remote()) == 1

    def child() -> int:
        mine = Counter.remote(100)
        value: int = actors.get(mine.add.remote())
        actors.shutdown()
        return value

    assert in_fork(child) == "101"
    assert actors.get(counter.add.remote()) == 2


def test_a_fork_that_exits_normally_ends_nothing() -> None:
    source = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from pullahead import actors as pa
@pa.remote
class A:
    def f(self):
        return 1
a = A.remote()
pa.get(a.f.remote())
pid = os.fork()
if pid == 0:
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
print(pa.get(a.f.remote()))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", source],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


class Forking:
    """Forks while it serves."""

    def fork(self) -> int:
        pid = os.fork()
        if pid == 0:
            os._exit(7)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def processes(self, n: int) -> list[int]:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            return pool.map(abs, range(-n, 0))

    def popen(self) -> str:
        return subprocess.run(["echo", "hello"], capture_output=True, text=True, check=True).stdout

    def ping(self) -> str:
        return "pong"


def test_actors_may_fork() -> None:
    forking = actors.remote(Forking).remote()
    for _ in range(3):
        assert actors.get(forking.fork.remote()) == 7
        assert actors.get(forking.ping.remote()) == "pong"
    assert actors.get(forking.popen.remote()) == "hello\n"
    if sys.version_info < (3, 12):
        assert actors.get(forking.processes.remote(4)) == [4, 3, 2, 1]


def test_the_drivers_multiprocessing_pool_works_beside_the_engine() -> None:
    counter = Counter.remote()
    with pytest.MonkeyPatch.context(), multiprocessing.get_context("fork").Pool(2) as pool:
        refs = [counter.add.remote() for _ in range(50)]
        assert pool.map(abs, range(-50, 0)) == list(range(50, 0, -1))
        assert actors.get(refs) == list(range(1, 51))
