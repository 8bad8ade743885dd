"""The seam between a run and the place where its items come from.

The rules, which every source keeps and every run may rely on:

1. `take` hands out items that nobody else has. It returns as soon as one is there and never keeps an item
   back for the sake of one that is not there yet; with nothing there it waits at most `wait` seconds and
   returns [].
2. Every taken token ends once: by `done`, by `failed`, or by `give_back`. Giving back costs no attempt,
   and the item comes again: at its old place, or before what nobody has had yet; once its delay is over, if
   it has one.
3. An error of the source itself is raised by `take`, at its place: after every item that came before it. The
   source is closed from then on.
4. `closed` means that `take` has nothing more to give, unless something is given back.
5. `take`, `extend` and `close` are called from one thread at a time. They may wait for a server, and raise
   `SourceError` if that has gone. The other verbs are called from any thread, never wait and never raise for
   a reason of the world: what they say is done at once, or by the next `take`, `extend` or `close`.
6. A source with `deadlines` gives an item to others once its deadline has passed. What is said of an item
   that has gone to somebody else does no harm: it is not extended, not given back and not buried; a result
   counts.
7. A source may keep results itself (`KeepsResults`): then it is given each before it hears that its item is
   `done`, and writes both in one step, or neither.

A list fits this seam, and so does a broker. What they differ in is said in `Capabilities`, so that a run
can ask instead of knowing who is there. Whoever writes a source finds out with `pullahead.testing.sources`
whether it keeps the rules.

What a run does with a source: it takes as much as its workers can start soon; says `done` or `failed` after
the result was stored *and* the sink was called, or the loop of a `map` asked for the next one; extends what
is out, if there are deadlines; gives back what has not begun if it is interrupted, and what asked to be tried
later (`RetryLater`) if there are deadlines and `delayed_retry`; and closes the source: one with deadlines at
the very end, all others as soon as they have nothing more to give.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a source can do beyond the verbs that all of them have.

    Attributes:
        ordered: items come in an order that means something, and tokens sort in that order. Results can only
            be in that order, and a journal can only go by it, where there is one.
        finite: it ends by itself. A live queue does not, unless it was asked to end when it is empty.
        deadlines: others take from it, too: a taken item goes to them unless `extend` is called in time. The
            source itself remembers what has ended.
        delivery_count: `attempt` counts deliveries of earlier runs and of other consumers too.
        delayed_retry: `give_back(tokens, delay)` can wait before the item comes again.
    """

    ordered: bool = True
    finite: bool = True
    deadlines: bool = False
    delivery_count: bool = False
    delayed_retry: bool = False


class Taken(NamedTuple):
    """One item as it leaves its source."""

    token: Any  # names the item to its source; hashable, and nobody else's business
    item: Any
    attempt: int  # 1 the first time


#: The token of an item, and the item.
Pair = tuple[Any, Any]


@runtime_checkable
class Source(Protocol):
    """Where items come from. The rules are on top of this module."""

    @property
    def capabilities(self) -> Capabilities:
        """What this source can do beyond the verbs below. Never changes."""

    @property
    def closed(self) -> bool:
        """Whether `take` has nothing more to give."""

    def take(self, n: int, wait: float = 0.0) -> list[Taken]:
        """Hand out up to n items; wait at most `wait` seconds for the first one."""

    def done(self, token: Any) -> None:
        """The item has its result. Its token is forgotten."""

    def failed(self, token: Any, reason: str, attempts: int = 1) -> None:
        """The item has failed for good, after so many attempts since it was taken. Its token is forgotten."""

    def give_back(self, tokens: Iterable[Any], delay: float = 0.0) -> None:
        """These were not started, or asked for a delay; they come again after so many seconds, at no cost."""

    def extend(self, tokens: Iterable[Any], seconds: float) -> None:
        """These items are still being worked on: their deadlines are `seconds` from now.

        Those of what is taken from now on are so far ahead as well. With no tokens, that is all it says.
        """

    def close(self) -> None:
        """Nothing more will be taken. Lets go of files, threads and connections; may be called twice.

        Where there are no deadlines, tokens that are out may still end, in each of the three ways.
        """


@runtime_checkable
class TakesPairs(Protocol):
    """What a source may offer whose items cost so little that making a `Taken` of each costs more."""

    def take_pairs(self, n: int, wait: float) -> list[Pair]:
        """Do as `take` does, and return the token and the item of each."""


@runtime_checkable
class KeepsResults(Protocol):
    """What a source may offer so that each result is recorded once, with the end of its item.

    One that learns later that a result was refused counts these items, which have failed although they were
    `done`, in an attribute `refused`; without it there are none.
    """

    def keep_result(self, token: Any, result: Any) -> None:
        """This is the result, should the item be `done`. Never waits.

        Raises:
            ResultError: it cannot be kept, so that the item has failed.
        """


@runtime_checkable
class TriesAgain(Protocol):
    """What a source may offer that has items tried again by itself after they have `failed`.

    Nobody else is told then that they have.
    """

    def tries_again(self, token: Any, attempts: int) -> bool:
        """Return whether the item comes once more if it has `failed` after so many attempts. Never waits."""


@runtime_checkable
class Neighbourly(Protocol):
    """What a live source may offer so that no run has more than it can start while another one has nothing.

    Both are called from the thread that takes, and never wait.
    """

    def hungry(self, workers: int) -> None:
        """So many of our workers have nothing to compute, and nothing could be taken.

        Others are told, if any have something.
        """

    def wanted(self) -> int:
        """Return of how many workers of others that was heard since the last call."""
