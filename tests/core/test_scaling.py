"""How many workers there should be: whole lists of decisions, no clock."""

from __future__ import annotations

import pytest

from pullahead.core.scaling import LASTING, MARGIN, PATIENCE, Effect, Facts, Grow, Scaling, Shrink
from pullahead.errors import ProtocolError

BUSY = Facts(unstarted=100, pace=1.0, lasted=1.0)


def begun(least: int, most: int, unit: int = 1, setup: float = 0.0) -> Scaling:
    """The first workers have been asked for at 0 and are there at `setup`."""
    scaling = Scaling(least, most, 0.0, unit)
    for place in range(least):
        scaling.placed(place, 0.0)
        assert scaling.joined(place, setup) == []
    return scaling


def sizes(effects: list[Effect]) -> list[Effect]:
    """The effects, less why."""
    return [effect._replace(why="") for effect in effects]


def arrive(scaling: Scaling, now: float, *places: int) -> None:
    for place in places:
        scaling.placed(place, now)
        assert scaling.joined(place, now) == []


# Growing


def test_a_large_backlog_doubles_the_workers_every_half_second() -> None:
    scaling = begun(1, 6)
    assert scaling.heard(BUSY, 10.0) == []
    assert scaling.deadline == 10.0 + LASTING
    assert sizes(scaling.tick(10.5)) == [Grow(1, (1,), "")]
    assert scaling.deadline == 11.0
    assert sizes(scaling.tick(11.0)) == [Grow(2, (2, 3), "")]
    assert sizes(scaling.tick(11.5)) == [Grow(4, (4, 5), "")]
    assert scaling.live == 6
    assert scaling.heard(BUSY, 20.0) == []
    assert scaling.deadline is None
    scaling.validate()


def test_each_decision_says_why() -> None:
    scaling = begun(2, 8, setup=3.0)
    scaling.heard(BUSY, 10.0)
    (grow,) = scaling.tick(10.5)
    assert grow.why == "100 items of 1 s are 50 s for each, and starting one takes 3 s"
    scaling = begun(1, 2)
    scaling.heard(Facts(unstarted=1, pace=0.001, lasted=5.0), 10.0)
    scaling.heard(Facts(unstarted=1, pace=0.001, lasted=5.0), 10.5)
    assert scaling.tick(20.0) == []
    (grow,) = scaling.tick(20.5)
    assert grow.why == "there was always something to do, 10.5 s for each so far, and starting one takes 0 µs"


@pytest.mark.parametrize(
    ("seconds", "places"), [(3.8, ()), (4.0, (2,)), (5.1, (2,)), (5.3, (2, 3)), (600.0, (2, 3))]
)
def test_one_more_pays_where_each_has_work_for_longer_than_starting_it_takes(
    seconds: float, places: tuple[int, ...]
) -> None:
    assert MARGIN == 1.0
    scaling = begun(2, 8, setup=0.3)
    scaling.heard(Facts(unstarted=10, pace=seconds / 10, lasted=0.01), 10.0)
    assert sizes(scaling.tick(10.5)) == ([Grow(2, places, "")] if places else [])


def test_a_model_that_loads_for_half_a_minute_is_not_started_for_little_work() -> None:
    scaling = begun(1, 8, setup=30.0)
    assert scaling.heard(Facts(unstarted=40, pace=1.0, lasted=5.0), 40.0) == []
    assert scaling.tick(41.0) == []
    assert scaling.heard(Facts(unstarted=63, pace=1.0, lasted=6.0), 42.0) == []
    assert sizes(scaling.tick(42.5)) == [Grow(1, (1,), "")]


def test_nobody_is_started_for_a_moment() -> None:
    scaling = begun(1, 8)
    scaling.heard(BUSY, 10.0)
    assert scaling.heard(Facts(), 10.4) == []
    assert scaling.deadline is None
    scaling.heard(BUSY._replace(lasted=0.1), 10.5)
    assert scaling.tick(10.6) == []
    assert sizes(scaling.tick(11.0)) == [Grow(1, (1,), "")]


def test_a_moment_without_work_that_was_not_seen_counts() -> None:
    scaling = begun(1, 8)
    scaling.heard(BUSY, 10.0)
    assert scaling.heard(BUSY._replace(lasted=0.1), 10.5) == []
    assert scaling.deadline == pytest.approx(10.9)


def test_before_the_first_one_is_there_nobody_is_added() -> None:
    scaling = Scaling(2, 8, 0.0)
    assert scaling.heard(BUSY, 10.0) == []
    assert scaling.tick(20.0) == []
    assert scaling.deadline is None
    assert scaling.joined(1, 21.0) == []
    assert sizes(scaling.tick(21.5)) == [Grow(2, (2, 3), "")]


