"""The seed's API over one engine: init, get, wait, put, kill, get_actor, shutdown.

Rules
-----
1. One engine per process. The first use starts the local one; `init` chooses another.
2. An engine is eight verbs. Its token for an actor is opaque here, and can be pickled.
3. Meaning follows Ray wherever the name is Ray's, so that a program moves by changing one import.

The process of an actor has an engine too: the one of the program that started it.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any, Protocol, overload

from pullahead.actors.classes import ActorHandle
from pullahead.actors.refs import ObjectRef

if TYPE_CHECKING:
    from pullahead.actors.classes import ActorClass
    from pullahead.actors.options import Options
    from pullahead.actors.signatures import ClassSpec

__all__ = [
    "Engine",
    "as_ref",
    "before_shutdown",
    "cores",
    "current_engine",
    "get",
    "get_actor",
    "init",
    "is_better_put",
    "is_outside",
    "kill",
    "lent",
    "notepad",
    "passed",
    "placed",
    "put",
    "restored",
    "shutdown",
    "size_of",
    "staged",
    "store_size",
    "wait",
]


class Notepad(Protocol):
    """A note and a number that survive their process."""

    def write(self, note: bytes) -> bool:
        """Replace the note. False, and an empty note, if it is too long."""

    @property
    def mark(self) -> Callable[[int], object]:
        """Call this to replace the number, from 0 to 2^64 - 1."""

    def timer(self, which: int, since: float, number: int = 0) -> None:
        """Say since when (on the monotonic clock; 0: no more) something goes on, and what; `which` is 0 or 1.

        An actor that was started with a `time_limit` is killed once that is longer ago.
        """


class Engine(Protocol):
    """What an engine must do."""

    name: str

    @property
    def is_outside(self) -> bool:
        """Whether this process is on no machine of its own: `here=True` is somewhere else then."""

    @property
    def cores(self) -> int | None:
        """How many cores its machines have; None where actors run on this machine."""

    @property
    def puts_from(self) -> int | None:
        """From how many bytes on a value is better put, and its ref passed, than passed. None: never."""

    @property
    def store_size(self) -> int | None:
        """How many bytes the store of objects of this machine has; None if there is none."""

    @property
    def notepad(self) -> Notepad | None:
        """The memory of this actor that survives it; None in the driver, and where the engine has none."""

    def create(
        self,
        actor_class: ActorClass,
        spec: ClassSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: Options,
    ) -> ActorHandle:
        """Start an actor, or find it if the options say so."""

    def call(
        self, token: Any, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], group: str | None
    ) -> ObjectRef:
        """Send a call."""

    def get(self, refs: Sequence[ObjectRef], timeout: float | None) -> list[Any]:
        """Wait for values."""

    def wait(
        self, refs: Sequence[ObjectRef], num_returns: int, timeout: float | None, *, bring: bool
    ) -> tuple[list[ObjectRef], list[ObjectRef]]:
        """Wait until some refs are ready; and, if they are to be brought, here."""

    def adopted(self, value: Any) -> Any:
        """Return our ref or handle for one that is of the system below, and everything else as it is."""

    def put(self, value: Any) -> ObjectRef:
        """Store a value that many may read."""

    def staged(self, buffer: Any) -> memoryview | None:
        """Copy a large buffer into memory, which can be written to, that is sent from here without another
        copy; None: there is no such memory."""

    def passed(self, buffer: Any) -> PickleBuffer:
        """Return what is pickled instead of a buffer that was `staged`, here or where it came from: whoever
        gets it may have this very memory, so nobody who sent it reads or writes it again."""

    def lent(self, buffer: Any) -> PickleBuffer:
        """Return what is pickled instead of such a buffer that its sender keeps, and writes to only when
        nobody has it any more; what its receiver writes to it nobody else sees."""

    def restored(self, buffer: Any) -> bool:
        """Have a buffer that was lent show what it was lent with; return False if it was not lent."""

    def size_of(self, ref: ObjectRef) -> int | None:
        """Return how many bytes a value has; None if it does not exist yet, or that is not known."""

    def kill(self, token: Any) -> None:
        """End an actor's process."""

    def placed(self, token: Any) -> Future[Any]:
        """Return what is done once the process of an actor is there, or is not to come."""

    def find(self, name: str) -> ActorHandle:
        """Find a named actor."""

    def shutdown(self) -> None:
        """End every actor and free what the engine holds."""


_ENGINES = ("local", "ray")
_lock = threading.RLock()
_shutdown_hooks: list[Callable[[], None]] = []
_current: Engine | None = None


