"""At which pace items end."""

from __future__ import annotations

from pullahead.core.pace import Pace


def test_few_ends_say_nothing() -> None:
    pace = Pace()
    for number in range(7):
        pace.ended(1, 0.1 * number)
    assert pace.per_second == 0.0


def test_it_is_that_of_the_latest() -> None:
    pace = Pace()
    for number in range(200):
        pace.ended(1, 10.0 * number)
    for number in range(100):
        pace.ended(5, 5000.0 + 0.5 * number)
    assert round(pace.per_second, 6) == 10.0


def test_what_came_nearly_at_once_is_no_pace_of_thousands() -> None:
    pace = Pace()
    for number in range(9):
        pace.ended(1, 1.0 + number / 8192)
    assert pace.per_second == 8 / 0.02


def test_what_came_at_once_has_no_pace() -> None:
    pace = Pace()
    for _ in range(100):
        pace.ended(3, 1.0)
    assert pace.per_second == 0.0
