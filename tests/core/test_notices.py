"""When the caller hears of what has ended."""

from __future__ import annotations

import pytest

from pullahead.core.exchange import AT_ONCE
from pullahead.core.lookahead import QUANTUM
from pullahead.core.notices import Notices


def test_nothing_to_tell_is_never_due() -> None:
    assert Notices().due(open_items=100) is None


@pytest.mark.parametrize(("ended", "still_open"), [(1, 0), (1, 8), (2, 16), (100, 1)])
def test_an_eighth_of_what_is_open_goes_at_once(ended: int, still_open: int) -> None:
    notices = Notices()
    notices.ended(ended, now=5.0)
    assert notices.due(still_open) == AT_ONCE


def test_less_than_an_eighth_waits_one_quantum_from_the_oldest() -> None:
    notices = Notices()
    notices.ended(1, now=5.0)
    notices.ended(1, now=5.001)
    assert notices.due(open_items=17) == 5.0 + QUANTUM
    notices.ended(1, now=5.002)
    assert notices.due(open_items=17) == AT_ONCE


def test_what_is_urgent_takes_the_rest_along() -> None:
    notices = Notices()
    notices.ended(1, now=5.0)
    notices.news(5.001, urgent=True)
    assert notices.due(open_items=1000) == AT_ONCE


def test_other_news_wait_even_when_nothing_is_open() -> None:
    notices = Notices()
    notices.news(5.0)
    assert notices.due(open_items=0) == 5.0 + QUANTUM


def test_once_told_it_begins_anew() -> None:
    notices = Notices()
    notices.ended(50, now=5.0)
    notices.news(5.0, urgent=True)
    notices.told()
    assert notices.due(open_items=0) is None
    notices.ended(1, now=6.0)
    assert notices.due(open_items=9) == 6.0 + QUANTUM
