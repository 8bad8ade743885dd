"""How many queues many workers need: their load, messages per item and the tail, under virtual time.

    python -m benchmarks.many_workers                              # 1,000 and 10,000 workers: an hour
    python -m benchmarks.many_workers -w 1000 --exchange-cost 200us

A queue handles one call after the other, each for as long as an exchange costs; what waits for it meanwhile
makes every fetch longer. The items are the same in every row of a table.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click

from pullahead.cli.simulate import distribution, seconds
from pullahead.observe import words
from pullahead.sim import Distribution, Result, simulate

#: The share of what the workers can do that comes; None: all is there at the beginning.
LOADS: Final = {"60%": 0.6, "90%": 0.9, "backlog": None}
HEAD: Final = (
    "workers", "load", "queues", "busiest", "mean", "msgs", "between", "moved", "of ideal", "p50", "p99",
    "p99 ideal", "hoard idle",
)  # fmt: skip


def measure(
    workers: int, load: float | None, queues: int, compute: Distribution, delay: float, cost: float, per: int
) -> Result:
    """Simulate one row."""
    rate: Any = "backlog" if load is None else load * workers / compute.mean
    return simulate(
        workers=workers,
        compute=compute,
        delay=delay,
        arrivals=rate,
        items=per * workers,
        queues=queues,
        exchange_cost=cost,
    )


def row(workers: int, load: float | None, queues: int, result: Result) -> dict[str, Any]:
    """Return what a row says, as numbers."""
    ideal = result.ideal
    return {
        "workers": workers,
        "load": load,
        "queues": queues,
        "busiest": result.queue_load,
        "mean": sum(result.queue_loads) / len(result.queue_loads),
        "messages_per_item": result.messages_per_item,
        "messages_between": result.messages_between,
        "moved_per_item": result.moved_per_item,
        "of_ideal": result.throughput / ideal.throughput,
        "p50": result.sojourn(0.5),
        "p99": result.sojourn(0.99),
        "p99_ideal": ideal.sojourn(0.99),
        "hoard_idle_per_item": result.hoard_idle_seconds / result.items,
    }


def line(one: dict[str, Any]) -> tuple[str, ...]:
    """Return the same as texts."""
    return (
        f"{one['workers']:,}",
        "backlog" if one["load"] is None else words.percent(one["load"]),
        str(one["queues"]),
        words.percent(one["busiest"]),
        words.percent(one["mean"]),
        f"{one['messages_per_item']:.2f}",
        f"{one['messages_between']:.3f}",
        f"{one['moved_per_item']:.3f}",
        words.percent(one["of_ideal"]),
        words.seconds(one["p50"]),
        words.seconds(one["p99"]),
        words.seconds(one["p99_ideal"]),
        words.seconds(one["hoard_idle_per_item"]),
    )


def show(cells: tuple[str, ...]) -> None:
    """Print a line at once: the next one may take minutes."""
    click.echo("  ".join(cell.rjust(max(9, len(head))) for cell, head in zip(cells, HEAD, strict=True)))


def rows(
    workers: Sequence[int], loads: Sequence[str], queues: Sequence[int], **scenario: Any
) -> Iterator[dict[str, Any]]:
    """Simulate all rows."""
    for count in workers:
        for load in (LOADS[name] for name in loads):
            for number in queues:
                yield row(count, load, number, measure(count, load, number, **scenario))


@click.command()
@click.option("-w", "--workers", multiple=True, default=(1000, 10_000), type=click.IntRange(1))
@click.option("--load", "loads", multiple=True, default=tuple(LOADS), type=click.Choice(list(LOADS)))
@click.option("--queues", multiple=True, default=(1, 2, 4, 8, 16), type=click.IntRange(1))
@click.option("--compute", default="bimodal:700ms,3.7s,0.1", show_default=True, type=distribution)
@click.option("--delay", default="1ms", show_default=True, type=seconds, help="A round trip.")
@click.option("--exchange-cost", default="100us", show_default=True, type=seconds)
@click.option("--items-per-worker", "per", default=10, show_default=True, type=click.IntRange(1))
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the numbers here as well.")
def main(
    workers: tuple[int, ...],
    loads: tuple[str, ...],
    queues: tuple[int, ...],
    compute: Distribution,
    delay: float,
    exchange_cost: float,
    per: int,
    path: Path | None,
) -> None:
    """Print a row for each number of workers, load and number of queues."""
    began = time.monotonic()
    cost = words.seconds(exchange_cost)
    click.echo(f"compute {compute}, round trip {words.seconds(delay)}, an exchange costs {cost}")
    click.echo(
        "busiest, mean: load of the busiest queue, and of the mean one. msgs, between, moved, hoard idle:"
    )
    click.echo("per item. of ideal: throughput beside that of a central queue with no delay.\n")
    show(HEAD)
    found: list[dict[str, Any]] = []
    scenario = {"compute": compute, "delay": delay, "cost": exchange_cost, "per": per}
    for one in rows(workers, loads, queues, **scenario):
        found.append(one)
        show(line(one))
        if path is not None:
            path.write_text(json.dumps(found, indent=2))
    click.echo(f"\n{words.seconds(time.monotonic() - began)}")


if __name__ == "__main__":
    main()
