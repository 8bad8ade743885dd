"""Results that are on their way to the queue, and items that are on their way to a worker."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, cast

import pytest

from pullahead.actors import ObjectRef
from pullahead.core import messages as m
from pullahead.core.retry import RetryPolicy
from pullahead.errors import ObjectLostError
from pullahead.farm.envelope import opened
from pullahead.farm.freight import UNKNOWN, Freight
from pullahead.farm.payload import Payload, largest, pack, unpack
from pullahead.farm.queue import Queue

RUN, WORKER, OTHER = 0, 0, 1


class FakeRef(ObjectRef):
    """A value that comes when a test says so."""

    def __init__(self) -> None:
        self.came: Future[Any] = Future()

    def future(self) -> Future[Any]:
        return self.came


class Scene:
    """A queue with one item that the worker has finished, and whose result is on its way."""

    def __init__(self) -> None:
        self.queue = Queue(RetryPolicy())
        self.heard: dict[int, list[m.Message]] = {m.CALLER: [], WORKER: [], OTHER: []}
        for message in (m.OPEN, RUN, False), (m.SUBMIT, RUN, 0, [b"item"], ""), (m.CLOSE, RUN):
            self.say(m.CALLER, message)
        self.lease = self.grant(WORKER)
        self.ref = self.report(WORKER, self.lease)

    def say(self, peer: int, *messages: m.Message) -> None:
        answer = self.queue.exchange(peer, list(messages))
        answer.add_done_callback(lambda done: self.heard[peer].extend(opened(done.result())))

    def told(self) -> list[m.Message]:
        """Return what the caller was told until now, less sums."""
        self.say(m.CALLER)
        return [one for one in self.heard[m.CALLER] if one[0] in {m.OUTCOMES, m.ENDED, m.BYE}]

    def grant(self, worker: int, item: int = 0) -> int:
        self.say(worker, (m.ASK, 1))
        kind, lease, first, *_ = self.heard[worker].pop()
        assert (kind, first) == (m.GRANT, item)
        return cast(int, lease)

    def report(self, worker: int, lease: int) -> FakeRef:
        ref = FakeRef()
        self.say(worker, (m.DONE, lease, (0,), [Freight(ref, 1 << 20, is_packed=True)]))
        return ref


@pytest.fixture
def scene() -> Any:
    made = Scene()
    yield made
    made.queue._alarm.stop()


def test_a_report_counts_when_its_result_is_here(scene: Scene) -> None:
    assert scene.told() == []
    scene.ref.came.set_result(pack("result"))
    outcome, ended = scene.told()
    assert outcome == (m.OUTCOMES, RUN, "done", (0,), [pack("result")])
    assert ended == (m.ENDED, RUN)


def test_a_goodbye_waits_for_the_result_before_it(scene: Scene) -> None:
    scene.say(WORKER, (m.BYE,))
    assert scene.told() == []
    scene.ref.came.set_result(pack("result"))
    assert [one[0] for one in scene.told()] == [m.OUTCOMES, m.ENDED, m.BYE]


def test_a_result_that_is_lost_is_computed_again_at_no_attempt_and_the_second_time_has_failed(
    scene: Scene,
) -> None:
    scene.ref.came.set_exception(ObjectLostError("gone with its machine"))
    assert scene.told() == []
    scene.queue._tick()
    again = scene.report(WORKER, scene.grant(WORKER))
    again.came.set_exception(ObjectLostError("gone once more"))
    (kind, _, state, items, [(failed,)]), _ = scene.told()
    assert (kind, state, items) == (m.OUTCOMES, "dead", (0,))
    assert b"gone once more" in failed.error


def test_a_result_that_comes_after_the_death_of_its_worker_is_nobodys(scene: Scene) -> None:
    scene.say(m.CALLER, (m.LOST, WORKER, b"error", (), ()))
    lease = scene.grant(OTHER)
    scene.ref.came.set_result(pack("of the dead"))
    assert scene.told() == []
    scene.report(OTHER, lease).came.set_result(pack("result"))
    assert scene.told()[0] == (m.OUTCOMES, RUN, "done", (0,), [pack("result")])


def test_a_result_that_cannot_come_after_the_death_of_its_worker_costs_nothing(scene: Scene) -> None:
    scene.say(m.CALLER, (m.LOST, WORKER, b"error", (), ()))
    lease = scene.grant(OTHER)
    scene.ref.came.set_exception(ObjectLostError("gone with its worker"))
    scene.report(OTHER, lease).came.set_result(pack("result"))
    assert scene.told()[0][2] == "done"


def test_a_death_of_which_nothing_is_known_does_not_charge_what_was_finished(scene: Scene) -> None:
    scene.say(m.CALLER, (m.LOST, WORKER, b"error", None, ()))
    lease = scene.grant(OTHER)
    scene.report(OTHER, lease).came.set_result(pack("result"))
    assert scene.told()[0][2] == "done"


def test_small_results_beside_it_do_not_wait(scene: Scene) -> None:
    scene.say(m.CALLER, (m.OPEN, RUN + 1, False), (m.SUBMIT, RUN + 1, 1, [b"item"], ""))
    lease = scene.grant(WORKER, item=1)
    scene.say(WORKER, (m.DONE, lease, (1,), [b"small"]))
    assert scene.told() == [(m.OUTCOMES, RUN + 1, "done", (1,), [b"small"])]


def test_what_is_taken_out_of_freight_is_the_value() -> None:
    class Here(FakeRef):
        def result(self, timeout: float | None = None) -> Any:
            return self.came.result(timeout)

    ref = Here()
    ref.came.set_result(Payload(*_parts("packed" * 20_000)))
    assert unpack(Freight(ref, 1, is_packed=True)) == "packed" * 20_000
    plain = Here()
    plain.came.set_result(["as it is"])
    assert unpack(Freight(plain, 0, is_packed=False)) == ["as it is"]


def _parts(value: Any) -> tuple[Any, list[Any]]:
    packed = pack(value)
    return packed.data, packed.buffers


def test_a_value_of_unknown_size_counts_as_much_as_its_reader_says() -> None:
    ref: Any = FakeRef()
    payloads = [Freight(ref, 0, is_packed=False), None, 7]
    assert largest(payloads) == 8
    assert largest(payloads, UNKNOWN) == UNKNOWN
    assert largest(payloads[1:], UNKNOWN) == 8
    assert largest([Freight(ref, 500 << 20, is_packed=False)], UNKNOWN) == 500 << 20
