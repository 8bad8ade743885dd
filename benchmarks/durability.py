"""What a journal costs, how soon a run goes on, and how soon a lost worker or queue is made up for.

    python -m benchmarks.durability

Costs are ratios within one run: with and without a journal in turn.
"""

from __future__ import annotations

import os
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

import pullahead as pa
from pullahead.journal import Journal


def busy(seconds: float, item: int) -> dict[str, int]:
    """Compute for so long."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass
    return {"item": item}


def note(folder: str, first: int, item: int) -> int:
    """Say when an item from `first` on began."""
    if item >= first:
        Path(folder, f"{item} {os.getpid()} {time.monotonic()}").touch()
        time.sleep(0.002)
    return item


def moments(folder: Path) -> list[tuple[float, int]]:
    """Return when items began, and in which process, in order."""
    return sorted((float(path.name.split()[2]), int(path.name.split()[1])) for path in folder.iterdir())


def seconds_for(items: int, work: Any, **options: Any) -> float:
    """Run it with two workers that are there already."""
    with pa.Pool(work, workers=2, **options) as pool:
        before = time.monotonic()
        pool.run(range(items), ordered=False)
        return time.monotonic() - before


def costs(rounds: int, items: int, folder: Path) -> Iterator[tuple[str, list[float]]]:
    """Yield the extra time that a journal takes, as shares, for each way to write it."""
    work = partial(busy, 0.001)
    shares: dict[str, list[float]] = {"full": [], "normal": []}
    for number in range(rounds):
        plain = seconds_for(items, work)
        for how, found in shares.items():
            file = folder / f"{how} {number}.db"
            journal = Journal(path=file, synchronous=how)  # type: ignore[arg-type]
            found.append(seconds_for(items, work, journal=journal) / plain - 1.0)
    yield from shares.items()


def resumed_after(items: int, folder: Path) -> float:
    """Return after how many seconds a run begins to compute that had finished so many items."""
    seen = folder / "seen"
    seen.mkdir()
    work, file = partial(note, str(seen), items), folder / "resumed.db"
    pa.run(work, range(items), workers=2, journal=file, ordered=False)
    before = time.monotonic()
    pa.run(work, range(items + 2), workers=2, journal=file, ordered=False)
    return moments(seen)[0][0] - before


def gap_after_death(whom: str, folder: Path) -> float:
    """Return the seconds from a death until the next item begins, elsewhere or under another queue."""
    seen, file = folder / f"after {whom}", folder / f"{whom}.db"
    seen.mkdir()
    with pa.map(partial(note, str(seen), 0), range(2000), workers=1, journal=file, retries=1) as results:
        for _ in range(100):
            next(results)
        worker = moments(seen)[-1][1]
        queue = next(pid for pid in _processes() if _has_open(pid, file))
        died = time.monotonic()
        os.kill(worker if whom == "worker" else queue, signal.SIGKILL)
        for _ in range(200):
            next(results)
        began = [when for when, pid in moments(seen) if when > died and (whom == "queue" or pid != worker)]
        if whom == "queue":  # a lone worker goes on with what it holds: look for the longest pause
            return max(after - before for before, after in pairwise(began))
        return began[0] - died


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _has_open(pid: int, file: Path) -> bool:
    try:
        return pid != os.getpid() and any(
            os.path.realpath(link) == str(file.resolve()) for link in Path(f"/proc/{pid}/fd").iterdir()
        )
    except OSError:
        return False


@click.command()
@click.option("--rounds", default=7, show_default=True, help="Of the comparison.")
@click.option("--items", default=4000, show_default=True, help="Of one run of it, 1 ms each.")
@click.option("--finished", default=100_000, show_default=True, help="Items of the run that is gone on with.")
def main(rounds: int, items: int, finished: int) -> None:
    """Print what a journal costs, and how soon things go on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for how, shares in costs(rounds, items, folder):
            click.echo(
                f"journal, synchronous={how}: {100 * statistics.median(shares):+.1f} % time "
                f"({100 * min(shares):+.1f} to {100 * max(shares):+.1f} %), {items} items of 1 ms, 2 workers"
            )
        soon = resumed_after(finished, folder)
        click.echo(f"{finished:,} finished items: the first new one began after {soon:.2f} s")
        for whom in ("worker", "queue"):
            gaps = [gap_after_death(whom, _new(folder, number)) for number in range(5)]
            click.echo(
                f"a {whom} was killed: the next item began after {1e3 * statistics.median(gaps):.0f} ms "
                f"(at most {1e3 * max(gaps):.0f} ms of {len(gaps)})"
            )


def _new(folder: Path, number: int) -> Path:
    found = folder / f"{number} {time.monotonic_ns()}"
    found.mkdir()
    return found


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.durability")
