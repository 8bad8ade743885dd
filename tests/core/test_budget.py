"""What a worker may hold is bounded in items and in bytes."""

from __future__ import annotations

import pytest

from pullahead.core.lookahead import MAX_BYTES, MAX_LOOKAHEAD, WAY_BYTES, Lookahead

MS = 1e-3
MIB = 1 << 20


def measured(size: int, fetch: float, compute: float, batch: int = 1, times: int = 128) -> Lookahead:
    """A policy that has seen enough, of items with so many bytes each."""
    policy = Lookahead(batch=batch)
    for _ in range(times):
        policy.weighed(size)
        policy.fetched(fetch)
        policy.computed(compute * batch, batch)
    return policy


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("size", [1 * MIB, 3 * MIB, 7 * MIB])
def test_what_is_held_and_asked_for_fits_into_the_budget(size: int, batch: int) -> None:
    policy = measured(size, fetch=1.0, compute=1 * MS, batch=batch)
    held = policy.depth + policy.bundle - 1
    assert held * size <= MAX_BYTES < (held + 2 * batch) * size
    assert policy.reason.endswith(", all that 64 MiB hold")


def test_an_item_that_is_larger_than_the_budget_is_still_asked_for() -> None:
    policy = measured(2 * MAX_BYTES, fetch=1.0, compute=1 * MS)
    assert (policy.depth, policy.bundle) == (1, 1)
    assert policy.reason == "1: p95 fetch 1 s > p50 work 1 ms, all that 64 MiB hold"


def test_small_items_are_bounded_by_their_number() -> None:
    policy = measured(100, fetch=99.0, compute=1 * MS, times=200)
    assert policy.depth == MAX_LOOKAHEAD
    assert policy.reason.endswith(", the most there is")


def test_where_a_few_are_enough_their_size_is_no_reason() -> None:
    policy = measured(10 * MIB, fetch=2 * MS, compute=1 * MS)
    assert policy.depth == 3
    assert "MiB" not in policy.reason


def test_the_largest_of_the_recent_items_counts() -> None:
    policy = measured(1000, fetch=1.0, compute=10 * MS)
    assert policy.depth == 110
    policy.weighed(16 * MIB)
    assert policy.fetched(1.0), "with the next measurement"
    assert policy.depth == 3, "and a bundle of two"
    assert policy.reason.endswith("all that 64 MiB hold"), policy.reason


def test_where_only_the_way_is_to_be_hidden_the_budget_is_smaller() -> None:
    policy = Lookahead(budget=WAY_BYTES)
    for _ in range(128):
        policy.weighed(1 * MIB)
        policy.fetched(1.0)
        policy.computed(1 * MS, 1)
    assert policy.depth + policy.bundle - 1 == 16
    assert policy.reason.endswith(", all that 16 MiB hold")


def test_who_chose_a_depth_is_not_corrected() -> None:
    policy = Lookahead(16)
    policy.weighed(MAX_BYTES)
    policy.fetched(1.0)
    policy.computed(1 * MS, 1)
    assert policy.depth == 16
