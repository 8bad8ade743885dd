"""Ledgers of several queues: what goes from one to another, when, and what is left of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pullahead.core.claims import Claim
from pullahead.core.ledger import (
    Effect,
    Ended,
    Grant,
    Ledger,
    Lot,
    Move,
    NoneLeft,
    NothingLeft,
    Recall,
    Starved,
    State,
    Want,
)
from pullahead.core.retry import Again, Bury
from pullahead.errors import ProtocolError

SOURCE = "source"
TRIP = 0.002  # as long as no recall was answered
PLENTY = 1 << 20


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """Queue 0 of three, with run 1 open and workers 0 and 3; checked once the test is over."""
    ledger = Ledger(others=(1, 2))
    ledger.opened(1)
    ledger.joined(0)
    ledger.joined(3)
    yield ledger
    ledger.validate()


def claim(queue: int = 1, number: int = 1, credits: int = 1, hungry: int = 1, workers: int = 2) -> Claim:
    return Claim(queue, number, credits, hungry, workers)


def lot(first: int, size: int = 1, run: int = 1) -> Lot:
    return Lot(run, first, size, {})


def hungry(ledger: Ledger, worker: int = 0, credits: int = 2, now: float = 0.0) -> list[Effect]:
    return ledger.asked(worker, credits, now) + ledger.hungry(worker, credits, now)


def asking(ledger: Ledger) -> Ledger:
    """Its worker 0 has been hungry from 0 until TRIP, and others know that it wants two items."""
    hungry(ledger)
    assert ledger.tick(TRIP) == [Want(1, 1, 1, 1, 2), Want(2, 2, 1, 1, 2)]
    return ledger


# Whom this queue serves


def test_own_hungry_workers_come_first_then_other_queues_then_who_looks_ahead(ledger: Ledger) -> None:
    ledger.asked(3, 4, 0.0)
    hungry(ledger, 0, 1)
    assert ledger.wanted(claim(credits=1), 0.0) == []
    assert ledger.submitted(1, 0, 3, SOURCE, 0.0) == [
        Grant(0, 1, 1, 0, 1, 0.0, SOURCE, 1),
        Move(1, 1, 1, (lot(1),)),
        Grant(3, 2, 1, 2, 1, 0.0, SOURCE, 0),
        Starved(1),
    ]


def test_a_claim_gets_its_share_by_workers_once_and_never_all(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 8, SOURCE, 0.0)
    assert ledger.wanted(claim(credits=100), 0.0) == [Move(1, 1, 4, (lot(0, 4),))]
    assert ledger.asked(0, 1, 0.0) == [Grant(0, 1, 1, 4, 1, 0.0, SOURCE, 1)], "the claim is over"
    assert ledger.wanted(claim(2, credits=9, workers=1), 0.0) == [Move(2, 1, 2, (lot(5),))]


def test_two_claims_share_with_each_other(ledger: Ledger) -> None:
    hungry(ledger, 0, 1)
    ledger.wanted(claim(1, credits=9), 0.0)
    ledger.wanted(claim(2, credits=9), 0.0)
    effects = ledger.submitted(1, 0, 13, SOURCE, 0.0)
    assert effects[1:] == [Move(1, 1, 8, (lot(1, 4),)), Move(2, 1, 4, (lot(5, 4),))]


def test_an_answer_may_have_several_lots(ledger: Ledger) -> None:
    ledger.opened(2)
    ledger.submitted(2, 0, 2, SOURCE, 0.0)
    ledger.submitted(1, 2, 1, SOURCE, 0.0)
    ledger.submitted(1, 5, 3, SOURCE, 0.0)
    assert ledger.wanted(claim(credits=4, workers=8), 0.0) == [
        Move(1, 1, 2, (lot(0, 2, run=2), lot(2), lot(5)))
    ]


def test_a_claim_that_is_taken_back_gets_nothing(ledger: Ledger) -> None:
    ledger.wanted(claim(), 0.0)
    ledger.wanted(claim(number=2, credits=0), 0.0)
    assert ledger.submitted(1, 0, 1, SOURCE, 0.0) == []
    assert ledger.sizes()["claims"] == 0


def test_what_moved_leaves_no_trace_and_takes_its_history_along(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 3, SOURCE, 0.0)
    ledger.asked(0, 3, 0.0)
    ledger.started(0, 1, (0,))
    ledger.lost(0, {0: Again(0.5, charged=True)}, 0.0, loading=(1,))
    ledger.tick(0.5)
    ledger.closed(1, 0.5)
    (move,) = ledger.wanted(claim(credits=9, workers=1000), 0.5)
    assert isinstance(move, Move)
    assert [(one.first, one.size) for one in move.lots] == [(0, 3)]
    assert move.lots[0].histories == {0: (1, True, True), 1: (0, True, False)}
    assert {name for name, size in ledger.sizes().items() if size} == {"open runs"}
    assert ledger.statistics().away == 3
    thief = Ledger(others=(0,))
    thief.opened(1)
    assert thief.came(0, 1, 0, move.lots, 0.5) == []
    assert (thief.attempts(0), thief.attempts(1)) == (1, 0)
    thief.joined(1)
    (grant,) = thief.asked(1, 3, 0.5)
    assert isinstance(grant, Grant)
    assert (grant.first, grant.size, grant.suspects) == (0, 3, (0,))
    thief.validate()


def test_nothing_ready_is_recalled_for_another_queue(ledger: Ledger) -> None:
    """As for a hungry worker here: worker 0 has computed for long, and three wait behind that."""
    ledger.submitted(1, 0, 4, SOURCE, 0.0)
    ledger.asked(0, 4, 0.0)
    assert ledger.wanted(claim(credits=2, hungry=2), 1.0) == [Recall(0, 2)]
    assert ledger.gave_back(0, 1, (2, 3), 1.001) == [Move(1, 1, 1, (lot(2, 2),))]
    assert ledger.recalled(0, 2, 1.001) == []


def test_a_recall_for_own_workers_and_others_is_one(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 7, SOURCE, 0.0)
    ledger.asked(0, 7, 0.0)
    assert hungry(ledger, 3, 1, 1.0) == [Starved(1), Recall(0, 1)]
    assert ledger.wanted(claim(credits=4, hungry=2), 1.0) == []
    effects = ledger.gave_back(0, 1, (6,), 1.001)
    assert effects == [Grant(3, 2, 1, 6, 1, 1.001 - 1.0, SOURCE, 0)], "its own first"
    assert ledger.recalled(0, 1, 1.001) == [Recall(0, 4)]


def test_a_claim_is_told_once_that_nothing_is_left(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    ledger.asked(0, 1, 0.0)
    assert ledger.wanted(claim(), 0.0) == [], "more may come"
    assert ledger.closed(1, 0.0) == [NoneLeft(1, 1)]
    assert ledger.wanted(claim(2), 0.0) == [NoneLeft(2, 1)]
    assert ledger.finished(0, 1, (0,), 1.0) == ((0,), [Ended(1, (0,), State.DONE)])


# What it wants of others


def test_hunger_that_lasts_is_told_to_others_and_taken_back(ledger: Ledger) -> None:
    assert hungry(ledger) == [Starved(1)]
    assert ledger.deadline == TRIP
    assert ledger.tick(TRIP) == [Want(1, 1, 1, 1, 2), Want(2, 2, 1, 1, 2)]
    assert ledger.deadline is None
    assert ledger.submitted(1, 0, 1, SOURCE, 1.0) == [Grant(0, 1, 1, 0, 1, 1.0, SOURCE, 0), Starved(1)]
    assert ledger.deadline == 1.0 + 8 * TRIP
    assert ledger.tick(1.0 + 8 * TRIP) == [Want(1, 3, 0, 0, 2), Want(2, 4, 0, 0, 2)]
    assert ledger.sizes()["claims made"] == 0


def test_who_waits_for_what_is_on_its_way_here_asks_nobody_else(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 3, SOURCE, 0.0)
    ledger.asked(0, 3, 0.0)
    assert hungry(ledger, 3, 1, 1.0) == [Starved(1), Recall(0, 1)]
    assert ledger.deadline is not None
    assert ledger.deadline > 1.0 + TRIP, "when the recall is overdue"
    assert ledger.tick(1.0 + TRIP) == []


def test_what_came_is_granted_and_its_end_is_said_here(ledger: Ledger) -> None:
    asking(ledger)
    effects = ledger.came(1, 1, 5, (lot(7, 2),), 1.0)
    assert effects == [Grant(0, 1, 1, 7, 2, 1.0, SOURCE, 0)]
    assert ledger.finished(0, 1, (7, 8), 2.0) == ((7, 8), [Ended(1, (7, 8), State.DONE)])


def test_who_gave_and_has_more_is_asked_for_all_that_is_missing(ledger: Ledger) -> None:
    hungry(ledger, 0, 9)
    ledger.tick(TRIP)
    hungry(ledger, 3, 9, TRIP)
    assert ledger.came(1, 1, 50, (lot(7, 1),), 1.0) == [
        Grant(0, 1, 1, 7, 1, 1.0, SOURCE, 0),
        Want(1, 3, 9, 1, 2),
    ]


def test_a_move_that_crossed_its_taking_back_is_this_queues_all_the_same(ledger: Ledger) -> None:
    asking(ledger)
    ledger.submitted(1, 0, 2, SOURCE, 1.0)
    ledger.tick(1.0 + 8 * TRIP)
    assert ledger.came(1, 1, 0, (lot(7),), 2.0) == []
    assert ledger.statistics().ready == 1


def test_nobody_waits_in_vain_before_all_queues_have_said_so(ledger: Ledger) -> None:
    asking(ledger)
    assert ledger.closed(1, 1.0) == []
    assert ledger.none_left(1, 1, 1.0) == []
    assert ledger.none_left(2, 2, 1.0) == [NothingLeft(0, 1.0, SOURCE)]


# Runs


def test_a_run_is_forgotten_when_it_is_over_and_not_before(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    ledger.asked(0, 1, 0.0)
    assert ledger.closed(1, 0.0) == []
    assert ledger.finished(0, 1, (0,), 1.0) == ((0,), [Ended(1, (0,), State.DONE)])
    assert ledger.open_runs == [1]
    assert ledger.over(1) == []
    assert ledger.open_runs == []


def test_a_run_that_is_over_while_something_of_it_is_here_is_an_error(ledger: Ledger) -> None:
    other = Ledger(others=(0,))
    other.opened(1)
    other.submitted(1, 0, 1, SOURCE, 0.0)
    other.closed(1, 0.0)
    with pytest.raises(ProtocolError, match="run 1 is said to be over while 1 items of it are here"):
        other.over(1)


def test_items_may_come_before_their_run_does_and_after_it_was_closed(ledger: Ledger) -> None:
    assert ledger.came(1, 1, 0, (lot(3, run=2),), 0.0) == []
    assert ledger.opened(2) == []
    with pytest.raises(ProtocolError, match="run 2 was opened twice"):
        ledger.opened(2)
    ledger.closed(2, 0.0)
    assert ledger.came(1, 2, 0, (lot(4, run=2),), 0.0) == []
    assert ledger.asked(0, 1, 0.0) == [Grant(0, 1, 2, 3, 1, 0.0, SOURCE, 0)]


@pytest.mark.parametrize("first", ["came", "cancelled"])
def test_what_moves_while_its_run_is_cancelled_is_left_where_it_comes(ledger: Ledger, first: str) -> None:
    if first == "came":
        assert ledger.came(1, 1, 0, (lot(3),), 0.0) == []
        assert ledger.cancelled(1, 0.0) == [Ended(1, (3,), State.LEFT)]
    else:
        assert ledger.cancelled(1, 0.0) == []
        assert ledger.came(1, 1, 0, (lot(3),), 0.0) == [Ended(1, (3,), State.LEFT)]
    ledger.closed(1, 0.0)
    ledger.over(1)


def test_attempts_elsewhere_count_here(ledger: Ledger) -> None:
    ledger.came(1, 1, 0, (Lot(1, 3, 1, {3: (2, False, False)}),), 0.0)
    assert ledger.attempts(3) == 2
    ledger.asked(0, 1, 0.0)
    assert ledger.failed(0, 1, 3, Bury(), 1.0) == (True, [Ended(1, (3,), State.DEAD)])
    assert ledger.sizes()["attempts"] == 0
