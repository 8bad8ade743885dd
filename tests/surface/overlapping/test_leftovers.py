"""Leaving early: what was fetched and not yielded is given back, or a warning counts it."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from tests.surface.overlapping.desk import SOON, Desk, Ref, Tray, join_ours, threads_of_ours, with_answers

from pullahead.overlapping import overlap


def test_a_break_gives_back_what_was_fetched_and_later_what_arrives() -> None:
    desk, tray = with_answers("a"), Tray()
    for item in overlap(desk, lookahead=4, give_back=tray):
        assert item == "a"
        for number, value in ((3, "d"), (1, "b"), (4, None)):
            desk.answer(number, value)
        break
    assert tray.now() == ["b", "d"]
    assert tray.threads == [threading.current_thread()] * 2
    desk.answer(2, "c")
    assert tray.take(1) == ["c"]
    assert tray.threads[2].name == "pullahead-give-back"
    assert len(desk.futures) == 5


def test_an_exception_in_the_loop_gives_back() -> None:
    desk, tray = with_answers("a", "b"), Tray()
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        for _ in overlap(desk, lookahead=1, give_back=tray):
            _ = 1 / 0
    assert tray.now() == ["b"]


def test_a_failed_fetch_that_leaves_the_loop_gives_back_before_it_is_handled() -> None:
    desk, tray = with_answers("a", ValueError(), "c"), Tray()
    try:
        for _ in overlap(desk, lookahead=2, give_back=tray):
            pass
    except ValueError:
        desk.answer(3, None)
        assert tray.now() == ["c"]


def test_with_gives_back_even_if_somebody_keeps_the_iterator() -> None:
    desk, tray = with_answers("a", "b"), Tray()
    with overlap(desk, lookahead=1, give_back=tray) as items:
        assert next(items) == "a"
    assert tray.now() == ["b"]
    assert list(items) == []
    items.close()
    assert tray.now() == []


def test_errors_and_sentinels_are_not_given_back() -> None:
    desk, tray = with_answers("a", ValueError(), None), Tray()
    items = overlap(desk, lookahead=3, give_back=tray)
    next(items)
    items.close()
    desk.answer(3, ValueError("late"))
    assert tray.now() == []


def test_close_does_not_wait_for_a_blocking_fetch_whose_item_is_given_back_by_its_thread() -> None:
    tray = Tray()
    source: queue.SimpleQueue[int] = queue.SimpleQueue()
    source.put(1)
    items = overlap(source.get, lookahead=1, give_back=tray)
    assert next(items) == 1
    thread = next(thread for thread in threads_of_ours())
    assert thread.daemon
    items.close()
    source.put(2)
    thread.join(SOON)
    rest = tray.now()
    # Either its get was under way, or it had not begun and the item is still where it was.
    assert rest + [source.get_nowait() for _ in range(source.qsize())] == [2]
    assert tray.threads == [thread] * len(rest)


def test_items_go_back_one_at_a_time() -> None:
    desk, threads = with_answers("a", "b"), list[threading.Thread]()
    entered, leave = threading.Event(), threading.Event()

    def give_back(item: str) -> None:
        threads.append(threading.current_thread())
        entered.set()
        assert leave.wait(SOON)

    items = overlap(desk, lookahead=2, give_back=give_back)
    next(items)
    closer = threading.Thread(target=items.close)
    closer.start()
    assert entered.wait(SOON)
    desk.answer(2, "c")  # whoever is giving back takes it along
    leave.set()
    closer.join()
    assert threads == [closer] * 2


def test_close_inside_a_request_gives_back_the_item_that_was_about_to_be_yielded() -> None:
    desk, tray = with_answers("a", "b"), Tray()

    def fetch() -> Future[Any]:
        if len(desk.futures) == 1:
            items.close()
        return desk()

    items = overlap(fetch, lookahead=1, give_back=tray)
    assert list(items) == []
    assert sorted(tray.take(2)) == ["a", "b"]


def test_close_from_another_thread_ends_a_wait() -> None:
    desk = Desk()
    asked = threading.Event()

    def fetch() -> Future[Any]:
        asked.set()
        return desk()

    tray = Tray()
    items = overlap(fetch, give_back=tray)
    rest: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
    consumer = threading.Thread(target=lambda: rest.put(list(items)))
    consumer.start()
    assert asked.wait(SOON)
    items.close()
    assert rest.get(timeout=SOON) == []
    consumer.join()
    join_ours()
    desk.answer(0, "a")
    assert tray.take(1) == ["a"]


def test_without_give_back_a_warning_counts_what_is_lost() -> None:
    desk = with_answers("a", "b")
    items = overlap(desk, lookahead=3)
    next(items)
    with pytest.warns(RuntimeWarning) as caught:
        items.close()
    assert [str(warning.message) for warning in caught] == [
        "overlap() was left early with 1 item fetched and 2 requests under way: "
        "pass give_back= to return them"
    ]
    assert caught[0].filename == __file__
    desk.answer(2, "c")
    with pytest.warns(RuntimeWarning) as caught:
        desk.answer(3, "d")
    assert [str(warning.message) for warning in caught] == [
        "2 items came after overlap() was left early and are lost"
    ]


def test_a_break_without_give_back_warns_where_the_break_is() -> None:
    desk = with_answers("a")
    with pytest.warns(RuntimeWarning, match="0 items fetched and 1 request under way") as caught:  # noqa: PT031
        for _ in overlap(desk, lookahead=1):
            break
    assert caught[0].filename == __file__
    desk.answer(1, None)  # no item: nothing was lost, nothing is said


def test_a_warning_that_is_an_error_is_shown_by_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", shown.append)
    source: queue.SimpleQueue[int] = queue.SimpleQueue()
    asked = threading.Semaphore(0)

    def fetch() -> int:
        asked.release()
        return source.get()

    source.put(1)
    items = overlap(fetch, lookahead=1)
    next(items)
    assert [asked.acquire(timeout=SOON) for _ in range(2)] == [True] * 2
    with pytest.warns(RuntimeWarning, match="1 request under way"):
        items.close()
    source.put(2)
    join_ours()
    assert [str(seen.exc_value) for seen in shown] == [
        "1 item came after overlap() was left early and is lost"
    ]


class Generates:
    """An iterable that says when its second item is being fetched."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def __iter__(self) -> Iterator[int]:
        yield 1
        self.begun.set()
        yield 2


