"""What a run has of its source: from the moment it is taken until it has ended, or goes back.

Most sources want no more than to hear of each end. One with deadlines is shared with others, and wants to
hear that what is out is still being worked on (`core.leases` says when, and for how long). It may be on a
server, so only the feeder's thread waits for it: ends are noted by who hears of them, and `tend` tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from threading import Lock
from time import monotonic
from typing import Any, Final, final

from pullahead.core.hunger import HEED, Hunger
from pullahead.core.leases import Leases
from pullahead.sources.source import KeepsResults, Neighbourly, Pair, Source, TriesAgain

#: Seconds that an end waits for others, so that they are told in one go. The caller's notices wait as long.
_COMPANY: Final = 0.01


@final
class Custody:
    """See the module. `take`, `tend`, `hungry`, `wanted` and `close` are the feeder's; the rest is anybody's.

    Args:
        source: where the items come from, and what hears of their ends.
        queues: how many queue actors there are, which hear of the hunger of others.
    """

    def __init__(self, source: Source, queues: int = 1) -> None:
        self._source = source
        # Of its class: what delegates to another source may have a `take` of its own.
        pairs = getattr(type(source), "take_pairs", None)
        self._take: Callable[[int, float], list[Pair]] = (
            self._take_apart if pairs is None else partial(pairs, source)
        )
        self.is_live = source.capabilities.deadlines
        self.delays = self.is_live and source.capabilities.delayed_retry
        #: Gives the source the result of an item that will be settled, if it keeps results.
        self.keep = source.keep_result if isinstance(source, KeepsResults) else None
        self._neighbour = source if isinstance(source, Neighbourly) else None
        self._patient = source if isinstance(source, TriesAgain) else None
        self._hunger = Hunger(queues)
        self._lock = Lock()
        self._leases = Leases()
        self._has_news = False
        self._told = 0.0  # when the source was last told something
        self._lease = self._leases.seconds  # what it was told then, for what it hands out from then on

    def __bool__(self) -> bool:
        """Whether anything is out that a live source has not heard the end of."""
        return len(self._leases) > 0 or self._has_news

    @property
    def closed(self) -> bool:
        """Whether the source has nothing more to give."""
        return self._source.closed

    @property
    def refused(self) -> int:
        """How many results the source was given that it could not keep after all."""
        count: int = 0 if self.keep is None else getattr(self._source, "refused", 0)
        return count

    def take(self, n: int, wait: float) -> list[Pair]:
        """Take up to n items. Returns the token and the item of each."""
        before = monotonic()  # their deadlines count from when they left, not from when they came
        with self._lock:
            self._has_news = False  # it tells them, too
        taken = self._take(n, wait)
        if self.is_live:
            with self._lock:
                self._leases.took([token for token, _ in taken], before, self._lease)
        return taken

    def _take_apart(self, n: int, wait: float) -> list[Pair]:
        return [(token, item) for token, item, _ in self._source.take(n, wait)]

    def settle(self, token: Any, reason: str | None = None, attempts: int = 1) -> bool:
        """An item has ended, and whoever wanted its result has it. `reason`: why it failed, if it did.

        Returns whether there is something to `tend` that there was not before.
        """
        if reason is None:
            self._source.done(token)
        else:
            self._source.failed(token, reason, attempts)
        if not self.is_live:
            return False
        with self._lock:
            self._leases.ended(token, monotonic())
            had_news, self._has_news = self._has_news, True
        return not had_news

    def tries_again(self, token: Any, attempts: int) -> bool:
        """Whether an item that has failed is tried once more, when it is settled."""
        return self._patient is not None and self._patient.tries_again(token, attempts)

    def give_back(self, tokens: Iterable[Any], delay: float = 0.0) -> None:
        """These were not started, or are to come again `delay` seconds from now."""
        tokens = list(tokens)
        self._source.give_back(tokens, delay)
        if self.is_live:
            with self._lock:
                if not delay:  # else nobody can have them now
                    self._hunger.gave(len(tokens))
                self._leases.gave_back(tokens)
                self._has_news = True

    @property
    def patience(self) -> float | None:
        """For how many seconds nothing needs to be tended; None: until something happens."""
        if not self.is_live:
            return None
        most = None if self._neighbour is None else HEED
        with self._lock:
            due = self._leases.deadline
            if self._has_news:
                news = self._told + _COMPANY
                due = news if due is None else min(due, news)
        if due is None:
            return most
        left = max(0.0, due - monotonic())
        return left if most is None else min(most, left)

    def tend(self) -> None:
        """Tell a live source what has ended, and what is still being worked on."""
        if self.patience != 0.0:
            return
        with self._lock:
            self._told = monotonic()
            due, self._lease = self._leases.due(self._told), self._leases.seconds
            self._has_news = False
        self._source.extend(due, self._lease)

    def hungry(self, workers: int) -> None:
        """So many workers have nothing to compute, and nothing could be taken: others may have too much."""
        if self._neighbour is not None and self._hunger.may_say(monotonic()):
            self._neighbour.hungry(workers)

    def wanted(self) -> int | None:
        """Return how many workers of others are hungry, if that is news; 0: none any more."""
        if self._neighbour is None:
            return None
        heard, now = self._neighbour.wanted(), monotonic()
        with self._lock:
            self._hunger.heard(heard, now)
            return self._hunger.news(now)

    def give_all_back(self) -> None:
        """Nobody waits any more for what is out."""
        with self._lock:
            out = self._leases.out
        if out:
            self.give_back(out)

    def close(self) -> None:
        """Let go of the source."""
        self._source.close()
