"""The item of every scene: it passes its time in one of three ways and says when."""

from __future__ import annotations

import ctypes
import time
from typing import Final

#: Waits, and leaves the interpreter to others.
SLEEP: Final = "sleep"
#: Computes pure Python.
SPIN: Final = "spin"
#: Stays in C and keeps the interpreter. `PyDLL` calls without releasing it, unlike `CDLL`.
HOLD: Final = "hold"

Item = tuple[str, float]  # how, and for how many seconds

_usleep = ctypes.PyDLL(None).usleep


def work(item: Item) -> tuple[float, float]:
    """Return when this began and ended: moments of the clock that all processes of a machine share."""
    how, seconds = item
    begin = time.monotonic()
    if how == SLEEP:
        time.sleep(seconds)
    elif how == HOLD:
        _usleep(round(1e6 * seconds))
    else:
        end = begin + seconds
        while time.monotonic() < end:
            pass
    return begin, time.monotonic()