def init(engine: str = "local", *, ignore_reinit_error: bool = False, **engine_options: Any) -> None:
    """Choose and start the engine. Optional: the first use starts "local".

    Args:
        engine: "local" (processes on this machine) or "ray".
        ignore_reinit_error: do nothing if this same engine runs already.
        engine_options: passed to the engine.

    Raises:
        RuntimeError: if an engine runs already.
        ValueError: if the engine is unknown.
    """
    with _lock:
        if engine not in _ENGINES:
            raise ValueError(f"unknown engine {engine!r}; known: {', '.join(_ENGINES)}")
        if _current is not None:
            if ignore_reinit_error and _current.name == engine:
                return
            raise RuntimeError(
                f"the engine {_current.name!r} runs already: call shutdown() first, "
                "or init(ignore_reinit_error=True)"
            )
        set_engine(_start(engine, engine_options))


def _start(engine: str, options: dict[str, Any]) -> Engine:
    if engine == "local":
        from pullahead.actors.local.engine import start

        return start(**options)
    try:
        ray = importlib.import_module("pullahead.actors.ray")
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ImportError('the Ray engine needs Ray: pip install "pullahead[ray]"') from None
    return ray.start(**options)  # type: ignore[no-any-return]


def set_engine(engine: Engine | None) -> None:
    """Make this the engine of the process: for `init`, for actor processes, and after a fork."""
    global _current
    _current = engine


def current_engine() -> Engine:
    """Return the engine of this process; start the local one if there is none."""
    engine = _current
    if engine is None:
        with _lock:
            if _current is None:
                init()
            engine = _current
            assert engine is not None
    return engine


def running_engine() -> Engine | None:
    """Return the engine of this process, or None; starts nothing."""
    return _current


def shutdown() -> None:
    """End every actor of this program and free everything. Safe to call twice; `init` works again.

    Raises:
        RuntimeError: in an actor, because the engine is the driver's.
    """
    with _lock:
        engine = _current
        if engine is not None:
            for hook in _shutdown_hooks:
                hook()
            engine.shutdown()
            set_engine(None)


def notepad() -> Notepad | None:
    """Return a small memory of this actor that survives it: what it holds then is `ActorDiedError.note`.

    For whoever must know what an actor was doing when it died. None in the driver, and on engines that have
    no such memory.
    """
    return current_engine().notepad


def cores() -> int | None:
    """Return how many cores the cluster has; None where actors run on this machine. Starts no engine."""
    engine = _current
    return None if engine is None else engine.cores


def is_outside() -> bool:
    """Return whether this process is outside of the cluster: no actor can be on its machine."""
    engine = _current
    return engine is not None and engine.is_outside


def as_ref(value: Any) -> ObjectRef | None:
    """Return a ref, if that is what this is: ours, or one of the system below. Starts no engine."""
    if isinstance(value, ObjectRef):
        return value
    engine = _current
    adopted = None if engine is None else engine.adopted(value)
    return adopted if isinstance(adopted, ObjectRef) else None


def size_of(ref: ObjectRef) -> int | None:
    """Return how many bytes a value has; None if it does not exist yet, or that is not known."""
    return ref.engine.size_of(ref)


def staged(buffer: Any) -> memoryview | None:
    """Copy a large buffer into memory that is sent from here without another copy; None: there is no such.

    It can be written to. See `passed` and `lent`.
    """
    engine = _current
    return None if engine is None else engine.staged(buffer)


def passed(buffer: Any) -> PickleBuffer:
    """Return what is pickled in place of a buffer that is given away.

    If it was `staged`, here or by whom it came from, its receiver may have this very memory: nobody who sent
    it reads or writes it again.
    """
    engine = _current
    return PickleBuffer(buffer) if engine is None else engine.passed(buffer)


def lent(buffer: Any) -> PickleBuffer:
    """Return what is pickled in place of a buffer that its sender keeps as it is.

    If it was `staged`, here or by whom it came from, its receiver may have this very memory: nobody writes to
    it on the way, and what its receiver writes to it nobody else sees.
    """
    engine = _current
    return PickleBuffer(buffer) if engine is None else engine.lent(buffer)


def restored(buffer: Any) -> bool:
    """Undo what was written here to a buffer that was lent. Return False if it was not, and is as it is."""
    engine = _current
    return engine is not None and engine.restored(buffer)


def is_better_put(size: int) -> bool:
    """Return whether a value of so many bytes is better `put`, and its ref passed on, than passed on."""
    engine = _current
    least = None if engine is None else engine.puts_from
    return least is not None and size >= least


def store_size() -> int | None:
    """Return how many bytes the store of objects of this machine has; None if there is none."""
    engine = _current
    return None if engine is None else engine.store_size


def before_shutdown(hook: Callable[[], None]) -> Callable[[], None]:
    """Call `hook` before the engine ends, while actors still live. Returns what takes it back.

    For whoever would take the deaths of actors that follow for accidents.
    """
    _shutdown_hooks.append(hook)
    return lambda: _shutdown_hooks.remove(hook) if hook in _shutdown_hooks else None


