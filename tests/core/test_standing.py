"""What the caller hears of how things stand, where workers come and go: at the ledger, and when it does."""

from __future__ import annotations

from pullahead.core import messages as m
from pullahead.core.ledger import Grant, Ledger, NothingLeft, Recall, RunEnded, Starved
from pullahead.core.retry import Again
from pullahead.core.standing import EVERY, Bulletins, Standing

SOURCE = "source"


def three(spares: int = 8) -> Ledger:
    """Workers 0, 1 and 2 have asked for an item each, the last one first, and are hungry."""
    ledger = Ledger(spares=spares)
    ledger.opened(1)
    for moment, worker in enumerate((2, 1, 0)):
        ledger.joined(worker)
        ledger.asked(worker, 1, float(moment))
        ledger.hungry(worker, 1, float(moment))
    return ledger


def grant(worker: int, lease: int, item: int, waited: float) -> Grant:
    return Grant(worker, lease, 1, item, 1, waited, SOURCE, 0)


def test_the_lowest_number_of_those_that_are_hungry_is_served_first() -> None:
    ledger = three()
    assert ledger.submitted(1, 0, 1, SOURCE, 5.0) == [grant(0, 1, 0, 3.0), Starved(1)]
    assert ledger.submitted(1, 1, 2, SOURCE, 5.0) == [
        grant(1, 2, 1, 4.0),
        grant(2, 3, 2, 5.0),
    ]
    ledger.validate()


def test_otherwise_whoever_waits_longest_is() -> None:
    ledger = three(spares=0)
    assert ledger.submitted(1, 0, 1, SOURCE, 5.0) == [grant(2, 1, 0, 5.0), Starved(1)]


def test_where_there_is_little_to_do_the_last_ones_are_idle() -> None:
    ledger = three()
    for item in range(4):
        ledger.submitted(1, item, 1, SOURCE, 10.0 + item)
        assert ledger.finished(0, item + 1, (item,), 10.5 + item)[0] == (item,)
        ledger.asked(0, 1, 10.5 + item)
        ledger.hungry(0, 1, 10.5 + item)
    assert ledger.standing == Standing(0, 0.5, None, ((2, 0.0), (1, 0.0), (0, 13.5)), is_over=False)
    ledger.validate()


def test_what_is_ready_and_what_could_be_recalled_has_not_begun() -> None:
    ledger = Ledger(spares=8)
    ledger.opened(1)
    ledger.joined(0)
    ledger.asked(0, 3, 0.0)
    ledger.submitted(1, 0, 5, SOURCE, 1.0)
    ledger.started(0, 1, (0,))
    assert ledger.standing == Standing(4, 0.0, 1.0, (), is_over=False)
    ledger.finished(0, 1, (0,), 3.0)
    assert ledger.standing == Standing(3, 2.0, 1.0, (), is_over=False)
    ledger.asked(0, 2, 4.0)
    assert ledger.standing == Standing(3, 2.0, None, (), is_over=False), "all that is left is held"


def test_something_is_ready_since_nobody_could_take_it() -> None:
    ledger = Ledger(spares=8)
    ledger.opened(1)
    ledger.joined(0)
    ledger.submitted(1, 0, 2, SOURCE, 1.0)
    ledger.submitted(1, 2, 1, SOURCE, 2.0)
    assert ledger.standing.since == 1.0
    ledger.asked(0, 9, 3.0)
    assert ledger.standing.since is None
    ledger.gave_back(0, 1, (2,), 4.0)
    assert ledger.standing.since is None, "it was granted again at once"
    assert ledger.standing.idle == ()


def test_it_is_over_when_all_has_begun_and_nothing_is_to_come() -> None:
    ledger = three()
    ledger.submitted(1, 0, 2, SOURCE, 5.0)
    assert not ledger.standing.is_over
    assert ledger.closed(1, 6.0) == [NothingLeft(2, 6.0, SOURCE)]
    assert ledger.standing == Standing(0, 0.0, None, ((2, 0.0),), is_over=True)
    ledger.failed(0, 1, 0, Again(9.0, charged=True), 7.0)
    assert ledger.standing == Standing(0, 0.0, None, ((2, 0.0), (0, 7.0)), is_over=False), "it comes again"


def test_who_was_told_to_stop_is_not_idle() -> None:
    ledger = three()
    assert ledger.stopping(2) == []
    assert ledger.standing.idle == ((1, 0.0), (0, 0.0))
    assert ledger.submitted(1, 0, 3, SOURCE, 5.0) == [
        grant(0, 1, 0, 3.0),
        grant(1, 2, 1, 4.0),
    ]


def test_who_is_not_needed_hears_why_it_has_waited() -> None:
    ledger = three()
    assert ledger.spared(2, 7.0) == [NothingLeft(2, 7.0, SOURCE)]
    assert ledger.closed(1, 8.0) == [RunEnded(1), NothingLeft(1, 7.0, SOURCE), NothingLeft(0, 6.0, SOURCE)]
    assert ledger.spared(1, 9.0) == [], "it knows that nothing is left"
    assert ledger.standing.idle == ((0, 0.0),)
    ledger.validate()


def test_a_worker_that_comes_late_takes_from_the_others() -> None:
    ledger = Ledger(spares=8)
    ledger.opened(1)
    ledger.joined(0)
    ledger.asked(0, 9, 0.0)
    ledger.submitted(1, 0, 9, SOURCE, 0.0)
    ledger.started(0, 1, (0,))
    ledger.finished(0, 1, (0,), 10.0)
    ledger.joined(1)
    ledger.asked(1, 2, 11.0)
    assert ledger.hungry(1, 2, 11.0) == [Recall(0, 2)]


# When it is told


def standing(unstarted: int = 0, since: float | None = None) -> Standing:
    return Standing(unstarted, 0.5, since, ((3, 4.0),), is_over=False)


def test_nothing_has_happened() -> None:
    assert Bulletins().due is None


def test_a_change_is_told_at_once_and_the_next_one_a_quarter_of_a_second_later() -> None:
    bulletins = Bulletins()
    bulletins.happened()
    assert bulletins.due == 0.0
    assert bulletins.take(standing(7, 9.0), 10.0) == (m.STANDING, 7, 0.5, 1.0, ((3, 6.0),), False)
    assert bulletins.due is None
    bulletins.happened()
    assert bulletins.due == 10.0 + EVERY
    assert bulletins.take(standing(6), 10.25) == (m.STANDING, 6, 0.5, 0.0, ((3, 6.25),), False)


def test_what_is_no_news_is_not_told() -> None:
    bulletins = Bulletins()
    bulletins.happened()
    bulletins.take(standing(), 10.0)
    bulletins.happened()
    assert bulletins.take(standing(), 11.0) is None
    assert bulletins.due is None


def test_what_has_just_begun_has_lasted() -> None:
    bulletins = Bulletins()
    bulletins.happened()
    (_, _, _, lasted, _, _) = bulletins.take(standing(1, 10.0), 10.0) or ()
    assert 0.0 < lasted < 1e-6
