"""Results on their way to the queue. A report counts when its result is here.

Until then its worker may still die, or its machine, and take the result along. So the item stays with its
worker as if it ran; it runs again if the result is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple, final

from pullahead.farm.freight import Freight


class Report(NamedTuple):
    """A worker has finished an item under a lease."""

    worker: int
    lease: int
    item: int


@final
class Arrivals:
    """See the module.

    Args:
        came: called with a report and the payload of its result, or what keeps that from coming. On the
            engine's thread.
    """

    def __init__(self, came: Callable[[Report, Any, BaseException | None], object]) -> None:
        self._came = came
        self._awaited: dict[int, set[int]] = {}  # items, by worker

    def bring(self, report: Report, freight: Freight) -> None:
        """Have a result brought here. With the lock held that `came` takes."""
        self._awaited.setdefault(report.worker, set()).add(report.item)
        freight.ref.future().add_done_callback(partial(self._has_come, report))

    def awaited(self, worker: int) -> set[int]:
        """Return the items of this worker whose results are on their way."""
        return self._awaited.get(worker, set())

    def ended(self, report: Report) -> None:
        """This one is not any more. Called by `came`, with its lock held."""
        items = self._awaited[report.worker]
        items.discard(report.item)
        if not items:
            del self._awaited[report.worker]

    def _has_come(self, report: Report, brought: Future[Any]) -> None:
        error = brought.exception()
        self._came(report, brought.result() if error is None else None, error)
