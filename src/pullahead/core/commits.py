"""What may be said once it is on disk.

Rules:
1. Whatever was recorded since the last batch is the next batch. One batch is written at a time, so that the
   longer writing takes, the more goes into the next (group commit).
2. What is said because of a record waits until that record, and with it all before, is written; and what is
   said later waits behind it. Where nothing was recorded that is not written, nothing waits.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar, final

Record = TypeVar("Record")
Saying = TypeVar("Saying")


@final
class Commits(Generic[Record, Saying]):
    """Orders records and what waits for them. See the module."""

    __slots__ = ("_batch", "_recorded", "_records", "_waiting", "_written")

    def __init__(self) -> None:
        self._records: list[Record] = []  # of the next batch
        self._batch = 0  # how many are being written
        self._recorded = self._written = 0
        self._waiting: deque[tuple[int, Saying]] = deque()  # behind so many records

    def record(self, record: Record) -> None:
        """This is to be written."""
        self._records.append(record)
        self._recorded += 1

    def say(self, saying: Saying) -> None:
        """This is to be said when all that was recorded so far is written."""
        self._waiting.append((self._recorded, saying))

    def next_batch(self) -> list[Record]:
        """Take what is to be written now; [] if there is nothing, or the batch before it is being written."""
        if self._batch:
            return []
        batch, self._records = self._records, []
        self._batch = len(batch)
        return batch

    def written(self) -> None:
        """The batch that was taken is on disk."""
        self._written += self._batch
        self._batch = 0

    def due(self) -> list[Saying]:
        """Take what may be said now, in order."""
        due: list[Saying] = []
        while self._waiting and self._waiting[0][0] <= self._written:
            due.append(self._waiting.popleft()[1])
        return due

    @property
    def is_settled(self) -> bool:
        """Whether everything that was recorded is written."""
        return self._written == self._recorded
