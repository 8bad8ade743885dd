"""The queue actor as an object: what its two threads send to one peer."""

from __future__ import annotations

import threading
from typing import Any

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
