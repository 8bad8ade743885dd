"""A page of memory that a process shares with its guard, so that what it wrote survives it.

It has two slots for what is noted and one byte that says which of them counts: a note is written into the
other one first, so a process that is killed at any moment leaves a whole note, the new one or the one before.
Beside them stand one number, for what changes so often that writing a note would cost too much, and two
timers: each says since when something goes on, and what. The guard ends a process for which that is too long,
also one that is stopped or whose C code keeps the interpreter. On the local engine the fork server is the
guard; on Ray it is a small process beside each actor that has a time limit, and it writes into the page why
it has ended it.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from functools import partial
from typing import Final, final

__all__ = ["SIZE", "Notepad"]

#: Bytes of one slot: the numbers of a batch of fifty thousand items. Untouched pages cost nothing.
_SLOT: Final = 256 << 10
_WHICH: Final = struct.Struct("<B")
_MARK: Final = struct.Struct("<Q")
_SIZE: Final = struct.Struct("<I")
_SINCE: Final = struct.Struct("<d")
_MARK_AT: Final = 8
_TIMERS_AT: Final = (16, 32)
_VERDICT: Final = struct.Struct("<BQ")  # 0, or 1 + which timer; its number
_VERDICT_AT: Final = 48
_SLOTS_AT: Final = 64
#: Bytes of a page.
SIZE: Final = _SLOTS_AT + 2 * _SLOT


@final
class Notepad:
    """See the module. One thread writes notes at a time; the mark may be set beside it.

    Args:
        page: where it is, `SIZE` bytes; None: memory without a name, which forks share.

    Attributes:
        mark: replaces the number, from 0 to 2^64 - 1, in less than 0.1 µs.
    """

    __slots__ = ("_page", "mark")

    def __init__(self, page: mmap.mmap | None = None) -> None:
        self._page = mmap.mmap(-1, SIZE) if page is None else page
        self.mark: Callable[[int], object] = partial(_MARK.pack_into, self._page, _MARK_AT)

    def write(self, note: bytes) -> bool:
        """Replace the note. False, and an empty note, if it is too long."""
        fits = len(note) <= _SLOT - _SIZE.size
        if not fits:
            note = b""
        page = self._page
        other = 1 - page[0]
        start = _SLOTS_AT + other * _SLOT
        _SIZE.pack_into(page, start, len(note))
        start += _SIZE.size
        page[start : start + len(note)] = note
        _WHICH.pack_into(page, 0, other)
        return fits

    def timer(self, which: int, since: float, number: int = 0) -> None:
        """Say since when (on the monotonic clock; 0: no more) something goes on, and what; `which` is 0 or 1.

        Each of the two has one writer at a time. It costs 0.3 µs.
        """
        at, page = _TIMERS_AT[which], self._page
        _SINCE.pack_into(page, at, 0.0)  # whoever reads between these lines sees a timer that is off
        if since:
            _MARK.pack_into(page, at + 8, number)
            _SINCE.pack_into(page, at, since)

    def timers(self) -> list[tuple[float, int]]:
        """Return since when, and what, of each timer."""
        page = self._page
        found: list[tuple[float, int]] = []
        for at in _TIMERS_AT:
            (since,) = _SINCE.unpack_from(page, at)
            (number,) = _MARK.unpack_from(page, at + 8)
            moved = _SINCE.unpack_from(page, at) != (since,)  # meanwhile: then it is not what ran for long
            found.append((0.0 if moved else since, number))
        return found

    def read(self) -> tuple[bytes, int]:
        """Return the note and the mark."""
        page = self._page
        start = _SLOTS_AT + page[0] * _SLOT
        (size,) = _SIZE.unpack_from(page, start)
        (mark,) = _MARK.unpack_from(page, _MARK_AT)
        start += _SIZE.size
        return page[start : start + size], mark

    def overdue(self, now: float, limit: float) -> tuple[int, int] | None:
        """Return which timer has run for longer than so many seconds, and what it stands for."""
        for which, (since, number) in enumerate(self.timers()):
            if since and now - since > limit:
                return which, number
        return None

    @property
    def verdict(self) -> tuple[int, int] | None:
        """For which timer the guard has ended the process, and what that stood for."""
        which, number = _VERDICT.unpack_from(self._page, _VERDICT_AT)
        return (which - 1, number) if which else None

    def judge(self, overdue: tuple[int, int]) -> None:
        """Write down for which timer the process is about to be ended."""
        which, number = overdue
        _VERDICT.pack_into(self._page, _VERDICT_AT, which + 1, number)

    def close(self) -> None:
        """Unmap it in this process."""
        self._page.close()
