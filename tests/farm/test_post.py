"""A worker's way to the queue: what is said about its clock, beside what it says."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import RLock
from typing import Any

import pytest

from pullahead.core import messages as m
from pullahead.core.clocks import PRECISION
from pullahead.core.messages import Message
from pullahead.farm.envelope import Sealed, opened, sealed
from pullahead.farm.line import Answered
from pullahead.farm.post import Post, latest

MS = 1e-3


class Wire:
    """A line to nobody: the test answers. Also who reads what comes."""

    def __init__(self) -> None:
        self.said: list[list[Message]] = []
        self.came: list[Message] = []
        self.told_again: list[Message] | None = None
        self._answered: list[Answered] = []

    def send(self, messages: list[Message], answered: Answered) -> None:
        self.said.append(messages)
        self._answered.append(answered)

    def close(self) -> None:
        pass

    def answer(self, *messages: Message) -> None:
        call: Future[Sealed] = Future()
        call.set_result(sealed(list(messages)))
        self._answered.pop(0)(call)

    def heard(self, messages: list[Message]) -> None:
        self.came += messages

    def alone(self) -> None:
        raise AssertionError("the queue lives")

    def rejoined(self, reports: list[Message]) -> None:
        self.told_again = reports

    def broken(self, error: BaseException) -> None:
        raise error


class Now:
    """A clock that the test winds."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def a_post(now: Callable[[], float] | None, name: str = "") -> tuple[Wire, Post]:
    wire = Wire()
    return wire, Post(lambda queue: wire, None, 0, name, RLock(), wire, now)


def test_on_the_clock_of_the_queue_nothing_is_said_about_it() -> None:
    wire, post = a_post(None)
    for _ in range(3):
        post.send([(m.ASK, 1)])
        wire.answer((m.STOP,))
    assert wire.said == [[(m.ASK, 1)]] * 3
    assert wire.came == [(m.STOP,)] * 3


def test_what_an_answer_tells_goes_ahead_of_the_next_message() -> None:
    now = Now()
    wire, post = a_post(now)
    now.at = 10.0
    post.send([(m.ASK, 1)])
    post.send([(m.BYE,)])
    assert wire.said == [[(m.CLOCK, 10.0), (m.ASK, 1)], [(m.BYE,)]], "one question at a time"
    now.at = 10.004
    wire.answer((m.CLOSED, 0.0, ""), (m.CLOCK, 10.0, 510.001, 510.002))
    assert wire.came == [(m.CLOSED, 0.0, "")], "its reader is not told"
    now.at = 10.1
    post.send([(m.TOTALS, "sums")])
    (question, told, sums) = wire.said[-1]
    assert (question, sums) == ((m.CLOCK, 10.1), (m.TOTALS, "sums"))
    assert told[0] == m.OFFSET
    assert told[1] == pytest.approx((10.002, 499.9995, 1.5 * MS + PRECISION), abs=1e-6)
    assert opened(sealed(wire.said[-1])) == wire.said[-1]
    assert type(sealed([told])) is bytes, "it travels as bytes"
    post.send([])
    assert wire.said[-1] == [], "it is told once"


def test_another_queue_is_told_all_that_is_known_and_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = Now()
    wire, post = a_post(now, name="queue-")
    post.send([])
    now.at = 0.002
    wire.answer((m.CLOCK, 0.0, 7.001, 7.001))
    now.at = 5.0
    post.send([])
    told: Any = wire.said[-1][1]
    now.at = 5.5  # the question that is open died with the queue
    monkeypatch.setattr(post, "_find", lambda number: (number, "another one"))
    post._rejoin(RuntimeError("it died"))
    assert wire.told_again == []
    post.send([])
    assert wire.said[-1] == [(m.CLOCK, 5.5), told]


def test_of_each_item_the_last_report_is_told_again() -> None:
    first = (m.DONE, 1, (1, 2, 3), ["a", "b", "c"])
    failed = (m.FAILED, 2, 2, ("error", 0.0, 1.0), "error", 0.0)
    again = (m.DONE, 3, (3, 4), ["d", "e"])
    assert latest([first, again]) == [(m.DONE, 1, (1, 2), ["a", "b"]), again]
    assert latest([first, failed, again]) == [(m.DONE, 1, (1,), ["a"]), failed, again]
    assert latest([failed, first]) == [first]
    assert latest([first, first]) == [first]
    assert latest([first, failed, again], newer={1, 2, 4}) == [(m.DONE, 3, (3,), ["d"])]
    unstored = (m.UNSTORED, 4, 5, ("error", 0.0, 1.0), "error", 0.0)
    assert latest([unstored, again, unstored]) == [again, unstored]
