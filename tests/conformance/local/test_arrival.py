"""When the callbacks of futures run. The test is the thread that reads, so nothing depends on time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, wait
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest

from pullahead.actors.local import kinds
from pullahead.actors.local.io import Loop
from pullahead.actors.local.objects import LocalRef
from pullahead.actors.local.payload import dumps


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def call(loop: Loop, number: int) -> LocalRef:
    runtime: Any = SimpleNamespace(loop=loop)
    return LocalRef(runtime, 0, number)


def reply(loop: Loop, *refs: LocalRef) -> None:
    """Settle them as the thread that reads does it, which has not come to the callbacks yet."""
    with loop.lock:
        loop._dispatcher = threading.get_ident()
        for ref in refs:
            ref.settle(kinds.READY, dumps(ref.number))
        loop._dispatcher = 0


def run_callbacks(loop: Loop) -> None:
    loop.poke()
    loop.poll(0)


def test_a_reply_that_is_there_already_does_not_overtake_an_older_one(loop: Loop) -> None:
    heard: list[int] = []

    def hear(future: Future[int]) -> None:
        heard.append(future.result())

    first, second = call(loop, 1), call(loop, 2)
    first.future().add_done_callback(hear)
    reply(loop, first, second)
    future = second.future()
    assert future.result(0) == 2
    future.add_done_callback(hear)
    assert heard == []
    run_callbacks(loop)
    assert heard == [1, 2]


def _orders() -> list[str]:
    """All orders of the steps of two calls whose replies and callbacks are each in order."""
    orders = ("".join(order) for order in permutations("FfAaRr"))
    befores = (("F", "A"), ("f", "a"), ("A", "a"), ("R", "r"))
    return [order for order in orders if all(order.index(one) < order.index(two) for one, two in befores)]


@pytest.mark.parametrize("steps", _orders())
def test_callbacks_run_in_the_order_of_the_replies(loop: Loop, steps: str) -> None:
    """F asks for the older call's future, A adds a callback, R is the reply; small ones are the younger's."""
    refs = [call(loop, 0), call(loop, 1)]
    futures: dict[int, Future[int]] = {}
    heard: list[int] = []
    for step in steps:
        which = int(step.islower())
        if step in "Ff":
            futures[which] = refs[which].future()
        elif step in "Aa":
            futures[which].add_done_callback(lambda future: heard.append(future.result(0)))
        else:
            reply(loop, refs[which])
        assert heard == []
    run_callbacks(loop)
    assert heard == [0, 1]


def test_no_callback_runs_while_another_thread_is_at_one(loop: Loop) -> None:
    heard: list[str] = []

    def slow() -> None:
        other = threading.Thread(target=run_callbacks, args=(loop,))
        other.start()
        other.join()  # it does not wait for its turn either
        heard.append("slow")

    loop.after(slow)
    loop.after(lambda: heard.append("quick"))
    run_callbacks(loop)
    assert heard == ["slow", "quick"]


def test_a_callback_that_is_added_by_a_callback_has_its_turn_behind_those_that_wait(loop: Loop) -> None:
    heard: list[int] = []
    refs = [call(loop, number) for number in range(3)]

    def first(_: Future[int]) -> None:
        refs[2].future().add_done_callback(lambda future: heard.append(future.result()))
        heard.append(0)

    refs[0].future().add_done_callback(first)
    refs[1].future().add_done_callback(lambda future: heard.append(future.result()))
    reply(loop, *refs)
    run_callbacks(loop)
    assert heard == [0, 1, 2]


def test_the_callbacks_of_one_future_run_in_the_order_in_which_they_were_added(loop: Loop) -> None:
    heard: list[int] = []

    def add(n: int) -> None:
        future.add_done_callback(lambda _: heard.append(n))

    ref = call(loop, 1)
    future = ref.future()
    for n in range(3):
        add(n)
    reply(loop, ref)
    for n in range(3, 6):
        add(n)
    run_callbacks(loop)
    assert heard == list(range(6))


def test_callbacks_of_a_cancelled_future_do_not_wait_for_the_reply(loop: Loop) -> None:
    heard: list[Any] = []

    def hear(future: Future[Any]) -> None:
        heard.append(future.cancelled())

    ref = call(loop, 1)
    future = ref.future()
    future.add_done_callback(hear)
    assert future.cancel()
    assert future.cancel()
    future.add_done_callback(hear)
    run_callbacks(loop)
    assert heard == [True, True]
    reply(loop, ref)
    run_callbacks(loop)
    assert heard == [True, True]
    assert wait([future], timeout=10).done == {future}
    with pytest.raises(CancelledError):
        future.result(0)


def test_when_nobody_reads_any_more_callbacks_run_where_they_are_added(loop: Loop) -> None:
    heard: list[int] = []
    first, second = call(loop, 1), call(loop, 2)
    first.future().add_done_callback(lambda future: heard.append(future.result()))
    reply(loop, first, second)
    loop.close()
    assert heard == [1]
    second.future().add_done_callback(lambda future: heard.append(future.result()))
    assert heard == [1, 2]


def test_a_fork_has_none_of_the_callbacks_of_its_parent(loop: Loop) -> None:
    heard: list[str] = []

    def child() -> None:
        loop.abandon()
        loop.after(lambda: heard.append("child's"))

    loop.after(child)
    loop.after(lambda: heard.append("parent's"))
    run_callbacks(loop)
    assert heard == ["child's"]
