"""An actor: builds the user's object, then lets every call into its lane.

Rules
-----
1. Calls of one caller enter a lane in the order in which they were sent. In an ordered lane a call whose
   arguments are on their way holds up the later calls of its own caller, and nobody else's.
2. The constructor runs on the main thread (on its loop, in an async actor), before any call.
3. If the constructor raises, the process stays and answers every call with that exception.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Never, final

from pullahead.actors.local import calls as calls_module
from pullahead.actors.local import kinds
from pullahead.actors.local import payload as payloads
from pullahead.actors.local.calls import Call, Calls, fill_in
from pullahead.actors.local.lanes import AsyncLane, Lane, MainLane, ThreadLane
from pullahead.actors.local.payload import Payload
from pullahead.actors.local.runtime import Runtime
from pullahead.actors.local.wire import Channel, Frame

__all__ = ["Host"]

_ASYNC_CONCURRENCY = 1000  # as in Ray


@final
class Host:
    """What the process of an actor does with what it receives."""

    def __init__(self, runtime: Runtime, creator: int, environment: dict[str, str]) -> None:
        self._runtime = runtime
        self._creator = creator
        self._environment = environment
        self._creation: tuple[Any, ...] | None = None
        self._blueprint: Payload | None = None
        self._early: list[Call] = []  # calls that came before the instance was ready
        self._lanes: dict[str | None, Lane] = {}
        self._failure: Payload | None = None
        self._ready = False  # the instance is there
        self._lines: dict[tuple[Channel, str | None], deque[Call]] = {}
        self._main = MainLane(runtime.loop)
        runtime.handlers[kinds.CREATE] = self._on_create
        runtime.handlers[kinds.CALL] = self._on_call
        runtime.on_peer_died = self._on_peer_died

    # receiving, under the loop's lock

    def _on_create(self, channel: Channel, frame: Frame) -> None:
        number, _, head, data, fds = frame
        world, limits, places, refs, slab = head
        payload = self._runtime.unship(channel, (refs, slab), data, fds)
        call = Call(channel, number, "__init__", None, payload)
        self._prepare(call, payload, places, lambda: self._set_creation((world, limits), payload))

    def _set_creation(self, head: tuple[Any, ...], payload: Payload) -> None:
        self._creation, self._blueprint = head, payload
        self._main.wake()

    def _on_call(self, channel: Channel, frame: Frame) -> None:
        number, flag, head, data, fds = frame
        method, group, places, refs, slab = head
        if flag == kinds.PLAIN:
            call = Call(channel, number, method, group, data)
            if self._ready and not self._lines:  # as `_admit` would find: this is nearly every call
                self._lanes[group].put(call)
            else:
                self._admit(call)
            return
        payload = self._runtime.unship(channel, (refs, slab), data, fds)
        call = Call(channel, number, method, group, payload)
        call.unready = 0 if places is None else 1
        self._admit(call)
        if places is not None:
            self._prepare(call, payload, places, lambda: self._advance(call))

    def _prepare(
        self, call: Call, payload: Payload, places: tuple[int, ...] | None, ready: Callable[[], None]
    ) -> None:
        """Fetch the values of a call's refs, and call `ready` when they are here."""
        refs = [payload.refs[place] for place in places or ()]
        call.unready = 1

        def arrived() -> None:
            call.unready -= 1
            if call.unready == 0:
                ready()

        for ref in refs:
            call.unready += 1
            if not ref.on_settled(arrived):
                call.unready -= 1
        arrived()

    def _admit(self, call: Call) -> None:
        if not self._lanes:
            self._early.append(call)
        elif self._failure is not None:
            calls_module.answer(self._runtime, call, self._failure)
        elif not self._lines and call.unready == 0:
            self._lanes[call.group].put(call)
        else:
            self._line_up(call)

    def _line_up(self, call: Call) -> None:
        lane = self._lanes[call.group]
        line = self._lines.get((call.channel, call.group))
        if line is not None:
            line.append(call)
        elif call.unready == 0:
            lane.put(call)
        elif lane.ordered:
            self._lines[call.channel, call.group] = deque([call])

    def _advance(self, call: Call) -> None:
        """A call has got its arguments: let it in, and those of its caller that stood behind it."""
        lane = self._lanes.get(call.group)
        if lane is None or self._failure is not None:
            return  # not built yet: `_open` will look again; or answered already
        if not lane.ordered:
            lane.put(call)
            return
        line = self._lines.get((call.channel, call.group), ())
        while line and line[0].unready == 0:
            lane.put(line.popleft())
        if not line:
            self._lines.pop((call.channel, call.group), None)

    def _on_peer_died(self, process: int) -> None:
        if process == self._creator and self._creation is None:
            os._exit(1)  # nobody will say what this process should be

    # running

    def run(self) -> Never:
        """Wait for the creation, build the instance, serve."""
        while self._creation is None:
            self._main.wait()
        world, (concurrency, groups, is_async) = self._creation
        self._enter(world)
        if is_async:
            lane = AsyncLane(concurrency or _ASYNC_CONCURRENCY)
            lane.run(lambda: self._open(lane, groups, is_async))
        elif (concurrency or 1) > 1:
            threads = ThreadLane(concurrency)
            calls = self._open(threads, groups, is_async)
            threads.start(calls, "pullahead-call", concurrency - 1)
            threads.run(calls)
        self._main.run(self._open(self._main, groups, is_async))

    def _enter(self, world: tuple[Any, ...]) -> None:
        """Take over the creator's working directory, path, arguments and environment."""
        folder, path, argv, environ, env_vars = world
        with contextlib.suppress(OSError):  # it was removed meanwhile: stay where the fork server is
            os.chdir(folder)
        sys.path[:], sys.argv[:] = path, argv
        wanted = {**environ, **env_vars, **self._environment}
        for name in os.environ.keys() - wanted.keys():
            del os.environ[name]
        for name, value in wanted.items():
            if os.environ.get(name) != value:
                os.environ[name] = value

    def _build(self) -> Any:
        payload, self._blueprint = self._blueprint, None  # the arguments are the instance's now
        assert payload is not None
        target, args, kwargs, dependencies = payloads.loads(payload)
        if isinstance(target, tuple):
            target = _find(*target)
        args, kwargs = fill_in(args, kwargs, dependencies)
        return target(*args, **kwargs)

    def _open(self, default: Lane, groups: dict[str, int], is_async: bool) -> Calls:
        """Build the instance, open the lanes, and let in the calls that came early."""
        exit_with = Calls(self._runtime, None).exit
        failure, calls = None, Calls(self._runtime, None)
        try:
            calls = Calls(self._runtime, self._build())
        except (SystemExit, KeyboardInterrupt) as error:
            exit_with(error)
        except BaseException as error:  # noqa: BLE001  every call will raise it
            failure = calls_module.dumps_user_error(error)
        lanes: dict[str | None, Lane] = {None: default}
        for name, size in groups.items():
            lanes[name] = _group_lane(calls, name, size, is_async)
        with self._runtime.loop.lock:
            self._failure, self._lanes, self._ready = failure, lanes, failure is None
            early, self._early = self._early, []
            for call in early:
                self._admit(call)
        return calls


def _group_lane(calls: Calls, name: str, size: int, is_async: bool) -> Lane:
    if is_async:
        lane = AsyncLane(size)
        run = partial(lane.run, lambda: calls)
        threading.Thread(target=run, name=f"pullahead-{name}", daemon=True).start()
        return lane
    threads = ThreadLane(size)
    threads.start(calls, f"pullahead-{name}")
    return threads


def _find(module: str, qualname: str) -> Any:
    """Import the class that an actor class was made of."""
    from pullahead.actors.classes import ActorClass, _find_class

    found = _find_class(module, qualname)
    return found.wrapped if isinstance(found, ActorClass) else found
