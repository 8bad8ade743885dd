"""What the processes of a pool take from the machine: CPU and memory, as Linux accounts for them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

#: Written to `clear_refs`, it makes the greatest size so far the present one (proc(5)).
_RESET_PEAK: Final = "5"


def descendants() -> set[int]:
    """Return the processes that this one has started, and those that they have."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):  # it has ended meanwhile
                children.setdefault(int(_stat(folder)[1]), []).append(int(folder.name))
    found: set[int] = set()
    new = [os.getpid()]
    while new:
        new = [child for parent in new for child in children.get(parent, []) if child not in found]
        found.update(new)
    return found


@contextmanager
def newborn() -> Iterator[set[int]]:
    """Find the descendants that appear within the block; the set is filled at its end."""
    before, found = descendants(), set[int]()
    yield found
    found |= descendants() - before


def cpu(processes: Collection[int]) -> float:
    """Return the seconds that these processes were on a CPU so far, to a hundredth."""
    ticks = 0
    for pid in processes:
        with suppress(OSError):
            user, system = _stat(Path(f"/proc/{pid}"))[11:13]
            ticks += int(user) + int(system)
    return ticks / os.sysconf("SC_CLK_TCK")


def private(processes: Collection[int]) -> int:
    """Return the bytes that these processes share with nobody."""
    kilobytes = 0
    for pid in processes:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    return kilobytes * 1024


def begin_peaks(processes: Collection[int]) -> None:
    """Let `peaks` begin now.

    Raises:
        OSError: this system does not offer it.
    """
    for pid in processes:
        with suppress(ProcessLookupError, FileNotFoundError):
            Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)


def resident(processes: Collection[int]) -> int:
    """Return the bytes that these processes have in memory, one by one, and add them up."""
    return _status(processes, "VmRSS:")


def peaks(processes: Collection[int]) -> int:
    """Return what `resident` was at most in each process since `begin_peaks`, and add that up."""
    return _status(processes, "VmHWM:")


def _status(processes: Collection[int], name: str) -> int:
    kilobytes = 0
    for pid in processes:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith(name))
    return kilobytes * 1024


def _stat(folder: Path) -> list[str]:
    """Return the fields of `stat` from the state on: the name before it may hold anything."""
    return (folder / "stat").read_text().rpartition(")")[2].split()
