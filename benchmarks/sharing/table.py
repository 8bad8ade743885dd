"""What was measured, as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final

from benchmarks.sharing.figures import Figures
from benchmarks.sharing.scene import Scene
from rich import box
from rich.console import Console
from rich.table import Table

from pullahead.observe import words

#: Columns when the output is no terminal.
WIDTH: Final = 110


def title(contender: str, scene: Scene) -> str:
    """How a contender is called."""
    return "Pullahead" if contender == "pullahead" else f"a plain prefetch of {scene.prefetch}"


def show(broker: str, scene: Scene, rounds: Mapping[str, Sequence[Figures]]) -> None:
    """Print it: medians of the rounds."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    console.print(
        f"{words.plural(scene.items, 'item')} of {words.seconds(scene.seconds)} in one queue of {broker}, "
        f"{scene.programs} programs of {words.plural(scene.workers, 'worker')}; in the last one an item "
        f"takes {scene.slower:g} times as long"
    )
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    for contender in rounds:
        table.add_column(title(contender, scene), justify="right")
    for name, shown in _ROWS.items():
        table.add_row(name, *(shown(some) for some in rounds.values()))
    console.print(table)


def _seconds(of: Callable[[Figures], float]) -> Callable[[Sequence[Figures]], str]:
    return lambda some: words.seconds(median(map(of, some)))


def _each(of: Callable[[Figures], Sequence[float]], say: Callable[[float], str]) -> Callable[..., str]:
    """One number for each program."""
    return lambda some: ", ".join(say(median(one)) for one in zip(*map(of, some), strict=True))


def _moves(some: Sequence[Figures]) -> str:
    found = [one for figures in some for one in figures.moves]
    if not found:
        return "none"
    shown = f"{words.seconds(median(found))}, most {words.seconds(max(found))}"
    return f"{words.plural(len(found), 'item')}: {shown}"


_ROWS: Final[dict[str, Callable[[Sequence[Figures]], str]]] = {
    "limit": _seconds(lambda one: one.limit),
    "makespan": _seconds(lambda one: one.makespan),
    "of the limit": lambda some: words.percent(median(one.limit / one.makespan for one in some)),
    "the first one has nothing to do after": _seconds(lambda one: one.idle_from),
    "tail: from then to the last end": _seconds(lambda one: one.tail),
    "last end in each": _each(lambda one: [each.ended for each in one.programs], words.seconds),
    "items done by each": _each(lambda one: [each.done for each in one.programs], words.count),
    "held unstarted by each, at most": _each(
        lambda one: [each.most_held for each in one.programs], words.count
    ),
    "from hungry to the start of what came back": _moves,
}
