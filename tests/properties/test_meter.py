"""The meter against an oracle that counts second by second."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullahead.core import meter as meter_module
from pullahead.core.meter import Meter, WorkerTotals

# What one second of the main thread was. "own" is the worker's overhead, which nobody reports.
SEGMENTS = ("useful", "stalled", "tail", "own")


@dataclass
class Life:
    """A worker's life in whole seconds: what its main thread did, and when it communicated."""

    segments: list[tuple[str, int]]
    communications: list[tuple[int, int]] = field(default_factory=list)  # in order of their ends

    @property
    def seconds(self) -> list[str]:
        return [kind for kind, length in self.segments for _ in range(length)]


@st.composite
def lives(draw: st.DrawFn) -> Life:
    pairs = st.tuples(st.sampled_from(SEGMENTS), st.integers(0, 6))
    life = Life(draw(st.lists(pairs, max_size=12)))
    moment = st.integers(0, len(life.seconds))
    both = draw(st.lists(st.tuples(moment, moment), max_size=12))
    life.communications = sorted(((min(pair), max(pair)) for pair in both), key=lambda pair: pair[1])
    return life


def measured(life: Life, origin: float = 0.0) -> WorkerTotals:
    """Tell a meter about a life the way a worker does: each communication at the moment when it ends."""
    meter = Meter(worker=3, now=origin, pid=99)
    ends = list(life.communications)
    now = 0

    def communicate(moment: int) -> None:
        while ends and ends[0][1] <= moment:
            start, end = ends.pop(0)
            meter.communicated(origin + start, origin + end)

    for kind, length in life.segments:
        end = now + length
        communicate(now)
        if kind == "useful":
            meter.computing(origin + now)
            communicate(end)
            meter.computed(origin + now, origin + end, items=1, cpu=length / 2)
        elif kind in ("stalled", "tail"):
            start = now  # a wait is accounted for up to each communication that ends inside it
            for cut in [*sorted({moment for _, moment in ends if moment <= end}), end]:
                if kind == "stalled":
                    meter.stalled(origin + start, origin + cut, "fetch")
                else:
                    meter.idled(origin + start, origin + cut)
                start = cut
                communicate(cut)
        now = end
    communicate(now)
    return meter.totals


def counted(life: Life) -> dict[str, int]:
    """The oracle: look at each second by itself."""
    seconds = life.seconds
    covered = {second for start, end in life.communications for second in range(start, end)}
    return {
        "useful": seconds.count("useful"),
        "stalled": seconds.count("stalled"),
        "tail": seconds.count("tail"),
        "communication": len(covered),
        "hidden": sum(seconds[second] == "useful" for second in covered),
        "exposed": sum(seconds[second] == "stalled" for second in covered),
    }


def as_counted(totals: WorkerTotals) -> dict[str, float]:
    return {
        "useful": totals.useful,
        "stalled": sum(totals.stalls.values()),
        "tail": totals.tail,
        "communication": totals.communication,
        "hidden": totals.hidden,
        "exposed": totals.exposed,
    }


@given(lives())
def test_a_meter_agrees_with_counting_second_by_second(life: Life) -> None:
    assert as_counted(measured(life)) == counted(life)


@given(lives())
def test_a_late_beginning_of_the_clock_changes_nothing(life: Life) -> None:
    assert as_counted(measured(life, origin=2.0**20)) == counted(life)


@given(lives())
def test_a_short_memory_never_counts_a_second_twice(life: Life) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meter_module, "_HISTORY", 2)
        short = as_counted(measured(life))
    full = counted(life)
    assert {name: short[name] for name in ("useful", "stalled", "tail")} == {
        name: full[name] for name in ("useful", "stalled", "tail")
    }
    for name in ("communication", "hidden", "exposed"):
        assert 0 <= short[name] <= full[name]
    assert short["hidden"] + short["exposed"] <= short["communication"]


def test_what_is_forgotten_is_taken_as_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter_module, "_HISTORY", 2)
    life = Life([("useful", 6)], [(0, 1), (2, 3), (4, 5), (0, 6)])
    assert measured(life).communication == 6


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3)), max_size=15))
def test_the_order_in_which_communications_end_does_not_matter(pairs: list[tuple[int, int]]) -> None:
    meter = Meter(0, 0.0)
    meter.computed(0.0, 10.0, 1, 10.0)
    meter.stalled(10.0, 23.0, "fetch")
    intervals = [(start, start + length) for start, length in pairs]
    for start, end in intervals:
        meter.communicated(start, end)
    covered = {second for start, end in intervals for second in range(start, end)}
    totals = meter.totals
    assert totals.communication == len(covered)
    assert totals.hidden == len([second for second in covered if second < 10])
    assert totals.exposed == len([second for second in covered if second >= 10])