def test_an_iterable_that_can_be_read_again_has_lost_nothing() -> None:
    source = Generates()
    for _ in overlap(source, lookahead=1):
        assert source.begun.wait(SOON)
        break
    source = Generates()
    with pytest.warns(RuntimeWarning, match="fetched and 1 request under|1 item fetched and 0 requests"):  # noqa: PT031
        for _ in overlap(iter(source), lookahead=1):
            assert source.begun.wait(SOON)
            break
        join_ours()


def test_an_iterator_that_ended_gives_nothing_back_and_does_not_warn() -> None:
    items = overlap(with_answers("a", None), lookahead=1)
    assert list(items) == ["a"]
    items.close()


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    return seen


def test_an_error_in_give_back_is_shown_and_the_others_still_go_back(unraisable: list[Any]) -> None:
    desk, tray = with_answers("a", "b", "c"), Tray()

    def give_back(item: str) -> None:
        if item in ("b", "d"):
            raise ValueError(item)
        tray(item)

    items = overlap(desk, lookahead=4, give_back=give_back)
    next(items)
    items.close()
    assert tray.now() == ["c"]
    assert [str(seen.exc_value) for seen in unraisable] == ["b"]
    desk.answer(3, "d")
    desk.answer(4, "e")
    assert tray.take(1) == ["e"]
    join_ours()
    assert [str(seen.exc_value) for seen in unraisable] == ["b", "d"]


def test_an_error_in_the_future_of_give_back_is_shown(unraisable: list[Any]) -> None:
    returned: Future[None] = Future()
    items = overlap(with_answers("a", "b"), lookahead=1, give_back=lambda item: Ref(returned))
    next(items)
    items.close()
    assert unraisable == []
    returned.set_exception(ValueError("gone"))
    assert [(seen.exc_type, str(seen.exc_value)) for seen in unraisable] == [(ValueError, "gone")]
    assert "could not give back an item" in unraisable[0].exc_value.__notes__[0]
