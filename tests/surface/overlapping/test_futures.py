"""References and futures, and when they are let go."""

from __future__ import annotations

import asyncio
import threading
import weakref
from concurrent.futures import CancelledError, Future

import pytest
from tests.surface.overlapping.desk import Desk, Ref, Tray, with_answers

from pullahead.overlapping import overlap


def test_references_are_pulled_once_and_at_once() -> None:
    desk = with_answers("a", "b", None)
    refs: list[Ref] = []

    def fetch() -> Ref:
        refs.append(Ref(desk()))
        return refs[-1]

    items = overlap(fetch, lookahead=2)
    assert next(items) == "a"
    assert [ref.pulled for ref in refs] == [1, 1, 1]
    assert list(items) == ["b"]
    assert [ref.pulled for ref in refs] == [1, 1, 1]


def test_a_reference_lives_until_its_answer_and_no_longer() -> None:
    desk = with_answers("a")
    refs: list[weakref.ref[Ref]] = []

    def fetch() -> Ref:
        ref = Ref(desk())
        refs.append(weakref.ref(ref))
        return ref

    items = overlap(fetch, lookahead=1, give_back=Tray())
    next(items)
    assert refs[1]() is not None
    desk.answer(1, "b")
    assert refs[1]() is None
    items.close()


def test_an_item_that_is_a_reference_is_yielded_when_its_value_is_here() -> None:
    desk, store = with_answers(), Desk()
    inside = [Ref(store()) for _ in range(3)]
    tray = Tray()
    items = overlap(desk, lookahead=1, give_back=tray)
    desk.answer(0, inside[0])
    store.answer(0, "value")
    desk.answer(1, inside[1])
    assert next(items) is inside[0]
    assert [ref.pulled for ref in inside] == [1, 1, 0], (
        "the next one is on its way while this one is computed"
    )
    assert not items._flow.prefetch.ready
    store.answer(1, KeyError("lost"))
    assert next(items) is inside[1], "what has become of it is seen by who asks for its value"
    desk.answer(2, inside[2])
    items.close()
    assert tray.take(1) == [inside[2]], "it does not wait for its value"
    store.answer(2, "late")
    assert [ref.pulled for ref in inside] == [1, 1, 1]


class _Strange:
    def future(self) -> int:
        return 7


def test_an_item_that_only_looks_like_a_reference_is_an_item() -> None:
    strange = _Strange()
    waiting: Future[int] = Future()
    assert list(overlap(with_answers(strange, waiting, None))) == [strange, waiting]


def test_an_iterable_of_futures_yields_their_values() -> None:
    desk = with_answers("a", "b", "c")
    assert list(overlap(desk() for _ in range(3))) == ["a", "b", "c"]


def test_a_coroutine_run_in_a_loop_elsewhere_is_a_future() -> None:
    values = iter([1, 2, None])

    async def fetch() -> int | None:
        return next(values)

    loop = asyncio.new_event_loop()
    runner = threading.Thread(target=loop.run_forever)
    runner.start()
    try:
        assert list(overlap(lambda: asyncio.run_coroutine_threadsafe(fetch(), loop), lookahead=1)) == [1, 2]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        runner.join()
        loop.close()


def test_a_cancelled_future_is_an_error() -> None:
    desk = with_answers("a")
    items = overlap(desk, lookahead=1)
    next(items)
    desk.futures[1].cancel()
    desk.answer(2, None)
    with pytest.raises(CancelledError):
        next(items)
    assert list(items) == []


def test_a_reference_with_a_strange_future_is_an_error() -> None:
    class Strange:
        def future(self) -> int:
            return 1

    items = overlap(lambda: Strange(), lookahead=0)
    with pytest.raises(TypeError, match=r"expected Strange.future\(\) to return a concurrent.*got int"):
        next(items)
    items.close()
