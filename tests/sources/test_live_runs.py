"""Runs on a live queue, without a server: when an item is acknowledged, what goes back, when a run ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.faults.procs import until

import pullahead as pa
from pullahead.core.leases import LEAST
from pullahead.sources import MemoryQueue

WAIT = 20.0


def double(x: int) -> int:
    return 2 * x


def queue_of(*items: Any) -> MemoryQueue:
    queue = MemoryQueue()
    for item in items:
        queue.put(item)
    return queue


def test_a_run_goes_on_until_the_queue_is_closed() -> None:
    queue, seen, first = queue_of(1), [], threading.Event()

    def sink(result: int, item: int) -> None:
        seen.append(result)
        first.set()

    def put_more() -> None:
        assert first.wait(WAIT)
        queue.put(2)
        queue.close()

    helper = threading.Thread(target=put_more)
    helper.start()
    pa.run(double, queue.consumer(), sink, workers=1)
    helper.join()
    assert seen == [2, 4]


def test_an_item_is_acknowledged_after_the_sink_was_called() -> None:
    queue, open_meanwhile = queue_of(*range(20)), []
    pa.run(double, queue.consumer(drain=True), lambda *_: open_meanwhile.append(len(queue)), workers=2)
    assert open_meanwhile == list(range(20, 0, -1))  # the one in the sink's hands is among them


def test_what_a_sink_refuses_goes_back_and_so_does_everything_else() -> None:
    queue = queue_of(*range(20))

    def sink(result: int, item: int) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        pa.run(double, queue.consumer(drain=True), sink, workers=2)
    assert len(queue) == 20
    other = queue.consumer()
    assert sorted(one.item for one in other.take(100)) == list(range(20))  # at once, not after a lease


def test_what_a_sink_was_interrupted_in_goes_back_and_what_runs_is_finished() -> None:
    queue = queue_of(*range(20))
    seen: list[Any] = []

    def sink(result: int, item: int) -> None:
        if not seen:
            seen.append(None)
            raise KeyboardInterrupt  # as a handler of the user's would
        seen.append(item)

    with pytest.raises(KeyboardInterrupt):
        pa.run(double, queue.consumer(drain=True), sink, workers=1)
    back = [one.item for one in queue.consumer().take(100)]
    assert sorted([*seen[1:], *back]) == list(range(20))


def test_whatever_a_handler_raises_while_a_run_waits_ends_it() -> None:
    """As `sys.exit` in one of SIGTERM does: the source has nothing for now, and everything goes back."""
    queue = queue_of(*range(20))
    seen: list[int] = []

    def leave(number: int, frame: Any) -> None:
        raise SystemExit(7)

    def tell_it_to() -> None:
        while len(seen) < 20:
            time.sleep(0.01)
        time.sleep(0.1)  # until it waits for more
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, leave)
    helper = threading.Thread(target=tell_it_to)
    helper.start()
    try:
        with pytest.raises(SystemExit, match="7"):
            pa.run(double, queue.consumer(), lambda result, item: seen.append(item), workers=1)
    finally:
        signal.signal(signal.SIGTERM, before)
        helper.join()
    assert len(queue) == 0


def test_an_item_of_a_map_is_acknowledged_when_the_next_is_asked_for() -> None:
    queue = queue_of(*range(3))
    left = []
    for _ in pa.map(double, queue.consumer(drain=True), workers=1):
        left.append(len(queue))
    assert left == [3, 2, 1]
    assert len(queue) == 0


def test_a_loop_that_is_left_gives_everything_back_that_it_has_not_dealt_with() -> None:
    queue = queue_of(*range(30))
    with pa.map(double, queue.consumer(), workers=2) as results:
        next(results)
        next(results)
    assert len(queue) == 29
    assert {one.attempt for one in queue.consumer().take(100)} == {1}


def test_a_failure_that_is_raised_is_dead_and_the_rest_goes_back() -> None:
    def work(x: int) -> int:
        raise ValueError(x)

    queue = queue_of(*range(10))
    with pytest.raises(ValueError), pa.map(work, queue.consumer(), workers=1) as results:
        next(results)
    assert [dead.item for dead in queue.dead] == [0]
    assert len(queue) == 9
    assert len(queue.consumer().take(100)) == 9


def test_an_interrupt_gives_back_what_has_not_begun(tmp_path: Path) -> None:
    queue, seen = queue_of(*range(100)), []

    def work(x: int) -> int:
        (tmp_path / str(x)).touch()
        time.sleep(0.05)
        return x

    def sink(result: int, item: int) -> None:
        seen.append(item)
        if len(seen) == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        pa.run(work, queue.consumer(), sink, workers=2)
    begun = sorted(int(path.name) for path in tmp_path.iterdir())
    assert sorted(seen) == begun  # what had begun was finished and handed over
    assert len(queue) == 100 - len(begun)
    rest = queue.consumer().take(1000)
    assert {one.attempt for one in rest} == {1}
    assert sorted([one.item for one in rest] + begun) == list(range(100))


def test_what_lasts_longer_than_a_lease_stays_with_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    lease = 0.8
    monkeypatch.setattr("pullahead.core.leases.LEAST", lease)
    queue, over = queue_of("x"), threading.Event()
    consumer, thief = queue.consumer(drain=True), queue.consumer()
    consumer.extend([], lease)
    stolen: list[Any] = []

    def work(x: str) -> str:
        time.sleep(3 * lease)
        return x

    def steal() -> None:
        while not over.wait(0.02):
            stolen.extend(thief.take(1))

    results = pa.map(work, consumer, workers=1)
    while "1 held" not in repr(consumer):
        time.sleep(0.001)  # until it has it
    helper = threading.Thread(target=steal)
    helper.start()
    found = list(results)
    over.set()
    helper.join()
    assert (found, stolen) == (["x"], [])


def test_two_runs_share_a_queue_and_neither_hoards() -> None:
    with pa.Pool(slow, workers=1) as one, pa.Pool(slow, workers=1) as two:
        assert list(one.map([-1])) == list(two.map([-1])) == [-1]  # both workers are there
        queue = queue_of(*range(60))
        first = one.map(queue.consumer(drain=True))
        found = [[next(first)], list[int]()]
        assert held(queue) <= 4  # three for one worker, and the one whose result is here
        second = two.map(queue.consumer(drain=True))
        helper = threading.Thread(target=lambda: found[1].extend(second))
        helper.start()
        found[0].extend(first)
        helper.join()
    assert sorted(found[0] + found[1]) == list(range(60))
    assert min(map(len, found)) >= 15


def held(queue: MemoryQueue) -> int:
    """Count what somebody has."""
    return sum(entry.owner is not None for entry in queue._broker._had.values())


def test_a_run_hoards_nothing_from_its_first_item_on() -> None:
    def work(x: int) -> int:
        time.sleep(0.2)
        return x

    queue = queue_of(*range(20))
    most = max(held(queue) for _ in pa.map(work, queue.consumer(drain=True), workers=2))
    # Three for each worker, what both end in the time that a trip to a server may take, and where a busy
    # machine makes a fetch of the crew's own as long as an item, one more for each.
    assert most <= 9


def test_a_run_takes_as_much_as_hides_its_loads() -> None:
    def load(x: int) -> int:
        time.sleep(0.3)
        return x

    def work(x: int) -> int:
        time.sleep(0.01)
        return x

    queue = queue_of(*range(120))
    most = max(held(queue) for _ in pa.map(work, queue.consumer(drain=True), load=load, workers=1))
    assert most >= 15  # thirty computes take as long as one load


def slow(x: int) -> int:
    time.sleep(0.03)
    return x


def test_a_pool_refuses_it_as_well() -> None:
    with pa.Pool(double, workers=1) as pool, pytest.raises(ValueError, match="ordered"):
        pool.map(queue_of(1).consumer(), ordered=True)


def test_a_queue_is_put_into_as_long_as_it_is_open() -> None:
    queue = queue_of()
    queue.close()
    with pytest.raises(ValueError, match="open queue"):
        queue.put(1)
    assert list(pa.map(double, queue.consumer(), workers=1)) == []


def test_what_is_tried_later_by_the_work_stays_with_the_run() -> None:
    class Later:
        def __init__(self) -> None:
            self.seen = 0

        def process(self, x: int) -> int:
            self.seen += 1
            if self.seen == 1:
                raise pa.RetryLater(0.05)
            return x

    queue = queue_of(7)
    assert list(pa.map(Later, queue.consumer(drain=True), workers=1)) == [7]
    assert len(queue) == 0


class Timed:
    """A sink that remembers which items came, and when their work had begun."""

    def __init__(self) -> None:
        self.began: dict[int, float] = {}

    def __call__(self, result: float, item: int) -> None:
        self.began[item] = result


def long_work(x: int) -> float:
    began = time.monotonic()
    time.sleep(1.5)
    return began


def long_work_that_says_so(folder: Path, x: int) -> float:
    (folder / str(x)).touch()
    return long_work(x)


def test_what_one_run_holds_and_has_not_begun_goes_to_another_that_has_nothing(tmp_path: Path) -> None:
    queue, mine, others = queue_of(*range(3)), Timed(), Timed()
    holds_all = threading.Event()
    consumer = queue.consumer(drain=True)
    take = consumer.take

    def taken(n: int, wait: float = 0.0) -> Any:
        found = take(n, wait)
        if len(consumer._attempts) == 3:
            holds_all.set()
        return found

    consumer.take = taken  # type: ignore[method-assign]
    work = partial(long_work_that_says_so, tmp_path)
    with pa.Pool(work, workers=1) as first, pa.Pool(work, workers=1) as second:
        reports: list[pa.Report] = []
        holder = threading.Thread(target=lambda: reports.append(first.run(consumer, mine)))
        holder.start()
        assert holds_all.wait(WAIT)
        assert until(lambda: any(tmp_path.iterdir()), WAIT)  # its worker has begun the first one
        was_hungry = time.monotonic()
        reports.append(second.run(queue.consumer(drain=True), others))
        holder.join()
    assert sorted([*mine.began, *others.began]) == [0, 1, 2]
    assert len(others.began) == 1  # its share of the two that had not begun
    assert min(others.began.values()) - was_hungry < 1.0 + 1.0  # a busy machine starts workers late
    assert sorted((report.done, report.left, report.returned) for report in reports) == [
        (1, 0, 0),
        (2, 0, 0),
    ]


def test_a_run_that_drains_takes_back_what_it_gave_to_one_that_died() -> None:
    now = [0.0]
    queue, mine = MemoryQueue(clock=lambda: now[0]), Timed()
    for item in range(2):
        queue.put(item)
    consumer, other = queue.consumer(drain=True), queue.consumer()
    holds_all = threading.Event()
    take = consumer.take

    def taken(n: int, wait: float = 0.0) -> Any:
        found = take(n, wait)
        if len(consumer._attempts) == 2:
            holds_all.set()
        return found

    consumer.take = taken  # type: ignore[method-assign]
    reports: list[pa.Report] = []
    with pa.Pool(long_work, workers=1) as pool:
        holder = threading.Thread(target=lambda: reports.append(pool.run(consumer, mine)))
        holder.start()
        assert holds_all.wait(WAIT)
        time.sleep(0.3)  # its feeder has found that nothing more is there
        deadline = time.monotonic() + WAIT
        while not other.take(1):
            other.hungry(1)
            assert time.monotonic() < deadline
            time.sleep(0.01)  # it is given back in its own time
        now[0] += LEAST + 1  # and dies with it
        holder.join()
    assert sorted(mine.began) == [0, 1]
    assert len(queue) == 0


def test_the_last_batch_of_a_queue_that_is_drained_waits_for_no_company() -> None:
    queue, sizes = queue_of(*range(5)), []

    def work(batch: list[int]) -> list[int]:
        return [len(batch)] * len(batch)

    before = time.monotonic()
    how: dict[str, Any] = {"workers": 1, "batch_size": 4, "batch_wait": 40.0}
    pa.run(work, queue.consumer(drain=True), lambda size, item: sizes.append(size), **how)
    assert sum(1 / size for size in sizes) == pytest.approx(2)
    assert time.monotonic() - before < 20.0
