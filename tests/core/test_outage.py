"""When a server that cannot be reached is tried again."""

from __future__ import annotations

from pullahead.core.outage import BASE, CAP, Outage


def test_waits_double_up_to_a_cap() -> None:
    outage = Outage(patience=1000.0)
    waits = []
    for _ in range(9):
        assert outage.failed(50.0, 0.5)
        assert outage.retry_at is not None
        waits.append(round(outage.retry_at - 50.0, 3))
    assert waits[:4] == [BASE, 2 * BASE, 4 * BASE, 8 * BASE]
    assert waits[-1] == CAP


def test_chance_spreads_them() -> None:
    early, late = Outage(), Outage()
    early.failed(0.0, 0.0)
    late.failed(0.0, 1.0)
    assert (early.retry_at, late.retry_at) == (0.5 * BASE, 1.5 * BASE)


def test_it_is_final_after_some_time() -> None:
    outage = Outage(patience=10.0)
    assert outage.failed(100.0, 0.5)
    assert outage.failed(109.9, 0.5)
    assert not outage.failed(110.0, 0.5)


def test_an_answer_ends_it() -> None:
    outage = Outage(patience=10.0)
    outage.failed(0.0, 0.5)
    outage.mended()
    assert outage.retry_at is None
    assert outage.failed(100.0, 0.5)  # a new one, that begins now
    assert outage.retry_at == 100.0 + BASE
