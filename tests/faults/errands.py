"""Work that notes what it does, and can kill the queue of its journal, or itself, at a moment."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.acceptance import works
from tests.faults.procs import descendants

BAD = 7


def holders(journal: str | Path, pids: list[int]) -> list[int]:
    """Return those of these processes that have a journal open: its queue, if the caller is not asked."""
    found = []
    for pid in pids:
        try:
            descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
            targets = {str(one.readlink()) for one in descriptors}
        except OSError:  # gone, or closed meanwhile
            continue
        if str(journal) in targets:
            found.append(pid)
    return found


def queue_of(journal: str | Path) -> int:
    """Return the pid of the queue of the run that this process has begun."""
    (queue,) = holders(journal, descendants(os.getpid()))
    return queue


class Errand:
    """Returns ten times the item, and notes each step in a folder. At one step of item BAD it does harm.

    Args:
        journal: whose queue is killed; the notes are in the folder "notes" beside it.
        moment: "load", "process" or "store"; "" does no harm.
        harm: "queue", "worker", "both" (the queue first), or "fail": it raises.
        seconds: that each step takes.
        gate: nothing passes `process` from this item on until the file "gate" is beside the journal.
        size: of a result, which is no number then.
    """

    def __init__(
        self,
        journal: str,
        moment: str = "",
        harm: str = "",
        seconds: float = 0.002,
        gate: int | None = None,
        size: int = 0,
    ) -> None:
        self.journal, self.moment, self.harm, self.seconds = journal, moment, harm, seconds
        self.gate, self.size = gate, size

    def at(self, moment: str, item: int) -> None:
        """Note that it has come here, and do what is to be done."""
        notes = Path(self.journal).with_name("notes")
        number = len(list(notes.glob(f"{moment} {item} *")))
        (notes / f"{moment} {item} {os.getpid()} {time.monotonic_ns()}").touch()
        if moment == self.moment and item == BAD and not number:
            self._harm()
        time.sleep(self.seconds)

    def _harm(self) -> None:
        if self.harm == "fail":
            raise LookupError("on purpose")
        if self.harm in {"queue", "both"}:
            for pid in holders(self.journal, descendants(os.getppid())):
                os.kill(pid, signal.SIGKILL)
        if self.harm in {"worker", "both"}:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(10.0)

    # The verbs

    def process(self, given: Any) -> Any:
        """Of one item, or of a batch."""
        return [self._process(item) for item in given] if isinstance(given, list) else self._process(given)

    def _process(self, item: int) -> Any:
        self.at("process", item)
        while self.gate is not None and item >= self.gate and not self._is_open:
            time.sleep(0.01)
        return 10 * item if not self.size else f"{item} " + "x" * self.size

    @property
    def _is_open(self) -> bool:
        return Path(self.journal).with_name("gate").exists()


class Loading(Errand):
    def load(self, item: int) -> int:
        self.at("load", item)
        return item


class Storing(Errand):
    def store(self, result: Any, item: int) -> Any:
        self.at("store", item)
        return result


class LoadingAndStoring(Loading, Storing):
    pass


def steps(journal: str | Path, moment: str = "process") -> Counter[int]:
    """Return how often each item came to a step."""
    notes = Path(journal).with_name("notes")
    return Counter(int(path.name.split()[1]) for path in notes.glob(f"{moment} *"))


def raise_two_arguments(x: int) -> int:
    raise works.TwoArguments("one", "two") if x == 3 else ValueError(x)
