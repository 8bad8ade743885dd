"""Items from a queue in PostgreSQL. How it works is said in `pullahead.sources.postgresql`."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import Any, Final, NamedTuple, final

from pullahead.core.leases import LEAST
from pullahead.errors import SourceError
from pullahead.sources.encode import decode_value, encode_value
from pullahead.sources.hunger import hunger_in
from pullahead.sources.notes import Notes
from pullahead.sources.postgresql import schema
from pullahead.sources.postgresql.address import read
from pullahead.sources.postgresql.adopt import refuse_rows
from pullahead.sources.postgresql.consumer import Consumer, Found, Heard
from pullahead.sources.postgresql.server import Rejected, Server, known_parameters
from pullahead.sources.remote import RemoteSource, refuse_after
from pullahead.sources.source import Taken

#: Seconds after which a queue is looked at although nothing was heard: a third of the shortest lease, so that
#: what a dead one has taken since the last look is not late by much.
_SILENCE: Final = LEAST / 3
#: The same where the end of the last item is waited for, of which nothing is heard.
_DRAINING: Final = 0.25
#: Seconds until what somebody else was looking at is his, or is not; and between two looks as long as it is
#: neither.
_MOMENT: Final = 0.005
_MOST_MOMENT: Final = 1.0


class Had(NamedTuple):
    """An item that is out."""

    item: Any
    attempt: int


@final
class PostgresSource(RemoteSource[int, Had, Server]):
    """One that takes from a queue which it shares with others. It keeps results.

    Args:
        address: as `pullahead.sources.postgresql` has it.

    Raises:
        ValueError: the address lacks something, or says what nobody understands.
        SourceError: the server cannot be reached, or refuses us, or the tables are not there; or `results=0`
            for the rows of a table of others.
        ImportError: psycopg is not installed.
    """

    def __init__(self, address: str) -> None:
        self._at = read(address, known_parameters())
        super().__init__(self._at.shown, self._at.drain, Server(self._at, listens=True))
        self._results: dict[int, str] = {}
        self._look_at = 0.0  # when to look again although nothing was heard
        self._moment = _MOMENT  # it grows as long as somebody keeps what is there
        self.refused = 0  # results, by somebody's table; see `KeepsResults`
        self._wanted: dict[str, int] = {}  # hungry workers of others, as they said
        self._consumer = Consumer(self._server, self._at)
        try:
            with self._server.now():
                schema.check(self._server)
                if not self._at.results:
                    refuse_rows(self._server, self._at.queue)
        except BaseException:
            self._server.close()
            raise

    def hungry(self, workers: int) -> None:
        """So many of our workers have nothing to compute: who has something hears it."""
        if self._others and not self._server.was_away:
            self._server.reach(lambda: self._consumer.say_hungry(workers))

    def wanted(self) -> int:
        """How many workers of others have nothing to compute, since the last call."""
        if not self._server.was_away:  # what listens is not what was away: a lock, say, goes on
            self._server.reach(lambda: self._listen(0.0))
        workers = sum(self._wanted.values())
        self._wanted.clear()
        return workers

    # What never waits

    def keep_result(self, token: int, result: Any) -> None:
        """Keep the result of an item, which is written when that is `done`. See `KeepsResults`."""
        if self._at.results:
            with self._lock:
                item = self._had[token].item if token in self._had else token
            text = encode_value(result, "result", item).decode()
            with self._lock:
                self._results[token] = text

    def done(self, token: int) -> None:
        """The item has its result."""
        with self._lock:
            _, self._notes.done[token] = self._forget(token)

    def tries_again(self, token: int, attempts: int) -> bool:
        """Whether the address has an item tried again later, after so many attempts. See `TriesAgain`."""
        with self._lock:
            return self._comes_again(self._had.get(token), attempts)

    def _comes_again(self, had: Had | None, attempts: int) -> bool:
        return had is not None and had.attempt - 1 + attempts <= self._at.retries  # as in `failed.sql`

    def failed(self, token: int, reason: str, attempts: int = 1) -> None:
        """The item has failed for good: it is dead, unless the address says that it is tried again later."""
        with self._lock:
            had, _ = self._forget(token)
            self._is_dry = self._is_dry and not self._comes_again(had, attempts)
            if had is not None:
                self._notes.buried[token] = _plain(reason), attempts, False

    def give_back(self, tokens: Iterable[int], delay: float = 0.0) -> None:
        """These items were not started; anybody may have them after `delay` seconds."""
        with self._lock:
            for token in tokens:
                had, _ = self._forget(token)
                if had is not None:
                    self._notes.given_back[token] = delay
            self._is_dry = False

    def _forget(self, token: int) -> tuple[Had | None, str | None]:
        self._notes.extended.pop(token, None)
        return self._had.pop(token, None), self._results.pop(token, None)

    # With the server

    def _take(self, n: int, wait: float) -> list[Found]:
        """Look, unless there is no reason to; then listen, and look whenever there is one."""
        if wait <= 0.0 or self._notes or self._server.was_away or self._hears(0.0):
            found = self._look(n)
            if found or self.closed:
                return found
        deadline = monotonic() + wait
        while (left := deadline - monotonic()) > 0.0 and not self._notes.given_back:  # that is for others
            if self._hears(left):
                found = self._look(n)
                if found or self.closed:
                    return found
        return []

    def _hears(self, seconds: float) -> bool:
        """Wait, so long at most, until there is a reason to look."""
        self._listen(min(seconds, max(0.0, self._look_at - monotonic())))
        return monotonic() >= self._look_at

    def _listen(self, seconds: float) -> bool:
        for said in self._server.heard(seconds):
            hungry = hunger_in(said)
            if hungry is None:
                self._look_at = 0.0
            else:
                self._wanted[hungry.who] = hungry.workers
        return True

    def _look(self, n: int) -> list[Found]:
        heard = self._exchange(n)
        self._others = heard.others
        is_there = bool(heard.found or heard.is_more)
        with self._lock:
            again = self._notes.given_back or not all(final for *_, final in self._notes.buried.values())
            self._is_dry = not (is_there or heard.due is not None or again)
        if heard.found:
            self._look_at, self._moment = 0.0, _MOMENT
        else:
            silence = _DRAINING if self._at.drain else _SILENCE
            next_one = silence if heard.due is None else min(silence, heard.due)
            is_now = heard.is_more or next_one <= 0.0
            self._look_at = monotonic() + (self._moment if is_now else max(_MOMENT, next_one))
            self._moment = min(_MOST_MOMENT, 2 * self._moment) if is_now else _MOMENT
        return heard.found

    def _exchange(self, most: int = 0) -> Heard:
        """Tell the server what it has not heard yet, and take up to so many items."""
        with self._lock:
            notes = self._notes.copy()
            known = [*self._had, *notes.done, *notes.buried, *notes.given_back]
        is_back = self._server.was_away
        try:
            heard = self._consumer.tell(notes, self._lease, known, most, is_back=is_back)
        except Rejected:
            if not notes.done:
                raise
            self._tell_one_by_one(notes.done, known)
            return self._exchange(most)
        if is_back:  # nothing was heard meanwhile
            self._server.was_away, self._look_at = False, 0.0
        again = self._consumer.again_in(notes)
        if again is not None:  # of what this one says itself, it hears nothing
            self._look_at = min(self._look_at, monotonic() + again)
        with self._lock:
            self._notes.subtract(notes)
        return heard

    def _tell_one_by_one(self, done: dict[int, str | None], known: list[int]) -> None:
        """Somebody's table refuses a result, and with it what else was told: that item alone has failed."""
        for token, result in done.items():
            one = Notes(done={token: result})
            rejected: Rejected | None = None
            try:
                self._consumer.tell(one, self._lease, known)
            except Rejected as error:
                rejected = error
            with self._lock:
                self._notes.subtract(one)
                if rejected is not None:
                    self.refused += 1
                    self._notes.buried[token] = _plain(f"result refused: {rejected.said}"), 1, True

    def _hand_out(self, found: list[Found]) -> list[Taken]:
        taken = []
        with self._lock:
            for token, attempt, text in found:
                try:
                    refuse_after(self._at.deliveries, attempt)
                    item = decode_value(text, "the column 'item'")
                except SourceError as error:
                    self._notes.buried[token] = _plain(str(error)), 0, True
                else:
                    self._had[token] = Had(item, attempt)
                    taken.append(Taken(token, item, attempt))
        return taken


def _plain(text: str) -> str:
    """What the server takes for a text: no NUL, and no half of a character."""
    return text.replace("\0", "\\x00").encode(errors="backslashreplace").decode()
