"""The retry policy: exact decisions."""

from __future__ import annotations

import pytest

from pullahead.core.retry import ERROR, LATER, REJECT, Again, Bury, RetryPolicy


def test_without_retries_an_error_is_the_end() -> None:
    assert RetryPolicy().decide(0, ERROR, 0.0, 0.5) == Bury()


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(0, 0.1), (1, 0.2), (2, 0.4), (8, 25.6), (9, 30.0), (19, 30.0)]
)
def test_the_backoff_doubles_up_to_its_cap(attempts: int, seconds: float) -> None:
    assert RetryPolicy(retries=20).decide(attempts, ERROR, 0.0, 0.5) == Again(seconds, charged=True)


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 1.0), (0.25, 1.5), (1.0, 3.0)])
def test_jitter_spreads_a_backoff_from_half_to_one_and_a_half(jitter: float, seconds: float) -> None:
    assert RetryPolicy(retries=1, base=2.0).decide(0, ERROR, 9.0, jitter) == Again(seconds, charged=True)


@pytest.mark.parametrize("retries", [1, 3])
def test_retries_are_attempts_beyond_the_first(retries: int) -> None:
    policy = RetryPolicy(retries=retries)
    decisions = [policy.decide(attempts, ERROR, 0.0, 0.5) for attempts in range(retries + 2)]
    assert [isinstance(one, Again) for one in decisions] == [True] * retries + [False] * 2


def test_later_is_never_charged_and_takes_the_delay_that_was_asked_for() -> None:
    assert RetryPolicy().decide(7, LATER, 12.5, 0.9) == Again(12.5, charged=False)
    assert RetryPolicy().decide(0, LATER, -1.0, 0.9) == Again(0.0, charged=False)


def test_a_rejected_item_is_never_retried() -> None:
    assert RetryPolicy(retries=5).decide(0, REJECT, 3.0, 0.5) == Bury()


def test_an_item_that_is_retried_for_ever_does_not_overflow_the_backoff() -> None:
    assert RetryPolicy(retries=1 << 40).decide(1 << 20, ERROR, 0.0, 0.5) == Again(30.0, charged=True)
