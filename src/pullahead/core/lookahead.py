"""How far to look ahead: a policy that takes measurements, moves one number and can say why.

The lookahead is how many items a worker holds or has asked for beyond the one that it computes. Too few and
the worker stalls for each fetch; too many and items sit with a worker while another could run them.

Rules:
1. Nothing measured: 16, so that most wires are covered when the first items come (TCP begins with ten
   segments for the same reason, RFC 6928). But where items are loaded, 1, the depth of the plain prefetch
   pattern, and one batch where there are batches: what they take is not known either. A stall that a deeper
   lookahead would have prevented doubles it.
2. Measured: 1 where even the shortest compute lasts a fetch. Otherwise the smallest k for which k consecutive
   compute times add up to at least 1.1 fetches. *One fetch* is the 95th percentile of the recent ones, with
   the time that the work's own `load` takes. *Add up to* means in 95 % of the runs of k consecutive items
   that were seen lately; see `estimates`. So k items in hand keep the worker computing until the answer to an
   ask is there, and the next ask is made in time. The tenth is a reserve: an answer that is due just when it
   is needed comes too late half of the time.
3. A stall that a deeper lookahead would have prevented is a reason to look at the latest measurements alone:
   if the world has changed, the recent ones do not know it yet.
4. Grow at once, shrink by an eighth at a time: too shallow costs compute time now, too deep costs a little
   fairness, and a quiet moment in a noisy measurement is no reason to forget. (But a guess that was wrong by
   half and more goes at once.)
5. Every move carries its reason, with the numbers that made it.
6. Little known, little trusted: with n computes measured, at most 32 n. The first of many sizes may be a
   hundredth of the usual one.
7. What runs is *much longer than usual* once it is likely to go on for another two mean computes and two
   fetches: by then, who waits behind it would have been served elsewhere. How long it is likely to go on is
   the median residual life of the recent computes. If at no age of theirs that is long enough, it is once
   what runs has lasted 1.25 times the longest of them, or two mean computes and two fetches, whichever is
   more. What has lasted longer than all of them goes on for as long again as it has, with even chances.
   With no compute measured, nothing is before half a second, or two fetches if that is more.
8. Five such calls in a row are no exception: after four, the next one may take 1.25 times as long as the one
   before it did. (Where one item in twenty is large, two in a row come every few hundred items.) A slice of
   several items is no such call: some of them were long, and some were not.
9. What a worker holds and has asked for fits into a budget of bytes, if all its items are as large as the
   largest of the recent ones: 64 MiB where there is a `load`, whose time has nothing to do with these bytes,
   else 16 MiB. (The way here takes as long as its bytes do, so more of them on it would hide no more of it,
   and what a processor's caches do not hold is moved at half the speed.) A depth that does not fit goes at
   once.
10. Where 64 items in a row (or batches) came one by one, each after the worker had waited for longer than a
   fetch because the source had nothing, there is nothing to look ahead at: 1, until one comes sooner.

A *bundle* is how many items are asked for at once. What an exchange costs (0.3 ms of CPU in worker, queue and
caller together, and up to 2 ms where every core is computing, because then whoever wakes finds nothing of its
own in the caches) must stay small against the compute that it brings: a bundle is about 64 ms of work by the
mean (the median of a few large items among many tiny ones says nothing about either), so items of 43 ms and
more travel alone and tiny ones by the hundred. That is for a backlog: each of its items has waited for longer
already. A finished result waits for three quarters of a bundle.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from math import ceil
from typing import Final, final

from pullahead.core.estimates import AGAIN, covering_depth, patience_of, percentile

#: Seconds of work in one bundle; see the module.
BUNDLE: Final = 0.064
#: Seconds that a message waits for company at most, while its sender computes.
QUANTUM: Final = 0.75 * BUNDLE
#: Items. Beyond this a worker's holdings would be a backlog of its own.
MAX_LOOKAHEAD: Final = 4096
MAX_BUNDLE: Final = 4096
#: Bytes that a worker may hold and have asked for, as far as the sizes of the recent items tell; and where
#: nothing is to be hidden but their way.
MAX_BYTES: Final = 64 << 20
WAY_BYTES: Final = 16 << 20

_FIRST: Final = 16
_WINDOW: Final = 128  # recent measurements of each kind: some seconds of work, or some hundred tiny items
_FETCHES: Final = 64  # and of fetches, which bring two items or more: about as many seconds
_QUANTILE: Final = 0.95
_SLOW_START_LIMIT: Final = 64  # doubling without a single measured fetch must end somewhere
_TRUST: Final = 32
_RESERVE: Final = 1.1  # an answer that is due just when it is needed comes too late half of the time
_LATEST_COMPUTES: Final = 8
_LATEST_FETCHES: Final = 3
_BLIND_PATIENCE: Final = 0.5  # seconds, as long as no compute has ended
_QUIET: Final = 64  # items in a row
_IN_A_ROW: Final = 4  # long calls: where one in twenty is, that is no chance any more
_REVIEW_EVERY: Final = 16  # a review costs about 50 µs: at most one in so many measurements once settled


def say(seconds: float) -> str:
    """Write a duration the way a person would."""
    if seconds >= 99.95:  # from here, three digits would be written with an exponent
        return f"{seconds:.0f} s"
    if seconds >= 0.9995:
        return f"{seconds:.3g} s"
    if seconds >= 0.9995e-3:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e6:.3g} µs"


@final
class Lookahead:
    """The policy. Feed it measurements; read `depth`, `bundle` and `reason`.

    Attributes:
        depth: the lookahead.
        bundle: how many items are asked for at once, with a backlog.
        reason: why the depth is what it is.
        move: seconds until what is given back now could be elsewhere: the median fetch; 0: it is not known.
        usual: the mean seconds of those recent items that did not last much longer than usual; 0: not known.

    Args:
        fixed: a depth that the user chose, or None for "auto". 0 means on demand: ask when idle.
        batch: how many items one call of `process` takes; depths are multiples of it.
        eager: whether items cost next to nothing before they run, so that some may be asked for at once.
        budget: bytes that may be held and asked for; see rule 9.

    Raises:
        ValueError: for a negative depth or a batch below 1.
    """

    __slots__ = (
        "_budget",
        "_computes",
        "_counts",
        "_fetch",
        "_fetches",
        "_fixed",
        "_loads",
        "_long",
        "_longs",
        "_mean",
        "_median",
        "_ordered",
        "_patience",
        "_quiet",
        "_since_review",
        "_sizes",
        "_unit",
        "bundle",
        "depth",
        "move",
        "reason",
        "usual",
    )

    def __init__(
        self, fixed: int | None = None, batch: int = 1, *, eager: bool = False, budget: int = MAX_BYTES
    ) -> None:
        if fixed is not None and fixed < 0:
            raise ValueError(f"lookahead: expected 'auto' or a number from 0, got {fixed}")
        if batch < 1:
            raise ValueError(f"batch_size: expected a number from 1, got {batch}")
        self._fixed = fixed
        self._unit = batch
        self._budget = budget
        self._fetches: deque[float] = deque(maxlen=_FETCHES)
        self._loads: deque[float] = deque(maxlen=_WINDOW)
        self._computes: deque[float] = deque(maxlen=_WINDOW)
        self._counts: deque[int] = deque(maxlen=_WINDOW)  # of how many items (or batches) each is the mean
        self._sizes: deque[int] = deque(maxlen=_WINDOW)  # bytes of the largest item of each grant
        self._since_review = 0
        self._median = 0.0
        self._mean = 0.0
        self._patience = 0.0
        self._ordered: list[float] = []  # the computes at the last review
        self._longs = 0  # calls in a row, up to the last one, that lasted much longer than usual
        self._long = 0.0  # what the last call took
        self._fetch: float | None = None  # the 95th percentile, with load
        self.move = 0.0
        self.usual = 0.0
        self._quiet = 0  # items in a row that the worker had waited for longer than a fetch, for want of work
        self.bundle = 1
        if fixed is None:
            self.depth = _FIRST if eager and batch == 1 else batch
            self.reason = f"{self.depth}: nothing measured yet"
        else:
            self.depth = fixed
            self.reason = f"{fixed}: fixed by the user"

    @property
    def is_guess(self) -> bool:
        """Whether too little is measured to know the depth."""
        return self._fixed is None and not (self._computes and (self._fetches or self._loads))

    @property
    def mean_compute(self) -> float:
        """The mean compute time of one item in seconds at the last review, 0 when nothing is known."""
        return self._mean

    @property
    def patience(self) -> float:
        """After how many seconds an item (or a batch) lasts much longer than usual."""
        if not self._computes:
            return max(_BLIND_PATIENCE, 2 * self.usual_fetch)
        exceptional = AGAIN * self._long if self._longs >= _IN_A_ROW else 0.0
        return max(self._patience + self._others, exceptional)

    def patience_after(self, age: float) -> float:
        """Return at which age what has run for `age` will have lasted much longer than usual once more."""
        older = AGAIN * age
        others = self._others
        patience = patience_of(self._ordered or [age], (self._mean or age) + self.usual_fetch, older - others)
        return max(self.patience, others + patience, older)

    def rest(self, age: float, quantile: float = 0.5) -> float:
        """Return a quantile of the seconds for which what has run for `age` will go on.

        It is that of the recent computes that lasted longer. If none did, it is that of Lindy's law, by which
        what has lasted for so long ends within as long again in half of the cases (a Pareto distribution
        with an exponent of 1).
        """
        age = max(0.0, age - self._others)
        longer = self._ordered[bisect_right(self._ordered, age) :]
        if not longer:
            return age * quantile / (1.0 - quantile)
        return longer[int(quantile * len(longer))] - age  # of two in the middle the later: see `patience_of`

    def soon(self, age: float | None) -> int:
        """Return how many of the next items will begin here before they could elsewhere.

        Args:
            age: for how many seconds what runs has run; None: nothing runs.
        """
        left = self.move
        if age is not None:  # of a batch, at least what it usually takes, and of one item what is likely
            left -= max(self.rest(age), (self._unit * self._mean - age) if self._unit > 1 else 0.0)
        if self._mean <= 0.0 or left <= 0.0:
            return 0
        return ceil(left / (self._unit * self._mean)) * self._unit

    @property
    def _others(self) -> float:
        """The seconds of a batch that all its items but one usually take."""
        return (self._unit - 1) * self._mean

    @property
    def usual_fetch(self) -> float:
        """The 95th percentile of the recent fetches, with load, in seconds; 0 when nothing is known."""
        return self._fetch or 0.0

    def fetched(self, seconds: float) -> bool:
        """An ask was answered after so long, not counting the wait for work to exist. True if it moved."""
        self._fetches.append(seconds)
        return self._measured()

    def loaded(self, seconds: float) -> bool:
        """The work's own `load` took so long for one item. True if the depth moved."""
        self._loads.append(seconds)
        return self._measured()

    def computed(self, seconds: float, items: int, longest: float = 0.0) -> bool:
        """One call of `process` (or a slice of several) took so long for so many items. True if it moved.

        Args:
            seconds: of all of them.
            items: how many.
            longest: seconds of the longest one of a slice; 0: that is not known. If it lasted much longer
                than usual it counts by itself: spread over the others, it would look like several of middle
                size.
        """
        by_itself = self._unit > 1 or items == 1  # of a slice, some are long and some are not
        was_long = self._computes and by_itself and seconds > self._patience + (items - 1) * self._mean
        self._long = seconds
        self._longs = self._longs + 1 if was_long else 0
        if self._unit == 1 < items and longest > self._patience:
            self._count(longest, 1)
            seconds, items = seconds - longest, items - 1
        self._count(seconds / items, items if self._unit == 1 else 1)
        return self._measured()

    def _count(self, seconds: float, items: int) -> None:
        self._computes.append(seconds)
        self._counts.append(items)

    def weighed(self, largest: int) -> None:
        """Items came, the largest of them with so many bytes."""
        self._sizes.append(largest)
        if self.depth > self._room:
            self._since_review = _REVIEW_EVERY  # with the next measurement

    def idled(self, seconds: float, items: int) -> None:
        """So many items came, and for so long there had been nothing to do, here or in the world."""
        if not items:
            return
        was_quiet = self._quiet >= _QUIET
        alone = items <= self._unit and seconds > self.usual_fetch > 0.0
        self._quiet = self._quiet + 1 if alone else 0
        if was_quiet != (self._quiet >= _QUIET):
            self._since_review = _REVIEW_EVERY  # with the next measurement

    def stalled(self) -> bool:
        """The worker waited for a fetch or a load: a deeper lookahead would have prevented it."""
        if self._fixed is not None:
            return False
        if not self.is_guess:
            return self._review_latest()
        if self.depth >= _SLOW_START_LIMIT:
            return False
        return self._move(self.depth * 2, "a stall, and too little measured to know better")

    def _measured(self) -> bool:
        self._since_review += 1
        known = len(self._computes)
        if not known:
            self._fetch = self._usual_fetch()
        # The first measurements are reviewed one by one: the first fetch and compute already say a lot.
        if not known or self._since_review < min(known // 4, _REVIEW_EVERY):
            return False
        self._since_review = 0
        return self._review()

    def _review(self) -> bool:
        computes = list(self._computes)
        ordered = sorted(computes)
        self._median = percentile(ordered, 0.5)
        pairs = zip(computes, self._counts, strict=True)
        self._mean = sum(seconds * items for seconds, items in pairs) / sum(self._counts)
        self._fetch = fetch = self._usual_fetch()
        self._ordered = ordered
        self._patience = patience_of(ordered, self._mean + (fetch or 0.0))
        usual = ordered[: bisect_right(ordered, self._patience)]
        self.usual = sum(usual) / len(usual)
        self.move = percentile(sorted(self._fetches), 0.5) if self._fetches else 0.0
        if self._fixed is not None:
            return False
        self.bundle = max(1, min(MAX_BUNDLE, self._fitting // 2, round(BUNDLE / max(self._mean, 1e-9))))
        if fetch is None:
            return False
        if self._quiet >= _QUIET:
            apart = f"{_QUIET} in a row were waited for longer than a fetch, {say(fetch)}"
            return self._move(self._unit, f"items come too far apart: {apart}")
        wanted, limit = self._wanted(computes, list(self._counts), fetch)
        was_wrong = self.reason.endswith("yet") and 2 * wanted <= self.depth  # by more than chance
        if wanted < self.depth <= self._room and not was_wrong:  # what does not fit goes at once
            step = max(1, self.depth // self._unit // 8) * self._unit
            if wanted < self.depth - step:
                wanted, limit = self.depth - step, ", by an eighth at a time"
        return self._move(wanted, self._because(ordered, fetch) + limit)

    def _usual_fetch(self) -> float | None:
        """Return the 95th percentile, with load; None: nothing is known."""
        known = [sorted(times) for times in (self._fetches, self._loads) if times]
        return sum(percentile(times, _QUANTILE) for times in known) if known else None

    def _review_latest(self) -> bool:
        """Grow if the latest measurements alone ask for it."""
        computes = list(self._computes)[-_LATEST_COMPUTES:]
        counts = list(self._counts)[-_LATEST_COMPUTES:]
        fetch = sum(
            percentile(sorted(list(times)[-_LATEST_FETCHES:]), 0.5)
            for times in (self._fetches, self._loads)
            if times
        )
        wanted, limit = self._wanted(computes, counts, fetch)
        if wanted <= self.depth:
            return False
        usual = percentile(sorted(computes), 0.5) * self._unit
        return self._move(wanted, f"a stall: lately fetch {say(fetch)}, work {say(usual)}{limit}")

    def _wanted(self, computes: list[float], counts: list[int], fetch: float) -> tuple[int, str]:
        """Return the depth that covers a fetch, in whole batches, and what has limited it."""
        # `process` takes `unit` items at a time, so a depth below one batch would leave it half empty.
        most = max(1, MAX_LOOKAHEAD // self._unit)
        unit_times = [seconds * self._unit for seconds in computes]
        batches = covering_depth(unit_times, _RESERVE * fetch, counts, most=most)
        trusted = _TRUST * sum(self._counts)
        room = max(1, self._room // self._unit)
        wanted = min(batches, trusted, most, room)
        limit = ", too little measured for more" if wanted < min(batches, most, room) else ""
        limit = f", all that {self._budget >> 20} MiB hold" if wanted == room < min(batches, most) else limit
        limit = ", the most there is" if wanted == most > 1 else limit
        return wanted * self._unit, limit

    @property
    def _room(self) -> int:
        """The depth that fits into the budget beside a bundle, if all items are as large as the largest."""
        return self._fitting - self.bundle + 1

    @property
    def _fitting(self) -> int:
        """How many items of the largest recent size fit into the budget; no more than could be asked for."""
        largest, most = max(self._sizes, default=0), MAX_LOOKAHEAD + MAX_BUNDLE
        return self._budget // largest if largest * most > self._budget else most

    def _because(self, ordered: list[float], fetch: float) -> str:
        """Say why the depth is what it is: one fetch beside one compute, the usual or a short one."""
        what = "batch" if self._unit > 1 else "work"
        loads = " with load" if self._loads else ""
        p50, p5 = self._median * self._unit, percentile(ordered, 1.0 - _QUANTILE) * self._unit
        needed = _RESERVE * fetch
        is_short = p5 < needed <= p50  # a usual one covers a fetch, and one in twenty does not
        usual, work = (p5, f"p5 {what}") if is_short else (p50, f"p50 {what}")
        reserve = " and a tenth" if fetch <= usual < needed else ""
        relation = ">" if needed > usual else "≤"
        return f"p95 fetch{loads} {say(fetch)}{reserve} {relation} {work} {say(usual)}"

    def _move(self, depth: int, because: str) -> bool:
        if depth == self.depth:
            if self.reason.endswith("yet"):
                self.reason = f"{depth}: {because}"
            return False
        self.reason = f"{self.depth} → {depth}: {because}"
        self.depth = depth
        return True
