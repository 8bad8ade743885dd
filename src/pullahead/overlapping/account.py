"""Where the caller's time went, and what follows for the lookahead."""

from __future__ import annotations

from collections import deque
from typing import final

from pullahead.core import trace
from pullahead.core.ceiling import FREE_AHEAD, Ceiling
from pullahead.core.lookahead import Lookahead
from pullahead.core.meter import Meter
from pullahead.core.prefetch import Request
from pullahead.overlapping.statistics import Samples, Statistics


@final
class Account:
    """Written by the caller's thread and by whoever closes; answers come from any.

    Args:
        lookahead: a fixed depth, or None for "auto".
        recorder: writes the spans.
    """

    def __init__(self, lookahead: int | None, recorder: trace.Recorder | None) -> None:
        self._policy = Lookahead(lookahead)
        self._ceiling = Ceiling(
            FREE_AHEAD if lookahead is None else lookahead
        )  # a fixed depth never reaches up
        self._recorder = trace.Recorder(on=False) if recorder is None else recorder  # an empty one is false
        self._meter = Meter(0, 0.0)  # replaced when the first `next()` begins
        self._begun = False
        self._fetches, self._computes = Samples(), Samples()
        self._fresh: deque[tuple[int, float, float, int]] = deque()  # answered, not accounted for; with bytes
        self._computing: tuple[int, float] | None = None  # the item that the caller has, and since when
        self._stalled = 0.0  # seconds since the last item
        self.items = self.failures = self.stalls = 0
        self.depth = self._policy.depth

    @property
    def reason(self) -> str:
        """Why the depth is what it is."""
        if self._policy.depth <= self._ceiling.limit:
            return self._policy.reason
        if self._ceiling.refused:
            return f"{self.depth}: {2 * self.depth} did not shorten the stalls, so the source itself is slow"
        return f"{self.depth}: deeper as long as that pays ({self._policy.reason})"

    def handed_out(self, number: int, now: float) -> None:
        """The caller has its next item."""
        self.items += 1
        self._computing = (number, now)
        self._ceiling.yielded(self._stalled, self._policy.depth)
        self._stalled = 0.0

    def resumed(self, now: float, leaving: bool = False) -> None:
        """The caller is done with the item that it had; if it leaves, maybe in the middle."""
        if not self._begun:
            self._begun, self._meter = True, Meter(0, now)
        if self._computing is None:
            return
        (number, start), self._computing = self._computing, None
        self._meter.computed(start, now, 1, 0.0)
        self._computes.add(now - start)
        self._recorder.add(trace.PROCESS, start, now, number)
        if not leaving:
            self._policy.computed(now - start, 1)

    def waited(self, start: float, now: float, tail: bool) -> None:
        """The caller had to wait for the answer whose turn it was; a tail turned out to be the end."""
        cause = trace.CAUSE_TAIL if tail else trace.CAUSE_FETCH
        self._recorder.add(trace.STALL, start, now, detail=cause)
        if tail:
            self._meter.idled(start, now)
            return
        self._meter.stalled(start, now, cause)
        self.stalls += 1
        self._stalled += now - start
        if self.items:  # nothing could have been asked for ahead of the first item
            self._policy.stalled()

    def answered(self, request: Request, now: float, size: int = 0) -> None:
        """A request was answered, by an item of so many bytes, on any thread."""
        self._fresh.append((request.number, request.made, now, size))

    def settle(self, now: float) -> None:
        """The caller's own time up to now is accounted for: take in the answers, and let the depth follow."""
        while self._fresh and self._fresh[0][2] <= now:
            number, start, end, size = self._fresh.popleft()
            if size:
                self._policy.weighed(size)
            self._meter.communicated(start, end)
            self._fetches.add(end - start)
            self._recorder.add(trace.FETCH, start, end, number)
            self._policy.fetched(end - start)
        depth = min(self._policy.depth, self._ceiling.limit)
        if depth != self.depth:
            self.depth = depth
            self._recorder.add(trace.LOOKAHEAD, now, now, depth, detail=self.reason)

    def statistics(self) -> Statistics:
        totals = self._meter.totals
        wall = totals.ended - totals.started
        return Statistics(
            items=self.items,
            failures=self.failures,
            fetch=self._fetches.times(),
            compute=self._computes.times(),
            stalls=self.stalls,
            stall_seconds=totals.stalls.get(trace.CAUSE_FETCH, 0.0),
            hidden_seconds=totals.hidden,
            exposed_seconds=totals.exposed,
            utilization=totals.useful / wall if wall > 0.0 else 0.0,
            lookahead=self.depth,
            reason=self.reason,
        )
