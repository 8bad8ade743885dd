"""How much of what is here the main thread gets at once.

Rules:
1. Where there are batches, a whole one. What there is, if the oldest has waited for long enough, if nothing
   more can come, or if one of the items is suspect.
2. Otherwise a slice: about two milliseconds of work, and at most half of what is ready for each worker, or of
   what is here if that is more: a result waits for its slice, and who waits for it may send more before this
   worker is idle. (Another worker can have what is in a slice as soon as what is not.) But a tenth of a
   millisecond in any case: to hand out one takes as long.
3. With a backlog, more is put behind a slice while it is computed, so that it goes on; see `slices`. As much
   as hides the next look, and what there is before the next ask is due, so that one look does for both; but 4
   ms of work in any case.
"""

from __future__ import annotations

from typing import final

from pullahead.core.demand import Demand
from pullahead.core.holdings import Holdings
from pullahead.core.lookahead import Lookahead
from pullahead.core.slices import LEAST_SLICE, Slice, low_mark, refill_size, slice_size


@final
class Portions:
    """See the module.

    Args:
        batch_size: items per call of `process`; 0: one by one.
        batch_wait: seconds that a batch may wait to become full.
        lookahead: the policy.
        demand: what is asked for, and how much there is.
        holdings: what is here.

    Attributes:
        due: when a batch has waited for long enough, or None.
    """

    __slots__ = ("_batch_size", "_batch_wait", "_demand", "_holdings", "_lookahead", "_since", "due")

    def __init__(
        self, batch_size: int, batch_wait: float, lookahead: Lookahead, demand: Demand, holdings: Holdings
    ) -> None:
        self.due: float | None = None
        self._batch_size, self._batch_wait = batch_size, batch_wait
        self._lookahead, self._demand, self._holdings = lookahead, demand, holdings
        self._since = 0.0  # when the oldest item that waits for a fuller batch began to wait

    def came(self, now: float) -> None:
        """Items are about to be ready."""
        if self._batch_size and not self._holdings.buffer:
            self._since = now

    def taken(self, now: float) -> None:
        """Some were handed out. What a full batch leaves behind begins to wait here."""
        self._since, self.due = now, None

    def wait(self, now: float, *, idle: bool, nothing_more: bool) -> None:
        """Set `due`, if the main thread is idle and a batch waits to become full."""
        due = self._since + self._batch_wait
        waits = self._batch_size and self._holdings.buffer and idle and now < due
        self.due = due if waits and not self.ready(now, nothing_more=nothing_more) else None

    def ready(self, now: float, *, nothing_more: bool) -> int:
        """Return how many can be handed out. `nothing_more`: neither is asked for nor loaded."""
        here = len(self._holdings.buffer)
        if not here:
            return 0
        if self._batch_size:
            whole = here >= self._batch_size or now >= self._since + self._batch_wait
            return min(here, self._batch_size) if whole or nothing_more or self._holdings.has_suspects else 0
        return self._slice

    @property
    def next(self) -> int:
        """How many are handed out next, as far as it is known."""
        return self._batch_size or self._slice

    @property
    def low(self) -> int:
        """With how many waiting in a slice the main thread asks for a look: those hide it. -1: never. Where
        there is no backlog, what is next is better decided when its turn has come."""
        if self._batch_size or not self._demand.is_plenty:
            return -1
        return low_mark(self._lookahead.mean_compute)

    def more(self, ran: Slice, wanted: int) -> int:
        """Return how many to put behind those that wait in a slice. `wanted`: how many to ask for."""
        here = len(self._holdings.buffer)
        if ran.low < 0 or not here or self._holdings.has_suspects:
            return 0
        most = ran.low + refill_size(self._lookahead.mean_compute, self._demand.bundle - wanted)
        return max(0, min(here, max(1, min(most, self._demand.plenty)) - len(ran.waiting)))

    @property
    def _slice(self) -> int:
        mean, here = self._lookahead.mean_compute, len(self._holdings.buffer)
        plenty = max(self._demand.plenty, here // 2, slice_size(mean, LEAST_SLICE))
        return max(1, min(here, plenty, slice_size(mean)))
