"""The runs: what of each is still open, whether more is to come, and who was told that workers wait.

Rules:
1. A run has ended when it is closed and every item that was submitted to it has ended.
2. Nothing more is to come when every run is closed or cancelled; or when those that are not are idle, while
   one that is waits for its last items (which may themselves wait for company in a batch).
3. A run that could still bring items is told once that workers wait for it, until it brings some.
4. Where there are other queues, items come from them and go to them, and no queue knows of all that a run
   has. So none says that a run has ended, and none forgets it, before it is told that the run is over. Items
   may come from another queue before their run is opened here, or after it was closed.
5. Where the source of a run can have items come again later, they may wait there.

All of this is kept as sums: no event looks at every run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from pullahead.errors import ProtocolError


@dataclass(slots=True)
class _Run:
    open: int = 0  # submitted and not ended
    closed: bool = False
    cancelled: bool = False
    foretold: bool = False  # an item came from another queue before the run was opened here
    delays: bool = False  # its source can have an item come again later

    @property
    def awaited(self) -> bool:
        """More may come that will be run."""
        return not (self.closed or self.cancelled)


@final
class Runs:
    """See the module. `shared`: whether there are other queues."""

    __slots__ = ("_awaited", "_awaited_items", "_runs", "_shared", "_untold", "open_items")

    def __init__(self, *, shared: bool = False) -> None:
        self._shared = shared
        self.open_items = 0  # submitted and not ended, in all runs
        self._runs: dict[int, _Run] = {}
        self._awaited = 0  # runs that are neither closed nor cancelled
        self._awaited_items = 0  # what is open in them
        self._untold: set[int] = set()  # those of them that were not told that workers wait

    def opened(self, run: int, delays: bool = False) -> None:
        """A run began. Its number must be new. `delays`: see rule 5."""
        record = self._runs.get(run)
        if record is None:
            record = self._begin(run)
        elif record.foretold:
            record.foretold = False
        else:
            raise ProtocolError(f"run {run} was opened twice")
        record.delays = delays

    def _begin(self, run: int) -> _Run:
        record = self._runs[run] = _Run()
        self._awaited += 1
        self._untold.add(run)
        return record

    def submitted(self, run: int, first: int, count: int) -> None:
        """Items came."""
        record = self._runs[run]
        if record.closed:
            raise ProtocolError(f"run {run} is closed, but items {first} to {first + count - 1} came")
        record.open += count
        self.open_items += count
        if count and not record.cancelled:
            self._awaited_items += count
            self._untold.add(run)

    def came(self, run: int, count: int) -> None:
        """Items came from another queue."""
        record = self._runs.get(run)
        if record is None:
            record = self._begin(run)
            record.foretold = True
        record.open += count
        self.open_items += count
        if record.awaited:
            self._awaited_items += count

    def went(self, run: int, count: int) -> None:
        """Items went to another queue."""
        record = self._runs[run]
        record.open -= count
        self.open_items -= count
        if record.awaited:
            self._awaited_items -= count

    def over(self, run: int) -> None:
        """All that was submitted to a run has ended, wherever it was."""
        record = self._runs.pop(run)
        if record.open or not record.closed:
            raise ProtocolError(f"run {run} is said to be over while {record.open} items of it are here")

    def closed(self, run: int) -> bool:
        """No more items will come for this run. Return whether it has ended."""
        record = self._runs[run]
        self._dry_up(run, record)
        record.closed = True
        return self._is_over(run, record)

    def cancelled(self, run: int) -> bool:
        """What comes for this run will not be run. Return False if it has ended."""
        record = self._runs.get(run)
        if record is None:
            return False
        self._dry_up(run, record)
        record.cancelled = True
        return True

    def ended(self, run: int, count: int) -> bool:
        """So many items of a run have ended. Return whether it has ended with them."""
        record = self._runs[run]
        record.open -= count
        self.open_items -= count
        if not (record.closed or record.cancelled):
            self._awaited_items -= count
            return False
        return self._is_over(run, record)

    def starve(self) -> list[int]:
        """Workers wait. Return the runs that are to be told so, by number."""
        if not self._untold:
            return []
        told = sorted(self._untold)
        self._untold.clear()
        return told

    def is_cancelled(self, run: int) -> bool:
        """Say whether what comes back to this run will not be run again."""
        return self._runs[run].cancelled

    def delays(self, run: int) -> bool:
        """Say whether an item of this run may wait where it came from."""
        return self._runs[run].delays

    @property
    def at_end(self) -> bool:
        """Whether nothing more is to come; see rule 2."""
        return not self._awaited or (self.open_items > 0 and not self._awaited_items)

    @property
    def open_by_run(self) -> dict[int, int]:
        """How many items of each run have not ended, for the runs that have not ended."""
        return {number: run.open for number, run in self._runs.items()}

    def _is_over(self, run: int, record: _Run) -> bool:
        """Say whether a run has ended, and forget it if so."""
        if record.open or not record.closed or self._shared:
            return False
        del self._runs[run]
        return True

    def _dry_up(self, run: int, record: _Run) -> None:
        """Nothing that comes for a run will be run any more."""
        if record.awaited:
            self._awaited -= 1
            self._awaited_items -= record.open
            self._untold.discard(run)

    def validate(self) -> None:
        """Check the sums; for tests."""
        awaited = {number for number, run in self._runs.items() if run.awaited}
        assert self._awaited == len(awaited)
        assert self._awaited_items == sum(self._runs[number].open for number in awaited)
        assert self.open_items == sum(run.open for run in self._runs.values())
        assert self._untold <= awaited
