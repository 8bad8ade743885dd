"""The queue's machine: exact effects for every event, and every entry of its table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import product
from types import FrameType
from typing import Any

import pytest

from pullahead.core.claims import Claim
from pullahead.core.items import TABLE, Event, State, after
from pullahead.core.ledger import (
    Ended,
    Forget,
    Grant,
    Ledger,
    LedgerStatistics,
    NothingLeft,
    RunEnded,
    Starved,
    StoreAgain,
    Withdraw,
    message_of,
)
from pullahead.core.lookahead import WAY_BYTES
from pullahead.core.retry import LONG, Again, Bury
from pullahead.core.runs import Runs
from pullahead.core.service import Pace
from pullahead.errors import ProtocolError

SOURCE, CONSUMER = "source", "consumer"
PLENTY = 1 << 20  # items that are ready for each worker, as far as they are told


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A ledger with run 1 open and workers 0 and 1; checked once the test is over."""
    ledger = Ledger()
    assert ledger.opened(1) == []
    assert ledger.joined(0) == []
    assert ledger.joined(1) == []
    yield ledger
    ledger.validate()


def counts(ledger: Ledger) -> dict[str, int]:
    """The statistics that are not zero, less the number of grants."""
    statistics = ledger.statistics()
    names = LedgerStatistics.__slots__
    return {
        name: getattr(statistics, name) for name in names if name != "grants" and getattr(statistics, name)
    }


def grant(
    worker: int, lease: int, first: int, size: int, waited: float = 0.0, run: int = 1, backlog: int = 0
) -> Grant:
    return Grant(worker, lease, run, first, size, waited, SOURCE, backlog)


# The table


def an_item_that_is(state: State, *, delays: bool = True) -> Ledger:
    """A ledger whose item 5 is in this state, under lease 1 of worker 0 if it is under any."""
    ledger = Ledger()
    ledger.opened(1, delays=delays)
    ledger.joined(0)
    ledger.submitted(1, 5, 1, SOURCE, 0.0)
    if state is State.READY:
        return ledger
    ledger.asked(0, 1, 0.0)
    if state is State.RUNNING:
        ledger.started(0, 1, (5,))
    elif state is State.DELAYED:
        ledger.failed(0, 1, 5, Again(1.0, charged=True), 0.0)
    return ledger


REACHED = {
    (State.READY, Event.GRANTED): lambda ledger: ledger.asked(0, 1, 0.0),
    (State.READY, Event.CANCELLED): lambda ledger: ledger.cancelled(1, 0.0),
    (State.READY, Event.MOVED): lambda ledger: ledger.wanted(Claim(1, 7, 1, 1, 1), 0.0),
    (State.READY, Event.FOUND_HELD): lambda ledger: ledger.still(0, 9, (5,), ()),
    (State.READY, Event.FOUND_RUNNING): lambda ledger: ledger.still(0, 9, (), (5,)),
    (State.HELD, Event.STARTED): lambda ledger: ledger.started(0, 1, (5,)),
    (State.HELD, Event.FINISHED): lambda ledger: ledger.finished(0, 1, (5,), 0.0),
    (State.HELD, Event.RETURNED): lambda ledger: ledger.gave_back(0, 1, (5,), 0.0),
    (State.HELD, Event.RETRIED): lambda ledger: ledger.failed(0, 1, 5, Again(1.0, charged=True), 0.0),
    (State.HELD, Event.PUT_OFF): lambda ledger: ledger.failed(0, 1, 5, Again(LONG, charged=False), 0.0),
    (State.HELD, Event.BURIED): lambda ledger: ledger.failed(0, 1, 5, Bury(), 0.0),
    (State.HELD, Event.KEPT): lambda ledger: ledger.unstored(0, 1, 5, Again(1.0, charged=True), 0.0),
    (State.RUNNING, Event.KEPT): lambda ledger: ledger.unstored(0, 1, 5, Again(1.0, charged=True), 0.0),
    (State.RUNNING, Event.FINISHED): lambda ledger: ledger.finished(0, 1, (5,), 0.0),
    (State.RUNNING, Event.SPARED): lambda ledger: ledger.lost(0, {}, 0.0),
    (State.RUNNING, Event.RETRIED): lambda ledger: ledger.lost(0, {5: Again(1.0, charged=True)}, 0.0),
    (State.RUNNING, Event.PUT_OFF): lambda ledger: ledger.failed(0, 1, 5, Again(LONG, charged=False), 0.0),
    (State.RUNNING, Event.BURIED): lambda ledger: ledger.lost(0, {5: Bury()}, 0.0),
    (State.DELAYED, Event.FELL_DUE): lambda ledger: ledger.tick(1.0),
    (State.DELAYED, Event.CANCELLED): lambda ledger: ledger.cancelled(1, 0.0),
}


def test_the_table_has_exactly_the_entries_that_are_reached() -> None:
    assert set(REACHED) == set(TABLE)


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: f"{entry[0].value}-{entry[1].value}")
def test_each_entry_of_the_table_leads_where_it_says(entry: tuple[State, Event]) -> None:
    ledger = an_item_that_is(entry[0])
    assert counts(ledger) == {entry[0].value: 1}
    REACHED[entry](ledger)
    assert counts(ledger) == {TABLE[entry].value: 1}
    ledger.validate()


