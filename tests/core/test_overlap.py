"""The seed's pattern as an iterator: order, end, errors, leaving early, accounts. Every order is forced."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import itertools
import queue
import random
import signal
import sqlite3
import sys
import threading
import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullahead.core import trace
from pullahead.overlap import (
    FREE_AHEAD,
    MAX_AHEAD,
    Answer,
    Ceiling,
    Slot,
    Statistics,
    Times,
    Window,
    is_sentinel,
    overlap,
)

SOON = 10.0  # seconds: what must happen on another thread has happened by then, or the test fails


class Clock:
    """Time moves only when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """A `fetch` whose answers a test gives by hand, in any order, before or after the request."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []
        self.threads: list[threading.Thread] = []
        self._early: dict[int, Any] = {}

    def __call__(self) -> Future[Any]:
        future: Future[Any] = Future()
        number = len(self.futures)
        self.futures.append(future)
        self.threads.append(threading.current_thread())
        if number in self._early:
            self._resolve(future, self._early.pop(number))
        return future

    def answer(self, number: int, value: Any) -> None:
        """Answer a request; one that has not been made yet is answered as soon as it is."""
        if number < len(self.futures):
            self._resolve(self.futures[number], value)
        else:
            self._early[number] = value

    @staticmethod
    def _resolve(future: Future[Any], value: Any) -> None:
        if isinstance(value, BaseException):
            future.set_exception(value)
        else:
            future.set_result(value)


class Tray:
    """A `give_back` that can be waited for."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.threads: list[threading.Thread] = []

    def __call__(self, item: Any) -> None:
        self.threads.append(threading.current_thread())
        self._queue.put(item)

    def take(self, count: int) -> list[Any]:
        return [self._queue.get(timeout=SOON) for _ in range(count)]

    def now(self) -> list[Any]:
        return [self._queue.get_nowait() for _ in range(self._queue.qsize())]


