"""Whether a source and the model agree, whatever is done with them: random sequences of operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Protocol

from pullahead.core.broker import Broker
from pullahead.sources.source import Source

#: Seconds of a lease here. Time passes in whole seconds, so that a server's own clock, which also goes on
#: while a test runs, decides nothing.
LEASE = 30.5
#: Seconds that a test waits for an item that is there: only a failing one takes so long.
WAIT = 5.0


class Bench(Protocol):
    """A queue with some items in it, as the tests handle it. Items are whole numbers."""

    def consumer(self) -> Source:
        """Return a new consumer of the queue, which ends when that is empty. The bench closes none.

        Asked for twice only if the first one has `deadlines`.
        """

    def put(self, items: Sequence[int]) -> None:
        """Add items. Asked of sources with `deadlines` only."""

    def pass_time(self, seconds: float) -> None:
        """Let so many seconds pass for every deadline. Asked of sources with `deadlines` only."""

    def dead(self) -> list[int]:
        """Return what has failed, in that order. Asked of sources with `deadlines` only."""


OpenBench = Callable[[list[int]], AbstractContextManager[Bench]]


def told(source: Source) -> None:
    """Let a source tell its server what it has noted."""
    source.extend([], LEASE)


def agrees_with_the_model(bench: OpenBench, examples: int = 100, steps: int = 40) -> None:
    """Compare random sequences of operations on a source with the same ones on the model.

    Args:
        bench: as that of a `SourceSuite`.
        examples: how many sequences.
        steps: operations in each, at most.

    Raises:
        AssertionError: they differ. Hypothesis prints the shortest sequence that it finds.
    """
    from hypothesis import HealthCheck, settings
    from hypothesis import strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
    from hypothesis.stateful import run_state_machine_as_test as compare

    who, some = st.integers(0, 1), st.integers(1, 4)
    pick, picks = st.integers(0, 99), st.lists(st.integers(0, 99), max_size=4)

    class Comparison(RuleBasedStateMachine):
        @initialize(count=st.integers(0, 6))
        def begin(self, count: int) -> None:
            self.both = Both(bench, count)

        @rule(who=who, n=some)
        def take(self, who: int, n: int) -> None:
            self.both.take(who, n)

        @rule(who=who, pick=pick)
        def done(self, who: int, pick: int) -> None:
            self.both.done(who, pick)

        @rule(who=who, pick=pick)
        def failed(self, who: int, pick: int) -> None:
            self.both.failed(who, pick)

        @rule(who=who, picks=picks, delay=st.sampled_from([0.0, 0.0, 10.5]))
        def give_back(self, who: int, picks: list[int], delay: float) -> None:
            self.both.give_back(who, picks, delay)

        @precondition(lambda self: self.both.is_live)
        @rule(who=who, picks=picks)
        def extend(self, who: int, picks: list[int]) -> None:
            self.both.extend(who, picks)

        @precondition(lambda self: self.both.is_live)
        @rule(count=some)
        def put(self, count: int) -> None:
            self.both.put(count)

        @precondition(lambda self: self.both.is_live)
        @rule(seconds=st.sampled_from([1, 10, 20, 31]))
        def pass_time(self, seconds: int) -> None:
            self.both.pass_time(seconds)

        def teardown(self) -> None:
            if hasattr(self, "both"):
                self.both.close()

    quietly = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    how = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=quietly
    )
    compare(Comparison, settings=how)


class Both:
    """A source and the model, side by side. Every operation is done to both, and the answers compared."""

    def __init__(self, bench: OpenBench, count: int) -> None:
        self._stack = ExitStack()
        self._model = Broker()
        self._now = 0.0
        self._bench = self._stack.enter_context(bench([self._model.put() for _ in range(count)]))
        first = self._bench.consumer()
        self.is_live = first.capabilities.deadlines
        self._sources = [first, self._bench.consumer()] if self.is_live else [first]
        for source in self._sources:
            self._stack.callback(source.close)
            told(source)
        self._lease = LEASE if self.is_live else float("inf")
        self._tokens: list[dict[int, Any]] = [{} for _ in self._sources]  # what each thinks it has, by item

    def take(self, who: int, n: int) -> None:
        who %= len(self._sources)
        is_there = self._model.is_ready(who, self._now)
        taken = self._sources[who].take(n, WAIT if is_there or not self.is_live else 0.0)
        expected = self._model.take(who, max(1, len(taken)), self._now, self._lease)
        counts = self._sources[who].capabilities.delivery_count
        got = [(item, attempt) for _, item, attempt in taken]
        assert got == [(item, attempt if counts else 1) for item, attempt in expected]
        self._tokens[who].update((item, token) for token, item, _ in taken)
        if not taken:
            assert self._sources[who].closed == (not self._model.others(who))

    def done(self, who: int, pick: int) -> None:
        for mine, item, token in self._picked(who, [pick]):
            self._sources[mine].done(token)
            self._model.done(item)
            self._forget(mine, item)

    def failed(self, who: int, pick: int) -> None:
        for mine, item, token in self._picked(who, [pick]):
            self._sources[mine].failed(token, "a reason")
            self._model.failed(mine, item)
            self._forget(mine, item)

    def give_back(self, who: int, picks: list[int], delay: float) -> None:
        picked = self._picked(who, picks)
        who %= len(self._sources)
        source = self._sources[who]
        delay = delay if source.capabilities.delayed_retry else 0.0
        self._model.give_back(who, [item for _, item, _ in picked], self._now, delay)
        source.give_back([token for _, _, token in picked], delay)
        for _, item, _ in picked:
            self._forget(who, item)

    def extend(self, who: int, picks: list[int]) -> None:
        picked = self._picked(who, picks)
        who %= len(self._sources)
        self._model.extend(who, [item for _, item, _ in picked], self._now, self._lease)
        self._sources[who].extend([token for _, _, token in picked], self._lease)

    def put(self, count: int) -> None:
        self._bench.put([self._model.put() for _ in range(count)])

    def pass_time(self, seconds: int) -> None:
        self._now += seconds
        self._bench.pass_time(seconds)

    def close(self) -> None:
        """Both agree about what is dead, in the end."""
        try:
            if self.is_live:
                assert self._bench.dead() == self._model.dead
        finally:
            self._stack.close()

    def _picked(self, who: int, picks: list[int]) -> list[tuple[int, int, Any]]:
        who %= len(self._sources)
        items = list(self._tokens[who])
        chosen = dict.fromkeys(items[pick % len(items)] for pick in picks if items)
        return [(who, item, self._tokens[who][item]) for item in chosen]

    def _forget(self, who: int, item: int) -> None:
        del self._tokens[who][item]
        told(self._sources[who])