@pytest.mark.parametrize(
    "entry", [e for e in product(State, Event) if e not in TABLE], ids=lambda e: f"{e[0].value}-{e[1].value}"
)
def test_each_entry_that_is_missing_raises(entry: tuple[State, Event]) -> None:
    state, event = entry
    with pytest.raises(ProtocolError, match=f"is {state.value} cannot be {event.value}"):
        after(state, event)


def test_an_item_cannot_start_twice(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    ledger.asked(0, 1, 0.0)
    ledger.started(0, 1, (0,))
    with pytest.raises(ProtocolError, match="running cannot be started"):
        ledger.started(0, 1, (0,))


def test_a_running_item_cannot_be_given_back() -> None:
    ledger = an_item_that_is(State.RUNNING)
    with pytest.raises(ProtocolError, match="running cannot be returned"):
        ledger.gave_back(0, 1, (5,), 0.0)


# Who gets what


def test_the_oldest_items_go_first(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 10, SOURCE, 0.0)
    assert ledger.asked(0, 4, 1.0) == [grant(0, 1, 0, 4, backlog=3)]
    assert ledger.asked(1, 3, 1.0) == [grant(1, 2, 4, 3, backlog=1)]
    assert ledger.asked(0, 9, 2.0) == [grant(0, 3, 7, 3), Starved(1)]


def test_an_ask_that_waits_says_for_how_long_and_for_whom(ledger: Ledger) -> None:
    assert ledger.asked(0, 1, 2.0) == [Starved(1)]
    assert ledger.asked(0, 2, 3.0) == []
    assert ledger.submitted(1, 0, 1, CONSUMER, 5.0) == [
        Grant(0, 1, 1, 0, 1, 3.0, CONSUMER, PLENTY),
        Starved(1),
    ]
    # What is left of an ask counts from its last answer.
    assert ledger.submitted(1, 1, 9, SOURCE, 5.5) == [grant(0, 2, 1, 2, 2.5, backlog=3)]
    assert counts(ledger) == {"held": 3, "ready": 7}


def test_who_holds_nothing_is_served_first(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    ledger.asked(0, 5, 0.0)
    ledger.asked(1, 1, 9.0)  # it asked long after worker 0
    assert ledger.submitted(1, 1, 2, SOURCE, 10.0) == [
        grant(1, 2, 1, 1, waited=1.0),
        grant(0, 3, 2, 1, waited=10.0),
        Starved(1),
    ]


def test_among_equals_the_older_ask_is_served_first(ledger: Ledger) -> None:
    ledger.asked(1, 1, 1.0)
    ledger.asked(0, 1, 2.0)
    assert ledger.submitted(1, 0, 1, SOURCE, 3.0) == [grant(1, 1, 0, 1, waited=2.0), Starved(1)]


def test_items_that_come_back_take_their_old_place(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 8, SOURCE, 0.0)
    ledger.asked(0, 6, 0.0)
    ledger.started(0, 1, (0,))
    assert ledger.gave_back(0, 1, (5, 4, 2, 1), 1.0) == []
    assert counts(ledger) == {"held": 1, "running": 1, "ready": 6}
    assert ledger.asked(1, 9, 2.0) == [
        grant(1, 2, 1, 2, backlog=2),
        grant(1, 3, 4, 4),
        Starved(1),
    ]


def test_what_comes_back_goes_at_once_to_who_waits(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 2, SOURCE, 0.0)
    ledger.asked(0, 2, 0.0)
    ledger.asked(1, 1, 1.0)
    assert ledger.gave_back(0, 1, (0, 1), 4.0) == [grant(1, 2, 0, 1, waited=3.0)]


def test_a_grant_never_spans_two_runs(ledger: Ledger) -> None:
    ledger.opened(2)
    ledger.submitted(1, 0, 2, SOURCE, 0.0)
    ledger.submitted(2, 2, 2, SOURCE, 0.0)
    assert ledger.asked(0, 4, 0.0) == [grant(0, 1, 0, 2, backlog=1), grant(0, 2, 2, 2, run=2)]
    assert ledger.asked(1, 1, 0.0) == [Starved(1), Starved(2)]


def test_no_items_are_no_submission(ledger: Ledger) -> None:
    ledger.asked(0, 1, 0.0)
    assert ledger.submitted(1, 0, 0, SOURCE, 1.0) == []
    assert ledger.cancelled(1, 1.0) == [NothingLeft(0, 1.0, SOURCE)]
    assert ledger.submitted(1, 0, 0, SOURCE, 1.0) == []


# What a grant says of what is behind it


def backlogs(effects: list[Any]) -> list[int]:
    return [one.backlog for one in effects if isinstance(one, Grant)]


def test_a_grant_says_how_many_items_are_ready_for_each_worker(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 100, SOURCE, 0.0)
    assert backlogs(ledger.asked(0, 20, 0.0)) == [40]
    assert backlogs(ledger.asked(1, 1, 0.0)) == [39], "79 are two times 39"
    ledger.joined(2)
    assert backlogs(ledger.asked(2, 19, 0.0)) == [20]
    ledger.gave_back(0, 1, tuple(range(20)), 0.0)
    assert backlogs(ledger.asked(1, 20, 0.0)) == [20], "what came back is ready too"
    ledger.said_goodbye(0)
    assert backlogs(ledger.asked(1, 60, 0.0)) == [0]


def test_there_is_plenty_while_the_caller_has_more_and_may_not_send_it(ledger: Ledger) -> None:
    for cause, first, backlog in (
        (CONSUMER, 0, PLENTY),
        ("order", 4, PLENTY),
        (SOURCE, 8, 4),  # three of each four are ready, for two workers
        (CONSUMER, 12, PLENTY),
    ):
        ledger.submitted(1, first, 4, cause, 0.0)
        ledger.submitted(1, first, 0, SOURCE if cause == CONSUMER else CONSUMER, 0.0)  # says nothing
        assert backlogs(ledger.asked(0, 1, 0.0)) == [backlog]


def test_at_the_end_there_is_what_is_ready_whatever_had_kept_it(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 20, CONSUMER, 0.0)
    assert backlogs(ledger.asked(0, 2, 0.0)) == [PLENTY]
    ledger.closed(1, 0.0)
    assert backlogs(ledger.asked(1, 2, 0.0)) == [8]
    ledger.opened(2)
    ledger.submitted(2, 20, 1, CONSUMER, 0.0)
    assert backlogs(ledger.asked(1, 1, 0.0)) == [PLENTY], "another run goes on"
    ledger.cancelled(2, 0.0)
    assert backlogs(ledger.asked(1, 1, 0.0)) == [7]


# How fast the workers are


def test_pace_is_a_quotient_of_fading_sums() -> None:
    pace = Pace(0.5)
    assert pace.usual == 0.0, "nothing is known"
    pace.reported(8.0, 1)
    assert pace.usual == 8.0, "the first of all is taken as it is"
    pace.reported(2.0, 4)
    assert pace.usual == (4.0 + 2.0) / (0.5 + 4.0)
    pace.reported(1.0, 0)
    assert pace.usual == (3.0 + 1.0) / 2.25


def test_several_reports_in_one_message_say_what_one_of_all_would() -> None:
    one, several = Pace(0.5), Pace(0.5)
    for pace in (one, several):
        pace.reported(8.0, 1)
    one.reported(6.0, 3)
    for seconds in (6.0, 0.0, 0.0):
        several.reported(seconds, 1)
    assert several.usual == one.usual == (4.0 + 6.0) / (0.5 + 3.0)


# Reports


def test_a_report_ends_items_and_the_last_one_ends_the_run(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 3, SOURCE, 0.0)
    ledger.asked(0, 3, 0.0)
    ledger.closed(1, 0.0)
    assert ledger.finished(0, 1, (0, 1), 0.0) == ((0, 1), [Ended(1, (0, 1), State.DONE)])
    assert ledger.finished(0, 1, (2,), 0.0) == ((2,), [Ended(1, (2,), State.DONE), RunEnded(1)])
    assert counts(ledger) == {"done": 3}


def test_a_run_without_items_ends_when_it_is_closed(ledger: Ledger) -> None:
    assert ledger.closed(1, 0.0) == [RunEnded(1)]


def test_stale_reports_are_counted_and_change_nothing(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 4, SOURCE, 0.0)
    ledger.asked(0, 4, 0.0)
    ledger.gave_back(0, 1, (2, 3), 0.0)
    ledger.asked(1, 1, 0.0)  # item 2, lease 2
    before = counts(ledger)
    assert ledger.started(0, 1, (2,)) == []
    assert ledger.finished(0, 1, (2, 3), 0.0) == ((), [])
    assert ledger.failed(0, 1, 3, Bury(), 0.0) == (False, [])
    assert ledger.gave_back(0, 1, (2,), 0.0) == []
    assert ledger.finished(1, 1, (0,), 0.0) == ((), []), "the lease is another worker's"
    assert ledger.finished(1, 99, (0,), 0.0) == ((), []), "there is no such lease"
    assert counts(ledger) == {**before, "stale_reports": 7}
    # One report may be half stale: the rest of it counts.
    assert ledger.finished(0, 1, (0, 1, 2), 0.0) == ((0, 1), [Ended(1, (0, 1), State.DONE)])
    assert ledger.statistics().stale_reports == 8


# Failures, retries


def test_a_retry_comes_back_when_it_is_due_at_its_old_place(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 3, SOURCE, 0.0)
    ledger.asked(0, 1, 0.0)
    assert ledger.deadline is None
    assert ledger.failed(0, 1, 0, Again(2.5, charged=True), 1.0) == (True, [])
    assert ledger.deadline == 3.5
    assert ledger.attempts(0) == 1
    assert ledger.tick(3.25) == []
    assert counts(ledger) == {"delayed": 1, "ready": 2}
    assert ledger.tick(3.5) == []
    assert ledger.deadline is None
    assert ledger.asked(1, 1, 4.0) == [grant(1, 2, 0, 1, backlog=1)]


def test_what_is_put_off_for_long_waits_where_it_came_from() -> None:
    ledger = Ledger()
    ledger.opened(1, delays=True)
    ledger.joined(0)
    ledger.submitted(1, 0, 2, SOURCE, 0.0)
    ledger.asked(0, 2, 0.0)
    ledger.started(0, 1, (0,))
    put_off = Ended(1, (0,), State.LEFT, 60.0)
    assert ledger.failed(0, 1, 0, Again(60.0, charged=False), 0.0) == (True, [put_off])
    assert ledger.deadline is None
    assert ledger.closed(1, 0.0) == []
    last = Ended(1, (1,), State.LEFT, LONG)
    assert ledger.failed(0, 1, 1, Again(LONG, charged=False), 0.0) == (True, [last, RunEnded(1)])
    assert ledger.statistics().left == 2


@pytest.mark.parametrize(
    ("delays", "decision"),
    [
        (False, Again(60.0, charged=False)),
        (True, Again(60.0, charged=True)),  # its attempts are known here alone
        (True, Again(LONG / 2, charged=False)),
    ],
)
def test_otherwise_it_waits_here(delays: bool, decision: Again) -> None:
    ledger = an_item_that_is(State.HELD, delays=delays)
    assert ledger.failed(0, 1, 5, decision, 0.0) == (True, [])
    assert ledger.deadline == decision.delay


def test_what_was_charged_before_waits_here() -> None:
    ledger = an_item_that_is(State.HELD)
    ledger.failed(0, 1, 5, Again(0.0, charged=True), 0.0)
    ledger.tick(0.0)
    ledger.asked(0, 1, 0.0)
    assert ledger.failed(0, 2, 5, Again(60.0, charged=False), 0.0) == (True, [])
    assert (ledger.deadline, ledger.attempts(5)) == (60.0, 1)


def test_what_is_put_off_in_a_run_that_was_cancelled_is_left_at_once() -> None:
    ledger = an_item_that_is(State.RUNNING)
    ledger.cancelled(1, 0.0)
    assert ledger.failed(0, 1, 5, Again(60.0, charged=False), 0.0) == (True, [Ended(1, (5,), State.LEFT)])


def test_a_run_that_items_came_for_before_it_was_opened_has_its_delays() -> None:
    runs = Runs(shared=True)
    runs.came(7, 1)
    assert not runs.delays(7)
    runs.opened(7, delays=True)
    assert runs.delays(7)


def test_the_deadline_is_the_earliest_retry(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 3, SOURCE, 0.0)
    ledger.asked(0, 3, 0.0)
    for item, delay in ((0, 3.0), (1, 1.0), (2, 2.0)):
        ledger.failed(0, 1, item, Again(delay, charged=False), 0.0)
    assert ledger.deadline == 1.0
    assert ledger.asked(1, 3, 0.0) == [Starved(1)]
    assert ledger.tick(2.0) == [grant(1, 2, 1, 2, 2.0)]
    assert ledger.deadline == 3.0


def test_only_charged_failures_count_as_attempts(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    for lease, charged in enumerate((True, False, True), start=1):
        ledger.asked(0, 1, 0.0)
        ledger.failed(0, lease, 0, Again(0.0, charged=charged), 0.0)
        ledger.tick(0.0)
    assert ledger.attempts(0) == 2
    ledger.asked(0, 1, 0.0)
    assert ledger.failed(0, 4, 0, Bury(), 0.0) == (True, [Ended(1, (0,), State.DEAD)])
    assert ledger.attempts(0) == 0, "what has ended is forgotten"


def test_a_failed_store_is_tried_again_where_the_result_is(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 2, SOURCE, 0.0)
    ledger.asked(0, 2, 0.0)
    assert ledger.unstored(0, 1, 0, Again(2.0, charged=True), 0.0) == (True, [StoreAgain(0, 1, 0, 2.0)])
    assert ledger.deadline is None, "the worker waits for that time to come"
    assert ledger.running_of(0) == (0,), "by the way it became known that it has started"
    assert ledger.unstored(0, 1, 0, Again(4.0, charged=False), 2.0) == (True, [StoreAgain(0, 1, 0, 4.0)])
    assert ledger.attempts(0) == 1
    assert ledger.finished(0, 1, (0,), 6.0) == ((0,), [Ended(1, (0,), State.DONE)])


def test_a_store_that_failed_for_good_is_forgotten_by_the_worker(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    ledger.closed(1, 0.0)
    ledger.asked(0, 1, 0.0)
    assert ledger.unstored(0, 1, 0, Bury(), 0.0) == (
        True,
        [Forget(0, 1, 0), Ended(1, (0,), State.DEAD), RunEnded(1)],
    )
    assert ledger.unstored(0, 1, 0, Again(0.0, charged=True), 0.0) == (False, [Forget(0, 1, 0)]), (
        "it is stale"
    )
    assert ledger.statistics().stale_reports == 1


def test_who_is_lost_between_two_stores_takes_the_result_along(ledger: Ledger) -> None:
    """The item is computed again, and its loss charges nothing: nothing of it was under way."""
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    ledger.asked(0, 1, 0.0)
    ledger.unstored(0, 1, 0, Again(9.0, charged=True), 0.0)
    assert ledger.charged(0, ()) == ()
    assert ledger.lost(0, {}, 1.0) == []
    assert ledger.asked(1, 1, 1.0) == [grant(1, 2, 0, 1)]
    assert ledger.attempts(0) == 1


def test_in_a_cancelled_run_no_store_is_tried_again(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    ledger.asked(0, 1, 0.0)
    ledger.started(0, 1, (0,))
    ledger.cancelled(1, 0.0)
    assert ledger.unstored(0, 1, 0, Again(1.0, charged=True), 0.0) == (
        True,
        [Forget(0, 1, 0), Ended(1, (0,), State.LEFT)],
    )


def test_giving_back_costs_no_attempt(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    ledger.asked(0, 1, 0.0)
    ledger.gave_back(0, 1, (0,), 0.0)
    assert ledger.attempts(0) == 0


# The beginning


def test_who_joins_first_leaves_a_share_for_those_who_are_to_come() -> None:
    ledger = Ledger(workers=4)
    ledger.opened(1)
    ledger.submitted(1, 0, 9, SOURCE, 0.0)
    ledger.joined(0)
    assert ledger.asked(0, 9, 0.0) == [grant(0, 1, 0, 3, backlog=6)]
    ledger.joined(1)
    assert ledger.asked(1, 9, 1.0) == [
        grant(1, 2, 3, 2, backlog=2),
        grant(1, 3, 5, 1, backlog=1),
    ], "a quarter of what has not begun, and what it is about to compute"
    assert ledger.finished(0, 1, (0,), 2.0)[1][1:] == [grant(0, 4, 6, 1, 2.0, backlog=1)], "one for one"
    ledger.joined(2)
    ledger.joined(3)
    assert ledger.asked(3, 9, 3.0)[0] == grant(3, 5, 7, 2), "all are there: nothing is kept back"
    ledger.validate()


def test_as_long_as_it_has_finished_nothing_a_worker_holds_two_or_what_fits_into_its_budget() -> None:
    ledger = Ledger()
    ledger.opened(1)
    for worker in range(3):
        ledger.joined(worker)
    ledger.submitted(1, 0, 40, SOURCE, 0.0, largest=WAY_BYTES // 5)
    assert ledger.asked(0, 9, 0.0) == [grant(0, 1, 0, 5, backlog=11)]
    assert ledger.asked(0, 1, 0.0) == []
    assert ledger.finished(0, 1, (0,), 1.0)[1] == [
        Ended(1, (0,), State.DONE),
        grant(0, 2, 5, 5, 1.0, backlog=10),
    ]
    ledger.submitted(1, 40, 1, SOURCE, 1.0, largest=WAY_BYTES)
    assert ledger.asked(1, 9, 1.0) == [grant(1, 3, 10, 2, backlog=9)], (
        "one runs, and one is fetched meanwhile"
    )
    ledger.validate()


# Cancelling


def test_cancelling_leaves_what_is_unstarted_and_recalls_what_is_held(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 8, SOURCE, 0.0)
    ledger.asked(0, 3, 0.0)
    ledger.asked(1, 1, 0.0)
    ledger.failed(1, 2, 3, Again(9.0, charged=True), 0.0)
    ledger.started(0, 1, (0,))
    assert ledger.cancelled(1, 1.0) == [
        Ended(1, (4, 5, 6, 7), State.LEFT),
        Ended(1, (3,), State.LEFT),
        Withdraw(0, 1),
    ]
    assert ledger.deadline is None
    assert ledger.gave_back(0, 1, (1, 2), 2.0) == [Ended(1, (1, 2), State.LEFT)]
    assert ledger.closed(1, 2.0) == []
    assert ledger.finished(0, 1, (0,), 0.0) == ((0,), [Ended(1, (0,), State.DONE), RunEnded(1)])
    assert counts(ledger) == {"done": 1, "left": 7}


def test_what_fails_in_a_cancelled_run_is_left_or_dead(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 2, SOURCE, 0.0)
    ledger.asked(0, 2, 0.0)
    ledger.started(0, 1, (0, 1))
    ledger.cancelled(1, 0.0)
    assert ledger.failed(0, 1, 0, Again(1.0, charged=True), 0.0) == (True, [Ended(1, (0,), State.LEFT)])
    assert ledger.failed(0, 1, 1, Bury(), 0.0) == (True, [Ended(1, (1,), State.DEAD)])


def test_items_that_come_after_the_cancellation_are_left(ledger: Ledger) -> None:
    ledger.cancelled(1, 0.0)
    assert ledger.submitted(1, 3, 2, SOURCE, 0.0) == [Ended(1, (3, 4), State.LEFT)]
    assert ledger.closed(1, 0.0) == [RunEnded(1)]


def test_cancelling_a_closed_run_with_nothing_out_ends_it(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 2, SOURCE, 0.0)
    ledger.closed(1, 0.0)
    assert ledger.cancelled(1, 0.0) == [Ended(1, (0, 1), State.LEFT), RunEnded(1)]
    assert ledger.cancelled(1, 0.0) == [], "it may end while a cancellation is on its way"


def test_cancelling_one_run_leaves_the_other_alone(ledger: Ledger) -> None:
    ledger.opened(2)
    ledger.submitted(2, 0, 2, SOURCE, 0.0)
    ledger.submitted(1, 2, 2, SOURCE, 0.0)
    ledger.asked(0, 1, 0.0)
    assert ledger.cancelled(1, 0.0) == [Ended(1, (2, 3), State.LEFT)]
    assert counts(ledger) == {"held": 1, "ready": 1, "left": 2}
    ledger.closed(2, 0.0)
    assert ledger.cancelled(2, 0.0) == [Ended(2, (1,), State.LEFT), Withdraw(0, 1)]


# Several runs


def test_runs_end_on_their_own(ledger: Ledger) -> None:
    ledger.opened(2)
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    ledger.submitted(2, 1, 1, SOURCE, 0.0)
    ledger.asked(0, 2, 0.0)
    assert ledger.closed(1, 0.0) == []
    assert ledger.closed(2, 0.0) == []
    assert ledger.finished(0, 2, (1,), 0.0) == ((1,), [Ended(2, (1,), State.DONE), RunEnded(2)])
    assert ledger.finished(0, 1, (0,), 0.0) == ((0,), [Ended(1, (0,), State.DONE), RunEnded(1)])
    assert ledger.opened(1) == [], "a number is free again once its run has ended"


def test_a_run_is_opened_once_and_takes_nothing_once_closed(ledger: Ledger) -> None:
    with pytest.raises(ProtocolError, match="run 1 was opened twice"):
        ledger.opened(1)
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    ledger.closed(1, 0.0)
    with pytest.raises(ProtocolError, match="run 1 is closed, but items 1 to 2 came"):
        ledger.submitted(1, 1, 2, SOURCE, 0.0)


# Workers that end


def test_a_lost_worker_is_charged_for_what_ran_only(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 5, SOURCE, 0.0)
    ledger.asked(0, 5, 0.0)
    ledger.started(0, 1, (0, 1))
    assert ledger.running_of(0) == (0, 1)
    assert ledger.running_of(7) == ()
    decide: dict[int, Again | Bury] = {0: Again(1.0, charged=True), 1: Bury()}
    assert ledger.lost(0, decide, 2.0) == [Ended(1, (1,), State.DEAD)]
    assert counts(ledger) == {"ready": 3, "delayed": 1, "dead": 1}
    assert [ledger.attempts(item) for item in range(5)] == [1, 0, 0, 0, 0]
    assert ledger.lost(0, {}, 3.0) == [], "it is gone"


def test_what_a_lost_worker_was_loading_is_suspect_until_it_ends(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 6, SOURCE, 0.0)
    ledger.asked(0, 4, 0.0)
    assert ledger.lost(0, {}, 1.0, (1, 3, 77)) == [], "what it does not hold is none of its business"
    assert [ledger.attempts(item) for item in range(6)] == [0] * 6
    (first,) = ledger.asked(1, 4, 1.0)
    assert isinstance(first, Grant)
    assert first == grant(1, 2, 0, 4, backlog=2)._replace(suspects=(1, 3))
    assert message_of(first, [b""] * 4)[-2:] == (2, (1, 3))
    ledger.finished(1, 2, (0, 1), 1.0)
    assert ledger.sizes()["suspects"] == 1
    ledger.gave_back(1, 2, (2, 3), 1.0)
    (again,) = ledger.asked(1, 2, 1.0)
    assert again == grant(1, 3, 2, 2, backlog=2)._replace(suspects=(3,)), "it stays suspect"
    (other,) = ledger.asked(1, 1, 1.0)
    assert isinstance(other, Grant)
    assert len(message_of(other, [b"4"])) == 7, "nothing is said of what is not"
    ledger.failed(1, 3, 3, Bury(), 1.0)
    assert (ledger.sizes()["suspects"], ledger.sizes()["seen loading"]) == (0, 0)


def test_what_was_loaded_beside_what_is_charged_is_suspect_the_second_time(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 6, SOURCE, 0.0)
    ledger.joined(2)
    ledger.joined(3)
    again: dict[int, Again | Bury] = {0: Again(9.0, charged=True)}
    ledger.asked(0, 4, 0.0)
    ledger.started(0, 1, (0,))
    ledger.lost(0, again, 1.0, (1, 2))
    assert ledger.sizes()["suspects"] == 1, "what ran, which will be alone; it may not have been these"
    ledger.asked(1, 4, 1.0)
    ledger.started(1, 2, (1,))
    ledger.lost(1, {1: Again(9.0, charged=True)}, 2.0, (2, 3))
    assert ledger.sizes()["suspects"] == 3
    (third,) = ledger.asked(2, 3, 2.0)
    assert third == grant(2, 3, 2, 3)._replace(suspects=(2,))
    ledger.tick(12.0)
    ledger.joined(4)
    later = [one.suspects for one in ledger.asked(4, 2, 12.0) if isinstance(one, Grant)]
    assert later == [(0, 1)], "those that were charged, too"


def test_what_ran_beside_no_load_when_its_worker_died_is_not_suspect(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 6, SOURCE, 0.0)
    ledger.asked(0, 4, 0.0)
    ledger.started(0, 1, (0,))
    ledger.lost(0, {0: Again(0.0, charged=True)}, 1.0)
    assert ledger.sizes()["suspects"] == 0


def test_a_death_that_charges_what_is_suspect_is_explained(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 6, SOURCE, 0.0)
    again: dict[int, Again | Bury] = {0: Again(0.0, charged=True)}
    ledger.asked(0, 4, 0.0)
    ledger.started(0, 1, (0,))
    ledger.lost(0, again, 1.0, (1, 2))
    ledger.tick(1.0)
    ledger.asked(1, 4, 1.0)
    ledger.started(1, 2, (0,))
    ledger.lost(1, again, 2.0, (1, 2, 3))
    assert (ledger.sizes()["suspects"], ledger.sizes()["seen loading"]) == (1, 3), "nothing is new"


def test_what_a_lost_worker_held_goes_oldest_first_whatever_the_lease(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 6, SOURCE, 0.0)
    ledger.asked(1, 2, 0.0)  # 0 and 1
    ledger.asked(0, 4, 0.0)  # 2 to 5
    ledger.gave_back(1, 1, (0, 1), 0.0)
    ledger.asked(0, 2, 0.0)  # 0 and 1 under a later lease
    ledger.closed(1, 0.0)
    ledger.asked(1, 3, 0.0)
    # Worker 1 has been told that nothing is left; it is not told so again in between.
    assert ledger.lost(0, {}, 1.0) == [grant(1, 4, 0, 3, 1.0, backlog=3)], "one worker is left"


def test_what_a_lost_worker_held_of_a_cancelled_run_is_left(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 2, SOURCE, 0.0)
    ledger.asked(0, 2, 0.0)
    ledger.started(0, 1, (0,))
    ledger.closed(1, 0.0)
    ledger.cancelled(1, 0.0)
    assert ledger.lost(0, {0: Again(1.0, charged=True)}, 0.0) == [
        Ended(1, (1,), State.LEFT),
        Ended(1, (0,), State.LEFT),
        RunEnded(1),
    ]


def test_reports_of_a_lost_worker_are_stale(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    ledger.asked(0, 1, 0.0)
    ledger.lost(0, {}, 0.0)
    assert ledger.finished(0, 1, (0,), 0.0) == ((), [])
    assert counts(ledger) == {"ready": 1, "stale_reports": 1}


def test_a_worker_joins_once_and_leaves_with_nothing_held(ledger: Ledger) -> None:
    with pytest.raises(ProtocolError, match="worker 1 joined twice"):
        ledger.joined(1)
    assert ledger.said_goodbye(1) == []
    ledger.joined(2)
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    ledger.asked(2, 1, 0.0)
    with pytest.raises(ProtocolError, match=r"worker 2 said goodbye while it holds leases \[1\]"):
        ledger.said_goodbye(2)


def test_a_worker_that_was_told_to_stop_gets_nothing_more(ledger: Ledger) -> None:
    ledger.asked(0, 2, 0.0)
    assert ledger.stopping(0) == []
    assert ledger.submitted(1, 0, 2, SOURCE, 1.0) == []
    assert ledger.asked(0, 1, 2.0) == [], "this one was on its way"
    assert ledger.asked(1, 1, 3.0) == [grant(1, 1, 0, 1)]
    assert ledger.said_goodbye(0) == []


# What is said once


def test_nothing_left_is_told_once_to_each_who_waits(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    ledger.asked(0, 2, 0.0)
    assert ledger.closed(1, 3.0) == [NothingLeft(0, 3.0, SOURCE)]
    assert ledger.asked(0, 1, 4.0) == []
    assert ledger.asked(1, 1, 5.0) == [NothingLeft(1, 0.0, SOURCE)]
    # It fails and comes back: who gets it is told again, the other one need not be.
    ledger.failed(0, 1, 0, Again(1.0, charged=True), 5.0)
    assert ledger.tick(6.0) == [grant(0, 2, 0, 1, 3.0), NothingLeft(0, 2.0, SOURCE)]


def test_nothing_is_not_left_while_a_retry_is_due_later(ledger: Ledger) -> None:
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    ledger.closed(1, 0.0)
    ledger.asked(0, 1, 0.0)
    ledger.failed(0, 1, 0, Again(5.0, charged=True), 0.0)
    assert ledger.asked(1, 2, 1.0) == []
    assert ledger.tick(5.0) == [grant(1, 2, 0, 1, 4.0), NothingLeft(1, 4.0, SOURCE)]


def test_nothing_is_left_once_the_last_open_run_is_cancelled(ledger: Ledger) -> None:
    ledger.opened(2)
    ledger.closed(1, 0.0)
    assert ledger.asked(0, 1, 1.0) == [Starved(2)]
    assert ledger.cancelled(2, 2.0) == [NothingLeft(0, 1.0, SOURCE)]


def test_a_run_that_is_open_and_idle_does_not_keep_what_another_one_waits_for(ledger: Ledger) -> None:
    """A worker may hold the last items of a run, waiting for a fuller batch that nobody will send."""
    ledger.opened(2)  # as a pool's submissions are: never closed, and mostly idle
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    assert ledger.asked(0, 2, 1.0) == [grant(0, 1, 0, 1), Starved(1), Starved(2)]
    assert ledger.closed(1, 3.0) == [NothingLeft(0, 2.0, SOURCE)]
    ledger.submitted(2, 1, 1, SOURCE, 4.0)
    assert ledger.asked(0, 1, 4.0) == [Starved(2)], "now something is under way in the other run"


def test_nothing_is_not_left_while_an_open_run_is_all_there_is(ledger: Ledger) -> None:
    ledger.opened(2)
    ledger.closed(1, 0.0)
    assert ledger.asked(0, 1, 1.0) == [Starved(2)]
    ledger.submitted(2, 0, 1, SOURCE, 2.0)
    assert ledger.asked(1, 1, 3.0) == [Starved(2)], "its source may be slow: that is no end"


def test_starved_is_said_once_until_items_come(ledger: Ledger) -> None:
    assert ledger.asked(0, 1, 0.0) == [Starved(1)]
    assert ledger.asked(1, 1, 0.0) == []
    assert ledger.submitted(1, 0, 1, SOURCE, 0.0) == [grant(0, 1, 0, 1), Starved(1)]
    assert ledger.submitted(1, 1, 2, SOURCE, 0.0) == [grant(1, 2, 1, 1)], "nobody waits: one is ready"
    assert ledger.asked(0, 1, 0.0) == [grant(0, 3, 2, 1)]
    assert ledger.asked(0, 1, 0.0) == [Starved(1)]


# Growth


def test_what_has_ended_is_forgotten(ledger: Ledger) -> None:
    first = 0
    for round_ in range(1000):
        ledger.submitted(1, first, 100, SOURCE, 0.0)
        lease = ledger.statistics().grants + 1
        ledger.asked(0, 100, 0.0)
        ledger.started(0, lease, (first,))
        if round_ % 100 == 0:
            ledger.failed(0, lease, first, Again(0.0, charged=True), 0.0)
            ledger.tick(0.0)
            ledger.asked(1, 1, 0.0)
            ledger.finished(1, lease + 1, (first,), 0.0)
        else:
            ledger.finished(0, lease, (first,), 0.0)
        ledger.finished(0, lease, tuple(range(first + 1, first + 100)), 0.0)
        first += 100
    assert counts(ledger) == {"done": 100_000}
    sizes = ledger.sizes()
    assert sizes.pop("open runs") == 1
    assert sizes == dict.fromkeys(
        (
            "ready",
            "delayed",
            "leases",
            "leases by worker",
            "attempts",
            "seen loading",
            "suspects",
            "askers",
            "untold",
            "claims",
        ),
        0,
    )
    assert ledger.waiting == {}


def lines_run(call: Callable[[], object]) -> int:
    """Count the lines that a call runs, and each turn of a loop that stands in one line."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("closed", [False, True])
def test_an_event_costs_no_more_with_many_workers_and_runs(closed: bool) -> None:
    """Most of them wait, hold something, or were told that nothing is left: no event looks at each."""

    def costs(many: int) -> list[int]:
        ledger = Ledger()
        for run in range(1, many + 1):
            ledger.opened(run)
            ledger.submitted(run, 100 * run, 2, SOURCE, 0.0)
        for worker in range(many):
            ledger.joined(worker)
            ledger.asked(worker, 1, 0.0)
            if worker % 2:
                ledger.asked(worker, 2, 0.0)
        if closed:
            for run in range(1, many + 1):
                ledger.closed(run, 1.0)
        ledger.joined(-1)
        events: list[Callable[[], object]] = [
            lambda: ledger.submitted(0, 0, 2, SOURCE, 2.0),
            lambda: ledger.asked(-1, 1, 2.0),
            lambda: ledger.hungry(-1, 1, 2.0),
            lambda: ledger.started(0, 1, (100,)),
            lambda: ledger.finished(0, 1, (100,), 3.0),
            lambda: ledger.asked(0, 1, 3.0),
            lambda: (ledger.deadline, ledger.open_items),
            lambda: ledger.tick(4.0),
            lambda: ledger.closed(0, 5.0),
        ]
        ledger.opened(0)
        return [lines_run(event) for event in events]

    few, many = costs(20), costs(400)
    assert [b - a < 100 for a, b in zip(few, many, strict=True)] == [True] * len(few), (few, many)
