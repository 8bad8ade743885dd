"""The one timer of a shell. What is tested is order, not time: each ring releases the next step."""

from __future__ import annotations

from queue import SimpleQueue
from threading import active_count
from time import monotonic, sleep

from pullahead.farm.alarm import Alarm

PATIENCE = 10.0


def test_it_rings_once_per_moment() -> None:
    rings: SimpleQueue[float] = SimpleQueue()
    alarm = Alarm(lambda: rings.put(monotonic()), "test")
    moment = monotonic() + 0.01
    alarm.set(moment)
    assert rings.get(timeout=PATIENCE) >= moment
    alarm.set(0.0)
    rings.get(timeout=PATIENCE)
    alarm.stop()
    assert rings.empty()


def test_an_earlier_moment_replaces_a_later_one() -> None:
    rings: SimpleQueue[float] = SimpleQueue()
    alarm = Alarm(lambda: rings.put(monotonic()), "test")
    alarm.set(monotonic() + 3600)
    alarm.set(monotonic() + 0.01)
    rings.get(timeout=PATIENCE)
    alarm.stop()


def test_a_later_moment_replaces_an_earlier_one() -> None:
    rings: SimpleQueue[float] = SimpleQueue()
    alarm = Alarm(lambda: rings.put(monotonic()), "test")
    alarm.set(monotonic() + 0.05)
    later = monotonic() + 0.1
    alarm.set(later)
    assert rings.get(timeout=PATIENCE) >= later
    alarm.stop()


def test_no_moment_is_no_thread_and_stopping_ends_it() -> None:
    before = active_count()
    alarm = Alarm(lambda: None, "test")
    alarm.set(None)
    assert active_count() == before
    alarm.set(monotonic() + 3600)
    assert active_count() == before + 1
    alarm.stop()
    alarm.set(monotonic())
    assert active_count() == before


def test_it_may_be_stopped_by_its_own_ring() -> None:
    rings: SimpleQueue[None] = SimpleQueue()

    def ring() -> None:
        alarm.stop()
        rings.put(None)

    alarm = Alarm(ring, "test")
    alarm.set(0.0)
    rings.get(timeout=PATIENCE)


def test_a_moment_beyond_what_timers_can_wait_for_is_far_away_and_no_error() -> None:
    rings: SimpleQueue[float] = SimpleQueue()
    alarm = Alarm(lambda: rings.put(monotonic()), "test")
    alarm.set(1e300)
    while alarm._sleeps_until is None:
        sleep(0.001)  # until its thread has gone to sleep
    alarm.set(monotonic())
    rings.get(timeout=PATIENCE)
    alarm.stop()


def test_it_rings_by_the_clock_that_it_is_given() -> None:
    rings: SimpleQueue[float] = SimpleQueue()

    def clock() -> float:
        return monotonic() + 1e6

    alarm = Alarm(lambda: rings.put(clock()), "test", clock)
    moment = clock() + 0.01
    alarm.set(moment)
    assert moment <= rings.get(timeout=PATIENCE) < moment + PATIENCE
    alarm.stop()
