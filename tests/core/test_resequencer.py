"""What has ended can be taken in the order of the source: all of it, once, and as soon as it may be."""

from __future__ import annotations

import itertools
import sys
from types import FrameType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pullahead.core.resequencer import Resequencer


def ends(*items: int, state: str = "done") -> tuple[tuple[int, ...], str, list[Any]]:
    """A report of these, each with a payload that tells which it is."""
    return items, state, [f"of {item}" for item in items]


def resequencer(*, ordered: bool = True, expected: int = 10) -> Resequencer:
    made = Resequencer(ordered=ordered)
    made.expect(0, expected)
    return made


def test_what_is_next_can_be_taken_at_once() -> None:
    one = resequencer()
    one.ended(*ends(0, 1, 2))
    assert (one.ready, one.early) == (3, 0)
    assert one.take(10) == [ends(0, 1, 2)]
    assert (one.ready, one.take(10)) == (0, [])


def test_what_is_early_waits_for_what_comes_before_it() -> None:
    one = resequencer()
    one.ended(*ends(2, 3))
    one.ended(*ends(5))
    assert (one.ready, one.early, one.take(10)) == (0, 3, [])
    one.ended(*ends(0, 1, state="dead"))
    assert (one.ready, one.early) == (4, 1)
    assert one.take(10) == [ends(0, 1, state="dead"), ends(2, 3)]
    one.ended(*ends(4))
    assert one.take(10) == [ends(4), ends(5)]


def test_no_more_is_taken_than_was_asked_for() -> None:
    one = resequencer()
    one.ended(*ends(0, 1, 2))
    one.ended(*ends(3, 4))
    assert one.take(0) == []
    assert one.take(2) == [ends(0, 1)]
    assert one.take(2) == [ends(2), ends(3)]
    assert (one.ready, one.take(2)) == (1, [ends(4)])


def test_a_report_whose_items_are_not_consecutive_is_taken_apart() -> None:
    one = resequencer()
    one.ended(*ends(3, 1, 2, 4, 0))
    assert [item for items, _, _ in one.take(10) for item in items] == [0, 1, 2, 3, 4]
    one.ended(*ends(5, 7, 6, 8))  # as far from its first to its last as if it were in order
    assert one.take(10) == [ends(5), ends(6), ends(7), ends(8)]


def test_numbers_of_others_lie_between() -> None:
    one = Resequencer(ordered=True)
    one.expect(0, 2)
    one.expect(7, 2)
    one.expect(9, 0)
    one.expect(9, 1)
    one.ended(*ends(7, 8, 9))
    assert (one.ready, one.early) == (0, 3)
    one.ended(*ends(0, 1))
    assert one.take(10) == [ends(0, 1), ends(7, 8, 9)]


def test_nobody_waits_for_what_is_forgotten() -> None:
    one = resequencer()
    one.ended(*ends(1))
    one.ended(*ends(4, 5))
    one.forget((0, 3))
    assert one.take(10) == [ends(1)]
    one.ended(*ends(2))
    assert one.take(10) == [ends(2), ends(4, 5)]
    one.forget(range(6, 10))
    one.expect(20, 1)
    one.ended(*ends(20))
    assert one.take(10) == [ends(20)]


def test_without_an_order_nothing_waits() -> None:
    one = resequencer(ordered=False)
    one.ended(*ends(5, 3))
    one.ended(*ends(1))
    one.forget((0, 2))
    assert (one.ready, one.early) == (3, 0)
    assert one.take(1) == [ends(5)]
    assert one.take(5) == [ends(3), ends(1)]


def interrupted_at(line: int, one: Resequencer) -> bool:
    """Take, and be interrupted at this line of `take`. Returns whether there is such a line."""
    seen = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen
        if frame.f_code is Resequencer.take.__code__ and event == "line":
            seen += 1
            if seen == line:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        one.take(5)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_who_was_interrupted_at_any_line_may_go_on() -> None:
    for line in itertools.count(1):
        one = resequencer(expected=20)
        one.ended(*ends(0, 1))
        one.ended(*ends(2, 3, 4, 5, 6))
        was_interrupted = interrupted_at(line, one)
        one.ended(*ends(*range(7, 20)))
        taken = []
        while one.any_ready:
            some = [item for items, _, _ in one.take(3) for item in items]
            assert some, "or it would go on for ever"
            taken += some
        assert taken == sorted(set(taken))
        assert set(taken) >= set(range(7, 20))
        assert one.ready == 0
        if not was_interrupted:
            break
    assert line > 10


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[tuple[int, ...]], set[int]]:
    """Submissions, reports in any order, and what is forgotten instead."""
    submissions, first = [], 0
    for count in draw(st.lists(st.integers(1, 6), max_size=6)):
        first += draw(st.integers(0, 2))  # numbers that another run has
        submissions.append((first, count))
        first += count
    items = [item for start, count in submissions for item in range(start, start + count)]
    forgotten = set(draw(st.lists(st.sampled_from(items), unique=True))) if items else set()
    left = draw(st.permutations([item for item in items if item not in forgotten]))
    if draw(st.booleans()):
        left = sorted(left)
    reports = []
    while left:
        size = draw(st.integers(1, len(left)))
        reports.append(tuple(left[:size]))
        left = left[size:]
    return submissions, reports, forgotten


@given(histories(), st.data())
def test_each_is_taken_once_in_order_and_as_soon_as_it_may_be(
    history: tuple[list[tuple[int, int]], list[tuple[int, ...]], set[int]], data: st.DataObject
) -> None:
    submissions, reports, forgotten = history
    one = Resequencer(ordered=True)
    for first, count in submissions:
        one.expect(first, count)
    order = [item for first, count in submissions for item in range(first, first + count)]
    expected = [item for item in order if item not in forgotten]
    steps: list[tuple[str, tuple[int, ...]]] = [("ended", items) for items in reports]
    steps.insert(data.draw(st.integers(0, len(steps))), ("forget", tuple(forgotten)))
    ended, gone, taken = set[int](), set[int](), list[int]()
    for step, items in steps:
        if step == "forget":
            one.forget(items)
            gone.update(items)
        else:
            one.ended(*ends(*items))
            ended.update(items)
        due = []
        for item in order:
            if item in ended:
                due.append(item)
            elif item not in gone:
                break
        assert one.ready == len(due) - len(taken)
        assert one.early == len(ended) - len(due)
        most = data.draw(st.integers(0, 4))
        for some, state, payloads in one.take(most):
            assert state == "done"
            assert payloads == [f"of {item}" for item in some]
            taken += some
        assert taken == due[: len(taken)]
    taken += [item for some, _, _ in one.take(1000) for item in some]
    assert taken == expected
