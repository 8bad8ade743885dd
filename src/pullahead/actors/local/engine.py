"""The verbs of the API over the runtime of this process; and the driver's own: start and shutdown.

A process that was forked by user code has no engine: its copy is switched off before the fork returns
there, so that it neither answers for its parent nor disturbs it. It may start one of its own.
"""

from __future__ import annotations

import atexit
import functools
import marshal
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from pickle import PickleBuffer
from typing import Any, final

from pullahead.actors import api
from pullahead.actors.classes import ActorClass, ActorHandle, label
from pullahead.actors.local import kinds, objects
from pullahead.actors.local import payload as payloads
from pullahead.actors.local.descriptors import socket_pair
from pullahead.actors.local.kinds import PENDING, READY
from pullahead.actors.local.launch import ForkServer
from pullahead.actors.local.objects import LocalRef
from pullahead.actors.local.payload import PLAIN, Payload, dumps_plain
from pullahead.actors.local.runtime import Runtime
from pullahead.actors.local.slabs import INLINE, seal
from pullahead.actors.local.stage import lent, passed, restored
from pullahead.actors.local.waiting import wait_for_some
from pullahead.actors.notes import Notepad
from pullahead.actors.options import Options, unknown_option
from pullahead.actors.refs import ObjectRef
from pullahead.actors.signatures import ClassSpec
from pullahead.errors import GetTimeoutError, PullaheadError

__all__ = ["LocalEngine", "start"]


@functools.lru_cache(maxsize=4096)
def _packed_head(method: str, group: str | None) -> bytes:
    """Marshal what the frames of most calls say: this method, and nothing special."""
    return marshal.dumps((method, group, None, None, None), 2)


@final
class LocalEngine:
    """The local engine in one process. See `pullahead.actors.api.Engine` for the verbs."""

    name = "local"
    cores = None
    is_outside = False
    puts_from = store_size = None  # shared memory moves what is passed

    def __init__(
        self, runtime: Runtime, fork_server: ForkServer | None, notepad: Notepad | None = None
    ) -> None:
        self.runtime = runtime
        runtime.engine = self
        self._fork_server = fork_server  # None in an actor
        self.notepad = notepad

    def create(
        self,
        actor_class: ActorClass,
        spec: ClassSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: Options,
    ) -> ActorHandle:
        """Start an actor. Nobody waits, but for a name."""
        runtime = self.runtime
        self._check_running()
        if options.cluster:
            names = ", ".join(sorted(options.cluster))
            raise ValueError(f"{names}: one machine cannot honour this; a cluster can: pullahead.init('ray')")
        process = runtime.next_actor()
        handle = ActorHandle(self, process, spec, options.name)
        args, kwargs, dependencies = take_out_refs(args, kwargs)
        target = actor_class.reference() or actor_class.wrapped
        payload = payloads.dumps((target, args, kwargs, dependencies), by_value=True)
        runtime.peers.labels[process] = label(spec, options.name)
        ours, theirs = socket_pair()
        channel = runtime.peers.link(process, ours)
        limits = (options.max_concurrency, options.concurrency_groups, spec.is_async)
        prefix = (_world(options), limits, _places(payload, dependencies))
        runtime.ship(channel, kinds.CREATE, 0, 0, prefix, payload)
        head = (
            process,
            runtime.peers.labels[process],
            options.name,
            options.get_if_exists,
            options.num_gpus,
            options.time_limit,
        )
        if options.name is None:
            runtime.hub.tell(kinds.SPAWN, head=head, fds=(theirs.detach(),))
            return handle
        runtime.check_may_block()
        written = bytes(payloads.dumps(handle).data)
        flag, found = runtime.hub.ask(kinds.SPAWN, head, written, (theirs.detach(),))
        if flag == kinds.STARTED:
            return handle
        runtime.forget(process)
        if flag == kinds.TAKEN:
            raise ValueError(
                f"the name {options.name!r} is taken by a living actor (get_if_exists=True finds it)"
            )
        existing: ActorHandle = payloads.loads(Payload(found))
        return existing

    def call(
        self, token: Any, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], group: str | None
    ) -> ObjectRef:
        """Send a call."""
        if not kwargs:
            for value in args:
                if type(value) not in PLAIN:
                    break
            else:
                data = dumps_plain(args)
                if len(data) <= INLINE:
                    return self.runtime.call_plain(token, _packed_head(method, group), data)
        args, kwargs, dependencies = take_out_refs(args, kwargs)
        if not dependencies:
            payload = payloads.dumps((args, kwargs))
            return self.runtime.call(token, kinds.CALL, (method, group, None), payload)
        payload = payloads.dumps((args, kwargs, dependencies))
        return self.runtime.call(token, kinds.CALL, (method, group, _places(payload, dependencies)), payload)

    def get(self, refs: Sequence[ObjectRef], timeout: float | None) -> list[Any]:
        """Wait for values."""
        if timeout is None:
            return [ref.result() for ref in refs]
        deadline = time.monotonic() + timeout
        try:
            return [ref.result(max(deadline - time.monotonic(), 0.0)) for ref in refs]
        except GetTimeoutError:
            waiting = sum(isinstance(ref, LocalRef) and ref.state == PENDING for ref in refs)
            if not waiting:  # it is the error of a method, raised by `get` in there
                raise
            text = f"{waiting} of {len(refs)} values did not arrive within {timeout} s"
            raise GetTimeoutError(text) from None

    def wait(
        self,
        refs: Sequence[ObjectRef],
        num_returns: int,
        timeout: float | None,
        *,
        bring: bool = True,  # noqa: ARG002  there is one machine: what is ready is here
    ) -> tuple[list[ObjectRef], list[ObjectRef]]:
        """Wait until some refs are ready."""
        local = [ref for ref in refs if isinstance(ref, LocalRef)]
        wait_for_some(self.runtime, local, num_returns, timeout)
        ready: list[ObjectRef] = []
        others: list[ObjectRef] = []
        for ref in local:
            (ready if len(ready) < num_returns and ref.state != PENDING else others).append(ref)
        return ready, others

    def adopted(self, value: Any) -> Any:
        """Return what is not ours as it is."""
        return value

    def put(self, value: Any) -> ObjectRef:
        """Store a value."""
        self._check_running()
        runtime = self.runtime
        ref = LocalRef(runtime, runtime.me, next(runtime.numbers))
        ref.kept = True
        ref.settle(READY, seal(payloads.dumps(value)))
        return ref

    def size_of(self, ref: ObjectRef) -> int | None:
        """See `Engine`."""
        payload = ref.payload if isinstance(ref, LocalRef) else None
        return None if payload is None else len(payload.data) + sum(one.nbytes for one in payload.buffers)

    def staged(self, buffer: Any) -> memoryview | None:
        """See `Engine`."""
        return self.runtime.peers.stage.copy(buffer)

    def passed(self, buffer: Any) -> PickleBuffer:
        """See `Engine`."""
        return passed(buffer)

    def lent(self, buffer: Any) -> PickleBuffer:
        """See `Engine`."""
        return lent(buffer)

    def restored(self, buffer: Any) -> bool:
        """See `Engine`."""
        return restored(buffer)

    def kill(self, token: Any) -> None:
        """End an actor's process."""
        self.runtime.peers.mute(token)
        self.runtime.hub.tell(kinds.KILL, token)

    def placed(self, token: Any) -> Future[Any]:
        """A process of this machine is there at once."""
        del token
        there: Future[Any] = Future()
        there.set_result(None)
        return there

    def find(self, name: str) -> ActorHandle:
        """Find a named actor."""
        self._check_running()
        self.runtime.check_may_block()
        flag, found = self.runtime.hub.ask(kinds.LOOKUP, (name,))
        if flag == kinds.UNKNOWN:
            raise ValueError(f"there is no actor named {name!r}")
        handle: ActorHandle = payloads.loads(Payload(found))
        return handle

    def shutdown(self) -> None:
        """End every actor and free everything."""
        if self._fork_server is None:
            raise RuntimeError("shutdown() is for the program that started the engine, not for its actors")
        if self.runtime.closed:
            return
        self.runtime.closing = True
        self.runtime.hub.tell(kinds.SHUTDOWN)
        self._fork_server.wait()
        self.runtime.close()
        _drivers.discard(self)

    def abandon(self) -> None:
        """Switch off in a forked process."""
        self.runtime.abandon()
        if self._fork_server is not None:
            self._fork_server.abandon()

    def _check_running(self) -> None:
        if self.runtime.closed:
            raise PullaheadError("this engine was shut down, or belongs to the process that forked")
        if self.runtime.hub.channel.ended:
            raise PullaheadError("the fork server ended: no actor can be started or found; call shutdown()")


