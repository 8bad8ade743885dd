"""What recent measurements say of the next ones: how many items cover a fetch, and when nobody waits.

Both go by the measurements themselves, as far as there are enough of them. Mean and variance say little where
sizes have two modes: of 95 % small items and 5 % very large ones, a normal approximation asks for a depth of
43 where 1 is enough. It is good for the sum of very many.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import ceil, sqrt
from typing import Final

#: Of so many runs of consecutive items, one may last for less than a fetch.
_SHORT: Final = 20
#: The normal distribution's quantile for that share.
_SHORT_DEVIATIONS: Final = 1.645
#: Measurements that say something about a variance.
_MANY: Final = 32
#: What lasts for so many mean computes and fetches more is not waited for.
_LONG: Final = 2
#: And what has lasted for so much longer than the longest.
AGAIN: Final = 1.25


def percentile(ordered: Sequence[float], q: float) -> float:
    """Return the q-quantile (nearest rank) of values in ascending order."""
    return ordered[min(len(ordered) - 1, max(0, ceil(q * len(ordered)) - 1))]


def covering_depth(
    computes: Sequence[float], fetch: float, sizes: Sequence[int] | None = None, *, most: int
) -> int:
    """Return the smallest k so that 95 % of the runs of k consecutive items last at least one fetch.

    Args:
        computes: recent seconds of one item, oldest first, at least one.
        fetch: seconds from an ask to the item in hand.
        sizes: how many items were measured together, and took so long on average; None: each by itself.
        most: the greatest k to return.
    """
    n = len(computes)
    if fetch <= 0.0 or min(computes) >= fetch:
        return 1
    fetch *= 1.0 - 1e-9  # differences of running sums are that exact: three times 1 ms do cover 3 ms
    sizes = sizes or [1] * n
    starts, sums = [0], [0.0]
    for seconds, size in zip(computes, sizes, strict=True):
        starts.append(starts[-1] + size)
        sums.append(sums[-1] + seconds * size)
    needed = _needed(computes, sizes, starts, sums, fetch)

    def covers(k: int) -> bool:
        runs = bisect_right(starts, starts[-1] - k)
        short = sum(items > k for items in needed[:runs]) + max(0, runs - len(needed))
        return short * _SHORT <= runs

    # Longer runs overlap so much that they are hardly more than one sample.
    longest = max(1, min(most, starts[-1] // 2))
    if not covers(longest):
        return min(most, max(longest + 1, _by_variance(computes, sizes, fetch, most)))
    low, high = 0, longest
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if covers(middle) else (middle, high)
    return min(most, high)


def _needed(
    computes: Sequence[float], sizes: Sequence[int], starts: list[int], sums: list[float], fetch: float
) -> list[int]:
    """Return how many items last a fetch, from each start on, as far as they have been seen to."""
    needed: list[int] = []
    last = 0
    for start, before in zip(starts, sums, strict=True):
        while last < len(computes) and sums[last + 1] - before < fetch:
            last += 1
        if last == len(computes):
            break
        whole, missing = starts[last] - start, fetch - (sums[last] - before)
        needed.append(whole + min(sizes[last], max(1, ceil(missing / computes[last]))))
    return needed


def _by_variance(computes: Sequence[float], sizes: Sequence[int], fetch: float, most: int) -> int:
    """Return the depth where too few items were seen for runs that long.

    The sum of so many is close to normal: solve k·mean - 1.645·deviation·√k = fetch for √k. The mean of s
    items has an s-th of the variance of one. Of few measurements, only the mean is trusted.
    """
    items = sum(sizes)
    mean = sum(seconds * size for seconds, size in zip(computes, sizes, strict=True)) / items
    if mean * most <= fetch:
        return most
    variance = sum(size * (each - mean) ** 2 for each, size in zip(computes, sizes, strict=True))
    n = len(computes)
    spread = _SHORT_DEVIATIONS * sqrt(variance / n) if n >= _MANY else 0.0
    return ceil(((spread + sqrt(spread**2 + 4.0 * mean * fetch)) / (2.0 * mean)) ** 2)


def patience_of(ordered: list[float], turn: float, after: float = 0.0) -> float:
    """Return the age from which on what runs is likely to go on for another two computes and two fetches.

    Likely: half of the computes that lasted longer than that age did. The mean would let a few huge ones
    speak for the usual ones, which differ a little and end soon. If there is no such age among the computes,
    it is 1.25 times the longest of them, or two computes and two fetches if that is more.

    Args:
        ordered: recent compute times in seconds, ascending, at least one.
        turn: seconds of a mean compute and a fetch.
        after: no age below this one.
    """
    n = len(ordered)
    long = _LONG * turn
    for index in range(bisect_left(ordered, after), n - 1):
        age = ordered[index]
        rest = ordered[(index + 1 + n) // 2] - age
        if rest >= long and ordered[index + 1] > age:
            return age
    return max(AGAIN * ordered[-1], long)
