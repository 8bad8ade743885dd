"""A recorded run once more, under another policy: what it would have cost.

From the trace come what each item took, what its fetch, load and store took, when each worker was there, and
when the source was too slow. Assumed is what the trace cannot say:

- An item that was fetched after the workers had waited for the source was there when that wait ended, not
  earlier; where nobody waited, it was there from the beginning.
- A message takes half of a fetch that was seen, less what its ask waited for a call to be free: that follows
  from the policy, and the other one has its own. What the worker's interpreter and the queue took is in it.
- Where workers came and went, each is there from when it came to the end.
- Of a batch, or of small items that were computed together, each took the same.
- The worker's own handling between two items, and the queue's, take no time. With items below a millisecond
  that flatters policies that exchange messages for each item.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final, Literal

from pullahead.core import trace
from pullahead.core.trace import Span
from pullahead.sim.distributions import empirical
from pullahead.sim.result import Result
from pullahead.sim.trial import Trial

if TYPE_CHECKING:
    from pullahead.observe.report import Report

#: Stalls that say that the queue was empty.
_EMPTY: Final = frozenset({trace.CAUSE_SOURCE, trace.CAUSE_CONSUMER, trace.CAUSE_ORDER})


def replay(
    report: Report, lookahead: int | Literal["auto"] = "auto", recall: bool | None = None, seed: int = 0
) -> Result:
    """Simulate a recorded run under another policy. See the module for what is assumed.

    Args:
        report: of a run with `trace=True`.
        lookahead: "auto", or a number from 0.
        recall: whether held items may move; by default only under "auto", as a fixed prefetch has it.
        seed: of the draws among the recorded fetches.

    Raises:
        ValueError: if the run recorded no trace, or computed nothing, or for a negative lookahead.
    """
    if report.trace is None:
        raise ValueError("this run recorded no trace to replay: run it with trace=True")
    if lookahead != "auto" and (
        isinstance(lookahead, bool) or not isinstance(lookahead, int) or lookahead < 0
    ):
        raise ValueError(f"lookahead: expected 'auto' or a whole number from 0, got {lookahead!r}")
    computes = _by_item(report.trace, trace.PROCESS)
    if not computes:
        raise ValueError("this run computed nothing that could be replayed")
    items = sorted(computes)
    round_trips = [seconds for spans in report.trace.values() for seconds in trips(spans)]
    starts = _starts(report)
    return Trial(
        workers=len(starts),
        computes=array("d", [computes[item] for item in items]),
        arrivals=_arrivals(report.trace, items, report.started),
        wire=partial(_half, round_trips or [0.0], seed),
        lookahead=None if lookahead == "auto" else lookahead,
        recall=lookahead == "auto" if recall is None else recall,
        loads=_times(report.trace, trace.LOAD, items),
        stores=_times(report.trace, trace.STORE, items),
        batch_size=report.batch_size,
        starts=starts,
        title=f"replayed, lookahead {lookahead}",
    ).run()


def _half(fetches: Sequence[float], seed: int) -> Callable[[], float]:
    fetch = empirical(fetches).sampler(Random(f"replay {seed}"))
    return lambda: 0.5 * fetch()


def trips(spans: Sequence[Span]) -> list[float]:
    """Return the seconds that a worker's way to the queue and back took, each time that it is known.

    Not known is the way of what came later than the first answer to its ask, or without one: those fetches
    have no length.
    """
    left = {(span.item, span.start): span.end for span in spans if span.kind == trace.ASK}
    return [
        max(0.0, span.end - left.get((span.item, span.start), span.start))
        for span in spans
        if span.kind == trace.FETCH and span.end > span.start
    ]


def _spans(recorded: Mapping[int, Sequence[Span]], kind: str) -> Iterable[Span]:
    return (span for spans in recorded.values() for span in spans if span.kind == kind)


def _by_item(recorded: Mapping[int, Sequence[Span]], kind: str) -> dict[int, float]:
    """Return what each item took; of one that was tried again, the last time."""
    spans = sorted(_spans(recorded, kind), key=lambda span: span.end)
    return {
        item: (span.end - span.start) / span.size
        for span in spans
        for item in range(span.item, span.item + span.size)
    }


def _times(recorded: Mapping[int, Sequence[Span]], kind: str, items: Sequence[int]) -> array[float] | None:
    """Return what a `load` or `store` took for each item, the mean where unknown; None: there was none."""
    known = _by_item(recorded, kind)
    if not known:
        return None
    mean = sum(known.values()) / len(known)
    return array("d", [known.get(item, mean) for item in items])


def _arrivals(
    recorded: Mapping[int, Sequence[Span]], items: Sequence[int], began: float
) -> array[float] | None:
    """Return when each item was there, as far as waiting workers tell; None: all were from the beginning."""
    waits = sorted(span.end - began for span in _spans(recorded, trace.STALL) if span.detail in _EMPTY)
    if not waits:
        return None
    fetched: dict[int, float] = {}
    for span in _spans(recorded, trace.FETCH):
        for item in range(span.item, span.item + span.size):
            fetched[item] = min(span.end - began, fetched.get(item, span.end - began))
    arrivals = array("d")
    latest = waits[-1]
    for item in reversed(items):  # who comes earlier was there no later
        at = bisect_right(waits, fetched.get(item, latest))
        latest = min(latest, max(0.0, waits[at - 1]) if at else 0.0)
        arrivals.append(latest)
    arrivals.reverse()
    return arrivals


def _starts(report: Report) -> array[float]:
    """Return when each lane's first worker was there."""
    first: dict[int, float] = {}
    for totals in report.workers:
        at = max(0.0, totals.started - report.started)
        first[totals.worker] = min(at, first.get(totals.worker, at))
    return array("d", [first[lane] for lane in sorted(first)])
