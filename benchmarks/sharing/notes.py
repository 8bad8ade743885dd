"""What a program notes while it works, and how the benchmark gets to know it: as one line of JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from time import monotonic
from typing import Any, NamedTuple, Self, final

from benchmarks.sharing.scene import Ran

from pullahead.sources import Source


class Moved(NamedTuple):
    """Items that were taken from the queue, or given back to it."""

    when: float
    items: list[int]


@final
@dataclass(slots=True)
class Notes:
    """Of one program, by the machine's monotonic clock."""

    taken: list[Moved] = field(default_factory=list)
    back: list[Moved] = field(default_factory=list)
    hungry: list[float] = field(default_factory=list)  # when it told the others
    ran: list[Ran] = field(default_factory=list)

    def watch(self, source: Source) -> Source:
        """Return the source, which notes from now on what it hands out, gets back, and says to others."""
        items: dict[Any, int] = {}
        take, give_back = source.take, source.give_back
        say = getattr(source, "hungry", None)

        def noted_take(n: int, wait: float = 0.0) -> Any:
            found = take(n, wait)
            if found:
                items.update((one.token, one.item) for one in found)
                self.taken.append(Moved(monotonic(), [one.item for one in found]))
            return found

        def noted_give_back(tokens: Any, delay: float = 0.0) -> None:
            tokens = list(tokens)
            if tokens:
                self.back.append(Moved(monotonic(), [items[token] for token in tokens]))
            give_back(tokens, delay)

        def noted_hungry(workers: int) -> None:
            self.hungry.append(monotonic())
            if say is not None:
                say(workers)

        for name, verb in (("take", noted_take), ("give_back", noted_give_back), ("hungry", noted_hungry)):
            setattr(source, name, verb)
        return source

    def line(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, line: str) -> Self:
        """Read a line."""
        said = json.loads(line)
        return cls(
            [Moved(*one) for one in said["taken"]],
            [Moved(*one) for one in said["back"]],
            said["hungry"],
            [Ran(*one) for one in said["ran"]],
        )
