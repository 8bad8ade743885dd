"""What frames say: between processes, to the fork server, and from it."""

from __future__ import annotations

from typing import Final

# Between two processes (drivers and actors alike). The number in the frame's head is in brackets.
CREATE: Final = 0  # [0] the first frame to a new actor: its world, its class, its arguments
CALL: Final = 1  # [call] flag VALUE or PLAIN; method, group, dependencies, refs, slab; payload: arguments
REPLY: Final = 2  # [call] flag VALUE, PLAIN or ERROR; refs, slab; payload: result
FETCH: Final = 3  # [object] to its owner: send me the value when it is there
FETCHED: Final = 4  # [object] flag VALUE, PLAIN, ERROR or LOST; refs, slab; payload
SHARE: Final = 5  # [object] to its owner: I gave a ref to this process
RELEASE: Final = 6  # [object] to its owner: so many refs have died here
SLAB_FREE: Final = 7  # [slab] the last view of it is gone: use it again; flag: or never, somebody may have it
SLAB_DROP: Final = 8  # [slab] it will not be used again: unmap it

# To the fork server
# [request, or 0] actor, label, name, get_if_exists, num_gpus, time_limit; fd; payload: handle
SPAWN: Final = 0
CONNECT: Final = 1  # [process] here is the other end of my channel to it; fd
KILL: Final = 2  # [process] None, or why
LOOKUP: Final = 3  # [request] name
SHUTDOWN: Final = 4  # from the driver

# From the fork server
# [process] label, pid, exit code, detail, and None or what it left: note, mark, what was overdue
DIED: Final = 0
ACCEPT: Final = 1  # [process] it opened a channel to you; fd
ANSWER: Final = 2  # [request] flag FOUND, TAKEN, UNKNOWN or STARTED; payload: handle

# The states of a ref
PENDING: Final = 0
READY: Final = 1  # its value is here, encoded
FAILED: Final = 2  # its error is here, encoded
DECODED: Final = 3

# Flags
VALUE: Final = 0
ERROR: Final = 1
LOST: Final = 2
PLAIN: Final = 3  # a value too, but marshalled: see payload.py
STARTED: Final = 0
FOUND: Final = 1
TAKEN: Final = 2
UNKNOWN: Final = 3

# Process numbers: session (23 bits) | creator (20 bits) | count (20 bits), so that every process can number
# what it creates without asking, and a handle from another run is recognised.
COUNT_BITS: Final = 20
SESSION_SHIFT: Final = 40


def creator_of(process: int) -> int:
    """Return the serial number of the process that chose this number."""
    return (process >> COUNT_BITS) & ((1 << COUNT_BITS) - 1)


def is_driver(process: int) -> bool:
    """Return whether this is the number of the driver of its run."""
    return not process & ((1 << SESSION_SHIFT) - 1)


def session_of(process: int) -> int:
    """Return the run that this number belongs to."""
    return process >> SESSION_SHIFT
