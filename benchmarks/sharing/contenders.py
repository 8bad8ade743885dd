"""The two ways of sharing: each is a program that works until the queue has nothing more.

Both call `go` when their workers are there, and begin when that returns.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Condition, Thread
from time import monotonic
from typing import Any, Final

from benchmarks.sharing.notes import Notes
from benchmarks.sharing.scene import Ran, Scene, run

import pullahead as pa
from pullahead.core.leases import LEAST
from pullahead.sources import Taken, open_source

#: How many items each worker computes before the clock begins: the pool is one that works already.
_WARM: Final = 8
#: Seconds that the plain pattern waits for an item that is not there; with that it hears that all has ended.
_WAIT: Final = 0.05


def process(seconds: float, item: int) -> Ran:
    """Compute an item in a worker of Pullahead's."""
    return run(seconds, os.getpid(), item)


def pullahead(address: str, scene: Scene, program: int, go: Callable[[], object]) -> Notes:
    """Share as Pullahead does: `pa.run(work, address)`, with default settings."""
    notes = Notes()
    work = partial(process, scene.seconds_in(program))
    with pa.Pool(work, workers=scene.workers) as pool:
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
    waiting: SimpleQueue[Taken | None] = SimpleQueue()
    held: set[Any] = set()
    changed = Condition()

    def work(worker: int) -> None:
        while (one := waiting.get()) is not None:
            notes.ran.append(run(scene.seconds_in(program), worker, one.item))
            source.done(one.token)
            with changed:
                held.discard(one.token)
                changed.notify_all()

    workers = [Thread(target=work, args=(number,)) for number in range(scene.workers)]
    for worker in workers:
        worker.start()
    go()
    extended = monotonic()
    while not source.closed:
        with changed:
            changed.wait_for(lambda: len(held) < scene.prefetch, LEAST / 4)
            room = scene.prefetch - len(held)
            mine = list(held)
        if monotonic() - extended > LEAST / 4:
            source.extend(mine, LEAST)
            extended = monotonic()
        found = source.take(room, _WAIT) if room else []
        with changed:
            held.update(one.token for one in found)
        for one in found:
            waiting.put(one)
    for _ in workers:
        waiting.put(None)
    for worker in workers:
        worker.join()
    source.close()
    return notes


CONTENDERS: Final = {"pullahead": pullahead, "prefetch": prefetch}
