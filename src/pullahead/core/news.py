"""The running sums and the spans of a worker, and when they travel.

They go ahead of the reports: once the caller knows that the last item has ended, it knows all else. A worker
with nothing to compute sends them with whatever it sends, because that report may be the last one of a run.
"""

from __future__ import annotations

from typing import Final, final

from pullahead.core import messages as m
from pullahead.core import trace
from pullahead.core.lookahead import Lookahead
from pullahead.core.meter import Meter

#: Seconds between two reports of the running sums, so that a live report is never older than this.
_TOTALS_EVERY: Final = 0.25
#: Spans that are collected before they travel.
_SPANS_PER_MESSAGE: Final = 2048


@final
class News:
    """Says what is due. See the module.

    Args:
        meter: the sums.
        recorder: the spans.
        lookahead: the policy, whose state goes with the sums.
    """

    __slots__ = ("_lookahead", "_meter", "_recorder", "_told_at")

    def __init__(self, meter: Meter, recorder: trace.Recorder, lookahead: Lookahead) -> None:
        self._meter, self._recorder, self._lookahead = meter, recorder, lookahead
        self._told_at = 0.0

    def began(self, now: float) -> None:
        """The worker is there."""
        self._told_at = now

    def take(self, now: float, calls: int, *, complete: bool) -> list[m.Message]:
        """Return what is due, or all there is when `complete`. `calls`: of the queue so far."""
        news: list[m.Message] = []
        if self._recorder and (complete or len(self._recorder) >= _SPANS_PER_MESSAGE):
            news.append((m.TRACE, self._recorder.take()))
        if complete or now - self._told_at >= _TOTALS_EVERY:
            totals, policy = self._meter.totals, self._lookahead
            self._told_at = totals.ended = now
            totals.lookahead, totals.bundle, totals.reason = policy.depth, policy.bundle, policy.reason
            totals.is_guess = policy.is_guess
            totals.messages = 2 * calls
            news.append((m.TOTALS, totals))
        return news
