"""The command."""

from __future__ import annotations

import click
from benchmarks import engines
from benchmarks.queue_limit import table
from benchmarks.queue_limit.measure import NOTHING, Figures, measure, ramp, workers_for

#: Seconds of an item whose cost is measured, and of those of the ramp.
_COMPUTES: tuple[float, ...] = (NOTHING, 1e-3, 10e-3, 100e-3, 1.0, 10.0)
_RAMP = 10e-3
#: Calls per second that leave two cores time for those who make them.
_EXCHANGES = {"local": 600.0, "ray": 150.0}


@click.command()
@engines.option
@click.option(
    "--exchanges", type=click.FloatRange(1),
    help="Calls per second that workers would like to make when costs are measured.  [600; 150 on Ray]",
)  # fmt: skip
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Of each cost.")
@click.option(
    "--seconds", type=click.FloatRange(0.1), default=4.0, show_default=True, help="Of each measurement."
)
@click.option(
    "--processes", type=click.IntRange(1), default=1, show_default=True, help="That play the workers."
)
@click.option("--ramp/--no-ramp", "ramps", default=True, help="Whether to look for the limit itself.")
@click.option("--quick", is_flag=True, help="Two costs, half a second each: does it work?")
def main(
    engine: str,
    exchanges: float | None,
    rounds: int,
    seconds: float,
    processes: int,
    ramps: bool,
    quick: bool,
) -> None:
    """Measure what one queue costs, and how many workers it carries."""
    computes = _COMPUTES
    if quick:
        computes, rounds, seconds, ramps = computes[:2], 1, 0.5, False
    with engines.running(engine, cpus=2):
        grown = list(ramp(_RAMP, processes, seconds)) if ramps else []
        costs: dict[float, list[Figures]] = {compute: [] for compute in computes}
        turns = [compute for _ in range(rounds) for compute in computes]  # all of them meet the same noise
        with click.progressbar(turns, label="costs") as bar:
            for compute in bar:
                workers = workers_for(compute, exchanges or _EXCHANGES[engine])
                costs[compute].append(measure(workers, compute, processes, seconds))
    table.show(grown, list(costs.values()))


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.queue_limit")
