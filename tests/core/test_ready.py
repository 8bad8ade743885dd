"""The ready items: a plain set of numbers is the oracle."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pullahead.core.ready import Ready, ranges_of


def test_what_came_back_one_by_one_is_one_range_again() -> None:
    ready = Ready()
    for item in (3, 5, 4, 1, 2):
        ready.put(item, item + 1, run=0)
    assert ready.ranges() == [(1, 6, 0)]
    assert ready.take_oldest(3) == (1, 3, 0)
    assert ready.take_oldest(3) == (4, 2, 0)
    assert ready.count == 0


def test_neighbours_of_different_runs_stay_apart() -> None:
    ready = Ready()
    ready.put(0, 5, run=0)
    ready.put(5, 9, run=1)
    assert ready.take_oldest(9) == (0, 5, 0)
    assert ready.take_oldest(9) == (5, 4, 1)


def test_a_run_is_taken_as_a_whole() -> None:
    ready = Ready()
    ready.put(0, 4, run=0)
    ready.put(4, 6, run=1)
    ready.put(8, 9, run=0)
    assert ready.take_run(0) == [(0, 4), (8, 9)]
    assert ready.ranges() == [(4, 6, 1)]
    assert ready.count == 2


@pytest.mark.parametrize(("items", "ranges"), [((), []), ((4,), [(4, 5)]), ((3, 1, 2, 7), [(1, 4), (7, 8)])])
def test_ranges_of(items: tuple[int, ...], ranges: list[tuple[int, int]]) -> None:
    assert ranges_of(items) == ranges


class ReadyMachine(RuleBasedStateMachine):
    """Ten items of one run, ten of another, in and out in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = Ready()
        self.model: set[int] = set()

    @rule(first=st.integers(0, 19), count=st.integers(1, 6))
    def put(self, first: int, count: int) -> None:
        run = first // 10
        fresh = tuple(
            item for item in range(first, min(first + count, 10 * run + 10)) if item not in self.model
        )
        for low, high in ranges_of(fresh):
            self.ready.put(low, high, run)
        self.model.update(fresh)

    @precondition(lambda self: self.model)
    @rule(most=st.integers(1, 6))
    def take_oldest(self, most: int) -> None:
        first, count, run = self.ready.take_oldest(most)
        assert first == min(self.model)
        assert 1 <= count <= most
        self._took(first, count, run)
        assert count == most or first + count not in self.model or (first + count) // 10 != run

    @rule(run=st.integers(0, 1))
    def take_run(self, run: int) -> None:
        taken = {item for first, stop in self.ready.take_run(run) for item in range(first, stop)}
        assert taken == {item for item in self.model if item // 10 == run}
        self.model -= taken

    def _took(self, first: int, count: int, run: int) -> None:
        items = set(range(first, first + count))
        assert items <= self.model
        assert all(item // 10 == run for item in items)
        self.model -= items

    @invariant()
    def agrees(self) -> None:
        self.ready.validate()
        assert {i for first, stop, _ in self.ready.ranges() for i in range(first, stop)} == self.model


TestReady = ReadyMachine.TestCase
