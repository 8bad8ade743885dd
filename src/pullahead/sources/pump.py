"""Two ways to pull items out of an iterable: at once, and on a thread of its own.

Pulling the next item of a generator may take a microsecond or an hour, and there is no way to ask
beforehand. A run that pulls on its own thread would keep ten items back because the eleventh is not there
yet. So:

- What lies in memory (a list, a range) answers at once: `Direct` pulls it on the caller's thread.
- Everything else is pulled by a `Pump`: one thread per source, always the same one, so that what a generator
  opens (a database handle, say) stays on the thread that opened it.

How the pump works. Two counters, each written by one side only: `_asked` by the caller, `_pulled` by the
thread. The thread pulls while `_pulled < _asked` and never beyond, so that an iterable with side effects
is not drained ahead of demand. Items cross in a deque, whose append and popleft are atomic. No lock is
taken per item: with one, the two threads hand the interpreter to each other for every item (a convoy),
and a quick generator costs many times as much. An event is only set when the other side may be asleep.
"""

from __future__ import annotations

import operator
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, final

#: Exact types that answer at once. A subclass may have an `__iter__` that waits for a disk.
IN_MEMORY: Final = frozenset(
    {list, tuple, range, set, frozenset, deque, type({}.keys()), type({}.values()), type({}.items())}
)

#: How long `close` waits for a pump that is not inside the user's iterable: it only has to notice.
JOIN_SECONDS: Final = 1.0


@final
class Direct:
    """Pulls from a container in memory, on the caller's thread."""

    def __init__(self, iterable: Iterable[Any]) -> None:
        self._iterator: Iterator[Any] = iter(iterable)
        self._error: Exception | None = None
        self.ended = operator.length_hint(self._iterator) == 0

    def pull(self, n: int, wait: float) -> list[Any]:  # noqa: ARG002  it never has to wait
        """Up to n items; [] at the end."""
        items: list[Any] = []
        if self._error is None:
            self._fill(items, n)
        if self._error is not None and not items:
            self.ended = True
            raise self._error
        return items

    def _fill(self, items: list[Any], n: int) -> None:
        try:
            items.extend(islice(self._iterator, n))  # on an error, what came before it is in `items`
        except RuntimeError as error:  # a set or a dict that changed under us
            self._error = error
        else:
            self.ended = len(items) < n or operator.length_hint(self._iterator) == 0

    def close(self) -> None:
        """Let go of the container."""
        self.ended, self._error, self._iterator = True, None, iter(())


@final
class Pump:
    """Pulls from any iterable on a thread of its own, as much as was asked for."""

    def __init__(self, iterable: Iterable[Any]) -> None:
        self._iterator: Iterator[Any] | None = iter(iterable)
        self._ours = self._iterator is not iterable  # only an iterator that we made is ours to close
        self._items: deque[Any] = deque()
        self._asked = self._pulled = self._given = 0
        self._error: BaseException | None = None
        self._exhausted = self._stopped = self._inside = False
        self._ready, self._more = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come. An error that is still to be raised is something."""
        return self._exhausted and not self._items and self._error is None

    def pull(self, n: int, wait: float) -> list[Any]:
        """Up to n items; [] when none came within `wait` seconds, and at the end."""
        self._ask(n)
        self._ready.clear()
        if not self._items and not self._exhausted:
            self._ready.wait(wait)
        exhausted = self._exhausted  # read before the items: what is appended later belongs to a later pull
        items = [self._items.popleft() for _ in range(min(n, len(self._items)))]
        self._given += len(items)
        if exhausted and not items and self._error is not None:
            error, self._error = self._error, None
            raise error
        return items

    def _ask(self, n: int) -> None:
        self._asked = self._given + n
        if self._thread is None and not self._exhausted:
            self._thread = threading.Thread(target=self._run, name="pullahead-source", daemon=True)
            self._thread.start()
        elif self._pulled < self._asked:
            self._more.set()

    def close(self) -> None:
        """Stop pulling. A pull that is under way in the user's iterable is not waited for."""
        self._stopped = True
        self._more.set()
        if self._thread is None:
            self._finish(None)
        elif not self._inside and self._thread is not threading.current_thread():
            self._thread.join(JOIN_SECONDS)
        self._items.clear()
        self._error = None

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            while self._wanted() and self._pull_one():
                pass
        except BaseException as caught:  # noqa: BLE001  whatever it is, it belongs to the caller
            error = caught
        self._finish(error)

    def _wanted(self) -> bool:
        """Wait until something is asked for; False when the source was closed."""
        while self._pulled >= self._asked and not self._stopped:
            self._more.clear()
            if self._pulled >= self._asked and not self._stopped:
                self._more.wait()
        return not self._stopped

    def _pull_one(self) -> bool:
        assert self._iterator is not None
        self._inside = True
        try:
            self._items.append(next(self._iterator))
        except StopIteration:
            return False
        finally:
            self._inside = False
        self._pulled += 1
        if not self._ready.is_set():
            self._ready.set()
        return True

    def _finish(self, error: BaseException | None) -> None:
        iterator, self._iterator = self._iterator, None
        close = getattr(iterator, "close", None) if self._ours else None
        try:
            if close is not None:
                close()
        except Exception as caught:  # noqa: BLE001  a generator's `finally` may raise: the caller's as well
            error = error or caught
        del iterator, close  # a `map` that feeds this one ends when nobody holds it any more
        self._error = None if self._stopped else error
        self._exhausted = True
        self._ready.set()
