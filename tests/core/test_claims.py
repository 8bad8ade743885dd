"""What other queues want, and how much of it they get."""

from __future__ import annotations

import pytest

from pullahead.core.claims import Claim, Claims


@pytest.fixture
def claims() -> Claims:
    """Queue 1 wants 6 items for 2 hungry workers of 4, and queue 2 wants 1 for its only worker."""
    claims = Claims()
    claims.said(Claim(1, 1, 6, 2, 4))
    claims.said(Claim(2, 1, 1, 1, 1))
    return claims


def sums(claims: Claims) -> tuple[int, int, int]:
    claims.validate()
    return claims.credits, claims.hungry, claims.workers


def test_claims_are_served_in_the_order_in_which_they_came(claims: Claims) -> None:
    first = claims.first()
    assert first is not None
    assert (first.queue, sums(claims)) == (1, (7, 3, 5))
    claims.answered(first)
    first = claims.first()
    assert first is not None
    assert (first.queue, sums(claims)) == (2, (1, 1, 1))
    claims.answered(first)
    assert (claims.first(), sums(claims)) == (None, (0, 0, 0))


def test_what_a_queue_says_takes_the_place_of_what_it_had_said(claims: Claims) -> None:
    claims.said(Claim(1, 2, 9, 3, 4))
    first = claims.first()
    assert first is not None
    assert (first.queue, first.number, sums(claims)) == (1, 2, (10, 4, 5))
    claims.said(Claim(1, 3, 0, 0, 4))
    assert (len(claims), sums(claims)) == (1, (1, 1, 1))
    claims.said(Claim(1, 4, 0, 0, 4))
    assert len(claims) == 1, "who wants nothing may say so again"


@pytest.mark.parametrize(
    ("unstarted", "own", "unit", "gets"),
    [
        (9, 4, 1, 4),  # 4 of 9 workers
        (100, 4, 1, 6),  # all it wants
        (1, 4, 1, 1),
        (9, 0, 1, 6),  # nobody is here
        (9, 4, 4, 4),
        (100, 4, 4, 8),  # whole batches
    ],
)
def test_a_claim_gets_the_share_of_its_workers(
    claims: Claims, unstarted: int, own: int, unit: int, gets: int
) -> None:
    first = claims.first()
    assert first is not None
    assert claims.share(first, unstarted, own, unit) == gets


def test_each_claim_is_told_once_that_nothing_is_left(claims: Claims) -> None:
    assert [claim.queue for claim in claims.dismiss()] == [1, 2]
    assert claims.dismiss() == []
    claims.said(Claim(1, 2, 1, 1, 4))
    assert [claim.queue for claim in claims.dismiss()] == [1], "this is another one"
