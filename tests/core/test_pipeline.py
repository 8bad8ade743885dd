"""The worker's machine: exact effects, messages and seconds.

Times are sums of powers of two, so that equality is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pullahead.core import messages as m
from pullahead.core import trace
from pullahead.core.demand import SPARSE
from pullahead.core.exchange import AT_ONCE, Caller
from pullahead.core.lookahead import QUANTUM, Lookahead
from pullahead.core.messages import Message
from pullahead.core.meter import Meter
from pullahead.core.pipeline import Discard, Effect, Load, Phase, Pipeline, Send, Store, Wake
from pullahead.core.slices import MAX_SLICE
from pullahead.core.stores import MOST
from pullahead.core.trace import Recorder, Span
from pullahead.errors import ProtocolError

S, W = Send(), Wake()
PLENTY = 1 << 20  # items that are ready for each worker
SOON = 2.0**-10  # 1 ms: with three calls out, the last one is too young for a fourth
TINY = 2.0**-14  # 61 µs: 1,049 items in a bundle of 64 ms, 32 in a slice of 2 ms

Make = Callable[..., Pipeline]


@pytest.fixture
def make() -> Iterator[Make]:
    """Builds pipelines at time 0 that are checked once the test is over."""
    made: list[Pipeline] = []

    def build(lookahead: int | None = 1, batch_size: int = 0, **options: Any) -> Pipeline:
        # Their items last as long as it suits a test, and no deadline for that is among those that it sees.
        options = {"gives_back": False, "says_starts": True} | options
        policy = Lookahead(lookahead, batch=batch_size or 1)
        made.append(Pipeline(policy, Meter(0, 0.0), Recorder(), batch_size=batch_size, **options))
        return made[-1]

    yield build
    for pipeline in made:
        pipeline.validate()


def said(pipeline: Pipeline, now: float) -> list[Message]:
    """Perform a `Send`: what goes out, less the running sums and the trace."""
    return [one for one in pipeline.take_messages(now) if one[0] not in {m.TOTALS, m.TRACE}]


def settled(pipeline: Pipeline, now: float = 0.0) -> Pipeline:
    """Begin, with the first call sent and a second one parked: the queue may speak, and so may the worker."""
    assert pipeline.began(now) == [S, W]
    pipeline.take_messages(now)
    return pipeline


def granted(
    pipeline: Pipeline,
    now: float,
    lease: int,
    first: int,
    size: int,
    waited: float = 0.0,
    cause: str = "source",
    backlog: int = PLENTY,
) -> list[Effect]:
    return pipeline.answered([(m.GRANT, lease, first, [None] * size, waited, cause, backlog)], now)


def called_twice(pipeline: Pipeline, now: float = 0.0) -> Pipeline:
    """Settled, with one call more: an answer leaves one parked, and nothing has to be sent."""
    settled(pipeline, now).take_messages(now)
    return pipeline


def busy(pipeline: Pipeline, now: float) -> Pipeline:
    """Let as many calls be out as may be at once, the last of them since now."""
    while pipeline._outbox.caller.may_send:
        pipeline._outbox.caller.called(now)
    return pipeline


def unwatched(pipeline: Pipeline) -> Pipeline:
    """Have nobody look how long it takes what runs."""
    pipeline._patience.ended()
    return pipeline


def compute(pipeline: Pipeline, start: float, end: float, **failures: tuple[str, float]) -> list[Effect]:
    assert pipeline.running is not None
    pipeline.running.waiting.clear()  # one after another, all of them have begun
    pipeline.running.failures.update({int(name[1:]): what for name, what in failures.items()})
    return pipeline.processed(start, end, end - start, end)


def measured(pipeline: Pipeline, seconds: float = TINY) -> Pipeline:
    """Let the policy know what an item costs, as if it had computed many."""
    for _ in range(40):
        pipeline.lookahead.computed(seconds, 1)
    return pipeline


# Asking


@pytest.mark.parametrize(("lookahead", "first_ask"), [(0, 1), (1, 2), (5, 6)])
def test_a_fixed_lookahead_asks_for_that_many_and_the_one_to_compute(
    make: Make, lookahead: int, first_ask: int
) -> None:
    pipeline = make(lookahead)
    assert pipeline.began(0.0) == [S, W]
    assert said(pipeline, 0.0) == [(m.ASK, first_ask), (m.HUNGRY, first_ask)]
    assert (pipeline.held, pipeline.asked) == (0, first_ask)
    assert granted(pipeline, 1.0, 7, 0, first_ask) == [S, W]
    assert said(pipeline, 1.0) == [], "one call is always parked"
    for item in range(first_ask):
        assert pipeline.take(1.0) == (item,)
        assert pipeline.held + pipeline.asked == lookahead
        compute(pipeline, 1.0, 1.0)
        assert pipeline.held + pipeline.asked == lookahead + 1


def test_the_next_ask_is_due_the_moment_an_item_is_taken(make: Make) -> None:
    """The answer travels while the item is computed: the seed's pattern."""
    pipeline = settled(make(2))
    granted(pipeline, 1.0, 1, 0, 3)
    pipeline.take_messages(1.0)
    assert pipeline.take(1.0) == (0,)
    assert pipeline.deadline == AT_ONCE
    assert pipeline.tick(2.0 - SOON) == [S]
    assert said(pipeline, 2.0 - SOON) == [(m.STARTED, 1, (0,))]
    assert (pipeline.held, pipeline.asked) == (2, 0)
    busy(pipeline, 2.0 - SOON)
    assert compute(pipeline, 1.0, 2.0) == [W], "three calls are out"
    assert pipeline.answered([], 2.0) == [S, W]
    assert said(pipeline, 2.0) == [(m.ASK, 1), (m.DONE, 1, (0,))]


def test_tiny_items_are_asked_for_by_the_bundle(make: Make) -> None:
    pipeline = measured(make(None))
    assert (pipeline.lookahead.depth, pipeline.lookahead.bundle) == (1, 1049)
    assert pipeline.began(0.0) == [S, W]
    assert said(pipeline, 0.0) == [(m.ASK, 2), (m.HUNGRY, 2)], "nobody said that there is plenty"
    granted(pipeline, 0.0, 1, 0, 2)
    assert said(pipeline, 0.0) == [(m.ASK, 1049)]
    pipeline.take_messages(0.0)
    assert granted(pipeline, 0.0, 2, 2, 1049) == [W]
    assert (pipeline.held, pipeline.asked) == (1051, 0)
    rows = []
    for _ in range(34):
        items = pipeline.take(0.0)
        rows.append((items[0], len(items), pipeline.held, pipeline.tick(0.0)))
        if rows[-1][-1]:
            break
        compute(pipeline, 0.0, TINY * len(items))
    # It asks again as soon as a whole bundle is wanted, while the slice that made the room is computed.
    assert [row[0] for row in rows] == list(range(0, 1051, 32))
    assert [row[1:] for row in rows[-2:]] == [(32, 27, []), (27, 0, [S])]
    assert (m.ASK, 1049) in said(pipeline, 0.0)


def test_what_the_next_slice_will_take_is_asked_for_with_the_report_before_it(make: Make) -> None:
    """After `take` it would be too late: the call with the report would be in the way of the ask."""
    pipeline = called_twice(measured(make(None)))
    assert granted(pipeline, 0.0, 1, 0, 1050) == [W]
    for first in range(0, 992, 32):
        assert pipeline.take(0.0)[0] == first
        assert compute(pipeline, -32 * TINY, 0.0) == [W]
    assert (pipeline.held, pipeline.asked) == (58, 0)
    pipeline.take(0.0)
    assert compute(pipeline, 0.0, 0.0) == [S, W], "26 are left, and the next slice takes them"
    assert said(pipeline, 0.0)[-2:] == [(m.ASK, 1049), (m.DONE, 1, tuple(range(1024)))]


def test_a_bundle_is_an_amount_of_work_even_if_most_items_are_tiny(make: Make) -> None:
    """Its work is what the mean says: the median knows nothing of the few that take nearly all of it."""
    pipeline = make(None)
    for seconds in [TINY, TINY, TINY, 65 * TINY] * 8:
        pipeline.lookahead.computed(seconds, 1)
    # The last review came before the last large one: its mean was a little smaller.
    assert (pipeline.lookahead._median, pipeline.lookahead.bundle) == (TINY, 66)
    called_twice(pipeline)
    granted(pipeline, 0.0, 1, 0, 2)
    assert said(pipeline, 0.0) == [(m.ASK, 66)], "a bundle, beyond the two to compute"
    assert (pipeline.held, pipeline.asked) == (2, 66)


