"""What queues say to each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import RLock
from typing import Any

import pytest

from pullahead.core.exchange import Caller
from pullahead.core.messages import Message
from pullahead.farm import neighbours
from pullahead.farm.envelope import Sealed, sealed
from pullahead.farm.neighbours import Neighbours

Answered = Callable[[Future[Sealed]], None]


class Line:
    """Takes note of what is sent."""

    def __init__(self, _peer: int, calls: Any) -> None:
        self._calls = calls

    def send(self, messages: list[Message], answered: Answered) -> None:
        self._calls.append((messages, answered))


class Echoing:
    """Wants something for each thing that it hears."""

    def __init__(self) -> None:
        self.neighbours: Neighbours | None = None

    def neighbour_said(self, queue: int, messages: list[Message]) -> None:
        assert self.neighbours is not None
        for message in messages:
            self.neighbours.say(queue, ("again", *message))


def test_what_is_wanted_while_no_call_may_go_waits_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "DirectLine", Line)
    calls: list[tuple[list[Message], Answered]] = []
    port = Echoing()
    port.neighbours = Neighbours(0, [None, calls], RLock(), port)
    for number in range(Caller.LIMIT + 2):
        port.neighbours.say(1, ("want", number))
    assert [messages for messages, _ in calls] == [[("want", number)] for number in range(Caller.LIMIT)]
    answer: Future[Sealed] = Future()
    answer.set_result(sealed([("a",), ("b",)]))
    calls[0][1](answer)
    (last,) = [messages for messages, _ in calls[Caller.LIMIT :]]
    waiting = [("want", Caller.LIMIT), ("want", Caller.LIMIT + 1), ("again", "a")]
    assert last == waiting, "and the other one waits for the next answer"
    answer = Future()
    answer.set_result(sealed([]))
    calls[1][1](answer)
    assert calls[-1][0] == [("again", "b")]
