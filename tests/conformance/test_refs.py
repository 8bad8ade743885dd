"""Refs: get, wait, put, futures, await, and refs inside values."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import pickle
import threading
import time
from typing import Any

import pytest
from tests.conformance.cast import Caller, Counter, Faulty, Mailbox, OddError
from tests.differences import Differences
from tests.engines import said_after_kill

from pullahead import actors
from pullahead.errors import GetTimeoutError, ObjectLostError


def test_get_one_some_none() -> None:
    counter = Counter.remote()
    refs = [counter.add.remote() for _ in range(3)]
    assert actors.get(refs[2]) == 3
    assert actors.get(refs) == [1, 2, 3]
    assert actors.get(tuple(refs)) == [1, 2, 3]
    assert actors.get([]) == []


def test_get_returns_the_same_object_twice() -> None:
    ref = Counter.remote().echo.remote([1])
    assert actors.get(ref) is actors.get(ref)


@pytest.mark.parametrize("wrong", [3, "ref", [3], {"a": 1}])
def test_get_refuses_what_is_no_ref(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^get\(\) needs"):
        actors.get(wrong)


def test_get_timeout() -> None:
    box = Mailbox.remote()
    ref = box.take.remote()
    for seconds in (0, 0.01):
        with pytest.raises(GetTimeoutError, match="the value did not arrive within") as caught:
            actors.get(ref, timeout=seconds)
        assert isinstance(caught.value, TimeoutError)
    actors.get(box.bring.remote("late"))
    assert actors.get(ref, timeout=10) == "late"
    assert actors.get(ref, timeout=0) == "late"


def test_wait_keeps_order_and_returns_at_most_what_was_asked() -> None:
    box, counter = Mailbox.remote(), Counter.remote()
    never = box.take.remote()
    done = [counter.add.remote() for _ in range(3)]
    actors.get(done)
    refs = [never, *done]
    assert actors.wait(refs) == ([done[0]], [never, done[1], done[2]])
    assert actors.wait(refs, num_returns=3) == (done, [never])
    assert actors.wait(refs, num_returns=4, timeout=0.01) == (done, [never])
    assert actors.wait([never], timeout=0) == ([], [never])
    actors.get(box.bring.remote(1))
    assert actors.wait(refs, num_returns=4) == (refs, [])


def test_wait_blocks_until_enough_are_ready() -> None:
    box = Mailbox.remote()
    refs = [box.take.remote() for _ in range(3)]
    timer = threading.Timer(0.05, lambda: [box.bring.remote(i) for i in range(2)])
    timer.start()
    ready, others = actors.wait(refs, num_returns=2)
    timer.join()
    assert (ready, others) == (refs[:2], refs[2:])


def test_wait_counts_errors_as_ready() -> None:
    ref = Faulty.remote().odd.remote()
    assert actors.wait([ref], timeout=10) == ([ref], [])


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (TypeError, lambda ref: {"refs": ref}),
        (TypeError, lambda ref: {"refs": (ref,)}),
        (TypeError, lambda ref: {"refs": [1]}),
        (ValueError, lambda ref: {"refs": [ref, ref]}),
        (ValueError, lambda ref: {"refs": [ref], "num_returns": 0}),
        (ValueError, lambda ref: {"refs": [ref], "num_returns": 2}),
    ],
)
def test_wait_refuses_nonsense(error: type[Exception], arguments: Any) -> None:
    with pytest.raises(error):
        actors.wait(**arguments(actors.put(1)))


def test_wait_for_nothing() -> None:
    assert actors.wait([]) == ([], [])


def test_put_stores_a_copy() -> None:
    value = [1, 2]
    ref = actors.put(value)
    value.append(3)
    assert actors.get(ref) == [1, 2]
    with pytest.raises(TypeError, match=r"^put\(\) of an ObjectRef"):
        actors.put(ref)


def test_top_level_refs_arrive_as_values_and_nested_ones_as_refs() -> None:
    counter = Counter.remote(40)
    ref = actors.put(2)
    assert actors.get(counter.add.remote(ref)) == 42
    assert actors.get(counter.star.remote(ref, x=ref)) == ((2,), {"x": 2})
    (nested,) = actors.get(counter.echo.remote([ref]))
    assert nested is ref
    assert actors.get(Counter.remote(ref).add.remote(counter.add.remote(ref))) == 46
    assert actors.get(counter.star.remote([ref], ref)) == (([ref], 2), {})


def test_results_of_one_actor_are_arguments_of_another() -> None:
    first, second = Counter.remote(), Counter.remote()
    ref = first.add.remote(1)
    for _ in range(10):
        ref = second.add.remote(first.add.remote(ref))
    assert actors.get(ref) > 0


def test_an_actors_own_result_can_be_its_argument() -> None:
    counter = Counter.remote()
    assert actors.get(counter.add.remote(counter.add.remote(counter.add.remote(1)))) == 4


def test_an_error_in_an_argument_reaches_the_caller_of_the_method_that_needed_it() -> None:
    counter = Counter.remote()
    bad = Faulty.remote().odd.remote()
    with pytest.raises(OddError, match="odd") as caught:
        actors.get(counter.add.remote(bad))
    assert 'raise OddError("odd", code=7)' in str(caught.value.__cause__)
    with pytest.raises(OddError, match="odd"):
        actors.get(Counter.remote(bad).add.remote())
    assert actors.get(counter.add.remote()) == 1


def test_a_call_that_waits_for_its_argument_holds_up_its_own_caller_only() -> None:
    box, counter = Mailbox.remote(), Counter.remote()
    slow = counter.note.remote(box.take.remote())
    behind = counter.note.remote("behind")
    other = Caller.remote(counter)
    actors.get(other.note.remote("other"), timeout=10)
    with pytest.raises(GetTimeoutError):
        actors.get(behind, timeout=0.01)
    actors.get(box.bring.remote("slow"))
    actors.get([slow, behind], timeout=10)
    assert actors.get(counter.notes.remote()) == ["other", "slow", "behind"]


def test_refs_travel_between_actors_and_outlive_their_first_holder() -> None:
    counter, first, second = Counter.remote(), Caller.remote(), Caller.remote()
    ref = counter.echo.remote("value")
    actors.get(first.keep.remote([ref]))
    del ref
    assert actors.get(first.pass_kept.remote(second)) == ["value"]
    (back,) = actors.get(first.give_kept.remote())
    actors.get(first.drop_kept.remote())
    assert actors.get(back) == "value"


def test_a_value_put_by_an_actor_lives_there_until_it_dies(differs: Differences) -> None:
    owner, reader = Caller.remote(), Caller.remote()
    (ref,) = actors.get(owner.put.remote([1, 2]))
    assert actors.get(reader.get.remote([ref])) == [[1, 2]]
    (unread,) = actors.get(owner.put.remote("unread"))
    actors.kill(owner)
    said_after_kill(owner.pid, differs)
    if not differs.loses_at_once:
        with contextlib.suppress(ObjectLostError):
            assert actors.get(unread) == "unread"
        return
    for lost in (unread, ref):
        with pytest.raises(ObjectLostError, match="killed by SIGKILL"):
            actors.get(lost)


def test_an_actor_may_return_a_ref() -> None:
    caller = Caller.remote(Counter.remote(10))
    inner = actors.get(caller.add_later.remote(5))
    assert isinstance(inner, actors.ObjectRef)
    assert actors.get(inner) == 15


def test_future(differs: Differences) -> None:
    counter = Counter.remote()
    future = counter.add.remote().future()
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(timeout=10) == 1
    with pytest.raises(OddError, match="odd"):
        Faulty.remote().odd.remote().future().result(timeout=10)
    ready = actors.put(3).future()
    assert ready.done() or not differs.ready_at_once
    assert ready.result(timeout=10) == 3


def test_a_cancelled_future_is_left_alone() -> None:
    box = Mailbox.remote()
    future = box.take.remote().future()
    assert future.cancel()
    actors.get(box.bring.remote(1))
    assert future.cancelled()


def test_a_callback_may_call_but_not_block() -> None:
    counter, box = Counter.remote(), Mailbox.remote()
    outcome: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def callback(done: concurrent.futures.Future[Any]) -> None:
        try:
            actors.get(counter.add.remote())
        except RuntimeError as error:
            said = str(error)
            later = counter.add.remote().future()
            later.add_done_callback(lambda f: outcome.set_result((said, f.result())))

    future = box.take.remote().future()
    future.add_done_callback(callback)
    actors.get(box.bring.remote(1))
    message, value = outcome.result(timeout=10)
    assert message.startswith("a blocking get() or wait() on the thread that receives results")
    assert value == 2  # the call of the refused get had been sent


def test_callbacks_run_in_the_order_of_the_replies_and_on_one_thread(differs: Differences) -> None:
    counter = Counter.remote()
    heard: list[int] = []
    threads: set[int] = set()
    over = threading.Event()

    def hear(future: concurrent.futures.Future[int]) -> None:
        heard.append(future.result())
        threads.add(threading.get_ident())
        if len(heard) == 500:
            over.set()

    for n in range(500):
        ref = counter.add.remote()
        if n % 5 == 0:
            actors.wait([ref])  # there before its callback is
        ref.future().add_done_callback(hear)
    assert over.wait(10)
    assert (heard if differs.orders_callbacks else sorted(heard)) == list(range(1, 501))
    assert len(threads - {threading.get_ident()}) == len(threads) == 1


def test_a_callback_does_not_run_where_it_is_added() -> None:
    where: concurrent.futures.Future[int] = concurrent.futures.Future()
    actors.put(1).future().add_done_callback(lambda _: where.set_result(threading.get_ident()))
    assert where.result(timeout=10) != threading.get_ident()


def test_calls_without_replies_fail_in_the_order_of_the_calls() -> None:
    box = Mailbox.remote()
    heard: list[int] = []
    over = threading.Event()

    def take(n: int) -> None:
        box.take.remote().future().add_done_callback(lambda _: heard.append(n))

    for n in range(10):
        take(n)
    box.take.remote().future().add_done_callback(lambda _: over.set())
    actors.kill(box)
    assert over.wait(10)
    assert heard == list(range(10))


def test_refs_can_be_awaited() -> None:
    counter, box = Counter.remote(), Mailbox.remote()

    async def main() -> list[Any]:
        late = box.take.remote()
        first = await counter.add.remote()
        box.bring.remote("late")
        return [first, *await asyncio.gather(*(_awaited(counter.add.remote()) for _ in range(3))), await late]

    assert asyncio.run(main()) == [1, 2, 3, 4, "late"]

    async def fail() -> None:
        await Faulty.remote().odd.remote()

    with pytest.raises(OddError, match="odd"):
        asyncio.run(fail())


async def _awaited(ref: actors.ObjectRef) -> Any:
    return await ref


def test_refs_are_hashable_and_say_what_they_are() -> None:
    ref = Counter.remote().add.remote()
    assert {ref: 1}[ref] == 1
    assert repr(ref).startswith("ObjectRef(")
    actors.get(ref)
    assert repr(ref).endswith(", ready)")


def test_a_ref_pickled_by_hand_is_kept() -> None:
    ref = Counter.remote().echo.remote("kept")
    written = pickle.dumps(ref)
    assert pickle.loads(written) is ref
    del ref
    assert actors.get(pickle.loads(written)) == "kept"


def test_many_threads_may_wait_for_one_ref() -> None:
    box = Mailbox.remote()
    ref = box.take.remote()
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(actors.get(ref))) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)  # let them begin to wait
    actors.get(box.bring.remote("all"))
    for thread in threads:
        thread.join(10)
    assert found == ["all"] * 8


def test_many_threads_may_call_at_once() -> None:
    counter = Counter.remote()
    found: list[int] = []

    def work() -> None:
        for _ in range(200):
            found.append(actors.get(counter.add.remote()))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(1, 1201))