def test_batches_are_asked_for_whole(make: Make) -> None:
    pipeline = make(None, batch_size=4)
    assert pipeline.began(0.0) == [S, W]
    assert said(pipeline, 0.0) == [(m.ASK, 8), (m.HUNGRY, 8)], "one to compute, one ahead"
    granted(pipeline, 0.0, 1, 0, 8)
    said(pipeline, 0.0)
    assert pipeline.take(0.0) == (0, 1, 2, 3)
    assert pipeline.tick(0.0) == [S]
    assert said(pipeline, 0.0) == [(m.STARTED, 1, (0, 1, 2, 3))]
    compute(pipeline, 0.0, 1.0)
    pipeline.answered([], 1.0)
    assert said(pipeline, 1.0) == [(m.ASK, 4), (m.DONE, 1, (0, 1, 2, 3))]


@pytest.mark.parametrize(("lookahead", "first_ask"), [(0, 4), (3, 4), (4, 8), (9, 12)])
def test_a_fixed_lookahead_is_rounded_down_to_whole_batches(
    make: Make, lookahead: int, first_ask: int
) -> None:
    pipeline = make(lookahead, batch_size=4)
    pipeline.began(0.0)
    assert said(pipeline, 0.0) == [(m.ASK, first_ask), (m.HUNGRY, first_ask)]


def test_what_a_failed_load_takes_out_of_a_batch_is_asked_for_again(make: Make) -> None:
    """What is held and asked for adds up to whole batches: the rest would wait for what nobody asked for."""
    pipeline = settled(make(0, batch_size=4, batch_wait=60.0, loads=True))
    granted(pipeline, 0.0, 1, 0, 4)
    said(pipeline, 0.0)
    for item in (0, 1, 2):
        pipeline.loaded(item, 0.0)
    assert pipeline.load_failed(3, "error", 0.0, 0.0) == [S, W]
    assert said(pipeline, 0.0) == [(m.FAILED, 1, 3, "error", 0.0), (m.ASK, 1)]


def test_what_is_given_back_is_asked_for_again(make: Make) -> None:
    pipeline = settled(make(1))
    granted(pipeline, 0.0, 1, 0, 2)
    said(pipeline, 0.0)
    assert pipeline.answered([(m.WITHDRAW, 1)], 0.0) == [Discard(0, False), Discard(1, False), S, W]
    assert said(pipeline, 0.0) == [(m.GAVE_BACK, 1, (0, 1)), (m.ASK, 2), (m.HUNGRY, 2)]


def test_a_partly_answered_ask_stays_open_for_the_rest(make: Make) -> None:
    pipeline = settled(make(4))
    assert pipeline.asked == 5
    granted(pipeline, 0.0, 1, 0, 2)
    assert (pipeline.held, pipeline.asked) == (2, 3)
    assert said(pipeline, 0.0) == []
    granted(pipeline, 0.0, 2, 2, 3)
    assert (pipeline.held, pipeline.asked) == (5, 0)


@pytest.mark.parametrize(
    ("backlog", "bundle", "slice_"),
    [
        (0, 1, 1),
        (1, 1, 1),
        (3, 1, 1),
        (4, 2, 2),
        (40, 20, 20),
        (100, 50, 32),
        (2096, 1048, 32),
        (PLENTY, 1049, 32),
    ],
)
def test_half_of_what_is_ready_for_each_worker_may_travel_and_be_taken_together(
    make: Make, backlog: int, bundle: int, slice_: int
) -> None:
    pipeline = called_twice(measured(make(None, says_starts=False)))
    assert pipeline.lookahead.bundle == 1049
    assert granted(pipeline, 0.0, 1, 0, 2 * slice_, backlog=backlog) == [W]
    items = pipeline.take(0.0)
    assert len(items) == slice_
    assert pipeline.tick(0.0) == []
    assert compute(pipeline, 0.0, 0.0) == [S, W], "what is left is taken next"
    assert said(pipeline, 0.0)[-2:] == [(m.ASK, bundle), (m.DONE, 1, items)]


def test_what_is_ready_is_what_the_latest_grant_says(make: Make) -> None:
    pipeline = settled(measured(make(None)))
    for lease, (backlog, size) in enumerate(((PLENTY, 32), (20, 10), (0, 8), (24, 12))):
        held = pipeline.held
        granted(pipeline, 0.0, lease, 32 * lease, 16 - held if lease else 32, backlog=backlog)
        assert len(pipeline.take(0.0)) == size
        compute(pipeline, 0.0, 0.0)
        pipeline.take_messages(0.0)


@pytest.mark.parametrize(("seconds", "taken", "in_hand", "company"), [
    (TINY, 4, 4, 2 * TINY), (0.001, 2, 4, 0.002), (0.002, 1, 4, SPARSE), (0.002, 1, 2, 0.002),
    (0.002, 1, 0, 0.0), (SPARSE, 1, 4, 0.0),
])  # fmt: skip
def test_without_a_backlog_results_wait_for_company_while_there_is_something_in_hand(
    make: Make, seconds: float, taken: int, in_hand: int, company: float
) -> None:
    """One by one, each would pay for an exchange that takes longer than a tiny item: the end of every run.
    But who waits for two of them may send more only once it has one of them."""
    pipeline = called_twice(measured(make(None, says_starts=False), seconds))
    granted(pipeline, 0.0, 1, 0, taken + in_hand, backlog=0)
    assert len(pipeline.take(0.0)) == taken
    pipeline.take_messages(0.0)  # with an ask for what is missing
    pipeline.answered([(m.CLOSED, 0.0, "source")], 0.0)
    effects = compute(pipeline, 0.0, seconds)
    assert effects == ([W] if company else [S, W])
    assert not company or pipeline.deadline == pytest.approx(seconds + company)


