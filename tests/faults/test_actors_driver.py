"""The driver goes, in every way: nothing of it is left within a second."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from tests.faults.procs import alive, driver, kill_tagged, read_pids, tagged, until

# Seconds, as promised: on a machine that has a core to spare. On a crowded one everything takes its turn.
LIMIT = 1.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))

# Actors in every state: idle, computing, blocked, with a large array on both sides, with a process and a fork
# of their own, and one that was created by another.
DRIVER = """
import os, signal, subprocess, sys, time
import numpy as np
from pullahead import actors as pa

@pa.remote
class Worker:
    def pid(self):
        return os.getpid()
    def spin(self):
        while True:
            pass
    def sleep(self):
        time.sleep(600)
    def keep(self, array):
        self.array = array
        return array
    def popen(self):
        self.process = subprocess.Popen(["sleep", "600"], start_new_session=True)
        return self.process.pid
    def fork(self):
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            time.sleep(600)
        return pid
    def child(self):
        self.other = Worker.remote()
        return pa.get(self.other.pid.remote())

workers = [Worker.remote() for _ in range(5)]
pids = pa.get([w.pid.remote() for w in workers])
pids += pa.get([workers[0].popen.remote(), workers[1].fork.remote(), workers[2].child.remote()])
kept = pa.get(workers[3].keep.remote(np.ones(1_000_000)))
shared = pa.put(np.ones(1_000_000))
pending = [workers[3].spin.remote(), workers[4].sleep.remote()]
print(*pids, flush=True)
"""


def _memory_of(pids: list[int]) -> list[str]:
    maps = [Path(f"/proc/{pid}/maps") for pid in pids]
    lines = [line for path in maps if path.exists() for line in path.read_text().splitlines()]
    return [line for line in lines if "pullahead" in line]


def _ends_with_everything(pids: list[int], tag: str, folder: Path) -> None:
    began = time.monotonic()
    assert until(lambda: not tagged(f"PULLAHEAD_TAG={tag}"), LIMIT), tagged(f"PULLAHEAD_TAG={tag}")
    assert time.monotonic() - began <= LIMIT
    assert not any(alive(pid) for pid in pids)
    _nothing_is_left(pids, folder)


def _nothing_is_left(pids: list[int], folder: Path) -> None:
    assert _memory_of(pids) == []
    assert list(folder.iterdir()) == []
    assert list(Path("/dev/shm").glob("pullahead*")) == []


@pytest.mark.parametrize(
    "state", ["signal.pause()", "pa.get(pending)", "[pa.get(workers[0].pid.remote()) for _ in range(10**9)]"]
)
def test_the_driver_is_killed(state: str, tmp_path: Path) -> None:
    tag = f"killed-{os.getpid()}"
    with driver(DRIVER + state, tag, tmp_path) as process:
        pids = read_pids(process)
        assert len(tagged(f"PULLAHEAD_TAG={tag}")) >= 10
        process.kill()
        process.wait()
        _ends_with_everything(pids, tag, tmp_path)


def test_the_driver_is_killed_while_a_fork_of_it_holds_its_descriptors(tmp_path: Path) -> None:
    tag = f"forked-{os.getpid()}"
    fork = "if os.fork() == 0:\n    time.sleep(600)\nprint(os.getpid(), flush=True)\nsignal.pause()"
    with driver(DRIVER + fork, tag, tmp_path) as process:
        pids = read_pids(process)
        read_pids(process)
        process.kill()
        process.wait()
        # The fork of the driver is a process of the user's: it stays.
        assert until(lambda: len(tagged(f"PULLAHEAD_TAG={tag}")) == 1, LIMIT)
        assert not any(alive(pid) for pid in pids)
        _nothing_is_left(pids, tmp_path)


@pytest.mark.parametrize("state", ["signal.pause()", "pa.get(pending)", "time.sleep(600)"])
def test_control_c(state: str, tmp_path: Path) -> None:
    """The terminal sends SIGINT to the whole process group; only the driver is in it."""
    tag = f"interrupted-{os.getpid()}"
    with driver(DRIVER + state, tag, tmp_path, start_new_session=True) as process:
        pids = read_pids(process)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=LIMIT)
        assert process.returncode == -signal.SIGINT
        assert errors.rstrip().endswith("KeyboardInterrupt")
        assert errors.count("Traceback") == 1
        _ends_with_everything(pids, tag, tmp_path)


@pytest.mark.parametrize(
    ("ending", "code"), [("", 0), ("sys.exit(3)", 3), ("os._exit(4)", 4), ("os.abort()", -6), ("1/0", 1)]
)
def test_the_driver_ends(ending: str, code: int, tmp_path: Path) -> None:
    tag = f"ended-{os.getpid()}"
    with driver(DRIVER + ending, tag, tmp_path) as process:
        pids = read_pids(process)
        process.communicate(timeout=10)
        assert process.returncode == code
        _ends_with_everything(pids, tag, tmp_path)


def test_the_fork_server_is_killed() -> None:
    source = """
