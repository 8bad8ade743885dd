"""What a worker does beside its main thread: plain functions on threads, coroutines on one event loop.

All coroutines of one worker share the loop, so a session that `load` has opened can be used by `store` and
closed by `close`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Thread
from typing import TYPE_CHECKING, Any, final

from pullahead.farm.work import Raised, is_async

if TYPE_CHECKING:
    import asyncio  # its import takes a fifth of what importing Pullahead takes, and few works are async


@final
class Background:
    """See the module.

    Args:
        threads: how many plain functions may run side by side.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread: Thread | None = None
        self._awaited: set[Future[Any]] = set()

    def start(self, call: Callable[[], Any], function: Any, ended: Callable[[Any], None]) -> None:
        """Call, and tell `ended` what came: the value, or a `Raised`. `function` says which kind it is."""
        if is_async(function):
            self._submit(self._await(call, ended))
        else:
            self._thread_pool().submit(self._call, call, ended)

    def result(self, call: Callable[[], Any]) -> Any:
        """Call in this thread; if a coroutine comes, wait until the loop has run it."""
        value = call()
        if not inspect.iscoroutine(value):
            return value
        outcome = self._submit(_outcome(value)).result()
        if isinstance(outcome, Raised):
            raise outcome.error
        return outcome

    def close(self) -> None:
        """Wait for what is under way, then end the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
        if self._loop is not None and self._loop_thread is not None:
            wait(self._awaited.copy())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop_thread.join()
            self._loop.close()

    def settle(self) -> None:
        """Wait for everything that was started, and stay open."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None
        wait(self._awaited.copy())

    def _call(self, call: Callable[[], Any], ended: Callable[[Any], None]) -> None:
        try:
            value = self.result(call)
        except BaseException as error:  # noqa: BLE001  the user's error is an outcome, `sys.exit` included
            value = Raised(error)
        ended(value)

    @staticmethod
    async def _await(call: Callable[[], Any], ended: Callable[[Any], None]) -> None:
        async def called() -> Any:  # what raises before there is a coroutine is an outcome as well
            return await call()

        ended(await _outcome(called()))

    def _submit(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        import asyncio

        future = asyncio.run_coroutine_threadsafe(coroutine, self._event_loop())
        self._awaited.add(future)
        future.add_done_callback(self._awaited.discard)
        return future

    def _thread_pool(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "pullahead-io")
        return self._pool

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            import asyncio

            self._loop = asyncio.new_event_loop()
            self._loop_thread = Thread(target=self._loop.run_forever, name="pullahead-io-loop", daemon=True)
            self._loop_thread.start()
        return self._loop


async def _outcome(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Await it. An event loop dies of a SystemExit that comes out of a task: so nothing comes out."""
    try:
        return await coroutine
    except BaseException as error:  # noqa: BLE001
        return Raised(error)
