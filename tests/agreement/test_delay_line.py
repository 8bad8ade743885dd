"""The delay line: late, in order, and as if nothing stood between.

The tests of the line by itself put it before a queue that answers at once. Lower bounds on times are exact,
because nothing may come early; upper bounds are several times what is expected, because machines are busy.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import Future
from typing import Any

import pytest
from tests.acceptance import works

import pullahead as pa
from pullahead.core import trace
from pullahead.core.messages import Message
from pullahead.farm import line
from pullahead.farm.envelope import Sealed, opened
from pullahead.farm.line import DirectLine
from pullahead.testing import DelayedLine, delay_line

DELAY = 0.06  # seconds there and back
PATIENCE = 10.0


class Answering:
    """Stands for the handle of a queue actor: answers each call at once, with what it was told."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, list[Message]]] = []
        self.exchange = self  # `queue.exchange.remote(...)`, as on a handle
        self._answer: Future[Sealed] = Future()

    def remote(self, number: int, messages: Sealed) -> Answering:
        assert number == 7
        self.heard.append((time.monotonic(), opened(messages)))
        self._answer = Future()
        self._answer.set_result(messages)
        return self

    def future(self) -> Future[Sealed]:
        return self._answer


class Ear:
    """Keeps answers, with when and where they came."""

    def __init__(self, awaited: int) -> None:
        self.answers: list[tuple[float, list[Message]]] = []
        self.threads: set[str] = set()
        self._awaited, self._all = awaited, threading.Event()

    def __call__(self, call: Future[Sealed]) -> None:
        self.answers.append((time.monotonic(), opened(call.result(0))))
        self.threads.add(threading.current_thread().name)
        if len(self.answers) == self._awaited:
            self._all.set()

    def wait(self) -> None:
        assert self._all.wait(PATIENCE)


def delayed(queue: Any) -> DelayedLine:
    return DelayedLine(0.5 * DELAY, 7, queue)


# By itself


def test_each_way_takes_half() -> None:
    queue, ear = Answering(), Ear(1)
    one = delayed(queue)
    sent = time.monotonic()
    one.send([("ask", 1)], ear)
    ear.wait()
    one.close()
    ((left, said),), ((came, answer),) = queue.heard, ear.answers
    assert said == answer == [("ask", 1)]
    assert left - sent >= 0.5 * DELAY
    assert came - left >= 0.5 * DELAY
    assert came - sent < 20 * DELAY


def test_who_sends_does_not_wait() -> None:
    queue = Answering()
    one = DelayedLine(3600.0, 7, queue)
    one.send([("ask", 1)], Ear(1))
    one._alarm.stop()  # closing it would wait for the hour to be over
    assert queue.heard == []


def test_many_are_under_way_at_once_and_none_overtakes() -> None:
    queue, ear = Answering(), Ear(200)
    one = delayed(queue)
    sent = []
    for number in range(200):
        sent.append(time.monotonic())
        one.send([("ask", number)], ear)
        if number % 10 == 0:
            time.sleep(0.001)  # sleeps so that some come back while others are being sent
    ear.wait()
    one.close()
    assert [said for _, said in queue.heard] == [[("ask", number)] for number in range(200)]
    assert [answer for _, answer in ear.answers] == [[("ask", number)] for number in range(200)]
    times = zip(sent, queue.heard, ear.answers, strict=True)
    assert all(left - at >= 0.5 * DELAY and came - left >= 0.5 * DELAY for at, (left, _), (came, _) in times)
    assert ear.answers[-1][0] - sent[0] < 100 * DELAY  # one after the other would take 200


def test_answers_never_come_on_a_thread_that_sends() -> None:
    ear = Ear(20)
    one = delayed(Answering())
    for number in range(20):
        one.send([("ask", number)], ear)
    ear.wait()
    one.close()
    assert ear.threads == {"pullahead-delay-line"}


def test_an_answer_may_be_replied_to_where_it_is_heard() -> None:
    queue, ear = Answering(), Ear(3)
    one = delayed(queue)

    def reply(call: Future[Sealed]) -> None:
        ear(call)
        if len(ear.answers) < 3:
            one.send([("ask", len(ear.answers))], reply)

    one.send([("ask", 0)], reply)
    ear.wait()
    one.close()
    assert [said for _, said in queue.heard] == [[("ask", number)] for number in range(3)]


