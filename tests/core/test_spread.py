"""Which queue gets what is submitted, and when the runs of several queues have ended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullahead.core.spread import Spread
from pullahead.core.tallies import Tallies


@pytest.mark.parametrize(
    ("before", "count", "pieces"),
    [
        ([0, 0], 1, [(0, 1)]),
        ([1, 0], 1, [(1, 1)]),
        ([0, 0, 0, 0], 512, [(0, 128), (1, 128), (2, 128), (3, 128)]),
        ([5, 0], 3, [(1, 3)]),
        ([5, 0], 7, [(1, 6), (0, 1)]),
        ([9, 1, 0], 5, [(2, 3), (1, 2)]),
    ],
)
def test_items_level_the_queues(before: list[int], count: int, pieces: list[tuple[int, int]]) -> None:
    spread = Spread([2] * len(before))
    spread.open[:] = before
    assert spread.divide(count) == pieces


def test_a_queue_with_more_workers_gets_more() -> None:
    assert Spread([3, 1]).divide(8) == [(0, 6), (1, 2)]


def test_pieces_are_whole_batches_but_for_the_last() -> None:
    assert Spread([1, 1], unit=4).divide(10) == [(0, 8), (1, 2)]


def test_a_few_items_for_many_workers_are_one_piece() -> None:
    spread = Spread([800, 800])
    assert [spread.divide(10) for _ in range(3)] == [[(0, 10)], [(1, 10)], [(0, 10)]]


def test_items_count_where_they_are() -> None:
    spread = Spread([2, 2])
    spread.divide(8)
    spread.went(0, 1, 3)
    assert spread.open == [1, 7]
    spread.ended(1, 7)
    assert spread.divide(1) == [(1, 1)]


@given(
    workers=st.lists(st.integers(1, 50), min_size=1, max_size=6),
    counts=st.lists(st.integers(1, 600), min_size=1, max_size=8),
    unit=st.integers(1, 5),
)
def test_every_item_goes_somewhere_and_no_queue_is_far_above_the_others(
    workers: list[int], counts: list[int], unit: int
) -> None:
    spread = Spread(workers, unit)
    for count in counts:
        pieces = spread.divide(count)
        assert sum(size for _, size in pieces) == count
        assert all(size > 0 for _, size in pieces)
    mean = sum(counts) / sum(workers)
    grain = spread._grain
    assert all(
        open_ <= mean * own + len(workers) * len(counts) * grain
        for open_, own in zip(spread.open, workers, strict=True)
    )


# Runs


def test_a_run_has_ended_when_it_is_closed_and_all_that_was_submitted_has() -> None:
    tallies = Tallies()
    tallies.opened(0)
    tallies.opened(1)
    tallies.submitted(0, 3, [0])
    assert not tallies.ended(0, 3), "more may come"
    tallies.submitted(0, 2, [0])
    assert not tallies.closed(0)
    assert not tallies.ended(0, 1)
    assert tallies.ended(0, 1)
    assert tallies.closed(1), "it had nothing"
    assert len(tallies) == 0


def test_a_run_hears_that_workers_wait_when_the_first_queue_says_so() -> None:
    tallies = Tallies()
    tallies.opened(0)
    assert [tallies.starves(0, 1), tallies.starves(0, 1), tallies.starves(0, 2)] == [True, False, False]
    assert not tallies.submitted(0, 3, [1, 2])
    assert tallies.starves(0, 2)
    tallies.ended(0, 3)
    tallies.closed(0)
    assert not tallies.starves(0, 1), "it has ended meanwhile"


def test_a_run_that_submits_to_others_hears_again_that_workers_wait_unless_these_have_got_some() -> None:
    tallies = Tallies()
    tallies.opened(0)
    tallies.starves(0, 1)
    tallies.starves(0, 2)
    assert tallies.submitted(0, 1, [1])
    tallies.went(2)
    assert not tallies.submitted(0, 1, [0])
    assert tallies.starves(0, 1)