class Ref:
    """Has the part of an ObjectRef that matters, and counts how often its value was asked to travel."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future
        self.pulled = 0

    def future(self) -> Future[Any]:
        self.pulled += 1
        return self._future


def threads_of_ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("pullahead-")]


def join_ours() -> None:
    for thread in threads_of_ours():
        thread.join(SOON)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    gc.collect()
    join_ours()
    assert threads_of_ours() == []


def with_answers(*values: Any) -> Desk:
    desk = Desk()
    for number, value in enumerate(values):
        desk.answer(number, value)
    return desk


# -- order and end ---------------------------------------------------------------------------------------


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


def test_another_sentinel_leaves_none_an_item() -> None:
    assert list(overlap(with_answers(1, None, "END"), sentinel="END", lookahead=1)) == [1, None]


# -- what fetch may be -----------------------------------------------------------------------------------


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


def test_only_the_first_request_is_made_by_a_thread_when_fetch_returns_futures() -> None:
    desk = with_answers("a", "b", "c", None)
    assert list(overlap(desk, lookahead=1)) == ["a", "b", "c"]
    assert desk.threads[0].name == "pullahead-overlap"
    assert desk.threads[1:] == [threading.current_thread()] * 3
    join_ours()
    assert not desk.threads[0].is_alive()


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


@pytest.mark.parametrize("items", [[1, None, 2], (1, None, 2), iter([1, None, 2])])
def test_an_iterable_ends_by_itself_and_none_is_an_item(items: Any) -> None:
    assert list(overlap(items)) == [1, None, 2]
    assert list(overlap([1, "END", 2], sentinel="END", lookahead=0)) == [1]


def test_an_iterable_of_futures_yields_their_values() -> None:
    desk = with_answers("a", "b", "c")
    assert list(overlap(desk() for _ in range(3))) == ["a", "b", "c"]


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


# -- errors ----------------------------------------------------------------------------------------------


def test_a_failed_fetch_is_raised_at_its_turn_and_the_next_one_is_yielded() -> None:
    desk = with_answers("a")
    items = overlap(desk, lookahead=3)
    assert next(items) == "a"
    error = KeyError("b")
    desk.answer(3, None)
    desk.answer(1, error)
    desk.answer(2, "c")
    with pytest.raises(KeyError) as caught:
        next(items)
    assert caught.value is error
    assert list(items) == ["c"]
    assert items.statistics().failures == 1


def test_a_failing_request_is_raised_at_its_turn_too() -> None:
    outcomes: list[Any] = [ValueError("first"), "a", ValueError("third"), "b", None]

    def fetch() -> Future[Any]:
        value = outcomes.pop(0)
        if isinstance(value, Exception):
            raise value
        return with_answers(value)()

    items = overlap(fetch, lookahead=1)
    seen: list[Any] = []
    for _ in range(4):
        try:
            seen.append(next(items))
        except ValueError as error:
            seen.append(str(error))
    assert seen == ["first", "a", "third", "b"]
    assert list(items) == []


def test_a_cancelled_future_is_an_error() -> None:
    desk = with_answers("a")
    items = overlap(desk, lookahead=1)
    next(items)
    desk.futures[1].cancel()
    desk.answer(2, None)
    with pytest.raises(CancelledError):
        next(items)
    assert list(items) == []


def test_a_blocking_function_that_fails_goes_on() -> None:
    outcomes: list[Any] = ["a", SystemExit(3), "b", None]

    def fetch() -> Any:
        value = outcomes.pop(0)
        if isinstance(value, BaseException):
            raise value
        return value

    items = overlap(fetch, lookahead=2)
    assert next(items) == "a"
    with pytest.raises(SystemExit):
        next(items)
    assert list(items) == ["b"]


def test_a_reference_with_a_strange_future_is_an_error() -> None:
    class Strange:
        def future(self) -> int:
            return 1

    items = overlap(lambda: Strange(), lookahead=0)
    with pytest.raises(TypeError, match=r"expected Strange.future\(\) to return a concurrent.*got int"):
        next(items)
    items.close()


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals arrive on the main thread"
)
def test_ctrl_c_while_waiting_loses_nothing() -> None:
    desk = Desk()
    main = threading.main_thread().ident
    assert main is not None

    def fetch() -> Future[Any]:
        future = desk()
        if len(desk.futures) == 1:  # made by the thread, while the caller waits for its answer
            signal.pthread_kill(main, signal.SIGINT)
        return future

    items = overlap(fetch, lookahead=1)
    with pytest.raises(KeyboardInterrupt):
        next(items)
    desk.answer(0, "a")
    desk.answer(1, None)
    assert list(items) == ["a"]


def test_ctrl_c_inside_a_request_loses_nothing() -> None:
    desk = with_answers("a", "b", None)
    strikes = iter([False, True, False, False, False])

    def fetch() -> Future[Any]:
        if next(strikes):
            raise KeyboardInterrupt
        return desk()

    items = overlap(fetch, lookahead=1)
    with pytest.raises(KeyboardInterrupt):
        next(items)
    assert list(items) == ["a", "b"]


# -- leaving early ---------------------------------------------------------------------------------------


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


def test_no_item_is_kept_alive_after_it_was_yielded() -> None:
    class Large:
        pass

    values: list[Any] = [Large(), Large(), None]
    items = overlap(lambda: values.pop(0), lookahead=1)
    item = next(items)
    alive = weakref.ref(item)
    del item
    gc.collect()
    assert alive() is None
    assert len(list(items)) == 1


# -- accounts --------------------------------------------------------------------------------------------


def test_statistics_and_spans_tell_where_the_time_went() -> None:
    clock, desk, recorder = Clock(), Desk(), trace.Recorder()

    def fetch() -> Future[Any]:
        future = desk()
        if len(desk.futures) == 1:
            clock.now += 2.0
            desk.answer(0, "a")  # asked for at 0, answered at 2: a stall
        elif len(desk.futures) == 4:
            clock.now += 1.0
            desk.answer(3, None)
        return future

    items = overlap(fetch, lookahead=1, clock=clock, recorder=recorder)
    assert items.statistics().utilization == 0.0
    assert next(items) == "a"
    clock.now = 5.0
    desk.answer(1, "b")  # asked for at 2, answered at 5, all of it hidden
    clock.now = 6.0
    assert next(items) == "b"
    clock.now = 7.0
    desk.answer(2, "c")  # asked for at 6, answered at 7
    clock.now = 8.0
    assert next(items) == "c"
    assert clock.now == 9.0  # the request itself took a second: neither compute nor stall
    clock.now = 12.0
    assert list(items) == []
    assert items.statistics() == Statistics(
        items=3,
        failures=0,
        fetch=Times(4, 7.0 / 4, 1.0, 3.0),
        compute=Times(3, 3.0, 3.0, 4.0),
        stalls=1,
        stall_seconds=2.0,
        hidden_seconds=4.0,
        exposed_seconds=2.0,
        utilization=9.0 / 12.0,
        lookahead=1,
        reason="1: fixed by the user",
    )
    assert [tuple(span) for span in recorder.take()] == [
        ("stall", 0.0, 2.0, -1, 1, "fetch"),
        ("fetch", 0.0, 2.0, 0, 1, ""),
        ("process", 2.0, 6.0, 0, 1, ""),
        ("fetch", 2.0, 5.0, 1, 1, ""),
        ("process", 6.0, 8.0, 1, 1, ""),
        ("fetch", 6.0, 7.0, 2, 1, ""),
        ("process", 9.0, 12.0, 2, 1, ""),
        ("fetch", 8.0, 9.0, 3, 1, ""),
    ]


def test_the_wait_for_the_end_is_no_stall() -> None:
    clock, recorder = Clock(), trace.Recorder()
    values = iter(["a", None])

    def fetch() -> str | None:
        clock.now += 1.0
        return next(values)

    items = overlap(fetch, lookahead=0, clock=clock, recorder=recorder)
    assert list(items) == ["a"]
    statistics = items.statistics()
    assert (statistics.stalls, statistics.stall_seconds, statistics.exposed_seconds) == (1, 1.0, 1.0)
    assert [span.detail for span in recorder.take() if span.kind == "stall"] == ["fetch", "tail"]


def test_leaving_ends_the_compute_that_was_under_way() -> None:
    clock = Clock()
    desk = with_answers("a", None)
    items = overlap(desk, lookahead=1, clock=clock)
    next(items)
    clock.now = 3.0
    items.close()
    assert items.statistics().compute == Times(1, 3.0, 3.0, 3.0)


def test_auto_finds_the_depth_that_hides_a_fetch_and_says_why() -> None:
    clock, desk, recorder = Clock(), Desk(), trace.Recorder()

    def fetch() -> Future[Any]:
        future = desk()
        if len(desk.futures) == 1:
            clock.now = 0.041
            desk.answer(0, "a")
        return future

    items = overlap(fetch, clock=clock, recorder=recorder, give_back=Tray())
    assert next(items) == "a"
    assert (len(desk.futures), items.statistics().reason) == (2, "1: nothing measured yet")
    clock.now += 0.030
    desk.answer(1, "b")
    assert next(items) == "b"
    assert len(desk.futures) == 4
    reason = "1 → 2: p95 fetch 41 ms > p50 work 30 ms"
    assert (items.statistics().lookahead, items.statistics().reason) == (2, reason)
    moves = [span for span in recorder.take() if span.kind == trace.LOOKAHEAD]
    assert [(span.item, span.detail) for span in moves] == [(2, reason)]
    assert repr(items) == f"<overlap: 2 items, 2 requested, lookahead {reason}>"
    items.close()
    assert repr(items) == f"<overlap: 2 items, closed, lookahead {reason}>"


def test_auto_climbs_only_as_far_as_it_pays_and_says_so() -> None:
    clock = Clock()
    values = iter(range(120))

    def fetch() -> int | None:
        clock.now += 0.1  # the source is slow: one item in 100 ms, however many are asked for
        return next(values, None)

    items = overlap(fetch, clock=clock)
    reasons = []
    for _ in items:
        clock.now += 0.001
        reasons.append(items.statistics().reason)
    assert any(reason.startswith("4: deeper as long as that pays (") for reason in reasons)
    assert "4: 8 did not shorten the stalls, so the source itself is slow" in reasons
    assert items.statistics().lookahead <= 2 * FREE_AHEAD


# -- the parts that decide, without threads ---------------------------------------------------------------


def run_against(
    latency: Callable[[float, int], float], compute: float, items: int, wanted: int
) -> tuple[Ceiling, list[int]]:
    """Play a loop under virtual time. `latency(now, number)` says when a request is answered."""
    ceiling, now, answers, asked = Ceiling(), 0.0, [], 0
    limits = [ceiling.limit]
    for number in range(items):
        depth = min(wanted, ceiling.limit)
        while asked <= number + depth - (number == 0):
            answers.append(latency(now, asked))
            asked += 1
        stalled = max(0.0, answers[number] - now)
        now += stalled
        ceiling.yielded(stalled, wanted)
        if ceiling.limit != limits[-1]:
            limits.append(ceiling.limit)
        now += compute
    return ceiling, limits


def test_the_ceiling_rises_as_long_as_that_shortens_the_stalls() -> None:
    ceiling, limits = run_against(lambda now, _: now + 0.100, 0.003, 400, wanted=34)
    assert limits == [4, 8, 16, 32, 64]
    assert not ceiling.refused


def test_the_ceiling_comes_back_down_before_a_slow_source() -> None:
    # One item each 100 ms, whoever asks and however often: depth is of no use.
    ceiling, limits = run_against(lambda _, number: 0.1 * (number + 1), 0.003, 400, wanted=34)
    assert limits == [4, 8, 4, 8, 4, 8, 4]
    assert (ceiling.limit, ceiling.refused) == (FREE_AHEAD, True)


def test_the_ceiling_is_not_fooled_by_small_stalls_between_the_large_ones() -> None:
    rng = random.Random(1)
    _, limits = run_against(lambda now, _: now + 0.100 + rng.uniform(0.0, 0.004), 0.003, 400, wanted=34)
    assert limits == [4, 8, 16, 32, 64]


def test_the_ceiling_keeps_a_depth_that_pays_and_tries_its_neighbours_in_turn() -> None:
    # 100 ms away and one item in 12 ms at most: 8 requests are of use, 16 are not, 4 are too few.
    answers = [0.0]

    def latency(now: float, _: int) -> float:
        answers.append(max(now + 0.100, answers[-1] + 0.012))
        return answers[-1]

    _, limits = run_against(latency, 0.001, 1_200, wanted=100)
    assert limits[:9] == [4, 8, 16, 8, 4, 8, 16, 8, 4]


def test_the_ceiling_does_not_climb_by_chance() -> None:
    # Items come at random, 100 ms apart in the mean: each doubling has a fair chance to look like a gain.
    rng = random.Random(1)
    times = list(itertools.accumulate(rng.expovariate(10.0) for _ in range(20_000)))
    _, limits = run_against(lambda now, number: max(now, times[number]), 0.003, 10_000, wanted=34)
    assert Counter(limit > 16 for limit in limits)[True] < len(limits) / 10


def test_the_ceiling_stays_where_it_is_when_nothing_wants_more() -> None:
    ceiling = Ceiling()
    for _ in range(1000):
        ceiling.yielded(1.0, FREE_AHEAD)
    assert (ceiling.limit, ceiling.refused) == (FREE_AHEAD, False)


def test_the_ceiling_has_an_end() -> None:
    _, limits = run_against(lambda now, _: now + 100.0, 0.001, 5_000, wanted=1024)
    assert limits[:7] == [4, 8, 16, 32, 64, 128, MAX_AHEAD]
    assert max(limits) == MAX_AHEAD


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


KINDS = st.sampled_from([Answer.ITEM, Answer.ITEM, Answer.ITEM, Answer.ERROR, Answer.END])


@given(st.data())
def test_every_item_of_a_window_is_yielded_or_given_back(data: st.DataObject) -> None:
    window, open_slots = Window(), list[Slot]()
    fetched: Counter[int] = Counter()
    yielded: list[int] = []
    back: list[int] = []
    closed_at = data.draw(st.integers(0, 40))
    for step in range(60):
        if step == closed_at:
            pending = len(open_slots)
            back += window.close()
            assert (window.late, len(window), window.over) == (pending, 0, True)
        move = data.draw(st.sampled_from(["ask", "ask", "answer", "answer", "pop"]))
        if move == "ask" and window.wants(4):
            assert not window.ended
            assert not window.closed
            open_slots.append(window.ask(0.0))
            assert len(window) <= 4
        elif move == "answer" and open_slots:
            slot = open_slots.pop(data.draw(st.integers(0, len(open_slots) - 1)))
            kind = data.draw(KINDS)
            fetched[slot.number] += kind is Answer.ITEM
            if window.answer(slot, kind, slot.number):
                back.append(slot.number)
        elif move == "pop" and window.head is not None:
            slot = window.pop()
            if slot.answer is Answer.ITEM:
                yielded.append(slot.value)
    back += window.close() if not window.closed else []
    for slot in open_slots:
        fetched[slot.number] += 1
        if window.answer(slot, Answer.ITEM, slot.number):
            back.append(slot.number)
    assert window.late == 0
    assert yielded == sorted(yielded)
    assert Counter(yielded + back) == +fetched


@given(
    answers=st.lists(st.sampled_from(["item", "item", "item", "error", "end"]), min_size=1, max_size=12),
    seed=st.integers(0, 2**32),
    depth=st.integers(0, 5),
    steps=st.integers(0, 12),
    gives_back=st.booleans(),
)
def test_every_fetched_item_is_yielded_given_back_or_warned_about(
    answers: list[str], seed: int, depth: int, steps: int, gives_back: bool
) -> None:
    order = random.Random(seed)  # drawn from directly, so that no example ends in the middle
    values: dict[str, Callable[[int], Any]] = {
        "item": lambda number: number,
        "error": lambda number: KeyError(number),
        "end": lambda number: None,
    }
    desk, tray = Desk(), Tray()
    answered: set[int] = set()
    fetched: list[int] = []

    def answer(number: int) -> None:
        kind = answers[number] if number < len(answers) else "end"
        answered.add(number)
        fetched.extend([number] * (kind == "item"))
        desk.answer(number, values[kind](number))

    yielded: list[int] = []
    answer(0)  # the first request is made inside the first next()
    failed: list[int] = []
    turn, over = 0, False
    items = overlap(desk, lookahead=depth, give_back=tray if gives_back else None)
    for _ in range(steps):
        # Answer some that are open, in any order; and the one whose turn it is, so that next() cannot block.
        open_requests = [n for n in range(len(desk.futures)) if n not in answered]
        for number in order.sample(open_requests, order.randint(0, len(open_requests))):
            answer(number)
        if turn not in answered:
            answer(turn)
        if any(number >= len(answers) or answers[number] == "end" for number in answered):
            for number in [n for n in range(len(desk.futures)) if n not in answered]:
                answer(number)  # the end waits for all of them
        while turn in answered and (turn >= len(answers) or answers[turn] == "end"):
            turn += 1  # a sentinel takes its turn without being yielded
        try:
            item = next(items)
        except StopIteration:
            over = True
            break
        except KeyError as error:
            failed.append(error.args[0])
        else:
            assert item == turn
            yielded.append(item)
        turn += 1

    assert failed == [number for number in failed if answers[number] == "error"]
    assert yielded + failed == sorted(set(yielded)) + sorted(set(failed))
    asked = len(desk.futures)
    fetched = [number for number in fetched if number < asked]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        items.close()
        late = [number for number in range(asked) if number not in answered]
        order.shuffle(late)
        for number in late:
            answer(number)
        missing = len(fetched) - len(yielded)
        given = tray.take(missing) if gives_back else []
        join_ours()
    assert tray.now() == []
    assert len(desk.futures) == asked
    if gives_back or over:
        assert Counter(yielded + given) == Counter(fetched)
        assert caught == []
        return
    words = [str(warning.message).split() for warning in caught]
    lost = sum(int(text[5] if text[0] == "overlap()" else text[0]) for text in words)
    assert len(yielded) + lost == len(fetched)
    assert set(yielded) <= set(fetched)