def test_an_item_that_has_not_ended_takes_as_long_as_it_has_been_waited_for() -> None:
    scaling = begun(1, 8, setup=2.0)
    assert scaling.heard(Facts(unstarted=60, lasted=2.0), 2.0) == []
    assert scaling.deadline == pytest.approx(2.1)  # 6 s of work: twice what starting takes, and a second
    assert scaling.tick(2.1) == []
    assert sizes(scaling.tick(2.6)) == [Grow(1, (1,), "")]


def test_what_is_not_known_is_expected_to_last_as_long_again() -> None:
    scaling = begun(1, 8, setup=1.0)
    trickle = Facts(unstarted=9, pace=0.01, lasted=0.1)
    assert scaling.heard(trickle, 1.0) == []
    assert scaling.deadline == 5.0
    assert scaling.heard(trickle._replace(lasted=4.1), 5.0) == []
    assert sizes(scaling.tick(5.5)) == [Grow(1, (1,), "")]
    scaling.placed(1, 5.5)
    assert scaling.joined(1, 6.5) == []
    assert scaling.heard(trickle._replace(lasted=5.6), 6.5) == []
    assert scaling.deadline == pytest.approx(6.75), "5.5 s, and two for 0.25 s: twice 3 s"


def test_no_more_than_there_are_items() -> None:
    scaling = begun(2, 8)
    scaling.heard(Facts(unstarted=1, pace=100.0), 10.0)
    assert sizes(scaling.tick(10.5)) == [Grow(2, (2,), "")]
    scaling = begun(2, 8, unit=10)
    scaling.heard(Facts(unstarted=11, pace=100.0), 10.0)
    assert sizes(scaling.tick(10.5)) == [Grow(2, (2, 3), "")]


def test_what_the_source_still_has_counts_only_while_something_is_ready() -> None:
    scaling = begun(1, 8)
    assert scaling.heard(Facts(unstarted=1, unread=1000, pace=0.1), 10.0) == []
    assert scaling.deadline is None
    scaling.heard(Facts(unstarted=5, unread=1000, pace=0.1, lasted=0.01), 11.0)
    assert sizes(scaling.tick(11.5)) == [Grow(1, (1,), "")]


@pytest.mark.parametrize(
    "why_not", [{"idle": {0: 0.1}}, {"is_failing": True}, {"is_over": True}, {"is_held_back": True}]
)
def test_when_nobody_is_added(why_not: dict[str, object]) -> None:
    scaling = begun(1, 8)
    assert scaling.heard(BUSY._replace(**why_not), 10.0) == []  # type: ignore[arg-type]
    assert scaling.tick(11.0) == []
    assert scaling.deadline is None


# Shrinking


def grown(least: int = 1, most: int = 4) -> Scaling:
    """All are there, at 20."""
    scaling = begun(least, most, setup=1.0)
    scaling.heard(BUSY, 10.0)
    for moment in (10.5, 11.0, 11.5):
        scaling.tick(moment)
    for place in range(least, most):
        scaling.placed(place, 19.0)
        scaling.joined(place, 20.0)
    assert scaling.live == most
    return scaling


def test_who_was_idle_for_long_enough_is_drained_from_the_highest_on() -> None:
    scaling = grown()
    idle = {1: 0.5, 2: 3.0, 3: 1.0}
    assert scaling.heard(Facts(idle=idle), 30.0) == []
    patience = PATIENCE + scaling._detour
    assert scaling.deadline == pytest.approx(30.0 - 3.0 + patience)
    assert sizes(scaling.tick(27.0 + patience)) == [Shrink(4, (), (2,), "")]
    assert sizes(scaling.tick(30.0 + patience)) == [Shrink(3, (), (3, 1), "")]
    assert scaling.live == 1
    assert scaling.deadline is None
    scaling.validate()


def test_never_below_the_least() -> None:
    scaling = grown(least=2)
    assert sizes(scaling.heard(Facts(idle=dict.fromkeys(range(4), 99.0)), 99.0)) == [
        Shrink(4, (), (3, 2), "")
    ]
    assert scaling.tick(1000.0) == []
    assert scaling.deadline is None


def test_who_is_there_is_not_drained_for_who_is_on_its_way() -> None:
    scaling = begun(1, 2)
    scaling.heard(BUSY, 10.0)
    scaling.tick(10.5)
    scaling.placed(1, 10.5)
    assert scaling.heard(Facts(idle={0: 99.0}), 99.0) == []
    assert scaling.deadline is None
    assert sizes(scaling.joined(1, 120.0)) == [Shrink(2, (), (0,), "")]


