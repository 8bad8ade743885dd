"""Threads, coroutines, groups, and replies that come later."""

from __future__ import annotations

import concurrent.futures
import time
from typing import Any

import pytest
from tests.conformance.cast import (
    AsyncGrouped,
    AsyncMeeting,
    Counter,
    Faulty,
    Grouped,
    Mailbox,
    Meeting,
    OddError,
    Surroundings,
    ThreadedMeeting,
)
from tests.differences import Differences

from pullahead import actors
from pullahead.errors import ActorDiedError, GetTimeoutError


def test_calls_run_on_the_main_thread() -> None:
    assert actors.get(Surroundings.remote().main_thread.remote()) is True


def test_max_concurrency_runs_that_many_at_once() -> None:
    meeting = ThreadedMeeting.remote(3)
    assert len(set(actors.get([meeting.meet.remote() for _ in range(3)]))) == 3


def test_max_concurrency_runs_no_more_than_that() -> None:
    meeting = actors.remote(Meeting).options(max_concurrency=2).remote(3)
    refs = [meeting.meet.remote() for _ in range(3)]
    with pytest.raises(GetTimeoutError):
        actors.get(refs, timeout=0.1)
    actors.kill(meeting)


def test_async_methods_interleave() -> None:
    meeting = AsyncMeeting.remote()
    waiting = [meeting.wait.remote() for _ in range(10)]
    actors.get(meeting.set.remote(), timeout=10)
    assert actors.get(waiting, timeout=10) == ["met"] * 10
    assert actors.get(meeting.plain.remote()) is True


def test_async_concurrency_is_bounded() -> None:
    meeting = AsyncMeeting.options(max_concurrency=3).remote()
    assert max(actors.get([meeting.crowd.remote() for _ in range(9)])) == 3


def test_async_methods_await_refs_and_fail_like_others() -> None:
    meeting, box = AsyncMeeting.remote(), Mailbox.remote()
    waiting = meeting.await_ref.remote([box.take.remote()])
    assert actors.get(meeting.plain.remote()) is True
    actors.get(box.bring.remote(5))
    assert actors.get(waiting) == 5
    with pytest.raises(OddError, match="async"):
        actors.get(meeting.fail.remote())


def test_calls_that_fail_leave_room_for_others_in_an_async_actor() -> None:
    meeting = AsyncMeeting.options(max_concurrency=1).remote()
    for call in (meeting.fail, meeting.fail_plainly) * 3:
        with pytest.raises(OddError):
            actors.get(call.remote(), timeout=10)
    assert actors.get(meeting.plain.remote(), timeout=10) is True


def test_a_control_group_is_served_while_a_long_method_runs(differs: Differences) -> None:
    grouped = Grouped.remote()
    running = grouped.run.remote()
    control = actors.get(grouped.finish.remote(), timeout=10)
    default = actors.get(running, timeout=10)
    assert (default == "MainThread") == differs.main_beside_groups
    assert control != default
    assert actors.get(grouped.where.remote()) == default


def test_a_group_has_as_many_threads_as_it_says() -> None:
    grouped = Grouped.remote()
    assert actors.get([grouped.meet.remote(), grouped.meet.remote()], timeout=10) == [None, None]


def test_a_call_may_choose_its_group() -> None:
    grouped = Grouped.remote()
    running = grouped.run.remote()
    where = actors.get(grouped.where.options(concurrency_group="pool").remote(), timeout=10)
    assert where != "MainThread"
    actors.get([grouped.finish.remote(), running], timeout=10)
    with pytest.raises(ValueError, match="'other'; declared: control, pool"):
        grouped.where.options(concurrency_group="other")
    with pytest.raises(TypeError, match="unknown option of a call 'group'"):
        grouped.where.options(group="pool")


def test_an_async_group_is_served_while_the_loop_is_blocked() -> None:
    grouped = AsyncGrouped.remote()
    blocked = grouped.block.remote()
    actors.get(grouped.finish.remote(), timeout=10)
    assert actors.get(blocked, timeout=10) is True