@overload
def get(refs: ObjectRef, *, timeout: float | None = None) -> Any: ...
@overload
def get(refs: Sequence[ObjectRef], *, timeout: float | None = None) -> list[Any]: ...
def get(refs: ObjectRef | Sequence[ObjectRef], *, timeout: float | None = None) -> Any:
    """Return the value of a ref, or the values of a list of refs, in order.

    A value is decoded once: two calls return the same object.

    Args:
        refs: one ref, or a list of them.
        timeout: seconds to wait for all of them; None waits for ever, 0 only looks.

    Raises:
        GetTimeoutError: if the time is over. The call goes on.
        ActorDiedError: if the actor's process ended before it answered.
        Exception: what the method raised, as its own type, with the remote traceback as its cause.
    """
    if isinstance(refs, ObjectRef):
        return refs.result(timeout)
    if not isinstance(refs, (list, tuple)):
        refs = current_engine().adopted(refs)
        if isinstance(refs, ObjectRef):
            return refs.result(timeout)
    checked = _checked_refs(refs, "get")
    return checked[0].engine.get(checked, timeout) if checked else []


def wait(
    refs: list[ObjectRef], *, num_returns: int = 1, timeout: float | None = None, fetch_local: bool = True
) -> tuple[list[ObjectRef], list[ObjectRef]]:
    """Wait until `num_returns` refs are ready, or until the time is over.

    Args:
        refs: whose values are waited for.
        num_returns: how many of them.
        timeout: seconds.
        fetch_local: whether a value that is on another machine is brought here, and ready once it has come.

    Returns:
        (ready, others), both in the order given; at most `num_returns` are in `ready`.

    Raises:
        TypeError: if `refs` is not a list of refs.
        ValueError: if a ref is there twice, or `num_returns` is not in 1..len(refs).
    """
    if not isinstance(refs, list):
        raise TypeError(f"wait() needs a list of refs, got {type(refs).__name__}")
    theirs, refs = refs, _checked_refs(refs, "wait")
    if len(set(refs)) != len(refs):
        raise ValueError("wait() needs each ref once, and the list has one twice")
    if not refs:
        return [], []
    if not 1 <= num_returns <= len(refs):
        raise ValueError(f"num_returns must be from 1 to {len(refs)} (the number of refs), got {num_returns}")
    found = refs[0].engine.wait(refs, num_returns, timeout, bring=fetch_local)
    if refs == theirs:
        return found
    given = dict(zip(refs, theirs, strict=True))  # whoever gave refs of the system below gets those back
    return [given[ref] for ref in found[0]], [given[ref] for ref in found[1]]


def _checked_refs(refs: Any, where: str) -> list[ObjectRef]:
    if not isinstance(refs, (list, tuple)):
        raise TypeError(f"{where}() needs an ObjectRef or a list of them, got {type(refs).__name__}")
    if not all(isinstance(ref, ObjectRef) for ref in refs):
        adopted = current_engine().adopted
        refs = [adopted(ref) for ref in refs]
    for ref in refs:
        if not isinstance(ref, ObjectRef):
            raise TypeError(f"{where}() needs ObjectRefs, and the list holds a {type(ref).__name__}")
    return list(refs)


def put(value: Any) -> ObjectRef:
    """Store a value once, for many readers. Large arrays in it arrive read-only.

    Raises:
        TypeError: for an ObjectRef: pass it on as it is.
    """
    if isinstance(value, ObjectRef):
        raise TypeError("put() of an ObjectRef: pass the ref itself on, or put a list that holds it")
    return current_engine().put(value)


def kill(actor: ActorHandle, *, no_restart: bool = True) -> None:
    """End an actor's process at once. Pending and later calls fail with ActorDiedError."""
    if not isinstance(actor, ActorHandle):
        actor = current_engine().adopted(actor)
    if not isinstance(actor, ActorHandle):
        raise TypeError(f"kill() needs an actor handle, got {type(actor).__name__}")
    if not no_restart:
        raise ValueError("no_restart must be True: an actor that died stays dead")
    actor._actor_engine.kill(actor._actor_token)


def placed(actor: ActorHandle) -> Future[Any]:
    """Return a future that is done once the process of an actor is there, whether it is built or not.

    On a cluster an actor waits for a machine that has what its options ask for, perhaps for ever.
    """
    return actor._actor_engine.placed(actor._actor_token)


def get_actor(name: str) -> ActorHandle:
    """Return the handle of a named actor.

    Raises:
        ValueError: if there is none.
    """
    if not isinstance(name, str) or not name:
        raise ValueError(f"get_actor() needs a non-empty name, got {name!r}")
    return current_engine().find(name)
