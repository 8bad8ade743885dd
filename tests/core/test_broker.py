"""The model of a queue that hands out items for a while."""

from __future__ import annotations

from pullahead.core.broker import Broker


def broker(count: int) -> Broker:
    made = Broker()
    assert [made.put() for _ in range(count)] == list(range(count))
    return made


def test_entries_go_out_once_in_order() -> None:
    queue = broker(3)
    assert queue.take("a", 2, 0.0, 10.0) == [(0, 1), (1, 1)]
    assert queue.take("b", 2, 0.0, 10.0) == [(2, 1)]
    assert queue.take("a", 2, 0.0, 10.0) == []


def test_what_is_overdue_goes_to_another_first_and_is_charged() -> None:
    queue = broker(3)
    queue.take("a", 2, 0.0, 10.0)
    assert queue.take("b", 1, 9.0, 10.0) == [(2, 1)]
    assert queue.take("a", 9, 10.0, 10.0) == []  # it has them itself
    assert queue.take("b", 9, 10.0, 10.0) == [(0, 2), (1, 2)]


def test_what_is_extended_is_not_overdue() -> None:
    queue = broker(1)
    queue.take("a", 1, 0.0, 10.0)
    queue.extend("a", [0], 12.0, 10.0)  # late, but nobody took it
    assert queue.take("b", 1, 21.9, 10.0) == []
    assert queue.take("b", 1, 22.0, 10.0) == [(0, 2)]
    queue.extend("a", [0], 23.0, 100.0)  # not its own any more
    assert queue.take("a", 1, 32.0, 10.0) == [(0, 3)]


def test_giving_back_costs_nothing() -> None:
    queue = broker(2)
    queue.take("a", 2, 0.0, 10.0)
    queue.give_back("a", [1, 0], 1.0)
    assert queue.take("b", 2, 1.0, 10.0) == [(0, 1), (1, 1)]
    queue.give_back("a", [0], 2.0)  # not its own
    assert queue.take("a", 2, 2.0, 10.0) == []


def test_giving_back_may_wait() -> None:
    queue = broker(1)
    queue.take("a", 1, 0.0, 10.0)
    queue.give_back("a", [0], 1.0, delay=5.0)
    assert queue.take("a", 1, 5.9, 10.0) == []
    assert queue.take("a", 1, 6.0, 10.0) == [(0, 1)]


def test_a_result_counts_whoever_has_the_item_now() -> None:
    queue = broker(1)
    queue.take("a", 1, 0.0, 10.0)
    queue.take("b", 1, 10.0, 10.0)
    assert not queue.failed("a", 0)
    queue.done(0)
    assert not queue.failed("b", 0)
    assert (len(queue), queue.dead) == (0, [])


def test_the_dead_are_kept() -> None:
    queue = broker(2)
    queue.take("a", 2, 0.0, 10.0)
    assert queue.failed("a", 1)
    assert (len(queue), queue.dead) == (1, [1])
    assert (queue.others("a"), queue.others("b")) == (0, 1)
