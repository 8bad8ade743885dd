"""Notepads in files of Ray's session, so that they can be read on the actor's node when it has died.

A file is there from the moment its actor asks for its notepad. Who hears first of the death takes it away:
itself, if it is on that node, and otherwise by a task that runs there. When the node is gone, so is the note.
"""

from __future__ import annotations

import mmap
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import ray

from pullahead.actors import api
from pullahead.actors.notes import SIZE, Notepad

__all__ = ["Left", "create", "forget", "taken"]

#: Seconds that the node of an actor may take to answer.
_PATIENCE: Final = 5.0

_ray: Any = ray  # half of it has no types


class Left(NamedTuple):
    """What an actor left: `ActorDiedError` has the same fields."""

    note: tuple[bytes, int]
    overdue: tuple[int, int] | None


def _file(actor: str) -> Path | None:
    node = ray._private.worker._global_node  # None in a Ray client
    return None if node is None else Path(node.get_session_dir_path()) / f"pullahead-{actor}.note"


def create() -> tuple[Notepad, int]:
    """Make the notepad of this actor. Returns it, and its open file."""
    file = _file(ray.get_runtime_context().get_actor_id() or "")
    assert file is not None
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    os.posix_fallocate(descriptor, 0, SIZE)  # a disk that is full is an error here, and a signal later
    return Notepad(mmap.mmap(descriptor, SIZE)), descriptor


def forget(actor: str) -> None:
    """Remove the notepad of an actor that was killed on purpose, if it is on this node."""
    file = _file(actor)
    if file is not None:
        with suppress(OSError):
            file.unlink()


def _take_here(actor: str) -> Left | None:
    """Read and remove what an actor of this node left."""
    file = _file(actor)
    if file is None:
        return None
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode) or found.st_size != SIZE:
            return None  # it is none of ours
        notepad = Notepad(mmap.mmap(descriptor, SIZE))
    finally:
        os.close(descriptor)
    left = Left(notepad.read(), notepad.verdict)
    notepad.close()
    with suppress(OSError):
        file.unlink()
    return left


def taken(actor: str, address: str | None) -> Left | None:
    """Take what an actor left on the node with this address. None if it left nothing, or the node is gone.

    `address`: None if Ray does not say where it was: then every node is asked.
    """
    engine = api.running_engine()
    if engine is None or getattr(engine, "is_over", True) or not _ray.is_initialized():
        return None  # to ask Ray anything then would start another one
    left = _take_here(actor)
    is_here = _file(actor) is not None and address == _ray.util.get_node_ip_address()
    if left is not None or is_here:
        return left
    here = None if _file(actor) is None else _ray.get_runtime_context().get_node_id()
    return _take_there(
        actor,
        [
            node["NodeID"]
            for node in _ray.nodes()
            if node["Alive"] and node["NodeID"] != here and address in (None, node["NodeManagerAddress"])
        ],
    )


def _take_there(actor: str, nodes: list[str]) -> Left | None:
    affine = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    task = _ray.remote(num_cpus=0, max_retries=0)(_take_here)
    coming = [task.options(scheduling_strategy=affine(one, soft=False)).remote(actor) for one in nodes]
    deadline = time.monotonic() + _PATIENCE
    while coming and (patience := deadline - time.monotonic()) > 0.0:
        come, coming = ray.wait(coming, timeout=patience)
        for answer in come:
            with suppress(ray.exceptions.RayError):
                left: Left | None = ray.get(answer)
                if left is not None:
                    return left
    return None
