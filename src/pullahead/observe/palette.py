"""What a picture shows, with its name in the legend and its colour.

Okabe and Ito's palette (2008), which the colour-blind can tell apart; a gap has a tint of the hue of what it
waits for. A test keeps every two of a table apart for normal, red-blind, green-blind and blue-blind eyes.
"""

from __future__ import annotations

from typing import Final

from pullahead.core.trace import (
    CAUSE_BATCH,
    CAUSE_CONSUMER,
    CAUSE_FETCH,
    CAUSE_LOAD,
    CAUSE_ORDER,
    CAUSE_REPORT,
    CAUSE_SOURCE,
    CAUSE_TAIL,
    FETCH,
    LOAD,
    PROCESS,
    REPORT,
    STORE,
)
from pullahead.observe.lanes import stall

#: Strips from the top down: the way of an item.
STRIPS: Final = {
    FETCH: ("fetch", "#E69F00"),
    LOAD: ("load", "#56B4E9"),
    STORE: ("store", "#0072B2"),
    REPORT: ("report", "#CC79A7"),
}

#: A lane's states, from the bottom of a shared column up.
STATES: Final = {
    PROCESS: ("computing", "#22996E"),
    stall(CAUSE_FETCH): ("waits for fetch", "#F6CC80"),
    stall(CAUSE_LOAD): ("waits for load", "#A6D5F2"),
    stall(CAUSE_REPORT): ("waits for report", "#D99CC0"),
    stall(CAUSE_BATCH): ("waits for batch", "#BFAE98"),
    stall(CAUSE_SOURCE): ("waits for source", "#EE9F76"),
    stall(CAUSE_CONSUMER): ("waits for caller", "#7B93C4"),
    stall(CAUSE_ORDER): ("waits for order", "#F2EB5E"),
    stall(CAUSE_TAIL): ("nothing left", "#DFE2E6"),
}

INK: Final = "#1F2933"
GREY: Final = "#6B7785"
PALE: Final = "#C9D0D8"
GROUND: Final = "#F9FAFB"


def colour(state: str) -> str:
    """Return the colour of a state of a lane (see `lanes`)."""
    return (STRIPS.get(state) or STATES[state])[1]
