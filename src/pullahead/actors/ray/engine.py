"""The verbs of the API on Ray; and the driver's own: start and shutdown.

Ray frees an actor when its last handle is gone, and ends what an actor has started with that actor. Here
the process that starts an actor keeps its handle: it lives until it is killed, or until that process ends.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import logging
import marshal
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from pickle import PickleBuffer
from typing import Any, Final, NamedTuple, final

import ray
from ray.exceptions import GetTimeoutError as RayTimeout
from ray.experimental import get_object_locations, internal_kv
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pullahead.actors import api, serial, timekeeper
from pullahead.actors.classes import ActorClass, ActorHandle
from pullahead.actors.notes import Notepad
from pullahead.actors.options import Options
from pullahead.actors.ray import pages
from pullahead.actors.ray.failures import dead, translated
from pullahead.actors.ray.host import AsyncHost, Host, Limits, ThreadedHost, World
from pullahead.actors.ray.refs import RayRef, forget_refs, ref_of, turns
from pullahead.actors.refs import ObjectRef
from pullahead.actors.signatures import ClassSpec, class_spec, is_deferred, unpack_spec
from pullahead.errors import GetTimeoutError, PullaheadError

__all__ = ["RayEngine", "attach", "start"]

#: Where the specs of named actors are kept, in the store of the cluster.
_NAMESPACE: Final = b"pullahead"
#: Seconds that the name of an actor that was killed may stay taken, and between two tries.
_NAME_PATIENCE: Final = 5.0
_NAME_LOOK: Final = 0.01
#: Calls that may wait in an async actor: as many as there may be workers.
_MOST_CALLS: Final = 100_000
#: Threads for the calls of an actor that has one for each answer which is waited for, beside those.
_NOT_PARKED: Final = 8
#: Seconds that the head of a cluster may take to take a connection.
_CONNECT: Final = 5.0
#: Seconds that joining it may take: with what the program needs before, and `_CONNECT`, half a minute. And
#: where the cluster may first have to build what the runtime_env of the program says.
_JOIN: Final = 22.0
_BUILD: Final = 600.0


#: A method that the actors of this engine have.
_OURS: Final = "is_here"
#: The actors of others: their own handles have their methods.
_FOREIGN: Final = class_spec(type("of Ray", (), {}))


@final
class Token:
    """An actor of Ray's, with what a call must know of it.

    Attributes:
        handle: Ray's.
        is_async: whether its calls are numbered.
    """

    __slots__ = ("handle", "is_async", "key")

    def __init__(self, handle: Any, is_async: bool) -> None:
        self.handle, self.is_async = handle, is_async
        self.key: bytes = handle._actor_id.binary()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.handle, self.is_async)

    def __repr__(self) -> str:
        return self.key.hex()


class _Kept(NamedTuple):
    """An actor that was started here: Ray's handle, and the ref of the first call."""

    handle: Any
    is_here: Any


def _restore(handle: Any, is_async: bool) -> Token:
    attach()
    return Token(handle, is_async)


