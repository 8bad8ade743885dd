"""Items from a Redis stream. How it works is said in `pullahead.sources.redis`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final, final

from pullahead.errors import SourceError
from pullahead.sources.notes import Notes
from pullahead.sources.reach import Away
from pullahead.sources.redis.address import of_source
from pullahead.sources.redis.consumer import Consumer, Had, Heard
from pullahead.sources.redis.entries import item_of, letter
from pullahead.sources.redis.notices import Notices
from pullahead.sources.redis.server import NoGroup, Server, known_options
from pullahead.sources.remote import RemoteSource, refuse_after
from pullahead.sources.source import Taken

_TRIMMED: Final = "trimmed from the stream before it had ended"


@final
class RedisSource(RemoteSource[str, Had, Server]):
    """One consumer of a group, which shares a stream with others.

    Args:
        address: as `pullahead.sources.redis` has it.

    Raises:
        ValueError: the address lacks something, or says what nobody understands.
        SourceError: the server cannot be reached, or refuses us, or what has that name there is no stream.
        ImportError: redis-py is not installed.
    """

    def __init__(self, address: str) -> None:
        self._at = of_source(address, known_options())
        self._dead = self._at.letters
        super().__init__(self._at.shown, self._at.drain, Server(self._at, beside=self._dead))
        self._perhaps_buried: set[str] = set()  # the server was told, and its answer did not come
        self._was_waited_for = False  # whether the latest entries came while we waited
        self._vanished: set[str] = set()  # out, and trimmed: the server has forgotten that they are ours
        self._server.check_streams(self._at.stream, self._dead)
        self._consumer = Consumer(self._server, self._at, self._dead)
        try:
            with self._server.now():
                self._consumer.make_group()
            channel = f"pullahead:{self._at.stream}:{self._at.group}"
            self._notices = Notices(self._server, channel, self._consumer.name)
        except BaseException:
            self._server.close()
            raise

    def hungry(self, workers: int) -> None:
        """So many of our workers have nothing to compute: who has something hears it."""
        if self._others and not self._server.was_away:
            self._notices.say(workers)

    def wanted(self) -> int:
        """How many workers of others have nothing to compute, since the last call."""
        return 0 if self._server.was_away else self._notices.heard()

    def take(self, n: int, wait: float = 0.0) -> list[Taken]:
        """Hand out up to n items: first what was given back, or is late, then new ones."""
        taken = super().take(n, wait)
        if self._was_waited_for:  # their leases begin now, or they had MOST seconds, should we die with them
            self._was_waited_for = False
            self._server.reach(self._tell)
        return taken

    # What never waits

    def done(self, token: str) -> None:
        """The item has its result."""
        with self._lock:
            self._forget(token)
            self._notes.done[token] = None

    def failed(self, token: str, reason: str, attempts: int = 1) -> None:
        """The item has failed for good: it becomes a dead letter."""
        with self._lock:
            had, vanished = self._forget(token)
            if had is not None:
                self._bury(token, reason, had.attempt - 1 + attempts, had.fields, is_there=not vanished)

    def give_back(self, tokens: Iterable[str], delay: float = 0.0) -> None:
        """These items were not started; anybody may have them after `delay` seconds, ten minutes at most."""
        with self._lock:
            for token in tokens:
                had, vanished = self._forget(token)
                if had is not None and vanished:
                    self._notes.added.append((self._at.stream, had.fields))
                elif had is not None:
                    self._notes.given_back[token] = had.fields, delay
            self._is_dry = False

    def _forget(self, token: str) -> tuple[Had | None, bool]:
        self._notes.extended.pop(token, None)
        vanished = token in self._vanished
        self._vanished.discard(token)
        return self._had.pop(token, None), vanished

    def _bury(self, token: str, reason: str, attempts: int, fields: list[bytes], *, is_there: bool) -> None:
        said = letter(self._at.stream, token, reason, attempts, fields)
        if is_there:
            self._notes.buried[token] = said
        else:
            self._notes.added.append((self._dead, said))

    # With the server

    def _take(self, n: int, wait: float) -> list[tuple[str, Had]]:
        heard = self._exchange(n)
        self._others = heard.others > heard.waiting
        with self._lock:
            for token in heard.gone:
                self._bury(token, _TRIMMED, 0, [], is_there=False)
            self._is_dry = not (heard.found or heard.others or self._notes.given_back or self._notes.added)
        if heard.found or wait <= 0.0 or self.closed:
            return heard.found
        try:
            found = self._consumer.wait(n, wait)
        except NoGroup:
            self._mend_group()
            return []
        if found:
            with self._lock:
                self._notes.extended.update(dict.fromkeys(token for token, _ in found))
            self._was_waited_for = True
        return found

    def _leave(self) -> bool:
        super()._leave()
        with suppress(NoGroup):  # then nobody is in it
            self._consumer.leave()
        return True

    def _let_go(self) -> None:
        self._notices.close()
        super()._let_go()

    def _exchange(self, most: int = 0) -> Heard:
        """Tell the server what it has not heard yet, and take up to so many entries."""
        try:
            return self._exchange_once(most)
        except NoGroup:
            self._mend_group()
            return self._exchange_once(most)

    def _mend_group(self) -> None:
        """Somebody deleted the group, or the server lost its data: all of the stream is new to the next."""
        if self._consumer.make_group():
            with self._lock:
                self._vanish(self._still_to_end())

    def _exchange_once(self, most: int) -> Heard:
        if self._server.was_away:
            self._catch_up()
        with self._lock:
            notes = self._notes.copy()
        try:
            heard = self._consumer.tell(notes, self._lease, most)
        except Away:
            self._perhaps_buried.update(notes.buried)
            raise
        self._perhaps_buried.clear()
        with self._lock:
            self._notes.subtract(notes)
            self._vanish(heard.vanished)
            for token in heard.unreturned:
                self._notes.added.append((self._at.stream, notes.given_back[token][0]))
        return heard

    def _vanish(self, tokens: Iterable[str]) -> None:
        """The server has forgotten these, so what is to become of them is ours alone to know."""
        for token in tokens:
            if token in self._had:
                self._vanished.add(token)
            elif token in self._notes.buried:
                self._notes.added.append((self._dead, self._notes.buried.pop(token)))
            elif token in self._notes.given_back:
                self._notes.added.append((self._at.stream, self._notes.given_back.pop(token)[0]))

    def _still_to_end(self) -> list[str]:
        """What is out, and what has failed or goes back and is not told yet; with the lock held."""
        return [*self._had, *self._notes.buried, *self._notes.given_back]

    def _catch_up(self) -> None:
        """A connection was cut: answers were lost with it.

        What the server has given us, and we have not heard of, goes back: it is among what the server says is
        ours, and we do not know it. What it has forgotten, because it was trimmed, is ours alone to know.
        """
        held = self._consumer.held()
        with self._lock:
            unknown = [token for token in held if token not in self._had and token not in self._notes]
            had = set(self._still_to_end()).difference(self._perhaps_buried)
        back = Notes(given_back={token: ([], 0.0) for token in unknown})
        unreturned = self._consumer.tell(back, self._lease).unreturned
        lost = self._consumer.lost(sorted(had.difference(held, self._vanished)))
        with self._lock:
            for token in unreturned:
                self._bury(token, _TRIMMED, 0, [], is_there=False)
            self._vanish(lost)
        self._server.was_away = False

    def _hand_out(self, found: list[tuple[str, Had]]) -> list[Taken]:
        taken = []
        with self._lock:
            for token, had in found:
                try:
                    refuse_after(self._at.deliveries, had.attempt)
                    item = item_of(had.fields, self._at.field)
                except SourceError as error:
                    self._bury(token, str(error), had.attempt - 1, had.fields, is_there=True)
                else:
                    self._had[token] = had
                    self._vanished.discard(token)  # it is another group's, which has it anew
                    taken.append(Taken(token, item, had.attempt))
        return taken
