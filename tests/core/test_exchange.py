"""The two ends of a long-polled exchange, and both of them over a fake wire."""

from __future__ import annotations

import random
from collections import deque

import pytest

from pullahead.core.exchange import AT_ONCE, PARKED, Caller, Mailbox
from pullahead.core.messages import Message
from pullahead.errors import ProtocolError

A: Message = ("a",)
B: Message = ("b",)
C: Message = ("c",)


def test_a_caller_may_have_three_calls_out() -> None:
    caller = Caller()
    assert (caller.may_send, caller.must_send) == (True, True)
    for out in (1, 2, 3):
        caller.called(0.0)
        assert (caller.may_send, caller.must_send) == (out < 3, False)
    caller.answered()
    assert (caller.may_send, caller.must_send, caller.in_flight, caller.sent) == (True, False, 2, 3)
    caller.answered()
    assert (caller.may_send, caller.must_send) == (True, False)
    caller.answered()
    assert (caller.may_send, caller.must_send) == (True, True)


def test_a_fourth_call_too_soon_is_a_bug() -> None:
    caller = Caller()
    caller.called(0.0)
    caller.called(0.0)
    caller.called(1.0)
    for now in (0.0, 1.0, 1.0 + 0.999 * Caller.SPACING):
        with pytest.raises(ProtocolError, match=r"^a call went out too soon, while 3 were unanswered$"):
            caller.called(now)
    assert (caller.in_flight, caller.sent, caller.free_at) == (3, 3, 1.0 + Caller.SPACING)


def test_over_a_long_wire_a_call_may_go_every_three_milliseconds() -> None:
    caller = Caller()
    assert (caller.may_send, caller.free_at) == (True, AT_ONCE)
    caller.called(1.0)
    assert (caller.may_send, caller.free_at) == (True, AT_ONCE)
    caller.called(2.0)
    assert (caller.may_send, caller.free_at) == (True, AT_ONCE)
    caller.called(2.0)
    assert (caller.may_send, caller.free_at) == (False, 2.0 + 0.003)
    caller.called(2.0 + 0.003)
    assert (caller.may_send, caller.free_at) == (False, 2.0 + 0.003 + 0.003)
    caller.called(4.0)
    assert (caller.in_flight, caller.sent, caller.free_at) == (5, 5, 4.0 + 0.003)
    caller.answered()
    caller.answered()
    assert (caller.may_send, caller.free_at) == (False, 4.0 + 0.003), "three are still unanswered"
    caller.answered()
    assert (caller.may_send, caller.must_send, caller.free_at) == (True, False, AT_ONCE)


@pytest.mark.parametrize(
    ("trip", "spacing"), [(0.0, 0.003), (0.0003, 0.0001), (0.003, 0.001), (0.1, 0.001), (9.0, 0.001)]
)
def test_without_a_backlog_a_call_may_go_after_a_third_of_a_trip_or_a_millisecond(
    trip: float, spacing: float
) -> None:
    caller = Caller()
    caller.hurry(trip)
    caller.called(1.0)
    caller.called(1.0)
    assert caller.free_at == AT_ONCE, "it is the third one"
    caller.called(1.0)
    assert caller.free_at == pytest.approx(1.0 + spacing, abs=1e-12)
    caller.hurry(0.0)
    assert caller.free_at == 1.0 + Caller.SPACING, "there is a backlog again"


def test_no_more_than_thirty_two_calls_are_unanswered() -> None:
    caller = Caller()
    for now in range(32):
        caller.called(now)
    assert caller.free_at is None, "however long it waits"
    with pytest.raises(ProtocolError, match=r"^a call went out too soon, while 32 were unanswered$"):
        caller.called(1000.0)
    assert (caller.in_flight, caller.sent) == (32, 32)
    caller.answered()
    assert caller.free_at == 31 + Caller.SPACING
    caller.called(1000.0)
    assert caller.free_at is None


def test_an_answer_to_no_call_is_a_bug() -> None:
    with pytest.raises(ProtocolError, match="an answer came to no call"):
        Caller().answered()


def test_the_two_newest_calls_are_kept_and_the_one_before_them_answered() -> None:
    box: Mailbox[int] = Mailbox()
    assert [box.park(1), box.park(2)] == [[], []]
    assert box.park(3) == [(1, [])]
    box.post(A, B)
    assert box.park(4) == [(2, [A, B])]
    assert box.flush() == [], "everything was said"
    assert box.close() == [(3, []), (4, [])]


