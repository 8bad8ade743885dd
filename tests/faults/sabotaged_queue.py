"""A queue that commits a fault at an exact moment, as a file beside its journal tells it to.

`Queue` is imported by name in its own process, so a test puts `SabotagedQueue` in its place and leaves the
plan where both can read it. Each fault leaves a file: the queue that comes after reads there what is done.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Timer
from typing import Any

from pullahead.core import messages as m
from pullahead.errors import JournalError
from pullahead.farm.queue import Answer, Queue
from pullahead.journal import Journal
from pullahead.journal.records import Ended, Record

#: Names of moments, each of which comes when
MOMENTS = {
    "opened": "the journal was opened, and the caller has not heard of it",
    "returning": "a queue that took the place of another one hears who may come back",
    "grant": "a worker is granted items, and has not heard of it",
    "granted": "a worker was told that it is granted items",
    "done": "a worker reports results, which are not taken yet",
    "unstored": "a worker was told when to store again what it failed to store",
    "failed": "a worker was charged an attempt",
    "charged": "that an attempt was charged is on disk, and nobody was told",
    "begin": "a transaction has begun, and nothing is in it",
    "commit": "everything is in a transaction, which is not committed",
    "committed": "a transaction was committed, and nobody was told",
    "told": "everybody was told of what was committed",
    "lost": "the queue hears that a worker died",
    "delivered": "the queue hears that the sink has results, which is not written",
    "cancel": "the queue hears that a run was cancelled",
    "cancelled": "the queue has done what follows from that",
    "stop": "the queue hears that everything is over",
    "bye": "a worker says goodbye",
    "ended": "a run has ended, and the caller has not heard of it",
    "close": "the journal is about to be closed",
    "closed": "the journal was closed, and the caller has not heard of it",
}
_HEARD = {m.CANCEL: "cancel", m.STOP: "stop", m.BYE: "bye", m.DONE: "done", m.LOST: "lost"}
_HEARD |= {m.DELIVERED: "delivered", m.RETURNING: "returning"}
_HANDLED = {m.CANCEL: "cancelled", m.UNSTORED: "unstored", m.FAILED: "failed"}


def plan(
    journal: str | Path,
    moment: str = "",
    fault: str = "kill",
    *,
    nth: int = 1,
    since: str = "",
    then: str = "",
    times: int = 1,
    after: float = 0.0,
    slow: float = 0.0,
    limit: int | None = None,
) -> None:
    """Write what is to happen to the queues of a journal.

    Args:
        journal: which.
        moment: see `MOMENTS`.
        fault: "kill" or "exit": the queue; "driver": kill the one who wants the results.
        nth: when the moment comes in a queue for the so manieth time.
        since: those before that moment do not count.
        then: the moment for the queues after the first one, if it is another one.
        times: in so many queues, one after the other.
        after: so many seconds after the moment.
        slow: seconds that each transaction takes.
        limit: bytes that a file may have.
    """
    assert not moment or moment in MOMENTS, moment
    told = {"moment": moment, "fault": fault, "nth": nth, "since": since}
    told |= {"then": then, "times": times, "after": after}
    Path(journal).with_name("plan").write_text(json.dumps(told | {"slow": slow, "limit": limit}))


def forget(journal: str | Path) -> None:
    """Nothing is to happen any more."""
    Path(journal).with_name("plan").unlink(missing_ok=True)


def faults(journal: str | Path) -> int:
    """Count the faults that were committed."""
    return len(list(Path(journal).parent.glob("fault *")))


def queues(journal: str | Path) -> list[int]:
    """Return the pids of the queues that had this journal, in order."""
    had = sorted(Path(journal).parent.glob("queue *"), key=lambda path: path.stat().st_mtime_ns)
    return [int(path.name.split()[1]) for path in had]


class SabotagedQueue(Queue):  # type: ignore[misc]  # final, and a test may
    """See the module."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._saboteur = Saboteur(None, 0)  # without a journal there is no plan

    def open_journal(self, journal: Journal, work: str, places: str, pid: int) -> None:
        super().open_journal(journal, work, places, pid)
        folder = Path(journal.path).parent
        (folder / f"queue {os.getpid()}").touch()
        self._saboteur = Saboteur(folder, pid)
        assert self._recording is not None
        writer = self._recording._writer
        writer._database = Database(writer._database, self._saboteur)  # type: ignore[assignment]
        write, patience = writer._write, self._saboteur.slow

        def slowly(batch: Sequence[Record]) -> None:
            time.sleep(patience)
            write(batch)
            if any(isinstance(record, Ended) and record.state == "open" for record in batch):
                self._saboteur.at("charged")

        writer._write = slowly  # type: ignore[method-assign]
        self._saboteur.at("opened")

    def close_journal(self) -> None:
        self._saboteur.at("close")
        super().close_journal()
        self._saboteur.at("closed")

    def _received(self, peer: int, message: m.Message) -> list[Any]:
        kind = message[0]
        if kind in _HEARD:
            self._saboteur.at(_HEARD[kind])
        effects = super()._received(peer, message)
        if kind in _HANDLED:
            self._saboteur.later(_HANDLED[kind])
        return effects

    def _exchange(self, peer: int, messages: list[m.Message], answer: Answer) -> None:
        super()._exchange(peer, messages, answer)
        self._saboteur.now()

    def _post(self, worker: int, message: m.Message) -> None:
        if message[0] == m.GRANT:
            self._saboteur.at("grant")
            self._saboteur.later("granted")
        super()._post(worker, message)

    def _tell(self, message: m.Message) -> None:
        if message[0] == m.ENDED:
            self._saboteur.at("ended")
        super()._tell(message)

    def _wrote(self, error: JournalError | None) -> None:
        super()._wrote(error)
        self._saboteur.at("told")


