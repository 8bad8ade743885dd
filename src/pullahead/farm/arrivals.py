"""Results on their way to the queue. A report counts when its result is here.

Until then its worker may still die, or its machine, and take the result along. So the item stays with its
worker as if it ran; it runs again if the result is lost.
"""

from __future__ import annotations

from collections import Counter
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
        self._awaited: Counter[int] = Counter()  # results, by worker

    def bring(self, report: Report, freight: Freight) -> None:
        """Have a result brought here. With the lock held that `came` takes."""
        self._awaited[report.worker] += 1
        freight.ref.future().add_done_callback(partial(self._has_come, report))

    def are_awaited(self, worker: int) -> bool:
        """Whether a result of this worker's is on its way."""
        return worker in self._awaited

    def ended(self, worker: int) -> None:
        """One less is. Called by `came`, with its lock held."""
        self._awaited[worker] -= 1
        if not self._awaited[worker]:
            del self._awaited[worker]

    def _has_come(self, report: Report, brought: Future[Any]) -> None:
        error = brought.exception()
        self._came(report, None if error else brought.result(), error)
