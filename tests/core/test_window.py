"""How many items may be in the system."""

from __future__ import annotations

import pytest

from pullahead.core.window import LIMIT, Window


@pytest.mark.parametrize(("workers", "unit", "size"), [(1, 1, 8), (2, 1, 16), (3, 1, 24), (2, 16, 256)])
def test_it_starts_at_a_few_items_or_batches_per_worker(workers: int, unit: int, size: int) -> None:
    assert Window(workers, unit).size == size


def test_room_is_what_is_not_inside() -> None:
    window = Window(1)
    window.submitted(5)
    assert (window.inside, window.room) == (5, 3)
    window.submitted(3)
    assert window.room == 0
    window.consumed(6)
    assert (window.inside, window.room) == (2, 6)


def test_room_is_made_known_by_the_quarter() -> None:
    window = Window(2)
    window.submitted(16)
    window.consumed(3)
    assert window.room == 0
    window.consumed(1)
    assert window.room == 4
    window.submitted(1)
    assert window.room == 0


def test_it_doubles_when_it_alone_kept_workers_waiting() -> None:
    window = Window(1)
    window.submitted(8)
    assert window.starved(unread=0)
    assert (window.size, window.room) == (16, 8)


def test_it_stays_while_there_is_room_the_source_is_the_slow_one() -> None:
    window = Window(1)
    window.submitted(7)
    assert window.starved(unread=0)
    assert (window.size, window.room) == (8, 1)


def test_it_stays_while_results_wait_for_the_user() -> None:
    window = Window(1)
    window.submitted(8)
    assert not window.starved(unread=1)
    assert window.size == 8


def test_workers_that_starve_are_remembered_until_items_come() -> None:
    """They say it once. If results were unread then, the next that is read makes room, however little."""
    window = Window(2)
    window.submitted(16)
    assert not window.starved(unread=3)
    window.consumed(1)
    assert window.room == 1
    window.submitted(1)
    window.consumed(1)
    assert window.room == 0


def test_it_grows_to_its_limit_and_no_further() -> None:
    window = Window(1, limit=20)
    sizes = []
    for _ in range(4):
        window.submitted(window.room)
        sizes.append((window.starved(unread=0), window.size))
    assert sizes == [(True, 16), (True, 20), (False, 20), (False, 20)]


def test_the_limit_never_cuts_what_the_workers_hold() -> None:
    window = Window(16, unit=4, limit=10)
    assert (window.size, window.room) == (512, 512)
    window.submitted(512)
    assert not window.starved(unread=0)


def test_the_default_limit_is_reached_by_doubling() -> None:
    window = Window(1)
    while window.starved(unread=0):
        window.submitted(window.room)
    assert window.size == LIMIT


def test_a_window_that_is_overfull_has_no_room() -> None:
    window = Window(1)
    window.submitted(9)
    assert window.room == 0
