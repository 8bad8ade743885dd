"""Calls: order, arguments, results, errors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.conformance.cast import BadStart, Caller, Counter, Faulty, OddError
from tests.conformance.troupe import TwoArguments

from pullahead import actors
from pullahead.errors import RemoteError, RemoteTraceback


def test_calls_from_one_caller_run_in_order() -> None:
    counter = Counter.remote(100, step=2)
    assert actors.get([counter.add.remote() for _ in range(500)]) == list(range(102, 1102, 2))


def test_calls_of_several_callers_are_each_in_order() -> None:
    counter = Counter.remote()
    callers = [Caller.remote(counter) for _ in range(3)]
    actors.get([caller.note.remote((i, n)) for n in range(20) for i, caller in enumerate(callers)])
    notes = actors.get(counter.notes.remote())
    assert [[n for i, n in notes if i == caller] for caller in range(3)] == [list(range(20))] * 3


def test_arguments_by_position_and_by_name() -> None:
    counter = Counter.remote()
    assert actors.get(counter.star.remote(1, 2, x=3)) == ((1, 2), {"x": 3})
    assert actors.get(counter.keywords.remote(must=1)) == 3
    assert actors.get(counter.add.remote(n=4)) == 4


def test_every_kind_of_method() -> None:
    counter = Counter.remote(5)
    assert actors.get(counter.static.remote(4)) == 8
    assert actors.get(counter.made_by.remote(4)) == "Counter 4"
    assert actors.get(counter._private.remote()) == "private"
    assert actors.get(counter.__call__.remote(1)) == 6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.add.remote(1, 2), "Counter.add(): too many positional arguments"),
        (lambda c: c.echo.remote(), "Counter.echo(): missing a required argument: 'value'"),
        (lambda c: c.echo.remote(wrong=1), "Counter.echo(): missing a required argument: 'value'"),
        (lambda c: c.add.remote(x=1), "Counter.add(): got an unexpected keyword argument 'x'"),
        (lambda c: c.keywords.remote(), "Counter.keywords(): missing a required"),
        (lambda c: c.notes.remote(1), "Counter.notes(): too many positional arguments"),
        (lambda c: Counter.remote(1, 2), "Counter.__init__(): too many positional arguments"),
        (lambda c: Faulty.remote(1), "Faulty.__init__(): too many positional arguments"),
    ],
)
def test_wrong_arguments_are_refused_before_they_are_sent(call: Any, message: str) -> None:
    counter = Counter.remote()
    with pytest.raises(TypeError) as caught:
        call(counter)
    assert str(caught.value).startswith(message)


def test_unknown_method() -> None:
    with pytest.raises(AttributeError, match=r"^actor Counter has no method 'subtract'$"):
        Counter.remote().subtract  # noqa: B018  reading it is what raises


def test_methods_and_classes_are_not_called_directly() -> None:
    with pytest.raises(TypeError, match=r"Counter.remote\(\.\.\.\) starts one"):
        Counter()
    with pytest.raises(TypeError, match=r"call add.remote\(\.\.\.\)"):
        Counter.remote().add(1)


def test_an_actor_class_is_no_base() -> None:
    with pytest.raises(TypeError, match=r"Counter.wrapped"):

        class Special(Counter):  # type: ignore[valid-type,misc]  # an object is no base, and that is the point
            pass


def test_an_exception_keeps_its_type_and_says_where_it_came_from() -> None:
    with pytest.raises(OddError) as caught:
        actors.get(Faulty.remote().odd.remote())
    assert (caught.value.args, caught.value.code) == (("odd", 7), 7)
    cause = caught.value.__cause__
    assert isinstance(cause, RemoteTraceback)
    assert 'raise OddError("odd", code=7)' in cause.text
    assert "pullahead/actors" not in cause.text


def test_each_get_raises_an_exception_of_its_own() -> None:
    ref = Faulty.remote().odd.remote()
    caught = []
    for _ in range(2):
        with pytest.raises(OddError) as info:
            actors.get(ref)
        caught.append(info.value)
    assert caught[0] is not caught[1]


def test_notes_and_causes_arrive() -> None:
    faulty = Faulty.remote()
    with pytest.raises(ValueError, match="noted") as caught:
        actors.get(faulty.noted.remote())
    assert caught.value.__notes__ == ["while testing"]
    with pytest.raises(ValueError, match="outer") as caught:
        actors.get(faulty.chained.remote())
    assert "KeyError: 'inner'" in str(caught.value.__cause__)


def test_an_exception_that_pickle_alone_cannot_bring_back_keeps_its_type() -> None:
    with pytest.raises(TwoArguments, match="this and that") as caught:
        actors.get(Faulty.remote().two_arguments.remote())
    assert 'raise TwoArguments("this", "that")' in str(caught.value.__cause__)


def test_an_exception_that_cannot_be_pickled_arrives_as_text() -> None:
    with pytest.raises(RemoteError) as caught:
        actors.get(Faulty.remote().unpicklable.remote())
    assert "Unpicklable: this and that" in str(caught.value)
    assert 'raise Unpicklable("this", "that")' in str(caught.value.__cause__)


def test_a_result_that_cannot_be_pickled_is_an_error_of_the_call(engine: str) -> None:
    faulty = Faulty.remote()
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock' object") as caught:
        actors.get(faulty.unpicklable_result.remote())
    assert caught.value.__notes__ == [
        {
            "local": "the result of unpicklable_result cannot be sent",
            "ray": "Ray raised this around the call: over its arguments, or over its result",
        }[engine]
    ]
    assert actors.get(faulty.sleep.remote(0)) == "slept"


def test_an_argument_that_cannot_be_pickled_is_refused_by_the_sender() -> None:
    import threading

    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock' object"):
        Counter.remote().echo.remote(threading.Lock())


def test_other_base_exceptions_reach_the_caller() -> None:
    with pytest.raises(asyncio.CancelledError, match="base"):
        actors.get(Faulty.remote().base.remote())


def test_a_constructors_exception_is_raised_by_every_call() -> None:
    bad = BadStart.remote(9)
    for _ in range(2):
        with pytest.raises(OddError, match="no start") as caught:
            actors.get(bad.anything.remote())
        assert caught.value.code == 9
        assert "OddError" in str(caught.value.__cause__)


def test_values_of_all_kinds_come_back_equal() -> None:
    counter = Counter.remote()
    values: list[Any] = [None, 1, "x", b"y" * 100_000, {"a": [1, 2]}, (1, frozenset({2})), 1 << 100]
    values += [bytearray(b"z"), {3: None}, True, 1.5, 2j, "__main__", object, float("inf"), "\udc80"]
    assert actors.get([counter.echo.remote(value) for value in values]) == values


def test_functions_that_pickle_refuses_are_sent_by_value() -> None:
    double = actors.get(Counter.remote().echo.remote(lambda x: 2 * x))
    assert double(4) == 8


def test_a_class_defined_in_a_function_can_be_an_actor() -> None:
    factor = 3

    class Local:
        def triple(self, x: int) -> int:
            return factor * x

    assert actors.get(actors.remote(Local).remote().triple.remote(5)) == 15


def test_an_actor_class_can_be_named_inside_itself() -> None:
    class Plain:
        def __init__(self, depth: int) -> None:
            self.depth = depth

        def count(self) -> Any:
            return 1 if self.depth == 0 else 1 + actors.get(node.remote(self.depth - 1).count.remote())

    node = actors.remote(Plain)
    assert actors.get(node.remote(2).count.remote()) == 3


def test_calls_whose_refs_are_dropped_still_run() -> None:
    counter = Counter.remote()
    for _ in range(50):
        counter.add.remote()
    assert actors.get(counter.add.remote()) == 51


def test_handles_are_equal_by_actor() -> None:
    first, second = Counter.remote(), Counter.remote()
    copy = actors.get(first.echo.remote([first]))[0]
    assert (copy, hash(copy)) == (first, hash(first))
    assert copy != second
    assert repr(first).startswith("ActorHandle(Counter, ")
    assert "add" in dir(first)
