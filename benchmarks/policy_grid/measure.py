"""One job: one policy in one cell with one seed."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.policy_grid.cells import Cell

from pullahead.sim.policies import Policy


class Row(NamedTuple):
    """What one job measured; times in seconds. `pullahead.sim.Result` says what each is."""

    throughput: float
    p50: float
    p99: float
    held: float
    messages: float
    recalls: float
    hoard_idle: float
    ideal_throughput: float
    ideal_p50: float
    ideal_p99: float


class Job(NamedTuple):
    """What to simulate. Jobs that differ only in their policy see the same items."""

    cell: Cell
    items: int
    policy: Policy
    seed: int


def measure(job: Job) -> Row:
    """Simulate it."""
    scenario = job.cell.scenario(job.seed, job.items)
    result = scenario.policy(job.policy.lookahead, job.policy.recall).run()
    ideal = result.ideal
    return Row(
        throughput=result.throughput,
        p50=result.sojourn(0.5),
        p99=result.sojourn(0.99),
        held=result.held_mean,
        messages=result.messages_per_item,
        recalls=result.recalls_per_item,
        hoard_idle=result.hoard_idle_seconds,
        ideal_throughput=ideal.throughput,
        ideal_p50=ideal.sojourn(0.5),
        ideal_p99=ideal.sojourn(0.99),
    )