from pullahead.errors import ActorDiedError, PullaheadError
from tests.faults.procs import alive, until
server = pa.api.current_engine()._fork_server.pid
os.kill(server, signal.SIGKILL)
for call in (lambda: pending[0], lambda: pending[1], lambda: workers[0].pid.remote()):
    try:
        pa.get(call(), timeout=5)
    except ActorDiedError as error:
        print(error)
assert until(lambda: not any(alive(pid) for pid in pids[:5]), 1.0)
named = Worker.options(name="x")
for failing in (lambda: Worker.remote(), lambda: pa.get_actor("x"), lambda: named.remote()):
    try:
        failing()
    except PullaheadError as error:
        print(error)
pa.shutdown()
print(pa.get(Worker.remote().pid.remote()) > 0)
"""
    tag = f"server-{os.getpid()}"
    with driver(DRIVER + source, tag) as process:
        read_pids(process)
        process.wait(timeout=20)
        # Without its fork server, nobody finds what actors left behind, and it holds the pipes that we read.
        kill_tagged(tag)
        assert process.stdout is not None
        assert process.stderr is not None
        output, errors = process.stdout.read(), process.stderr.read()
    assert errors == ""
    died = "actor Worker died: its exit status is unknown, the fork server ended"
    gone = "the fork server ended: no actor can be started or found; call shutdown()"
    assert output.splitlines() == [died] * 3 + [gone] * 3 + ["True"]


def test_an_interrupted_get_can_be_repeated() -> None:
    """Ctrl-C at any moment of many calls: what was read is not lost, and the channel is not cut."""
    source = """
import os, random, signal, threading, time
from pullahead import actors as pa
@pa.remote
class Echo:
    def echo(self, x):
        return x
armed = False
def interrupt(number, frame):
    global armed
    if armed:
        armed = False
        raise KeyboardInterrupt
signal.signal(signal.SIGINT, interrupt)
echo = Echo.remote()
interrupted = done = 0
stop = threading.Event()
def disturb():
    while not stop.is_set():
        time.sleep(random.uniform(0.0001, 0.003))
        os.kill(os.getpid(), signal.SIGINT)
thread = threading.Thread(target=disturb)
pa.get(echo.echo.remote(0))
thread.start()
end = time.monotonic() + 3
n = 0
while time.monotonic() < end:
    n += 1
    ref = None
    try:
        armed = True
        ref = echo.echo.remote(n)
        if pa.get(ref) != n:
            print("wrong")
        done += 1
        armed = False
    except KeyboardInterrupt:
        interrupted += 1
        if ref is not None and pa.get(ref, timeout=5) != n:
            print("wrong after interrupt")
stop.set()
thread.join()
print(pa.get(echo.echo.remote("end"), timeout=5), done > 100, interrupted > 100)
"""
    with driver(source, f"disturbed-{os.getpid()}") as process:
        output, errors = process.communicate(timeout=30)
    assert (output, process.returncode) == ("end True True\n", 0), errors