@final
class RayEngine:
    """The Ray engine in one process. See `pullahead.actors.api.Engine` for the verbs.

    Args:
        ends_ray: whether `shutdown` ends Ray in this process; None in an actor, where there is none.
    """

    name = "ray"
    puts_from = 100_000  # what Ray itself does not send in its messages

    def __init__(self, ends_ray: bool | None) -> None:
        self._notepad: tuple[Notepad, int] | None = None  # and its open file
        self._ends_ray = ends_ray
        self._me = secrets.token_bytes(8)
        self._kept: dict[bytes, _Kept] = {}  # what was started here
        self._named: set[bytes] = set()
        self._killed: set[str] = set()
        self._numbers: dict[tuple[bytes, str | None], itertools.count[int]] = {}
        self.is_over = False
        turns.begin()

    @property
    def is_outside(self) -> bool:
        """See `Engine`."""
        client: Any = ray.util.client
        return bool(client.ray.is_connected())

    @property
    def cores(self) -> int:
        """See `Engine`."""
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        return max(1, int(resources.get("CPU", 1)))

    @property
    def store_size(self) -> int | None:
        """See `Engine`. A caller outside of the cluster puts values into the store of the head."""
        here = None if self.is_outside else ray.get_runtime_context().get_node_id()
        nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        sizes = [
            node["Resources"].get("object_store_memory") for node in nodes if here in (None, node["NodeID"])
        ]
        return min((int(size) for size in sizes if size), default=None)

    @property
    def notepad(self) -> Notepad | None:
        """See `Engine`. An actor gets one when it is asked for."""
        if self._ends_ray is None and self._notepad is None and ray.get_runtime_context().get_actor_id():
            self._notepad = pages.create()
        return None if self._notepad is None else self._notepad[0]

    def begin_guard(self, limit: float) -> None:
        """End this process once a timer of its notepad has run for so many seconds."""
        if self.notepad is not None and self._notepad is not None:
            timekeeper.begin(self._notepad[1], limit)

    def create(
        self,
        actor_class: ActorClass,
        spec: ClassSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: Options,
    ) -> ActorHandle:
        """Start an actor. Nobody waits, but for a name."""
        self._check_running()
        is_async = spec.is_async or _has_deferred(actor_class.wrapped)
        target, _ = serial.dumps(actor_class.wrapped, by_value=True, out_of_band=False)
        world = World(list(sys.path), list(sys.argv), options.env_vars, options.time_limit)
        args, kwargs = self._as_ours(args, kwargs)  # inside of a list, nobody else looks
        given: list[Any] = [target, world, list(args), kwargs]
        base: type = AsyncHost if is_async else Host
        if is_async and not spec.is_async and options.parked is not None:
            base = ThreadedHost
        if base is AsyncHost:
            given.append(Limits(options.max_concurrency, options.concurrency_groups))
        groups = tuple(sorted(options.concurrency_groups.items()))
        ray_class = _ray_class(spec.name, base, groups)
        ray_options = _ray_options(options, base)
        handle = self._start(lambda: ray_class.options(**ray_options).remote(*given), options)
        token = Token(handle, is_async)
        if options.name is not None:
            known = _described(token.key)
            if known is not None:  # it was there before
                was_async, spec = known
                return ActorHandle(self, Token(handle, was_async), spec, options.name)
            internal_kv._internal_kv_put(token.key, bytes([is_async]) + spec.packed, namespace=_NAMESPACE)
            self._named.add(token.key)
        self._kept[token.key] = _Kept(handle, handle.is_here.remote())
        handle.build.remote()
        return ActorHandle(self, token, spec, options.name)

    def _start(self, begin: Callable[[], Any], options: Options) -> Any:
        """Start an actor once its name is free, if it is that of one that died."""
        deadline = time.monotonic() + _NAME_PATIENCE
        while True:
            try:
                return begin()
            except ValueError as error:
                if "already taken" not in str(error):
                    raise
                if not self._is_of_a_dead(options.name or "") or time.monotonic() > deadline:
                    raise ValueError(
                        f"the name {options.name!r} is taken by a living actor (get_if_exists=True finds it)"
                    ) from None
            time.sleep(_NAME_LOOK)

    def _is_of_a_dead(self, name: str) -> bool:
        try:
            return self._has_died(ray.get_actor(name))
        except ValueError:  # free now
            return True

    def _has_died(self, handle: Any) -> bool:
        """Whether that is known here; Ray may not have freed the name yet."""
        actor = handle._actor_id.hex()
        return actor in dead or actor in self._killed

    def call(
        self, token: Any, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], group: str | None
    ) -> ObjectRef:
        """Send a call."""
        self._check_running()
        handle = token.handle
        remote = handle.call.remote if group is None else handle.call.options(concurrency_group=group).remote
        if not token.is_async:
            args = tuple(one.ray_ref if type(one) is RayRef else one for one in args)
            if kwargs:
                kwargs = {k: one.ray_ref if type(one) is RayRef else one for k, one in kwargs.items()}
            return ref_of(self, remote(method, *args, **kwargs))
        # Ray's own refs as ours: Ray would resolve them, and a call whose argument failed would never come.
        args, kwargs = self._as_ours(args, kwargs)
        numbers, number = self._numbers.setdefault((token.key, group), itertools.count()), None
        try:
            number = next(numbers)
            return ref_of(self, remote(marshal.dumps((self._me, number, group, method)), *args, **kwargs))
        except BaseException:
            if number is not None:  # or those behind it would wait for it
                remote(marshal.dumps((self._me, number, group, None)))
            raise

    def _as_ours(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return arguments with our refs in the place of Ray's."""

        def ours(one: Any) -> Any:
            return ref_of(self, one) if isinstance(one, ray.ObjectRef) else one

        return tuple(map(ours, args)), {name: ours(one) for name, one in kwargs.items()}

    def get(self, refs: Sequence[ObjectRef], timeout: float | None) -> list[Any]:
        """Wait for values."""
        missing = [ref for ref in refs if isinstance(ref, RayRef) and not ref.is_here]
        if missing:
            turns.check_may_block()
            self._check_running()
            failure: BaseException | None = None
            try:
                values = ray.get([ref.ray_ref for ref in missing], timeout=timeout)
            except RayTimeout:
                different = list(dict.fromkeys(refs))
                waiting = len(self.wait(different, len(different), 0, bring=False)[1])
                text = f"{waiting} of {len(refs)} values did not arrive within {timeout} s"
                raise GetTimeoutError(text) from None
            except Exception as error:  # noqa: BLE001  all that a method may raise, and what Ray does
                values, failure = [], translated(error, missing[0].ray_ref if len(missing) == 1 else None)
            if failure is not None:
                raise failure
            for ref, value in zip(missing, values, strict=True):
                ref.came(value)
        return [ref.result() for ref in refs]

    def wait(
        self, refs: Sequence[ObjectRef], num_returns: int, timeout: float | None, *, bring: bool
    ) -> tuple[list[ObjectRef], list[ObjectRef]]:
        """Wait until some refs are ready; and, if they are to be brought, here."""
        self._check_running()
        if timeout != 0:
            turns.check_may_block()
        by_theirs = {ref.ray_ref: ref for ref in refs if isinstance(ref, RayRef)}
        found, _ = ray.wait(list(by_theirs), num_returns=len(by_theirs), timeout=0, fetch_local=bring)
        if len(found) < num_returns and timeout != 0:
            found, _ = ray.wait(list(by_theirs), num_returns=num_returns, timeout=timeout, fetch_local=bring)
        there = {by_theirs[one] for one in found}
        ready: list[ObjectRef] = []
        others: list[ObjectRef] = []
        for ref in refs:
            (ready if len(ready) < num_returns and ref in there else others).append(ref)
        return ready, others

    def adopted(self, value: Any) -> Any:
        """Return our ref for a ref of Ray's, and our handle for one of Ray's that `kill` can take."""
        if isinstance(value, ray.ObjectRef):
            return ref_of(self, value)
        if _is_handle(value):
            return ActorHandle(self, Token(value, is_async=False), _FOREIGN, None)
        return value

    def put(self, value: Any) -> ObjectRef:
        """Store a value."""
        self._check_running()
        return ref_of(self, ray.put(value))

    def staged(self, buffer: Any) -> None:
        """See `Engine`. Ray copies what it is given into its store."""

    def passed(self, buffer: Any) -> PickleBuffer:
        """See `Engine`."""
        return PickleBuffer(buffer)

    lent = passed

    def restored(self, _: Any) -> bool:
        """See `Engine`. What is in Ray's store cannot be written to."""
        return False

    def size_of(self, ref: ObjectRef) -> int | None:
        """See `Engine`. Asks the owner of the value."""
        if self.is_outside or not isinstance(ref, RayRef):
            return None
        try:
            known: dict[str, Any] = get_object_locations([ref.ray_ref])[ref.ray_ref]
        except Exception:  # noqa: BLE001  its owner is gone, say: whoever wants the value will hear of it
            return None
        return known["object_size"]  # type: ignore[no-any-return]

    def kill(self, token: Any) -> None:
        """End an actor's process."""
        if self.is_over:
            return
        self._kept.pop(token.key, None)
        self._forget_name(token.key)
        self._killed.add(token.key.hex())
        ray.kill(token.handle)
        pages.forget(token.key.hex())

    def placed(self, token: Any) -> Future[Any]:
        """See `Engine`. For whoever started it."""
        kept = self._kept.get(token.key)
        if kept is None:
            gone: Future[Any] = Future()
            gone.set_exception(PullaheadError("this actor was killed, or somebody else has started it"))
            return gone
        return ref_of(self, kept.is_here).future()

    def find(self, name: str) -> Any:
        """Find a named actor. One that was started by Ray's own API is returned as Ray's handle."""
        self._check_running()
        try:
            handle = ray.get_actor(name)
        except ValueError:
            handle = None
        known = None if handle is None else _described(handle._actor_id.binary())
        if handle is not None and known is None and not hasattr(handle, _OURS) and not self._has_died(handle):
            return handle
        if handle is None or known is None or self._has_died(handle):
            raise ValueError(f"there is no actor named {name!r}")
        is_async, spec = known
        return ActorHandle(self, Token(handle, is_async), spec, name)

    def shutdown(self) -> None:
        """End every actor that was started here, and Ray, if it was started here."""
        if self._ends_ray is None:
            raise RuntimeError("shutdown() is for the program that started the engine, not for its actors")
        if self.is_over:
            return
        for key in list(self._named):
            self._forget_name(key)
        for key, kept in list(self._kept.items()):
            with suppress(Exception):
                ray.kill(kept.handle)
            pages.forget(key.hex())
        self.is_over = True
        self._kept.clear()
        if self._ends_ray:
            ray.shutdown()
        turns.stop()

    def _forget_name(self, key: bytes) -> None:
        if key in self._named:
            self._named.discard(key)
            internal_kv._internal_kv_del(key, namespace=_NAMESPACE)

    def _check_running(self) -> None:
        if self.is_over:
            raise PullaheadError("this engine was shut down")


def _described(key: bytes) -> tuple[bool, ClassSpec] | None:
    """Return whether a named actor is async, and its methods. None: it is none of ours."""
    found: bytes | None = internal_kv._internal_kv_get(key, namespace=_NAMESPACE)
    return None if found is None else (bool(found[0]), unpack_spec(found[1:]))


def _has_deferred(cls: type) -> bool:
    return any(is_deferred(getattr(cls, name, None)) for name in dir(cls) if not name.startswith("__"))


@functools.lru_cache(maxsize=256)
def _ray_class(name: str, base: type, groups: tuple[tuple[str, int], ...]) -> Any:
    """Return the Ray class that hosts a user's class: one of its name, so that Ray's tools show that."""
    cls = type(name, (base,), {"__module__": __name__})
    if not groups:
        return ray.remote(cls)
    sizes = {group: _MOST_CALLS if base is AsyncHost else size for group, size in groups}
    return ray.remote(concurrency_groups=sizes)(cls)  # type: ignore[call-overload]  # its stub knows fewer


def _ray_options(options: Options, base: type) -> dict[str, Any]:
    given: dict[str, Any] = dict(options.cluster)
    if options.name is not None:
        given |= {"name": options.name, "get_if_exists": options.get_if_exists}
    if base is AsyncHost:
        given["max_concurrency"] = _MOST_CALLS
    elif base is ThreadedHost:
        assert options.parked is not None
        given["max_concurrency"] = options.parked + _NOT_PARKED
    elif options.max_concurrency is not None:
        given["max_concurrency"] = options.max_concurrency
    if options.here:
        node = ray.get_runtime_context().get_node_id()
        given["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=False)
    for name in ("num_cpus", "num_gpus"):
        if getattr(options, name) is not None:
            given[name] = getattr(options, name)
    return given


def attach() -> RayEngine:
    """Return the engine of a process that Ray runs. It gets one if it has none.

    Raises:
        RuntimeError: it has another one.
    """
    engine = api.running_engine()
    if engine is None:
        api.set_engine(engine := RayEngine(None))
    if not isinstance(engine, RayEngine):
        raise RuntimeError(f"what belongs to the Ray engine cannot be used on the engine {engine.name!r}")
    return engine


def start(address: str = "local", **options: Any) -> RayEngine:
    """Start or join Ray in this process, as its driver.

    Args:
        address: "local" starts a Ray of this machine that ends with this program; "auto" finds the cluster
            that runs here; "host:port" joins one; "ray://host:port" does so as a client, from outside.
        options: for `ray.init`.

    Raises:
        PullaheadError: there is no such cluster, or it cannot be joined.
        TypeError: an option that `ray.init` does not know.
    """
    if not isinstance(address, str) or not address:
        raise TypeError(
            f"address: expected 'local', 'auto', 'host:port' or 'ray://host:port', got {address!r}"
        )
    if ray.is_initialized():
        if address != "local" or options:
            raise PullaheadError(
                "Ray runs in this process already, and init() would have to ignore its options: "
                "call pullahead.init('ray') without them, or ray.shutdown() first"
            )
        return _driver(ends_ray=False)
    try:
        if address == "local":
            ray.init(address="local", **({"include_dashboard": False} | options))
        else:
            _join(address, options)
    except (PullaheadError, TypeError):  # ours; and an option that `ray.init` does not know
        raise
    except Exception as error:  # whatever Ray has against it
        if "Unknown keyword" in str(error):
            raise TypeError(str(error)) from None
        said = " ".join(str(error).split())
        raise PullaheadError(f"cannot join Ray at {address!r}: {said}") from error
    return _driver(ends_ray=True)


def _driver(ends_ray: bool) -> RayEngine:
    forget_refs()
    engine = RayEngine(ends_ray)
    atexit.unregister(api.shutdown)
    atexit.register(api.shutdown)  # behind Ray's own, so before it
    return engine


def _join(address: str, options: dict[str, Any]) -> None:
    """Join a cluster, or say within half a minute that it cannot be: Ray itself may wait for ever. With a
    runtime_env it may take ten."""
    _check_reachable(address)
    patience = _BUILD if options.get("runtime_env") else _JOIN
    joined: Future[None] = Future()

    def join() -> None:
        try:
            ray.init(address=address, **options)
        except BaseException as error:  # noqa: BLE001  it is raised below
            joined.set_exception(error)
        else:
            joined.set_result(None)

    ray_says = logging.getLogger("ray._private.worker")
    ray_says.addFilter(_is_not_of_a_thread)
    threading.Thread(target=join, name="pullahead-join-ray", daemon=True).start()
    try:
        joined.result(patience)
    except FutureTimeoutError:
        # Ray starts a server for each client, which may die at once, and tells the client nothing of it.
        again = " If it is, start this program again." if address.startswith("ray://") else ""
        said = f"no answer of Ray's came within {patience:g} s; is that its port?{again}"
        raise PullaheadError(f"cannot join Ray at {address!r}: {said}") from None
    finally:
        ray_says.removeFilter(_is_not_of_a_thread)


def _is_handle(value: Any) -> bool:
    """Whether this is a handle of Ray's, in a client of a cluster, too."""
    client = sys.modules.get("ray.util.client.common")  # there where somebody has joined as one
    kinds = (ray.actor.ActorHandle, *([] if client is None else [client.ClientActorHandle]))
    return isinstance(value, kinds)


def _is_not_of_a_thread(record: logging.LogRecord) -> bool:
    """Ray warns that it cannot handle SIGTERM when a thread joins. It is ours to handle, or the user's."""
    return "SIGTERM handler is not set" not in record.getMessage()


def _check_reachable(address: str) -> None:
    """Find out early whether anybody listens there: Ray itself tries for a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT).close()
    except OSError as error:
        raise PullaheadError(f"cannot join Ray at {address!r}: nobody answers there ({error})") from None


def _switch_off() -> None:
    """In a forked process: Ray does not work there."""
    if isinstance(api.running_engine(), RayEngine):
        api.set_engine(None)


os.register_at_fork(after_in_child=_switch_off)
