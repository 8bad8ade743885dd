"""The seed's API, and the engines that serve it."""

from pullahead.actors.api import (
    as_ref,
    before_shutdown,
    copied,
    cores,
    get,
    get_actor,
    init,
    is_better_put,
    is_outside,
    kill,
    notepad,
    passed,
    placed,
    put,
    shutdown,
    size_of,
    store_size,
    wait,
)
from pullahead.actors.classes import ActorHandle, method, remote
from pullahead.actors.refs import ObjectRef

__all__ = [
    "ActorHandle",
    "ObjectRef",
    "as_ref",
    "before_shutdown",
    "copied",
    "cores",
    "get",
    "get_actor",
    "init",
    "is_better_put",
    "is_outside",
    "kill",
    "method",
    "notepad",
    "passed",
    "placed",
    "put",
    "remote",
    "shutdown",
    "size_of",
    "store_size",
    "wait",
]
