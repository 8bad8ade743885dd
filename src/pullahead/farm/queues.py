"""The queue of a crew, and the one that follows if it dies: the caller's end of all that is said to it.

One outbox and one `Caller` serve every run. With a journal, a queue that died is followed by another one,
which is told what the one before had been told and had not answered for good. Workers find it by its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import RLock, Thread
from time import monotonic
from typing import Any, Final, Protocol, final

from pullahead import actors
from pullahead.core import messages as m
from pullahead.core.clocks import Comparison, Questions
from pullahead.core.exchange import Caller
from pullahead.errors import ActorDiedError, RunError
from pullahead.farm.envelope import Sealed, opened
from pullahead.farm.line import DirectLine
from pullahead.farm.recorded import Recorded
from pullahead.farm.told import Told
from pullahead.journal import Journal

#: Deaths of queues, without one item that ended between them, after which none follows any more.
_MOST_DEATHS: Final = 5


class QueuePort(Protocol):
    """What is told to whoever has the queue. Without the lock held, but for `returning`."""

    def received(self, message: m.Message) -> None:
        """The queue said this."""

    def returning(self) -> tuple[int, ...]:
        """Return the workers that may come to the next queue."""

    def queueless(self) -> None:
        """The queue died when it had been told to stop: there will be no other one."""

    def gave_up(self, said: str, error: BaseException) -> None:
        """There is no queue, and there will be none."""


@final
class Queues:
    """One queue at a time. See the module.

    Args:
        make: starts a queue, from how many died before it.
        journal: what each of them records in, if anything.
        work: what the work is called in there.
        places: what items are known by in there, "position" or "key".
        lock: held while something is decided.
        port: who has the queue.

    Raises:
        JournalError: it cannot be used.
        RunError: no queue lived to begin.
    """

    def __init__(
        self,
        make: Callable[[int], Any],
        journal: Journal | None,
        work: str,
        places: str,
        lock: RLock,
        port: QueuePort,
    ) -> None:
        self.recorded: Recorded | None = None  # what another queue need not be told
        self._make = make
        self._journal, self._work, self._places = journal, work, places
        self._told = None if journal is None else Told()
        self._lock = lock
        self._port = port
        self._before = 0  # queues that died, in whose place others are
        self._deaths = 0  # since something has ended
        self._is_alone = False  # the queue died, and there is no other one yet
        self._is_stopping = self._is_closed = False
        self._caller = Caller()
        self._outbox: list[m.Message] = []
        self._holders = 0  # who have more to say in a moment
        # A queue is on this machine, and has its clock, unless this process is outside of the cluster.
        self._questions = Questions() if actors.is_outside() else None
        self._queue: Any = self._first()
        self._line = DirectLine(m.CALLER, self._queue)

    @property
    def given(self) -> tuple[Any, int]:
        """What a new worker needs: the queue, which may be dead, and how many died before that one."""
        with self._lock:
            return self._queue, self._before - self._is_alone

    @property
    def clock(self) -> Comparison | None:
        """This process's clock compared with that of the queue; None: it is the same one."""
        return None if self._questions is None else self._questions.comparison

    def given_to(self, _worker: int, _lane: int) -> tuple[Any, int]:
        """Return the same for whoever asks: all workers have one queue."""
        return self.given

    def say(self, *messages: m.Message) -> None:
        """Tell the queue, now or as soon as it hears."""
        with self._lock:
            self._outbox.extend(messages)
            if self._told is not None:
                for message in messages:
                    self._told.said(message)
            self._send_if_free()

    def hold(self) -> None:
        """Somebody has more to say in a moment, and says when that was all: by `release`."""
        with self._lock:
            self._holders += 1

    def release(self) -> None:
        """That was all."""
        with self._lock:
            self._holders -= 1
            if self._outbox:
                self._send_if_free()

    def _send_if_free(self) -> None:
        if self._caller.may_send and not (self._holders or self._is_closed):
            self._send()

    def stop(self) -> None:
        """Tell every worker to stop. A queue that dies from now on is not followed by another one."""
        with self._lock:
            self._is_stopping = True
            self.say((m.STOP,))

    def finished(self) -> None:
        """An item has ended: deaths before that do not count any more."""
        self._deaths = 0

    def close(self) -> None:
        """Say and hear nothing any more."""
        self._is_closed = True

    def close_journal(self) -> None:
        """Tidy up, when everything has ended and is saved."""
        with suppress(ActorDiedError):  # at this moment: nothing is lost with it
            actors.get(self._queue.close_journal.remote())

    def kill(self) -> None:
        """End the queue."""
        with self._lock:
            self._is_closed = True
            queue = self._queue
        actors.kill(queue)

    # Talking

    def _send(self) -> None:
        messages, self._outbox = self._outbox, []
        now = monotonic()
        if self._questions is not None and self._questions.ask(now):
            messages.insert(0, (m.CLOCK, now))
        self._caller.called(now)
        self._line.send(messages, partial(self._answered, self._before))

    def _answered(self, before: int, call: Future[Sealed]) -> None:
        # The messages are handled without the lock, because users hear of some of them. They stay in order
        # because a line hands out one answer at a time, in the order of the calls.
        came = monotonic()
        error = call.exception()  # of a call to a queue that was killed at the end, this is nobody's news
        if error is not None:
            self._ended(error, before)
            return
        with self._lock:
            self._caller.answered()
            if not self._is_closed and (self._outbox or self._caller.must_send):
                self._send()
        messages = opened(call.result())
        if self._questions is not None:
            messages, _ = self._questions.without_answers(messages, came)
        self._hear(messages)

    def _hear(self, messages: list[m.Message]) -> None:
        for message in messages:
            with self._lock:
                if self._is_closed:
                    return  # there is nobody left to tell
                if self._told is not None:
                    self._told.heard(message)
            self._port.received(message)

    # Living

    def _first(self) -> Any:
        while True:
            try:
                return self._new()
            except ActorDiedError as error:  # while it opened its journal: nothing is lost with it
                self._deaths += 1
                if self._journal is None or self._deaths > _MOST_DEATHS:
                    raise RunError(f"no queue lived to begin this run: {error}") from error
                self._before += 1

    def _new(self) -> Any:
        """Start a queue, and let it open its journal."""
        queue = self._make(self._before)
        if self._journal is not None:
            try:
                actors.get(queue.open_journal.remote(self._journal, self._work, self._places, os.getpid()))
            except BaseException:
                actors.kill(queue)
                raise
            # What fails from now on has failed in this run.
            self._journal = replace(self._journal, retry_failed=False)
        return queue

    def _ended(self, error: BaseException, before: int) -> None:
        with self._lock:
            if before != self._before or self._is_alone or self._is_closed:
                return  # that is known
            is_over, self._deaths = self._is_stopping, self._deaths + 1
            can_follow = self._told is not None and isinstance(error, ActorDiedError)
            if not is_over and can_follow and self._deaths <= _MOST_DEATHS:
                self._is_alone = True
                self._caller.lost()
                self._before += 1
                Thread(target=self._replace, name="pullahead-replace-queue", daemon=True).start()
                return
        if is_over:
            self._port.queueless()
        elif self._told is None or not isinstance(error, ActorDiedError):
            self._port.gave_up("the queue is gone", error)
        else:
            said = f"{self._deaths} queues died one after the other, and nothing ended between them"
            self._port.gave_up(said, error)

    def _replace(self) -> None:
        """Let another queue go on where the one that died was, with the same journal and workers."""
        assert self._told is not None
        assert self.recorded is not None
        queue: Any = None
        try:
            queue = self._new()
            with self._lock:  # the feeder goes on submitting
                ends = self._told.look_up(self.recorded)
            self._hear(ends)
            with self._lock:
                if self._is_closed:
                    actors.kill(queue)
                    return
                self._queue, self._caller, self._is_alone = queue, Caller(), False
                self._line = DirectLine(m.CALLER, queue)
                # A worker may have come back before it died: the others that died are unknown there.
                lost = [message for message in self._outbox if message[0] == m.LOST]
                self._outbox = self._told.again(self._port.returning()) + lost
                if self._is_stopping:
                    self._outbox.append((m.STOP,))
                self._send()
        except ActorDiedError as error:  # this one, too
            with self._lock:
                self._is_alone = False
            self._ended(error, self._before)
        except Exception as error:  # noqa: BLE001  no more processes, say: nobody else would hear of it
            if queue is not None:  # or the crew was closed meanwhile, and with it what has ended is not known
                actors.kill(queue)
            self._port.gave_up("the queue died and could not be replaced", error)
