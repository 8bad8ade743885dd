"""Where calls run: on the main thread, on threads, on an asyncio loop.

A lane takes calls in order. `ordered` says that it runs them one at a time, so that a call whose
arguments are still on their way must hold up the later calls of its caller.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Never, Protocol, final

from pullahead.actors.local.guard import Guard

if TYPE_CHECKING:
    import asyncio  # few actors are async: see `launch` for who imports it

    from pullahead.actors.local.calls import Call, Calls
    from pullahead.actors.local.io import Loop

__all__ = ["AsyncLane", "Lane", "MainLane", "ThreadLane"]


class Lane(Protocol):
    """A place where calls run."""

    ordered: bool

    def put(self, call: Call) -> None:
        """Take a call. Called under the loop's lock, by any thread that reads."""


@final
class MainLane:
    """The main thread, one call at a time. When it has nothing to do, it reads for itself (see io.py)."""

    ordered = True

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self._queue: deque[Call | None] = deque()

    def wake(self) -> None:
        """Make `wait` return. The loop insists on what stands in the queue, so a wake stands there."""
        self.put(None)

    def put(self, call: Call | None) -> None:
        """See `Lane`."""
        self._queue.append(call)
        if self._loop.idle_queue is not None and threading.get_ident() != self._thread:
            self._loop.poke()

    def wait(self) -> None:
        """Read until there may be something to do."""
        loop, queue = self._loop, self._queue
        # First say that this thread waits, then look: who fills the queue looks the other way round.
        loop.idle_queue = queue
        if not queue:
            loop.poll()
        loop.idle_queue = None

    def run(self, calls: Calls) -> Never:
        """Serve for ever."""
        loop, queue, serve = self._loop, self._queue, calls.serve
        guard = Guard(loop)
        guard.begin()
        while True:
            while queue:
                loop.turns += 1
                if guard.resting:
                    guard.cover()
                call = queue.popleft()
                if call is not None:
                    serve(call)
                    call = None  # its arguments must not outlive it
            loop.idle_queue = queue
            if not queue:
                loop.poll()
            loop.idle_queue = None


@final
class ThreadLane:
    """A number of threads with one queue."""

    def __init__(self, size: int) -> None:
        self.ordered = size == 1
        self._size = size
        self._queue: SimpleQueue[Call] = SimpleQueue()

    def put(self, call: Call) -> None:
        """See `Lane`."""
        self._queue.put(call)

    def start(self, calls: Calls, name: str, size: int | None = None) -> None:
        """Start the threads."""
        for index in range(self._size if size is None else size):
            threading.Thread(target=self.run, args=(calls,), name=f"{name}-{index}", daemon=True).start()

    def run(self, calls: Calls) -> Never:
        """Serve for ever, in this thread."""
        while True:
            calls.serve(self._queue.get())


@final
class AsyncLane:
    """An asyncio loop; calls interleave where they await."""

    ordered = False

    def __init__(self, size: int) -> None:
        self._size = size
        self._arrived: deque[Call] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def put(self, call: Call) -> None:
        """See `Lane`."""
        self._arrived.append(call)
        if len(self._arrived) == 1 and self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin)

    def run(self, prepare: Callable[[], Calls]) -> None:
        """Run the loop in this thread; `prepare` makes the instance in it, so that it may use the loop."""
        import asyncio

        asyncio.run(self._main(prepare))

    async def _main(self, prepare: Callable[[], Calls]) -> None:
        import asyncio

        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(self._size)
        self._calls = prepare()
        self._begin()
        await self._loop.create_future()

    def _begin(self) -> None:
        assert self._loop is not None
        while self._arrived:
            task = self._loop.create_task(self._serve(self._arrived.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, call: Call) -> None:
        async with self._room:
            await self._calls.serve_async(call)
