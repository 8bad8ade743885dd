"""The policy for any measurements, checked against its definition by brute force."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from pullahead.core.estimates import covering_depth
from pullahead.core.lookahead import MAX_BUNDLE, MAX_LOOKAHEAD, Lookahead

# Whole microseconds: sums are exact, so that the definition can be checked without tolerance.
MICROSECONDS = st.integers(0, 2_000_000)
SECONDS = st.floats(0.0, 1e4, allow_nan=False)


def covers(slices: list[tuple[int, int]], fetch: int, k: int) -> bool:
    """The definition: of the runs of k items in a row, from where slices begin, 95 % last a fetch."""
    items = [each for each, size in slices for _ in range(size)]
    starts = [sum(size for _, size in slices[:index]) for index in range(len(slices))]
    runs = [sum(items[start : start + k]) for start in starts if start + k <= len(items)]
    return Fraction(sum(run >= fetch for run in runs), len(runs)) >= Fraction(95, 100)


ALONE = st.lists(st.tuples(MICROSECONDS, st.just(1)), min_size=1, max_size=128)
SLICES = st.lists(st.tuples(MICROSECONDS, st.integers(1, 12)), min_size=1, max_size=40)


@given(ALONE | SLICES, MICROSECONDS)
def test_covering_depth_is_the_smallest_that_covers(slices: list[tuple[int, int]], fetch: int) -> None:
    computes, sizes = [each * 1e-6 for each, _ in slices], [size for _, size in slices]
    k = covering_depth(computes, fetch * 1e-6, sizes, most=MAX_LOOKAHEAD)
    longest = max(1, sum(sizes) // 2)
    if k <= longest:
        assert covers(slices, fetch, k)
        assert k == 1 or not covers(slices, fetch, k - 1)
    else:
        assert not covers(slices, fetch, longest)
        mean = sum(each * size for each, size in slices) / sum(sizes)
        assert k == MAX_LOOKAHEAD or k * mean >= fetch


@given(SLICES, MICROSECONDS)
def test_a_slice_counts_as_so_many_items_that_last_equally_long(
    slices: list[tuple[int, int]], fetch: int
) -> None:
    """But only the runs from its first item on are looked at."""
    fine = [each * 1e-6 for each, size in slices for _ in range(size)]
    sizes = [size for _, size in slices]
    depths = [
        covering_depth(computes, fetch * 1e-6, counts, most=MAX_LOOKAHEAD)
        for computes, counts in [([each * 1e-6 for each, _ in slices], sizes), (fine, None)]
    ]
    if len({each for each, _ in slices}) == 1:
        assert depths[0] == depths[1]
    assert all(1 <= depth <= MAX_LOOKAHEAD for depth in depths)


MEASUREMENT = st.one_of(
    st.tuples(st.just("fetched"), SECONDS),
    st.tuples(st.just("loaded"), SECONDS),
    st.tuples(st.just("computed"), SECONDS),
    st.tuples(st.just("stalled"), st.just(0.0)),
)


@given(st.lists(MEASUREMENT, max_size=300), st.integers(1, 40))
def test_every_move_is_told_explained_and_within_bounds(
    measurements: list[tuple[str, float]], batch: int
) -> None:
    policy = Lookahead(batch=batch)
    for kind, seconds in measurements:
        depth, reason = policy.depth, policy.reason
        if kind == "stalled":
            moved = policy.stalled()
        elif kind == "computed":
            moved = policy.computed(seconds, batch)
        else:
            moved = getattr(policy, kind)(seconds)
        assert moved == (policy.depth != depth)
        if moved:
            assert policy.reason.startswith(f"{depth} → {policy.depth}: ")
            assert policy.depth > depth or policy.depth >= depth - max(batch, depth // 8)
        else:
            assert policy.reason == reason or reason.endswith(": nothing measured yet")
        assert policy.depth % batch == 0
        assert batch <= policy.depth <= MAX_LOOKAHEAD
        assert 1 <= policy.bundle <= MAX_BUNDLE


@given(st.lists(SECONDS, min_size=1, max_size=64), st.integers(0, 9))
def test_a_fixed_depth_stays(measurements: list[float], depth: int) -> None:
    policy = Lookahead(depth)
    for seconds in measurements:
        assert not policy.fetched(seconds)
        assert not policy.computed(seconds, 1)
        assert not policy.stalled()
    assert policy.depth == depth
