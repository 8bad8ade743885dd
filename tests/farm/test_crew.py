"""The caller's side of a queue and its workers: what a run hears of it, and when."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any

import pytest
from tests.acceptance import works
from tests.faults.procs import actors_here, until

import pullahead as pa
from pullahead.core import messages as m
from pullahead.errors import ActorDiedError, JournalError, RunError
from pullahead.farm.crew import Crew
from pullahead.farm.queues import Queues
from pullahead.farm.recording import Known
from pullahead.journal.records import Entry

PATIENCE = 10.0


def queues_of(crew: Crew) -> Queues:
    assert isinstance(crew._queues, Queues)
    return crew._queues


class _Listener:
    """A run. When it hears that nothing more will come, it lets another thread speak to the crew."""

    def __init__(self, crew: Crew) -> None:
        self.started = monotonic()
        self.error: BaseException | None = None
        self.was_free = False
        self.heard = Event()
        self._crew = crew

    def broke(self, error: BaseException) -> None:
        self.error = error
        other = Thread(target=self._crew.reserve, args=(1,))
        other.start()
        other.join(PATIENCE)  # as a feeder does that holds what this run would wait for now
        self.was_free = not other.is_alive()
        self.heard.set()


def _die_after_death(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue dies, and so does each one that is to replace it."""

    def die(_: int) -> Any:
        raise ActorDiedError("Queue", detail="at birth")

    monkeypatch.setattr(crew._queues, "_make", die)
    pa.kill(queues_of(crew).given[0])


def _cannot_replace_the_queue(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> Any:
        raise JournalError("it is gone")

    monkeypatch.setattr(crew._queues, "_make", fail)
    pa.kill(queues_of(crew).given[0])


def _cannot_replace_a_worker(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(lane: int) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(crew._lanes, "_start", fail)
    (worker,) = crew._lanes._workers.values()
    pa.kill(worker)


@pytest.mark.parametrize(
    ("accident", "says"),
    [
        (_die_after_death, "6 queues died one after the other, and nothing ended between them: what is "),
        (_cannot_replace_a_worker, "a worker that died could not be replaced: what is recorded is safe, "),
        (_cannot_replace_the_queue, "the queue died and could not be replaced: what is recorded is safe, "),
    ],
)
def test_a_run_hears_of_the_end_while_nobody_holds_the_crew(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    accident: Callable[[Crew, pytest.MonkeyPatch], None],
    says: str,
) -> None:
    with pa.Pool(works.double, workers=1, journal=str(tmp_path / "run.db")) as pool:
        listener = _Listener(pool._crew)
        pool._crew.open(listener)  # type: ignore[arg-type]  # it only listens
        accident(pool._crew, monkeypatch)
        assert listener.heard.wait(PATIENCE)
    assert isinstance(listener.error, RunError)
    assert str(listener.error).startswith(says)
    assert "and the next run with this journal goes on from there (" in str(listener.error)
    assert listener.was_free


def test_a_queue_that_comes_when_the_crew_is_closed_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = pa.Pool(works.double, workers=1, journal=str(tmp_path / "run.db"))
    queues, came = queues_of(pool._crew), Event()
    start = queues._new

    def start_too_late() -> Any:
        queue = start()
        pool._crew.kill()  # and what the queue before has recorded can be looked up no more
        came.set()
        return queue

    monkeypatch.setattr(queues, "_new", start_too_late)
    pool._crew.open(_Listener(pool._crew))  # type: ignore[arg-type]  # it only listens
    queues.say((m.SUBMIT, 0, 0, [b"1"], "", [Known(Entry(0, None, None))]))
    pa.kill(queues.given[0])
    assert came.wait(PATIENCE)
    pool.close()
    assert until(lambda: not actors_here(), PATIENCE), "no actor is left"


def test_a_worker_that_finds_no_queue_is_ended() -> None:
    """Nothing was said to the queue, so its worker finds out first that it is dead."""
    pool = pa.Pool(works.double, workers=1)
    pa.kill(queues_of(pool._crew).given[0])
    assert until(lambda: pool._crew._error is not None, PATIENCE)
    assert str(pool._crew._error).startswith("the queue is gone: 0 items that had not ended are lost, ")
    pool.close()
    assert until(lambda: not actors_here(), PATIENCE), "no actor is left"
