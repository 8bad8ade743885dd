"""Whether a source keeps the rules of `pullahead.sources.source`. For sources of your own, too.

Put your source on a bench, inherit, and let pytest find it::

    class TestMine(SourceSuite):
        @contextmanager
        def bench(self, items):
            with MyServer() as server:
                server.put(items)
                yield MyBench(server)

All tests are for any source; what a source says in its `capabilities` that it cannot do is not asked of it.
But all want items in the order in which they were put, unless some come again: a service without any order is
not what they are for.
The last one lets Hypothesis (`pip install hypothesis`) invent sequences of operations, of one consumer or of
two, and compares each answer with that of the model, `pullahead.core.broker`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from threading import Thread
from time import monotonic, sleep

from pullahead.sources.source import Neighbourly, Source, Taken
from pullahead.testing.agreement import LEASE, WAIT, Bench, agrees_with_the_model, told

__all__ = ["LEASE", "Bench", "SourceSuite", "agrees_with_the_model"]


class SourceSuite:
    """Inherit it and say what the `bench` is. See the module."""

    def bench(self, items: list[int]) -> AbstractContextManager[Bench]:
        """Return a context manager that gives a bench with these items, and clears it up."""
        raise NotImplementedError

    def test_every_item_comes_once(self) -> None:
        with self.bench(list(range(10))) as bench, _Closing(bench.consumer()) as source:
            taken = _take_all(source, 3)
            assert [one.item for one in taken] == list(range(10))
            assert {one.attempt for one in taken} == {1}
            assert len({one.token for one in taken}) == 10
            for one in taken:
                source.done(one.token)
            assert source.take(1, 0.2) == []
            assert source.closed

    def test_never_more_than_was_asked_for(self) -> None:
        with self.bench(list(range(10))) as bench, _Closing(bench.consumer()) as source:
            for n in (1, 4, 2):
                assert 1 <= len(source.take(n, WAIT)) <= n

    def test_what_is_given_back_comes_again_as_the_same_attempt_before_what_is_new(self) -> None:
        with self.bench(list(range(6))) as bench, _Closing(bench.consumer()) as source:
            first = _take(source, 4)
            source.give_back([first[2].token, first[1].token])
            again = _take(source, 3)
            assert [(one.item, one.attempt) for one in again] == [(1, 1), (2, 1), (4, 1)]

    def test_giving_back_the_last_ones_opens_it_again(self) -> None:
        with self.bench([0]) as bench, _Closing(bench.consumer()) as source:
            (one,) = _take(source, 1)
            assert source.take(1, 0.2) == []
            assert source.closed
            source.give_back([one.token])
            assert not source.closed
            assert [one.item for one in _take(source, 1)] == [0]

    def test_ends_may_be_told_from_any_thread(self) -> None:
        with self.bench(list(range(3))) as bench, _Closing(bench.consumer()) as source:
            done, failed, returned = (one.token for one in _take(source, 3))

            def tell() -> None:
                source.done(done)
                source.failed(failed, "a reason", 2)
                source.give_back([returned])

            thread = Thread(target=tell)
            thread.start()
            thread.join()
            assert [one.item for one in _take(source, 1)] == [2]

    def test_it_may_be_closed_twice(self) -> None:
        with self.bench([0, 1]) as bench, _Closing(bench.consumer()) as source:
            _take(source, 1)
            source.close()
            source.close()
            assert source.take(1) == []
            assert source.closed

    def test_consumers_share(self) -> None:
        with self.bench(list(range(6))) as bench, _Consumers(bench) as (a, b):
            if a is not b:
                mine, others = _take(a, 2), _take_all(b, 9)
                assert [one.item for one in mine + others] == list(range(6))

    def test_it_ends_for_one_when_everything_has_ended_for_all(self) -> None:
        with self.bench([0, 1]) as bench, _Consumers(bench) as (a, b):
            if a is not b:
                (mine,), (others,) = _take(a, 1), _take(b, 1)
                a.done(mine.token)
                assert a.take(1) == []
                assert not a.closed  # what the other one has may still come
                b.done(others.token)
                told(b)
                assert a.take(1) == []
                assert a.closed

    def test_what_a_dead_consumer_had_goes_to_another_and_counts(self) -> None:
        with self.bench([0, 1]) as bench, _Consumers(bench) as (a, b):
            if a is not b:
                _take(a, 2)
                assert b.take(2) == []
                bench.pass_time(31)
                assert [(one.item, _counted(b, one)) for one in _take(b, 2)] == [(0, 2), (1, 2)]

    def test_what_a_live_consumer_has_stays_with_it(self) -> None:
        with self.bench([0, 1]) as bench, _Consumers(bench) as (a, b):
            if a is not b:
                kept, lost = _take(a, 2)
                bench.pass_time(20)
                a.extend([kept.token], LEASE)
                bench.pass_time(20)
                (gained,) = _take_all(b, 2)
                assert gained.item == 1
                a.extend([lost.token], LEASE)  # not its own any more
                b.failed(gained.token, "no")
                told(b)
                assert bench.dead() == [1]
                bench.pass_time(11)
                assert [one.item for one in _take(b, 1)] == [0]

    def test_nobody_gets_again_what_it_has(self) -> None:
        with self.bench([0]) as bench, _Consumers(bench) as (a, b):
            if a is not b:
                _take(a, 1)
                bench.pass_time(100)
                assert a.take(1) == []
                assert [one.item for one in _take(b, 1)] == [0]

    def test_what_is_given_back_is_there_for_others_at_once(self) -> None:
        with self.bench([0, 1]) as bench, _Consumers(bench) as (a, b):
            if a is not b:
                _, second = _take(a, 2)
                a.give_back([second.token])
                told(a)
                assert [(one.item, one.attempt) for one in _take_all(b, 2)] == [(1, 1)]

    def test_giving_back_may_wait(self) -> None:
        with self.bench([0]) as bench, _Consumers(bench) as (a, b):
            if a is not b and a.capabilities.delayed_retry:
                a.give_back([_take(a, 1)[0].token], delay=10.5)
                told(a)
                bench.pass_time(10)
                assert b.take(1) == []
                assert (a.closed, b.closed) == (False, False), "what comes again is still to come"
                bench.pass_time(1)
                assert [(one.item, one.attempt) for one in _take(b, 1)] == [(0, 1)]

    def test_who_has_lost_an_item_cannot_bury_it_or_give_it_back(self) -> None:
        with self.bench([0, 1]) as bench, _Consumers(bench) as (a, b):
            if a is not b:
                lost, too = _take(a, 2)
                bench.pass_time(31)
                _take(b, 2)
                a.failed(lost.token, "late")
                a.give_back([too.token])
                told(a)
                assert bench.dead() == []
                assert a.take(2) == []

    def test_a_late_result_is_a_result(self) -> None:
        with self.bench([0]) as bench, _Consumers(bench) as (a, b):
            if a is not b:
                (mine,) = _take(a, 1)
                bench.pass_time(31)
                (same,) = _take(b, 1)
                a.done(mine.token)
                told(a)
                b.failed(same.token, "too late for that")
                told(b)
                bench.pass_time(31)
                assert (a.take(1), b.take(1), bench.dead()) == ([], [], [])

    def test_who_has_something_hears_once_that_others_are_hungry(self) -> None:
        with self.bench([0]) as bench, _Consumers(bench) as (a, b):
            if isinstance(a, Neighbourly) and isinstance(b, Neighbourly):
                _take(a, 1)
                assert b.take(1) == []
                b.hungry(3)
                deadline = monotonic() + WAIT
                while not (heard := a.wanted()):
                    assert monotonic() < deadline, "nothing was heard"
                    sleep(0.01)  # a notice takes its time
                assert (heard, a.wanted(), b.wanted()) == (3, 0, 0)

    def test_what_failed_is_dead(self) -> None:
        with self.bench([0, 1]) as bench, _Consumers(bench) as (a, b):
            if a is not b:
                bad, _ = _take(a, 2)
                a.failed(bad.token, "ValueError: no", 3)
                told(a)
                bench.pass_time(31)
                assert bench.dead() == [0]
                assert [one.item for one in _take_all(b, 2)] == [1]

    def test_closing_tells_what_was_noted(self) -> None:
        with self.bench([0, 1, 2]) as bench, _Consumers(bench) as (a, b):
            if a is not b:
                done, failed, returned = _take(a, 3)
                a.done(done.token)
                a.failed(failed.token, "no")
                a.give_back([returned.token])
                a.close()
                assert [one.item for one in _take_all(b, 3)] == [2]
                bench.pass_time(31)
                assert b.take(3) == []
                assert bench.dead() == [1]

    def test_any_sequence_of_operations_agrees_with_the_model(self) -> None:
        agrees_with_the_model(self.bench)


class _Closing:
    """Closes a source. `contextlib.closing` wants to know its type."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __enter__(self) -> Source:
        told(self._source)
        return self._source

    def __exit__(self, *_: object) -> None:
        self._source.close()


class _Consumers:
    """Two consumers of a bench; twice the same one if its source is nobody else's."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._stack = ExitStack()

    def __enter__(self) -> tuple[Source, Source]:
        first = self._stack.enter_context(_Closing(self._bench.consumer()))
        if not first.capabilities.deadlines:
            return first, first
        return first, self._stack.enter_context(_Closing(self._bench.consumer()))

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _take(source: Source, count: int) -> list[Taken]:
    """Take exactly so many: a source may have them in several steps."""
    taken: list[Taken] = []
    while len(taken) < count:
        more = source.take(count - len(taken), WAIT)
        assert more, f"expected {count} items, got {len(taken)} and then nothing for {WAIT} s"
        taken += more
    return taken


def _take_all(source: Source, n: int) -> list[Taken]:
    """Take what there is, so many at once."""
    taken: list[Taken] = []
    while more := source.take(n, 0.2):
        taken += more
    return taken


def _counted(source: Source, one: Taken) -> int:
    """The attempt of an item that was delivered before; what does not count is not asked."""
    return one.attempt if source.capabilities.delivery_count else 2
