"""One worker's account of its waits: what each wait was for, and what the lookahead learns from it.

Rules:
1. The idle main thread waits for the nearest obstacle: a store that must end first, a batch that is not full,
   a load, and only then a fetch. Each piece of idleness ends with what ended it, and bears its name.
2. An ask that waited at the queue waited for work to exist: that part of the idleness has the cause that the
   queue names, and is no part of the fetch.
3. Once nothing unstarted is left in the world, or the worker is stopping, idleness is the tail. But who waits
   for its own load, batch or report has an unstarted item itself.
4. A stall is preventable if a deeper lookahead would have asked, or loaded, before it; the very first one
   could not be.
"""

from __future__ import annotations

from typing import final

from pullahead.core import trace
from pullahead.core.asks import Asks
from pullahead.core.lookahead import Lookahead
from pullahead.core.meter import Meter

#: A worker that waits for one of these has an unstarted item itself.
_OWN_CAUSES = frozenset({trace.CAUSE_LOAD, trace.CAUSE_BATCH, trace.CAUSE_REPORT})


@final
class Account:
    """See the module. `obstacle` is always what the main thread would wait for now, if it is idle.

    Attributes:
        idle_since: up to when the idleness of the main thread is accounted for; None while it computes.
        nothing_left: whether nothing unstarted was left in the world when the queue last spoke of it.
        stopping: whether nothing new is begun.
    """

    __slots__ = ("_lookahead", "_meter", "_recorder", "idle_since", "nothing_left", "stopping")

    def __init__(self, lookahead: Lookahead, meter: Meter, recorder: trace.Recorder) -> None:
        self.idle_since: float | None = None
        self.nothing_left = False
        self.stopping = False
        self._lookahead = lookahead
        self._meter = meter
        self._recorder = recorder

    def told_nothing_left(self, waited: float, cause: str, obstacle: str, now: float) -> None:
        """Nothing unstarted is left in the world; before that, an ask had waited because of `cause`."""
        self._waited(waited, cause, obstacle, 0, now)
        self.nothing_left = True
        if self.idle_since is not None and obstacle == trace.CAUSE_FETCH:
            self.stalled(now, trace.CAUSE_TAIL)

    def fetched(self, items: range, waited: float, cause: str, asks: Asks, obstacle: str, now: float) -> None:
        """Items came. Their ask waited `waited` seconds at the queue because of `cause`."""
        times = asks.answered(len(items))
        asked, in_line = (None, 0.0) if times is None else times
        fetch = 0.0 if asked is None else max(0.0, now - asked - waited)
        preventable = self._waited(waited, cause, obstacle, len(items), now)
        self.nothing_left = False
        if self.idle_since is not None and obstacle == trace.CAUSE_FETCH:
            self.stalled(now, trace.CAUSE_FETCH)
        self._meter.totals.fetches += 1
        self._meter.communicated(now - fetch, now)
        self._recorder.add(trace.FETCH, now - fetch, now, items.start, len(items))
        if in_line:
            left = now - fetch + in_line
            self._recorder.add(trace.ASK, now - fetch, left, items.start, len(items))
        if asked is not None and self._lookahead.fetched(fetch):
            self.note_lookahead(now)
        if preventable:
            self._could_have_asked_earlier(now)

    def loaded(self, item: int, start: float, obstacle: str, now: float) -> bool:
        """The load of an item has ended, well or not. Return whether the lookahead has moved."""
        stalled = self.idle_since is not None and obstacle in {trace.CAUSE_LOAD, trace.CAUSE_BATCH}
        if stalled:
            self.stalled(now, trace.CAUSE_LOAD)
        self._meter.communicated(start, now)
        self._recorder.add(trace.LOAD, start, now, item)
        has_moved = self._lookahead.loaded(now - start)
        if has_moved:
            self.note_lookahead(now)
        if stalled:
            self._could_have_asked_earlier(now)
        return has_moved

    def stored(self, item: int, start: float, obstacle: str, now: float) -> None:
        """The store of an item has ended, well or not."""
        if self.idle_since is not None and obstacle == trace.CAUSE_REPORT:
            self.stalled(now, trace.CAUSE_REPORT)
        self._meter.communicated(start, now)
        self._recorder.add(trace.STORE, start, now, item)

    def stalled(self, until: float, cause: str) -> None:
        """Account for idleness from where it was last accounted for until `until`."""
        start = self.idle_since
        assert start is not None
        if until <= start:
            return
        nothing_left = self.nothing_left and cause not in _OWN_CAUSES
        if nothing_left or self.stopping:
            cause = trace.CAUSE_TAIL
            self._meter.idled(start, until)
        else:
            self._meter.stalled(start, until, cause)
        self._recorder.add(trace.STALL, start, until, detail=cause)
        self.idle_since = until

    def note_lookahead(self, now: float) -> None:
        """Record that the lookahead has changed."""
        policy = self._lookahead
        self._recorder.add(trace.LOOKAHEAD, now, now, policy.depth, policy.bundle, policy.reason)

    def _waited(self, waited: float, cause: str, obstacle: str, items: int, now: float) -> bool:
        """An ask waited at the queue because of `cause`, until so many items came. Return whether asking
        earlier would have helped."""
        if self.idle_since is None or obstacle != trace.CAUSE_FETCH:
            self._lookahead.idled(0.0, items)
            return False
        until = min(now, self.idle_since + waited)
        self._lookahead.idled(until - self.idle_since if cause == trace.CAUSE_SOURCE else 0.0, items)
        self.stalled(until, cause)
        return waited <= 0.0 and now > self.idle_since

    def _could_have_asked_earlier(self, now: float) -> None:
        if self._meter.totals.items and self._lookahead.stalled():
            self.note_lookahead(now)
