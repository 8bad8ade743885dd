"""What the queue was told to run here: if the worker is lost, that is what it is charged for.

A start is said once. What has ended before anybody could say it is not said to have started.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final


@final
class Starts:
    """Knows what is said already.

    Attributes:
        is_said: whether all that runs was told.
    """

    __slots__ = ("_last", "is_said")

    def __init__(self) -> None:
        self.is_said = True
        self._last = -1  # the last item that was told

    def began(self) -> None:
        """Something runs that nobody was told of."""
        self.is_said = False

    def ended(self, items: Sequence[int], *, goes_on: bool) -> None:
        """These have ended. `goes_on`: with others, in the same slice."""
        if not goes_on or self._last in items:
            self._last = -1
        if goes_on and items:
            self.is_said = False

    def told(self, items: Sequence[int]) -> None:
        """The queue was told anew what runs: these."""
        self.is_said = True
        self._last = items[-1] if items else -1

    def unsaid(self, begun: tuple[int, ...]) -> tuple[int, ...]:
        """Return those of what has begun that are to be told now."""
        if self._last in begun:  # it still runs, and others may have begun behind it
            begun = begun[begun.index(self._last) + 1 :]
        self.is_said = True
        self._last = begun[-1] if begun else self._last
        return begun
