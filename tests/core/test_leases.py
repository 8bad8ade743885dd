"""For how long a run has what it took, and when it renews it."""

from __future__ import annotations

import pytest

from pullahead.core.leases import HELD_MOST, LEAST, MOST, Leases


def measured(*seconds: float) -> Leases:
    """Return leases of which items have taken so long."""
    leases = Leases()
    for number, one in enumerate(seconds):
        leases.took([number], 0.0)
        leases.ended(number, one)
    return leases


def test_nothing_is_due_before_half_of_a_lease() -> None:
    leases = Leases()
    leases.took(["a", "b"], 100.0)
    assert leases.deadline == 100.0 + LEAST / 2
    assert leases.due(100.0 + LEAST / 2 - 0.001) == []
    assert leases.due(100.0 + LEAST / 2) == ["a", "b"]


def test_what_was_renewed_is_renewed_again() -> None:
    leases = Leases()
    leases.took(["a"], 0.0)
    assert leases.due(20.0) == ["a"]
    assert leases.deadline == 20.0 + LEAST / 2
    assert leases.due(21.0) == []
    assert leases.due(40.0) == ["a"]


def test_what_ended_or_went_back_is_not_renewed() -> None:
    leases = Leases()
    leases.took(["a", "b", "c"], 0.0)
    leases.ended("a", 1.0)
    leases.gave_back(["c"])
    assert len(leases) == 1
    assert leases.due(LEAST) == ["b"]


def test_an_item_that_comes_again_counts_from_then() -> None:
    leases = Leases()
    leases.took(["a"], 0.0)
    leases.gave_back(["a"])
    leases.took(["a"], 10.0)
    assert leases.due(LEAST / 2) == []
    assert leases.due(10.0 + LEAST / 2) == ["a"]


def test_nothing_out_means_no_deadline() -> None:
    leases = Leases()
    assert leases.deadline is None
    leases.took(["a"], 0.0)
    leases.ended("a", 1.0)
    assert leases.deadline is None


@pytest.mark.parametrize(
    ("times", "lease"),
    [
        ([], LEAST),
        ([0.1] * 50, LEAST),
        ([100.0] * 50, 100.0),
        ([0.1] * 99 + [100.0], LEAST),  # one of a hundred is beyond the 99th percentile
        ([0.1] * 98 + [100.0] * 2, 100.0),
        ([5000.0], MOST),
    ],
)
def test_a_lease_is_the_99th_percentile_within_bounds(times: list[float], lease: float) -> None:
    assert measured(*times).seconds == lease


def test_what_is_given_back_says_nothing_about_how_long_items_take() -> None:
    leases = Leases()
    leases.took(["a"], 0.0)
    leases.gave_back(["a"])
    leases.ended("a", 500.0)
    assert leases.seconds == LEAST


def test_what_hangs_is_renewed_no_more() -> None:
    leases = Leases()
    leases.took(["a"], 0.0)
    assert leases.due(HELD_MOST - 1.0) == ["a"]
    assert leases.due(HELD_MOST + LEAST) == []
    assert leases.deadline is None
    leases.ended("a", HELD_MOST + LEAST)  # and may end all the same


def test_longer_leases_are_renewed_later() -> None:
    leases = measured(*[200.0] * 10)
    leases.took(["a"], 1000.0)
    assert leases.deadline == 1100.0
    assert repr(leases) == "<Leases: 1 out, for 200 s each>"
