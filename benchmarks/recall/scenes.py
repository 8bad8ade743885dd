"""The scenes: somebody holds items behind the one that it computes, and somebody else runs out of them.

A scene is a round of items that is submitted again and again. The lookahead is fixed, so that the worker that
asks first holds most of a round, and the round is short enough for one or two recalls.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import final

from benchmarks.recall.farm import Done, Farm
from benchmarks.recall.watch import Note
from benchmarks.recall.works import HOLD, SLEEP, SPIN, Item

from pullahead.core import messages as m

_ROUNDS_AHEAD = 5  # that nobody measures: the queue gets to know the usual trip
_RECALLS_PER_ROUND = 0.5  # to begin with; a round with noise may have none


@final
@dataclass(frozen=True, slots=True)
class Scene:
    """One situation.

    Args:
        name: one word, for the command line.
        title: what the holder does while it is asked.
        workers, lookahead: of the farm.
        items: of a round.
        holder: what the holder computes when it is asked, for the recall to count.
        usual: items that are run beforehand, so that the worker knows what is usual.
    """

    name: str
    title: str
    workers: int
    lookahead: int
    items: tuple[Item, ...]
    holder: Item
    usual: tuple[Item, ...] = ()


def _scene(name: str, title: str, item: Item) -> Scene:
    return Scene(name, title, workers=2, lookahead=4, items=(item,) * 6, holder=item)


_USUAL: Item = (SPIN, 0.0005)
_LONG: Item = (SPIN, 0.02)
_BLOCKED: Item = (HOLD, 0.06)

SCENES = (
    _scene("sleeping", "sleeps, 10 ms items", (SLEEP, 0.01)),
    _scene("computing", "computes pure Python, 10 ms items", (SPIN, 0.01)),
    Scene(
        "long", "computes one of 20 ms among 0.5 ms items",
        workers=2, lookahead=64, items=(_LONG, *(_USUAL,) * 70), holder=_LONG, usual=(_USUAL,) * 500,
    ),
    Scene(
        "blocked", "60 ms in C that keeps the GIL; 3 workers",
        workers=3, lookahead=8, items=(_BLOCKED, *((SPIN, 0.005),) * 19), holder=_BLOCKED,
    ),
)  # fmt: skip


@final
@dataclass(slots=True)
class Measured:
    """What a scene gave, in seconds.

    Attributes:
        answers: from each recall, as the queue says it, to its answer.
        moves: from the end of a worker's last item to the begin of the one that a recall brought.
        meanwhile: how many of these moves were over before the item that the holder computed.
    """

    answers: list[float] = field(default_factory=list)
    moves: list[float] = field(default_factory=list)
    meanwhile: int = 0


def measure(scene: Scene, recalls: int) -> Iterator[Measured]:
    """Run rounds until so many recalls have come to a holder that does what the scene is about.

    Yields what has been measured so far, all of it in the end.
    """
    with Farm(scene.workers, scene.lookahead) as farm:
        if scene.usual:
            farm.round(scene.usual)
        for _ in range(_ROUNDS_AHEAD):
            farm.round(scene.items)
        known = len(farm.notes())
        rounds: list[list[Done]] = []
        measured = Measured()
        while len(measured.answers) < recalls:
            missing = recalls - len(measured.answers)
            rounds += [farm.round(scene.items) for _ in range(max(1, round(_RECALLS_PER_ROUND * missing)))]
            measured = read(scene, rounds, farm.notes()[known:])
            yield measured


def read(scene: Scene, rounds: Sequence[Sequence[Done]], notes: Sequence[Note]) -> Measured:
    """Find out from the notes and the items who was asked, what it computed, and what became of it."""
    worker_of = {item: note.worker for note in notes if note.kind == m.DONE for item in note.rest[1]}
    measured, shifts = Measured(), defaultdict[int, list[tuple[Done, Item]]](list)
    for one in rounds:
        for done, item in zip(sorted(one), scene.items, strict=True):
            shifts[worker_of[done.number]].append((done, item))
    timetable = {worker: _Timetable(shift) for worker, shift in shifts.items()}

    open_since: dict[int, float] = {}
    recalls = [note for note in notes if note.kind == m.RECALL]
    for note in notes:
        if note.kind == m.RECALL:
            open_since[note.worker] = note.at
        elif note.kind == m.RECALLED and note.worker in open_since:
            since = open_since.pop(note.worker)
            computed = timetable[note.worker].at(since)
            if computed is not None and computed[1] == scene.holder:
                measured.answers.append(note.at - since)
        elif note.kind == m.HUNGRY and note.worker in timetable:
            _read_move(scene, note, recalls, timetable, measured)
    return measured


def _read_move(
    scene: Scene, hungry: Note, recalls: Sequence[Note], timetable: dict[int, _Timetable], measured: Measured
) -> None:
    """Measure how a worker's hunger ended, if a holder that does what the scene is about was asked first."""
    gap = timetable[hungry.worker].gap(hungry.at)
    first = bisect_left(recalls, hungry.at, key=lambda note: note.at)
    if gap is None or first == len(recalls) or recalls[first].at > gap[1]:
        return  # nobody was asked: it ended by itself
    asked = recalls[first]
    computed = timetable[asked.worker].at(asked.at)
    if computed is not None and computed[1] == scene.holder:
        measured.moves.append(gap[1] - gap[0])
        measured.meanwhile += gap[1] < computed[0].end


@final
class _Timetable:
    """What one worker computed when."""

    def __init__(self, shift: list[tuple[Done, Item]]) -> None:
        self._shift = sorted(shift, key=lambda one: one[0].begin)
        self._begins = [done.begin for done, _ in self._shift]

    def at(self, moment: float) -> tuple[Done, Item] | None:
        """Return what it computed at a moment."""
        place = bisect_left(self._begins, moment) - 1
        if place < 0 or self._shift[place][0].end < moment:
            return None
        return self._shift[place]

    def gap(self, moment: float) -> tuple[float, float] | None:
        """Return between which moments it computed nothing."""
        place = bisect_left(self._begins, moment)
        if not 0 < place < len(self._shift) or self._shift[place - 1][0].end > moment:
            return None
        return self._shift[place - 1][0].end, self._begins[place]
