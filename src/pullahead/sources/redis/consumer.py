"""One consumer of a group, as commands to the server and their answers. It remembers nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from secrets import token_hex
from time import sleep
from typing import Any, Final, NamedTuple, final

from pullahead.core.leases import MOST
from pullahead.errors import SourceError
from pullahead.sources.notes import Notes
from pullahead.sources.redis.address import Address
from pullahead.sources.redis.entries import scripted
from pullahead.sources.redis.server import Command, Server, run

#: ms that an entry is idle when anybody may have it: all consumers of a group have to agree about it.
IDLE: Final = int(MOST * 1000)
#: In whose name an entry waits that was given back.
NOBODY: Final = "pullahead-nobody"
#: Seconds that Redis may take to notice that somebody has waited for long enough, and to say so.
_LATE: Final = 0.5
#: Entries of a consumer that are listed in one step.
_PAGE: Final = 1000


class Had(NamedTuple):
    """An entry that is out. `fields`: names and values in turn."""

    fields: list[bytes]
    attempt: int


class Heard(NamedTuple):
    """What the server answered.

    Attributes:
        vanished: what was to be extended and has been trimmed away; the server forgot whose it was.
        unreturned: what was to be given back, likewise.
        found: entries that were handed out.
        gone: late ones of others that have been trimmed away: nobody can work on them.
        others: how many entries may come here yet, because others have them, or nobody has.
        waiting: how many of them nobody has: they were given back.
    """

    vanished: list[str]
    unreturned: list[str]
    found: list[tuple[str, Had]]
    gone: list[str]
    others: int
    waiting: int


@final
class Consumer:
    """See the module.

    Args:
        server: where the stream is.
        address: which one, and whose group.
        dead: the stream for dead letters.
    """

    def __init__(self, server: Server, address: Address, dead: str) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"
        self._server = server
        self._at = address
        self._dead = dead

    def make_group(self) -> bool:
        """Make the group, and the stream, unless they are there. All that is in the stream counts.

        Returns whether it was made.
        """
        at = self._at
        try:
            self._server.ask([("XGROUP", "CREATE", at.stream, at.group, "0", "MKSTREAM")])
        except SourceError as error:
            if "BUSYGROUP" in str(error):
                return False
            raise
        return True

    def tell(self, notes: Notes, lease: float, most: int = 0) -> Heard:
        """Tell what was noted, in one go, and take entries, up to so many.

        Args:
            notes: what the server has not heard yet.
            lease: seconds.
            most: 0: none are wanted.

        Raises:
            NoGroup: there is no such group (any more), so nobody has anything.
        """
        milliseconds = int(lease * 1000)
        delays = sorted({delay for _, delay in notes.given_back.values()})
        commands = list(self._commands(notes, milliseconds, delays))
        if most:
            commands.append(self._run("take", NOBODY, most, IDLE, milliseconds))
        answers = self._server.ask(commands) if commands else []
        first = 1 if notes.extended else 0
        vanished = _names(answers[0]) if notes.extended else []
        unreturned = [token for one in answers[first : first + len(delays)] for token in _names(one)]
        if not most:
            return Heard(vanished, unreturned, [], [], 0, 0)
        found, gone, others, waiting = answers[-1]
        entries = [(name_of(token), Had(fields, attempt)) for token, fields, attempt in found]
        return Heard(vanished, unreturned, entries, _names(gone), others, waiting)

    def _commands(self, notes: Notes, lease: int, delays: Sequence[float]) -> Iterator[Command]:
        """Say the notes as commands. Said twice, only what is added does harm: it is there twice."""
        if notes.extended:
            yield self._run("extend", IDLE, lease, *notes.extended)
        for delay in delays:
            tokens = [token for token, (_, one) in notes.given_back.items() if one == delay]
            yield self._run("give_back", NOBODY, IDLE, min(IDLE, int(delay * 1000)), *tokens)
        if notes.done:
            yield ("XACK", self._at.stream, self._at.group, *notes.done)
        for token, said in notes.buried.items():
            keys = [self._at.stream, self._dead]
            yield run("bury", keys, self._at.group, self.name, token, *scripted(said))
        for stream, fields in notes.added:
            yield ("XADD", stream, "*", *fields)

    def wait(self, most: int, seconds: float) -> list[tuple[str, Had]]:
        """Wait for entries that nobody has had. They have MOST seconds, until they are extended.

        Raises:
            NoGroup: there is no such group (any more).
        """
        group = ("GROUP", self._at.group, self.name)
        blocked = min(seconds, self._server.answer - _LATE)  # or the server would look as if it were away
        if blocked <= 0.0:
            sleep(seconds)
        block = ("BLOCK", max(1, int(blocked * 1000))) if blocked > 0.0 else ()
        (found,) = self._server.ask(
            [("XREADGROUP", *group, "COUNT", most, *block, "STREAMS", self._at.stream, ">")]
        )
        if not found:
            return []
        return [(name_of(token), Had(_flat(fields), 1)) for token, fields in found[0][1]]

    def held(self) -> list[str]:
        """List what this consumer has, as the server knows it."""
        found: list[str] = []
        start = "-"
        while True:
            page = _names(self._server.ask([self._run("held", start, _PAGE)])[0])
            found += page
            if len(page) < _PAGE:
                return found
            start = f"({page[-1]}"

    def lost(self, tokens: Sequence[str]) -> list[str]:
        """List those of which the server knows nothing any more: nobody has them, nor has the stream."""
        some = [tokens[first : first + _PAGE] for first in range(0, len(tokens), _PAGE)]
        commands = [run("lost", [self._at.stream], self._at.group, *page) for page in some]
        return [token for one in self._server.ask(commands) for token in _names(one)] if commands else []

    def leave(self) -> None:
        """Forget this consumer, if it has nothing any more."""
        self._server.ask([self._run("leave")])

    def _run(self, name: str, *arguments: Any) -> Command:
        return run(name, [self._at.stream], self._at.group, self.name, *arguments)


def name_of(value: bytes | str) -> str:
    """Return a name, or an id, as text."""
    return value if isinstance(value, str) else value.decode()


def _names(values: Iterable[bytes | str]) -> list[str]:
    return [name_of(value) for value in values]


def _flat(fields: Any) -> list[bytes]:
    """Names and values in turn, as scripts return them; redis-py makes dicts of them otherwise."""
    return [part for pair in fields.items() for part in pair] if isinstance(fields, dict) else list(fields)
