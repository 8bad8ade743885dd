"""The places of workers: who is not needed any more builds nothing, and who has begun is waited for."""

from __future__ import annotations

import time
import warnings
from concurrent.futures import Future
from threading import RLock, Thread
from typing import Any

import pytest
from tests.faults.procs import until

from pullahead import actors
from pullahead.errors import ActorDiedError
from pullahead.farm import lanes as lanes_module
from pullahead.farm.lanes import Lanes

PATIENCE = 10.0


class _Ref:
    def __init__(self, value: Future[None]) -> None:
        self._value = value

    def future(self) -> Future[None]:
        return self._value


class _Worker:
    """Its process comes, and its run ends, when a test says so."""

    def __init__(self) -> None:
        self.place: Future[None] = Future()
        self.end: Future[None] = Future()
        self.runs = 0
        self.refuses: Exception | None = None
        self.was_killed = False
        self.run = self

    def remote(self) -> _Ref:
        self.runs += 1
        if self.refuses is not None:
            raise self.refuses
        return _Ref(self.end)


class _Port:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def lost(self, number: int, *_: Any) -> None:
        self.told.append(("lost", number))

    def gave_up(self, said: str, error: BaseException) -> None:
        self.told.append(("gave up", error))

    def cannot_begin(self, error: BaseException) -> None:
        self.told.append(("cannot begin", error))


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[_Worker]:
    """Those that were started."""

    def kill(worker: _Worker) -> None:
        worker.was_killed = True

    monkeypatch.setattr(actors, "placed", lambda worker: worker.place)
    monkeypatch.setattr(actors, "kill", kill)
    return []


def lanes_of(workers: list[_Worker], size: int) -> tuple[Lanes, _Port]:
    def start(_: int) -> _Worker:
        workers.append(_Worker())
        return workers[-1]

    port = _Port()
    lanes = Lanes(size, start, None, 1.0, RLock(), port)
    lanes.begin()
    return lanes, port


def test_a_worker_runs_once_its_process_is_there(workers: list[_Worker]) -> None:
    lanes, port = lanes_of(workers, 2)
    first, second = workers
    first.place.set_result(None)
    assert (first.runs, second.runs) == (1, 0)
    lanes.close()
    assert port.told == []


def test_who_finds_a_place_too_late_runs_nothing_and_who_runs_is_waited_for(
    workers: list[_Worker],
) -> None:
    lanes, port = lanes_of(workers, 2)
    first, second = workers
    first.place.set_result(None)
    lanes.stop()
    assert (first.was_killed, second.was_killed) == (False, True)
    second.place.set_result(None)  # it was on its way
    assert second.runs == 0
    waits = Thread(target=lanes.wait)
    waits.start()
    waits.join(0.05)
    assert waits.is_alive()
    lanes.goodbye(0)
    first.end.set_result(None)
    waits.join(PATIENCE)
    assert not waits.is_alive()
    lanes.close()
    assert port.told == []


def test_who_cannot_be_told_to_run_is_heard_of(workers: list[_Worker]) -> None:
    lanes, port = lanes_of(workers, 1)
    (only,) = workers
    gone = OSError("the cluster is gone")
    only.refuses = gone
    only.place.set_result(None)
    assert port.told == [("cannot begin", gone)]
    lanes.wait()
    lanes.close()


def test_who_dies_before_it_has_a_place_is_replaced(workers: list[_Worker]) -> None:
    lanes, port = lanes_of(workers, 1)
    workers[0].place.set_exception(ActorDiedError("Worker"))
    assert port.told == [("lost", 0)]
    assert until(lambda: len(workers) == 2, PATIENCE)
    workers[1].place.set_result(None)
    assert (workers[0].runs, workers[1].runs) == (0, 1)
    lanes.close()


def test_that_no_worker_has_a_place_any_more_is_said(
    workers: list[_Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node of the last one went, and nobody else has room for what should follow it."""
    said: list[str] = []
    monkeypatch.setattr(lanes_module, "_PLACE_PATIENCE", 1.0)
    monkeypatch.setattr(warnings, "warn", lambda message, **_: said.append(message))
    lanes, port = lanes_of(workers, 2)
    workers[0].place.set_result(None)
    workers[1].place.set_result(None)
    workers[0].end.set_exception(ActorDiedError("Worker"))
    assert until(lambda: len(workers) == 3, PATIENCE)
    time.sleep(1.2)
    assert said == []  # the other one is there
    workers[1].end.set_exception(ActorDiedError("Worker"))
    assert until(lambda: len(workers) == 4, PATIENCE)
    assert until(lambda: bool(said), PATIENCE)
    workers[3].place.set_result(None)
    assert (said, port.told) == ([lanes_module._NO_PLACE], [("lost", 0), ("lost", 1)])
    lanes.close()
