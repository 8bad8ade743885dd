"""Memory that is lent: many have it, each may write to it, and nobody sees what another one has written."""

from __future__ import annotations

import gc
import os
import pickle
import random
from collections.abc import Iterator
from typing import Any

import pytest
from tests.conformance.local.own import SIZE, Way, descriptors, mappings, staged

from pullahead.actors.local import memory, pages, slabs, stage
from pullahead.actors.local.memory import CAN_LEND, Memory
from pullahead.actors.local.pages import PAGE, own_pages
from pullahead.actors.local.stage import Stage, lent, passed, restored

pytestmark = pytest.mark.skipif(not CAN_LEND, reason="private mappings need not show what is new")


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = descriptors(), mappings()
    yield
    assert (descriptors(), mappings()) == before


def no_pages(*_: object) -> None:
    return None


# A private mapping


def both() -> tuple[memoryview, Memory]:
    """Shared memory of eight pages, as its owner sees it, and a private mapping of it."""
    fd, made = memory.make(8 * PAGE)
    private = Memory(fd, 8 * PAGE, private=True)
    os.close(fd)
    view = made.view()[1]
    view[:] = b"a" * len(view)
    return view, private


def address_of(private: Memory) -> int:
    return int(private._address)


def test_a_page_is_its_own_once_it_is_written_to() -> None:
    _, private = both()
    view = private.view()[1]
    private.show(8 * PAGE)
    assert own_pages(address_of(private), 8 * PAGE) == []
    assert bytes(view[: 3 * PAGE]) == b"a" * (3 * PAGE), "to read is not to write"
    assert own_pages(address_of(private), 8 * PAGE) == []
    view[2 * PAGE] = view[3 * PAGE] = view[7 * PAGE + 5] = 0
    assert own_pages(address_of(private), 8 * PAGE) == [(2 * PAGE, 4 * PAGE), (7 * PAGE, 8 * PAGE)]
    assert own_pages(address_of(private), 2 * PAGE + 1) == [(2 * PAGE, 3 * PAGE)]
    assert own_pages(address_of(private), 2 * PAGE) == []


def test_nobody_else_sees_what_was_written() -> None:
    shared, private = both()
    private.show(1)
    assert not private.was_written_to()
    private.view()[1][0] = ord("x")
    assert bytes(shared[:1]) == b"a"
    assert private.was_written_to()


