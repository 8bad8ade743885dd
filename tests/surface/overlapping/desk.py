"""A `fetch` whose answers a test gives by hand, a `give_back` to look into, and a clock to move."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from concurrent.futures import Future
from typing import Any

SOON = 10.0  # seconds: what must happen on another thread has happened by then, or the test fails


class Clock:
    """Time moves only when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """A `fetch` whose answers a test gives by hand, in any order, before or after the request."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []
        self.threads: list[threading.Thread] = []
        self._early: dict[int, Any] = {}

    def __call__(self) -> Future[Any]:
        future: Future[Any] = Future()
        number = len(self.futures)
        self.futures.append(future)
        self.threads.append(threading.current_thread())
        if number in self._early:
            self._resolve(future, self._early.pop(number))
        return future

    def answer(self, number: int, value: Any) -> None:
        """Answer a request; one that has not been made yet is answered as soon as it is."""
        if number < len(self.futures):
            self._resolve(self.futures[number], value)
        else:
            self._early[number] = value

    @staticmethod
    def _resolve(future: Future[Any], value: Any) -> None:
        if isinstance(value, BaseException):
            future.set_exception(value)
        else:
            future.set_result(value)


class Tray:
    """A `give_back` that can be waited for."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.threads: list[threading.Thread] = []

    def __call__(self, item: Any) -> None:
        self.threads.append(threading.current_thread())
        self._queue.put(item)

    def take(self, count: int) -> list[Any]:
        return [self._queue.get(timeout=SOON) for _ in range(count)]

    def now(self) -> list[Any]:
        return [self._queue.get_nowait() for _ in range(self._queue.qsize())]


class Ref:
    """Has the part of an ObjectRef that matters, and counts how often its value was asked to travel."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future
        self.pulled = 0

    def future(self) -> Future[Any]:
        self.pulled += 1
        return self._future

    def __await__(self) -> Generator[Any, None, Any]:
        raise NotImplementedError


def with_answers(*values: Any) -> Desk:
    desk = Desk()
    for number, value in enumerate(values):
        desk.answer(number, value)
    return desk


def threads_of_ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("pullahead-")]


def join_ours() -> None:
    for thread in threads_of_ours():
        thread.join(SOON)
