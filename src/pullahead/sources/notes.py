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
        given_back: with what the source wants to know of it then, its delay among that.
        done: with the result, where the source keeps that.
        buried: failed, with what is said about it.
        added: new entries: to where, with what.
    """

    extended: dict[Any, None] = field(default_factory=dict)
    given_back: dict[Any, Any] = field(default_factory=dict)
    done: dict[Any, Any] = field(default_factory=dict)
    buried: dict[Any, Any] = field(default_factory=dict)
    added: list[Any] = field(default_factory=list)

    def __len__(self) -> int:
        """How many ends there are to tell."""
        return len(self.given_back) + len(self.done) + len(self.buried) + len(self.added)

    def __contains__(self, token: Any) -> bool:
        """Whether an end of this one is to be told."""
        return token in self.given_back or token in self.buried or token in self.done

    def copy(self) -> Notes:
        """Return what is to be told now."""
        return Notes(
            self.extended.copy(),
            self.given_back.copy(),
            self.done.copy(),
            self.buried.copy(),
            self.added.copy(),
        )

    def subtract(self, told: Notes) -> None:
        """These were told. What was noted meanwhile stays; a list only grows at its end."""
        mine = self.extended, self.given_back, self.done, self.buried
        theirs = told.extended, told.given_back, told.done, told.buried
        for noted, heard in zip(mine, theirs, strict=True):
            for token in heard:
                noted.pop(token, None)
        del self.added[: len(told.added)]
