"""What Ray says when a process has ended that it does not name."""

from __future__ import annotations

from typing import Any

import pytest

from pullahead.errors import ActorDiedError, PullaheadError

pytestmark = pytest.mark.ray

SAID = "1 worker(s) were killed due to the node running low on memory.\nConsider more memory."


class _Ref:
    """Of a call on an actor, or of a task, whose id has the bytes of none where an actor's are."""

    def __init__(self, actor: bytes) -> None:
        self._id = b"\x11" * 8 + actor + b"\x01\0\0\0"

    def task_id(self) -> Any:
        import ray

        task_id: Any = ray.TaskID
        return task_id(self._id)


OF_AN_ACTOR = _Ref(b"\xab" * 12)
ACTOR = "ab" * 12 + "01000000"


@pytest.mark.parametrize("kind", ["OutOfMemoryError", "NodeDiedError"])
def test_an_actor_that_was_killed_for_want_of_memory_has_died_and_left_its_note(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray import exceptions

    from pullahead.actors.ray import failures, pages

    asked: list[tuple[str, str | None]] = []

    def taken(actor: str, address: str | None) -> pages.Left:
        asked.append((actor, address))
        return pages.Left((b"7", 7), None)

    monkeypatch.setattr(pages, "taken", taken)
    error = getattr(exceptions, kind)(SAID)
    died = failures.translated(error, OF_AN_ACTOR)
    assert isinstance(died, ActorDiedError)
    assert died.detail == "1 worker(s) were killed due to the node running low on memory."
    assert died.note == (b"7", 7)
    again = failures.translated(error, OF_AN_ACTOR)
    assert isinstance(again, ActorDiedError)
    assert (again.note, asked) == (died.note, [(ACTOR, None)])
    assert ACTOR in failures.dead
    failures.dead.discard(ACTOR)
    failures._left.pop(ACTOR)


def test_an_actor_that_is_out_of_reach_for_a_while_is_not_taken_for_dead() -> None:
    from ray import exceptions

    from pullahead.actors.ray import failures

    error = exceptions.ActorUnavailableError("a network", bytes.fromhex(ACTOR))
    died = failures.translated(error)
    assert isinstance(died, ActorDiedError)
    assert ACTOR not in failures.dead


@pytest.mark.parametrize("ref", [None, _Ref(b"\xff" * 12)])
def test_a_task_that_was_is_no_actor(ref: Any) -> None:
    from ray import exceptions

    from pullahead.actors.ray.failures import translated

    killed: Any = exceptions.OutOfMemoryError
    found = translated(killed(SAID), ref)
    assert type(found) is PullaheadError
    assert str(found).startswith("Ray: 1 worker(s) were killed")
