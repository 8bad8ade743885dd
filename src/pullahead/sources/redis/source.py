"""Items from a Redis stream. How it works is said in `pullahead.sources.redis`."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from secrets import token_hex
from threading import Lock
from typing import Any, Final, NamedTuple, final

from pullahead.core.leases import LEAST, MOST
from pullahead.errors import SourceError
from pullahead.sources.redis.address import of_source
from pullahead.sources.redis.entries import item_of, letter
from pullahead.sources.redis.notes import Notes
from pullahead.sources.redis.server import NoGroup, Server, known_options, run
from pullahead.sources.source import Capabilities, Taken

#: ms that an entry is idle when anybody may have it: all consumers of a group have to agree about it.
IDLE: Final = int(MOST * 1000)
#: In whose name an entry waits that was given back.
NOBODY: Final = "pullahead-nobody"
#: Entries of our own that are looked at in one step after a connection was cut.
_PAGE: Final = 1000
#: Seconds that one look at a server that is away may take.
_LOOK: Final = 1.0


class Had(NamedTuple):
    """An entry that is out. `fields`: names and values in turn."""

    fields: list[bytes]
    attempt: int


@final
class RedisSource:
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
        self.name = self._at.shown
        self.capabilities = Capabilities(
            ordered=False, finite=self._at.drain, deadlines=True, delivery_count=True, delayed_retry=True
        )
        self._dead = self._at.dead or dead_letters(self._at.stream, cluster=self._at.cluster)
        self._me = f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"
        self._lease = LEAST
        self._lock = Lock()  # of the notes, and of what is out
        self._notes = Notes()
        self._had: dict[str, Had] = {}
        self._vanished: set[str] = set()  # out, and trimmed: the server has forgotten that they are ours
        self._is_dry = self._is_over = False
        self._server = Server(self._at)
        try:
            self._make_group()
        except SourceError:
            self._server.close()
            raise

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<RedisSource {self.name} {state}, {len(self._had)} held>"

    @property
    def closed(self) -> bool:
        """Whether `take` has nothing more to give: what others have may still come here."""
        return self._is_over or (self._at.drain and self._is_dry)

    # What may wait

    def take(self, n: int, wait: float = 0.0) -> list[Taken]:
        """Hand out up to n items: first what was given back, or is late, then new ones."""
        if self._is_over:
            return []
        entries = self._server.reach(lambda: self._take(n, wait), wait)
        return self._hand_out(entries or [])

    def extend(self, tokens: Iterable[str], seconds: float) -> None:
        """These items are still being worked on."""
        self._lease = min(seconds, MOST)
        with self._lock:
            self._notes.extended.update(dict.fromkeys(tokens))
        while self._server.reach(self._tell, _LOOK) is None:  # or what is extended too late is lost
            pass

    def close(self) -> None:
        """Nothing more will be taken. Waits until the server has heard how everything ended."""
        if self._is_over:
            return
        self._is_over = True
        try:
            while self._server.reach(self._leave, _LOOK) is None:
                pass
        except SourceError as error:
            untold = len(self._notes)
            if untold:
                error.add_note(f"it was not told of {untold} ends, so these items come again")
            raise
        finally:
            self._server.close()

    # What never waits

    def done(self, token: str) -> None:
        """The item has its result."""
        with self._lock:
            self._forget(token)
            self._notes.acknowledged.append(token)

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
                if had is not None:
                    self._notes.given_back[token] = had.fields, delay
                if had is not None and vanished:
                    self._notes.given_back.pop(token)
                    self._notes.added.append((self._at.stream, had.fields))
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
        lease = int(self._lease * 1000)
        found, gone, others = self._ask_with_news(self._run("take", n, IDLE, lease))
        entries = [(_name(token), Had(fields, attempt)) for token, fields, attempt in found]
        with self._lock:
            for token in map(_name, gone):
                self._bury(token, "trimmed from the stream before it had ended", 0, [], is_there=False)
            self._is_dry = not (entries or gone or others or self._notes.given_back or self._notes.added)
        if not entries and wait > 0.0 and not self.closed:
            entries = self._wait(n, wait)
        return entries

    def _wait(self, n: int, wait: float) -> list[tuple[str, Had]]:
        """Wait for new entries. They are leased in a second step: if we die before, for MOST seconds."""
        milliseconds = max(1, int(wait * 1000))
        group = ("GROUP", self._at.group, self._me)
        read = ("XREADGROUP", *group, "COUNT", n, "BLOCK", milliseconds, "STREAMS", self._at.stream, ">")
        found = self._ask(read)
        if not found:
            return []
        entries = [(_name(token), Had(_flat(fields), 1)) for token, fields in found[0][1]]
        with self._lock:
            self._notes.extended.update(dict.fromkeys(token for token, _ in entries))
        return entries

    def _hand_out(self, entries: list[tuple[str, Had]]) -> list[Taken]:
        taken = []
        with self._lock:
            for token, had in entries:
                if had.attempt > self._at.deliveries:
                    often = f"delivered {self._at.deliveries} times, and never ended"
                    self._bury(token, often, had.attempt - 1, had.fields, is_there=True)
                    continue
                try:
                    item = item_of(had.fields, self._at.field)
                except SourceError as error:
                    self._bury(token, str(error), had.attempt - 1, had.fields, is_there=True)
                    continue
                self._had[token] = had
                taken.append(Taken(token, item, had.attempt))
        return taken

    def _tell(self) -> bool:
        """Tell the server what it has not heard yet."""
        self._ask_with_news()
        return True

    def _leave(self) -> bool:
        self._tell()
        self._ask(self._run("leave"))
        return True

    def _ask_with_news(self, last: tuple[Any, ...] | None = None) -> Any:
        """Tell what was noted, and ask something, in one go. Returns the answer to that."""
        if self._server.was_away:
            self._give_back_unheard()
        with self._lock:
            notes = self._notes.copy()
        commands = list(self._commands(notes))
        if last is not None:
            commands.append(last)
        if not commands:
            return None
        answers = self._ask_all(commands)
        with self._lock:
            self._notes.subtract(notes)
            self._heard_gone(notes, answers)
        return answers[-1]

    def _commands(self, notes: Notes) -> Iterable[tuple[Any, ...]]:
        """Say the notes as commands. Said twice, only what is added does harm: it is there twice."""
        if notes.extended:
            yield self._run("extend", IDLE, int(self._lease * 1000), *notes.extended)
        for delay in {delay for _, delay in notes.given_back.values()}:
            tokens = [token for token, (_, one) in notes.given_back.items() if one == delay]
            yield self._run("give_back", NOBODY, IDLE, min(IDLE, int(delay * 1000)), *tokens)
        if notes.acknowledged:
            yield ("XACK", self._at.stream, self._at.group, *notes.acknowledged)
        for token, said in notes.buried.items():
            keys = [self._at.stream, self._dead]
            yield run("bury", keys, self._at.group, self._me, token, *said)
        for stream, fields in notes.added:
            yield ("XADD", stream, "*", *fields)

    def _heard_gone(self, notes: Notes, answers: list[Any]) -> None:
        """What was trimmed while it was out is ours alone to know of."""
        place = 0
        if notes.extended:
            self._vanished.update(token for token in map(_name, answers[0]) if token in self._had)
            place = 1
        delays = len({delay for _, delay in notes.given_back.values()})
        for answer in answers[place : place + delays]:
            for token in map(_name, answer):
                self._notes.added.append((self._at.stream, notes.given_back[token][0]))

    def _give_back_unheard(self) -> None:
        """A connection was cut: what the server has given us, and we have not heard of, goes back.

        It is found among what the server says is ours and we do not know. What we have is not more than what
        was taken, so this ends.
        """
        start = "-"
        while True:
            pending = [_name(token) for token in self._ask(self._run("held", start, _PAGE))]
            unknown = [token for token in pending if token not in self._had and token not in self._notes]
            if unknown:
                self._ask(self._run("give_back", NOBODY, IDLE, 0, *unknown))
            if len(pending) < _PAGE:
                break
            start = f"({pending[-1]}"
        self._server.was_away = False

    def _run(self, name: str, *arguments: Any) -> tuple[Any, ...]:
        return tuple(run(name, [self._at.stream], self._at.group, self._me, *arguments))

    def _ask(self, command: tuple[Any, ...]) -> Any:
        return self._ask_all([command])[0]

    def _ask_all(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        try:
            return self._server.ask(commands)
        except NoGroup:  # somebody deleted it, or the server lost its data: what is put from now on counts
            self._make_group()
            return self._server.ask(commands)

    def _make_group(self) -> None:
        """Make the group, and the stream, unless they are there. All that is in the stream counts."""
        at = self._at
        try:
            self._server.ask([("XGROUP", "CREATE", at.stream, at.group, "0", "MKSTREAM")])
        except SourceError as error:
            if "BUSYGROUP" in str(error):
                return
            if "WRONGTYPE" in str(error):
                kind = _name(self._server.ask([("TYPE", at.stream)])[0])
                raise SourceError(
                    f"{at.shown}: expected {at.stream!r} to be a stream, got a {kind}"
                ) from None
            raise


def dead_letters(stream: str, *, cluster: bool) -> str:
    """Name the stream for what has failed: in a cluster one that is in the same slot."""
    return f"{{{stream}}}:dead" if cluster and "{" not in stream else f"{stream}:dead"


def _name(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()


def _flat(fields: Any) -> list[bytes]:
    """Names and values in turn, as scripts return them; redis-py makes dicts of them otherwise."""
    return [part for pair in fields.items() for part in pair] if isinstance(fields, dict) else list(fields)
