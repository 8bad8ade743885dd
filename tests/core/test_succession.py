"""A queue takes the place of one that died: workers come back with what they have."""

from __future__ import annotations

from typing import Any

import pytest

from pullahead.core import messages as m
from pullahead.core.ledger import (
    Effect,
    Ended,
    Forget,
    Grant,
    Ledger,
    NothingLeft,
    Recall,
    RunEnded,
    Starved,
    State,
    StoreAgain,
    Withdraw,
)
from pullahead.core.lookahead import Lookahead
from pullahead.core.meter import Meter
from pullahead.core.outbox import Outbox
from pullahead.core.pipeline import Load, Pipeline, Send
from pullahead.core.ready import Ready
from pullahead.core.retry import ERROR, Again, Bury
from pullahead.core.trace import CAUSE_SOURCE, Recorder

RUN = 1
OLD = 7  # a lease of the queue before


@pytest.fixture
def ledger() -> Ledger:
    """Ten items, and two workers that will come back."""
    ledger = Ledger(workers=2, first_lease=100)
    assert ledger.returning((0, 1), 0.0) == []
    ledger.opened(RUN)
    assert ledger.submitted(RUN, 0, 10, CAUSE_SOURCE, 0.0) == []
    ledger.joined(0)
    ledger.joined(1)
    return ledger


def granted(effects: list[Effect]) -> list[tuple[int, int, list[int]]]:
    return [(one.worker, one.lease, list(one.items)) for one in effects if isinstance(one, Grant)]


# The queue


def test_nothing_is_granted_until_all_are_back_with_what_they_have(ledger: Ledger) -> None:
    assert ledger.still(0, OLD, (1, 2), (0,)) == []
    assert ledger.back(0, 0.01) == []
    assert ledger.asked(0, 2, 0.01) == []
    assert ledger.still(1, OLD + 1, (), (4,)) == []
    ledger.validate()
    assert granted(ledger.back(1, 0.02)) == [(0, 100, [3]), (0, 101, [5])]
    ledger.validate()


def test_who_does_not_come_back_is_waited_for_a_quarter_of_a_second(ledger: Ledger) -> None:
    ledger.still(0, OLD, (), (0,))
    ledger.back(0, 0.01)
    ledger.asked(0, 20, 0.01)
    assert ledger.deadline == 0.25
    assert ledger.tick(0.2) == []
    assert granted(ledger.tick(0.25)) == [(0, 100, [1, 2, 3, 4, 5, 6, 7, 8, 9])]
    assert ledger.deadline is None
    assert ledger.still(1, OLD + 1, (3,), (4,)) == [], "it comes too late: these are with the other one"
    assert ledger.back(1, 0.3) == []
    assert ledger.running_of(1) == ()
    ledger.validate()


def test_who_is_lost_meanwhile_is_not_waited_for(ledger: Ledger) -> None:
    ledger.back(0, 0.01)
    ledger.asked(0, 1, 0.01)
    assert granted(ledger.lost(1, {}, 0.02)) == [(0, 100, [0])]


def test_who_joined_and_is_lost_before_it_was_back_gets_nothing(ledger: Ledger) -> None:
    ledger.still(0, OLD, (1,), (0,))
    ledger.asked(0, 5, 0.01)
    ledger.back(1, 0.01)
    ledger.asked(1, 3, 0.01)
    effects = ledger.lost(0, {0: Bury()}, 0.02)
    assert granted(effects) == [(1, 100, [1, 2, 3])]
    assert Ended(RUN, (0,), State.DEAD) in effects
    ledger.validate()


def test_who_came_back_and_is_lost_then_is_charged_for_what_it_ran(ledger: Ledger) -> None:
    ledger.still(0, OLD, (1,), (0,))
    ledger.back(0, 0.01)
    ledger.back(1, 0.01)
    assert ledger.charged(0, None) == (0,)
    ledger.lost(0, {0: Bury()}, 0.02)
    assert ledger.statistics().dead == 1
    assert ledger.statistics().ready == 9


def test_reports_under_old_leases_count_for_what_was_found_and_for_nothing_else(ledger: Ledger) -> None:
    ledger.still(0, OLD, (1,), (0,))
    ledger.back(0, 0.01)
    ledger.back(1, 0.01)
    accepted, effects = ledger.finished(0, OLD, (0, 1, 2), 0.02)
    assert accepted == (0, 1)
    assert effects == [Ended(RUN, (0, 1), State.DONE)]
    assert ledger.finished(1, OLD, (3,), 0.02) == ((), [])
    assert ledger.statistics().stale_reports == 2
    ledger.validate()


def test_what_has_ended_is_not_found_again(ledger: Ledger) -> None:
    ledger.still(0, OLD, (), (0, 20))
    ledger.back(0, 0.0)
    ledger.back(1, 0.0)
    assert ledger.finished(0, OLD, (0, 20), 0.1)[0] == (0,)


