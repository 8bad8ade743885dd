"""Where the time went, and how deep "auto" goes."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from tests.surface.overlapping.desk import Clock, Desk, Tray, with_answers

from pullahead.core import trace
from pullahead.core.ceiling import FREE_AHEAD
from pullahead.core.prefetch import Request
from pullahead.overlapping import Statistics, Times, overlap
from pullahead.overlapping.account import Account
from pullahead.overlapping.weight import weight


def test_statistics_and_spans_tell_where_the_time_went() -> None:
    clock, desk, recorder = Clock(), Desk(), trace.Recorder()

    def fetch() -> Future[Any]:
        future = desk()
        if len(desk.futures) == 1:
            clock.now += 2.0
            desk.answer(0, "a")  # asked for at 0, answered at 2: a stall
        elif len(desk.futures) == 4:
            clock.now += 1.0
            desk.answer(3, None)
        return future

    items = overlap(fetch, lookahead=1, clock=clock, recorder=recorder)
    assert items.statistics().utilization == 0.0
    assert next(items) == "a"
    clock.now = 5.0
    desk.answer(1, "b")  # asked for at 2, answered at 5, all of it hidden
    clock.now = 6.0
    assert next(items) == "b"
    clock.now = 7.0
    desk.answer(2, "c")  # asked for at 6, answered at 7
    clock.now = 8.0
    assert next(items) == "c"
    assert clock.now == 9.0  # the request itself took a second: neither compute nor stall
    clock.now = 12.0
    assert list(items) == []
    assert items.statistics() == Statistics(
        items=3,
        failures=0,
        fetch=Times(4, 7.0 / 4, 1.0, 3.0),
        compute=Times(3, 3.0, 3.0, 4.0),
        stalls=1,
        stall_seconds=2.0,
        hidden_seconds=4.0,
        exposed_seconds=2.0,
        utilization=9.0 / 12.0,
        lookahead=1,
        reason="1: fixed by the user",
    )
    assert [tuple(span) for span in recorder.take()] == [
        ("stall", 0.0, 2.0, -1, 1, "fetch"),
        ("fetch", 0.0, 2.0, 0, 1, ""),
        ("process", 2.0, 6.0, 0, 1, ""),
        ("fetch", 2.0, 5.0, 1, 1, ""),
        ("process", 6.0, 8.0, 1, 1, ""),
        ("fetch", 6.0, 7.0, 2, 1, ""),
        ("process", 9.0, 12.0, 2, 1, ""),
        ("fetch", 8.0, 9.0, 3, 1, ""),
    ]


def test_the_wait_for_the_end_is_no_stall() -> None:
    clock, recorder = Clock(), trace.Recorder()
    values = iter(["a", None])

    def fetch() -> str | None:
        clock.now += 1.0
        return next(values)

    items = overlap(fetch, lookahead=0, clock=clock, recorder=recorder)
    assert list(items) == ["a"]
    statistics = items.statistics()
    assert (statistics.stalls, statistics.stall_seconds, statistics.exposed_seconds) == (1, 1.0, 1.0)
    assert [span.detail for span in recorder.take() if span.kind == "stall"] == ["fetch", "tail"]


def test_leaving_ends_the_compute_that_was_under_way() -> None:
    clock = Clock()
    desk = with_answers("a", None)
    items = overlap(desk, lookahead=1, clock=clock)
    next(items)
    clock.now = 3.0
    items.close()
    assert items.statistics().compute == Times(1, 3.0, 3.0, 3.0)


def test_auto_finds_the_depth_that_hides_a_fetch_and_says_why() -> None:
    clock, desk, recorder = Clock(), Desk(), trace.Recorder()

    def fetch() -> Future[Any]:
        future = desk()
        if len(desk.futures) == 1:
            clock.now = 0.041
            desk.answer(0, "a")
        return future

    items = overlap(fetch, clock=clock, recorder=recorder, give_back=Tray())
    assert next(items) == "a"
    assert (len(desk.futures), items.statistics().reason) == (2, "1: nothing measured yet")
    clock.now += 0.030
    desk.answer(1, "b")
    assert next(items) == "b"
    assert len(desk.futures) == 4
    reason = "1 → 2: p95 fetch 41 ms > p50 work 30 ms"
    assert (items.statistics().lookahead, items.statistics().reason) == (2, reason)
    moves = [span for span in recorder.take() if span.kind == trace.LOOKAHEAD]
    assert [(span.item, span.detail) for span in moves] == [(2, reason)]
    assert repr(items) == f"<overlap: 2 items, 2 requested, lookahead {reason}>"
    items.close()
    assert repr(items) == f"<overlap: 2 items, closed, lookahead {reason}>"


def test_auto_climbs_only_as_far_as_it_pays_and_says_so() -> None:
    account, now = Account(None, None), 0.0
    reasons = []
    for number in range(120):
        account.resumed(now)
        start, now = now, now + 0.1  # the source is slow: one item in 100 ms, however many are asked for
        account.answered(Request(number, start), now)
        account.waited(start, now, tail=False)
        account.settle(now)
        reasons.append(account.reason)
        account.handed_out(number, now)
        now += 0.001
    assert any(reason.startswith("4: deeper as long as that pays (") for reason in reasons)
    assert "4: 8 did not shorten the stalls, so the source itself is slow" in reasons
    assert account.depth <= 2 * FREE_AHEAD


class _Array:
    """As large as it says."""

    def __init__(self, nbytes: Any) -> None:
        self.nbytes = nbytes


class _Raises:
    @property
    def nbytes(self) -> int:
        raise OSError("the server of this array has gone")


class _RaisesAsDict(dict[str, int]):
    def values(self) -> Any:
        raise OSError("the server of these values has gone")


@pytest.mark.parametrize(("size", "most"), [(16 << 20, 3), (100 << 20, 1), (0, 256)])
def test_auto_holds_no_more_than_fits_into_64_mib(size: int, most: int) -> None:
    account, now, deepest = Account(None, None), 0.0, 0
    for number in range(2000):
        account.resumed(now)
        depth = account.depth
        fetched = now + 1.0 / depth  # each deeper one pays
        account.answered(Request(number, fetched - 1.0), fetched, size)
        account.waited(now, fetched, tail=False)
        now = fetched
        account.settle(now)
        deepest = max(deepest, account.depth)
        account.handed_out(number, now)
        now += 0.001
    assert deepest == most
    if most == 3:  # beside a bundle of two
        assert "all that 64 MiB hold" in account.reason


@pytest.mark.parametrize(
    ("item", "size"),
    [
        (b"12345", 5),
        ("text", 4),
        (_Array(7), 7),
        (_Array(None), 0),
        (memoryview(bytearray(9)), 9),
        (("path", _Array(1000)), 1004),
        ({"image": _Array(3000), "label": 7}, 3000),
        ([b"12"] * 1000, 128),
        (_Array(-1), 0),
        (_Raises(), 0),
        (_RaisesAsDict(), 0),
        (7, 0),
        (None, 0),
    ],
)
def test_what_an_item_weighs(item: Any, size: int) -> None:
    assert weight(item) == size
