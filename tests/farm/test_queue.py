"""The queue actor as an object: what its two threads send to one peer."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from pullahead.core import messages as m
from pullahead.core.retry import ERROR, RetryPolicy
from pullahead.farm.envelope import opened
from pullahead.farm.queue import Answer, Queue

PATIENCE = 10.0
RUN, WORKER = 0, 0


def test_the_answers_to_one_peer_leave_in_the_order_of_its_calls() -> None:
    """The timer answers a call, and is slow to send that answer; the next call comes and is answered."""
    queue = Queue(RetryPolicy(retries=1, base=0.05))
    queue.exchange(m.CALLER, [(m.OPEN, RUN), (m.SUBMIT, RUN, 0, [b"one"], "")])
    given = queue.exchange(WORKER, [(m.ASK, 2)])
    ((_, lease, first, *_),) = opened(given.result(0))
    sent: list[Any] = []
    slow, retried = threading.Event(), threading.Event()

    def send_slowly(answer: Answer) -> None:
        retried.set()
        slow.wait(0.2)  # only the answer that must not overtake this one would end it earlier
        sent.append([message[0] for message in opened(answer.result())])

    failed = queue.exchange(WORKER, [(m.FAILED, lease, first, (b"error", 1.0, 2.0), ERROR, 0.0), (m.ASK, 4)])
    failed.add_done_callback(send_slowly)
    assert retried.wait(PATIENCE)
    queue.exchange(m.CALLER, [(m.SUBMIT, RUN, 1, [b"two"], "")])
    queue.exchange(WORKER, []).add_done_callback(lambda answer: sent.append("younger"))
    slow.set()
    queue._alarm.stop()
    assert sent == [[m.GRANT], "younger"]


def test_what_its_clock_shows_is_said_with_the_answer_to_the_call_before() -> None:
    queue = Queue(RetryPolicy())
    first = queue.exchange(WORKER, [])
    before = time.monotonic()
    second = queue.exchange(WORKER, [(m.CLOCK, 7.5), (m.OFFSET, (1.0, 2.0, 3.0))])
    ((kind, asked, came, left),) = opened(first.result(0))
    assert (kind, asked) == (m.CLOCK, 7.5)
    assert before <= came <= left <= time.monotonic()
    assert not second.done(), "it costs no call more"
    told = queue.exchange(m.CALLER, [])
    queue.exchange(m.CALLER, [])
    queue._alarm.stop()
    assert opened(told.result(0)) == [(m.OFFSET, WORKER, (1.0, 2.0, 3.0))]


@pytest.mark.parametrize("peer", [WORKER, m.CALLER])
def test_whoever_asks_is_told(peer: int) -> None:
    queue = Queue(RetryPolicy())
    first = queue.exchange(peer, [(m.CLOCK, 1.0)])
    queue.exchange(peer, [])
    queue._alarm.stop()
    ((kind, asked, *_),) = opened(first.result(0))
    assert (kind, asked) == (m.CLOCK, 1.0)
