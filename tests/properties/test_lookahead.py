"""The policy for any measurements, checked against its definition by brute force."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from pullahead.core.lookahead import MAX_BUNDLE, MAX_LOOKAHEAD, Lookahead, covering_depth

# Whole microseconds: sums are exact, so that the definition can be checked without tolerance.
MICROSECONDS = st.integers(0, 2_000_000)
SECONDS = st.floats(0.0, 1e4, allow_nan=False)


def covers(computes: list[int], fetch: int, k: int) -> bool:
    """The definition: at least 95 % of the runs of k consecutive computes last at least one fetch."""
    runs = [sum(computes[i : i + k]) for i in range(len(computes) - k + 1)]
    return Fraction(sum(run >= fetch for run in runs), len(runs)) >= Fraction(95, 100)


@given(st.lists(MICROSECONDS, min_size=1, max_size=128), MICROSECONDS)
def test_covering_depth_is_the_smallest_that_covers(computes: list[int], fetch: int) -> None:
    k = covering_depth([us * 1e-6 for us in computes], fetch * 1e-6)
    longest = max(1, len(computes) // 2)
    if k <= longest:
        assert covers(computes, fetch, k)
        assert k == 1 or not covers(computes, fetch, k - 1)
    else:
        assert not covers(computes, fetch, longest)
        mean = sum(computes) / len(computes)
        assert k == MAX_LOOKAHEAD or k * mean >= fetch


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
