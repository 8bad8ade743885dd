"""Requests, their answers and their order; and what is a sentinel."""

from __future__ import annotations

import numpy as np
import pytest

from pullahead.core.prefetch import Answer, Prefetch, is_sentinel


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
