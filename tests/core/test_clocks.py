"""Two clocks: what an exchange tells, which samples are kept, and when the next question is due."""

from __future__ import annotations

import pytest

from pullahead.core.clocks import (
    DRIFT,
    MOST,
    PRECISION,
    SPACING,
    Comparison,
    Questions,
    Sample,
    exchanged,
    read,
    worst,
)

MS = 1e-3


def test_an_exchange_is_ntps_estimate() -> None:
    sample = exchanged(t0=10.0, t1=1010.003, t2=1010.004, t3=10.006)
    assert sample.at == 10.003
    assert sample.offset == pytest.approx(1000.0005, abs=1e-12)  # 3 ms there, 2 ms back
    assert sample.uncertainty == pytest.approx(2.5 * MS + PRECISION + DRIFT * 3 * MS, abs=1e-12)


def test_a_parked_answer_tells_as_much_but_for_the_drift_meanwhile() -> None:
    sample = exchanged(t0=0.0, t1=50.001, t2=150.001, t3=100.002)
    assert sample.offset == pytest.approx(50.0)
    assert sample.uncertainty == pytest.approx(1 * MS + PRECISION + DRIFT * 50.001)


def test_the_tolerance_is_that_of_two_clocks() -> None:
    assert pytest.approx(30e-6, rel=1e-4) == DRIFT


def test_one_sample_holds_for_all_moments_and_grows_old_both_ways() -> None:
    one = Comparison([Sample(100.0, 7.0, 1 * MS)])
    assert one.read(100.0) == (107.0, 1 * MS)
    for moment in (90.0, 110.0):
        assert one.read(moment) == (moment + 7.0, 1 * MS + DRIFT * 10.0)
    assert one.worst(95.0, 120.0) == 1 * MS + DRIFT * 20.0


def test_between_two_samples_the_offset_is_on_the_straight_line() -> None:
    both = Comparison([Sample(0.0, 5.0, 1 * MS), Sample(100.0, 5.002, 3 * MS)])
    shown, uncertainty = both.read(25.0)
    assert shown == pytest.approx(30.0005)
    assert uncertainty == pytest.approx(1.5 * MS + 2 * DRIFT * 100.0 * 0.25 * 0.75)
    assert both.worst(0.0, 100.0) == pytest.approx(max(both.read(t / 100)[1] for t in range(10_001)))
    assert both.worst(40.0, 41.0) == pytest.approx(both.read(41.0)[1])


def test_of_each_stretch_of_time_the_best_sample_is_kept() -> None:
    clocks = Comparison()
    offered = [(0.0, 3.0), (0.1, 1.0), (0.2, 2.0), (0.3, 1.001), (2.2, 1.01), (2.4, 9.0), (9.0, 1.2)]
    kept = [clocks.add(Sample(at, 0.0, ms * MS)) for at, ms in offered]
    assert kept == [True, True, False, False, True, False, True]
    assert clocks.samples == (
        Sample(0.1, 0.0, 1.0 * MS),
        Sample(2.2, 0.0, 1.01 * MS),
        Sample(9.0, 0.0, 1.2 * MS),
    )


def test_a_new_sample_replaces_an_old_one_that_has_become_worse() -> None:
    clocks = Comparison([Sample(0.0, 0.0, 1 * MS)])
    assert not clocks.add(Sample(30.0, 0.0, 2 * MS)), "the old one is at 1.9 ms by then"
    assert clocks.add(Sample(40.0, 0.0, 2 * MS)), "and at 2.2 ms by now"
    assert clocks.read(40.0)[1] == 2 * MS


def test_what_is_older_than_the_last_sample_tells_nothing() -> None:
    clocks = Comparison([Sample(5.0, 0.0, 1.0)])
    assert not clocks.add(Sample(5.0, 0.0, 0.0))
    assert not clocks.add(Sample(4.0, 0.0, 0.0))


