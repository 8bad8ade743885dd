"""What is still to come: credits, oldest first, and what their times say."""

from __future__ import annotations

import pytest

from pullahead.core.asks import Asks


@pytest.fixture
def asks() -> Asks:
    return Asks()


def test_an_answer_tells_when_it_was_asked_for_and_how_long_the_ask_waited_to_leave(asks: Asks) -> None:
    asks.made(2, 1.0)
    asks.sent(1.5)
    assert asks.answered(2) == (1.0, 0.5)
    assert asks.total == 0
    asks.validate()


def test_only_the_first_answer_to_an_ask_has_a_time(asks: Asks) -> None:
    asks.made(3, 1.0)
    asks.sent(1.0)
    assert asks.answered(1) == (1.0, 0.0)
    assert asks.answered(1) is None
    assert asks.total == 1
    asks.validate()


def test_what_has_left_does_not_leave_again(asks: Asks) -> None:
    asks.made(1, 1.0)
    asks.sent(1.0)
    asks.made(1, 2.0)
    asks.made(1, 3.0)
    asks.sent(4.0)
    assert [asks.answered(1) for _ in range(3)] == [(1.0, 0.0), (2.0, 2.0), (3.0, 1.0)]


def test_one_answer_to_several_asks_has_the_time_of_the_oldest(asks: Asks) -> None:
    asks.made(1, 1.0)
    asks.made(2, 2.0)
    asks.sent(3.0)
    assert asks.answered(2) == (1.0, 2.0)
    assert asks.answered(1) is None, "a part of the younger one has come"
    assert asks.total == 0


def test_a_pause_takes_the_times_away(asks: Asks) -> None:
    asks.made(1, 1.0)
    asks.sent(1.0)
    asks.paused()
    asks.made(1, 2.0)
    asks.sent(2.0)
    assert [asks.answered(1), asks.answered(1)] == [None, (2.0, 0.0)]


def test_the_oldest_are_taken_back(asks: Asks) -> None:
    asks.made(2, 1.0)
    asks.made(2, 2.0)
    asks.sent(2.0)
    asks.taken_back(3)
    assert asks.total == 1
    asks.validate()
    assert asks.answered(1) == (2.0, 0.0)


def test_what_nobody_asked_for_has_no_time(asks: Asks) -> None:
    assert asks.answered(1) is None
    assert asks.total == 0