@pytest.mark.parametrize("tells", [True, False])
def test_each_time_it_is_shown_it_shows_what_is_there(tells: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not tells:
        monkeypatch.setattr(memory, "own_pages", no_pages)
    shared, private = both()
    view = private.view()[1]
    draw = random.Random(5)
    for step in range(100):
        new = bytes([1 + step]) * (8 * PAGE)
        shared[:] = new
        length = draw.choice((1, PAGE, 3 * PAGE + 1, 8 * PAGE))
        private.show(length)
        assert bytes(view[:length]) == new[:length]
        for _ in range(draw.choice((0, 0, 1, 6))):
            view[draw.randrange(length)] = 0
        if draw.random() < 0.2:
            private.restore()
            assert bytes(view[:length]) == new[:length]
            view[0] = 0
        private.hide()


def test_where_the_system_does_not_tell_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise FileNotFoundError("/proc/self/pagemap")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert own_pages(0, PAGE) is None
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", lambda *_: b"short")
        assert own_pages(0, PAGE) is None


def test_what_does_not_fit_is_not_copied_in() -> None:
    fd, made = memory.make(PAGE)
    os.close(fd)
    with pytest.raises(ValueError, match="5 bytes from 4092 on do not fit into 4096"):
        made.copy_in(memoryview(b"12345"), PAGE - 4)


# Between processes


def test_it_is_sent_without_a_copy_and_what_is_written_to_it_stays_there() -> None:
    place, way = Stage(), Way()
    made = staged(place, b"a")
    (came,) = way.carry(lent(made))
    assert bytes(came) == b"a" * SIZE
    came[0] = ord("x")
    assert bytes(made[:1]) == b"a"
    made[SIZE - 1] = ord("b")
    assert bytes(came[-1:]) == b"b", "but for the page that was written to, it is this very memory"


def test_one_has_it_while_another_one_has_it() -> None:
    place, first, second, third = Stage(), Way(), Way(), Way()
    (between,) = first.carry(lent(staged(place, b"a")))
    (one,), (two,) = second.carry(lent(between)), third.carry(lent(between))
    one[:1], two[:1] = b"x", b"y"
    assert (bytes(between[:1]), bytes(one[:1]), bytes(two[:1])) == (b"a", b"x", b"y")
    assert first.said == second.said == third.said == []


def test_who_had_it_before_gets_what_is_new_also_where_it_has_written() -> None:
    place, first, second = Stage(), Way(), Way()
    for byte in (b"a", b"b", b"c", b"d"):
        packed = first.pack(lent(staged(place, byte)))
        assert len(packed[2]) == (byte == b"a"), "its descriptor crosses once"
        (between,) = first.deliver(packed)
        (came,) = second.carry(lent(between))
        assert bytes(came) == byte * SIZE
        if byte in b"ac":
            came[:] = b"x" * SIZE
        del between, came
        gc.collect()
    assert (first.said.count(("free", 1)), second.said.count(("free", 1))) == (4, 4)


def test_whoever_has_written_to_it_lends_a_copy() -> None:
    place, first, second = Stage(), Way(), Way()
    (between,) = first.carry(lent(staged(place, b"a")))
    between[0] = ord("x")
    (came,) = second.carry(lent(between))
    assert bytes(came[:2]) == b"xa"


def test_what_was_lent_is_not_given_away() -> None:
    """Others would see what its receiver writes."""
    place, first, second = Stage(), Way(), Way()
    (between,) = first.carry(lent(staged(place, b"a")))
    (came,) = second.carry(passed(between))
    came[0] = ord("x")
    assert bytes(between[:1]) == b"a"


def test_the_same_memory_is_lent_and_later_given_away() -> None:
    place, way = Stage(), Way()
    made = staged(place, b"a")
    (came,) = way.carry(lent(made))
    came[0] = ord("x")
    del came
    (came,) = way.carry(passed(made))
    came[0] = ord("y")
    assert bytes(made[:1]) == b"y"
    del came
    (came,) = way.carry(lent(made))
    assert bytes(came[:1]) == b"y"


@pytest.mark.parametrize("what", ["small", "a part", "ordinary"])
def test_what_cannot_be_lent_is_copied(what: str) -> None:
    place, way = Stage(), Way()
    made: Any = {
        "small": bytearray(b"a" * 100_000),
        "a part": staged(place, b"a", 2 * SIZE)[64:],
        "ordinary": bytearray(b"a" * SIZE),
    }[what]
    (came,) = way.carry(lent(made))
    came[0] = ord("x")
    assert bytes(made[:1]) == b"a"
    assert bytes(came[1:]) == bytes(made[1:])


def test_where_private_mappings_do_not_show_what_is_new_it_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "CAN_LEND", False)
    place, way = Stage(), Way()
    made = staged(place, b"a")
    (came,) = way.carry(lent(made))
    made[0] = ord("b")
    assert bytes(came[:1]) == b"a"


def test_where_nobody_knows_what_was_written_it_is_lent_by_who_made_it_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "own_pages", no_pages)
    place, first, second = Stage(), Way(), Way()
    for byte in (b"a", b"b"):
        made = staged(place, byte)
        (between,) = first.carry(lent(made))
        (came,) = second.carry(lent(between))
        assert bytes(came) == byte * SIZE
        came[:1] = between[1:2] = b"x"
        assert (bytes(made[:2]), bytes(between[:2]), bytes(came[:2])) == (2 * byte, byte + b"x", b"x" + byte)
        del made, between, came
        gc.collect()


def test_if_a_worker_dies_that_may_have_left_a_child_its_memory_is_not_used_again() -> None:
    place, first, second = Stage(), Way(), Way()
    (between,) = first.carry(lent(staged(place, b"a")))
    (child,) = second.carry(lent(between))
    second.start.close()
    del between
    gc.collect()
    assert first.said == [("over", 1), ("drop", 1)]
    for byte in (b"b", b"c"):
        staged(place, byte)
        gc.collect()
    assert bytes(child) == b"a" * SIZE
    assert place._count == 1, "it takes no place"


