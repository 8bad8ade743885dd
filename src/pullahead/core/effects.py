"""What the ledger answers with: what its shell has to do, in this order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pullahead.core import messages as m
from pullahead.core.items import History, State
from pullahead.core.neighbours import Want


class Grant(NamedTuple):
    """Give `size` items from `first` on to a worker. Its ask waited `waited` seconds, because of `cause`.

    Behind them, `backlog` items are ready for each worker. `suspects`, some of the items, run alone, each
    loaded in its turn, because a worker died while it loaded them, or ran them beside loads.
    """

    worker: int
    lease: int
    run: int
    first: int
    size: int
    waited: float
    cause: str
    backlog: int
    suspects: tuple[int, ...] = ()

    @property
    def items(self) -> range:
        """The items."""
        return range(self.first, self.first + self.size)


class Ended(NamedTuple):
    """These items of a run have ended, all in the same way: DONE, DEAD or LEFT.

    `delay`: seconds after which the source of the run is to have them come again, if they were put off.
    """

    run: int
    items: tuple[int, ...]
    state: State
    delay: float = 0.0


class Withdraw(NamedTuple):
    """Ask a worker to give back what is unstarted of a lease: its run was cancelled."""

    worker: int
    lease: int


class Recall(NamedTuple):
    """Ask a worker to give back up to so many unstarted items: another one would run them sooner."""

    worker: int
    size: int


class Unasked(NamedTuple):
    """Tell a worker that its oldest so many credits are taken back, as it wished."""

    worker: int
    credits: int


class StoreAgain(NamedTuple):
    """Tell a worker to store an item once more, `delay` seconds from now."""

    worker: int
    lease: int
    item: int
    delay: float


class Forget(NamedTuple):
    """Tell a worker that an item whose store failed has failed for good, or is not under this lease."""

    worker: int
    lease: int
    item: int


class NothingLeft(NamedTuple):
    """Tell a worker not to wait for more: nothing unstarted is left. Its ask had waited so long before."""

    worker: int
    waited: float
    cause: str


class Starved(NamedTuple):
    """A run that is not closed has nothing ready, and a worker waits."""

    run: int


class RunEnded(NamedTuple):
    """Every item that was submitted to a closed run has ended."""

    run: int


class Lot(NamedTuple):
    """Consecutive items of one run that go to another queue, and the histories of those that have one."""

    run: int
    first: int
    size: int
    histories: dict[int, History]

    @property
    def items(self) -> range:
        """The items."""
        return range(self.first, self.first + self.size)


class Move(NamedTuple):
    """Give these items to another queue, which claimed some by this number; so many unstarted ones stay."""

    queue: int
    number: int
    left: int
    lots: tuple[Lot, ...]


class NoneLeft(NamedTuple):
    """Tell another queue that nothing more is to come from here for its claim of this number."""

    queue: int
    number: int


#: What is said to a worker.
ForWorker = Grant | Withdraw | Recall | Unasked | StoreAgain | Forget | NothingLeft
#: What is said to another queue: what this one wants, and what answers its claim.
ForQueue = Want | Move | NoneLeft
Effect = ForWorker | ForQueue | Ended | Starved | RunEnded


def message_of(effect: ForWorker, payloads: Sequence[Any]) -> m.Message:
    """Return what is said to the worker. `payloads`: of the items that are granted."""
    match effect:
        case Grant():
            about = (effect.waited, effect.cause, effect.backlog)
            suspects = (effect.suspects,) if effect.suspects else ()
            return m.GRANT, effect.lease, effect.first, payloads, *about, *suspects
        case Withdraw():
            return m.WITHDRAW, effect.lease
        case Recall():
            return m.RECALL, effect.size
        case Unasked():
            return m.UNASKED, effect.credits
        case StoreAgain():
            return m.STORE_AGAIN, effect.lease, effect.item, effect.delay
        case Forget():
            return m.FORGET, effect.lease, effect.item
        case NothingLeft():
            return m.CLOSED, effect.waited, effect.cause


def message_to_queue(effect: ForQueue, payloads: Callable[[range], Any]) -> m.Message:
    """Return what is said to another queue. `payloads`: returns those of items that go there."""
    match effect:
        case Want():
            return m.WANT, effect.number, effect.credits, effect.hungry, effect.workers
        case Move():
            lots = [(lot.run, lot.first, payloads(lot.items), lot.histories) for lot in effect.lots]
            return m.MOVED, effect.number, effect.left, lots
        case NoneLeft():
            return m.NONE_LEFT, effect.number