def test_the_second_one_is_there_for_what_is_said_next() -> None:
    box: Mailbox[int] = Mailbox()
    box.park(1)
    box.park(2)
    box.post(A)
    assert box.flush() == [(1, [A])]
    box.post(B)
    assert box.flush() == [(2, [B])]
    box.post(C)
    assert box.flush() == [], "it waits for a call"
    assert box.close() == []


def test_who_takes_turns_needs_one_call_for_each() -> None:
    """None of them is empty, after the first."""
    caller, box = Caller(), Mailbox[int]()
    caller.called(0.0)
    assert box.park(0) == []
    for turn in range(1, 9):
        caller.called(float(turn))
        box.post(A)
        assert [*box.park(turn), *box.flush()] == [(turn - 1, [A])]
        caller.answered()
        assert not caller.must_send
    assert (caller.sent, caller.in_flight) == (9, 1)


def test_the_parked_call_is_answered_as_soon_as_there_is_something_to_say() -> None:
    box: Mailbox[int] = Mailbox()
    assert box.flush() == []
    box.park(1)
    assert box.flush() == [], "there is nothing to say"
    box.post(A)
    assert box.flush() == [(1, [A])]
    assert box.flush() == []


def test_what_is_posted_while_no_call_is_parked_waits_for_one() -> None:
    box: Mailbox[int] = Mailbox()
    box.post(A)
    box.post(B)
    assert box.flush() == []
    assert box.park(1) == []
    assert box.flush() == [(1, [A, B])]
    box.post(C)
    assert box.park(2) == []
    assert box.flush() == [(2, [C])]


@pytest.mark.parametrize(
    ("step_s", "most"), [(0.0, Caller.LIMIT), (0.001, Caller.MOST)], ids=["at once", "long wire"]
)
@pytest.mark.parametrize("seed", range(20))
def test_both_ends_deliver_everything_in_order_and_keep_a_call_parked(
    seed: int, step_s: float, most: int
) -> None:
    """Whatever the order of events: nothing is lost or held back, and at rest one call is parked, or two."""
    draw = random.Random(seed)
    caller, box = Caller(), Mailbox[int]()
    up: deque[tuple[int, list[Message]]] = deque()
    down: deque[list[Message]] = deque()
    outbox: list[Message] = []
    said: dict[str, list[Message]] = {"peer": [], "queue": []}
    heard: dict[str, list[Message]] = {"peer": [], "queue": []}
    now = 0.0

    def send() -> None:
        free_at = caller.free_at
        if free_at is not None and now >= free_at and (outbox or caller.must_send):
            caller.called(now)
            up.append((caller.sent, outbox[:]))
            outbox.clear()

    def step(event: str) -> None:
        nonlocal now
        now += step_s
        if event == "peer speaks":
            said["peer"].append(("p", len(said["peer"])))
            outbox.append(said["peer"][-1])
        elif event == "queue speaks":
            said["queue"].append(("q", len(said["queue"])))
            box.post(said["queue"][-1])
            down.extend(messages for _, messages in box.flush())
        elif event == "call arrives" and up:
            call, messages = up.popleft()
            heard["queue"] += messages
            down.extend(messages for _, messages in [*box.park(call), *box.flush()])
        elif event == "answer arrives" and down:
            caller.answered()
            heard["peer"] += down.popleft()
        send()

    step("begin")
    in_flight = []
    for _ in range(200):
        step(draw.choice(("peer speaks", "queue speaks", "call arrives", "answer arrives")))
        in_flight.append(caller.in_flight)
    assert min(in_flight) >= 1
    assert Caller.LIMIT <= max(in_flight) <= most
    assert (max(in_flight) > Caller.LIMIT) == (step_s > 0.0)
    for _ in range(1000):  # far more than it takes to come to rest
        step("call arrives")
        step("answer arrives")
    assert [*up, *down] == [], "they keep calling and answering although there is nothing to say"
    assert heard["queue"] == said["peer"]
    assert heard["peer"] == said["queue"]
    assert outbox == []
    assert 1 <= caller.in_flight <= PARKED
    box.post(A)
    assert len(box.flush()) == 1, "a call is parked"
