"""Requests, their answers and their order; and what is a sentinel."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullahead.core.prefetch import Answer, Prefetch, Request, is_sentinel


def test_a_turn_that_is_over_is_no_reason_for_another_request() -> None:
    prefetch = Prefetch()
    prefetch.target = 2
    first, second = prefetch.ask(0.0), prefetch.ask(0.0)
    assert not prefetch.wants
    prefetch.answered(second, Answer.ITEM, "b")
    assert prefetch.head is None
    prefetch.answered(first, Answer.ITEM, "a")
    assert prefetch.head is first
    prefetch.pop()
    assert (prefetch.head, prefetch.wants) == (second, False)


KINDS = st.sampled_from([Answer.ITEM, Answer.ITEM, Answer.ITEM, Answer.ERROR, Answer.END])


@settings(deadline=None)  # a busy machine is no failure
@given(st.data())
def test_every_item_is_handed_out_or_given_back(data: st.DataObject) -> None:
    prefetch, under_way = Prefetch(), list[Request]()
    fetched: Counter[int] = Counter()
    yielded: list[int] = []
    back: list[int] = []
    closed_at = data.draw(st.integers(0, 40))
    for step in range(60):
        if step == closed_at:
            back += prefetch.close()
            assert (len(prefetch), prefetch.over) == (len(under_way), True)
        move = data.draw(st.sampled_from(["ask", "ask", "answer", "answer", "pop"]))
        prefetch.target = 4
        assert prefetch.ready == (prefetch.head is not None or prefetch.over)
        if move == "ask" and prefetch.wants:
            assert not prefetch.ended
            assert not prefetch.closed
            under_way.append(prefetch.ask(0.0))
            assert len(prefetch) <= 4
        elif move == "answer" and under_way:
            request = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
            kind = data.draw(KINDS)
            fetched[request.number] += kind is Answer.ITEM
            back += prefetch.answered(request, kind, request.number)
        elif move == "pop" and (head := prefetch.head) is not None:
            prefetch.pop()
            if head.answer is Answer.ITEM:
                yielded.append(head.value)
    for request in under_way:
        fetched[request.number] += 1
        back += prefetch.answered(request, Answer.ITEM, request.number)
    assert len(prefetch) == 0
    assert yielded == sorted(yielded)
    assert Counter(yielded + back) == +fetched


class _Unequal:
    def __eq__(self, other: object) -> bool:
        raise ValueError("cannot compare")

    __hash__ = None  # type: ignore[assignment]  # no one needs it


class _Shaped:
    shape = (3,)

    def __eq__(self, other: object) -> bool:
        return True  # for a large array, the question alone costs too much

    __hash__ = None  # type: ignore[assignment]  # no one needs it


class _Always:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]  # no one needs it


@pytest.mark.parametrize(
    ("value", "sentinel", "same"),
    [
        (None, None, True),
        (_Always(), None, False),  # None is only equal to itself
        (0, None, False),
        ("END", "END", True),
        ("".join(["E", "ND"]), "END", True),
        (np.int64(-1), -1, True),
        (-1, np.int64(-1), True),
        (np.zeros(3), 0, False),
        (np.zeros(1), 0, False),
        (_Shaped(), 0, False),
        (np.array([None]), None, False),
        (0, np.zeros(1), False),
        (_Unequal(), "END", False),
        (float("nan"), float("nan"), False),
    ],
)
def test_sentinels_are_compared_with_care(value: object, sentinel: object, same: bool) -> None:
    assert is_sentinel(value, sentinel) is same
    assert is_sentinel(sentinel, sentinel)
