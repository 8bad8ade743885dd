"""What a worker that died has left, and whom that charges."""

from __future__ import annotations

import pytest

from pullahead import actors
from pullahead.actors.notes import Notepad
from pullahead.farm.note import RunningNote, charged, suspects


@pytest.fixture
def pad(monkeypatch: pytest.MonkeyPatch) -> Notepad:
    pad = Notepad()
    monkeypatch.setattr(actors, "notepad", lambda: pad)
    return pad


def test_of_a_slice_the_item_that_runs_is_charged(pad: Notepad) -> None:
    note = RunningNote(batch=False)
    assert charged(pad.read()) == ()
    note.running((5, 6, 7))
    assert charged(pad.read()) == (5,)
    note.mark(7 + 1)
    assert charged(pad.read()) == (7,)
    note.stores(6)
    assert charged(pad.read()) == (7, 6), "whatever is noted beside it"
    note.running(())
    assert charged(pad.read()) == (6,), "nothing runs any more"
    note.running((0, 9))
    assert charged(pad.read()) == (0, 6)


def test_a_batch_is_charged_as_a_whole_and_what_is_stored_beside_it(pad: Notepad) -> None:
    note = RunningNote(batch=True)
    note.running((5, 6))
    note.stores(1)
    note.stores(2)
    note.stored(1)
    assert charged(pad.read()) == (5, 6, 2)


def test_what_is_loaded_is_suspect_and_not_charged(pad: Notepad) -> None:
    note = RunningNote(batch=False)
    note.loads(4)
    note.loads(3)
    assert (charged(pad.read()), suspects(pad.read())) == ((), (3, 4))
    note.loaded(3)
    note.running((3,))
    assert (charged(pad.read()), suspects(pad.read())) == ((3,), (4,))


def test_who_was_killed_for_one_item_suspects_no_other(pad: Notepad) -> None:
    note = RunningNote(batch=False, time_limit=1.0)
    note.running((1,))
    note.loads(2)
    note.loads(3)
    assert (charged(pad.read(), (1, 2)), suspects(pad.read(), (1, 2))) == ((2,), ())


def test_a_batch_is_charged_whatever_its_size_and_the_latest_loads_are_known(pad: Notepad) -> None:
    note = RunningNote(batch=True)
    for item in range(1 << 30, (1 << 30) + 2000):
        note.loads(item)
    note.running(tuple(range(20_000)))
    assert charged(pad.read()) == tuple(range(20_000))
    assert suspects(pad.read()) == tuple(range((1 << 30) + 2000 - 256, (1 << 30) + 2000))


def test_where_no_memory_survives_nothing_is_known() -> None:
    assert (charged(None), suspects(None)) == (None, ())
