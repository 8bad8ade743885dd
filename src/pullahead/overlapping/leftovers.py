"""What becomes of items that were fetched and not yielded: they are given back, or a warning counts them."""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, final

from pullahead.overlapping.futures import as_future, outcome


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


@final
class Leftovers:
    """Gives items back in order, one call at a time, and lets no error vanish. Without a function, warns."""

    def __init__(self, give_back: Callable[[Any], object] | None) -> None:
        self._give_back = give_back
        self._items: deque[Any] = deque()  # to be given back
        self._lock = threading.Lock()
        self._busy = False  # somebody is giving back
        self._lost = 0  # items that came late and could not be given back

    def left(self, items: list[Any], under_way: int) -> None:
        """The caller leaves these items, and so many requests under way."""
        if self._give_back is not None:
            self._give(items, here=True)
        elif items or under_way:
            # Not a ResourceWarning: Python hides those by default, and these are lost items.
            warnings.warn(
                f"overlap() was left early with {counted(len(items), 'item')} fetched and "
                f"{counted(under_way, 'request')} under way: pass give_back= to return them",
                RuntimeWarning,
                stacklevel=4,  # the caller of the method of `Overlap` that closes the flow
            )

    def came_late(self, items: list[Any], under_way: int, here: bool) -> None:
        """An answer came after that, with one item or none; so many are still to come.

        Args:
            here: may this thread block? A callback thread of an engine must not.
        """
        if self._give_back is not None:
            self._give(items, here)
            return
        with self._lock:
            self._lost += len(items)
        if self._lost and not under_way:
            are = "is" if self._lost == 1 else "are"
            warnings.warn(
                f"{counted(self._lost, 'item')} came after overlap() was left early and {are} lost",
                RuntimeWarning,
                stacklevel=2,
            )

    def _give(self, items: list[Any], here: bool) -> None:
        with self._lock:
            self._items.extend(items)
            if self._busy or not items:
                return  # whoever is at it takes these along
            self._busy = True
        if here:
            self._drain()
        else:
            threading.Thread(target=self._drain, name="pullahead-give-back", daemon=True).start()

    def _drain(self) -> None:
        assert self._give_back is not None
        while True:
            with self._lock:
                if not self._items:
                    self._busy = False
                    return
                item = self._items.popleft()
            try:
                future = as_future(self._give_back(item))
            except BaseException as error:  # noqa: BLE001  the items behind this one must go back all the same
                _Unraisable(error, self._give_back)
            else:
                if future is not None:
                    future.add_done_callback(self._returned)

    def _returned(self, future: Future[Any]) -> None:
        _, error = outcome(future)
        if error is not None:
            _Unraisable(error, self._give_back)


@final
class _Unraisable:
    """Shows an exception that no caller can receive: dropped at once, it hands it to `sys.unraisablehook`.

    That is the only way there: the type of the hook's argument cannot be built.
    """

    def __init__(self, error: BaseException, give_back: object) -> None:
        self._error, self._give_back = error, give_back

    def __del__(self) -> None:
        self._error.add_note(f"raised by {self._give_back!r}, so overlap() could not give back an item")
        raise self._error