def test_a_lease_may_be_told_in_pieces(ledger: Ledger) -> None:
    ledger.still(0, OLD, (1,), ())
    ledger.still(0, OLD, (2,), (0,))
    assert ledger.charged(0, None) == (0,)
    assert ledger.finished(0, OLD, (0, 1, 2), 0.1)[0] == (0, 1, 2)


def test_a_run_is_cancelled_once_all_are_back(ledger: Ledger) -> None:
    assert ledger.closed(RUN, 0.0) == []
    assert ledger.cancelled(RUN, 0.0) == []
    ledger.still(0, OLD, (1,), (0,))
    ledger.back(0, 0.01)
    effects = ledger.back(1, 0.01)
    assert effects == [Ended(RUN, tuple(range(2, 10)), State.LEFT), Withdraw(0, OLD)]
    ledger.gave_back(0, OLD, (1,), 0.02)
    assert ledger.finished(0, OLD, (0,), 0.03)[1] == [Ended(RUN, (0,), State.DONE), RunEnded(RUN)]


def test_what_was_tried_before_is_charged(ledger: Ledger) -> None:
    ledger.tried(20, 2)
    ledger.submitted(RUN, 20, 1, CAUSE_SOURCE, 0.0)
    assert (ledger.attempts(20), ledger.attempts(0)) == (2, 0)


def test_an_unstored_result_is_stored_again_or_forgotten(ledger: Ledger) -> None:
    ledger.still(0, OLD, (), (0, 1))
    ledger.back(0, 0.0)
    ledger.back(1, 0.0)
    again = ledger.unstored(0, OLD, 0, Again(1.0, charged=True), 0.1)
    assert again == (True, [StoreAgain(0, OLD, 0, 1.0)])
    forgotten, effects = ledger.unstored(0, OLD, 1, Bury(), 0.1)
    assert forgotten
    assert effects == [Forget(0, OLD, 1), Ended(RUN, (1,), State.DEAD)]


def test_recalls_know_what_was_found(ledger: Ledger) -> None:
    ledger.closed(RUN, 0.0)
    ledger.still(0, OLD, tuple(range(1, 10)), (0,))
    ledger.back(0, 0.0)
    ledger.back(1, 0.0)
    ledger.asked(1, 4, 1.0)
    effects = ledger.hungry(1, 4, 1.0)
    assert [one for one in effects if isinstance(one, Recall)] == [Recall(0, 4)]
    assert not [one for one in effects if isinstance(one, NothingLeft | Starved)]


def test_one_item_can_be_taken_from_anywhere_in_a_range() -> None:
    for item in range(5):
        ready = Ready()
        ready.put(0, 5, RUN)
        assert ready.take(item) == RUN
        assert ready.take(item) is None
        ready.validate()
        assert ready.count == 4
        left: list[int] = []
        while ready.count:
            first, count, _ = ready.take_oldest(9)
            left += range(first, first + count)
        assert left == [one for one in range(5) if one != item]


# A worker


def worker(**shape: bool) -> Pipeline:
    pipeline = Pipeline(Lookahead(4), Meter(0, 0.0, 1), Recorder(False), **shape)
    pipeline.began(0.0)
    pipeline.take_messages(0.0)
    return pipeline


def sends(effects: list[Any]) -> bool:
    return any(isinstance(effect, Send) for effect in effects)


def say(pipeline: Pipeline, unrecorded: list[m.Message], now: float) -> list[m.Message]:
    effects = pipeline.rejoined(unrecorded, now)
    assert sends(effects)
    messages = [one for one in pipeline.take_messages(now) if one[0] not in {m.TOTALS, m.TRACE}]
    pipeline.validate()
    return messages


def test_it_says_what_it_holds_and_runs_and_asks_anew() -> None:
    pipeline = worker()
    pipeline.answered([(m.GRANT, OLD, 0, [b""] * 3, 0.0, CAUSE_SOURCE, 10)], 0.1)
    assert pipeline.take(0.1) == (0,)
    messages = say(pipeline, [], 0.2)
    assert messages[:2] == [(m.STILL, OLD, (1, 2), (0,)), (m.BACK,)]
    assert messages[2:] == [(m.ASK, 2)]
    assert pipeline.asked == 2


def test_what_it_asked_of_the_one_before_is_forgotten() -> None:
    pipeline = worker()
    asked = pipeline.asked
    assert asked > 0
    assert say(pipeline, [], 0.2) == [(m.BACK,), (m.ASK, asked), (m.HUNGRY, asked)]
    assert pipeline.asked == asked


def test_reports_are_said_again_behind_their_items() -> None:
    pipeline = worker()
    pipeline.answered([(m.GRANT, OLD, 0, [b""] * 3, 0.0, CAUSE_SOURCE, 10)], 0.1)
    pipeline.take(0.1)
    pipeline.processed(0.1, 0.2, 0.0, 0.2)
    unrecorded = [(m.DONE, OLD - 1, (90, 91)), (m.FAILED, OLD - 1, 92, ERROR, 0.0)]
    messages = say(pipeline, unrecorded, 0.2)
    assert messages[:6] == [
        (m.STILL, OLD, (1, 2), (0,)),
        (m.STILL, OLD - 1, (), (90, 91, 92)),
        *unrecorded,
        (m.DONE, OLD, (0,)),
        (m.BACK,),
    ]


