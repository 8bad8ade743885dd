"""What the consumers of a group tell each other over Redis's pub/sub: that they are hungry.

Nobody depends on it. Who may not use the channel, or has lost it, hears nothing for a while, and what was
said meanwhile is said again by who is still hungry.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import Any, Final, final

from pullahead.errors import SourceError
from pullahead.sources.hunger import Hungry, hunger_in
from pullahead.sources.reach import Away
from pullahead.sources.redis.server import Server

#: Seconds until a channel that was lost, or refused, is tried again.
_AGAIN: Final = 5.0
#: Seconds for the server to confirm that it is ours.
_CONFIRM: Final = 2.0


@final
class Notices:
    """See the module. Used from one thread at a time.

    Args:
        server: where the channel is.
        channel: its name.
        me: who says something here.
    """

    def __init__(self, server: Server, channel: str, me: str) -> None:
        self._server = server
        self._channel = channel
        self._me = me
        self._ear: Any = None
        self._again_at = 0.0
        self._listen()

    def say(self, workers: int) -> None:
        """Tell others that so many workers have nothing to compute."""
        with suppress(Away, SourceError):  # whoever takes next finds out, and says so
            self._server.ask([("PUBLISH", self._channel, Hungry(workers, self._me).said)])

    def heard(self) -> int:
        """Return how many workers of others are hungry, as was heard since the last call."""
        if self._ear is None and monotonic() >= self._again_at:
            self._listen()
        hungry: dict[str, int] = {}
        while (said := self._next(0.0)) is not None:
            one = hunger_in(said)
            if one is not None and one.who != self._me:
                hungry[one.who] = one.workers
        return sum(hungry.values())

    def _listen(self) -> None:
        try:
            self._ear = self._server.listen(self._channel)
        except (Away, SourceError):
            self._lose()
        else:
            self._next(_CONFIRM)

    def _next(self, seconds: float) -> str | None:
        """Return the next thing that is said, or confirmed."""
        if self._ear is None:
            return None
        try:
            said = self._ear.get_message(timeout=seconds)
        except Exception:  # noqa: BLE001  redis-py's, and those of its sockets
            self._lose()
            return None
        if said is None:
            return None
        data = said["data"]
        return data.decode(errors="replace") if isinstance(data, bytes) else ""

    def _lose(self) -> None:
        self._again_at = monotonic() + _AGAIN
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        ear, self._ear = self._ear, None
        if ear is not None:
            ear.close()