def test_what_was_said_does_not_change_on_its_way() -> None:
    queue, ear, sums = Answering(), Ear(1), {"items": 1}
    one = delayed(queue)
    one.send([("totals", sums)], ear)
    sums["items"] = 2
    ear.wait()
    one.close()
    assert queue.heard[0][1] == [("totals", {"items": 1})]


def test_closing_waits_for_what_was_said_and_ends_the_thread() -> None:
    queue, before = Answering(), threading.active_count()
    one = delayed(queue)
    one.send([("bye",)], Ear(1))
    assert threading.active_count() == before + 1
    one.close()
    assert [said for _, said in queue.heard] == [[("bye",)]]
    assert threading.active_count() == before


# Between workers and queue


def fetches(report: pa.Report) -> list[float]:
    """Return the seconds from each ask to its first items; what came later for it has no length."""
    assert report.trace is not None
    spans = [span for recorded in report.trace.values() for span in recorded if span.kind == trace.FETCH]
    return [span.end - span.start for span in spans if span.end > span.start]


def test_it_holds_for_what_begins_inside_and_for_nothing_else() -> None:
    with delay_line(DELAY):
        far = pa.map(works.square, range(20), workers=2, trace=True)
    near = pa.map(works.square, range(20), workers=2, trace=True)
    assert list(near) == list(far) == [x * x for x in range(20)]
    assert min(fetches(far.report)) >= DELAY > min(fetches(near.report))


def test_of_two_the_inner_one_counts_and_the_outer_one_comes_back() -> None:
    assert line.join is DirectLine
    with delay_line(5.0):
        outer = line.join
        with delay_line(0.0):
            assert list(pa.map(works.square, range(4), workers=1)) == [0, 1, 4, 9]
        assert line.join is outer
    assert line.join is DirectLine


def test_a_worker_that_takes_the_place_of_a_lost_one_is_as_far_away() -> None:
    with delay_line(DELAY):
        results = pa.map(works.exit_on_three, range(20), workers=1, on_error="collect", trace=True)
    ended = list(results)
    assert [one for one in ended if not isinstance(one, pa.Failure)] == [x for x in range(20) if x != 3]
    assert len({one.pid for one in results.report.workers}) == 2
    assert min(fetches(results.report)) >= DELAY


def test_a_worker_that_leaves_with_a_grant_on_its_way_ends() -> None:
    """`SystemExit` ends its main thread; whatever comes then has nobody left to load it."""
    with delay_line(DELAY):
        work, load = works.leave_on_forty, works.load_soon
        results = list(pa.map(work, range(120), load=load, workers=1, on_error="collect"))
    assert [result.item for result in results if isinstance(result, pa.Failure)] == [40]
    assert len(results) == 120


def test_every_item_ends_once_while_items_go_back_and_forth() -> None:
    """Sizes that make workers give back and be recalled from, over a line in which much is under way."""
    sizes = [0.05 if number % 37 == 5 else 0.0005 for number in range(600)]
    with delay_line(0.01):
        done = pa.map(works.sleep_and_echo, list(enumerate(sizes)), workers=3, ordered=False)
    assert Counter(done) == Counter(range(600))


def test_large_items_and_results_pass() -> None:
    items = [bytes([number]) * 300_000 for number in range(6)]
    with delay_line(0.01):
        assert list(pa.map(works.echo, items, workers=2)) == items


def test_a_pool_is_closed_within_some_trips() -> None:
    with delay_line(DELAY), pa.Pool(works.square, workers=2) as pool:
        assert pool.submit(3).result(PATIENCE) == 9
        began = time.monotonic()
    assert time.monotonic() - began < 50 * DELAY


# What makes no sense


@pytest.mark.parametrize(
    ("seconds", "error", "said"),
    [
        (-0.1, ValueError, "round_trip_seconds: expected a finite number from 0, got -0.1"),
        (float("nan"), ValueError, "round_trip_seconds: expected a finite number from 0, got nan"),
        (float("inf"), ValueError, "round_trip_seconds: expected a finite number from 0, got inf"),
        ("40ms", TypeError, "round_trip_seconds: expected a number of seconds, got '40ms'"),
        (True, TypeError, "round_trip_seconds: expected a number of seconds, got True"),
        (None, TypeError, "round_trip_seconds: expected a number of seconds, got None"),
    ],
)
def test_bad_input_is_refused_in_one_line(seconds: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as raised, delay_line(seconds):
        pass
    assert str(raised.value) == said
    assert line.join is DirectLine
