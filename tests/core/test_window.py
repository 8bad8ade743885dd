"""How many items may be in the system."""

from __future__ import annotations

from typing import Any

import pytest

from pullahead.core.window import LIMIT, Window


def begun(workers: int, unit: int = 1, **options: Any) -> Window:
    """Return the window of a run whose first item, a light one, has ended. The user waits for the next."""
    window = Window(workers, unit, **options)
    window.submitted(1)
    window.consumed(1)
    window.waits(True)
    return window


@pytest.mark.parametrize(("workers", "unit", "size"), [(1, 1, 8), (2, 1, 16), (3, 1, 24), (2, 16, 256)])
def test_it_starts_at_a_few_items_or_batches_per_worker(workers: int, unit: int, size: int) -> None:
    assert Window(workers, unit).size == size


def test_room_is_what_is_not_inside() -> None:
    window = begun(1)
    window.submitted(5)
    assert (window.inside, window.room) == (5, 3)
    window.submitted(3)
    assert window.room == 0
    window.consumed(6)
    assert (window.inside, window.room) == (2, 6)


def test_room_is_made_known_by_the_quarter() -> None:
    window = begun(2)
    window.submitted(16)
    window.consumed(3)
    assert window.room == 0
    window.consumed(1)
    assert window.room == 4
    window.submitted(1)
    assert window.room == 0


def test_it_grows_when_it_alone_kept_workers_waiting() -> None:
    window = begun(1)
    window.submitted(8)
    assert window.starved(unread=3)
    assert (window.size, window.room) == (32, 24)


def test_it_is_full_as_long_as_less_than_a_quarter_is_free() -> None:
    """What is free then was made known to nobody, so it is not the source that is slow."""
    window = begun(1)
    window.submitted(7)
    assert window.starved(unread=3)
    assert (window.size, window.room) == (32, 25)


def test_it_grows_when_there_is_nothing_to_take_whatever_the_user_does_meanwhile() -> None:
    """In order, all that has ended may wait for one slow item."""
    window = begun(1)
    window.waits(False)
    window.submitted(8)
    assert window.starved(unread=0)
    assert window.size == 32


def test_it_stays_while_there_is_room_the_source_is_the_slow_one() -> None:
    window = begun(1)
    window.submitted(6)
    assert window.starved(unread=3)
    assert (window.size, window.room) == (8, 2)


def test_it_stays_while_results_wait_for_the_user() -> None:
    window = begun(1)
    window.waits(False)
    window.submitted(8)
    assert not window.starved(unread=3)
    assert window.size == 8


@pytest.mark.parametrize("before", [True, False], ids=["before items came", "since"])
def test_it_grows_if_the_user_has_waited_although_there_is_something_now(before: bool) -> None:
    """What workers ended came together with the news that they starve."""
    window = begun(1)
    window.waits(before)
    window.submitted(8)
    window.waits(True)
    window.waits(False)
    assert window.starved(unread=3)
    assert window.size == 32


def test_that_the_user_has_waited_long_ago_says_nothing() -> None:
    window = begun(1)
    window.submitted(4)
    window.waits(False)
    window.submitted(4)
    assert not window.starved(unread=3)
    assert window.size == 8


def test_workers_that_starve_are_remembered_until_items_come() -> None:
    """They say it once. If results were unread then, the next that is read makes room, however little."""
    window = begun(2)
    window.waits(False)
    window.submitted(16)
    assert not window.starved(unread=3)
    window.consumed(1)
    assert window.room == 1
    window.submitted(1)
    window.consumed(1)
    assert window.room == 0


def test_it_grows_to_its_limit_and_no_further() -> None:
    window = begun(1, limit=50)
    sizes = []
    for _ in range(4):
        window.submitted(window.room)
        sizes.append((window.starved(unread=3), window.size))
    assert sizes == [(True, 32), (True, 50), (False, 50), (False, 50)]


def test_the_limit_never_cuts_what_the_workers_hold() -> None:
    window = begun(16, unit=4, limit=10)
    assert (window.size, window.room) == (512, 512)
    window.submitted(512)
    assert not window.starved(unread=3)


def test_the_default_limit_is_reached() -> None:
    window = begun(1)
    while window.starved(unread=3):
        window.submitted(window.room)
    assert window.size == LIMIT


def test_a_window_that_is_overfull_has_no_room() -> None:
    window = begun(1)
    window.submitted(9)
    assert window.room == 0


# Bytes

MIB = 1 << 20


def test_the_first_item_comes_alone_and_the_rest_once_it_has_been_weighed() -> None:
    window = Window(2)
    assert window.room == 1
    window.submitted(1, 100)
    assert window.room == 15
    assert Window(2, unit=4).room == 4, "or a batch, which should be full"


def test_large_items_are_bounded_by_their_bytes() -> None:
    window = Window(2, bytes_limit=100 * MIB)
    window.submitted(1, 10 * MIB)
    assert window.room == 9
    window.submitted(9, 90 * MIB)
    assert window.room == 0
    window.consumed(2, 20 * MIB)
    assert window.room == 0, "room is made known by the quarter"
    window.consumed(1, 10 * MIB)
    assert window.room == 3


def test_the_workers_are_kept_busy_however_large_items_are() -> None:
    window = Window(2, unit=4, bytes_limit=MIB)
    window.submitted(1, 100 * MIB)
    assert window.room == 3 * 2 * 4 - 1


def test_results_that_were_not_taken_weigh_as_well() -> None:
    window = Window(4, bytes_limit=160 * MIB)
    window.submitted(16, 0)
    assert window.room == 16
    window.weighs(16 * 10 * MIB)
    assert window.room == 0
    window.consumed(8, 80 * MIB)
    assert window.room == 8


def test_what_weighs_nothing_is_bounded_by_its_number() -> None:
    assert begun(3).room == 24


def test_a_window_that_is_full_of_bytes_does_not_grow() -> None:
    window = Window(1, bytes_limit=5 * MIB)
    window.waits(True)
    window.submitted(5, 5 * MIB)
    assert not window.starved(unread=3)
    assert window.size == 8


def test_half_of_the_store_is_for_it_and_the_workers_have_something_to_do() -> None:
    window = Window(2, store=160 * MIB)
    window.submitted(1, 10 * MIB)
    assert window.room == 7
    window.weighs(30 * MIB)
    assert window.room == 3, "one that runs and one that is in hand, for each"
    assert begun(2, store=MIB).room == 16


def test_where_others_want_the_items_it_is_what_starts_soon() -> None:
    window = Window(2, shared=True)
    assert window.size == 6
    window.paced(1000.0)
    assert window.size == 106
    window.paced(1.0)  # and it shrinks again, at once
    assert window.size == 6


def test_where_others_want_the_items_it_is_what_workers_look_ahead() -> None:
    window = Window(2, shared=True)
    window.paced(0.0, lookahead=2)
    assert window.size == 6  # two run, two are on their way, and one each beyond
    window.paced(0.0, lookahead=40)
    assert window.size == 44
    window.paced(100.0, lookahead=2)
    assert window.size == 16


def test_where_others_want_the_items_hunger_does_not_make_it_larger() -> None:
    window = Window(1, shared=True)
    window.waits(True)
    window.submitted(1)
    window.consumed(1)
    window.submitted(3)
    assert not window.starved(unread=3)
    assert window.size == 3


def test_a_pace_changes_nothing_where_nobody_shares() -> None:
    window = Window(1)
    window.paced(1e6)
    assert window.size == 8
