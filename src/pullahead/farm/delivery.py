"""Results on their way into a sink, and into the journal that they are there.

A result is handed over first and written down as delivered afterwards, now and then, together with how long
the sink is, if it is a file. If the process dies in between, the file is cut back to what was written down,
and goes on from there: it has each result once. Any other sink may be handed the last results again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, Final, final

from pullahead.farm.crew import Crew
from pullahead.journal.identity import Place
from pullahead.sources import Sink, resumable

#: Seconds between two times that the place of the sink is written down.
_EVERY: Final = 0.25
#: Results after which it is written down in any case: a message that is no larger than others.
_MOST: Final = 4096


@final
class Delivery:
    """Hands results to a sink. See the module.

    Args:
        sink: as the user gave it.
        write: the same, checked.
        crew: whose journal hears of it, if it has one.

    Raises:
        OSError, SourceError: the sink cannot go on where the journal says that it was.
    """

    def __init__(self, sink: Any, write: Sink, crew: Crew) -> None:
        self._write = write
        self._crew = crew
        self._places: list[Place] = []
        self._due = monotonic() + _EVERY
        self._size: Callable[[], int | None] = _unknown
        self._name = ""
        if crew.recorded is not None and sink is not None:
            self._name = crew.recorded.sink = _name_of(sink)
            file = resumable(sink)
            if file is not None:
                if not file.resume(crew.recorded.size_of_sink()):
                    crew.recorded.sink = None  # nothing of what it once had is there
                    crew.delivered(self._name, None, None)
                self._size = file.checkpoint

    def __call__(self, result: Any, item: Any, place: Place | None) -> None:
        """Hand over one result. Raises what the sink raises."""
        self._write(result, item)
        if place is not None and self._name:
            self._places.append(place)
            if len(self._places) >= _MOST or monotonic() >= self._due:
                self._note()

    def finish(self) -> None:
        """Everything was handed over: wait until that is written down."""
        if self._places:
            self._note()
        if self._name:
            self._crew.wait_saved()

    def break_off(self) -> None:
        """Something was raised: write down what was handed over, if the sink still knows how long it is."""
        if self._places:
            with suppress(Exception):
                self._note()

    def _note(self) -> None:
        places, self._places = tuple(self._places), []
        self._crew.delivered(self._name, places, self._size())
        self._due = monotonic() + _EVERY


def _name_of(sink: Any) -> str:
    """Return what a journal calls a sink: its own name for itself, or where its code is."""
    name = getattr(sink, "name", None)
    if isinstance(name, str):
        return name
    kind = sink if hasattr(sink, "__qualname__") else type(sink)
    return f"{kind.__module__}:{kind.__qualname__}"


def _unknown() -> None:
    """The size of what has none."""
