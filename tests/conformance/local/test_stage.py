"""Memory that is staged and passed on: one copy for two channels, and nobody's while somebody looks at it."""

from __future__ import annotations

import errno
import gc
import os
import pickle
from collections.abc import Iterator

import pytest
from tests.conformance.local.own import SIZE, Way, descriptors, mappings, staged

from pullahead.actors.local import memory, slabs, stage
from pullahead.actors.local.stage import Stage, passed


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = descriptors(), mappings()
    yield
    assert (descriptors(), mappings()) == before


def refuse(_: int) -> int:
    raise OSError(errno.EMFILE, "too many open files")


def test_what_is_staged_is_sent_without_another_copy() -> None:
    place, way = Stage(), Way()
    made = staged(place, b"a")
    (came,) = way.carry(passed(made))
    assert bytes(came) == b"a" * SIZE
    came[0] = ord("x")
    assert bytes(made[:2]) == b"xa", "it is this very memory"


def test_a_copy_is_of_the_moment() -> None:
    place, original = Stage(), bytearray(b"a" * SIZE)
    made = place.copy(original)
    original[:1] = b"x"
    assert made is not None
    assert bytes(made[:1]) == b"a"


def test_it_is_used_again_when_the_last_receiver_has_let_go_and_its_descriptor_crosses_once() -> None:
    place, first, second = Stage(), Way(), Way()
    for byte in (b"a", b"b", b"c"):
        packed = first.pack(passed(staged(place, byte)))
        assert len(packed[2]) == (byte == b"a")
        (between,) = first.deliver(packed)
        packed = second.pack(passed(between))
        assert len(packed[2]) == (byte == b"a")
        (came,) = second.deliver(packed)
        assert (bytes(came[-3:]), len(came)) == (byte * 3, SIZE)
        del between
        gc.collect()
        assert first.said.count(("free", 1)) == second.said.count(("free", 1)) == b"abc".index(byte)
        del came
        gc.collect()
        assert first.said.count(("free", 1)) == second.said.count(("free", 1)) == b"abc".index(byte) + 1
    assert mappings() == 3, "of one memory: at its origin, on the way, at the end"


def test_while_somebody_looks_at_it_another_one_is_taken() -> None:
    place, way = Stage(), Way()
    (one,) = way.carry(passed(staged(place, b"a")))
    (two,) = way.carry(passed(staged(place, b"b")))
    assert (bytes(one[:1]), bytes(two[:1])) == (b"a", b"b")


def test_what_is_not_marked_is_copied() -> None:
    place, way = Stage(), Way()
    made = staged(place, b"a")
    (came,) = way.carry(pickle.PickleBuffer(made))
    came[0] = ord("x")
    assert bytes(made[:1]) == b"a"
    assert way.said == []


@pytest.mark.parametrize("start", [1, 64])
def test_a_part_of_it_is_copied(start: int) -> None:
    place, way = Stage(), Way()
    made = staged(place, b"a", 2 * SIZE)
    (came,) = way.carry(passed(made[start:]))
    assert bytes(came) == b"a" * (2 * SIZE - start)
    came[0] = ord("x")
    assert bytes(made[start : start + 1]) == b"a"


def test_what_its_receiver_still_has_is_copied() -> None:
    place, way = Stage(), Way()
    made = staged(place, b"a")
    (one,), (two,) = way.carry(passed(made)), way.carry(passed(made))
    one[0] = ord("x")
    assert (bytes(made[:1]), bytes(two[:1])) == (b"x", b"a")


def test_others_travel_beside_it() -> None:
    place, way = Stage(), Way()
    made, large, small = staged(place, b"a"), b"l" * SIZE, b"s" * 100_000
    parts = [pickle.PickleBuffer(small), passed(made), pickle.PickleBuffer(large), pickle.PickleBuffer(small)]
    came = way.carry(*parts)
    assert [bytes(one) for one in came] == [small, b"a" * SIZE, large, small]
    came[1][0] = ord("x")
    assert bytes(made[:1]) == b"x"


def test_it_is_passed_on_however_many_slabs_are_out() -> None:
    place, way = Stage(), Way()
    held = [way.carry(pickle.PickleBuffer(b"l" * SIZE)) for _ in range(70)]
    made = [staged(place, b"a"), staged(place, b"b")]
    came = way.carry(*map(passed, made), pickle.PickleBuffer(b"m" * SIZE), pickle.PickleBuffer(b"n" * SIZE))
    assert [bytes(one[:1]) for one in came] == [b"a", b"b", b"m", b"n"]
    came[0][0], came[1][0] = b"xy"
    assert [bytes(one[:1]) for one in made] == [b"x", b"y"]
    assert len(held) == 70


def test_beyond_what_comes_with_one_read_it_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slabs, "_MOST_LOANS", 2)
    place, way = Stage(), Way()
    made = [staged(place, b"a") for _ in range(3)]
    came = way.carry(*map(passed, made))
    for one in came:
        one[0] = ord("x")
    assert [bytes(one[:1]) for one in made] == [b"x", b"x", b"a"]


