"""When a worker that died is replaced: exact seconds, no clock."""

from __future__ import annotations

from pullahead.core.replacements import Replacements


def test_the_first_death_of_each_lane_is_answered_at_once() -> None:
    one = Replacements(3)
    assert [one.died(lane, ()) for lane in (0, 1, 2)] == [0.0] * 3


def test_deaths_in_a_row_wait_twice_as_long_each_time_and_five_seconds_at_most() -> None:
    one = Replacements(2)
    assert [one.died(0, ()) for _ in range(9)] == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert one.died(1, ()) == 0.0, "each lane for itself"
    assert [one.died(0, ()) for _ in range(2000)] == [5.0] * 2000, "however many"


def test_five_in_a_row_on_every_lane_are_enough() -> None:
    one = Replacements(2)
    answers = [one.died(lane, ()) for _ in range(5) for lane in (0, 1)]
    assert answers[:-1].count(None) == 0
    assert answers[-1] is None
    assert one.deaths == 10
    assert one.died(0, ()) is None, "and it stays so"


def test_one_lane_alone_gives_up_after_five() -> None:
    one = Replacements(1)
    assert [one.died(0, ()) for _ in range(5)] == [0.0, 0.1, 0.2, 0.4, None]


def test_an_item_that_ended_breaks_the_row() -> None:
    one = Replacements(2)
    for _ in range(4):
        one.died(0, ())
        one.died(1, ())
    one.finished()
    assert one.deaths == 0
    assert [one.died(0, ()) for _ in range(3)] == [0.0, 0.1, 0.2]


def test_an_item_that_kills_its_worker_again_and_again_stops_nobody_else() -> None:
    one = Replacements(1)
    assert [one.died(0, (7,)) for _ in range(99)] == [0.0] * 99
    assert one.deaths == 1
    assert one.died(0, (7, 8)) == 0.1, "8 may have done it"
    assert one.died(0, (8,)) == 0.0


def test_items_that_kill_one_after_the_other_are_no_accident() -> None:
    one = Replacements(1)
    answers = []
    for item in range(5):
        answers.append(one.died(0, (item,)))
        one.ended((item,))
    assert answers == [0.0, 0.1, 0.2, 0.4, None]


def test_what_has_ended_is_no_suspect_any_more() -> None:
    one = Replacements(1)
    one.died(0, (7,))
    one.ended((7,))
    assert not one._suspects


def test_workers_that_were_killed_for_their_items_do_not_count() -> None:
    one = Replacements(1)
    assert [one.died(0, (item,), killed=True) for item in range(20)] == [0.0] * 20
    assert one.deaths == 0


def test_lanes_without_a_worker_do_not_count() -> None:
    one = Replacements(1)
    one.opened(3)
    answers = [one.died(lane, ()) for _ in range(4) for lane in (0, 3)]
    assert answers.count(None) == 0
    one.closed(3)
    assert one.died(0, ()) is None


def test_a_lane_that_was_opened_again_begins_anew() -> None:
    one = Replacements(2)
    assert [one.died(1, ()) for _ in range(3)] == [0.0, 0.1, 0.2]
    one.opened(1)
    assert one.died(1, ()) == 0.4, "it was open"
    one.closed(1)
    one.opened(1)
    assert one.died(1, ()) == 0.0
