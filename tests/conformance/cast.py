"""The actors of the suite."""

from __future__ import annotations

from tests.conformance import troupe
from tests.conformance.troupe import Meeting, OddError

from pullahead import actors

__all__ = [
    "Arrays",
    "AsyncGrouped",
    "AsyncMeeting",
    "BadStart",
    "Caller",
    "Counter",
    "Faulty",
    "Grouped",
    "Mailbox",
    "Meeting",
    "OddError",
    "Surroundings",
    "ThreadedMeeting",
]

Counter = actors.remote(troupe.Counter)
Faulty = actors.remote(troupe.Faulty)
BadStart = actors.remote(troupe.BadStart)
Caller = actors.remote(troupe.Caller)
AsyncMeeting = actors.remote(troupe.AsyncMeeting)
Grouped = actors.remote(concurrency_groups={"control": 1, "pool": 2})(troupe.Grouped)
AsyncGrouped = actors.remote(concurrency_groups={"control": 1})(troupe.AsyncGrouped)
Mailbox = actors.remote(troupe.Mailbox)
Surroundings = actors.remote(troupe.Surroundings)
Arrays = actors.remote(troupe.Arrays)
ThreadedMeeting = actors.remote(max_concurrency=3)(Meeting)