def test_samples_whose_uncertainties_reach_each_other_are_not_both_kept() -> None:
    clocks = Comparison([Sample(0.0, 0.0, 2.0)])
    assert clocks.add(Sample(5.0, -3.0, 1.5)), "it takes the place of the first one"
    assert clocks.samples == (Sample(5.0, -3.0, 1.5),)


def test_when_there_are_too_many_the_better_one_of_two_stays() -> None:
    clocks = Comparison()
    for number in range(MOST + 1):
        clocks.add(Sample(number * SPACING, 0.0, (1.0 if number % 4 < 2 else 1.001) * MS))
    assert len(clocks.samples) == MOST // 2 + 1
    assert [one.at / SPACING for one in clocks.samples[:4]] == [0.0, 2.0, 4.0, 6.0]
    assert clocks.samples[-1].at == MOST * SPACING
    end = MOST * SPACING
    assert not clocks.is_due(end + 1.9 * SPACING)
    assert clocks.is_due(end + 2 * SPACING), "the stretches are twice as long"


def test_a_comparison_can_be_read_the_other_way() -> None:
    clocks = Comparison([Sample(0.0, 100.0, 1 * MS), Sample(50.0, 100.001, 2 * MS)])
    for moment in (-10.0, 0.0, 20.0, 50.0, 90.0):
        there, _ = clocks.read(moment)
        assert clocks.inverted().read(there)[0] == pytest.approx(moment, abs=1e-7)


def test_a_way_over_two_clocks_adds_both_and_no_way_is_exact() -> None:
    first, second = Comparison([Sample(0.0, 100.0, 1 * MS)]), Comparison([Sample(100.0, -40.0, 2 * MS)])
    assert read((), 12.5) == (12.5, 0.0)
    assert worst((), 0.0, 1e6) == 0.0
    moment, uncertainty = read((first, second), 0.0)
    assert moment == 60.0
    assert uncertainty == pytest.approx(3 * MS, rel=1e-4)
    assert worst((first, second), 0.0, 10.0) == pytest.approx(3 * MS + 2 * DRIFT * 10.0, rel=1e-4)


# Questions


def answer(questions: Questions, now: float, trip: float) -> Sample | None:
    """Ask now; a clock that is 1,000 seconds ahead answers in the middle of so long a trip."""
    assert questions.ask(now)
    return questions.answered(now, 1000.0 + now + trip / 2, 1000.0 + now + trip / 2, now + trip)


def test_one_question_at_a_time() -> None:
    questions = Questions()
    assert questions.ask(0.0)
    assert not questions.ask(100.0)
    questions.forget()
    assert questions.ask(100.0)


def test_the_first_questions_come_soon_and_the_next_ones_as_samples_grow_old() -> None:
    questions, now = Questions(), 0.0
    for gap in [Questions.SOON] * 7 + [Questions.EVERY] * 5:
        answer(questions, now, 1 * MS)
        now += 1 * MS + gap
        assert not questions.ask(now - 1e-6)
        now += 1e-6


def test_a_question_is_repeated_soon_where_its_answer_told_nothing_although_it_was_time() -> None:
    questions = Questions()
    for number in range(8):
        answer(questions, 0.1 * number, 1 * MS)
    assert answer(questions, 4.0, 50 * MS) is None
    assert not questions.ask(4.05 + 0.9 * Questions.SOON)
    assert answer(questions, 4.05 + 1.1 * Questions.SOON, 1 * MS) is not None
    assert not questions.ask(4.1 + 0.9 * Questions.EVERY)


def test_only_what_is_news_is_told() -> None:
    questions = Questions()
    told = [answer(questions, 0.1 * number, trip * MS) for number, trip in enumerate((5, 2, 3, 1, 1))]
    assert [None if one is None else round(one.uncertainty / MS, 1) for one in told] == [
        2.5,
        1.0,
        None,
        0.5,
        None,
    ]