def test_if_a_process_dies_that_had_it_it_is_not_used_again() -> None:
    place, first, second = Stage(), Way(), Way()
    (between,) = first.carry(passed(staged(place, b"a")))
    (came,) = second.carry(passed(between))
    first.start.close()
    del between
    gc.collect()
    again = staged(place, b"b")
    assert bytes(came) == b"a" * SIZE
    assert bytes(again[:1]) == b"b"
    del again
    gc.collect()
    staged(place, b"c")
    assert bytes(came[:1]) == b"a"


def test_if_its_last_receiver_dies_it_is_not_used_again_and_takes_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stage, "MOST", 1)
    place, first, second = Stage(), Way(), Way()
    (between,) = first.carry(passed(staged(place, b"a")))
    (came,) = second.carry(passed(between))
    second.start.close()
    assert place.copy(b"b" * SIZE) is None
    del between
    gc.collect()
    assert first.said == [("over", 1), ("drop", 1)]
    again = staged(place, b"b")
    assert bytes(came) == b"a" * SIZE
    assert bytes(again[:1]) == b"b"


def test_what_a_dead_receiver_had_and_is_on_its_way_is_over_too() -> None:
    place, first, second = Stage(), Way(), Way()
    (between,) = first.carry(passed(staged(place, b"a")))
    packed = second.pack(passed(between))
    second.start.close()
    for fd in packed[2]:
        os.close(fd)
    del between
    gc.collect()
    assert first.said[:1] == [("over", 1)]


def test_what_is_dropped_is_dropped_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    place, first, second = Stage(), Way(), Way()
    (between,) = first.carry(passed(staged(place, b"a")))
    second.carry(passed(between))
    del between
    gc.collect()
    assert mappings() == 3
    monkeypatch.setattr(stage, "_IDLE", 0)
    other = staged(place, b"b", 4 * SIZE)
    gc.collect()
    assert (first.said[-1], second.said[-1]) == (("drop", 1), ("drop", 1))
    assert mappings() == 1
    assert len(first.budget.kept) == 0
    del other


def test_what_is_too_much_goes_as_soon_as_nobody_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_IDLE", 4 * SIZE)
    place, way = Stage(), Way()
    came = [way.carry(passed(staged(place, b"a"))) for _ in range(6)]
    assert mappings() == 12
    del came
    gc.collect()
    assert mappings() == 8, "four of them, at both ends"


def test_there_are_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "MOST", 2)
    place = Stage()
    held = [staged(place, b"a"), staged(place, b"b")]
    assert place.copy(b"c" * SIZE) is None
    del held[0]
    gc.collect()
    held.append(staged(place, b"d", 4 * SIZE))  # in the place of one that is idle
    assert place.copy(b"e" * SIZE) is None


def test_who_must_not_wait_has_none_while_somebody_else_takes_one() -> None:
    place = Stage()
    with place._lock:
        assert place.copy(b"a" * SIZE, wait=False) is None
    made = place.copy(b"a" * SIZE, wait=False)
    assert made is not None
    assert bytes(made) == b"a" * SIZE


def test_what_is_small_is_not_staged() -> None:
    assert Stage().copy(b"a" * (stage.LEAST - 1)) is None


def test_without_shared_memory_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Stage()
    with monkeypatch.context() as patch:
        patch.setattr(memory, "create", refuse)
        for _ in range(2 * stage.MOST):
            assert place.copy(b"a" * SIZE) is None
    assert staged(place, b"b")


def test_who_keeps_many_descriptors_passes_on_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slabs, "_MOST_KEPT", 1)
    place, first, second = Stage(), Way(), Way()
    (one,) = first.carry(passed(staged(place, b"a")))
    (two,) = first.carry(passed(staged(place, b"b")))
    (shared, copied) = second.carry(passed(one), passed(two))
    shared[0], copied[0] = ord("x"), ord("y")
    assert (bytes(one[:1]), bytes(two[:1])) == (b"x", b"b")
    first.finish.close()
    assert len(first.budget.kept) == 1, "as long as somebody looks at it"
    del one, shared
    gc.collect()
    assert len(first.budget.kept) == 0


def test_who_has_no_descriptors_left_gets_it_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    place, way = Stage(), Way()
    packed = way.pack(passed(staged(place, b"a")))

    with monkeypatch.context() as patch:
        patch.setattr(os, "dup", refuse)
        (came,) = way.deliver(packed)
        assert bytes(came) == b"a" * SIZE
        (again,) = way.carry(passed(staged(place, b"b")))
    assert bytes(again[:1]) == b"b"


def test_an_interrupted_copy_costs_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "MOST", 1)
    place = Stage()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(memory, "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            place.copy(b"a" * SIZE)
    staged(place, b"b")
    gc.collect()
    with monkeypatch.context() as patch:
        patch.setattr(memory.Memory, "copy_in", interrupt)
        with pytest.raises(KeyboardInterrupt):
            place.copy(b"c" * SIZE)
    assert staged(place, b"d")


def test_a_message_that_is_not_sent_takes_its_loans_back(monkeypatch: pytest.MonkeyPatch) -> None:
    place, way = Stage(), Way()
    made = staged(place, b"a")

    with monkeypatch.context() as patch:
        patch.setattr(memory, "create", refuse)
        came = way.carry(passed(made), pickle.PickleBuffer(b"l" * SIZE))  # in the frame
    assert [bytes(one[:1]) for one in came] == [b"a", b"l"]
    (again,) = way.carry(passed(made))
    again[0] = ord("x")
    assert bytes(made[:1]) == b"x"
