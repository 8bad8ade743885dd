"""What differs between the engines, as far as a user can notice it. The suite checks each line on both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Differences:
    """One engine.

    Attributes:
        own_arrays: arrays arrive writable, the receiver's own. On Ray they are read-only views of its store.
        keeps_bytearrays: a `bytearray` arrives as one. Ray makes `bytes` of it, wherever it is.
        main_beside_groups: an actor with concurrency groups runs its other methods on the main thread.
        knows_exits: an error says how a process ended that did not end by `sys.exit` or `kill`.
        keeps_last_replies: what an actor answered just before it died arrives.
        takes_interrupts: SIGINT ends an actor.
        orders_callbacks: those of calls on one actor run in the order of its replies.
        surrounds: actors have the driver's working directory and environment. On Ray they have their node's.
        orphans_live: what an actor has started lives on when that actor dies.
        places_at_once: all workers of a run begin, however short. On Ray some may find no place in time.
        kills_at_once: a call that follows a `kill` fails. On Ray it may still be answered.
        loses_at_once: what an actor has put is lost when it dies. On Ray it may be.
        ready_at_once: the future of a value that is here is done.
        knows_shutdown: calls that were pending say that a shutdown ended their actor.
        has_cluster: options that only a cluster can honour are honoured.
    """

    own_arrays: bool
    keeps_bytearrays: bool
    main_beside_groups: bool
    knows_exits: bool
    keeps_last_replies: bool
    takes_interrupts: bool
    orders_callbacks: bool
    surrounds: bool
    orphans_live: bool
    places_at_once: bool
    kills_at_once: bool
    loses_at_once: bool
    ready_at_once: bool
    knows_shutdown: bool
    has_cluster: bool


DIFFERENCES = {
    "local": Differences(
        own_arrays=True,
        keeps_bytearrays=True,
        main_beside_groups=True,
        knows_exits=True,
        keeps_last_replies=True,
        takes_interrupts=True,
        orders_callbacks=True,
        surrounds=True,
        orphans_live=True,
        places_at_once=True,
        kills_at_once=True,
        loses_at_once=True,
        ready_at_once=True,
        knows_shutdown=True,
        has_cluster=False,
    ),
    "ray": Differences(
        own_arrays=False,
        keeps_bytearrays=False,
        main_beside_groups=False,
        knows_exits=False,
        keeps_last_replies=False,
        takes_interrupts=False,
        orders_callbacks=False,
        surrounds=False,
        orphans_live=False,
        places_at_once=False,
        kills_at_once=False,
        loses_at_once=False,
        ready_at_once=False,
        knows_shutdown=False,
        has_cluster=True,
    ),
}
