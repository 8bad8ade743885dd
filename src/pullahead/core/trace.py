"""What happened, as typed records. Time is always given, in seconds of a monotonic clock.

A worker writes one `Span` for each thing it did or waited for. Recording must cost under 2 µs, because it
happens between two pieces of the user's compute: a span is one small tuple appended to a list, and
everything that can be derived later (lanes, hidden seconds, causes) is derived later, in `observe`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

#: What a span can be. `fetch`, `load`, `store` and `report` are communication. An `ask` is the first part of
#: a fetch, in which the ask waited for a call to be free.
ASK: Final = "ask"
FETCH: Final = "fetch"
LOAD: Final = "load"
PROCESS: Final = "process"
STORE: Final = "store"
REPORT: Final = "report"
STALL: Final = "stall"
LOOKAHEAD: Final = "lookahead"

COMMUNICATION: Final = frozenset({FETCH, LOAD, STORE, REPORT})

#: Why a worker waited, in the `detail` of a stall. `batch` is a wait for a fuller batch; `source`, `consumer`
#: and `order` say whom the empty queue was waiting for; `tail` is the wait at the end, when nothing is
#: ready and nothing is on its way back, and is no stall of the run.
CAUSE_FETCH: Final = "fetch"
CAUSE_LOAD: Final = "load"
CAUSE_REPORT: Final = "report"
CAUSE_BATCH: Final = "batch"
CAUSE_SOURCE: Final = "source"
CAUSE_CONSUMER: Final = "consumer"
CAUSE_ORDER: Final = "order"
CAUSE_TAIL: Final = "tail"

CAUSES: Final = (
    CAUSE_FETCH,
    CAUSE_LOAD,
    CAUSE_REPORT,
    CAUSE_BATCH,
    CAUSE_SOURCE,
    CAUSE_CONSUMER,
    CAUSE_ORDER,
    CAUSE_TAIL,
)


class Span(NamedTuple):
    """One thing that a worker did or waited for.

    Attributes:
        kind: one of the names above.
        start: when it began, in seconds of the recording process's monotonic clock.
        end: when it ended; equal to `start` for an instant (`lookahead`).
        item: the number of the (first) item that it was about, -1 for none; for `lookahead` the new depth.
        size: how many items it was about (a bundle is fetched, a batch is processed, as one).
        detail: the cause of a stall, the reason for a new lookahead, else "".
    """

    kind: str
    start: float
    end: float
    item: int = -1
    size: int = 1
    detail: str = ""


class Recorder:
    """A list of spans that are handed over in pieces, so that an endless run keeps no history here."""

    __slots__ = ("_spans", "on")

    def __init__(self, on: bool = True) -> None:
        self.on = on
        self._spans: list[Span] = []

    def add(
        self, kind: str, start: float, end: float, item: int = -1, size: int = 1, detail: str = ""
    ) -> None:
        """Write one span. Does nothing when recording is off."""
        if self.on:
            self._spans.append(Span(kind, start, end, item, size, detail))

    def __len__(self) -> int:
        return len(self._spans)

    def take(self) -> list[Span]:
        """Hand over what was recorded since the last call."""
        spans, self._spans = self._spans, []
        return spans
