"""How soon an item starts that is put into an idle queue: from before its INSERT until the work has it.

    python -m benchmarks.wakeup 'postgresql://host/db?queue=wakeup'

One run waits for items, which come one by one, each when the one before has long ended. Work and script read
the same clock, so they have to be on one machine. `--puts` of them are measured, after three that are not:
they start the workers.
"""

from __future__ import annotations

import threading
import time
from statistics import median
from typing import Any, Final

import click

import pullahead as pa
from pullahead.observe import words
from pullahead.sources.postgresql import PostgresQueue

_FIRST: Final = 3


def started(_: Any) -> float:
    """When the work has the item."""
    return time.monotonic()


def measure(address: str, puts: int, pause: float) -> list[float]:
    """Put items into an idle queue. Returns for how many seconds each waited for its start."""
    waited: list[float] = []
    ended = threading.Event()

    def sink(when: float, put: float) -> None:
        waited.append(when - put)
        ended.set()

    pool = pa.Pool(started, workers=2)
    runs = threading.Thread(target=lambda: pool.run(address, sink))
    runs.start()
    try:
        with PostgresQueue(address) as queue:
            for _ in range(_FIRST + puts):
                ended.clear()
                queue.put([time.monotonic()])
                if not ended.wait(60.0):
                    raise click.ClickException("an item did not come within a minute")
                time.sleep(pause)  # long enough for everybody to be idle again
    finally:
        pool.close()
        runs.join()
    return sorted(waited[_FIRST:])


@click.command()
@click.argument("address")
@click.option("--puts", default=100, show_default=True, help="How many items are measured.")
@click.option("--pause", default=0.25, show_default=True, help="Seconds between two items.")
def main(address: str, puts: int, pause: float) -> None:
    """Measure, and print median, 99th percentile and the most."""
    with PostgresQueue(address) as queue:
        queue.init()
    waited = measure(address, puts, pause)
    worst = waited[min(len(waited) - 1, int(0.99 * len(waited)))]
    shown = [words.seconds(one) for one in (median(waited), worst, waited[-1])]
    click.echo("from put to start: median {}, 99 % {}, most {}".format(*shown))


if __name__ == "__main__":
    main()
