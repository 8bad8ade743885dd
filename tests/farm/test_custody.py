"""What a run has of its source, and when a live one hears of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from pullahead.core.hunger import HEARD, HEED
from pullahead.core.leases import LEAST
from pullahead.farm import custody
from pullahead.farm.custody import Custody
from pullahead.sources import Capabilities, Taken


class Recorder:
    """A source that writes down what it is told."""

    def __init__(self, *, live: bool = True) -> None:
        self.capabilities = Capabilities(ordered=not live, deadlines=live)
        self.closed = False
        self.told: list[tuple[Any, ...]] = []

    def take(self, n: int, wait: float = 0.0) -> list[Taken]:
        return [Taken(number, number, 1) for number in range(n)]

    def done(self, token: int) -> None:
        self.told.append(("done", token))

    def failed(self, token: int, reason: str, attempts: int = 1) -> None:
        self.told.append(("failed", token, reason, attempts))

    def give_back(self, tokens: Iterable[int], delay: float = 0.0) -> None:
        self.told.append(("give back", *tokens))

    def extend(self, tokens: Iterable[int], seconds: float) -> None:
        self.told.append(("extend", tuple(tokens), seconds))

    def close(self) -> None:
        self.closed = True


class Time:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(custody, "monotonic", lambda: self.now)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


def test_what_is_out_is_extended_after_half_a_lease(time: Time) -> None:
    source = Recorder()
    kept = Custody(source)
    kept.take(2, 0.0)
    assert kept.patience == LEAST / 2
    kept.tend()
    assert source.told == []
    time.now += LEAST / 2
    kept.tend()
    assert source.told == [("extend", (0, 1), LEAST)]


def test_ends_are_told_together(time: Time) -> None:
    source = Recorder()
    kept = Custody(source)
    kept.take(3, 0.0)
    assert kept.settle(0)
    kept.tend()
    assert not kept or kept.patience is not None
    assert kept.settle(1, "ValueError: no", 2)
    assert not kept.settle(2)  # the feeder has been woken for the one before
    assert kept.patience == pytest.approx(custody._COMPANY)
    kept.tend()
    time.now += custody._COMPANY
    kept.tend()
    ends = [("done", 0), ("failed", 1, "ValueError: no", 2), ("done", 2)]
    assert source.told == [ends[0], ("extend", (), LEAST), *ends[1:], ("extend", (), LEAST)]
    assert not kept


def test_what_comes_is_renewed_by_the_lease_that_its_source_was_told_last(time: Time) -> None:
    """An end that took long makes leases longer, but not that of what came before the source heard of it."""
    source = Recorder()
    kept = Custody(source)
    kept.take(1, 0.0)
    time.now += 4 * LEAST
    kept.settle(0)
    kept.take(1, 0.0)
    assert kept.patience == LEAST / 2
    kept.settle(0)
    kept.tend()
    assert source.told[-1] == ("extend", (), 4 * LEAST)
    kept.take(1, 0.0)
    assert kept.patience == 2 * LEAST


def test_nothing_is_out_once_the_source_knows_all_ends(time: Time) -> None:
    kept = Custody(Recorder())
    assert not kept
    kept.take(1, 0.0)
    assert kept
    kept.settle(0)
    assert kept  # it has not heard of it
    kept.tend()
    assert not kept
    assert kept.patience is None


def test_what_is_left_goes_back(time: Time) -> None:
    source = Recorder()
    kept = Custody(source)
    kept.take(3, 0.0)
    kept.settle(1)
    kept.give_back([2])
    kept.give_all_back()
    kept.give_all_back()
    assert source.told == [("done", 1), ("give back", 2), ("give back", 0)]


def test_a_source_without_deadlines_is_not_tended(time: Time) -> None:
    source = Recorder(live=False)
    kept = Custody(source)
    kept.take(1, 0.0)
    time.now += 10 * LEAST
    assert not kept.settle(0)
    kept.tend()
    assert (source.told, kept.patience, bool(kept)) == ([("done", 0)], None, False)


class Neighbour(Recorder):
    """A source that hears of others, and keeps results."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = 0
        self.refused = 0

    def hungry(self, workers: int) -> None:
        self.told.append(("hungry", workers))

    def wanted(self) -> int:
        heard, self.heard = self.heard, 0
        return heard

    def keep_result(self, token: int, result: Any) -> None:
        self.told.append(("keep", token, result))


def test_hunger_is_said_now_and_then_and_heard_until_it_is_over(time: Time) -> None:
    source = Neighbour()
    kept = Custody(source)
    kept.hungry(2)
    kept.hungry(2)
    assert source.told == [("hungry", 2)]
    assert kept.wanted() is None
    source.heard = 3
    assert [kept.wanted(), kept.wanted()] == [3, None]
    taken = kept.take(2, 0.0)
    kept.give_back([token for token, _ in taken[:1]])
    assert [kept.wanted(), kept.wanted()] == [2, None]
    time.now += HEARD
    assert [kept.wanted(), kept.wanted()] == [0, None]


def test_who_may_hear_of_others_looks_often(time: Time) -> None:
    kept = Custody(Neighbour())
    assert kept.patience == HEED
    kept.take(1, 0.0)
    assert kept.patience == HEED
    time.now += LEAST / 2
    assert kept.patience == 0.0


def test_only_who_has_neighbours_says_and_hears_of_hunger(time: Time) -> None:
    source = Recorder()
    kept = Custody(source)
    kept.hungry(1)
    assert (kept.wanted(), kept.keep, kept.refused, source.told) == (None, None, 0, [])


def test_a_source_that_keeps_results_is_given_them(time: Time) -> None:
    source = Neighbour()
    kept = Custody(source)
    assert kept.keep is not None
    kept.keep(1, "result")
    source.refused = 2
    assert kept.refused == 2
    assert source.told == [("keep", 1, "result")]


def test_a_source_that_keeps_results_need_not_count_what_is_refused(time: Time) -> None:
    class Plain(Recorder):
        def keep_result(self, token: int, result: Any) -> None:
            self.told.append(("keep", token, result))

    source = Plain()
    kept = Custody(source)
    assert kept.keep is not None
    kept.keep(1, "result")
    assert (source.told, kept.refused) == ([("keep", 1, "result")], 0)
