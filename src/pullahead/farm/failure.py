"""Failures: as values in the caller's hands, and on their way there."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, final

from pullahead.core import retry
from pullahead.errors import PullaheadError

#: Seconds. A year: timers of the operating system end somewhere.
_LONGEST: Final = 365 * 24 * 3600

_LONGEST_REASON: Final = 500

_BRIEF: Final = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 200


@final
class RetryLater(PullaheadError):  # noqa: N818  a request of the work, not an error
    """Raise it in the work: run this item again, `seconds` from now. It costs the item no attempt.

    Others go on meanwhile. An item of a live queue, which is to wait for a second or more, has not failed
    before and is not one of a batch, waits there, for whoever takes it then; in Redis for ten minutes at
    most, after which it may ask again.
    """

    def __init__(self, seconds: float) -> None:
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _LONGEST:
            raise ValueError(f"RetryLater: expected seconds from 0 to {_LONGEST:,}, got {seconds!r}")
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"the work asked for this item again in {self.seconds} s"


@final
class Reject(PullaheadError):  # noqa: N818  likewise
    """Raise it in the work: this item fails for good, whatever `retries` says."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"rejected: {self.reason}"


class Try(NamedTuple):
    """An attempt that failed, on its way to the caller.

    Attributes:
        error: as `dumps_error` packs it.
        worker: the number of the worker, as in the report; None if the item never reached one.
        began, ended: seconds since the epoch. When the attempt of a worker that died began is not known.
    """

    error: bytes
    worker: int | None
    began: float | None
    ended: float


@final
@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at an item, which failed.

    Attributes:
        error: the exception, of its own type; `ActorDiedError` if the worker died.
        traceback: where in the worker it was raised, as text; empty if the worker died.
        worker: the number of the worker, as in the report; None if it failed in the caller's process.
        began, ended: seconds since the epoch; `began` is None if that is not known.
    """

    error: BaseException
    traceback: str
    worker: int | None
    began: float | None
    ended: float


@final
@dataclass(frozen=True, slots=True)
class Failure:
    """An item that failed for good. With `on_error="collect"` it stands in the place of a result.

    Attributes:
        item: the item, as the source gave it.
        history: every attempt that failed, in order. If it failed in the caller's process, before the item
            was sent or after its result had come, that alone. What asked to be tried later (`RetryLater`) has
            not failed.
        attempts: how often a worker tried the item and failed.
    """

    item: Any
    history: tuple[Attempt, ...]
    attempts: int

    @property
    def error(self) -> BaseException:
        """The exception of the last attempt, of its own type."""
        return self.history[-1].error

    @property
    def traceback(self) -> str:
        """Where it was raised, as text; empty if the worker died."""
        return self.history[-1].traceback

    def __repr__(self) -> str:
        return f"<Failure of {brief(self.item)}: {self.error!r}, {tried(self.attempts)}>"


def tried(attempts: int) -> str:
    """Say how often an item was tried."""
    return "never tried" if not attempts else "tried once" if attempts == 1 else f"tried {attempts} times"


def reason_of(failure: Failure) -> str:
    """Say in a line why an item failed, for whoever finds it among the dead letters."""
    error = failure.error
    try:
        message = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  of the user's class
        message = ""
    name = type(error).__qualname__
    return f"{name}: {message[:_LONGEST_REASON]}" if message else name


def brief(item: Any) -> str:
    """Write an item within a line, whatever its own `__repr__` does."""
    return _BRIEF.repr(item)


def kind_of(error: BaseException, retry_on: tuple[type[Exception], ...]) -> tuple[str, float]:
    """Return the kind of a failure and the delay it asks for, as `core.retry` wants them.

    Args:
        error: what was raised.
        retry_on: what is worth another attempt.
    """
    if isinstance(error, RetryLater):
        return retry.LATER, float(error.seconds)
    if isinstance(error, Reject) or not isinstance(error, retry_on):
        return retry.REJECT, 0.0
    return retry.ERROR, 0.0