@pytest.mark.parametrize("backlog", [40, 400])
def test_a_bundle_that_is_smaller_than_usual_is_waited_for_for_as_much_less(make: Make, backlog: int) -> None:
    pipeline = called_twice(measured(make(None, says_starts=False)))
    granted(pipeline, 0.0, 1, 0, backlog // 2 + 1, backlog=backlog)
    pipeline.take(0.0)
    pipeline.take_messages(0.0)
    pipeline.answered([(m.CLOSED, 0.0, "source")], 0.0)
    assert compute(pipeline, 0.0, TINY) == [W]
    assert pipeline.deadline == pytest.approx(TINY + QUANTUM * (backlog // 2) / 1049)


def test_once_nothing_is_left_an_ask_goes_when_more_is_missing_than_is_asked_for(make: Make) -> None:
    """Nothing comes any sooner for it. What a recall brings is for who is hungry."""
    pipeline = called_twice(measured(make(8, says_starts=False), 0.002))
    granted(pipeline, 0.0, 1, 0, 9, backlog=0)
    pipeline.take(0.0)
    pipeline.tick(0.0)
    pipeline.answered([(m.CLOSED, 0.0, "source")], 0.0)
    asks = []
    for item in range(1, 9):
        compute(pipeline, 0.0, 0.0)
        assert pipeline.take(0.0) == (item,)
        pipeline.tick(0.0)
        asks.append(pipeline.asked)
    assert asks == [1, 1, 3, 3, 3, 3, 7, 7]
    compute(pipeline, 0.0, 0.0)
    assert pipeline.take(0.0) == ()
    pipeline.tick(0.0)
    assert said(pipeline, 0.0)[-1] == (m.HUNGRY, 9), "behind an ask for all that is missing"


def test_any_message_takes_along_an_ask_for_what_is_missing(make: Make) -> None:
    """It costs nothing beside what is sent anyway."""
    pipeline = called_twice(measured(make(None, says_starts=False)))
    assert granted(pipeline, 0.0, 1, 0, 1081) == [W], "a bundle, and the slice that is taken next"
    items = pipeline.take(0.0)
    assert len(items) == 32
    assert compute(pipeline, 0.0, 0.0) == [W]
    assert pipeline.asked == 0, "a slice is missing: that is less than a bundle, and none is due"
    assert pipeline.deadline == QUANTUM, "the report is"
    assert pipeline.tick(QUANTUM) == [S, W]
    assert said(pipeline, QUANTUM) == [(m.ASK, 32), (m.DONE, 1, items)]
    assert pipeline.asked == 32
    pipeline.answered([], QUANTUM)
    assert said(pipeline, QUANTUM) == [], "once is enough"


def test_a_call_that_only_has_to_be_parked_takes_no_small_ask_along(make: Make) -> None:
    """The grant would be its answer, and again no call would be parked: a call for every few items."""
    pipeline = settled(measured(make(None, says_starts=False)))
    assert granted(pipeline, 0.0, 1, 0, 1081) == [S, W], "the one call that was out is answered"
    items = pipeline.take(0.0)
    compute(pipeline, -32 * TINY, 0.0)
    begun = pipeline.take(0.0)
    said_ = said(pipeline, 0.0)
    assert said_ == [(m.DONE, 1, items), (m.STARTED, 1, begun[:1])], "what is missing is less than a bundle"
    assert (pipeline.asked, unwatched(pipeline).deadline) == (0, None)
    for _ in range(32):
        compute(pipeline, -32 * TINY, 0.0)
        pipeline.take(0.0)
    assert (m.ASK, 1049) in said(pipeline, 0.0)


def test_a_worker_that_stops_takes_no_ask_along(make: Make) -> None:
    pipeline = settled(make(1))
    granted(pipeline, 0.0, 1, 0, 2)
    said(pipeline, 0.0)
    pipeline.take(0.0)
    pipeline.answered([(m.STOP,)], 0.0)
    assert pipeline.asked == 0
    assert said(pipeline, 0.0) == [(m.STARTED, 1, (0,)), (m.GAVE_BACK, 1, (1,))]


# How long a fetch takes


def test_a_fetch_is_measured_from_the_ask_less_what_it_waited_for_the_source(make: Make) -> None:
    pipeline = settled(make(1))
    granted(pipeline, 4.0, 1, 0, 2, waited=3.5)
    assert list(pipeline.lookahead._fetches) == [0.5]
    assert Span("fetch", 3.5, 4.0, 0, 2) in pipeline.recorder._spans


def test_a_source_that_drips_does_not_look_like_a_slow_fetch(make: Make) -> None:
    """Only the first answer to an ask ends a round trip; what comes later was pushed."""
    pipeline = settled(make(4))
    for item in range(5):
        granted(pipeline, 1.25 + item, item + 1, item, 1, waited=1.0)
        pipeline.take_messages(1.25 + item)
    assert list(pipeline.lookahead._fetches) == [0.25]


def test_a_pause_between_two_runs_does_not_look_like_a_slow_fetch(make: Make) -> None:
    pipeline = settled(make(1))
    pipeline.answered([(m.CLOSED, 0.0, "source")], 1.0)
    pipeline.take_messages(1.0)
    granted(pipeline, 100.0, 1, 0, 2, waited=99.0)
    assert list(pipeline.lookahead._fetches) == []
    assert pipeline.asked == 0


def test_an_ask_that_came_with_an_older_one_is_measured_as_one(make: Make) -> None:
    pipeline = settled(make(1))
    granted(pipeline, 1.0, 1, 0, 1)  # one of two
    pipeline.take_messages(1.0)
    assert pipeline.take(1.0) == (0,)
    assert pipeline.asked == 1
    granted(pipeline, 2.0, 2, 1, 1)
    assert list(pipeline.lookahead._fetches) == [1.0]
    assert pipeline.asked == 0


# Taking


def test_items_are_taken_one_by_one_until_their_cost_is_known(make: Make) -> None:
    pipeline = settled(make(4))
    granted(pipeline, 0.0, 1, 0, 5)
    assert pipeline.take(0.0) == (0,)
    assert pipeline.take(0.0) == (), "one call of `process` at a time"
    measured(pipeline)
    compute(pipeline, 0.0, TINY)
    assert pipeline.take(1.0) == (1, 2, 3, 4), "a slice is about two milliseconds, or what there is"


@pytest.mark.parametrize(("seconds", "size"), [(1.0, 1), (0.0015, 1), (0.0005, 4), (1e-9, MAX_SLICE)])
def test_a_slice_is_two_milliseconds_and_bounded(make: Make, seconds: float, size: int) -> None:
    pipeline = measured(settled(make(2 * MAX_SLICE)), seconds)
    granted(pipeline, 0.0, 1, 0, 2 * MAX_SLICE)
    assert len(pipeline.take(0.0)) == size


def test_a_full_batch_is_taken_at_once_and_a_partial_one_when_it_has_waited(make: Make) -> None:
    pipeline = settled(make(None, batch_size=4, batch_wait=2.0))
    granted(pipeline, 1.0, 1, 0, 3)
    said(pipeline, 1.0)
    assert pipeline.take(1.0) == ()
    assert pipeline.deadline == 3.0
    assert pipeline.take(2.75) == ()
    assert pipeline.tick(3.0) == [W]
    assert pipeline.deadline is None, "it was told: no need to tell it again"
    assert pipeline.take(3.0) == (0, 1, 2)
    pipeline.answered([(m.GRANT, 2, 3, [None] * 5, 0.0, "source", PLENTY)], 3.0)
    compute(pipeline, 3.0, 4.0)
    assert pipeline.take(4.0) == (3, 4, 5, 6)


def test_what_a_full_batch_leaves_behind_begins_to_wait_when_it_was_taken(make: Make) -> None:
    pipeline = settled(make(None, batch_size=4, batch_wait=2.0))
    granted(pipeline, 1.0, 1, 0, 6)
    assert pipeline.take(1.5) == (0, 1, 2, 3)
    assert pipeline._portions.due is None
    compute(pipeline, 1.5, 2.0)
    assert pipeline._portions.due == 3.5
    assert pipeline.take(3.25) == ()
    assert pipeline.take(3.5) == (4, 5)
    assert pipeline._portions.due is None


def test_without_a_wait_a_batch_is_what_there_is(make: Make) -> None:
    pipeline = settled(make(None, batch_size=4))
    granted(pipeline, 1.0, 1, 0, 2)
    said(pipeline, 1.0)
    assert pipeline.deadline is None
    assert pipeline.take(1.0) == (0, 1)


def test_a_batch_does_not_wait_when_nothing_more_can_come(make: Make) -> None:
    pipeline = settled(make(None, batch_size=4, batch_wait=60.0, loads=True))
    granted(pipeline, 0.0, 1, 0, 2)
    said(pipeline, 0.0)
    pipeline.loaded(0, 1.0)
    pipeline.answered([(m.CLOSED, 0.0, "source")], 1.0)
    assert pipeline.take(1.0) == (), "one is being loaded"
    assert pipeline.loaded(1, 2.0)[-1] == W
    assert pipeline.take(2.0) == (0, 1)


def test_a_batch_waits_again_when_more_has_come_after_all(make: Make) -> None:
    pipeline = settled(make(None, batch_size=4, batch_wait=60.0))
    pipeline.answered([(m.CLOSED, 0.0, "source"), (m.GRANT, 1, 0, [None], 0.0, "source", PLENTY)], 1.0)
    assert pipeline.take(1.0) == ()


def test_started_is_said_after_idling_and_with_what_is_sent_anyway(make: Make) -> None:
    pipeline = settled(make(2))
    granted(pipeline, 0.0, 1, 0, 1)
    said(pipeline, 0.0)
    assert pipeline.take(0.0) == (0,)
    assert pipeline.deadline == AT_ONCE
    assert pipeline.tick(0.0) == [S]
    assert said(pipeline, 0.0) == [(m.STARTED, 1, (0,))]
    granted(pipeline, 0.5, 2, 1, 1)
    compute(pipeline, 0.0, 1.0)
    said(pipeline, 1.0)
    assert pipeline.take(1.0) == (1,)
    pipeline.answered([], 1.0)
    assert said(pipeline, 1.0) == [(m.STARTED, 2, (1,))]
    pipeline.answered([], 1.0)
    assert said(pipeline, 1.0) == [], "once is enough"


def test_started_goes_with_the_next_message_only_where_a_memory_survives_the_worker(make: Make) -> None:
    pipeline = called_twice(Pipeline(Lookahead(1), Meter(0, 0.0), Recorder(), gives_back=False))
    granted(pipeline, 0.0, 1, 0, 2)
    assert pipeline.take(0.0) == (0,), "after idling"
    assert pipeline.deadline is None
    assert pipeline.tick(0.5) == []
    assert pipeline.answered([], 0.5) == [S], "one call is always parked"
    assert said(pipeline, 0.5) == [(m.STARTED, 1, (0,))], "it goes with that"
    assert compute(pipeline, 0.0, 1.0) == [S, W]
    assert said(pipeline, 1.0) == [(m.ASK, 1), (m.DONE, 1, (0,))], "once is enough"
    assert pipeline.take(1.0) == (1,)
    assert pipeline.tick(1.0) == []
    pipeline.validate()


def test_what_has_ended_before_the_next_message_is_not_said_to_have_started(make: Make) -> None:
    pipeline = called_twice(make(0, says_starts=False))
    granted(pipeline, 0.0, 1, 0, 1)
    pipeline.take(0.0)
    assert compute(pipeline, 0.0, 1.0) == [S, W]
    assert said(pipeline, 1.0) == [(m.ASK, 1), (m.DONE, 1, (0,))]


def test_started_tiny_items_are_said_after_a_quantum(make: Make) -> None:
    pipeline = measured(settled(make(None)))
    granted(pipeline, 1.0, 1, 0, 2)
    said(pipeline, 1.0)
    assert pipeline.take(1.0) == (0, 1)
    assert pipeline.tick(1.0 + QUANTUM) == [S]
    assert pipeline.deadline == 1.0 + QUANTUM + QUANTUM, "the end of what runs should come first"


def test_a_batch_from_two_leases_is_reported_by_lease(make: Make) -> None:
    pipeline = settled(make(None, batch_size=4))
    pipeline.answered(
        [
            (m.GRANT, 1, 0, [None] * 2, 0.0, "source", PLENTY),
            (m.GRANT, 2, 9, [None] * 2, 0.0, "source", PLENTY),
        ],
        0.0,
    )
    said(pipeline, 0.0)
    assert pipeline.take(0.0) == (0, 1, 9, 10)
    compute(pipeline, 0.0, 1.0, i9=("error", 0.0))
    assert said(pipeline, 1.0) == [
        (m.STARTED, 1, (0, 1)),
        (m.STARTED, 2, (9, 10)),
        (m.DONE, 1, (0, 1)),
        (m.FAILED, 2, 9, "error", 0.0),
        (m.ASK, 4),
        (m.DONE, 2, (10,)),
    ]


def test_the_oldest_item_is_computed_first_whatever_the_order_of_arrival(make: Make) -> None:
    pipeline = settled(make(9))
    pipeline.answered(
        [(m.GRANT, 1, 7, [None] * 2, 0.0, "source", 0), (m.GRANT, 2, 3, [None] * 2, 0.0, "source", 0)], 0.0
    )
    for item in (3, 4, 7, 1, 8):
        assert pipeline.take(0.0) == (item,)
        if item == 7:  # one had failed elsewhere
            pipeline.take_messages(0.0)
            granted(pipeline, 0.0, 3, 1, 1)
        compute(pipeline, 0.0, 0.0)
        pipeline.validate()


def test_what_is_cut_from_a_slice_takes_its_old_place(make: Make) -> None:
    pipeline = settled(measured(make(20)))
    pipeline.answered(
        [(m.GRANT, 1, 2, [None] * 3, 0.0, "source", 10), (m.GRANT, 2, 7, [None] * 4, 0.0, "source", 10)], 0.0
    )
    assert pipeline.take(0.0) == (2, 3, 4, 7, 8)
    pipeline.take_messages(0.0)
    granted(pipeline, 0.0, 3, 5, 1)  # it had failed elsewhere
    pipeline.take_messages(0.0)
    pipeline.answered([(m.WITHDRAW, 1)], 0.0)
    assert pipeline.running is not None
    assert pipeline.running.open == (2,)
    assert pipeline._held() == [5, 7, 8, 9, 10]


def test_the_oldest_items_are_a_slice_or_a_batch_whatever_the_order_of_arrival(make: Make) -> None:
    sliced, batched = measured(make(9)), make(7, batch_size=4)
    for pipeline in (sliced, batched):
        called_twice(pipeline)
        granted(pipeline, 0.0, 1, 6, 2)
        granted(pipeline, 0.0, 2, 0, 3, backlog=8)
        assert pipeline.take(0.0) == (0, 1, 2, 6), "half of the backlog, or a batch"
        assert compute(pipeline, 0.0, 1.0) == [S, W]
        done = [one for one in said(pipeline, 1.0) if one[0] == m.DONE]
        assert done == [(m.DONE, 2, (0, 1, 2)), (m.DONE, 1, (6,))]


# Loading


def test_items_are_loaded_in_order_as_far_as_the_limit_allows(make: Make) -> None:
    pipeline = settled(make(3, loads=True, load_concurrency=2))
    assert granted(pipeline, 0.0, 1, 0, 4) == [Load(0), Load(1), S, W]
    said(pipeline, 0.0)
    assert pipeline.take(0.0) == ()
    assert pipeline.loaded(1, 1.0) == [Load(2), W]
    assert pipeline.loaded(0, 2.0) == [Load(3), W]
    assert pipeline.take(2.0) == (0,), "of what is loaded, the oldest is processed first"
    compute(pipeline, 2.0, 3.0)
    assert pipeline.loaded(3, 3.0)[-1] == W
    assert pipeline.take(3.0) == (1,)
    compute(pipeline, 3.0, 4.0)
    assert pipeline.take(4.0) == (3,), "what is still being loaded keeps nobody waiting"


def suspected(pipeline: Pipeline, lease: int, first: int, size: int, *suspects: int) -> list[Effect]:
    return pipeline.answered([(m.GRANT, lease, first, [None] * size, 0.0, "source", PLENTY, suspects)], 0.0)


def test_what_is_suspect_is_loaded_in_its_turn(make: Make) -> None:
    pipeline = settled(make(3, loads=True))
    assert suspected(pipeline, 1, 0, 4, 1, 2) == [S, W], "nothing is loaded beside it"
    said(pipeline, 0.0)
    assert pipeline.take(0.0) == (1,), "it is as ready as it will be"
    assert [one for one in compute(pipeline, 0.0, 1.0) if isinstance(one, Load)] == []
    assert pipeline.take(1.0) == (2,)
    assert [one for one in compute(pipeline, 1.0, 2.0) if isinstance(one, Load)] == [Load(0), Load(3)]
    pipeline.loaded(0, 2.0)
    assert pipeline.take(2.0) == (0,)
    pipeline.validate()


def test_what_is_suspect_waits_for_loads_that_are_under_way(make: Make) -> None:
    pipeline = settled(make(3, loads=True))
    assert granted(pipeline, 0.0, 1, 1, 2) == [Load(1), Load(2), S, W]
    said(pipeline, 0.0)
    assert [one for one in suspected(pipeline, 2, 0, 1, 0) if isinstance(one, Load)] == []
    assert pipeline.take(0.0) == ()
    assert pipeline.loaded(1, 1.0)[-1] == W
    assert pipeline.take(1.0) == (), "another one is under way"
    assert pipeline.load_failed(2, "error", 0.0, 2.0)[-1] == W
    assert pipeline.take(2.0) == (0,)
    pipeline.validate()


def test_loads_begin_once_what_is_suspect_is_processed_and_not_when_it_is_stored(make: Make) -> None:
    pipeline = settled(make(3, loads=True, stores=True))
    suspected(pipeline, 1, 0, 2, 0)
    said(pipeline, 0.0)
    assert pipeline.take(0.0) == (0,)
    assert {Store(0), Load(1)} <= set(compute(pipeline, 0.0, 1.0))
    pipeline.validate()


def test_a_batch_with_a_suspect_waits_for_loads_and_a_full_one_before_it_does_not(make: Make) -> None:
    pipeline = settled(make(6, loads=True, batch_size=2, batch_wait=9.0))
    granted(pipeline, 0.0, 1, 0, 4)
    said(pipeline, 0.0)
    suspected(pipeline, 2, 4, 2, 4)
    for item in (0, 1):
        pipeline.loaded(item, 0.0)
    assert pipeline.take(0.0) == (0, 1)
    compute(pipeline, 0.0, 1.0)
    pipeline.loaded(2, 1.0)
    assert pipeline.take(1.0) == (), "2 and 4 would be the next, and 3 is being loaded"
    pipeline.loaded(3, 1.0)
    assert pipeline.take(1.0) == (2, 3)
    compute(pipeline, 1.0, 2.0)
    assert pipeline.take(2.0) == (4,), "5 is not loaded before 4 has run, so it does not wait for it"
    pipeline.validate()


def test_what_is_suspect_is_given_back_as_it_came(make: Make) -> None:
    pipeline = settled(make(3, loads=True))
    suspected(pipeline, 1, 0, 3, 0, 2)
    said(pipeline, 0.0)
    assert pipeline.answered([(m.WITHDRAW, 1)], 1.0) == [
        Discard(0, loaded=False),
        Discard(2, loaded=False),
        Discard(1, loaded=False),
        S,
        W,
    ]
    pipeline.validate()


def test_what_is_suspect_and_still_loading_for_an_earlier_lease_is_not_loaded_twice(make: Make) -> None:
    pipeline = settled(make(3, loads=True))
    granted(pipeline, 0.0, 1, 0, 2)
    said(pipeline, 0.0)
    pipeline.answered([(m.WITHDRAW, 1)], 0.0)
    said(pipeline, 0.0)
    assert suspected(pipeline, 2, 0, 2, 0)[:-2] == []
    assert pipeline.take(0.0) == ()
    pipeline.loaded(0, 1.0)
    assert pipeline.take(1.0) == (0,)
    pipeline.validate()


def test_without_a_load_nothing_is_suspect(make: Make) -> None:
    pipeline = settled(make(3))
    suspected(pipeline, 1, 0, 4, 1)
    assert pipeline.take(0.0) == (0,)
    pipeline.validate()


def test_without_a_limit_everything_held_is_loaded(make: Make) -> None:
    pipeline = settled(make(2, loads=True))
    assert granted(pipeline, 0.0, 1, 0, 3) == [Load(0), Load(1), Load(2), S, W]


def test_a_failed_load_is_reported_at_once_and_the_next_one_begins(make: Make) -> None:
    pipeline = settled(make(1, loads=True, load_concurrency=1))
    granted(pipeline, 0.0, 1, 0, 2)
    said(pipeline, 0.0)
    assert pipeline.load_failed(0, "later", 7.0, 1.0) == [Load(1), S, W]
    assert said(pipeline, 1.0) == [(m.FAILED, 1, 0, "later", 7.0), (m.ASK, 1)]


def test_an_item_withdrawn_while_loading_is_discarded_when_its_load_is_over(make: Make) -> None:
    pipeline = settled(make(3, loads=True, load_concurrency=2))
    granted(pipeline, 0.0, 1, 0, 4)
    said(pipeline, 0.0)
    pipeline.loaded(0, 0.0)
    # 3 was not begun, 1 and 2 are loading, 0 is loaded.
    assert pipeline.answered([(m.WITHDRAW, 1)], 1.0) == [
        Discard(0, loaded=True),
        Discard(3, loaded=False),
        S,
        W,
    ]
    assert said(pipeline, 1.0) == [(m.GAVE_BACK, 1, (0, 1, 2, 3)), (m.ASK, 4), (m.HUNGRY, 4)]
    assert (pipeline.held, pipeline.asked) == (0, 4)
    pipeline.answered([(m.WITHDRAW, 1)], 1.5)  # said twice, it takes nothing twice
    assert said(pipeline, 1.5) == []
    assert pipeline.loaded(1, 2.0) == [Discard(1, loaded=True), W]
    assert pipeline.load_failed(2, "error", 0.0, 2.0) == [Discard(2, loaded=False), W]


def test_an_item_that_comes_back_while_its_load_is_under_way_is_not_loaded_twice(make: Make) -> None:
    pipeline = settled(make(0, loads=True))
    assert granted(pipeline, 0.0, 1, 0, 1) == [Load(0), S, W]
    said(pipeline, 0.0)
    pipeline.answered([(m.WITHDRAW, 1)], 0.0)
    said(pipeline, 0.0)
    assert granted(pipeline, 0.0, 2, 0, 1) == [S, W]
    said(pipeline, 0.0)
    pipeline.validate()
    assert (pipeline.held, pipeline.asked) == (1, 0)
    assert pipeline.loaded(0, 1.0) == [W]
    assert pipeline.take(1.0) == (0,)
    compute(pipeline, 1.0, 2.0)
    assert said(pipeline, 2.0) == [(m.STARTED, 2, (0,)), (m.ASK, 1), (m.DONE, 2, (0,))]


# Values that come behind their grant


def coming(pipeline: Pipeline, now: float, lease: int, first: int, size: int, *late: int) -> list[Effect]:
    grant = (m.GRANT, lease, first, [None] * size, 0.0, "source", PLENTY)
    return pipeline.answered([grant], now, frozenset(late))


def test_what_is_on_its_way_is_held_and_cannot_be_taken_yet(make: Make) -> None:
    pipeline = settled(make(3))
    assert coming(pipeline, 0.0, 1, 0, 3, 0, 2) == [S, W], "the shell has nothing to do"
    assert (pipeline.held, pipeline.loading) == (3, (0, 2))
    said(pipeline, 0.0)
    assert pipeline.take(0.0) == (1,), "what is here does not wait for it"
    compute(pipeline, 0.0, 1.0)
    assert pipeline.take(1.0) == ()
    assert pipeline.loaded(2, 2.0)[-1] == W
    assert pipeline.loaded(0, 2.0)[-1] == W
    assert pipeline.take(2.0) == (0,), "the oldest first"
    compute(pipeline, 2.0, 3.0)
    assert pipeline.take(3.0) == (2,)


def test_waiting_for_what_is_on_its_way_is_a_stall_and_the_lookahead_learns_of_it(make: Make) -> None:
    pipeline = settled(make(0))
    coming(pipeline, 1.0, 1, 0, 1, 0)
    pipeline.loaded(0, 3.0)
    pipeline.take(3.0)
    assert pipeline.meter.totals.stalls == {"fetch": 1.0, "load": 2.0}
    assert pipeline.lookahead.usual_fetch == 3.0


def test_what_cannot_come_has_failed(make: Make) -> None:
    pipeline = settled(make(3))
    coming(pipeline, 0.0, 1, 0, 1, 0)
    said(pipeline, 0.0)
    assert pipeline.load_failed(0, "error", 0.0, 1.0) == [S, W]
    assert (m.FAILED, 1, 0, "error", 0.0) in said(pipeline, 1.0)


def test_what_is_given_back_on_its_way_is_forgotten_when_it_has_come(make: Make) -> None:
    pipeline = settled(make(3))
    coming(pipeline, 0.0, 1, 0, 2, 0, 1)
    said(pipeline, 0.0)
    assert pipeline.answered([(m.WITHDRAW, 1)], 1.0) == [S, W]
    assert said(pipeline, 1.0)[0] == (m.GAVE_BACK, 1, (0, 1))
    assert pipeline.held == 0
    assert coming(pipeline, 1.5, 2, 0, 1, 0) == [S, W], "it comes back, and is still on its way"
    assert pipeline.held == 1
    said(pipeline, 1.5)
    assert pipeline.loaded(0, 2.0) == [W]
    assert pipeline.loaded(1, 2.0) == [Discard(1, loaded=True), W]
    assert pipeline.take(2.0) == (0,)


def test_stop_waits_for_what_is_on_its_way(make: Make) -> None:
    pipeline = settled(make(0))
    coming(pipeline, 0.0, 1, 0, 1, 0)
    said(pipeline, 0.0)
    pipeline.answered([(m.STOP,)], 1.0)
    assert said(pipeline, 1.0) == [(m.GAVE_BACK, 1, (0,))]
    assert pipeline.loaded(0, 2.0)[0] == Discard(0, loaded=True)
    assert said(pipeline, 2.0) == [(m.BYE,)]


def test_a_batch_waits_for_what_is_on_its_way(make: Make) -> None:
    pipeline = settled(make(4, batch_size=2, batch_wait=9.0))
    coming(pipeline, 0.0, 1, 0, 2, 1)
    said(pipeline, 0.0)
    assert pipeline.take(0.0) == ()
    pipeline.loaded(1, 1.0)
    assert pipeline.take(1.0) == (0, 1)


def test_with_a_load_what_is_on_its_way_comes_with_it(make: Make) -> None:
    pipeline = settled(make(3, loads=True))
    assert coming(pipeline, 0.0, 1, 0, 1, 0) == [Load(0), S, W]


# Storing


def test_results_are_stored_behind_and_reported_when_they_are(make: Make) -> None:
    pipeline = settled(make(1, stores=True))
    granted(pipeline, 0.0, 1, 0, 2)
    said(pipeline, 0.0)
    pipeline.take(0.0)
    assert compute(pipeline, 0.0, 1.0) == [Store(0), S, W]
    assert said(pipeline, 1.0) == [(m.STARTED, 1, (0,)), (m.ASK, 1)]
    assert pipeline.take(1.0) == (1,), "stores do not hold up the next item"
    now = 1.0 + SOON
    busy(pipeline, 1.0)
    assert pipeline.stored(0, now) == [], "three calls are out"
    assert pipeline.answered([], now) == [S]
    assert said(pipeline, now) == [(m.DONE, 1, (0,)), (m.STARTED, 1, (1,))]


def unstored(pipeline: Pipeline) -> Pipeline:
    """Item 0 is computed at 1.0, and its store fails at 2.0."""
    settled(pipeline)
    granted(pipeline, 0.0, 1, 0, 1)
    said(pipeline, 0.0)
    pipeline.take(0.0)
    compute(pipeline, 0.0, 1.0)
    said(pipeline, 1.0)
    pipeline.answered([], 1.0)
    assert pipeline.store_failed(0, "error", 0.0, 2.0) == [S, W]
    assert said(pipeline, 2.0) == [(m.UNSTORED, 1, 0, "error", 0.0)]
    return pipeline


def test_a_store_that_failed_is_tried_again_alone_when_the_queue_says_so(make: Make) -> None:
    pipeline = unstored(make(0, stores=True))
    assert pipeline.tick(3.0) == [W], "it has not said so"
    assert pipeline.answered([(m.STORE_AGAIN, 1, 0, 0.5)], 3.0) == [W]
    assert pipeline.deadline == 3.5
    assert pipeline.tick(3.5) == [Store(0), W], "and nothing is computed again"
    assert pipeline.meter.totals.items == 1
    assert pipeline.deadline is None
    assert pipeline.stored(0, 4.0) == [S, W]
    assert said(pipeline, 4.0) == [(m.DONE, 1, (0,))]


def test_a_store_may_fail_again(make: Make) -> None:
    pipeline = unstored(make(0, stores=True))
    assert pipeline.answered([(m.STORE_AGAIN, 1, 0, 0.0)], 3.0) == [Store(0), W]
    assert pipeline.store_failed(0, "later", 7.0, 4.0) == [S, W]
    assert said(pipeline, 4.0) == [(m.UNSTORED, 1, 0, "later", 7.0)]


def test_what_has_failed_for_good_is_forgotten(make: Make) -> None:
    pipeline = unstored(make(0, stores=True))
    assert pipeline.answered([(m.FORGET, 1, 0)], 3.0) == [Discard(0, loaded=False), W]
    assert pipeline.deadline is None
    assert not pipeline._stores
    assert pipeline.answered([(m.STOP,)], 4.0) == [S, W], "nothing keeps it"


def test_a_worker_that_was_told_to_stop_stays_until_all_is_stored(make: Make) -> None:
    pipeline = unstored(make(0, stores=True))
    pipeline.answered([(m.STORE_AGAIN, 1, 0, 5.0), (m.STOP,)], 3.0)
    assert pipeline.tick(8.0) == [Store(0), W]
    pipeline.stored(0, 9.0)
    assert said(pipeline, 9.0) == [(m.DONE, 1, (0,)), (m.BYE,)]
    assert pipeline.phase is Phase.GONE


def test_what_waits_for_another_store_counts_as_one_that_is_not_done(make: Make) -> None:
    pipeline = settled(make(None, batch_size=MOST, stores=True))
    granted(pipeline, 0.0, 1, 0, MOST + 1)
    said(pipeline, 0.0)
    pipeline.take(0.0)
    compute(pipeline, 0.0, 1.0)
    said(pipeline, 1.0)
    pipeline.store_failed(0, "error", 0.0, 2.0)
    assert pipeline.take(2.0) == ()
    pipeline.answered([(m.FORGET, 1, 0)], 3.0)
    assert pipeline.take(3.0) == (MOST,)


def test_what_failed_in_process_is_not_stored(make: Make) -> None:
    pipeline = settled(make(0, stores=True))
    granted(pipeline, 0.0, 1, 0, 1)
    said(pipeline, 0.0)
    pipeline.take(0.0)
    assert compute(pipeline, 0.0, 1.0, i0=("error", 0.0)) == [S, W]


def test_too_many_stores_hold_up_the_next_item_and_nothing_spins(make: Make) -> None:
    pipeline = settled(make(None, batch_size=MOST, stores=True))
    granted(pipeline, 0.0, 1, 0, MOST + 1)
    said(pipeline, 0.0)
    assert len(pipeline.take(0.0)) == MOST
    compute(pipeline, 0.0, 1.0)
    said(pipeline, 1.0)
    assert pipeline.take(1.0) == ()
    assert pipeline.deadline is None, "only the end of a store changes anything"
    pipeline.stored(0, 3.0)
    assert pipeline.meter.totals.stalls == {"report": 2.0}
    assert pipeline.take(3.0) == (MOST,)


# Reporting


def test_long_items_are_reported_at_once(make: Make) -> None:
    pipeline = settled(make(2))
    granted(pipeline, 0.0, 1, 0, 3)
    said(pipeline, 0.0)
    pipeline.take(0.0)
    assert pipeline.lookahead.bundle == 1
    assert compute(pipeline, 0.0, 1.0) == [S, W]
    assert said(pipeline, 1.0) == [(m.STARTED, 1, (0,)), (m.ASK, 1), (m.DONE, 1, (0,))]


def reporting(make: Make, items: int) -> Pipeline:
    """A pipeline of tiny items in the middle of its work, with room for a call and no need for an ask."""
    pipeline = settled(measured(make(None)))
    granted(pipeline, 0.0, 1, 0, items)
    pipeline.take_messages(0.0)
    pipeline.take(0.0)
    compute(pipeline, 0.0, TINY)
    pipeline.take_messages(TINY)
    pipeline.answered([], TINY)
    assert pipeline._outbox.due(at_once=True, company=QUANTUM) is None
    return pipeline


def test_tiny_items_are_collected_for_at_most_one_quantum(make: Make) -> None:
    pipeline = reporting(make, 100)
    assert pipeline.deadline is None
    items = pipeline.take(TINY)
    assert compute(pipeline, TINY, 2 * TINY) == [W]
    since = 2 * TINY
    assert pipeline.deadline == since + QUANTUM
    running = pipeline.take(since)
    assert unwatched(pipeline).deadline == since + QUANTUM + QUANTUM, "the end of what runs should come first"
    assert pipeline.tick(since + QUANTUM / 2) == []
    assert pipeline.tick(since + QUANTUM) == [S]
    assert said(pipeline, since + QUANTUM) == [
        (m.DONE, 1, items),
        (m.STARTED, 1, running[:1]),
        (m.ASK, len(items)),
    ]
    assert pipeline.deadline is None


@pytest.mark.parametrize("since", [0.1, 0.7, 1.1, 123.456, 98765.4321])
def test_a_deadline_that_has_come_is_over_despite_rounding(make: Make, since: float) -> None:
    """(since + QUANTUM) - since may be below QUANTUM: a machine that subtracts asks to be woken for ever."""
    pipeline = reporting(make, 100)
    pipeline.take(since)
    assert compute(pipeline, since, since) == [W]
    pipeline.take(since)
    deadline = unwatched(pipeline).deadline
    assert deadline is not None
    assert pipeline.tick(deadline) == [S]


def test_tiny_items_are_reported_at_once_when_nothing_is_left_to_compute(make: Make) -> None:
    pipeline = reporting(make, 40)
    items = pipeline.take(TINY)
    assert pipeline.held == 0
    assert compute(pipeline, TINY, 2 * TINY) == [S, W]
    assert said(pipeline, 2 * TINY) == [(m.ASK, 1), (m.DONE, 1, items)]


def test_a_failure_takes_what_was_collected_along_in_order(make: Make) -> None:
    pipeline = reporting(make, 160)
    first = pipeline.take(TINY)
    compute(pipeline, TINY, TINY)
    second = pipeline.take(TINY)
    broken = second[1]
    assert compute(pipeline, TINY, TINY, **{f"i{broken}": ("error", 0.0)}) == [S, W]
    assert said(pipeline, TINY) == [
        (m.DONE, 1, (*first, second[0])),
        (m.FAILED, 1, broken, "error", 0.0),
        (m.ASK, len(first) + len(second)),
        (m.DONE, 1, second[2:]),
    ]


def test_a_fourth_call_does_not_go_too_soon_and_what_waits_goes_with_the_next_answer(make: Make) -> None:
    pipeline = settled(measured(make(3), 1.0))
    granted(pipeline, 0.0, 1, 0, 4)
    said(pipeline, 0.0)
    pipeline.take(0.0)
    assert compute(pipeline, 0.0, 1.0) == [S, W]
    said(pipeline, 1.0)
    busy(pipeline, 1.0)
    now = 1.0
    for _ in (1, 2):
        pipeline.take(now)
        assert compute(pipeline, now, now + SOON) == [W], "three calls are out"
        now += SOON
    assert pipeline.deadline == 1.0 + Caller.SPACING
    assert pipeline.answered([], now) == [S, W]
    assert said(pipeline, now) == [(m.ASK, 1), (m.ASK, 1), (m.DONE, 1, (1, 2))]
    with pytest.raises(ProtocolError, match="too soon, while 3 were unanswered"):
        pipeline.take_messages(now)


def test_over_a_long_wire_what_waits_goes_when_the_last_call_is_three_milliseconds_old(make: Make) -> None:
    pipeline = called_twice(measured(make(64), 1.0))
    granted(pipeline, 0.0, 1, 0, 65)
    now, sent = 0.0, []
    for _ in range(31):  # one call is parked
        pipeline.take(now)
        compute(pipeline, now, now + TINY)
        now += Caller.SPACING
        assert pipeline.tick(now) == [S, W]
        sent.append(said(pipeline, now)[-1])
        assert pipeline.tick(now) == [W]
    assert sent == [(m.DONE, 1, (item,)) for item in range(31)]
    assert pipeline._outbox.caller.in_flight == Caller.MOST
    pipeline.take(now)
    assert compute(pipeline, now, now + 1.0) == [W]
    assert pipeline.deadline is None, "thirty-two calls are out"
    assert pipeline.answered([], now + 1.0) == [S, W]
    assert said(pipeline, now + 1.0) == [(m.ASK, 1), (m.DONE, 1, (31,))]


def test_a_report_that_must_wait_for_a_call_is_due_when_one_may_go(make: Make) -> None:
    pipeline = settled(make(1))
    granted(pipeline, 0.0, 1, 0, 2)
    said(pipeline, 0.0)
    assert pipeline.take(0.0) == (0,)
    said(pipeline, 0.0)
    busy(pipeline, 0.0)
    assert compute(pipeline, 0.0, SOON) == [W]
    assert pipeline.deadline == Caller.SPACING
    assert pipeline.take(SOON) == (1,)
    assert pipeline.deadline == Caller.SPACING, "it is urgent"
    assert compute(pipeline, SOON, 2 * SOON) == [W]
    assert pipeline.tick(Caller.SPACING) == [S, W]
    assert said(pipeline, Caller.SPACING)[-1] == (m.DONE, 1, (0, 1))


@pytest.mark.parametrize(
    ("backlog", "spacing"), [(PLENTY, Caller.SPACING), (32, Caller.SPACING), (30, TINY / 4), (0, TINY / 4)]
)
def test_what_waits_for_a_call_waits_for_less_where_there_is_no_backlog(
    make: Make, backlog: int, spacing: float
) -> None:
    """There is one where bundles are as large as the policy says."""
    pipeline = settled(make(30))
    pipeline.lookahead.bundle, pipeline.lookahead.move = 16, 0.75 * TINY
    granted(pipeline, 0.0, 1, 0, 20, backlog=backlog)
    while pipeline._outbox.caller.may_send:
        pipeline.take_messages(0.0)
    assert pipeline._outbox.caller.free_at == pytest.approx(spacing)


def test_sums_travel_with_what_is_sent_but_not_more_often_than_four_times_a_second(make: Make) -> None:
    pipeline = settled(make(0))
    granted(pipeline, 0.0, 1, 0, 1)
    pipeline.take_messages(0.0)
    pipeline.take(0.0)
    kinds = []
    for eighth in range(1, 8):
        pipeline.answered([], eighth / 8)
        kinds.append([one[0] for one in pipeline.take_messages(eighth / 8)])
    assert kinds == [[m.STARTED], [m.TOTALS], [], [m.TOTALS], [], [m.TOTALS], []]


def test_sums_and_spans_travel_with_a_report_that_may_be_the_last(make: Make) -> None:
    pipeline = settled(make(0))
    granted(pipeline, 0.0, 1, 0, 1)
    pipeline.take_messages(0.0)
    pipeline.take(0.0)
    compute(pipeline, 0.0, 0.125)
    assert [one[0] for one in pipeline.take_messages(0.125)] == [m.TRACE, m.TOTALS, m.STARTED, m.ASK, m.DONE]


def test_spans_travel_when_they_are_many(make: Make) -> None:
    pipeline = settled(make(0))
    granted(pipeline, 0.0, 1, 0, 1)
    pipeline.take_messages(0.0)
    pipeline.take(0.0)
    for _ in range(2048):
        pipeline.recorder.add("process", 0.0, 0.0)
    pipeline.answered([], 0.0)
    trace, _ = pipeline.take_messages(0.0)
    assert (trace[0], len(trace[1])) == (m.TRACE, 2049)
    assert len(pipeline.recorder) == 0


# Recall, stop, goodbye


def test_a_recall_takes_what_is_unstarted_of_that_lease_only(make: Make) -> None:
    pipeline = settled(make(3))
    pipeline.answered(
        [
            (m.GRANT, 1, 0, [None] * 2, 0.0, "source", PLENTY),
            (m.GRANT, 2, 7, [None] * 2, 0.0, "source", PLENTY),
        ],
        0.0,
    )
    said(pipeline, 0.0)
    pipeline.take(0.0)
    pipeline.tick(0.0)
    said(pipeline, 0.0)
    assert pipeline.answered([(m.WITHDRAW, 1), (m.WITHDRAW, 99)], 0.5) == [Discard(1, loaded=False), S]
    assert said(pipeline, 0.5) == [(m.GAVE_BACK, 1, (1,)), (m.ASK, 1)]
    compute(pipeline, 0.0, 1.0)
    assert pipeline.take(1.0) == (7,)


def test_stop_gives_back_what_is_unstarted_and_finishes_what_runs(make: Make) -> None:
    pipeline = settled(make(2, stores=True))
    granted(pipeline, 0.0, 1, 0, 3)
    said(pipeline, 0.0)
    pipeline.take(0.0)
    assert pipeline.answered([(m.STOP,)], 0.5) == [Discard(1, False), Discard(2, False), S]
    assert said(pipeline, 0.5) == [(m.STARTED, 1, (0,)), (m.GAVE_BACK, 1, (1, 2))]
    pipeline.answered([], 0.5)
    said(pipeline, 0.5)
    assert compute(pipeline, 0.0, 1.0) == [Store(0), W]
    assert pipeline.take(1.0) == ()
    assert pipeline.stored(0, 2.0) == [S, W]
    messages = pipeline.take_messages(2.0)
    assert [one[0] for one in messages] == [m.TRACE, m.TOTALS, m.DONE, m.BYE]
    assert messages[2] == (m.DONE, 1, (0,))
    assert pipeline.phase is Phase.GONE
    assert pipeline.deadline is None
    assert pipeline.answered([], 3.0) == [], "it calls no more"
    assert pipeline.take(3.0) == ()


def test_stop_waits_for_the_load_that_was_withdrawn(make: Make) -> None:
    pipeline = settled(make(0, loads=True))
    granted(pipeline, 0.0, 1, 0, 1)
    said(pipeline, 0.0)
    assert pipeline.answered([(m.STOP,)], 1.0) == [S, W]
    assert said(pipeline, 1.0) == [(m.GAVE_BACK, 1, (0,))]
    assert pipeline.phase is Phase.STOPPING
    assert pipeline.loaded(0, 2.0) == [Discard(0, loaded=True), *pipeline._after(2.0)]
    assert said(pipeline, 2.0) == [(m.BYE,)]


def test_the_goodbye_waits_for_a_call_that_may_go_out(make: Make) -> None:
    pipeline = settled(make(1))
    granted(pipeline, 0.0, 1, 0, 1)
    said(pipeline, 0.0)
    pipeline.take(0.0)
    pipeline.answered([(m.STOP,)], 0.0)
    said(pipeline, 0.0)
    busy(pipeline, 0.0)
    assert compute(pipeline, 0.0, SOON) == [W]
    assert pipeline.deadline == Caller.SPACING
    assert pipeline.answered([], SOON) == [S, W]
    assert said(pipeline, SOON) == [(m.DONE, 1, (0,)), (m.BYE,)]


def test_what_is_granted_after_the_stop_is_given_back(make: Make) -> None:
    pipeline = settled(make(1))
    stop: Message = (m.STOP,)
    grant: Message = (m.GRANT, 1, 0, [None] * 2, 0.0, "source", PLENTY)
    assert pipeline.answered([stop, grant], 0.0) == [Discard(0, False), Discard(1, False), S, W]
    assert said(pipeline, 0.0) == [(m.GAVE_BACK, 1, (0, 1)), (m.BYE,)]


def test_an_idle_worker_says_goodbye_at_once(make: Make) -> None:
    pipeline = settled(make(1))
    assert pipeline.answered([(m.STOP,)], 4.0) == [S, W]
    assert said(pipeline, 4.0) == [(m.BYE,)]
    assert pipeline.meter.totals.tail == 4.0


def test_an_ask_that_waits_for_a_free_call_is_recorded_as_a_part_of_its_fetch(make: Make) -> None:
    pipeline = settled(make(0))
    granted(pipeline, 1.0, 1, 0, 1)
    pipeline.take(1.0)
    said(pipeline, 1.0)
    busy(pipeline, 2.0)
    assert compute(pipeline, 1.0, 2.0) == [W]
    assert pipeline.answered([], 2.002) == [S, W]
    assert said(pipeline, 2.002) == [(m.ASK, 1), (m.DONE, 1, (0,))]
    granted(pipeline, 4.0, 2, 1, 1)
    spans = [span for span in pipeline.recorder.take() if span.kind in {trace.FETCH, trace.ASK}]
    assert spans == [Span(trace.FETCH, 2.0, 4.0, 1), Span(trace.ASK, 2.0, 2.002, 1)]


def test_nothing_follows_from_the_answer_to_a_goodbye(make: Make) -> None:
    """The queue answers whoever has gone with a stop: taken up, each would be answered with another one."""
    pipeline = settled(make(1))
    pipeline.answered([(m.STOP,)], 4.0)
    said(pipeline, 4.0)
    assert pipeline.answered([(m.STOP,)], 5.0) == []
    assert pipeline.phase is Phase.GONE


def test_an_unknown_message_is_a_bug(make: Make) -> None:
    pipeline = settled(make(1))
    with pytest.raises(ProtocolError, match="of kind 'hello'"):
        pipeline.answered([("hello",)], 0.0)


# Where the time went


def test_waiting_for_the_source_and_for_the_fetch_are_told_apart(make: Make) -> None:
    pipeline = settled(make(0))
    granted(pipeline, 4.0, 1, 0, 1, waited=3.0, cause="consumer")
    pipeline.take(4.5)
    assert pipeline.meter.totals.stalls == {"consumer": 3.0, "fetch": 1.5}
    assert [span for span in pipeline.recorder._spans if span.kind == "stall"] == [
        Span("stall", 0.0, 3.0, detail="consumer"),
        Span("stall", 3.0, 4.0, detail="fetch"),
        Span("stall", 4.0, 4.5, detail="fetch"),
    ]


def test_a_fetch_behind_compute_is_hidden_and_one_that_is_waited_for_exposed(make: Make) -> None:
    pipeline = settled(make(1))
    granted(pipeline, 1.0, 1, 0, 2)  # asked at 0: one second, exposed
    said(pipeline, 1.0)
    pipeline.take(1.0)
    compute(pipeline, 1.0, 2.0)
    said(pipeline, 2.0)  # asks at 2
    pipeline.take(2.0)
    granted(pipeline, 3.0, 2, 2, 1)  # one second, hidden
    totals = pipeline.meter.totals
    assert (totals.communication, totals.hidden, totals.exposed) == (2.0, 1.0, 1.0)
    assert totals.stalls == {"fetch": 1.0}
    assert (totals.useful, totals.fetches) == (1.0, 2)


def test_waiting_for_a_load_is_a_stall_of_that_name(make: Make) -> None:
    pipeline = settled(make(0, loads=True))
    granted(pipeline, 1.0, 1, 0, 1)
    pipeline.loaded(0, 3.0)
    pipeline.take(3.25)
    totals = pipeline.meter.totals
    assert totals.stalls == {"fetch": 1.0, "load": 2.25}
    assert (totals.communication, totals.hidden, totals.exposed) == (3.0, 0.0, 3.0)


def test_a_grant_that_comes_while_a_load_is_waited_for_is_not_what_was_waited_for(make: Make) -> None:
    pipeline = settled(make(1, loads=True))
    granted(pipeline, 1.0, 1, 0, 1)
    pipeline.take_messages(1.0)
    granted(pipeline, 2.0, 2, 1, 1, waited=1.0)
    pipeline.loaded(0, 3.0)
    pipeline.take(3.0)
    assert pipeline.meter.totals.stalls == {"fetch": 1.0, "load": 2.0}


def test_a_store_that_ends_while_a_fetch_is_waited_for_is_not_what_was_waited_for(make: Make) -> None:
    pipeline = settled(make(0, stores=True))
    granted(pipeline, 0.0, 1, 0, 1)
    said(pipeline, 0.0)
    pipeline.take(0.0)
    compute(pipeline, 0.0, 1.0)
    said(pipeline, 1.0)
    pipeline.take(1.0)
    pipeline.stored(0, 2.0)
    pipeline.answered([], 2.0)
    said(pipeline, 2.0)
    granted(pipeline, 5.0, 2, 1, 1, waited=3.5)
    pipeline.take(5.0)
    assert pipeline.meter.totals.stalls == {"source": 3.5, "fetch": 0.5}


def test_waiting_for_a_fuller_batch_is_a_stall_of_that_name(make: Make) -> None:
    pipeline = settled(make(0, batch_size=4, batch_wait=8.0))
    granted(pipeline, 1.0, 1, 0, 1)
    said(pipeline, 1.0)
    pipeline.take(1.0)
    granted(pipeline, 3.0, 2, 1, 1, waited=2.0)
    pipeline.take(9.0)
    assert pipeline.meter.totals.stalls == {"fetch": 1.0, "batch": 8.0}


def test_the_wait_at_the_end_is_no_stall(make: Make) -> None:
    pipeline = settled(make(0))
    granted(pipeline, 0.0, 1, 0, 1)
    said(pipeline, 0.0)
    pipeline.take(0.0)
    compute(pipeline, 0.0, 1.0)
    said(pipeline, 1.0)
    pipeline.take(1.0)
    pipeline.answered([(m.CLOSED, 2.0, "source")], 4.0)  # it waited two seconds for items that never came
    said(pipeline, 4.0)
    pipeline.answered([(m.STOP,)], 7.0)
    said(pipeline, 7.0)
    totals = pipeline.meter.totals
    assert (totals.stalls, totals.tail, totals.useful, totals.ended) == ({"source": 2.0}, 4.0, 1.0, 7.0)


def test_a_pause_between_two_runs_is_no_stall(make: Make) -> None:
    pipeline = settled(make(0))
    pipeline.answered([(m.CLOSED, 0.0, "source")], 1.0)
    said(pipeline, 1.0)
    granted(pipeline, 100.0, 1, 0, 1, waited=98.5)
    pipeline.take(100.0)
    totals = pipeline.meter.totals
    assert (totals.stalls, totals.tail) == ({"fetch": 0.5}, 99.5)


def test_waiting_for_a_load_is_a_stall_even_when_nothing_is_left_elsewhere(make: Make) -> None:
    pipeline = settled(make(0, loads=True))
    pipeline.answered([(m.GRANT, 1, 0, [None], 0.0, "source", PLENTY), (m.CLOSED, 0.0, "source")], 1.0)
    pipeline.loaded(0, 5.0)
    pipeline.take(5.0)
    totals = pipeline.meter.totals
    assert (totals.stalls, totals.tail) == ({"fetch": 1.0, "load": 4.0}, 0.0)


def test_the_first_wait_does_not_deepen_the_lookahead(make: Make) -> None:
    """Nothing could have been asked for earlier: with hour-long items, one too many would be hoarded."""
    pipeline = settled(make(None, loads=True))
    granted(pipeline, 1.0, 1, 0, 2)
    pipeline.loaded(0, 2.0)
    assert pipeline.lookahead.depth == 1


@pytest.mark.parametrize(("waited", "depth"), [(0.0, 5), (0.25, 1)])
def test_only_a_stall_that_an_earlier_ask_would_have_prevented_deepens_the_lookahead(
    make: Make, waited: float, depth: int
) -> None:
    """What waited at the queue did not exist yet: it would have come no earlier."""
    pipeline = settled(make(None))
    for _ in range(128):  # so many that the next ones are not looked at one by one
        pipeline.lookahead.fetched(0.5)
        pipeline.lookahead.computed(1.0, 1)
    pipeline.lookahead._review()
    for _ in range(3):
        pipeline.lookahead.fetched(4.0)
    granted(pipeline, 0.0, 1, 0, 2)
    said(pipeline, 0.0)
    for item in (0, 1):
        assert pipeline.take(item) == (item,)
        compute(pipeline, item, item + 1)
        pipeline.take_messages(item + 1)
        pipeline.answered([], item + 1)
    assert pipeline.take(2.0) == ()
    assert pipeline.lookahead.depth == 1
    granted(pipeline, 6.0, 2, 2, 1, waited=waited)
    assert pipeline.lookahead.depth == depth
    assert (pipeline.lookahead.reason == "1 → 5: a stall: lately fetch 4 s, work 1 s") == (depth == 5)


def test_what_runs_is_looked_after_when_it_will_have_lasted_long(make: Make) -> None:
    pipeline = settled(make(1, gives_back=True))
    granted(pipeline, 1.0, 1, 0, 2)
    said(pipeline, 1.0)
    assert pipeline.take(1.0) == (0,)
    assert pipeline.deadline == AT_ONCE, "what is due comes first"
    assert pipeline.tick(1.0) == [S]
    said(pipeline, 1.0)
    assert pipeline.deadline == 1.0 + 2 * 1.0, "the fetch took a second"
    assert compute(pipeline, 1.0, 1.25) == [S, W]
    said(pipeline, 1.25)
    assert pipeline.deadline is None, "nothing runs"


def test_a_turn_says_in_one_message_what_ended_and_what_began(make: Make) -> None:
    pipeline = settled(make(2))
    granted(pipeline, 0.0, 1, 0, 2)
    said(pipeline, 0.0)
    pipeline.take(0.0)
    said(pipeline, 0.0)
    pipeline.answered([], 0.5)
    items, effects = pipeline.turn(0.0, 1.0, 1.0, 1.0)
    assert (items, effects) == ((1,), [S])
    assert said(pipeline, 1.0) == [(m.ASK, 1), (m.DONE, 1, (0,)), (m.STARTED, 1, (1,))]


def test_what_waits_for_a_free_call_alone_goes_as_soon_as_there_is_one(make: Make) -> None:
    """What is urgent does not wait for the end of what runs, as results do."""
    pipeline = called_twice(make(4))
    granted(pipeline, 1.0, 1, 0, 5)
    pipeline.take(1.0)
    said(pipeline, 1.0)
    while pipeline._outbox.caller.may_send:
        pipeline._outbox.caller.called(1.0)
    pipeline.answered([(m.RECALL, 1)], 1.0)
    while pipeline._outbox.caller.may_send:
        pipeline._outbox.caller.called(1.0)
    assert pipeline.deadline == pytest.approx(1.0 + Caller.SPACING)


def test_the_oldest_is_loaded_first_and_the_youngest_is_recalled(make: Make) -> None:
    pipeline = settled(make(8, loads=True, load_concurrency=1))
    granted(pipeline, 1.0, 1, 10, 4)
    said(pipeline, 1.0)
    granted(pipeline, 1.0, 2, 3, 1)
    said(pipeline, 1.0)
    assert pipeline._held() == [10, 3, 11, 12, 13], "the load of 10 had begun"
    assert Load(3) in pipeline.loaded(10, 1.0)
    said(pipeline, 1.0)
    pipeline.answered([(m.RECALL, 1)], 1.0)
    assert pipeline._held() == [10, 3, 11, 12]
