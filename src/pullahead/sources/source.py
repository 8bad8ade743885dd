"""The seam between a run and the place where its items come from.

The rules, which every source keeps and every run may rely on:

1. `take` hands out items that nobody else has. It returns as soon as one is there and never keeps an item
   back for the sake of one that is not there yet; with nothing there it waits at most `wait` seconds and
   returns [].
2. Every taken token ends once: by `done`, by `failed`, or by `give_back`. Giving back costs no attempt,
   and the item comes again at its old place.
3. An error of the source itself is raised by `take`, at its place: after every item that came before it. The
   source is closed from then on.
4. `closed` means that `take` has nothing more to give, unless something is given back.
5. `take` is called from one thread at a time; the other verbs from any thread.

A list fits this seam, and so does a broker. What they differ in is said in `Capabilities`, so that a run
can ask instead of knowing who is there: a source with `deadlines` wants `extend` now and then, the others
ignore it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a source can do beyond the verbs that all of them have.

    Attributes:
        ordered: items come in an order that means something, and tokens sort in that order.
        finite: it ends by itself. A live queue does not.
        deadlines: a taken item goes back by itself unless `extend` is called in time.
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

    def failed(self, token: Any, reason: str) -> None:
        """The item has failed for good, every retry included. Its token is forgotten."""

    def give_back(self, tokens: Iterable[Any], delay: float = 0.0) -> None:
        """These items were not started; they come again, at their old place, at no cost."""

    def extend(self, tokens: Iterable[Any]) -> None:
        """These items are still being worked on: move their deadlines on."""

    def close(self) -> None:
        """Nothing more will be taken. Lets go of files and threads; may be called twice.

        Tokens that are out may still end, in each of the three ways.
        """
