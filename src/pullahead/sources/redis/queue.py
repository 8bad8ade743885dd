"""A stream and its group as those see them who do not take from them: filled, looked at, mended."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self, final

from pullahead.errors import SourceError
from pullahead.sources.encode import encode_value
from pullahead.sources.queue import DeadItem, Stats
from pullahead.sources.reach import Away
from pullahead.sources.redis.address import of_queue
from pullahead.sources.redis.consumer import IDLE, NOBODY, name_of
from pullahead.sources.redis.entries import ADDED, ATTEMPTS, REASON, WIDEST, item_of
from pullahead.sources.redis.server import Command, Server, known_options, run

#: Items that are put in one step, and entries that are looked at in one: others wait for so long.
_BATCH: Final = 1000
#: Bytes of entries after which a step has looked at enough. A script of Redis reads 100 MB in a second.
_BYTES: Final = 1_000_000
#: Dead letters that are listed in one step, and that are retried in one.
_IDS: Final = 100
_ID: Final = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")
#: Each part of an id has 64 bits.
_LARGEST: Final = 2**64 - 1


@final
class RedisQueue:
    """A stream at an address, for whoever puts items, or looks after them::

        with RedisQueue("redis://host/0?stream=jobs&group=g") as queue:
            queue.put(["a.mp4", "b.mp4"])

    See `pullahead.sources.queue`. The stream is made by the first item.

    Args:
        address: as `pullahead.sources.redis` has it; `group` is needed by `stats` only.

    Raises:
        ValueError, SourceError, ImportError: as for `RedisSource`.
    """

    def __init__(self, address: str) -> None:
        self._at = of_queue(address, known_options())
        self.name = self._at.shown
        self._server = Server(self._at, beside=self._at.letters)
        self._server.check_streams(self._at.stream, self._at.letters)

    def __repr__(self) -> str:
        return f"<RedisQueue {self.name}>"

    def put(self, items: Iterable[Any], *, priority: int = 0, delay: float | None = None) -> list[str]:
        """Add items, a thousand in one step: all of these or none. Returns the ids of their entries.

        An error in the middle says how many are there already, in a note, and how many may be: those of the
        step of which the answer was lost.

        Raises:
            ResultError: JSON cannot hold one of them.
            ValueError: a stream has no priorities and no delays.
        """
        if priority or delay is not None:
            got = f"the priority {priority}" if priority else f"a delay of {delay:g} s"
            raise ValueError(f"expected neither priority nor delay for a stream of Redis, got {got}")
        texts: Iterator[bytes] = (encode_value(item, "item", item) for item in items)
        ids: list[str] = []
        batch: list[bytes] = []
        try:
            while batch := list(islice(texts, _BATCH)):
                ids += map(name_of, self._ask("put", [self._at.stream], self._at.field, *batch))
        except Exception as error:
            is_lost = isinstance(error.__cause__, Away)  # the answer
            if told := _so_far(len(ids), len(batch) if is_lost else 0):
                error.add_note(told)
            raise
        return ids

    def stats(self) -> Stats:
        """Say how it stands. What is done stays in the stream among all else, so it is not counted."""
        if not self._at.group:
            raise ValueError(f"expected group=NAME in the query of {self.name}, of which is told; got none")
        told = self._ask("stats", [self._at.stream], self._at.group, NOBODY, IDLE)
        ready, read, out, waiting, due, consumers, age = told
        if ready < 0:
            ready = self._count(self._at.stream, f"({name_of(read)}")
        oldest = age / 1000 if age >= 0 else None
        return Stats(ready, out, waiting, None, self.count_dead(), due, consumers, oldest)

    def count_dead(self) -> int:
        """Count what has failed for good."""
        return self._count(self._at.letters, "-", of=self._at.stream)

    def dead(self, most: int = 100) -> list[DeadItem]:
        """List what has failed for good, the latest first."""
        return list(self._letters(most))

    def retry(self, ids: Iterable[int | str] | None = None) -> int:
        """Put what has failed for good back into the stream, at its end; None: all of it.

        Each is moved in one step. That is for every group of the stream. Returns how many items that were.
        """
        return self._retry_all() if ids is None else self._retry(list(map(str, ids)))

    def close(self) -> None:
        """Let go of the connection."""
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, name: str, keys: list[str], *arguments: Any) -> Any:
        with self._server.now():
            return self._server.ask([run(name, keys, *arguments)])[0]

    def _count(self, stream: str, start: str, of: str = "") -> int:
        """Count entries from an id on; of dead letters, those of a stream."""
        total, last = self._ask("count", [stream], start, _BATCH, _BYTES, of)
        while last is not None:
            more, last = self._ask("count", [stream], f"({name_of(last)}", _BATCH, _BYTES, of)
            total += more
        return int(total)

    def _letters(self, most: int) -> Iterator[DeadItem]:
        start: str | None = "+"
        while start is not None and most > 0:
            letters, last = self._page(start, min(most, _IDS), _BATCH)
            for token, fields in letters:
                yield self._dead_item(name_of(token), fields[:-ADDED], fields[-ADDED:])
            most -= len(letters)
            start = None if last is None else f"({name_of(last)}"

    def _page(self, start: str, most: int, looked_at: int) -> Any:
        return self._ask("letters", [self._at.letters], self._at.stream, start, most, looked_at, _BYTES)

    def _dead_item(self, token: str, fields: list[bytes], added: list[bytes]) -> DeadItem:
        said = {name_of(name): value for name, value in zip(added[::2], added[1::2], strict=True)}
        try:
            item = item_of(fields, self._at.field)
        except SourceError:  # that is why it is here
            place = fields[::2].index(self._at.field.encode())
            item = fields[1::2][place].decode(errors="replace")
        reason = said[REASON].decode(errors="replace")
        return DeadItem(token, _json(item), reason, int(said[ATTEMPTS]), int(token.split("-")[0]) / 1000)

    def _retry(self, ids: list[str]) -> int:
        for one in ids:
            parts = _ID.fullmatch(one)
            if parts is None or max(map(int, parts.groups())) > _LARGEST:
                raise ValueError(f"expected ids of dead letters, such as 1700000000000-0, got {one!r}")
        moved = 0
        for place in range(0, len(ids), _IDS):
            some = ids[place : place + _IDS]
            with self._server.now():
                answers = self._server.ask([self._retried(one, one, 1) for one in some])
            moved += sum(answer[0] for answer in answers)
        return moved

    def _retry_all(self) -> int:
        _, end = self._page("+", 1, 1)
        moved, start = 0, "-"
        while end is not None:  # and not what fails again meanwhile
            with self._server.now():
                ((some, last),) = self._server.ask([self._retried(start, name_of(end), _IDS)])
            moved += some
            if last is None:
                break
            start = f"({name_of(last)}"
        return moved

    def _retried(self, start: str, end: str, most: int) -> Command:
        return run("retry", [self._at.letters, self._at.stream], start, end, most, _BYTES, WIDEST)


def _so_far(put: int, perhaps: int) -> str:
    """Say how many items are in the stream, as far as we know."""
    if put and perhaps:
        return f"{put} items before were put, and perhaps the next {perhaps}"
    if perhaps:
        return f"perhaps {perhaps} items were put"
    return f"{put} items before were put" if put else ""


def _json(item: Any) -> str:
    """Return an item as JSON; what JSON cannot hold, as Python shows it."""
    try:
        return json.dumps(item, ensure_ascii=False, default=repr)
    except TypeError:  # a name that is no text
        return repr(item)
