"""What to do about a run: a small table of rules.

Each rule says which share of the workers' time its cause cost (`lost`), from which share on it is worth a
line (`least`), and what to do. What fires is sorted by its share, so that the first line gains most. Two
rules are no time at all and come first: a run without work, and failures. When nothing fires, the run is
told why there is nothing to do.

Thresholds: 5 % for waits that a setting removes, because less drowns in the noise of a shared machine; more
for what has innocent causes (a CPU share below 1 is normal where `process` waits for a GPU).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final, final

from pullahead.core.trace import (
    CAUSE_BATCH,
    CAUSE_CONSUMER,
    CAUSE_FETCH,
    CAUSE_LOAD,
    CAUSE_ORDER,
    CAUSE_REPORT,
    CAUSE_SOURCE,
)
from pullahead.observe import words

if TYPE_CHECKING:
    from pullahead.observe.report import Report

#: A run that computed for this share of its time is told that all is well.
_WELL = 0.9

#: Below this much work per item, handling items is what costs; above it, handling is hardly to blame.
_TINY_SECONDS = 0.001


@final
@dataclass(frozen=True, slots=True)
class Rule:
    """One cause and its cure. See the module."""

    name: str
    least: float
    lost: Callable[[Report], float]
    says: Callable[[Report], str]


def advise(report: Report) -> tuple[str, ...]:
    """Return what to do, what would gain most first. Never empty."""
    if report.recorded and report.recorded == report.items:
        return (_all_recorded(report),)
    if not any(totals.items for totals in report.workers) and not report.failed:
        return (_nothing_ran(report),)
    fired = [(rule.lost(report), rule) for rule in RULES]
    worth = sorted((pair for pair in fired if pair[0] >= pair[1].least), key=lambda pair: -pair[0])
    advice = (*_failures(report), *(rule.says(report) for _, rule in worth))
    return advice or (_well(report) if report.utilization >= _WELL else _spread_thin(report),)


def _nothing_ran(report: Report) -> str:
    if report.left:
        return f"nothing has been processed: {words.plural(report.left, 'item')} left"
    if report.total is None:
        return "nothing has been processed yet"
    return "nothing to do: the source had no items"


def _all_recorded(report: Report) -> str:
    again = "; those that failed are tried again where retry_failed=True" if report.failed else ""
    return f"nothing to do: all items had ended in an earlier run{again}"


def _failures(report: Report) -> Iterator[str]:
    """Say where it is said why. What the queue refused was computed well, and is not for `retries`."""
    if failed := report.failed - report.refused:
        repeat = "" if report.retried else "; if it is chance, retries=2 tries them again"
        yield f"{_failed(report, failed)}: the traceback of the first failure says why{repeat}"
    if report.refused:
        why = "a result that the queue refused: `pullahead queue failed` says why"
        yield f"{_failed(report, report.refused)} by {why}"


def _failed(report: Report, count: int) -> str:
    share = words.percent(count / (report.done + report.failed))
    return f"{words.plural(count, 'item')} failed ({share})"


def _well(report: Report) -> str:
    busy = f"nothing to do: busy {words.percent(report.utilization)}"
    if not report.communication_seconds:
        return f"{busy}, and there was no communication to hide"
    exposed = words.percent(report.exposed_seconds / report.available_seconds)
    return (
        f"{busy}; looking ahead further would not help, because only {exposed} of the workers' time "
        "was exposed communication"
    )


def _spread_thin(report: Report) -> str:
    waits = _share(report, sum(report.stall_seconds.values()) + report.tail_seconds)
    start, handling = _share(report, report.startup_seconds), _share(report, report.handling_seconds)
    return (
        f"no single cause stands out: waits {words.percent(waits)}, starting {words.percent(start)}, "
        f"handling items {words.percent(handling)} of the workers' time"
    )


def _share(report: Report, spent: float) -> float:
    return spent / report.available_seconds if report.available_seconds > 0 else 0.0


def _stalled(cause: str) -> Callable[[Report], float]:
    """Return the share of the workers' time that was lost to one cause."""
    return lambda report: _share(report, report.stall_seconds.get(cause, 0.0))


def _waited(report: Report, cause: str) -> str:
    return words.percent(_stalled(cause)(report))


def _per_item(report: Report) -> float:
    """Mean seconds of compute of one item."""
    return report.useful_seconds / max(1, sum(totals.items for totals in report.workers))


def _capacity(report: Report) -> float:
    """Items per second that the workers could make if they never waited."""
    per_item = _per_item(report)
    return report.average_workers / per_item if per_item > 0 else 0.0


def _fixed_lookahead(report: Report) -> str:
    return (
        f"fetch is exposed for {_waited(report, CAUSE_FETCH)} of the time although lookahead is fixed at "
        f'{report.fixed_lookahead}: use lookahead="auto"'
    )


