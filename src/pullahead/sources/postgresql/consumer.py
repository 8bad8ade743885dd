"""One that takes from a queue, as statements to the server and their answers. It remembers nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from secrets import token_hex
from typing import Any, NamedTuple, final

from pullahead.sources.hunger import Hungry
from pullahead.sources.notes import Notes
from pullahead.sources.postgresql.address import Address
from pullahead.sources.postgresql.server import Server, Statement


class Found(NamedTuple):
    """An item that was handed out. `text`: its JSON."""

    token: int
    attempt: int
    text: str


class Heard(NamedTuple):
    """What the server answered.

    Attributes:
        found: items that were handed out, in order.
        is_more: whether something is ready that somebody else was looking at just now.
        due: seconds until what others have, or nobody may have yet, is due; None: there is no such thing.
        others: whether others have anything.
    """

    found: list[Found]
    is_more: bool = False
    due: float | None = None
    others: bool = False


@final
class Consumer:
    """See the module.

    Args:
        server: where the queue is.
        address: which one.
    """

    def __init__(self, server: Server, address: Address) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"
        self._server = server
        self._at = address

    def tell(
        self, notes: Notes, lease: float, known: Iterable[int], most: int = 0, *, is_back: bool = False
    ) -> Heard:
        """Tell what was noted, and take up to so many items: in one transaction.

        Args:
            notes: what the server has not heard yet.
            lease: seconds.
            known: what we have, or have noted the end of.
            most: 0: none are wanted.
            is_back: whether a connection was cut: all else that is ours goes back.
        """
        about = {"queue": self._at.queue, "me": self.name, "known": list(known)}
        if notes.extended:  # by itself: what somebody else locks, or refuses, is not to cost a lease
            ids = list(notes.extended)
            self._server.ask([Statement("extend", {"me": self.name, "lease": lease, "ids": ids})])
        said = list(self._ends(notes))
        if is_back:
            said.insert(0, Statement("give_back_unheard", about))
        if notes.given_back or is_back or self.again_in(notes) is not None:
            said.append(Statement("notify", {"channel": self._at.channel, "said": ""}))
        if most:
            said.append(Statement("take", {**about, "most": most, "lease": lease}))
            said.append(Statement("look", about))
        answers = self._server.ask(said) if said else []
        if not most:
            return Heard([])
        rows, ((is_more, due, others),) = answers[-2:]
        found = [Found(*row[:3]) for row in sorted(rows, key=lambda row: row[3])]
        return Heard(found, is_more, due, others)

    def again_in(self, notes: Notes) -> float | None:
        """Return how soon something of this may be due that comes again later; None: nothing does."""
        delays = [delay for delay in notes.given_back.values() if delay]
        if self._at.retries and not all(final for *_, final in notes.buried.values()):
            delays.append(self._at.retry_delay)
        return min(delays, default=None)

    def say_hungry(self, workers: int) -> bool:
        """Tell others that so many workers have nothing to compute."""
        said = Hungry(workers, self.name).said
        self._server.ask([Statement("notify", {"channel": self._at.channel, "said": said})])
        return True

    def _ends(self, notes: Notes) -> Iterator[Statement]:
        """Say the ends as statements. Said twice, they do no harm."""
        me = {"me": self.name}
        if notes.done:
            ids, results = list(notes.done), list(notes.done.values())
            kept = {"ids": ids, "results": results}
            yield Statement("done", kept) if self._at.results else Statement("forget", {"ids": ids})
        if notes.buried:
            yield Statement("failed", me | self._failed(notes.buried))
        if notes.given_back:
            ids, delays = list(notes.given_back), list(notes.given_back.values())
            yield Statement("give_back", {**me, "ids": ids, "delays": delays})

    def _failed(self, buried: dict[int, tuple[str, int, bool]]) -> dict[str, Any]:
        reasons, attempts, final_ = zip(*buried.values(), strict=True)
        return {
            "retries": self._at.retries,
            "delay": self._at.retry_delay,
            "ids": list(buried),
            "reasons": list(reasons),
            "attempts": list(attempts),
            "final": list(final_),
        }
