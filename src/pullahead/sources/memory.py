"""A live queue in this process: what a broker is, without one.

Programs have it for items that come while a run goes on; tests have it as the oracle: it keeps the rules of
`pullahead.core.broker` to the letter, because it is a shell around that model. Any number of consumers share
it, each of which is a source::

    queue = MemoryQueue()
    queue.put("a.mp4")
    report = pullahead.run(work, queue.consumer())  # in another thread: goes on until `queue.close()`
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Condition
from time import monotonic
from typing import Any, NamedTuple, final

from pullahead.core.broker import Broker
from pullahead.core.leases import LEAST
from pullahead.sources.source import Capabilities, Taken


class Dead(NamedTuple):
    """An item that has failed for good. `attempts`: those of earlier consumers too."""

    item: Any
    reason: str
    attempts: int


@final
class MemoryQueue:
    """See the module.

    Args:
        clock: what deadlines go by, in seconds. A test has one of its own.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._broker = Broker()
        self._items: dict[int, Any] = {}
        self._changed = Condition()
        self._consumers = 0
        self._hungry: dict[int, dict[int, int]] = {}  # what each has heard of the others, by their numbers
        self._closed = False
        self.dead: list[Dead] = []

    def __len__(self) -> int:
        """How many items have not ended."""
        return len(self._broker)

    def put(self, item: Any) -> None:
        """Add an item."""
        with self._changed:
            if self._closed:
                raise ValueError("expected an open queue to put an item into, got one that is closed")
            self._items[self._broker.put()] = item
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing more will be put. Its consumers are closed once it is empty."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def consumer(self, *, drain: bool = False) -> MemoryConsumer:
        """Return a source that takes from this queue. `drain`: it ends when the queue is empty."""
        with self._changed:
            self._consumers += 1
            return MemoryConsumer(self, self._consumers, drain=drain)


@final
class MemoryConsumer:
    """One that takes from a `MemoryQueue`. Made by `MemoryQueue.consumer`."""

    def __init__(self, queue: MemoryQueue, number: int, *, drain: bool) -> None:
        self._queue = queue
        self._broker = queue._broker
        self._number = number
        self._drains = drain
        self._lease = LEAST
        queue._hungry[number] = {}
        self._attempts: dict[int, int] = {}  # of what is out
        self._is_over = False
        self.capabilities = Capabilities(
            ordered=False, finite=drain, deadlines=True, delivery_count=True, delayed_retry=True
        )

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<MemoryConsumer {self._number} {state}, {len(self._attempts)} held>"

    @property
    def closed(self) -> bool:
        """Whether `take` has nothing more to give: what others have may still come here."""
        ends = self._drains or self._queue._closed
        return self._is_over or (ends and not self._broker.others(self._number))

    def take(self, n: int, wait: float = 0.0) -> list[Taken]:
        """Hand out up to n items: first what was given back, or is late, then new ones."""
        with self._queue._changed:
            taken = self._take(n)
            if not taken and wait and not self.closed:
                self._queue._changed.wait(wait)
                taken = self._take(n)
            return taken

    def _take(self, n: int) -> list[Taken]:
        if self._is_over:
            return []
        granted = self._broker.take(self._number, n, self._queue._clock(), self._lease)
        self._attempts.update(granted)
        return [Taken(number, self._queue._items[number], attempt) for number, attempt in granted]

    def done(self, token: int) -> None:
        """The item has its result."""
        with self._queue._changed:
            self._broker.done(token)
            self._forget(token)

    def failed(self, token: int, reason: str, attempts: int = 1) -> None:
        """The item has failed for good: it is among the `dead` of the queue."""
        with self._queue._changed:
            before = self._attempts.get(token, 1) - 1
            if self._broker.failed(self._number, token):
                self._queue.dead.append(Dead(self._queue._items[token], reason, before + attempts))
                self._forget(token)
            self._attempts.pop(token, None)

    def _forget(self, token: int) -> None:
        self._attempts.pop(token, None)
        self._queue._items.pop(token, None)
        self._queue._changed.notify_all()  # somebody may wait for the last one to end

    def give_back(self, tokens: Iterable[int], delay: float = 0.0) -> None:
        """These items were not started; anybody may have them after `delay` seconds."""
        with self._queue._changed:
            tokens = list(tokens)
            self._broker.give_back(self._number, tokens, self._queue._clock(), delay)
            for token in tokens:
                self._attempts.pop(token, None)
            self._queue._changed.notify_all()

    def extend(self, tokens: Iterable[int], seconds: float) -> None:
        """These items are still being worked on."""
        with self._queue._changed:
            self._lease = seconds
            self._broker.extend(self._number, tokens, self._queue._clock(), seconds)

    def hungry(self, workers: int) -> None:
        """So many of our workers have nothing to compute."""
        with self._queue._changed:
            for number, heard in self._queue._hungry.items():
                if number != self._number:
                    heard[self._number] = workers

    def wanted(self) -> int:
        """How many workers of others have nothing to compute, since the last call."""
        with self._queue._changed:
            heard = self._queue._hungry.get(self._number, {})
            workers = sum(heard.values())
            heard.clear()
            return workers

    def close(self) -> None:
        """Nothing more will be taken."""
        with self._queue._changed:
            self._is_over = True
            self._queue._hungry.pop(self._number, None)
