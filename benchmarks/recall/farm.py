"""Queue and workers of one scene, and the caller in a few lines: no window, no source, no order."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from threading import Condition
from time import monotonic
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, final

from benchmarks.recall.watch import Note, WatchedQueue
from benchmarks.recall.works import Item, work

from pullahead import actors
from pullahead.core import messages as m
from pullahead.core.exchange import Caller
from pullahead.core.trace import CAUSE_SOURCE
from pullahead.farm.envelope import Sealed, opened, taken_out
from pullahead.farm.line import DirectLine
from pullahead.farm.payload import pack, unpack
from pullahead.farm.queue import actor_options
from pullahead.farm.work import WorkSpec
from pullahead.farm.worker import Shell, Worker, WorkerOptions

#: Seconds. A round that takes longer than this hangs.
_PATIENCE: Final = 60.0


class Done(NamedTuple):
    """One item that has ended."""

    number: int
    begin: float
    end: float


@final
class Farm:
    """Starts the processes of a scene, sends it items and ends them.

    Args:
        workers: how many.
        lookahead: a fixed one, or None for "auto".
        moves: whether what is held may move: by a recall, or given back by a worker that is stuck.
    """

    def __init__(self, workers: int, lookahead: int | None, *, moves: bool = True) -> None:
        self._caller = Caller()
        self._outbox: list[m.Message] = [(m.OPEN, 0, False)]
        self._heard = Condition()
        self._done: list[Done] = []
        self._submitted = 0
        self._queue: Any = actors.remote(WatchedQueue).options(**actor_options(workers + 1)).remote(moves)
        options = WorkerOptions(lookahead=lookahead, gives_back=moves)
        self._workers: list[Any] = [
            actors.remote(Worker).remote(Shell, number, self._queue, WorkSpec(work), options)
            for number in range(workers)
        ]
        self._ends = [worker.run.remote() for worker in self._workers]
        self._line = DirectLine(m.CALLER, self._queue)

    def round(self, items: Sequence[Item]) -> list[Done]:
        """Submit items and wait until all have ended."""
        first = self._submitted
        self._submitted += len(items)
        payloads = [pack(item) for item in items]
        with self._heard:
            self._outbox.append((m.SUBMIT, 0, first, payloads, CAUSE_SOURCE))
            self._send()
            if not self._heard.wait_for(lambda: len(self._done) == self._submitted, _PATIENCE):
                raise RuntimeError(f"{self._submitted - len(self._done)} items have not ended")
            return self._done[first:]

    def notes(self) -> list[Note]:
        """Return what the queue has noted."""
        notes: list[Note] = actors.get(self._queue.notes.remote())
        return notes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for worker in self._workers:
            actors.kill(worker)
        # Or those that hear sooner of the end of the queue than of their own say that they miss it.
        actors.wait(self._ends, num_returns=len(self._ends), timeout=_PATIENCE)
        actors.kill(self._queue)

    def _send(self) -> None:
        """Call the queue if it may be called; with the lock held."""
        if self._caller.may_send and (self._outbox or self._caller.must_send):
            messages, self._outbox = self._outbox, []
            self._caller.called(monotonic())
            self._line.send(messages, self._answered)

    def _answered(self, call: Future[Sealed]) -> None:
        if call.exception() is not None:
            return  # the end
        with self._heard:
            self._caller.answered()
            for kind, _, *rest in opened(call.result()):
                if kind == m.OUTCOMES:
                    _, items, payloads = rest
                    ended = zip(items, taken_out(payloads), strict=True)
                    self._done += [Done(item, *unpack(payload)) for item, payload in ended]
            self._send()
            self._heard.notify()