@pytest.mark.parametrize(("share", "copies"), [(16, False), (4, True)])
def test_who_writes_to_much_of_what_it_is_lent_gets_copies(share: int, copies: bool) -> None:
    """So what was written does not stay in memory, for each memory that it has ever seen."""
    place, way = Stage(), Way()
    (came,) = way.carry(lent(staged(place, b"a")))
    came[: SIZE // share] = b"x" * (SIZE // share)
    del came
    gc.collect()
    assert way.budget.writes is copies
    made = staged(place, b"b")
    (came,) = way.carry(lent(made))
    assert bytes(came) == b"b" * SIZE
    assert way.said.count(("free", 1)) == 1 + copies, "a copy needs it no longer"
    came[0] = ord("x")
    assert bytes(made[:1]) == b"b"
    assert bytes(came[1:]) == b"b" * (SIZE - 1)


def test_what_was_written_before_copies_came_is_not_in_them() -> None:
    place, way = Stage(), Way()
    made = [staged(place, b"a"), staged(place, b"b")]
    came = [way.carry(lent(one))[0] for one in made]
    for one in came:
        one[:] = b"x" * SIZE
    del came[0], one
    gc.collect()
    assert way.budget.writes
    del came[0]
    gc.collect()
    assert [bytes(way.carry(lent(one))[0]) for one in made] == [b"a" * SIZE, b"b" * SIZE]


def test_nor_is_the_little_that_was_written_before() -> None:
    place, way = Stage(), Way()
    little, much = staged(place, b"a"), staged(place, b"b")
    (came,) = way.carry(lent(little))
    came[0] = ord("x")
    del came
    gc.collect()
    (came,) = way.carry(lent(much))
    came[:] = b"x" * SIZE
    del came
    gc.collect()
    assert way.budget.writes
    for byte in (b"c", b"d", b"e"):
        little[:] = byte * SIZE
        (came,) = way.carry(lent(little))
        assert bytes(came) == byte * SIZE
        del came
        gc.collect()


def test_where_what_may_be_written_has_no_room_it_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    place, way = Stage(), Way()
    packed = way.pack(lent(staged(place, b"a")))

    class Full:
        def __call__(self, fd: int, size: int, writable: bool = True, **how: Any) -> Memory:
            if how.get("private"):
                raise OSError(12, "no memory")
            return Memory(fd, size, writable, **how)

    with monkeypatch.context() as patch:
        patch.setattr(slabs, "Memory", Full())
        (came,) = way.deliver(packed)
    came[0] = ord("x")
    assert bytes(came[:2]) == b"xa"
    assert not came.readonly


def test_where_pages_cannot_be_given_back_they_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_madvise", lambda *_: -1)
    shared, private = both()
    view = private.view()[1]
    private.show(8 * PAGE)
    view[:] = b"x" * (8 * PAGE)
    assert private.hide()
    for byte in (b"b", b"c"):
        shared[:] = byte * (8 * PAGE)
        private.show(8 * PAGE)
        assert bytes(view) == byte * (8 * PAGE)


def test_what_was_written_can_be_undone() -> None:
    place, way = Stage(), Way()
    made = staged(place, b"a")
    (came,) = way.carry(lent(made))
    came[:] = b"x" * SIZE
    assert restored(came)
    assert bytes(came) == b"a" * SIZE
    assert not restored(made)
    assert not restored(bytearray(b"x"))


def test_if_the_queue_dies_it_is_not_used_again() -> None:
    place, first, second = Stage(), Way(), Way()
    (between,) = first.carry(lent(staged(place, b"a")))
    (came,) = second.carry(lent(between))
    first.start.close()
    del between
    gc.collect()
    for byte in (b"b", b"c"):
        staged(place, byte)
        gc.collect()
    assert bytes(came) == b"a" * SIZE


def test_what_was_lent_and_is_dropped_is_dropped_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    place, first, second = Stage(), Way(), Way()
    (between,) = first.carry(lent(staged(place, b"a")))
    second.carry(lent(between))
    del between
    gc.collect()
    assert mappings() == 5, "two of each that may write to it, and that of its maker"
    monkeypatch.setattr(stage, "_IDLE", 0)
    del place
    other = Stage()
    staged(other, b"b")
    gc.collect()
    assert mappings() == 0
    assert (first.said[-1], second.said[-1]) == (("drop", 1), ("drop", 1))


def test_others_travel_beside_what_is_lent() -> None:
    place, way = Stage(), Way()
    parts = [pickle.PickleBuffer(b"s" * 100_000), lent(staged(place, b"a")), passed(staged(place, b"b"))]
    for _ in range(2):
        came = way.carry(*parts)
        assert [(len(one), bytes(one[:1])) for one in came] == [(100_000, b"s"), (SIZE, b"a"), (SIZE, b"b")]
        del came
        gc.collect()


def test_every_page_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each of its kinds: in memory or in swap, the file's or its own."""
    entries = bytes(7).join(bytes([one]) for one in (0x00, 0x80, 0xA0, 0x40, 0x60, 0x20, 0x81, 0xC0))
    entries = bytes(7) + entries
    monkeypatch.setattr(pages, "_HIGHEST", 7)
    monkeypatch.setattr(os, "pread", lambda *_: entries)
    assert own_pages(0, 8 * PAGE) == [(PAGE, 2 * PAGE), (3 * PAGE, 4 * PAGE), (6 * PAGE, 8 * PAGE)]
