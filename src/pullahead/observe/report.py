"""What a run did, what its workers waited for, and what to do about it.

Definitions, all over the run's wall time. A *lane* is one worker number: a worker that died and the one that
took its place share a lane. Where workers come and go, the time of a lane is that in which it had one, and
what is useful of it takes the place of useful time in the definitions of POP: they are the same where all had
workers all the time.

============================  ==========================================================================
utilization                   useful ÷ (lanes × wall). MLPerf Storage calls it accelerator utilization.
overlap                       hidden ÷ communication (Holistic Trace Analysis)
load balance                  mean ÷ max useful of the lanes (POP)
communication efficiency      max useful of a lane ÷ wall (POP)
============================  ==========================================================================

POP's identity holds, also there: load balance × communication efficiency = utilization.

What would divide by zero: without communication there was nothing to hide, so overlap is 1.0; without useful
time no lane had more than another, so load balance is 1.0; everything else that has no denominator (no wall
time, no workers, no useful time for the CPU share) is NaN, and None in `to_dict`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import isfinite, nan
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from pullahead.core.meter import WorkerTotals
from pullahead.core.trace import Span
from pullahead.observe import words
from pullahead.observe.advice import advise
from pullahead.observe.staffing import Staffing

if TYPE_CHECKING:
    from pullahead.sim.result import Result

#: `print(report)` is a glance, not a log: what happened, and at most so many things to do.
_MOST_ADVICE = 3

#: What `timeline` can write.
SUFFIXES = (".svg", ".png", ".json")


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Report:
    """One run, at the moment when it was asked for. A snapshot: it does not change afterwards.

    `print(report)` says in at most ten lines what happened and what to do about it; `timeline` draws it.

    Attributes:
        workers: one record of sums per worker.
        done, failed, left: items that ended well, that ended badly, and that have not ended.
        refused: of those that ended badly, how many did because their queue refused the result, such as a
            constraint of somebody's table. Who was handed the results had them before.
        returned: items that their source has back, because the run was cancelled before they had ended.
        recorded: of those that ended, how many did in an earlier run, as its journal says.
        absent: items that the journal has and that this run's source did not bring.
        retried: attempts that were made again.
        total: how many items there are, or None while the source has not ended.
        seconds: wall time since the run began.
        started: when it began, on the monotonic clock of its caller's machine. The times of workers on other
            machines, whose clocks are other ones, are lined up with that, as far as they could be compared.
        clock: the name of that clock.
        trace: what each worker recorded, by its number, or None if the run did not record.
        title: what the run is called in prints and pictures.
        fixed_lookahead: the lookahead that the caller fixed, None for "auto".
        cores: how many cores this process may use, 0 if unknown.
        batch_size: how many items one call of `process` took at most; 0: they were taken one by one.
        staffing: when there were workers, and why, if they came and went.
    """

    workers: Sequence[WorkerTotals] = ()
    done: int = 0
    failed: int = 0
    left: int = 0
    refused: int = 0
    returned: int = 0
    recorded: int = 0
    absent: int = 0
    retried: int = 0
    total: int | None = None
    seconds: float = 0.0
    started: float = 0.0
    clock: str = ""
    trace: Mapping[int, Sequence[Span]] | None = field(default=None)
    title: str = ""
    fixed_lookahead: int | None = None
    cores: int = 0
    batch_size: int = 0
    staffing: Staffing | None = None

    def __post_init__(self) -> None:
        # The sums go on growing while the run does: what is reported is copied.
        snapshot = tuple(replace(totals, stalls=dict(totals.stalls)) for totals in self.workers)
        object.__setattr__(self, "workers", snapshot)

    @property
    def items(self) -> int:
        """How many items the run is about: all there are, or all that are known of so far."""
        return self.done + self.failed + self.left if self.total is None else self.total

    @property
    def throughput(self) -> float:
        """Items that ended, per second of wall time; without those that had ended in an earlier run."""
        return _ratio(self.done + self.failed - self.recorded, self.seconds)

    @property
    def utilization(self) -> float:
        """The share of the workers' time in which they computed."""
        return _ratio(self.useful_seconds, self.available_seconds)

    @property
    def overlap(self) -> float:
        """The share of the communication that went on behind computation; 1.0 if there was none."""
        return _ratio(self.hidden_seconds, self.communication_seconds, otherwise=1.0)

    @property
    def load_balance(self) -> float:
        """How evenly the work was spread: mean ÷ max useful time; 1.0 if there was none."""
        if self.staffing is not None:
            return _ratio(self.utilization, self.communication_efficiency, otherwise=1.0)
        useful = self._useful_by_lane().values()
        return _ratio(sum(useful), len(useful) * max(useful, default=0.0), otherwise=1.0)

    @property
    def communication_efficiency(self) -> float:
        """What the busiest worker reached: its useful time ÷ wall time."""
        if self.staffing is not None:
            useful = self._useful_by_lane().items()
            return max(
                (_ratio(spent, self._time_of(lane), otherwise=0.0) for lane, spent in useful), default=nan
            )
        return _ratio(max(self._useful_by_lane().values(), default=nan), self.seconds)

    @property
    def cpu_share(self) -> float:
        """CPU time ÷ wall time inside `process`. Low when the machine is crowded, or `process` waits."""
        return _ratio(sum(totals.cpu for totals in self.workers), self.useful_seconds)

    @property
    def lanes(self) -> int:
        """How many workers there were at a time; at most, where they came and went."""
        return len(self._useful_by_lane()) if self.staffing is None else self.staffing.most

    @property
    def average_workers(self) -> float:
        """How many workers there were on average."""
        return self.lanes if self.staffing is None else _ratio(self.staffing.seconds, self.seconds)

    @property
    def available_seconds(self) -> float:
        """Wall time × lanes, or the time for which there were workers: what they could have computed."""
        return self.seconds * self.lanes if self.staffing is None else self.staffing.seconds

    @property
    def useful_seconds(self) -> float:
        """Time inside `process`, summed over workers."""
        return sum(totals.useful for totals in self.workers)

    @property
    def communication_seconds(self) -> float:
        """Time in which a worker fetched, loaded, stored or reported, summed over workers."""
        return sum(totals.communication for totals in self.workers)

    @property
    def hidden_seconds(self) -> float:
        """Communication while the worker computed."""
        return sum(totals.hidden for totals in self.workers)

    @property
    def exposed_seconds(self) -> float:
        """Communication while the worker had nothing to compute."""
        return sum(totals.exposed for totals in self.workers)

    @property
    def stall_seconds(self) -> dict[str, float]:
        """Time that workers waited while work was left, by cause, the longest first."""
        sums: Counter[str] = Counter()  # a Counter adds floats as well
        for totals in self.workers:
            sums.update(totals.stalls)
        return dict(sums.most_common())

    @property
    def tail_seconds(self) -> float:
        """Time that workers idled at the end, when nothing unstarted was left."""
        return sum(totals.tail for totals in self.workers)

    @property
    def startup_seconds(self) -> float:
        """Time from the run's beginning, or from when it had a place, until each lane had its worker."""
        if self.staffing is not None:
            return sum(
                self._start_of(lane, *stay) for lane, some in self.staffing.stays.items() for stay in some
            )
        first: dict[int, float] = {}
        for totals in self.workers:
            first[totals.worker] = min(totals.started, first.get(totals.worker, totals.started))
        return sum(min(max(moment - self.started, 0.0), self.seconds) for moment in first.values())

    @property
    def handling_seconds(self) -> float:
        """What remains of the workers' lives: neither computing nor waiting, but handling items."""
        return sum(max(0.0, _handling(totals)) for totals in self.workers)

    @property
    def clocks(self) -> int:
        """On how many machines' clocks times were taken, the caller's included."""
        return len({self.clock, *(totals.clock for totals in self.workers)})

    @property
    def clock_uncertainty(self) -> float:
        """How far from its true place any time in this report may be, in seconds; 0.0 on one machine."""
        return max((totals.uncertainty for totals in self.workers), default=0.0)

    @property
    def lookahead(self) -> int:
        """How far the workers looked ahead at the end; where they differ, the largest."""
        return max((totals.lookahead for totals in self.workers), default=0)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the lookahead is what it is: each reason once, first that of those who look farthest."""
        ahead = [totals for totals in self.workers if totals.reason]
        reasons = Counter(totals.reason for totals in ahead if totals.lookahead == self.lookahead)
        reasons.update(dict.fromkeys((totals.reason for totals in ahead), 0))
        return tuple(reason for reason, _ in reasons.most_common())

    @property
    def advice(self) -> tuple[str, ...]:
        """What to do about it, what would gain most first. Never empty."""
        return advise(self)

    def replay(self, lookahead: int | Literal["auto"] = "auto", recall: bool | None = None) -> Result:
        """Simulate this run once more under another policy, from its trace: what it would have cost.

        Args:
            lookahead: "auto", or a number: 0 asks when idle, 1 is the plain prefetch pattern.
            recall: whether held items may move; by default only under "auto".

        Returns:
            The result of `pullahead.sim`; `pullahead.sim.replay` says what is assumed.

        Raises:
            ValueError: if the run recorded no trace, or for a negative lookahead.
        """
        from pullahead.sim.replay import replay  # the simulator stands on reports, and is rarely needed

        return replay(self, lookahead, recall)

    def _start_of(self, lane: int, start: float, end: float) -> float:
        """Return how long a lane that had a place then had no worker that computes."""
        began = [totals.started - self.started for totals in self.workers if totals.worker == lane]
        return max(0.0, min((moment for moment in began if moment <= end), default=end) - start)

    def _time_of(self, lane: int) -> float:
        """Return for how long a lane had a worker."""
        return self.seconds if self.staffing is None else self.staffing.of(lane)

    def _useful_by_lane(self) -> dict[int, float]:
        useful: dict[int, float] = {}
        for totals in self.workers:
            useful[totals.worker] = useful.get(totals.worker, 0.0) + totals.useful
        return useful

    def __str__(self) -> str:
        facts = [
            self._headline(),
            self._counts(),
            self._came_and_went(),
            *(() if self.recorded and self.recorded == self.items else self._shares()),
        ]
        advice = [f"→ {line}" for line in self.advice[:_MOST_ADVICE]]
        return "\n".join([line for line in facts if line] + advice)

    def _shares(self) -> tuple[str, ...]:
        return self._busy(), self._hidden(), self._waited(), self._ahead(), self._lined_up()

    def __repr__(self) -> str:
        ended = self.done + self.failed
        return (
            f"<Report {ended} of {self.items} items, {words.seconds(self.seconds)}, {self.headline_shares()}>"
        )

    def headline_shares(self) -> str:
        """Say the three numbers that every print and picture leads with."""
        if not self.communication_seconds:
            return f"busy {words.percent(self.utilization)}"
        return (
            f"busy {words.percent(self.utilization)}, {words.percent(self.overlap)} of communication hidden, "
            f"{words.seconds(self.exposed_seconds)} exposed"
        )

    def _headline(self) -> str:
        ended = self.done + self.failed
        of = "" if ended == self.items else f" of {self.items:,}"
        name = f"{self.title}: " if self.title else ""
        noun = "item" if self.items == 1 else "items"
        return (
            f"{name}{ended:,}{of} {noun} in {words.seconds(self.seconds)} "
            f"on {self.headcount()}: {words.count(self.throughput)} items/s"
        )

    def headcount(self) -> str:
        """Say how many workers there were: "2 workers", "2 to 8 workers (4.3 on average)"."""
        if self.staffing is None or self.staffing.fewest == self.lanes:
            return words.plural(self.lanes, "worker")
        average = f"{self.average_workers:.1f} on average"
        return f"{self.staffing.fewest} to {words.plural(self.lanes, 'worker')} ({average})"

    def _came_and_went(self) -> str:
        if self.staffing is None or not self.staffing.changes:
            return ""
        return f"  workers    {self.staffing.course}, first because {self.staffing.changes[0].why}"

    def _counts(self) -> str:
        counts = (
            ("failed", self.failed),
            ("of them by a result that the queue refused", self.refused),
            ("left", self.left),
            ("of them given back", self.returned),
            ("retried", self.retried),
            ("recorded before", self.recorded),
            ("absent from the input", self.absent),
        )
        said = ", ".join(f"{number:,} {name}" for name, number in counts if number)
        return f"  ended      {self.done:,} well, {said}" if said else ""

    def _busy(self) -> str:
        if not self.useful_seconds:
            return ""
        balance = f", load balance {words.percent(self.load_balance)}" if self.lanes > 1 else ""
        return (
            f"  busy       {words.percent(self.utilization)} of the workers' time, "
            f"on a CPU for {words.percent(self.cpu_share)} of it{balance}"
        )

    def _hidden(self) -> str:
        if not self.communication_seconds:
            return ""
        return (
            f"  hidden     {words.percent(self.overlap)} of {words.seconds(self.communication_seconds)} of "
            f"communication; exposed {words.seconds(self.exposed_seconds)}"
        )

    def _waited(self) -> str:
        stalls = self.stall_seconds
        parts = [f"{cause} {words.seconds(spent)}" for cause, spent in stalls.items() if spent > 0]
        if self.tail_seconds > 0:
            parts.append(f"at the end {words.seconds(self.tail_seconds)}")
        if not parts or not self.items:
            return ""
        share = _ratio(sum(stalls.values()) + self.tail_seconds, self.available_seconds)
        return f"  waited     {words.percent(share)}: {', '.join(parts)}"

    def _ahead(self) -> str:
        if not self.useful_seconds:
            return ""
        why = "fixed" if self.fixed_lookahead is not None else next(iter(self.reasons), "")
        return f"  lookahead  {self.lookahead}{f' ({why})' if why else ''}{self._no_more(why)}"

    def _no_more(self, why: str) -> str:
        """Say that looking further ahead cannot help, where the least that there is was found to do."""
        is_least = self.fixed_lookahead is None and self.lookahead <= max(1, self.batch_size)
        if not is_least or " ≤ " not in why:  # it is nothing measured yet, or a budget, that keeps it so low
            return ""
        return f"; more would not help: one {'batch' if self.batch_size > 1 else 'item'} hides a fetch"

    def _lined_up(self) -> str:
        said = self.headline_clocks()
        return f"  clocks     {said}" if said else ""

    def headline_clocks(self) -> str:
        """Say how well the times of several machines are lined up; nothing where there is one."""
        if self.clocks == 1:
            return ""
        machines = words.plural(self.clocks, "machine")
        return f"{machines}, lined up to ±{words.seconds(self.clock_uncertainty)}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the trace as what JSON can hold. NaN becomes None."""
        numbers: dict[str, float] = {name: getattr(self, name) for name in _NUMBERS}
        return {
            "title": self.title,
            "total": self.total,
            **{name: number if isfinite(number) else None for name, number in numbers.items()},
            "stall_seconds": self.stall_seconds,
            "reasons": list(self.reasons),
            "changes": [change._asdict() for change in self.staffing.changes] if self.staffing else [],
            "advice": list(self.advice),
            "workers": [asdict(totals) for totals in self.workers],
        }

    def timeline(self, path: str | PathLike[str]) -> Path:
        """Draw what each worker did and waited for, from the run's trace.

        Args:
            path: where to write. The suffix decides: `.svg` or `.png` is a picture (needs matplotlib),
                `.json` opens in https://ui.perfetto.dev.

        Returns:
            The path that was written.

        Raises:
            ValueError: for any other suffix, or if the run recorded no trace.
            ImportError: for a picture without matplotlib; names the command that installs it.
        """
        return timelines(path, [(self.title, self)])


