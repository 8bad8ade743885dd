"""The meter against examples."""

from __future__ import annotations

from pullahead.core import meter as meter_module
from pullahead.core.meter import Meter, WorkerTotals


def test_the_sums_of_one_short_life() -> None:
    meter = Meter(worker=1, now=10.0, pid=42)
    meter.stalled(10.0, 12.0, "fetch")
    meter.communicated(10.0, 12.0)
    meter.computing(12.0)
    meter.communicated(12.0, 15.0)
    meter.computed(12.0, 17.0, items=4, cpu=4.5)
    meter.stalled(17.0, 18.0, "load")
    meter.idled(18.0, 20.0)
    assert meter.totals == WorkerTotals(
        worker=1, pid=42, started=10.0, ended=20.0, items=4, useful=5.0, cpu=4.5,
        stalls={"fetch": 2.0, "load": 1.0}, tail=2.0, communication=5.0, hidden=3.0, exposed=2.0,
    )  # fmt: skip


def test_loads_side_by_side_are_one_communication() -> None:
    meter = Meter(0, 0.0)
    meter.computed(0.0, 10.0, 1, 10.0)
    for start, end in [(1.0, 4.0), (2.0, 5.0), (2.0, 5.0), (7.0, 8.0), (0.0, 9.0)]:
        meter.communicated(start, end)
    assert (meter.totals.communication, meter.totals.hidden) == (9.0, 9.0)


def test_communication_that_began_before_the_meter_counts_from_its_beginning() -> None:
    meter = Meter(0, 10.0)
    meter.stalled(10.0, 12.0, "fetch")
    meter.communicated(3.0, 12.0)
    meter.communicated(3.0, 9.0)
    assert (meter.totals.communication, meter.totals.exposed) == (2.0, 2.0)


def test_long_lives_are_summed_exactly_beyond_the_memory_of_intervals() -> None:
    meter = Meter(0, 0.0)
    rounds = 3 * meter_module._HISTORY
    for number in range(rounds):
        start = 4.0 * number
        meter.stalled(start, start + 1.0, "fetch")
        meter.communicated(start, start + 1.0)
        meter.computing(start + 1.0)
        meter.communicated(start + 2.0, start + 3.0)
        meter.computed(start + 1.0, start + 4.0, 1, 3.0)
    totals = meter.totals
    assert (totals.items, totals.useful, totals.stalls) == (rounds, 3.0 * rounds, {"fetch": 1.0 * rounds})
    assert (totals.communication, totals.hidden, totals.exposed) == (2.0 * rounds, 1.0 * rounds, 1.0 * rounds)
