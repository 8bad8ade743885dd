"""A run between its source and whoever takes its results: nobody waits for what has come."""

from __future__ import annotations

import random
import threading
from typing import Any, cast

import pytest

from pullahead.farm.crew import Crew
from pullahead.farm.run import DONE, Run
from pullahead.sources.iterable import IterableSource

ITEMS = [None, 1, 2.5, "x" * 10, "y" * 3000, b"z" * 20_000]


class Workers:
    """A crew whose items end in any order, a few at a time, as what they are."""

    size = present = 2
    queue_count = 1
    recorded = None
    lookahead = 4
    budget = 64 << 20

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.released = 0
        self._next = 0
        self._lots: list[tuple[int, list[Any]]] = []
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def open(self, run: Run, *, delays: bool, hold: bool) -> int:
        assert hold, "a list is at hand"
        self._run = run
        self._thread.start()
        return 0

    def reserve(self, count: int) -> int:
        self._next += count
        return self._next - count

    def submit(self, run: int, first: int, payloads: list[Any], cause: str, known: Any = None) -> None:
        with self._changed:
            self._lots.append((first, payloads))
            self._changed.notify()

    def release(self) -> None:
        self.released += 1

    def cancel_run(self, run: int) -> None:
        pass

    def close_run(self, run: int) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def join(self) -> None:
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lots or self._is_closed)
                lots, self._lots = self._lots, []
            if not lots:
                break
            items = [pair for first, payloads in lots for pair in enumerate(payloads, first)]
            self._random.shuffle(items)
            while items:
                count = self._random.randint(1, 7)
                some, items = items[:count], items[count:]
                self._run.items_ended(DONE, tuple(item for item, _ in some), [one for _, one in some])
                if self._random.random() < 0.1:
                    self._run.starved()
        self._run.ended()


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_the_source_is_read_as_soon_as_there_is_room(seed: int, ordered: bool) -> None:
    """The window is often full, and nobody looks at it but who has taken something."""
    items = random.Random(seed).choices(ITEMS, k=2000)
    workers = Workers(seed)
    run = Run(cast(Crew, workers), IterableSource(items), ordered=ordered)
    came: list[Any] = []
    while (outcomes := run.take(20.0)) is not None:
        assert outcomes, f"nothing comes after {len(came)} items"
        came += [item for item, *_ in outcomes]
    workers.join()
    assert workers.released == 1
    if ordered:
        assert came == items
    else:
        assert sorted(map(repr, came)) == sorted(map(repr, items))


def test_what_is_too_large_to_be_packed_at_once_comes_as_the_rest_does() -> None:
    sizes = [0] * 300 + [5 << 20, 10, 13 << 20, 9 << 20, 10] * 3
    items = [bytes([place % 251]) * size for place, size in enumerate(sizes)]
    workers = Workers(0)
    run = Run(cast(Crew, workers), IterableSource(items), ordered=True)
    came: list[Any] = []
    while (outcomes := run.take(20.0)) is not None:
        came += [item for item, *_ in outcomes]
    workers.join()
    assert came == items


def test_what_was_taken_and_never_sent_goes_back() -> None:
    source = IterableSource([1, *[bytes(9 << 20) for _ in range(40)]])
    workers = Idle(64 << 20, 1 << 30)
    run = Run(cast(Crew, workers), source, ordered=True)
    assert run.take(0.2) == []
    run.cancel()
    run._feeder.join()
    assert len(source._held) == workers.submitted < 41
    assert run.returned == run.read - workers.submitted
    workers.are_here.set()
    workers.join()
    run.broke(RuntimeError("it is over"))


class Idle(Workers):
    """A crew that computes nothing, and says when so many items are here."""

    def __init__(self, budget: int, expected: int) -> None:
        super().__init__(0)
        self.budget = budget
        self.submitted = 0
        self.are_here = threading.Event()
        self._expected = expected
        self._thread = threading.Thread(target=self.are_here.wait)

    def submit(self, run: int, first: int, payloads: list[Any], cause: str, known: Any = None) -> None:
        self.submitted += len(payloads)
        if self.submitted >= self._expected:
            self.are_here.set()


@pytest.mark.parametrize(("budget", "expected"), [(4 << 20, 8), (8 << 20, 16), (0, 6)])
def test_twice_as_many_bytes_are_inside_as_the_workers_may_hold(budget: int, expected: int) -> None:
    workers = Idle(budget, expected)
    items = [bytes((1 << 20) - 100)] * 50
    run = Run(cast(Crew, workers), IterableSource(items), ordered=True)
    assert workers.are_here.wait(20.0)
    workers.join()
    assert run.take(0.05) == []
    assert workers.submitted == expected, "or three for each worker"
    run.broke(RuntimeError("it is over"))
    run.wait_ended()


def test_who_interrupts_a_wait_for_a_result_does_not_wait_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """He may go on in an hour: until then his window stays as it is."""
    workers = Workers(0)
    run = Run(cast(Crew, workers), IterableSource([]), ordered=False)
    workers.join()
    run._over = False

    def interrupt(_patience: float | None) -> bool:
        assert run._window._waits
        raise KeyboardInterrupt

    monkeypatch.setattr(run._changed, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.take()
    assert not run._window._waits
