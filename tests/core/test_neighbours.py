"""When a queue asks others, whom, for how much, and when it takes that back."""

from __future__ import annotations

from itertools import product

import pytest

from pullahead.core.neighbours import TABLE, Mood, Need, Neighbours, Turn, Want
from pullahead.errors import ProtocolError

TRIP = 0.25
FED = Need(0, 0, 4, TRIP)


def short(credits: int, hungry: int = 1) -> Need:
    return Need(credits, hungry, 4, TRIP)


def asking(others: tuple[int, ...] = (1, 2), need: Need | None = None) -> Neighbours:
    """One that has been short from 0 until TRIP, and has asked."""
    neighbours = Neighbours(others)
    assert neighbours.look(need or short(3), 0.0) == []
    assert len(neighbours.look(need or short(3), TRIP)) == len(others)
    return neighbours


@pytest.mark.parametrize("entry", [e for e in product(Mood, Turn) if e not in TABLE], ids=str)
def test_each_entry_that_is_missing_raises(entry: tuple[Mood, Turn]) -> None:
    neighbours = Neighbours((1,))
    neighbours.mood = entry[0]
    with pytest.raises(ProtocolError, match=f"is {entry[0].value} cannot be {entry[1].value}"):
        neighbours._after(entry[1])


def test_who_is_fed_asks_nobody() -> None:
    neighbours = Neighbours((1, 2))
    assert neighbours.look(FED, 0.0) == []
    assert neighbours.deadline is None


def test_hunger_is_for_others_once_it_has_lasted_for_a_trip() -> None:
    neighbours = Neighbours((1, 2))
    assert neighbours.look(short(3, hungry=2), 1.0) == []
    assert neighbours.deadline == 1.0 + TRIP
    assert neighbours.look(short(5, hungry=3), 1.2) == []
    assert neighbours.look(short(5, hungry=3), 1.0 + TRIP) == [Want(1, 1, 3, 2, 4), Want(2, 2, 3, 2, 4)]
    assert neighbours.deadline is None
    neighbours.validate()


def test_hunger_that_ends_sooner_costs_nothing_and_is_forgotten() -> None:
    neighbours = Neighbours((1, 2))
    neighbours.look(short(3), 0.0)
    assert neighbours.look(FED, 0.2) == []
    assert neighbours.look(short(3), 0.24) == []
    assert neighbours.deadline == 0.24 + TRIP
    assert neighbours.look(short(3), 0.3) == []


def test_a_trip_that_is_very_short_is_a_millisecond() -> None:
    neighbours = Neighbours((1,))
    neighbours.look(Need(1, 1, 4, 0.00001), 0.0)
    assert neighbours.deadline == 0.001


def test_what_stands_is_not_said_again() -> None:
    neighbours = asking()
    assert neighbours.look(short(3), 1.0) == []
    assert neighbours.look(short(99), 2.0) == []
    assert neighbours.deadline is None


def test_who_gave_is_asked_again_and_for_all_that_is_missing_if_it_has_that() -> None:
    neighbours = asking()
    neighbours.gave(1, 1, left=100)
    assert neighbours.look(short(40, hungry=20), 1.0) == [Want(1, 3, 40, 20, 4)]
    neighbours.gave(2, 2, left=25)
    assert neighbours.look(short(40, hungry=20), 1.0) == [Want(2, 4, 25, 13, 4)]
    neighbours.gave(1, 3, left=0)
    assert neighbours.look(short(40, hungry=20), 1.0) == [Want(1, 5, 20, 10, 4)], "its part, as any other"
    neighbours.validate()


def test_an_answer_to_an_earlier_claim_does_not_touch_the_one_that_stands() -> None:
    neighbours = asking()
    neighbours.gave(1, 1, left=0)
    assert neighbours.look(short(3), 1.0) == [Want(1, 3, 2, 1, 4)]
    neighbours.gave(1, 1, left=0)
    assert neighbours.look(short(3), 1.0) == []


def test_who_is_fed_for_eight_trips_takes_it_back() -> None:
    neighbours = asking()
    assert neighbours.look(FED, 1.0) == []
    assert neighbours.deadline == 1.0 + 8 * TRIP
    assert neighbours.look(FED, 2.9) == []
    assert neighbours.look(FED, 1.0 + 8 * TRIP) == [Want(1, 3, 0, 0, 4), Want(2, 4, 0, 0, 4)]
    assert neighbours.deadline is None
    assert neighbours.sizes() == {"claims made": 0}


def test_who_is_hungry_again_before_that_leaves_it_standing() -> None:
    neighbours = asking()
    neighbours.look(FED, 1.0)
    neighbours.gave(1, 1, left=0)
    assert neighbours.look(FED, 1.1) == [], "nothing is asked for while nobody is hungry"
    assert neighbours.look(short(4), 1.2) == [Want(1, 3, 2, 1, 4)]
    assert neighbours.deadline is None


def test_nothing_is_left_once_all_have_said_so_of_what_stands() -> None:
    neighbours = asking()
    neighbours.is_dry(1, 1)
    assert not neighbours.are_dry
    neighbours.is_dry(2, 7)
    assert not neighbours.are_dry, "that was another claim"
    neighbours.is_dry(2, 2)
    assert neighbours.are_dry
    neighbours.gave(1, 1, left=3)
    neighbours.look(short(3), 1.0)
    assert not neighbours.are_dry
    neighbours.validate()