class Saboteur:
    """Does what the plan in this folder says. `caller`: who wants the results."""

    def __init__(self, folder: Path | None, caller: int) -> None:
        self._folder, self._caller = folder or Path(), caller
        path = self._folder / "plan"
        told = json.loads(path.read_text()) if folder is not None and path.exists() else {}
        self._moment, self._fault = told.get("moment", ""), told.get("fault", "")
        self._nth, self._times, self._after = told.get("nth", 1), told.get("times", 0), told.get("after", 0.0)
        self._since = told.get("since", "")
        if told.get("then") and self._committed:
            self._moment, self._nth, self._since = told["then"], 1, ""
        self.slow = told.get("slow", 0.0)
        self._seen: Counter[str] = Counter()
        self._is_due = False
        if told.get("limit") is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (told["limit"], told["limit"]))

    def at(self, moment: str) -> None:
        """Commit the fault if it is the moment."""
        if self._is_it(moment):
            self._commit()

    def later(self, moment: str) -> None:
        """Commit the fault when `now` is called, if it is the moment."""
        self._is_due = self._is_due or self._is_it(moment)

    def now(self) -> None:
        """See `later`."""
        if self._is_due:
            self._is_due = False
            self._commit()

    @property
    def _committed(self) -> int:
        return len(list(self._folder.glob("fault *")))

    def _is_it(self, moment: str) -> bool:
        if self._since and moment != self._since:
            return False
        if moment == self._since:
            self._since = ""
        self._seen[moment] += 1
        return bool(moment == self._moment and self._seen[moment] == self._nth)

    def _commit(self) -> None:
        number = self._committed
        if number >= self._times:
            return
        (self._folder / f"fault {number}").touch()
        if self._after:
            Timer(self._after, self._do).start()
        else:
            self._do()

    def _do(self) -> None:
        if self._fault == "exit":
            os._exit(9)
        os.kill(self._caller if self._fault == "driver" else os.getpid(), signal.SIGKILL)
        time.sleep(10.0)  # a signal may take a moment to reach this thread


class Database:
    """A connection whose transactions can be interrupted."""

    def __init__(self, database: sqlite3.Connection, saboteur: Saboteur) -> None:
        self._database, self._saboteur = database, saboteur
        self.close: Callable[[], None] = database.close
        self.executemany = database.executemany

    def execute(self, question: str, *values: Any) -> sqlite3.Cursor:
        cursor = self._database.execute(question, *values)
        if question.startswith("BEGIN"):
            self._saboteur.at("begin")
        return cursor

    def __enter__(self) -> None:
        self._database.__enter__()

    def __exit__(self, kind: Any, error: Any, where: Any) -> Any:
        if kind is None:
            self._saboteur.at("commit")
        swallowed = self._database.__exit__(kind, error, where)
        if kind is None:
            self._saboteur.at("committed")
        return swallowed