def test_a_failed_store_is_reported_again_unless_it_was_begun_again() -> None:
    pipeline = worker(stores=True)
    pipeline.answered([(m.GRANT, OLD, 0, [b""] * 2, 0.0, CAUSE_SOURCE, 10)], 0.1)
    for item in (0, 1):
        pipeline.take(0.1)
        pipeline.processed(0.1, 0.2, 0.0, 0.2)
        pipeline.store_failed(item, ERROR, 0.0, 0.2)
    pipeline.take_messages(0.2)
    pipeline.answered([(m.STORE_AGAIN, OLD, 0, 0.0)], 0.3)
    failed = [(m.UNSTORED, OLD, item, ERROR, 0.0) for item in (0, 1)]
    assert [pipeline.awaits_verdict(item) for item in (0, 1)] == [False, True]
    messages = say(pipeline, list(failed), 0.3)
    assert messages[:3] == [(m.STILL, OLD, (), (0, 1)), failed[1], (m.BACK,)]


def test_of_several_failures_of_a_store_the_last_is_reported_again() -> None:
    pipeline = worker(stores=True)
    pipeline.answered([(m.GRANT, OLD, 0, [b""], 0.0, CAUSE_SOURCE, 10)], 0.1)
    pipeline.take(0.1)
    pipeline.processed(0.1, 0.2, 0.0, 0.2)
    pipeline.store_failed(0, ERROR, 0.0, 0.2)
    pipeline.take_messages(0.2)
    failed: list[m.Message] = [(m.UNSTORED, OLD, 0, ERROR, one) for one in (1.0, 2.0)]
    assert say(pipeline, failed, 0.3)[:3] == [(m.STILL, OLD, (), (0,)), failed[1], (m.BACK,)]


def test_what_it_has_and_is_granted_again_is_there_once_and_under_the_new_lease() -> None:
    """It came back too late, and the queue did not know."""
    pipeline = worker()
    pipeline.answered([(m.GRANT, OLD, 0, [b""] * 3, 0.0, CAUSE_SOURCE, 10)], 0.1)
    pipeline.take(0.1)
    say(pipeline, [], 0.2)
    pipeline.answered([(m.GRANT, 100, 0, [b""] * 4, 0.0, CAUSE_SOURCE, 10)], 0.3)
    pipeline.validate()
    assert pipeline.held == 3
    assert pipeline.has(0)
    pipeline.take_messages(0.3)
    pipeline.processed(0.1, 0.4, 0.0, 0.4)
    assert (m.DONE, 100, (0,)) in pipeline.take_messages(0.4)


def test_alone_it_goes_on_and_says_nothing() -> None:
    pipeline = worker()
    pipeline.answered([(m.GRANT, OLD, 0, [b""] * 2, 0.0, CAUSE_SOURCE, 10)], 0.1)
    pipeline.take(0.1)
    pipeline.alone()
    assert not sends(pipeline.processed(0.1, 0.2, 0.0, 0.2))
    assert pipeline.take(0.2) == (1,)
    assert not sends(pipeline.tick(5.0))
    assert pipeline.deadline is None or pipeline.deadline > 0.2, "nothing is due that could not be done"
    reports = [one for one in say(pipeline, [], 5.0) if one[0] == m.DONE]
    assert reports == [(m.DONE, OLD, (0,))]


def test_what_is_being_loaded_is_held() -> None:
    pipeline = worker(loads=True)
    effects = pipeline.answered([(m.GRANT, OLD, 0, [b""] * 2, 0.0, CAUSE_SOURCE, 10)], 0.1)
    assert any(isinstance(effect, Load) for effect in effects)
    pipeline.loaded(0, 0.1)
    assert say(pipeline, [], 0.2)[:2] == [(m.STILL, OLD, (0, 1), ()), (m.BACK,)]


def test_what_was_given_back_is_not_here_any_more() -> None:
    pipeline = worker()
    pipeline.answered([(m.GRANT, OLD, 0, [b""] * 4, 0.0, CAUSE_SOURCE, 10)], 0.1)
    pipeline.take(0.1)
    pipeline.take_messages(0.1)
    pipeline.answered([(m.RECALL, 2)], 0.1)
    assert say(pipeline, [], 0.2)[:2] == [(m.STILL, OLD, (1,), (0,)), (m.BACK,)]


def test_an_outbox_keeps_reports_and_nothing_else() -> None:
    outbox = Outbox(Recorder(False))
    outbox.ask(3, 0.0)
    outbox.say((m.GAVE_BACK, OLD, (5,)), 0.0)
    outbox.say((m.FAILED, OLD, 6, ERROR, 0.0), 0.0)
    outbox.finish((7,), OLD, 0.0)
    outbox.caller.called(0.0)
    assert outbox.begin_again(0.1) == [(m.FAILED, OLD, 6, ERROR, 0.0), (m.DONE, OLD, (7,))]
    assert outbox.take([], 0.1) == []
    assert outbox.caller.sent == 2
