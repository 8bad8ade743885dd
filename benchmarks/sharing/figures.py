"""What the notes of a round say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.sharing.measure import Round
from benchmarks.sharing.notes import Notes

from pullahead.core.hunger import HEARD


class Program(NamedTuple):
    """What one program did. Seconds from the beginning.

    Attributes:
        done: how many items.
        ended: when the last of them did.
        held: how many it held unstarted, from each of these moments on.
        most_held: the most of them.
        returned: how many it gave back, which others computed.
    """

    done: int
    ended: float
    held: list[tuple[float, int]]
    most_held: int
    returned: int


class Figures(NamedTuple):
    """What a round came to. Seconds.

    Attributes:
        makespan: from the first item that was taken to the end of the last one.
        limit: what that would be if no worker ever waited.
        idle_from: when the first program had nothing to do.
        tail: from there to the end of the last item.
        programs: each of them.
        moves: of each item that was given back: from when the program that computed it said that it was
            hungry until it began there.
    """

    makespan: float
    limit: float
    idle_from: float
    tail: float
    programs: list[Program]
    moves: list[float]


def figures(measured: Round) -> Figures:
    """Read the notes of a round."""
    programs = measured.programs
    began = beginning(measured)
    ended = max(ran.ended for one in programs for ran in one.ran)
    idle = _first_idle(programs, measured.scene.items) or ended
    return Figures(
        ended - began,
        measured.scene.limit,
        idle - began,
        ended - idle,
        [_program(one, began) for one in programs],
        sorted(_moves(programs)),
    )


def beginning(measured: Round) -> float:
    """When the first item was taken."""
    return min(one.taken[0].when for one in measured.programs if one.taken)


def _program(notes: Notes, began: float) -> Program:
    held, steps = 0, [(0.0, 0)]
    for when, change in sorted(_holding(notes), key=lambda one: (one[0], -one[1])):
        held += change
        steps.append((when - began, held))
    mine = {ran.item for ran in notes.ran}
    away = {item for moved in notes.back for item in moved.items} - mine
    ended = max((ran.ended for ran in notes.ran), default=began) - began
    return Program(len(notes.ran), ended, steps, max(held for _, held in steps), len(away))


def _holding(notes: Notes) -> Iterator[tuple[float, int]]:
    """How what is held unstarted changes."""
    for when, items in notes.taken:
        yield when, len(items)
    for when, items in notes.back:
        yield when, -len(items)
    for ran in notes.ran:
        yield ran.began, -1


def _first_idle(programs: Sequence[Notes], items: int) -> float | None:
    """When a program first computed nothing and held nothing while nothing was ready in the queue."""
    changes: list[tuple[float, int, int, int]] = []  # when, whose, and by how much it has and the queue has
    for number, notes in enumerate(programs):
        changes += [(when, number, len(some), -len(some)) for when, some in notes.taken]
        changes += [(when, number, -len(some), len(some)) for when, some in notes.back]
        changes += [(ran.ended, number, -1, 0) for ran in notes.ran]
    has = [0] * len(programs)
    for when, number, more, ready in sorted(changes):
        has[number] += more
        items += ready
        if not items and not all(has):
            return when
    return None


def _moves(programs: Sequence[Notes]) -> Iterator[float]:
    """How long the hungry waited for each item that was given back to them, and that they computed.

    Hunger that lasts is said again. What counts is when it was said first: before that was nothing, for
    longer than what is said is believed.
    """
    returned = {item for notes in programs for moved in notes.back for item in moved.items}
    for notes in programs:
        own = {item for moved in notes.back for item in moved.items}
        for ran in notes.ran:
            if ran.item in returned and ran.item not in own:
                said = [when for when in notes.hungry if when <= ran.began]
                if said:
                    yield ran.began - _first(said)


def _first(said: Sequence[float]) -> float:
    """The first of the latest ones that follow upon each other."""
    first = said[-1]
    for before in reversed(said):
        if first - before > HEARD:
            break
        first = before
    return first
