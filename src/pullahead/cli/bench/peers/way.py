"""The words for a peer: what it is, how it is started, the ways to use it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from multiprocessing import resource_tracker
from typing import Any, Final, final

from pullahead.cli.bench.case import WORKERS, Absent

Work = Callable[[Any], Any]
Items = Sequence[Any]
#: From what to do, and on what, to the results, as they come.
Run = Callable[[Work, Items], Iterable[Any]]

#: So that each of the workers is surely up.
NAPS: Final = 4 * WORKERS


class Settings(StrEnum):
    """Who would use a peer this way."""

    DEFAULT = "default"  # whoever sets nothing
    CHUNKED = "chunked"  # who follows its documentation for many small items
    SINGLE = "single"  # who follows it for items of different size


@final
@dataclass(frozen=True, slots=True)
class Way:
    """One way to use a peer.

    Args:
        name: as people call it.
        run: from what to do, and on what, to the results.
        settings: whose way it is.
        streams: whether results come while later items are still to be computed.
        processes: that were started with the peer, beside the one that asks for the work.
    """

    name: str
    run: Run
    settings: Settings = Settings.DEFAULT
    streams: bool = True
    processes: frozenset[int] = frozenset()


@final
@dataclass(frozen=True, slots=True)
class Peer:
    """Somebody's pool.

    Args:
        name: of the project.
        start: starts it on the stack that will end it, and returns the ways to use it.
        package: what is imported; "" is always there.
        install: what pip is told to install.
    """

    name: str
    start: Callable[[ExitStack], list[Way | Absent]]
    package: str = ""
    install: str = ""

    @property
    def missing(self) -> str:
        """Why it cannot take part; "" if it can."""
        if not self.package or find_spec(self.package) is not None:
            return ""
        return f"not installed: pip install {self.install or self.package}"


def tuned(items: Items) -> int:
    """Return the chunk size that `multiprocessing.Pool.map` finds right: four chunks per worker."""
    return max(1, len(items) // (4 * WORKERS))


def chunks(items: Items) -> list[Items]:
    """Cut items into so many."""
    size = tuned(items)
    return [items[start : start + size] for start in range(0, len(items), size)]


def drain(results: Iterable[Any]) -> int:
    """Take all results and keep none; return how many there were."""
    return sum(1 for _ in results)


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes that start meanwhile do not hear the terminal's Ctrl-C, and so print no tracebacks.

    A signal is blocked, not ignored: children inherit the mask, and for us it comes when the block is over.
    """
    resource_tracker.ensure_running()  # starting one unblocks the signal, so it must be there before
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
