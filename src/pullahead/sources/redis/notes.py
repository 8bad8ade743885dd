"""What a server has not heard yet: noted by whoever hears of it, told by the thread that takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final


@final
@dataclass(slots=True)
class Notes:
    """Ends, and what else is to be told, by token. A token is in one of them at most, but for `extended`.

    Attributes:
        extended: still being worked on.
        given_back: the fields of the entry, should the server not have it any more, and the delay.
        acknowledged: done.
        buried: failed, with what the dead letter says.
        added: new entries: to which stream, with which fields.
    """

    extended: dict[str, None] = field(default_factory=dict)
    given_back: dict[str, tuple[list[bytes], float]] = field(default_factory=dict)
    acknowledged: list[str] = field(default_factory=list)
    buried: dict[str, Any] = field(default_factory=dict)
    added: list[tuple[str, Any]] = field(default_factory=list)

    def __len__(self) -> int:
        """How many ends there are to tell."""
        return len(self.given_back) + len(self.acknowledged) + len(self.buried) + len(self.added)

    def __contains__(self, token: str) -> bool:
        """Whether an end of this one is to be told."""
        return token in self.given_back or token in self.buried or token in self.acknowledged

    def copy(self) -> Notes:
        """Return what is to be told now."""
        return Notes(
            self.extended.copy(),
            self.given_back.copy(),
            self.acknowledged.copy(),
            self.buried.copy(),
            self.added.copy(),
        )

    def subtract(self, told: Notes) -> None:
        """These were told. What was noted meanwhile stays; lists only grow at their ends."""
        for token in told.extended:
            self.extended.pop(token, None)
        for token in told.given_back:
            self.given_back.pop(token, None)
        for token in told.buried:
            self.buried.pop(token, None)
        del self.acknowledged[: len(told.acknowledged)]
        del self.added[: len(told.added)]
