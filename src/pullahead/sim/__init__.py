"""The same core under virtual time: what a policy costs, before a machine is rented for it.

The machines that decide on real processes (ledger, pipeline, lookahead) decide here as well, over wires that
take as long as they are told to. See `simulate`.
"""

from __future__ import annotations

from typing import Literal

from pullahead.sim.distributions import Distribution, bimodal, constant, empirical, lognormal
from pullahead.sim.replay import replay
from pullahead.sim.result import Result
from pullahead.sim.scenario import Scenario

__all__ = ["Distribution", "Result", "bimodal", "constant", "empirical", "lognormal", "replay", "simulate"]


def simulate(
    workers: int = 8,
    compute: float | Distribution = 0.01,
    delay: float | Distribution = 0.01,
    arrivals: float | Literal["backlog"] = "backlog",
    items: int = 10_000,
    lookahead: int | Literal["auto"] = "auto",
    recall: bool = True,
    seed: int = 0,
    queues: int = 1,
    exchange_cost: float = 0.0,
) -> Result:
    """Simulate a run: workers that look ahead, and a queue, under virtual time.

    The same arguments give the same run, to the last bit. Runs that differ only in `lookahead` and `recall`
    see the same items.

    Args:
        workers: how many.
        compute: what an item takes: seconds, or a distribution from this module.
        delay: what a round trip between a worker and the queue takes, in seconds: each message takes half of
            a value that is drawn for it. Include what a worker waits for its interpreter while it computes.
        arrivals: "backlog" if all items are there at the beginning, else how many come per second, at random
            (a Poisson process).
        items: how many.
        lookahead: "auto", or how many items a worker holds or has asked for beyond the one that it computes.
        recall: whether held items go to a worker that would run them sooner.
        seed: of everything that is drawn.
        queues: how many queues there are. Each has its share of the workers, and they help each other out.
        exchange_cost: seconds that a queue takes to handle one call, whatever is in it; those that come
            meanwhile wait. `queue_load` of the result says what that adds up to.

    Raises:
        TypeError, ValueError: for what makes no sense; one line says what was expected, and what came.
    """
    return Scenario(
        workers, compute, delay, arrivals, items, lookahead, recall, seed, queues, exchange_cost
    ).run()
