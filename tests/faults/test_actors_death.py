"""Actors die in the middle of things."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conformance.cast import Arrays, Caller, Counter, Faulty, Mailbox
from tests.faults.procs import until

from pullahead import actors
from pullahead.errors import ActorDiedError, ObjectLostError

AT_ONCE = 1.0  # seconds; a notice takes a millisecond


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_signal_from_outside(number: int) -> None:
    faulty = Faulty.remote()
    pid = actors.get(faulty.pid.remote())
    refs = [faulty.sleep.remote(60) for _ in range(20)]
    began = time.monotonic()
    os.kill(pid, number)
    for ref in refs:
        with pytest.raises(ActorDiedError) as caught:
            actors.get(ref, timeout=5)
        assert (caught.value.pid, caught.value.exitcode) == (pid, -number)
    assert time.monotonic() - began < AT_ONCE


def test_everyone_hears_of_a_death() -> None:
    victim = Faulty.remote()
    callers = [Caller.remote() for _ in range(3)]
    pid = actors.get(victim.pid.remote())
    waiting = [caller.get.remote([victim.sleep.remote(60)]) for caller in callers]
    os.kill(pid, signal.SIGKILL)
    for ref in waiting:
        with pytest.raises(ActorDiedError, match=rf"actor Faulty \(pid {pid}\) died: killed by SIGKILL"):
            actors.get(ref, timeout=5)


def test_threads_that_wait_in_every_way_are_woken() -> None:
    box = Mailbox.remote()
    ref = box.take.remote()
    found: list[str] = []

    def expect(wait: Any) -> None:
        try:
            wait()
        except ActorDiedError as error:
            found.append(str(error.exitcode))

    ways = [
        lambda: actors.get(ref),
        lambda: actors.get([ref], timeout=30),
        lambda: actors.get(actors.wait([ref])[0]),
        lambda: ref.future().result(),
    ]
    threads = [threading.Thread(target=expect, args=(way,)) for way in ways]
    for thread in threads:
        thread.start()
    time.sleep(0.05)  # let them begin to wait
    actors.kill(box)
    for thread in threads:
        thread.join(5)
    assert found == ["-9"] * 4


def test_the_owner_of_a_waited_for_value_dies() -> None:
    owner, reader = Caller.remote(Mailbox.remote()), Caller.remote()
    (ref,) = actors.get(owner.put.remote("value"))
    waiting = [reader.get.remote([ref]) for _ in range(3)]
    actors.get(waiting)
    (ref,) = actors.get(owner.put.remote("lost"))
    actors.kill(owner)
    with pytest.raises(ActorDiedError):
        actors.get(owner.pid.remote())
    with pytest.raises(ObjectLostError, match="its owner died: actor Caller"):
        actors.get(reader.get.remote([ref]), timeout=5)
    with pytest.raises(ObjectLostError, match="its owner died: actor Caller"):
        actors.get(Counter.remote().add.remote(ref), timeout=5)


def test_the_caller_dies_before_the_reply() -> None:
    box = Mailbox.remote()
    caller = Caller.remote()

    class Waiter:
        def take(self, box: Any) -> Any:
            return actors.get(box.take.remote())

        def pid(self) -> int:
            return os.getpid()

    waiter = actors.remote(Waiter).remote()
    os_pid = actors.get(waiter.pid.remote())
    waiter.take.remote(box)
    until(lambda: False, 0.05)  # let it ask
    os.kill(os_pid, signal.SIGKILL)
    with pytest.raises(ActorDiedError):
        actors.get(waiter.pid.remote(), timeout=5)
    actors.get(box.bring.remote("for nobody"), timeout=5)
    assert actors.get(caller.echo.remote(1)) == 1
    ref = box.take.remote()
    actors.get(box.bring.remote("for me"))
    assert actors.get(ref) == "for me"


def test_a_burst_of_deaths() -> None:
    faulty = [Faulty.remote() for _ in range(12)]
    refs = [actor.os_exit.remote(i) for i, actor in enumerate(faulty)]
    codes = []
    for ref in refs:
        with pytest.raises(ActorDiedError) as caught:
            actors.get(ref, timeout=10)
        codes.append(caught.value.exitcode)
    assert codes == list(range(12))
    assert actors.get(Counter.remote().add.remote()) == 1


def test_sys_exit_waits_for_what_was_answered() -> None:
    arrays_and_exit = actors.remote(LargeReplies).remote()
    refs = [arrays_and_exit.large.remote() for _ in range(20)]
    dying = arrays_and_exit.exit.remote()
    assert [len(value) for value in actors.get(refs)] == [30_000] * 20
    with pytest.raises(ActorDiedError, match="exit code 5"):
        actors.get(dying)


class LargeReplies:
    def large(self) -> bytes:
        return b"x" * 30_000

    def exit(self) -> None:
        raise SystemExit(5)


def _shared_kilobytes() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Shmem:"))


def test_a_killed_receiver_and_a_killed_sender_leak_no_memory() -> None:
    before = _shared_kilobytes()
    for _ in range(3):
        actor = Arrays.remote()
        actors.get(actor.keep.remote(np.ones(4_000_000)))
        received = actors.get(actor.make.remote(4_000_000, 2.0))
        actors.kill(actor)
        with pytest.raises(ActorDiedError):
            actors.get(actor.mapped.remote())
        assert float(received.sum()) == 8_000_000  # what was received stays good
        del received
    # Others use shared memory on this machine too: 3 x 64 MB would show.
    assert until(lambda: _shared_kilobytes() - before < 60_000, 2.0)


def test_dropped_refs_free_memory_at_their_owner() -> None:
    before = _shared_kilobytes()
    reader = Arrays.remote()
    for _ in range(10):
        ref = actors.put(np.ones(2_000_000))
        assert actors.get(reader.facts.remote(ref)) == (2_000_000, False)
        del ref
    assert until(lambda: _shared_kilobytes() - before < 40_000, 5.0)


def test_counts_of_a_dead_borrower_are_dropped() -> None:
    before = _shared_kilobytes()
    keeper = Caller.remote()
    ref = actors.put(np.ones(8_000_000))
    actors.get(keeper.keep.remote([ref]))
    actors.get(keeper.get_kept.remote())
    del ref
    assert _shared_kilobytes() - before > 60_000
    actors.kill(keeper)
    assert until(lambda: _shared_kilobytes() - before < 20_000, 5.0)


def test_a_stopped_actor_blocks_nobody_else() -> None:
    stopped, other = Faulty.remote(), Counter.remote()
    pid = actors.get(stopped.pid.remote())
    os.kill(pid, signal.SIGSTOP)
    try:
        refs = [stopped.sleep.remote(0) for _ in range(3000)]
        assert actors.get(other.add.remote(), timeout=5) == 1
        assert actors.get(Counter.remote().add.remote(), timeout=5) == 1
    finally:
        os.kill(pid, signal.SIGCONT)
    assert actors.get(refs, timeout=20) == ["slept"] * 3000


def test_a_sender_waits_for_a_slow_receiver_instead_of_filling_memory() -> None:
    slow = Faulty.remote()
    pid = actors.get(slow.pid.remote())
    os.kill(pid, signal.SIGSTOP)
    sent: list[int] = []

    def send() -> None:
        for i in range(1000):
            slow.sleep.remote(Padded(0))
            sent.append(i)

    thread = threading.Thread(target=send)
    thread.start()
    thread.join(1.0)
    assert thread.is_alive()
    assert len(sent) < 500
    os.kill(pid, signal.SIGCONT)
    thread.join(20)
    assert not thread.is_alive()
    assert actors.get(slow.sleep.remote(0)) == "slept"


class Padded(float):
    """A number of seconds that takes 20 kB to send."""

    def __reduce__(self) -> Any:
        return _padded, (float(self), b"x" * 20_000)


def _padded(value: float, padding: bytes) -> float:
    return value


class Diarist:
    """Writes into its notepad, and then ends as it is told."""

    def write(self, notes: list[bytes], mark: int) -> list[bool]:
        pad = actors.notepad()
        assert pad is not None
        written = [pad.write(note) for note in notes]
        pad.mark(mark)
        return written

    def leave(self) -> None:
        os._exit(3)

    def write_for_ever(self) -> None:
        pad = actors.notepad()
        assert pad is not None
        number = 0
        while True:
            number += 1
            pad.write(str(number).encode() * 500)


@pytest.mark.parametrize(
    ("notes", "left"), [([], b""), ([b"one"], b"one"), ([b"one", b"two", b"three"], b"three")]
)
def test_what_is_in_a_notepad_survives(notes: list[bytes], left: bytes) -> None:
    diarist = actors.remote(Diarist).remote()
    assert actors.get(diarist.write.remote(notes, 2**63)) == [True] * len(notes)
    with pytest.raises(ActorDiedError) as caught:
        actors.get(diarist.leave.remote())
    assert caught.value.note == (left, 2**63)


def test_a_note_that_is_too_long_leaves_none() -> None:
    diarist = actors.remote(Diarist).remote()
    assert actors.get(diarist.write.remote([b"before", b"x" * 300_000], 1)) == [True, False]
    with pytest.raises(ActorDiedError) as caught:
        actors.get(diarist.leave.remote())
    assert caught.value.note == (b"", 1)


def test_a_note_is_whole_whenever_its_writer_is_killed() -> None:
    for _ in range(10):
        diarist = actors.remote(Diarist).remote()
        actors.get(diarist.write.remote([b"0"], 0))
        ref = diarist.write_for_ever.remote()
        time.sleep(0.005)  # any moment will do
        actors.kill(diarist)
        with pytest.raises(ActorDiedError) as caught:
            actors.get(ref, timeout=5)
        assert caught.value.note is not None
        (note, _) = caught.value.note
        number = note[: len(note) // 500] or b"0"
        assert note == number * 500 or note == b"0"


class Timed:
    """Says in its notepad how long it has been at something."""

    def busy(self, which: int, number: int, begun_ago: float, seconds: float) -> None:
        pad = actors.notepad()
        assert pad is not None
        pad.timer(which, time.monotonic() - begun_ago, number)
        time.sleep(seconds)
        pad.timer(which, 0.0)

    def one_after_the_other(self, times: int, seconds: float) -> int:
        pad = actors.notepad()
        assert pad is not None
        for _ in range(times):
            pad.timer(0, time.monotonic())
            time.sleep(seconds)
        pad.timer(0, 0.0)
        return os.getpid()


@pytest.mark.parametrize("which", [0, 1])
def test_an_actor_is_killed_once_a_timer_has_run_for_longer_than_its_limit(which: int) -> None:
    timed = actors.remote(Timed).options(time_limit=0.3).remote()
    ref = timed.busy.remote(which, 2**40 + 7, 0.0, 60.0)
    with pytest.raises(ActorDiedError, match=r"killed by SIGKILL, by its time limit of 0\.3 s") as caught:
        actors.get(ref, timeout=10)
    assert caught.value.overdue == (which, 2**40 + 7)


def test_it_lives_as_long_as_no_timer_runs_for_so_long() -> None:
    timed = actors.remote(Timed).options(time_limit=0.25).remote()
    pid = actors.get(timed.one_after_the_other.remote(8, 0.1), timeout=10)
    time.sleep(0.5)
    assert actors.get(timed.one_after_the_other.remote(0, 0.0), timeout=10) == pid


def test_without_a_limit_nobody_looks_at_the_timers() -> None:
    timed = actors.remote(Timed).remote()
    actors.get(timed.busy.remote(0, 1, 100.0, 0.3), timeout=10)


def test_who_dies_by_itself_was_not_overdue() -> None:
    diarist = actors.remote(Diarist).options(time_limit=5.0).remote()
    with pytest.raises(ActorDiedError) as caught:
        actors.get(diarist.leave.remote())
    assert caught.value.overdue is None


@pytest.mark.parametrize("limit", [0, -1.0, float("inf"), float("nan"), "1", True])
def test_a_time_limit_that_makes_no_sense_is_refused(limit: Any) -> None:
    with pytest.raises(ValueError, match="time_limit must be a"):
        actors.remote(Timed).options(time_limit=limit)


def test_a_driver_has_no_notepad() -> None:
    actors.init(ignore_reinit_error=True)
    assert actors.notepad() is None