def timelines(path: str | PathLike[str], reports: Sequence[tuple[str, Report]]) -> Path:
    """Draw several runs below each other on one common time axis, each with its label.

    Args, Returns, Raises: as `Report.timeline`.
    """
    target = Path(path)
    if target.suffix not in SUFFIXES:
        raise ValueError(f"a timeline is written as {', '.join(SUFFIXES)}, not as {target.name!r}")
    for label, report in reports:
        if report.trace is None:
            which = f"{label!r}" if label else "this run"
            raise ValueError(f"{which} recorded no trace to draw: run it with trace=True")
    # Each writer is imported when it is needed: `import pullahead` must not pay for pictures.
    if target.suffix == ".json":
        from pullahead.observe.perfetto import write
    else:
        from pullahead.observe.timeline import write
    write(target, reports)
    return target


def _handling(totals: WorkerTotals) -> float:
    life = totals.ended - totals.started
    return life - totals.useful - totals.tail - sum(totals.stalls.values())


def _ratio(part: float, whole: float, otherwise: float = nan) -> float:
    return part / whole if whole > 0 else otherwise


_NUMBERS = (
    "items",
    "done",
    "failed",
    "left",
    "retried",
    "seconds",
    "throughput",
    "lanes",
    "average_workers",
    "utilization",
    "overlap",
    "load_balance",
    "communication_efficiency",
    "cpu_share",
    "useful_seconds",
    "communication_seconds",
    "hidden_seconds",
    "exposed_seconds",
    "tail_seconds",
    "startup_seconds",
    "handling_seconds",
    "clocks",
    "clock_uncertainty",
    "lookahead",
)
