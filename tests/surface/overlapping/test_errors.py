"""What fails is raised at its turn, and a Ctrl-C loses nothing."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import Future
from typing import Any

import pytest
from tests.surface.overlapping.desk import Desk, with_answers

from pullahead.overlapping import overlap


def test_a_failed_fetch_is_raised_at_its_turn_and_the_next_one_is_yielded() -> None:
    desk = with_answers("a")
    items = overlap(desk, lookahead=3)
    assert next(items) == "a"
    error = KeyError("b")
    desk.answer(3, None)
    desk.answer(1, error)
    desk.answer(2, "c")
    with pytest.raises(KeyError) as caught:
        next(items)
    assert caught.value is error
    assert list(items) == ["c"]
    assert items.statistics().failures == 1


def test_a_failing_request_is_raised_at_its_turn_too() -> None:
    outcomes: list[Any] = [ValueError("first"), "a", ValueError("third"), "b", None]

    def fetch() -> Future[Any]:
        value = outcomes.pop(0)
        if isinstance(value, Exception):
            raise value
        return with_answers(value)()

    items = overlap(fetch, lookahead=1)
    seen: list[Any] = []
    for _ in range(4):
        try:
            seen.append(next(items))
        except ValueError as error:
            seen.append(str(error))
    assert seen == ["first", "a", "third", "b"]
    assert list(items) == []


def test_a_blocking_function_that_fails_goes_on() -> None:
    outcomes: list[Any] = ["a", SystemExit(3), "b", None]

    def fetch() -> Any:
        value = outcomes.pop(0)
        if isinstance(value, BaseException):
            raise value
        return value

    items = overlap(fetch, lookahead=2)
    assert next(items) == "a"
    with pytest.raises(SystemExit):
        next(items)
    assert list(items) == ["b"]


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals arrive on the main thread"
)
def test_ctrl_c_while_waiting_loses_nothing() -> None:
    desk = Desk()
    main = threading.main_thread().ident
    assert main is not None

    def fetch() -> Future[Any]:
        future = desk()
        if len(desk.futures) == 1:  # made by the thread, while the caller waits for its answer
            signal.pthread_kill(main, signal.SIGINT)
        return future

    items = overlap(fetch, lookahead=1)
    with pytest.raises(KeyboardInterrupt):
        next(items)
    desk.answer(0, "a")
    desk.answer(1, None)
    assert list(items) == ["a"]


def test_ctrl_c_inside_a_request_loses_nothing() -> None:
    desk = with_answers("a", "b", None)
    strikes = iter([False, True, False, False, False])

    def fetch() -> Future[Any]:
        if next(strikes):
            raise KeyboardInterrupt
        return desk()

    items = overlap(fetch, lookahead=1)
    with pytest.raises(KeyboardInterrupt):
        next(items)
    assert list(items) == ["a", "b"]
