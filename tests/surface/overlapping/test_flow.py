"""Order, end, depth, and who calls `fetch` on which thread. Every order of events is forced."""

from __future__ import annotations

import contextvars
import gc
import queue
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from tests.surface.overlapping.desk import SOON, Desk, Tray, join_ours, with_answers

from pullahead.overlapping import overlap


def test_the_request_for_the_next_item_is_made_before_this_one_is_computed() -> None:
    desk = with_answers("a", "b", "c", None, None)
    seen = [(item, len(desk.futures)) for item in overlap(desk, lookahead=1)]
    assert seen == [("a", 2), ("b", 3), ("c", 4)]
    assert len(desk.futures) == 4  # one sentinel was enough


@pytest.mark.parametrize(("lookahead", "requests"), [(0, [1, 2, 3]), (1, [2, 3, 4]), (3, [4, 4, 4])])
def test_a_fixed_lookahead_is_kept(lookahead: int, requests: list[int]) -> None:
    desk = with_answers("a", "b", "c", *[None] * 4)
    assert [len(desk.futures) for _ in overlap(desk, lookahead=lookahead)] == requests


def test_items_come_in_the_order_of_requests_not_of_answers() -> None:
    desk = with_answers("a")
    items = overlap(desk, lookahead=3)
    assert next(items) == "a"
    for number, value in ((3, None), (2, "c"), (1, "b")):
        desk.answer(number, value)
    assert list(items) == ["b", "c"]
    assert len(desk.futures) == 4


def test_items_behind_the_sentinel_are_yielded_before_the_end() -> None:
    desk = with_answers("a")
    items = overlap(desk, lookahead=4)
    assert next(items) == "a"
    for number, value in ((1, "b"), (2, None), (3, "c"), (4, None)):
        desk.answer(number, value)
    assert list(items) == ["b", "c"]
    assert list(items) == []
    assert len(desk.futures) == 5


def test_the_end_waits_for_every_request_under_way() -> None:
    desk = with_answers("a")
    items = overlap(desk, lookahead=2)
    assert next(items) == "a"
    desk.answer(1, None)
    rest: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
    consumer = threading.Thread(target=lambda: rest.put(list(items)))
    consumer.start()
    desk.answer(2, "late but real")
    assert rest.get(timeout=SOON) == ["late but real"]
    consumer.join()


def test_nothing_is_requested_before_the_first_next() -> None:
    desk = Desk()
    items = overlap(desk)
    items.close()
    assert list(items) == []
    assert desk.threads == []


@pytest.mark.parametrize("end", [StopIteration(), StopAsyncIteration()])
def test_a_stop_iteration_from_fetch_is_an_end(end: Exception) -> None:
    assert list(overlap(with_answers("a", end), lookahead=1)) == ["a"]
    values: Iterator[Any] = iter(["a", end])

    def fetch() -> str:
        value: str | Exception = next(values)
        if isinstance(value, Exception):
            raise value
        return value

    assert list(overlap(fetch)) == ["a"]


def test_only_the_first_request_is_made_by_a_thread_when_fetch_returns_futures() -> None:
    desk = with_answers("a", "b", "c", None)
    assert list(overlap(desk, lookahead=1)) == ["a", "b", "c"]
    assert desk.threads[0].name == "pullahead-overlap"
    assert desk.threads[1:] == [threading.current_thread()] * 3
    join_ours()
    assert not desk.threads[0].is_alive()


def test_the_second_request_is_made_by_the_caller_even_if_the_first_is_answered_at_once() -> None:
    made: list[Future[str]] = []
    taken = threading.Event()

    class There(Future[str]):
        def add_done_callback(self, fn: Callable[[Future[str]], object]) -> None:
            super().add_done_callback(fn)  # answers
            if self is made[0]:
                taken.wait(SOON)  # the thread comes no further before the caller has its item

    def fetch() -> Future[str]:
        made.append(There())
        made[-1].set_result("a")
        return made[-1]

    items = overlap(fetch, lookahead=1, give_back=Tray())
    assert next(items) == "a"
    assert len(made) == 2
    taken.set()
    items.close()


def test_a_fixed_depth_is_requested_while_the_first_answer_is_awaited() -> None:
    desk = Desk()
    got: queue.SimpleQueue[str] = queue.SimpleQueue()
    asked = threading.Semaphore(0)

    def fetch() -> Future[Any]:
        future = desk()
        asked.release()
        return future

    items = overlap(fetch, lookahead=3, give_back=Tray())
    consumer = threading.Thread(target=lambda: got.put(next(items)))
    consumer.start()
    assert [asked.acquire(timeout=SOON) for _ in range(3)] == [True] * 3
    desk.answer(0, "a")
    assert got.get(timeout=SOON) == "a"
    consumer.join()
    items.close()


def test_a_blocking_function_runs_on_one_thread_of_its_own_while_the_caller_computes() -> None:
    threads: list[int] = []
    called = threading.Semaphore(0)
    values = iter(range(4))

    def fetch() -> int | None:
        threads.append(threading.get_ident())
        called.release()
        return next(values, None)

    seen = []
    for item in overlap(fetch, lookahead=1):
        # The call for the next item is made in this body, or it would never return.
        assert called.acquire(timeout=SOON)
        assert called.acquire(timeout=SOON) or item
        called.release()
        seen.append(item)
    assert seen == [0, 1, 2, 3]
    assert len(threads) == 5
    assert len(set(threads)) == 1
    assert threading.get_ident() not in threads


def test_a_blocking_function_is_not_called_again_after_the_sentinel() -> None:
    source: queue.Queue[int | None] = queue.Queue()
    for value in (1, 2, None):
        source.put(value)
    assert list(overlap(source.get, lookahead=8)) == [1, 2]  # another get would block for ever


@pytest.mark.parametrize("lookahead", [0, 1, 3])
def test_a_blocking_function_runs_no_further_ahead_than_the_lookahead(lookahead: int) -> None:
    called = threading.Semaphore(0)

    def fetch() -> int:
        called.release()
        return 1

    items = overlap(fetch, lookahead=lookahead, give_back=lambda item: None)
    for _ in range(3):
        next(items)
    assert [called.acquire(timeout=SOON) for _ in range(3 + lookahead)] == [True] * (3 + lookahead)
    assert not called.acquire(timeout=0.05)  # only time can show that nothing more happens
    items.close()


def test_a_connection_that_fetch_opens_stays_with_its_thread() -> None:
    opened: list[sqlite3.Connection] = []
    rows = iter([1, 2, None])

    def fetch() -> Any:
        if not opened:
            opened.append(sqlite3.connect(":memory:"))
        row = next(rows)
        if row is None:
            opened[0].close()
        return row and opened[0].execute("select ?", (row,)).fetchone()[0]

    assert list(overlap(fetch)) == [1, 2]


def test_context_variables_are_seen_by_fetch() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("set")
    items = overlap(variable.get, give_back=lambda item: None)
    assert next(items) == "set"
    items.close()


@pytest.mark.parametrize("lookahead", [0, 1])
def test_no_item_is_kept_alive_after_it_was_yielded(lookahead: int) -> None:
    class Large:
        pass

    values: list[Any] = [Large(), Large(), None]
    items = overlap(lambda: values.pop(0), lookahead=lookahead)
    item = next(items)
    alive = weakref.ref(item)
    del item
    gc.collect()
    assert alive() is None
    assert len(list(items)) == 1
