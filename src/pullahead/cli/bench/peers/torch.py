"""PyTorch's `DataLoader`: other processes load, and the caller computes."""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from typing import Any, Final, final

from pullahead.cli.bench.case import WORKERS, Absent
from pullahead.cli.bench.peers.way import Items, Peer, Settings, Way, Work, deaf_children

LOADER: Final = "DataLoader"
#: As many as hide 5 ms of loading behind 1 ms of compute, and one more.
MANY: Final = 6


def start(stack: ExitStack) -> list[Way | Absent]:
    """Return the ways to load with it; its processes start in the first round, and stay.

    By default it has no processes (`num_workers=0`) and makes batches of one. Its documentation advises
    workers, and `persistent_workers` to keep them; `batch_size=None` leaves items as they are.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch"])  # imported once, not in each of them
    kept: dict[str, Any] = {"batch_size": None, "persistent_workers": True}
    kept["multiprocessing_context"] = context
    return [
        Way(f"{LOADER}, defaults", _Loads(stack)),
        *(
            Way(f"{LOADER}, num_workers={count}", _Loads(stack, num_workers=count, **kept), Settings.SINGLE)
            for count in (WORKERS, MANY)
        ),
    ]


@final
class _Dataset:
    """Items that are loaded when they are asked for."""

    def __init__(self, load: Work, items: Items) -> None:
        self._load, self._items = load, items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, place: int) -> Any:
        return self._load(self._items[place])


@final
class _Loads:
    """Loads items, and yields them to whoever computes."""

    def __init__(self, stack: ExitStack, **options: Any) -> None:
        self._options = options
        self._loader: Any = None
        self._of: tuple[Work, int] | None = None
        stack.callback(self._end)

    def __call__(self, load: Work, items: Items) -> Iterator[Any]:
        with warnings.catch_warnings(), deaf_children():
            warnings.simplefilter("ignore")  # that more processes than cores are asked for: they sleep
            if self._of != (load, len(items)):
                self._end()
                loader = import_module("torch.utils.data").DataLoader
                self._loader, self._of = loader(_Dataset(load, items), **self._options), (load, len(items))
            loaded: Iterator[Any] = iter(self._loader)
        return loaded

    def _end(self) -> None:
        """Let go of its processes: they end when nobody has the loader any more."""
        self._loader = self._of = None


PEER: Final = Peer("PyTorch", start, package="torch")
