"""When hunger is said, for how long it is believed, and what a ledger leaves to others for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pullahead.core.hunger import HEARD, SAY, Hunger
from pullahead.core.ledger import Effect, Ended, Grant, Ledger, Recall, RunEnded, Starved, State

SOURCE = "source"


def test_hunger_is_said_at_once_and_again_after_a_while() -> None:
    hunger = Hunger()
    said = [now for now in (0.0, 0.1, SAY - 0.01, SAY, SAY + 0.1, 5.0) if hunger.may_say(now)]
    assert said == [0.0, SAY, 5.0]


def test_what_is_heard_is_news_once_and_over_after_a_while() -> None:
    hunger = Hunger()
    assert hunger.news(0.0) is None
    hunger.heard(2, 0.0)
    assert [hunger.news(0.0), hunger.news(0.1)] == [2, None]
    hunger.heard(2, 0.5)
    hunger.heard(0, 0.6)
    assert [hunger.news(0.6), hunger.news(0.5 + HEARD - 0.01)] == [2, None]
    assert [hunger.news(0.5 + HEARD), hunger.news(9.0)] == [0, None]


def test_who_is_left_when_something_was_given_is_news_again() -> None:
    hunger = Hunger()
    hunger.gave(1)
    assert hunger.news(0.0) is None
    hunger.heard(3, 0.0)
    assert hunger.news(0.0) == 3
    hunger.gave(1)
    assert [hunger.news(0.1), hunger.news(0.1)] == [2, None]
    hunger.gave(5)
    assert [hunger.news(0.2), hunger.news(HEARD)] == [None, 0]


def test_who_is_left_is_no_news_where_several_queues_give_their_part() -> None:
    hunger = Hunger(queues=2)
    hunger.heard(3, 0.0)
    assert hunger.news(0.0) == 3
    hunger.gave(1)
    assert hunger.news(0.1) is None  # the other one gives, too
    hunger.heard(1, 0.5)
    assert hunger.news(0.5) == 1


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A ledger with run 1 open and workers 0 and 1; checked once the test is over."""
    ledger = Ledger()
    ledger.opened(1)
    ledger.joined(0)
    ledger.joined(1)
    yield ledger
    ledger.validate()


def left(first: int, *more: int, run: int = 1) -> Ended:
    return Ended(run, (first, *more), State.LEFT)


def busy(ledger: Ledger, items: int) -> list[Effect]:
    """Each of the two workers runs one item, and worker 0 holds the rest of so many."""
    effects = ledger.submitted(1, 0, items, SOURCE, 0.0)
    effects += ledger.asked(0, items - 1, 0.0) + ledger.asked(1, 1, 0.0)
    ledger.started(0, 1, (0,))
    ledger.started(1, 2, (items - 1,))
    return effects


def test_others_get_their_share_of_what_is_ready(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 8, SOURCE, 0.0)
    assert ledger.shared(1, 2, 0.0) == [left(0, 1)]  # a call each
    assert ledger.shared(1, 100, 0.0) == [left(2, 3, 4, 5, 6, 7)]  # 100 of 102 workers


def test_the_share_of_one_among_three_workers_is_a_third(ledger: Ledger) -> None:
    batches = Ledger(unit=4)
    batches.opened(1)
    batches.joined(0)
    batches.joined(1)
    batches.submitted(1, 0, 9, SOURCE, 0.0)
    assert batches.shared(1, 1, 0.0) == [left(0, 1, 2, 3)]  # of nine, three are its share: one batch
    batches.validate()


def test_own_hungry_workers_come_first_and_who_looks_ahead_after_others(ledger: Ledger) -> None:
    ledger.asked(1, 2, 0.0)
    ledger.asked(0, 1, 0.0)
    ledger.hungry(0, 1, 0.0)
    assert ledger.shared(1, 1, 0.0) == []
    assert ledger.submitted(1, 0, 3, SOURCE, 0.0) == [
        Grant(0, 1, 1, 0, 1, 0.0, SOURCE, 1),
        left(1),
        Grant(1, 2, 1, 2, 1, 0.0, SOURCE, 0),
        Starved(1),
    ]


def test_what_a_worker_holds_is_recalled_for_others(ledger: Ledger) -> None:
    busy(ledger, 5)
    assert ledger.shared(1, 1, 1.0) == [Recall(0, 1)]
    assert ledger.gave_back(0, 1, (3,), 1.001) == [left(3)]
    assert ledger.recalled(0, 1, 1.001) == []
    assert ledger.shared(1, 0, 2.0) == []


def test_what_runs_is_nobody_elses(ledger: Ledger) -> None:
    busy(ledger, 2)
    assert ledger.shared(1, 5, 10.0) == []


def test_others_get_nothing_once_they_are_not_hungry_any_more(ledger: Ledger) -> None:
    assert ledger.shared(1, 1, 0.0) == []
    assert ledger.shared(1, 0, 0.0) == []
    assert ledger.submitted(1, 0, 3, SOURCE, 0.0) == []


def test_a_claim_is_over_with_its_answer(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 3, SOURCE, 0.0)
    assert ledger.shared(1, 1, 0.0) == [left(0)]
    assert ledger.submitted(1, 3, 3, SOURCE, 0.0) == []


def test_only_the_run_that_takes_from_there_gives(ledger: Ledger) -> None:
    ledger.opened(2)
    ledger.submitted(2, 0, 5, SOURCE, 0.0)
    assert ledger.shared(1, 3, 0.0) == []
    ledger.submitted(1, 5, 5, SOURCE, 0.0)
    assert ledger.shared(1, 3, 0.0) == [left(5, 6, 7)]


def test_a_run_that_has_ended_has_nothing_to_give(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    ledger.closed(1, 0.0)
    assert ledger.shared(1, 1, 0.0) == [left(0), RunEnded(1)]
    assert ledger.shared(1, 1, 0.0) == []