def test_a_method_of_an_undeclared_group_is_refused() -> None:
    class Undeclared:
        @actors.method(concurrency_group="missing")
        def run(self) -> None: ...

    with pytest.raises(ValueError, match=r"method run of .*Undeclared names the concurrency group 'missing'"):
        actors.remote(Undeclared).remote()


@pytest.mark.parametrize("parked", [None, 4])
def test_a_deferred_reply_comes_when_its_future_is_set(parked: int | None) -> None:
    box = Mailbox.options(parked=parked).remote()
    refs = [box.take.remote() for _ in range(4)]
    with pytest.raises(GetTimeoutError):
        actors.get(refs[0], timeout=0.01)
    box.bring.remote("first")
    box.bring_from_thread.remote("second")
    box.spoil.remote()
    box.cancel.remote()
    assert actors.get(refs[:2], timeout=10) == ["first", "second"]
    with pytest.raises(OddError, match="spoiled"):
        actors.get(refs[2], timeout=10)
    with pytest.raises(concurrent.futures.CancelledError):
        actors.get(refs[3], timeout=10)


@pytest.mark.parametrize("parked", [None, 4])
def test_a_deferred_method_must_return_a_future(parked: int | None) -> None:
    with pytest.raises(TypeError, match="wrong is deferred and must return a Future, not int"):
        actors.get(Mailbox.options(parked=parked).remote().wrong.remote())


def test_calls_keep_their_order_where_answers_are_parked() -> None:
    """Each begins when the one before it has: a plain one behind a deferred one, and behind a late ref."""
    box = Mailbox.options(parked=300).remote()
    late = Faulty.remote().sleep.remote(0.2)
    first = box.take.remote()
    refs = [box.take.remote() for _ in range(200)]
    box.bring.remote(late)
    for i in range(200):
        box.bring.remote(i)
    assert actors.get(first, timeout=20) == actors.get(late)
    assert actors.get(refs, timeout=20) == list(range(200))


def test_a_call_whose_ref_has_failed_keeps_nobody_waiting_where_answers_are_parked() -> None:
    box = Mailbox.options(parked=4).remote()
    answer = box.take.remote()
    with pytest.raises(OddError):
        actors.get(box.bring.remote(Faulty.remote().odd.remote()), timeout=10)
    box.bring.remote("after it")
    assert actors.get(answer, timeout=10) == "after it"


def test_what_is_raised_is_raised_where_answers_are_parked() -> None:
    box = Mailbox.options(parked=2).remote()
    with pytest.raises(IndexError, match="pop from empty list"):
        actors.get(box.bring.remote("for nobody"), timeout=10)


def test_an_actor_with_parked_answers_can_be_killed() -> None:
    box = Mailbox.options(parked=4).remote()
    refs = [box.take.remote() for _ in range(4)]
    with pytest.raises(GetTimeoutError):
        actors.get(refs[-1], timeout=0.1)
    actors.kill(box)
    for ref in refs:
        with pytest.raises(ActorDiedError):
            actors.get(ref, timeout=20)


def test_a_deferred_method_cannot_be_async() -> None:
    with pytest.raises(TypeError, match="is async"):

        @actors.method(deferred=True)
        async def run() -> None: ...


def test_a_thousand_deferred_replies() -> None:
    box = Mailbox.remote()
    refs = [box.take.remote() for _ in range(1000)]
    for i in range(1000):
        box.bring.remote(i)
    assert actors.get(refs) == list(range(1000))


def test_a_pure_python_loop_does_not_keep_an_actor_from_receiving() -> None:
    class Spinner:
        def spin(self, seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                pass

        @actors.method(concurrency_group="control")
        def ping(self) -> str:
            return "pong"

    spinner: Any = actors.remote(concurrency_groups={"control": 1})(Spinner).remote()
    busy = spinner.spin.remote(0.5)
    assert actors.get(spinner.ping.remote()) == "pong"
    assert actors.wait([busy], timeout=0) == ([], [busy])
    actors.get(busy)
    assert actors.get(Counter.remote().add.remote()) == 1
