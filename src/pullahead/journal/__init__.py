"""The journal: what makes a run durable, and what a run begins with when the same command is run again.

Rules:
1. An item's end and its result are one transaction. Nobody hears of an end that is not on disk: neither the
   caller, nor the worker that keeps the result until then.
2. One transaction takes whatever has ended while the one before it was written (group commit). They are
   written on a thread of their own, in the process of the queue.
3. What has ended in an earlier run is not computed again: its result comes from the journal. What has not is
   computed, with the attempts that it was charged before.
4. A sink is handed each result. How far it has come is written down afterwards, now and then: a file is cut
   back to what was written down, so that it has each result once; others may be handed some results twice.
5. JSON stays JSON; everything else is pickled. Whoever can write to a journal can make its reader run code:
   it is to be trusted as the code of the work is.

A journal holds one run over one input. Items and results are in it, so it is as large as they are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, final

from pullahead.errors import JournalError

__all__ = ["KEPT", "Journal", "JournalError"]

#: What a disk that fails does not take away.
KEPT: Final = "what was recorded before is safe, the rest is computed again"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """Which file, and how. A path alone is `Journal(path=...)`.

    Args:
        path: the file, on a local disk; made if it is not there.
        synchronous: "full" writes each transaction to the disk before anybody hears of it. "normal" leaves
            that to the operating system: nothing is lost when a process is killed, but when the power fails,
            the last results may be, and their items are computed again.
        version: of the work. The work is known by its name and this: another one is refused.
        retry_failed: whether items that have failed in an earlier run are tried again.
    """

    path: str | os.PathLike[str]
    synchronous: Literal["full", "normal"] = "full"
    version: str | None = None
    retry_failed: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike):
            raise TypeError(f"journal: expected a path, got {self.path!r}")
        if self.synchronous not in ("full", "normal"):
            raise ValueError(
                f"journal: expected synchronous to be 'full' or 'normal', got {self.synchronous!r}"
            )
        if self.version is not None and not isinstance(self.version, str):
            raise TypeError(f"journal: expected version to be a text, got {self.version!r}")
        if not isinstance(self.retry_failed, bool):
            raise TypeError(f"journal: expected retry_failed to be True or False, got {self.retry_failed!r}")

    @classmethod
    def of(cls, given: Any) -> Self | None:
        """Take what a user may give: a journal, a path, or None."""
        return given if given is None or isinstance(given, cls) else cls(path=given)
