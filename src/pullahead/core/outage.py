"""A server that cannot be reached: when to try again, and when to say that it is gone.

The first failure begins an outage; each further one doubles the wait, up to `cap`, and a random share of it
keeps those that failed together from coming back together (the random number is the caller's). One success
ends it. An outage that lasts for longer than `patience` is final.
"""

from __future__ import annotations

from typing import Final, final

#: Seconds before the first try, and the most between two of them.
BASE: Final = 0.1
CAP: Final = 5.0
#: Seconds. A server that restarts and reads its data from disk is back by then.
PATIENCE: Final = 60.0


@final
class Outage:
    """See the module.

    Args:
        patience: seconds after which nobody waits any more.
    """

    __slots__ = ("_failures", "_patience", "_since", "retry_at")

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._failures = 0
        self._since = 0.0
        self.retry_at: float | None = None  # None: nothing is wrong

    def failed(self, now: float, jitter: float) -> bool:
        """The server could not be reached. Return False if that is final.

        Args:
            now: seconds.
            jitter: a number from 0 to 1.
        """
        if not self._failures:
            self._since = now
        wait = min(CAP, BASE * 2.0 ** min(self._failures, 16)) * (0.5 + jitter)
        self._failures += 1
        self.retry_at = now + wait
        return now - self._since < self._patience

    def mended(self) -> None:
        """The server answered."""
        self._failures = 0
        self.retry_at = None