def test_who_has_just_come_was_idle_for_no_longer_than_it_is_there() -> None:
    scaling = grown()
    assert scaling.heard(Facts(idle={3: 1e9}), 20.5) == []
    assert scaling.deadline == pytest.approx(20.0 + PATIENCE + scaling._detour)


def test_patience_is_longer_where_starting_takes_long_but_no_longer_than_a_minute() -> None:
    scaling = begun(1, 2, setup=100.0)
    scaling.heard(Facts(unstarted=9, pace=100.0), 100.0)
    scaling.tick(100.5)
    arrive(scaling, 101.0, 1)
    assert scaling.heard(Facts(idle={1: 55.0}), 156.0) == []
    assert sizes(scaling.tick(161.0)) == [Shrink(2, (), (1,), "")]


def test_at_the_end_who_is_idle_goes_at_once() -> None:
    scaling = grown()
    (shrink,) = scaling.heard(Facts(idle={2: 0.0, 3: 0.1}, is_over=True), 30.0)
    assert shrink == Shrink(4, (), (3, 2), "nothing more is to come")


def test_a_worker_that_leaves_keeps_its_place_until_it_has() -> None:
    scaling = grown(most=2)
    scaling.heard(Facts(idle={1: 99.0}), 120.0)
    assert scaling.heard(BUSY, 121.0) == []
    assert scaling.tick(121.5) == []
    assert scaling.deadline is None
    assert sizes(scaling.left(1, 122.0)) == [Grow(1, (1,), "")]
    assert scaling.live == 2


def test_who_waits_for_a_place_goes_first() -> None:
    scaling = begun(1, 8)
    scaling.heard(BUSY, 10.0)
    for moment in (10.5, 11.0, 11.5):
        scaling.tick(moment)
    arrive(scaling, 12.0, 1, 2)
    assert scaling.live == 8
    assert scaling.heard(Facts(), 13.0) == []
    patience = PATIENCE + scaling._detour
    assert scaling.deadline == pytest.approx(13.0 + patience)
    (shrink,) = scaling.tick(13.0 + patience)
    assert isinstance(shrink, Shrink)
    assert shrink.waiting == (7, 6, 5, 4, 3)
    assert shrink.idle == ()
    assert shrink.why.startswith("there was nothing to do for ")
    assert scaling.live == 3
    assert scaling.joined(7, 20.0) == [], "it came too late"
    scaling.validate()


def test_who_has_a_place_is_not_ended_while_it_begins() -> None:
    scaling = begun(1, 2)
    scaling.heard(BUSY, 10.0)
    scaling.tick(10.5)
    scaling.placed(1, 11.0)
    scaling.heard(Facts(), 12.0)
    assert scaling.tick(99.0) == []
    assert scaling.joined(1, 100.0) == []
    assert scaling.heard(Facts(idle={1: 0.0}), 100.0) == []


def test_waiting_for_a_place_is_no_part_of_what_starting_takes() -> None:
    scaling = Scaling(1, 2, 0.0)
    scaling.placed(0, 50.0)
    scaling.joined(0, 51.0)
    scaling.heard(Facts(unstarted=5, pace=1.0, lasted=0.1), 52.0)
    assert sizes(scaling.tick(52.5)) == [Grow(1, (1,), "")]


# Deaths


def test_a_worker_in_the_place_of_another_one_counts_and_is_on_its_way() -> None:
    scaling = grown(most=2)
    assert scaling.replaced(1, 30.0) == []
    assert scaling.live == 2
    assert scaling.heard(Facts(idle={1: 99.0}), 31.0) == [], "it is not there yet"
    scaling.placed(1, 32.0)
    assert scaling.joined(1, 33.0) == []
    assert scaling.live == 2


def test_places_without_a_worker_lose_none() -> None:
    scaling = begun(1, 2)
    with pytest.raises(ProtocolError, match="has left place 1, where there was none"):
        scaling.left(1, 1.0)
    with pytest.raises(ProtocolError, match="replaced in place 1, where there is none"):
        scaling.replaced(1, 1.0)


def test_while_nobody_is_there_nothing_is_expected_of_time() -> None:
    scaling = begun(1, 2)
    scaling.replaced(0, 10.0)
    assert scaling.heard(Facts(unstarted=13, lasted=10.0), 10.0) == []
    assert scaling.deadline is None


def test_a_second_first_word_is_none() -> None:
    scaling = begun(1, 2)
    assert scaling.joined(0, 99.0) == []
    assert scaling._setup == 0.0
