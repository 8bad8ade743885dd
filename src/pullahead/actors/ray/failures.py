"""Ray's errors as ours."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Final

from ray import exceptions as theirs

from pullahead.actors.failures import loads_error
from pullahead.actors.ray import pages
from pullahead.actors.ray.host import RaisedError
from pullahead.errors import (
    ActorDiedError,
    GetTimeoutError,
    ObjectLostError,
    PullaheadError,
    RemoteError,
    RemoteTraceback,
)

__all__ = ["dead", "translated"]

#: Actors, in hexadecimal, of which it is known here that they died: Ray frees their names a little later.
dead: Final[set[str]] = set()

_left: Final[dict[str, pages.Left]] = {}

#: What Ray says of a process that it has ended, for want of memory say, without naming the actor.
_GONE: Final = (theirs.OutOfMemoryError, theirs.NodeDiedError, theirs.WorkerCrashedError)
#: How the id of an actor begins in that of a task which is of none; what follows is the job's.
_NOBODYS: Final = b"\xff" * 12
#: Ray says in a text what it knows of a death.
_FIELD: Final = re.compile(r"^\s*(class_name|name|pid): (.*)$", re.MULTILINE)
_ADDRESS: Final = re.compile(r"^\s*ip: (\S+)$", re.MULTILINE)
_EXIT: Final = re.compile(r"exit code (-?\d+|None)\.")
_BY_KILL: Final = "by kill()"
_KILLED: Final = "killed by `ray.kill`"
_COLOUR: Final = re.compile(r"\x1b\[\d*m")


def translated(error: BaseException, ref: Any = None) -> BaseException:
    """Return what a user of ours expects instead of an error of Ray's: what the method raised, or ours.

    Args:
        error: whatever was raised.
        ref: Ray's, of the call that it is of, if that is known.
    """
    if isinstance(error, theirs.RayTaskError):
        return _of_a_task(error)
    if isinstance(error, theirs.RayActorError):
        return _with_note(_death(_COLOUR.sub("", str(error))), error)
    if isinstance(error, _GONE) and (actor := _actor_of(ref)):
        return _noted(ActorDiedError("of Ray", detail=_first_line(error)), actor, None)
    if isinstance(error, theirs.GetTimeoutError):
        return GetTimeoutError(str(error))
    if isinstance(error, theirs.ObjectLostError):
        return ObjectLostError(_first_line(error))
    if isinstance(error, theirs.RayError):
        return PullaheadError(f"Ray: {_COLOUR.sub('', str(error)).strip()}")
    return error


def _actor_of(ref: Any) -> str | None:
    """Return whose call a ref is of, in hexadecimal; None: nobody's, or it cannot be told."""
    try:
        actor = ref.task_id().actor_id()
    except Exception:  # noqa: BLE001  a client's refs, say, know nothing of it
        return None
    return None if actor.binary().startswith(_NOBODYS) else str(actor.hex())


def _of_a_task(error: theirs.RayTaskError) -> BaseException:
    """Return what the method raised. An error that came by an argument has one more of Ray's around it."""
    cause: BaseException = error
    while isinstance(cause, theirs.RayTaskError) and isinstance(cause.cause, BaseException):
        cause = cause.cause
    if isinstance(cause, RaisedError):
        return loads_error(cause.data)
    if isinstance(cause, theirs.RayError) and not isinstance(cause, theirs.RayTaskError):
        return translated(cause)
    text = _COLOUR.sub("", str(error)).strip()
    if isinstance(cause, theirs.RayTaskError):
        cause = RemoteError(text.rpartition("\n")[2])
    else:
        cause.add_note("Ray raised this around the call: over its arguments, or over its result")
    cause.__cause__ = RemoteTraceback(text)
    return cause


def _with_note(died: ActorDiedError, error: theirs.RayActorError) -> ActorDiedError:
    """Say with a death what the actor left, unless it was meant."""
    if error.actor_id is None or isinstance(error, theirs.ActorUnavailableError):
        return died  # of one that is out of reach it is not known that it has died
    address = _ADDRESS.search(str(error))
    began = address is not None or died.exitcode is not None  # of one that has exited, it may not say where
    where = address[1] if address else None
    return _noted(died, str(error.actor_id), where, began=began)


def _noted(died: ActorDiedError, actor: str, address: str | None, *, began: bool = True) -> ActorDiedError:
    if began and actor not in dead and died.detail != _BY_KILL:
        with suppress(Exception):  # whatever keeps us from it: the death is the news
            left = pages.taken(actor, address)
            if left is not None:
                _left[actor] = left
    dead.add(actor)
    if actor in _left:
        died.note, died.overdue = _left[actor]
    return died


def _death(text: str) -> ActorDiedError:
    fields = dict(_FIELD.findall(text))
    actor = fields.get("class_name", "of Ray")
    if "name" in fields:
        actor = f"{actor} {fields['name']!r}"
    pid = int(fields["pid"]) if "pid" in fields else None
    if _KILLED in text:
        return ActorDiedError(actor, pid, -9, _BY_KILL)
    found = _EXIT.search(text)
    if found is not None:
        return ActorDiedError(actor, pid, 0 if found[1] == "None" else int(found[1]))
    return ActorDiedError(actor, pid, None, _reason(text))


def _reason(text: str) -> str:
    """Return the sentence of Ray's that says why, without its advice."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _FIELD.match(line)]
    said = lines[-1] if lines else ""
    return said.partition(" Some common causes include")[0].rpartition("Worker exit detail: ")[2]


def _first_line(error: BaseException) -> str:
    return _COLOUR.sub("", str(error)).strip().partition("\n")[0]
