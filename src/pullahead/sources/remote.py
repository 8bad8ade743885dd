"""What a source on a server is, whichever that speaks to: what has been taken, what the server has not heard
yet, and the end.

Whoever hears of the end of an item only notes it, from any thread; the thread that takes tells the server.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from threading import Lock
from typing import Any, Generic, TypeVar

from pullahead.core.leases import LEAST, MOST
from pullahead.errors import SourceError
from pullahead.sources.notes import Notes
from pullahead.sources.reach import Reach
from pullahead.sources.source import Capabilities, Taken

Token = TypeVar("Token")
Had = TypeVar("Had")
ServerT = TypeVar("ServerT", bound=Reach)


class RemoteSource(ABC, Generic[Token, Had, ServerT]):
    """Items that others take from, too. See the module.

    Args:
        shown: the address, for people.
        drains: whether it ends once there is nothing any more.
        server: where it is.
    """

    def __init__(self, shown: str, drains: bool, server: ServerT) -> None:
        self.name = shown
        self.capabilities = Capabilities(
            ordered=False, finite=drains, deadlines=True, delivery_count=True, delayed_retry=True
        )
        self._server = server
        self._lease = LEAST
        self._lock = Lock()  # of the notes, and of what is out
        self._notes = Notes()
        self._had: dict[Token, Had] = {}
        self._is_dry = self._is_over = False
        self._others = False  # whether others have anything

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<{type(self).__name__} {self.name} {state}, {len(self._had)} held>"

    @property
    def closed(self) -> bool:
        """Whether `take` has nothing more to give: what others have may still come here."""
        return self._is_over or (self.capabilities.finite and self._is_dry)

    def take(self, n: int, wait: float = 0.0) -> list[Taken]:
        """Hand out up to n items: first what was given back, or is late, then new ones."""
        if self._is_over:
            return []
        return self._hand_out(self._server.reach(lambda: self._take(n, wait), wait) or [])

    def extend(self, tokens: Iterable[Token], seconds: float) -> None:
        """These items are still being worked on."""
        self._lease = min(seconds, MOST)
        with self._lock:
            self._notes.extended.update(dict.fromkeys(tokens))
        self._server.insist(self._tell)  # or what is extended too late is lost

    def close(self) -> None:
        """Nothing more will be taken. Waits until the server has heard how everything ended."""
        if self._is_over:
            return
        self._is_over = True
        try:
            self._server.insist(self._leave)
        except SourceError as error:
            if self._notes:
                error.add_note(f"it was not told of {len(self._notes)} ends, so these items come again")
            raise
        finally:
            self._let_go()

    def _tell(self) -> bool:
        """Tell the server what it has not heard. True: it has."""
        self._exchange()
        return True

    def _leave(self) -> bool:
        """Tell it for the last time: until it has answered with nothing that has to be told again."""
        self._exchange()
        while self._notes:
            self._exchange()
        return True

    def _let_go(self) -> None:
        """Close what is open."""
        self._server.close()

    @abstractmethod
    def _take(self, n: int, wait: float) -> list[Any]:
        """Take up to n, with the server."""

    @abstractmethod
    def _exchange(self, most: int = 0) -> Any:
        """Tell the server what it has not heard yet, and take up to so many."""

    @abstractmethod
    def _hand_out(self, found: list[Any]) -> list[Taken]:
        """Make items of what was taken. Those that are none, or come again and again, have failed."""


def refuse_after(deliveries: int, attempt: int) -> None:
    """Raise `SourceError` if an item was delivered more often than that, and never ended."""
    if attempt > deliveries:
        raise SourceError(f"delivered {deliveries} times, and never ended")
