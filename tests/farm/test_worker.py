"""The worker actor as an object: how its main thread and the one that brings answers meet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from pullahead.core import messages as m
from pullahead.core.trace import CAUSE_SOURCE
from pullahead.farm.payload import pack
from pullahead.farm.work import WorkSpec
from pullahead.farm.worker import Worker, WorkerOptions

PATIENCE = 10.0


class ScriptedQueue:
    """Stands in for the handle of the queue: grants two items, and says stop as soon as it hears of a result.

    It answers in a thread of its own, as the engine does. It says stop while the worker still sends that
    result, with its lock held.
    """

    def __init__(self) -> None:
        self.exchange = self
        self.heard: list[m.Message] = []
        self.let_go: list[bool] = []  # whether the thread that answers did not have to wait for the lock
        self._calls: list[Future[list[m.Message]]] = []
        self._answers: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def remote(self, _worker: int, messages: list[m.Message]) -> ScriptedQueue:
        self.heard += messages
        if not self.let_go and any(message[0] == m.DONE for message in messages):
            self.let_go.append(self._answer(self._calls[-1], (m.STOP,)).wait(PATIENCE))
        elif len(self._calls) > 1:
            self._answer(self._calls[-1])
        self._calls.append(Future())
        return self

    def future(self) -> ScriptedQueue:
        return self

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        call = self._calls[-1]
        call.add_done_callback(fn)
        if len(self._calls) == 1:
            self._answer(call, (m.GRANT, 7, 0, [pack("a"), pack("b")], 0.0, CAUSE_SOURCE))

    def settle(self) -> None:
        """Wait until every answer was heard, and every answer to what was said then."""
        for _ in range(3):
            told = threading.Event()
            self._answers.put(told.set)
            assert told.wait(PATIENCE)

    def close(self) -> None:
        self._answers.put(None)
        self._thread.join()

    def _answer(self, call: Future[list[m.Message]], *messages: m.Message) -> threading.Event:
        told = threading.Event()

        def answer() -> None:
            call.set_result(list(messages))
            told.set()

        self._answers.put(answer)
        return told

    def _run(self) -> None:
        while (answer := self._answers.get()) is not None:
            answer()


def test_an_answer_between_two_items_waits_for_nobody_and_is_heard_before_the_next_one_ends() -> None:
    """It would otherwise wait for the lock, and then for the interpreter of who computes the next item."""
    queue, began = ScriptedQueue(), []

    def work(item: str) -> None:
        began.append(item)
        queue.settle()  # so that the main thread itself can send the result, when it has the lock

    worker = Worker(0, queue, WorkSpec(work), WorkerOptions(lookahead=1))
    try:
        worker.run()
    finally:
        queue.close()
    assert queue.let_go == [True]
    assert began == ["a", "b"]
    items = [items for kind, *rest in queue.heard if kind == m.DONE for items in rest[1:2]]
    assert items == [(0,), (1,)]
    assert queue.heard[-1] == (m.BYE,)
