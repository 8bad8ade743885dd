"""What one end of a channel has lent to the other: memory that crosses and is not copied (see `stage`).

A loan has a number of the channel, as its slabs have, and the other end knows no difference: it maps what the
descriptor that comes with the first loan of this memory leads to, finds it by its number from then on, says
when it has no view of it any more, and forgets it when it is told to. That is when the memory itself is gone
here.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, final

from pullahead.actors.local import kinds
from pullahead.actors.local.memory import Memory
from pullahead.actors.local.stage import Marked

if TYPE_CHECKING:
    from pullahead.actors.local.wire import Channel

__all__ = ["MAY_PASS", "PRIVATE", "Loan", "Loans"]


MAY_PASS: Final = 1
PRIVATE: Final = 2


class Loan(NamedTuple):
    """What is sent of one.

    Attributes:
        number, size: of the memory, on this channel.
        how: `MAY_PASS` if its receiver may pass it on, `PRIVATE` if that is to map it privately.
        memory: itself.
        fd: what leads to it; None: the other end has it already.
    """

    number: int
    size: int
    how: int
    memory: Memory
    fd: int | None


@final
class Loans:
    """See the module.

    Args:
        channel: whose.
        lock: held while something is lent or comes back.
        number: gives numbers.
    """

    def __init__(self, channel: Channel, lock: threading.RLock, number: Callable[[], int]) -> None:
        self._channel, self._lock, self._number = channel, lock, number
        self._out: dict[int, memoryview] = {}  # what keeps each from being used for anything else
        # By how the other end maps it.
        self._numbers: dict[int, weakref.WeakKeyDictionary[Memory, int]] = {
            how: weakref.WeakKeyDictionary() for how in (0, PRIVATE)
        }
        self._known: dict[int, weakref.ref[Memory]] = {}
        self._gone: deque[int] = deque()  # numbers of which the memory is gone
        self._is_closed = False

    def lend(self, marked: Marked) -> Loan | None:
        """Lend what was marked; None: the other end has it already, from another message, or is gone.

        Raises OSError: there are no descriptors left.
        """
        view, memory, is_lent = marked
        how = PRIVATE if is_lent else 0
        with self._lock:
            numbers = self._numbers[how]
            number, fd = numbers.get(memory), None
            if number in self._out or self._is_closed:
                return None
            if number is None:
                fd, number = os.dup(memory.fd), self._number()
                self._known[number] = weakref.ref(memory, partial(self._is_gone, number))
            self._out[number] = view
            numbers[memory] = number
        return Loan(number, memory.size, how | (MAY_PASS if memory.is_staged else 0), memory, fd)

    def take_back(self, loan: Loan) -> None:
        """It is not sent after all. If it is new, the other end knows nothing of it."""
        with self._lock:
            self._out.pop(loan.number, None)
            if loan.fd is not None:
                os.close(loan.fd)
                self._numbers[loan.how & PRIVATE].pop(loan.memory, None)
                self._known.pop(loan.number, None)

    def returned(self, number: int, is_over: bool) -> None:
        """The other end has no view of it any more. `is_over`: but somebody unknown may have one."""
        found = self._known.get(number)
        memory = None if found is None else found()
        if memory is not None and is_over:
            memory.is_over = True
        self._out.pop(number, None)

    def close(self) -> None:
        """Nobody will say so any more, and who had it may have passed it on, or left a child that has it."""
        with self._lock:
            for numbers in self._numbers.values():
                for memory, number in list(numbers.items()):
                    memory.is_over = memory.is_over or number in self._out
            self._out.clear()
            self._is_closed = True

    def _is_gone(self, number: int, _memory: object) -> None:
        # The garbage collector may call this anywhere: no lock, no wait.
        self._gone.append(number)
        self._channel.loop.call(self._send_drops)

    def _send_drops(self) -> None:
        while self._gone:
            number = self._gone.popleft()
            self._known.pop(number, None)
            self._channel.send(kinds.SLAB_DROP, number)
