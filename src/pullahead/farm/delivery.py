"""Results on their way into a sink, and into the journal that they are there.

A sink that has a name goes on in the next run where it was: a result is handed over first and written down
as delivered afterwards, now and then, together with how long the sink is, if it is a file. If the process
dies in between, the file is cut back to what was written down, and goes on from there: it has each result
once. What has a name and no size may be handed the last results again. What has no name (a function, standard
output) is handed everything by each run, because nobody knows whether it still has what it was handed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, Final, final

from pullahead.errors import ResultError
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
        self._size: Callable[[], int | None] | None = None
        # Between a call of the sink and the note of its place an interrupt may come: then nobody knows
        # whether the last result is there, and a size that is written down afterwards would speak for it.
        self._begun = self._ended = 0
        self._name = _name_of(sink)
        if crew.recorded is not None and self._name:
            crew.recorded.sink = self._name
            file = resumable(sink)
            if file is not None:
                if not file.resume(crew.recorded.size_of_sink()):
                    crew.recorded.sink = None  # nothing of what it once had is there
                    crew.delivered(self._name, None, file.checkpoint())
                    crew.wait_saved()  # or, if the process dies now, nobody knows whose lines are in there
                self._size = file.checkpoint

    def __call__(self, result: Any, item: Any, place: Place | None) -> None:
        """Hand over one result. Raises what the sink raises; after a `ResultError` nothing was written."""
        self._begun += 1
        try:
            self._write(result, item)
        except ResultError:
            self._ended += 1
            raise
        if place is not None and self._name:
            self._places.append(place)
        self._ended += 1
        if self._places and (len(self._places) >= _MOST or monotonic() >= self._due):
            self._note()

    def finish(self) -> None:
        """Everything was handed over: wait until that is written down."""
        if self._places:
            self._note()
        if self._name and self._crew.recorded is not None:
            self._crew.wait_saved()

    def break_off(self) -> None:
        """Something was raised: write down what was handed over, if the sink still knows how long it is."""
        if self._places:
            with suppress(Exception):
                self._note()

    def _note(self) -> None:
        self._due = monotonic() + _EVERY
        if self._size is None:
            size = None
        elif self._begun == self._ended:
            size = self._size()
        else:
            return
        self._begun += 1
        places, self._places = tuple(self._places), []
        self._crew.delivered(self._name, places, size)
        self._ended += 1


def _name_of(sink: Any) -> str:
    """Return what a journal calls a sink; "" for one that does not say."""
    name = getattr(sink, "name", "")
    return name if isinstance(name, str) else ""