def _fetch(report: Report) -> str:
    start = f"workers waited {_waited(report, CAUSE_FETCH)} for fetches"
    per_item = _per_item(report)
    if per_item < _TINY_SECONDS:
        return f"{start}: an item is only {words.seconds(per_item)} of work: put more work into one item"
    if report.items < 10 * report.lanes:
        return f"{start}: {words.plural(report.items, 'item')} are too few to look ahead in: cut them smaller"
    return (
        f"{start} at lookahead {report.lookahead}: if items are large, send a path or an address "
        "and read it in load="
    )


def _load(report: Report) -> str:
    return (
        f"workers waited {_waited(report, CAUSE_LOAD)} for load: allow more loads at a time "
        "(load_concurrency=), or make what they read from faster"
    )


def _report(report: Report) -> str:
    return (
        f"workers waited {_waited(report, CAUSE_REPORT)} for results to leave: "
        "make results smaller, or write them in store= and return their name"
    )


def _batch(report: Report) -> str:
    return (
        f"workers waited {_waited(report, CAUSE_BATCH)} for batches to fill: "
        "lower batch_wait, or make batch_size smaller"
    )


def _source(report: Report) -> str:
    enough = max(1, ceil(report.throughput * _per_item(report)))
    fewer = f" or use {words.plural(enough, 'worker')}" if enough < report.lanes else ""
    return (
        f"workers waited {_waited(report, CAUSE_SOURCE)} for the source: it makes "
        f"{words.count(report.throughput)} items/s, {words.plural(report.lanes, 'worker')} could take "
        f"{words.count(_capacity(report))}: make the source faster{fewer}"
    )


def _consumer(report: Report) -> str:
    return (
        f"the caller's loop is the bottleneck: workers waited {_waited(report, CAUSE_CONSUMER)} for it; "
        f"it takes {words.count(report.throughput)} items/s, they could make "
        f"{words.count(_capacity(report))}: do less in the loop, or move work to store=, which "
        "runs in the workers"
    )


def _order(report: Report) -> str:
    return (
        f"results wait for order, workers for {_waited(report, CAUSE_ORDER)} of the time: use ordered=False"
    )


def _tail(report: Report) -> str:
    idle = words.percent(_share(report, report.tail_seconds))
    if report.items < report.lanes:
        return (
            f"workers idled {idle} at the end: {words.plural(report.items, 'item')} for "
            f"{report.lanes} workers: use fewer workers, or cut the items smaller"
        )
    return (
        f"workers idled {idle} at the end, waiting for the last items (load balance "
        f"{words.percent(report.load_balance)}): put long items first, or cut them smaller"
    )


def _off_cpu(report: Report) -> str:
    share = words.percent(report.cpu_share)
    if report.cores and report.lanes > report.cores:
        return (
            f"{report.lanes} workers had only {share} of a core each while they computed: "
            f"use {words.plural(report.cores, 'worker')}, one per core"
        )
    return (
        f"process was on a CPU for only {share} of its time: if it reads or writes, move that to load= "
        "and store=; if the machine is crowded, use fewer workers; if it waits for a GPU, all is well"
    )


def _startup(report: Report) -> str:
    return (
        f"starting the workers took {words.percent(_share(report, report.startup_seconds))} of the run: "
        "keep them for several runs with Pool, or use fewer"
    )


def _handling(report: Report) -> str:
    items = max(1, sum(totals.items for totals in report.workers))
    return (
        f"handling items took {words.percent(_share(report, report.handling_seconds))} of the workers' time, "
        f"{words.seconds(report.handling_seconds / items)} beside {words.seconds(_per_item(report))} of work "
        "each: put more work into one item"
    )


def _fetch_lost(fixed: bool) -> Callable[[Report], float]:
    """A fixed lookahead and one that was found have different cures."""
    lost = _stalled(CAUSE_FETCH)
    return lambda report: lost(report) if (report.fixed_lookahead is not None) == fixed else 0.0


def _off_cpu_lost(report: Report) -> float:
    return (1.0 - report.cpu_share) * report.utilization if report.available_seconds > 0 else 0.0


RULES: Final = (
    Rule("fixed lookahead", 0.05, _fetch_lost(fixed=True), _fixed_lookahead),
    Rule("fetch", 0.05, _fetch_lost(fixed=False), _fetch),
    Rule("load", 0.05, _stalled(CAUSE_LOAD), _load),
    Rule("report", 0.05, _stalled(CAUSE_REPORT), _report),
    Rule("batch", 0.05, _stalled(CAUSE_BATCH), _batch),
    Rule("source", 0.05, _stalled(CAUSE_SOURCE), _source),
    Rule("consumer", 0.05, _stalled(CAUSE_CONSUMER), _consumer),
    Rule("order", 0.05, _stalled(CAUSE_ORDER), _order),
    Rule("tail", 0.10, lambda report: _share(report, report.tail_seconds), _tail),
    Rule("off cpu", 0.20, _off_cpu_lost, _off_cpu),
    Rule("startup", 0.20, lambda report: _share(report, report.startup_seconds), _startup),
    Rule("handling", 0.15, lambda report: _share(report, report.handling_seconds), _handling),
)
