"""A pool keeps its workers: build them once, use them for many things, one item at a time or many.

`submit` returns an ordinary `concurrent.futures.Future`.
"""

import math
import random
from concurrent.futures import as_completed

import pullahead as pa


class Pi:
    """Throws darts."""

    def __init__(self) -> None:
        self.random = random.Random()

    def process(self, darts: int) -> float:
        hits = sum(math.hypot(self.random.random(), self.random.random()) < 1 for _ in range(darts))
        return 4 * hits / darts


with pa.Pool(Pi, workers=2) as pool:
    futures = {pool.submit(darts): darts for darts in (100_000, 10_000, 1_000)}
    for future in as_completed(futures):
        print(f"{futures[future]:>7,} darts: {future.result():.3f}")
    guesses = list(pool.map([20_000] * 20))
    print(f"the mean of {len(guesses)} guesses: {sum(guesses) / len(guesses):.3f}")
