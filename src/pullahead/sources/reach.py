"""A server that may be away for a while: what every client of one does about it, whatever it speaks."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from time import monotonic
from typing import Final, TypeVar

from pullahead.core.outage import Outage
from pullahead.errors import SourceError

T = TypeVar("T")
#: Seconds that one look at a server that is away may take.
_LOOK: Final = 1.0


class Away(Exception):  # noqa: N818  it ends like that in the middle of a sentence
    """The server could not be reached, or does not serve just now."""


class Reach:
    """Does something with a server that may be tried again, as `core.outage` says.

    The caller may do something else meanwhile. Used from one thread at a time.

    Args:
        shown: the address, for people.
        patience: seconds that the server may be away.
    """

    def __init__(self, shown: str, patience: float) -> None:
        self.shown = shown
        self._outage = Outage(patience)
        self._nap = Event()  # never set: it waits as long as it is told to
        self.was_away = False  # since somebody last looked

    def reach(self, what: Callable[[], T], wait: float = 0.0) -> T | None:
        """Do something with the server. Returns None if it is away just now; then it waited, so long at most.

        Raises:
            SourceError: it has been away for too long, or refuses what is wanted.
        """
        left = 0.0 if self._outage.retry_at is None else self._outage.retry_at - monotonic()
        if left > 0.0:
            self._nap.wait(min(left, wait))
            if left > wait:
                return None
        try:
            found = what()
        except Away as error:
            self.was_away = True
            if self._outage.failed(monotonic(), random.random()):
                return None
            raise SourceError(f"{self.shown} went away and did not come back: {error}") from error
        self._outage.mended()
        return found

    def close(self) -> None:
        """Let go of what is open: of nothing, unless a client has something."""

    @contextmanager
    def now(self) -> Iterator[None]:
        """In here nobody waits for a server that is away.

        Raises:
            SourceError: it is.
        """
        try:
            yield
        except Away as error:
            raise SourceError(f"cannot reach {self.shown}: {error}") from error

    def insist(self, what: Callable[[], T]) -> T:
        """Do it, however long the server is away, as long as `reach` has patience. `what` returns no None."""
        while (found := self.reach(what, _LOOK)) is None:
            pass
        return found


def brief(error: BaseException) -> str:
    """What a client says, in a line."""
    return " ".join(str(error).split()) or type(error).__name__
