"""The two ways of sharing: each is a program that works until the queue has nothing more.

Both call `go` when their workers are there, and begin when that returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from threading import Condition, Thread
from time import monotonic
from typing import Any, Final

from benchmarks.sharing.notes import Notes
from benchmarks.sharing.scene import Ran, Scene, run

import pullahead as pa
from pullahead.core.leases import LEAST
from pullahead.sources import Source, Taken, open_source

#: How many items each worker computes before the clock begins: the pool is one that works already.
_WARM: Final = 8
#: Seconds that the plain pattern waits for an item that is not there; with that it hears that all has ended.
_WAIT: Final = 0.05
#: Seconds after which it extends what it has.
_EXTEND: Final = LEAST / 4


def pullahead(address: str, scene: Scene, program: int, go: Callable[[], object]) -> Notes:
    """Share as Pullahead does: `pa.run(work, address)`, with default settings."""
    notes = Notes()
    with pa.Pool(partial(run, scene.seconds_in(program)), workers=scene.workers) as pool:
        for _ in pool.map(range(_WARM * scene.workers)):
            pass
        source = notes.watch(open_source(address))
        go()
        pool.run(source, lambda ran, item: notes.ran.append(Ran(*ran)))
    return notes


def prefetch(address: str, scene: Scene, program: int, go: Callable[[], object]) -> Notes:
    """Share as a plain prefetch does: have so many, ask for as many more as have ended, give nothing back."""
    notes = Notes()
    source = notes.watch(open_source(address))
    held = _Held()
    work = partial(_work, source, held, scene.seconds_in(program), notes.ran)
    workers = [Thread(target=work) for _ in range(scene.workers)]
    for worker in workers:
        worker.start()
    go()
    extended = monotonic()
    while not source.closed:
        if monotonic() - extended > _EXTEND:
            source.extend(held.tokens(), LEAST)
            extended = monotonic()
        room = held.wait_room(scene.prefetch)
        held.add(source.take(room, _WAIT) if room else [])
    for _ in workers:
        held.waiting.put(None)
    for worker in workers:
        worker.join()
    source.close()
    return notes


class _Held:
    """What a program of the plain pattern has: waiting, or with one of its workers."""

    def __init__(self) -> None:
        self.waiting: SimpleQueue[Taken | None] = SimpleQueue()
        self._tokens: set[Any] = set()
        self._changed = Condition()

    def tokens(self) -> list[Any]:
        with self._changed:
            return list(self._tokens)

    def wait_room(self, most: int) -> int:
        """Wait until there is room, but not until leases run out. Return for how many."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._tokens) < most, _EXTEND)
            return most - len(self._tokens)

    def add(self, taken: Sequence[Taken]) -> None:
        with self._changed:
            self._tokens.update(one.token for one in taken)
        for one in taken:
            self.waiting.put(one)

    def ended(self, token: Any) -> None:
        with self._changed:
            self._tokens.discard(token)
            self._changed.notify_all()


def _work(source: Source, held: _Held, seconds: float, ran: list[Ran]) -> None:
    """A worker: compute what waits, one after the other, and say of each that it is done."""
    while (one := held.waiting.get()) is not None:
        ran.append(run(seconds, one.item))
        source.done(one.token)
        held.ended(one.token)


CONTENDERS: Final = {"pullahead": pullahead, "prefetch": prefetch}
