"""For any offsets, delays and rates within the tolerance, the truth is within what is stated. Always."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from pullahead.core.clocks import MOST, PHI, PRECISION, Comparison, Questions, exchanged, read, worst


@dataclass(frozen=True)
class Crystal:
    """A clock that begins anywhere and changes its rate, within the tolerance, as it likes."""

    start: float
    rates: tuple[float, ...]  # of stretches of true time of equal length
    stretch: float

    def shows(self, truth: float) -> float:
        """Return its reading at a moment of true time, from 0 on."""
        whole = min(int(truth // self.stretch), len(self.rates) - 1)
        past = sum(self.stretch * (1 + rate) for rate in self.rates[:whole])
        return self.start + past + (truth - whole * self.stretch) * (1 + self.rates[whole])


RATES = st.sampled_from((-PHI, PHI, 0.0)) | st.floats(-PHI, PHI)
CRYSTALS = st.builds(
    Crystal,
    st.floats(0.0, 1e7),
    st.lists(RATES, min_size=1, max_size=6).map(tuple),
    st.sampled_from((0.5, 10.0, 3000.0)),
)
WAYS = st.sampled_from((0.0, 1e-5, 1e-3)) | st.floats(0.0, 0.5)
#: Seconds until it is asked, there, in the hands of who answers, and back.
EXCHANGES = st.tuples(st.floats(0.0, 100.0), WAYS, st.floats(0.0, 5.0), WAYS)
#: Of ways on which seconds pass.
SLOW = st.floats(0.0, 10.0) | st.just(0.0)
SLOW_EXCHANGES = st.tuples(st.floats(0.0, 3.0), SLOW, st.just(0.0), SLOW)


def observed(own: Crystal, other: Crystal, exchanges: list[tuple[float, float, float, float]]) -> Comparison:
    comparison, truth = Comparison(), 0.0
    for pause, there, kept, back in exchanges:
        t0 = truth + pause
        t1, t2 = t0 + there, t0 + there + kept
        truth = t2 + back
        comparison.add(exchanged(own.shows(t0), other.shows(t1), other.shows(t2), own.shows(truth)))
    return comparison


@settings(deadline=None, max_examples=300)
@given(CRYSTALS, CRYSTALS, st.lists(EXCHANGES, min_size=1, max_size=30), st.lists(st.floats(0.0, 4000.0)))
def test_the_truth_is_within_the_stated_uncertainty(
    own: Crystal, other: Crystal, exchanges: list[tuple[float, float, float, float]], moments: list[float]
) -> None:
    there = observed(own, other, exchanges)
    back = there.inverted()
    seen = [*moments, *(sum(one) for one in exchanges)]
    for truth in seen:
        shown, uncertainty = there.read(own.shows(truth))
        assert abs(shown - other.shows(truth)) <= uncertainty
        shown, uncertainty = back.read(other.shows(truth))
        assert abs(shown - own.shows(truth)) <= uncertainty + PRECISION
    first, last = own.shows(min(seen)), own.shows(max(seen))
    assert all(there.read(own.shows(truth))[1] <= there.worst(first, last) for truth in seen)


@settings(deadline=None, max_examples=200)
@given(CRYSTALS, CRYSTALS, CRYSTALS, st.lists(EXCHANGES, min_size=1, max_size=9), st.floats(0.0, 3000.0))
def test_the_truth_is_within_the_stated_uncertainty_over_two_clocks(
    worker: Crystal,
    queue: Crystal,
    caller: Crystal,
    exchanges: list[tuple[float, float, float, float]],
    truth: float,
) -> None:
    way = (observed(worker, queue, exchanges), observed(caller, queue, exchanges).inverted())
    shown, uncertainty = read(way, worker.shows(truth))
    assert abs(shown - caller.shows(truth)) <= uncertainty + PRECISION
    assert uncertainty <= worst(way, worker.shows(truth) - 1.0, worker.shows(truth) + 1.0) + PRECISION


@settings(deadline=None, max_examples=200)
@given(CRYSTALS, CRYSTALS, st.lists(SLOW_EXCHANGES, min_size=1, max_size=12))
def test_order_stays(
    own: Crystal, other: Crystal, exchanges: list[tuple[float, float, float, float]]
) -> None:
    there = observed(own, other, exchanges)
    moments = [truth / 4 for truth in range(4 * int(1 + sum(map(sum, exchanges))))]
    shown = [there.read(own.shows(truth))[0] for truth in moments]
    assert shown == sorted(shown)


@settings(deadline=None, max_examples=10)
@given(CRYSTALS, CRYSTALS, st.integers(1, 60), st.floats(0.01, 1.0))
def test_a_long_run_has_few_samples_and_states_little(
    own: Crystal, other: Crystal, minutes: int, pause: float
) -> None:
    """A worker that calls again and again, over a way that is faster in one direction."""
    questions, truth, asked = Questions(), 0.0, 0
    while truth < 60.0 * minutes:
        now = own.shows(truth)
        if questions.ask(now):
            asked += 1
            t1, t2, t3 = truth + 1e-4, truth + 1.5e-4, truth + 3e-4
            questions.answered(now, other.shows(t1), other.shows(t2), own.shows(t3))
        truth += pause
    comparison = questions.comparison
    assert len(comparison.samples) <= MOST
    assert asked <= Questions.FIRST + 60.0 * minutes / Questions.EVERY + 1
    stretch = 4.0 + 4 * 60.0 * minutes / MOST
    assert comparison.worst(own.shows(0.0), own.shows(truth)) <= 1.3e-4 + 2 * PHI * stretch
