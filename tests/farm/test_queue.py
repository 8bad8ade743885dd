"""The queue actor as an object: what its two threads send to one peer, and what it gives to another queue."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import Any

import pytest

from pullahead.core import messages as m
from pullahead.core.exchange import PARKED
from pullahead.core.retry import ERROR, RetryPolicy
from pullahead.farm.envelope import enclosed, opened, taken_out
from pullahead.farm.queue import Answer, Queue

PATIENCE = 10.0
RUN, WORKER = 0, 0


def test_the_answers_to_one_peer_leave_in_the_order_of_its_calls() -> None:
    """The timer answers a call, and is slow to send that answer; the next call comes and is answered."""
    queue = Queue(RetryPolicy(retries=1, base=0.05))
    queue.exchange(m.CALLER, [(m.OPEN, RUN, False), (m.SUBMIT, RUN, 0, [b"one"], "")])
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


def test_what_its_clock_shows_is_said_at_once() -> None:
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


class _Ref:
    """What a call returns; its answer is handed out when it is here, or at once."""

    def __init__(self, answer: Future[Any]) -> None:
        self._answer = answer

    def future(self) -> Future[Any]:
        return self._answer


class _Handle:
    """Calls a queue of this process, as its method `exchange`."""

    def __init__(self, queue: Queue) -> None:
        self.exchange = self
        self._queue = queue

    def remote(self, peer: int, said: Any) -> _Ref:
        return _Ref(self._queue.exchange(peer, said))


def granted(queue: Queue, items: int) -> int:
    """Submit so many, and give them to the worker. Return their lease."""
    payloads = [b"item"] * items
    queue.exchange(m.CALLER, [(m.OPEN, RUN, False), (m.SUBMIT, RUN, 0, payloads, ""), (m.CLOSE, RUN)])
    given = queue.exchange(WORKER, [(m.ASK, items)])
    ((_, lease, *_),) = opened(given.result(0))
    return int(lease)


def outcomes(queue: Queue, report: m.Message) -> list[m.Message]:
    """Return what the caller hears when the worker has said this."""
    told, _ = (queue.exchange(m.CALLER, []) for _ in range(PARKED))
    queue.exchange(WORKER, [report])
    queue._alarm.stop()
    return [one for one in opened(told.result(PATIENCE)) if one[0] == m.OUTCOMES]


def test_results_pass_unopened() -> None:
    queue = Queue(RetryPolicy())
    lease = granted(queue, 3)
    told = outcomes(queue, (m.DONE, lease, (0, 1, 2), b"nobody looks in here"))
    assert told == [(m.OUTCOMES, RUN, "done", (0, 1, 2), b"nobody looks in here")]
    assert (queue._payloads, queue._enclosed) == ({}, {})


def test_results_are_opened_where_some_of_them_do_not_count() -> None:
    queue = Queue(RetryPolicy())
    lease = granted(queue, 3)
    told = outcomes(queue, (m.DONE, lease, (0, 7, 2), enclosed(["a", "not its own", ("c",)])))
    assert told == [(m.OUTCOMES, RUN, "done", (0, 2), ["a", ("c",)])]
    assert (queue._payloads, queue._enclosed) == ({1: b"item"}, {})


def test_what_cannot_be_enclosed_is_itself() -> None:
    results = [1, object()]
    assert enclosed(results) is results
    assert taken_out(results) is results
    assert taken_out(enclosed([1, ("text",), None])) == [1, ("text",), None]


def test_what_was_tried_of_an_item_goes_along_to_another_queue() -> None:
    """Item 0 fails with a worker of queue 0, which takes back its ask; queue 1 has a hungry worker, where it
    fails for good."""
    retry = RetryPolicy(retries=1, base=0.001)
    queues = [Queue(retry, workers=2, number=number, queues=2) for number in range(2)]
    heard = [
        queue.exchange(m.CALLER, [(m.OPEN, RUN, False), (m.MEET, [*map(_Handle, queues)])])
        for queue in queues
    ]
    queues[0].exchange(m.CALLER, [(m.SUBMIT, RUN, 0, [b"item"], "")])
    assert not heard[1].done()
    given = queues[0].exchange(0, [(m.ASK, 1)])
    ((_, lease, first, *_),) = opened(given.result(0))
    queues[0].exchange(0, [(m.FAILED, lease, first, (b"first", 1.0, 2.0), ERROR, 0.0)])
    given = queues[1].exchange(1, [(m.ASK, 1), (m.HUNGRY, 1)])
    ((kind, lease, first, payloads, *_),) = opened(given.result(PATIENCE))
    assert (kind, first, payloads) == (m.GRANT, 0, [b"item"])
    heard = [queue.exchange(m.CALLER, []) for queue in queues]
    queues[1].exchange(1, [(m.FAILED, lease, first, (b"second", 3.0, 4.0), ERROR, 0.0)])
    outcomes = [one for one in opened(heard[1].result(PATIENCE)) if one[0] == m.OUTCOMES]
    for queue in queues:
        queue._alarm.stop()
    ((_, run, state, items, (tries,)),) = outcomes
    assert (run, state, items) == (RUN, "dead", (0,))
    assert [(one.error, one.worker) for one in tries] == [(b"first", 0), (b"second", 1)]
    assert (queues[0]._payloads, queues[0]._tried) == ({}, {})
