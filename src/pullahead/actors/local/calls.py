"""One call on its way through an actor: decode, run, reply."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Never, final

from pullahead.actors.failures import without_our_frames
from pullahead.actors.local import kinds
from pullahead.actors.local import payload as payloads
from pullahead.actors.local.slabs import INLINE
from pullahead.actors.signatures import is_deferred

if TYPE_CHECKING:
    from pullahead.actors.local.payload import Payload
    from pullahead.actors.local.runtime import Runtime
    from pullahead.actors.local.wire import Channel

__all__ = ["Call", "Calls"]


@final
class Call:
    """A call that was received and not yet answered."""

    __slots__ = ("channel", "group", "method", "number", "payload", "unready")

    def __init__(
        self, channel: Channel, number: int, method: str, group: str | None, payload: Payload | bytes
    ) -> None:
        self.channel, self.number, self.method, self.group = channel, number, method, group
        self.payload: Payload | bytes | None = payload  # bytes are marshalled arguments
        self.unready = 0  # refs among the arguments whose values are not here yet

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Decode the arguments, once: nothing of them stays behind."""
        payload, self.payload = self.payload, None
        if type(payload) is bytes:
            return payloads.loads_plain(payload), {}
        assert isinstance(payload, payloads.Payload)
        decoded = payloads.loads(payload)
        return decoded if len(decoded) == 2 else fill_in(*decoded)


def fill_in(
    args: tuple[Any, ...], kwargs: dict[str, Any], dependencies: list[tuple[int | str, Any]]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Put the values of top-level refs in their places; a ref's error is raised."""
    places = list(args)
    for key, ref in dependencies:
        if isinstance(key, int):
            places[key] = ref.take()
        else:
            kwargs[key] = ref.take()
    return tuple(places), kwargs


@final
class Calls:
    """Runs calls on one instance and answers them."""

    def __init__(self, runtime: Runtime, instance: Any) -> None:
        self._runtime = runtime
        self._instance = instance
        self._methods: dict[str, Callable[..., Any]] = {}
        self._deferred: set[str] = set()

    def method(self, name: str) -> Callable[..., Any]:
        """Look up a bound method; later calls find it in the table."""
        bound: Callable[..., Any] = getattr(self._instance, name)
        if is_deferred(bound):
            self._deferred.add(name)
        self._methods[name] = bound
        return bound

    def serve(self, call: Call) -> None:
        """Run a call in this thread and answer it."""
        name = call.method
        try:
            method = self._methods.get(name) or self.method(name)
            args, kwargs = call.arguments()
            result = method(*args, **kwargs)
        except (SystemExit, KeyboardInterrupt) as error:
            self.exit(error)
        except BaseException as error:  # noqa: BLE001  it belongs to the caller
            self.fail(call, error)
        else:
            if name in self._deferred:
                self._defer(call, result)
            else:
                self.reply(call, result)

    async def serve_async(self, call: Call) -> None:
        """Run a call on the running loop and answer it."""
        try:
            method = self._methods.get(call.method) or self.method(call.method)
            args, kwargs = call.arguments()
            result = method(*args, **kwargs)
            deferred = call.method in self._deferred
            if hasattr(result, "__await__") and not deferred:
                result = await result
        except (SystemExit, KeyboardInterrupt) as error:
            self.exit(error)
        except BaseException as error:  # noqa: BLE001  it belongs to the caller
            self.fail(call, error)
        else:
            if deferred:
                self._defer(call, result)
            else:
                self.reply(call, result)

    def _defer(self, call: Call, future: Any) -> None:
        if not isinstance(future, Future):
            kind = type(future).__name__
            self.fail(call, TypeError(f"{call.method} is deferred and must return a Future, not {kind}"))
            return

        def finish(done: Future[Any]) -> None:
            try:
                result = done.result()
            except BaseException as error:  # noqa: BLE001  a cancelled future as well
                self.fail(call, error)
            else:
                self.reply(call, result)

        future.add_done_callback(finish)

    def reply(self, call: Call, result: Any) -> None:
        """Send a result."""
        if type(result) in payloads.PLAIN:
            data = payloads.dumps_plain(result)
            if len(data) <= INLINE:
                call.channel.send_packed(kinds.REPLY, call.number, kinds.PLAIN, b"", data)
                return
        try:
            payload = payloads.dumps(result)
        except Exception as error:  # noqa: BLE001  a result that cannot be pickled is an error of the call
            error.add_note(f"the result of {call.method} cannot be sent")
            self.fail(call, error)
        else:
            self._runtime.ship(call.channel, kinds.REPLY, call.number, kinds.VALUE, (), payload)

    def fail(self, call: Call, error: BaseException) -> None:
        """Send an error, without the frames of ours that it passed through."""
        answer(self._runtime, call, dumps_user_error(error))

    def exit(self, error: BaseException) -> Never:
        """End the process as the exception says: SystemExit with its code, KeyboardInterrupt as by Ctrl-C."""
        self._runtime.peers.flush(1.0)
        code = getattr(error, "code", None)
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
            signal.pause()
        if not isinstance(code, (int, type(None))):
            sys.stderr.write(f"{code}\n")
            code = 1
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit((code or 0) & 0xFF)


def answer(runtime: Runtime, call: Call, error: Payload) -> None:
    """Answer a call with an error."""
    runtime.ship(call.channel, kinds.REPLY, call.number, kinds.ERROR, (), error)


def dumps_user_error(error: BaseException) -> Payload:
    """Pickle an exception of user code, without our own frames at the top of its traceback."""
    return payloads.dumps_error(without_our_frames(error))