_Dependencies = list[tuple[int | str, ObjectRef]]


def take_out_refs(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], _Dependencies]:
    """Take the refs out of the arguments' top level, with their places: they arrive as values."""
    found: _Dependencies = []
    for index, value in enumerate(args):
        if isinstance(value, ObjectRef):
            found.append((index, value))
    for key, value in kwargs.items():
        if isinstance(value, ObjectRef):
            found.append((key, value))
    if found:
        args = tuple(None if isinstance(value, ObjectRef) else value for value in args)
        kwargs = {key: None if isinstance(value, ObjectRef) else value for key, value in kwargs.items()}
    return args, kwargs, found


def _places(payload: Payload, dependencies: _Dependencies) -> tuple[int, ...] | None:
    """Say which of the refs in a payload must have their values before the call can run."""
    order = {id(ref): index for index, ref in enumerate(payload.refs)}
    return tuple({order[id(ref)] for _, ref in dependencies}) or None


def _world(options: Options) -> tuple[Any, ...]:
    """Describe what a new process must look like before the user's class is imported."""
    try:
        folder = str(Path.cwd())
    except FileNotFoundError:  # it was removed
        folder = ""
    return folder, list(sys.path), list(sys.argv), dict(os.environ), options.env_vars


_drivers: set[LocalEngine] = set()


def start(**options: Any) -> LocalEngine:
    """Start the local engine in this process, as its driver."""
    for name in options:
        raise unknown_option(name, ["none"], "option of the local engine")
    if sys.platform == "win32":
        raise PullaheadError("the local engine needs Linux or macOS; on Windows, use WSL")
    fork_server = ForkServer()
    runtime = Runtime(fork_server.driver, 0, fork_server.sock, Runtime.on_hub_gone)
    engine = LocalEngine(runtime, fork_server)
    runtime.loop.on_crash = runtime.on_crash
    runtime.loop.start()
    _drivers.add(engine)
    return engine


def _at_exit() -> None:
    api.shutdown()


def _after_fork() -> None:
    objects.replace_lock()
    engine = api.running_engine()
    if isinstance(engine, LocalEngine):
        engine.abandon()
        api.set_engine(None)
    _drivers.clear()


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork)
