"""What `overlap` takes, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.surface.overlapping.desk import with_answers

from pullahead.overlapping import overlap


def test_another_sentinel_leaves_none_an_item() -> None:
    assert list(overlap(with_answers(1, None, "END"), sentinel="END", lookahead=1)) == [1, None]


@pytest.mark.parametrize("items", [[1, None, 2], (1, None, 2), iter([1, None, 2])])
def test_an_iterable_ends_by_itself_and_none_is_an_item(items: Any) -> None:
    assert list(overlap(items)) == [1, None, 2]
    assert list(overlap([1, "END", 2], sentinel="END", lookahead=0)) == [1]


def test_async_functions_are_refused_with_advice() -> None:
    async def fetch() -> int:
        return 1

    async def generate() -> Any:
        yield 1

    coroutine: Any = fetch()  # what the type checker would not let pass either
    generator: Any = generate()
    hidden: Any = lambda: fetch()  # noqa: E731
    advice = r"run_coroutine_threadsafe"
    with pytest.raises(TypeError, match=advice):
        overlap(fetch)
    with pytest.raises(TypeError, match=advice):
        overlap(coroutine)
    with pytest.raises(TypeError, match=advice):
        overlap(generator)
    items: Iterator[int] = overlap(hidden, lookahead=3)
    with pytest.raises(TypeError, match=advice):
        next(items)
    assert list(items) == []


class _Method:
    def remote(self) -> None: ...


@pytest.mark.parametrize(
    ("fetch", "message"),
    [
        ("text", "expected a function or an iterable of items, got str"),
        (b"bytes", "got bytes"),
        (3, "got int"),
        (_Method(), "pass queue.get_work_item.remote itself"),
    ],
)
def test_what_cannot_be_fetched_from_is_refused(fetch: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        overlap(fetch)


@pytest.mark.parametrize("lookahead", ["fast", True, 1.5, None])
def test_a_lookahead_is_auto_or_a_number(lookahead: Any) -> None:
    with pytest.raises(TypeError, match="expected 'auto' or a number from 0"):
        overlap([1], lookahead=lookahead)
    with pytest.raises(ValueError, match="got -1"):
        overlap([1], lookahead=-1)
