"""Where one worker's time went, kept as running sums.

Rules:
1. A second is *useful* while the work's `process` runs. It is *stalled* while the worker has nothing to
   compute although work is left in the world. What remains is the worker's own overhead.
2. *Communicating* is a union, not a sum: eight loads side by side for one second are one second. This is
   the definition of Holistic Trace Analysis, where overlap = time communicating while computing ÷ time
   communicating.
3. Hidden = communicating while useful. Exposed = communicating while stalled.

How it works: useful and stalled intervals arrive in order and never overlap, because one main thread makes
both. They form a short history with running sums, so the useful seconds between two moments are a
subtraction of two look-ups. A communication is accounted for when it ends: its interval, less what earlier
ones already covered, is looked up in both histories.

Refused: counting with a state (computing?, communicating?) that is advanced at each event. A fetch does not
know until its answer comes how long its ask merely waited for work to exist, which is not communication.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import final

# Enough for the longest communication that still matters to a worker: thousands of intervals back, an
# older start is looked up as if it were the oldest one that is known. Half is dropped at a time.
_HISTORY = 4096


@dataclass(slots=True)
class WorkerTotals:
    """One worker's sums. All times in seconds.

    Attributes:
        worker: its number in the run, from 0.
        pid: its process id, 0 when it has none.
        host: the name of the machine that it is on, "" when it is on none.
        clock: the name of the clock that its times are of: that of its boot of its machine.
        uncertainty: how far its times may be from what the clock of the report showed; 0.0 on one machine.
        started, ended: when it began and was last heard of; on its own monotonic clock, and in a report on
            that of the report.
        items: how many items it processed.
        useful: wall time inside `process`.
        cpu: CPU time of the main thread inside `process`; far below `useful` on a crowded machine or when
            `process` itself waits.
        stalls: seconds by cause (see `pullahead.core.trace`), without the tail.
        tail: idle seconds at the end, when nothing unstarted was left.
        communication, hidden, exposed: see the module.
        fetches: how many grants it received.
        messages: how many messages it sent and received.
        lookahead, bundle: the last values of the policy.
        reason: why the lookahead is what it is.
        is_guess: whether it is one, because too little is measured.
    """

    worker: int = 0
    pid: int = 0
    host: str = ""
    clock: str = ""
    uncertainty: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    items: int = 0
    useful: float = 0.0
    cpu: float = 0.0
    stalls: dict[str, float] = field(default_factory=dict)
    tail: float = 0.0
    communication: float = 0.0
    hidden: float = 0.0
    exposed: float = 0.0
    fetches: int = 0
    messages: int = 0
    lookahead: int = 0
    bundle: int = 1
    reason: str = ""
    is_guess: bool = False


class _History:
    """Intervals in order, with the running sum of their lengths."""

    __slots__ = ("_base", "_ends", "_starts", "_sums", "total")

    def __init__(self) -> None:
        self.total = 0.0
        self._base = 0.0  # the running sum just before the oldest interval that is kept
        self._starts: list[float] = []
        self._ends: list[float] = []
        self._sums: list[float] = []  # including the interval itself

    def add(self, start: float, end: float) -> None:
        self.total += end - start
        self._starts.append(start)
        self._ends.append(end)
        self._sums.append(self.total)
        if len(self._starts) > _HISTORY:
            half = _HISTORY // 2
            self._base = self._sums[half - 1]
            del self._starts[:half], self._ends[:half], self._sums[:half]

    def until(self, moment: float) -> float:
        """Return the seconds inside these intervals before `moment`."""
        index = bisect_right(self._starts, moment) - 1
        if index < 0:
            return self._base
        return self._sums[index] - max(0.0, self._ends[index] - moment)


@final
class Meter:
    """Accounts for one worker. See the module for the rules."""

    __slots__ = ("_computing_since", "_covered", "_forgotten", "_stalled", "_useful", "totals")

    def __init__(self, worker: int, now: float, pid: int = 0, host: str = "", clock: str = "") -> None:
        self.totals = WorkerTotals(worker, pid, host, clock, started=now, ended=now)
        self._useful = _History()
        self._stalled = _History()
        self._computing_since: float | None = None
        self._covered: list[tuple[float, float]] = []  # disjoint, in order: communication already counted
        self._forgotten = now  # everything before it is taken as counted

    def computing(self, now: float) -> None:
        """`process` begins. Communication that ends before it does is hidden behind it."""
        self._computing_since = now

    def computed(self, start: float, end: float, items: int, cpu: float) -> None:
        """`process` ran from start to end, for so many items, on so many CPU seconds."""
        totals = self.totals
        totals.items += items
        totals.useful += end - start
        totals.cpu += cpu
        totals.ended = end
        self._useful.add(start, end)
        self._computing_since = None

    def stalled(self, start: float, end: float, cause: str) -> None:
        """The main thread had nothing to compute from start to end, because of `cause`."""
        totals = self.totals
        totals.stalls[cause] = totals.stalls.get(cause, 0.0) + (end - start)
        totals.ended = end
        self._stalled.add(start, end)

    def idled(self, start: float, end: float) -> None:
        """Nothing unstarted was left in the world from start to end."""
        self.totals.tail += end - start
        self.totals.ended = end

    def communicated(self, start: float, end: float) -> None:
        """A fetch, load, store or report was under way from start to end. Call it once it has ended, and
        after the stalled time up to `end` was given."""
        for a, b in self._newly_covered(start, end):
            totals = self.totals
            totals.communication += b - a
            totals.hidden += self._useful_until(b) - self._useful_until(a)
            totals.exposed += self._stalled.until(b) - self._stalled.until(a)

    def _useful_until(self, moment: float) -> float:
        since = self._computing_since
        return self._useful.until(moment) + (0.0 if since is None else max(0.0, moment - since))

    def _newly_covered(self, start: float, end: float) -> list[tuple[float, float]]:
        """Return the parts of an interval that no earlier communication covered, and mark them covered."""
        covered, start = self._covered, max(start, self._forgotten)
        if end <= start:
            return []
        later: list[tuple[float, float]] = []
        while covered and covered[-1][0] > end:
            later.append(covered.pop())
        gaps: list[tuple[float, float]] = []
        low, high, cursor = start, end, end
        while covered and covered[-1][1] >= start:
            a, b = covered.pop()
            if b < cursor:
                gaps.append((b, cursor))
            low, high, cursor = min(low, a), max(high, b), min(cursor, a)
        if start < cursor:
            gaps.append((start, cursor))
        covered.append((low, high))
        covered.extend(reversed(later))
        if len(covered) > _HISTORY:
            self._forgotten = covered[_HISTORY // 2 - 1][1]
            del covered[: _HISTORY // 2]
        return gaps
