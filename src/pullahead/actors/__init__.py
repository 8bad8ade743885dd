"""The seed's API, and the engines that serve it."""

from pullahead.actors.api import (
    before_shutdown,
    cores,
    get,
    get_actor,
    init,
    is_outside,
    kill,
    notepad,
    placed,
    put,
    shutdown,
    wait,
)
from pullahead.actors.classes import ActorHandle, method, remote
from pullahead.actors.refs import ObjectRef

__all__ = [
    "ActorHandle",
    "ObjectRef",
    "before_shutdown",
    "cores",
    "get",
    "get_actor",
    "init",
    "is_outside",
    "kill",
    "method",
    "notepad",
    "placed",
    "put",
    "remote",
    "shutdown",
    "wait",
]
