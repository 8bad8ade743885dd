"""The places of workers: who is not needed any more builds nothing, and who has begun is waited for."""

from __future__ import annotations

from concurrent.futures import Future
from threading import RLock, Thread
from typing import Any, NoReturn

import pytest

from pullahead import actors
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
        self.was_killed = False
        self.run = self

    def remote(self) -> _Ref:
        self.runs += 1
        return _Ref(self.end)


class _Port:
    def lost(self, *_: Any) -> NoReturn:
        raise AssertionError

    gave_up = cannot_begin = lost


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[_Worker]:
    """Those that were started."""

    def kill(worker: _Worker) -> None:
        worker.was_killed = True

    monkeypatch.setattr(actors, "placed", lambda worker: worker.place)
    monkeypatch.setattr(actors, "kill", kill)
    return []


def lanes_of(workers: list[_Worker], size: int) -> Lanes:
    def start(_: int) -> _Worker:
        workers.append(_Worker())
        return workers[-1]

    lanes = Lanes(size, start, None, 1.0, RLock(), _Port())
    lanes.begin()
    return lanes


def test_a_worker_runs_once_its_process_is_there(workers: list[_Worker]) -> None:
    lanes = lanes_of(workers, 2)
    first, second = workers
    first.place.set_result(None)
    assert (first.runs, second.runs) == (1, 0)
    lanes.close()


def test_who_finds_a_place_too_late_runs_nothing_and_who_runs_is_waited_for(
    workers: list[_Worker],
) -> None:
    lanes = lanes_of(workers, 2)
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
