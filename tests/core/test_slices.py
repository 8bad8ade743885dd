"""Slices: small items are taken together, begin one after another, and can be cut between two of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pullahead.core import messages as m
from pullahead.core.lookahead import Lookahead
from pullahead.core.messages import Message
from pullahead.core.meter import Meter
from pullahead.core.pipeline import Discard, Effect, Phase, Pipeline, Send, Store, Wake
from pullahead.core.slices import MAX_SLICE, Slice, slice_size, stretches
from pullahead.core.trace import PROCESS, Recorder, Span

S, W = Send(), Wake()
PLENTY = 1 << 20  # items that are ready for each worker
MS = 2.0**-10
ITEM = MS / 4  # 8 in a slice of 2 ms
FETCH = 4 * MS
PATIENCE = 2 * (ITEM + FETCH)  # with one item
LOOK = PATIENCE + 2 * 7 * ITEM  # with a slice of eight, if there is a backlog

Make = Callable[..., Pipeline]


# What two threads share


def state(taken: Slice) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    return taken.size, taken.open, taken.begun


def test_the_main_thread_begins_from_the_left_and_a_cut_takes_from_the_right() -> None:
    taken = Slice((3, 4, 5, 6), 0.0, whole=False)
    assert state(taken) == (4, (3, 4, 5, 6), (3,)), "the first one begins at once"
    assert taken.waiting.popleft() == 4
    assert taken.cut(1) == [6]
    assert state(taken) == (3, (3, 4, 5), (3, 4))
    assert taken.cut(9) == [5]
    assert not taken.waiting
    assert state(taken) == (2, (3, 4), (3, 4))


def test_a_cut_that_comes_too_late_gets_nothing() -> None:
    taken = Slice((3, 4), 0.0, whole=False)
    taken.waiting.popleft()
    assert taken.cut(9) == []
    assert taken.open == (3, 4)


def test_finished_is_what_began_before_the_last_one_that_began() -> None:
    taken = Slice((3, 4, 5, 6), 0.0, whole=False)
    assert taken.finished() == ()
    taken.waiting.popleft()
    taken.waiting.popleft()
    assert [taken.finished(), taken.finished()] == [(3, 4), ()], "once"
    assert state(taken) == (4, (5, 6), (5,))
    taken.cut(9)
    assert state(taken) == (3, (5,), (5,))


@pytest.mark.parametrize(
    ("items", "found"),
    [
        ((), []),
        ((7,), [(7, 1)]),
        ((3, 4, 5), [(3, 3)]),
        ((3, 5, 6, 9, 2), [(3, 1), (5, 2), (9, 1), (2, 1)]),
    ],
)
def test_stretches_are_consecutive_items(items: tuple[int, ...], found: list[tuple[int, int]]) -> None:
    assert stretches(items) == found


def test_what_was_computed_together_is_recorded_item_by_item_where_it_is_not_consecutive(make: Make) -> None:
    """Each with its share of the time, so that a replay finds every item once."""
    pipeline = make()
    pipeline.recorder = Recorder(True)
    pipeline.running = Slice((0, 1, 2, 4, 6, 7), 0.0, whole=False)
    pipeline.processed(0.0, 6 * MS, 0.0, 6 * MS)
    spans = [span for span in pipeline.recorder.take() if span.kind == PROCESS]
    assert [(span.item, span.size) for span in spans] == [(0, 3), (4, 1), (6, 2)]
    assert [span.start for span in spans] == pytest.approx([0.0, 3 * MS, 4 * MS])
    assert [span.end for span in spans] == pytest.approx([3 * MS, 4 * MS, 6 * MS])
    pipeline._holdings.put((3, 5))  # these were not in it


def test_a_batch_is_one_call() -> None:
    taken = Slice((3, 4), 0.0, whole=True)
    assert (taken.cut(9), taken.finished(), taken.open, taken.begun) == ([], (), (3, 4), (3, 4))


def test_a_slice_is_two_milliseconds_of_items() -> None:
    assert [slice_size(seconds) for seconds in (0.0, 3.0, 0.0005, 1e-9)] == [1, 1, 4, MAX_SLICE]


@pytest.mark.parametrize("most", [1, 7, MAX_SLICE])
def test_two_threads_never_get_the_same_item(most: int) -> None:
    for _ in range(50):
        items = tuple(range(MAX_SLICE))
        taken = Slice(items, 0.0, whole=False)
        begun, cut = [0], list[int]()

        def work_off(waiting: Any = taken.waiting, begun: list[int] = begun) -> None:
            while waiting:
                try:
                    begun.append(waiting.popleft())
                except IndexError:
                    return

        thread = threading.Thread(target=work_off)
        thread.start()
        while len(taken.begun) < taken.size:
            cut += taken.cut(most)
        thread.join()
        assert (*begun, *reversed(cut)) == items
        assert taken.open == tuple(begun)


# The worker's machine


@pytest.fixture
def make() -> Iterator[Make]:
    """Builds pipelines with a slice of eight items (0 to 7) in hand and two more (8 and 9) in the buffer."""
    made: list[Pipeline] = []

    def build(batch_size: int = 0, lookahead: int = 40, **options: Any) -> Pipeline:
        pipeline = Pipeline(
            Lookahead(lookahead, batch=batch_size or 1),
            Meter(0, 0.0),
            Recorder(),
            batch_size=batch_size,
            **options,
        )
        made.append(pipeline)
        for number in range(40):
            # Most fetches take no time: so what is recalled is elsewhere at once.
            pipeline.lookahead.fetched(0.0 if number % 10 else FETCH)
            pipeline.lookahead.computed(ITEM, 1)
        pipeline.began(0.0)
        pipeline.take_messages(0.0)
        pipeline._demand.asks.made(4, 0.0)
        given(pipeline, 0.0, 1, 0, 6, (m.GRANT, 2, 6, [None] * 4, 0.0, "source", PLENTY))
        for item in range(10) if options.get("loads") else ():
            pipeline.loaded(item, 0.0)
        said(pipeline, 0.0)
        assert pipeline.take(0.0) == tuple(range(batch_size or 8))
        pipeline.tick(0.0)
        said(pipeline, 0.0)
        pipeline.answered([], 0.0)
        return pipeline

    yield build
    for pipeline in made:
        pipeline.validate()


def given(
    pipeline: Pipeline, now: float, lease: int, first: int, count: int, *more: Message, backlog: int = PLENTY
) -> list[Effect]:
    """Grant items beyond what was asked for: as much is still to come, so that none is asked for anew."""
    pipeline._demand.asks.made(count, now)
    pipeline._demand.asks.paused()
    grant = (m.GRANT, lease, first, [None] * count, 0.0, "source", backlog)
    return pipeline.answered([grant, *more], now)


def said(pipeline: Pipeline, now: float) -> list[Message]:
    """Perform a `Send`: what goes out, less the running sums and the trace."""
    if not pipeline._outbox.caller.may_send:
        return []
    return [one for one in pipeline.take_messages(now) if one[0] not in {m.TOTALS, m.TRACE}]


def running(pipeline: Pipeline) -> Slice:
    assert pipeline.running is not None
    return pipeline.running


def begin(pipeline: Pipeline, item: int, now: float) -> None:
    """The main thread begins the items up to this one."""
    while running(pipeline).waiting.popleft() != item:
        pass
    running(pipeline).since = now


def finish(pipeline: Pipeline, item: int, now: float) -> None:
    """It has computed those before this one, which it begins."""
    ran = running(pipeline)
    while ran.open[-1 - len(ran.waiting)] != item:
        ran.times.append((ran.since, now))
        ran.waiting.popleft()
        ran.since = now


def discarded(*items: int, loaded: bool = False) -> list[Effect]:
    return [Discard(item, loaded) for item in items]


def test_a_recall_takes_from_the_buffer_first(make: Make) -> None:
    pipeline = make()
    assert pipeline.answered([(m.RECALL, 2)], MS) == [*discarded(8, 9), S]
    assert running(pipeline).size == 8
    assert said(pipeline, MS) == [(m.GAVE_BACK, 2, (8, 9)), (m.RECALLED, 2)]


def test_then_it_cuts_the_slice(make: Make) -> None:
    pipeline = make()
    begin(pipeline, 2, MS)
    assert pipeline.answered([(m.RECALL, 5)], MS) == [*discarded(5, 6, 7, 8, 9), S]
    assert list(running(pipeline).waiting) == [3, 4]
    assert said(pipeline, MS) == [
        (m.DONE, 1, (0, 1)),
        (m.GAVE_BACK, 1, (5,)),
        (m.GAVE_BACK, 2, (6, 7, 8, 9)),
        (m.RECALLED, 5),
    ]


def test_what_has_begun_is_nobody_s_to_recall(make: Make) -> None:
    pipeline = make()
    begin(pipeline, 7, MS)
    assert pipeline.answered([(m.RECALL, 9)], MS) == [*discarded(8, 9), S]
    said(pipeline, MS)
    assert pipeline.answered([(m.RECALL, 9)], MS) == [S]
    assert said(pipeline, MS)[-1] == (m.RECALLED, 0)
    assert running(pipeline).open == (7,)


def test_what_was_cut_counts_neither_as_computed_nor_in_its_seconds(make: Make) -> None:
    pipeline = make()
    begin(pipeline, 1, MS)
    pipeline.answered([(m.RECALL, 7)], MS)
    pipeline.processed(0.0, 3 * MS, MS, 3 * MS)
    assert (pipeline.meter.totals.items, pipeline.meter.totals.useful) == (3, 3 * MS)
    assert pipeline.lookahead._computes[-1] == MS, "three items ran"
    assert Span(PROCESS, 0.0, 3 * MS, 0, 3) in pipeline.recorder._spans
    assert running_and_held(pipeline) == ((), 0)


def running_and_held(pipeline: Pipeline) -> tuple[tuple[int, ...], int]:
    return pipeline.running.open if pipeline.running else (), pipeline.held


def test_a_slice_that_lasts_long_is_cut_and_what_it_has_finished_is_reported(make: Make) -> None:
    """No item of it has lasted long by itself: nothing is given back."""
    pipeline = make()
    assert pipeline.deadline == LOOK
    begin(pipeline, 4, LOOK - MS)
    running(pipeline).failures[2] = "error", 0.0
    assert pipeline.tick(LOOK - MS / 8) == []
    assert pipeline.tick(LOOK) == [S]
    assert said(pipeline, LOOK) == [
        (m.DONE, 1, (0, 1)),
        (m.FAILED, 1, 2, "error", 0.0),
        (m.DONE, 1, (3,)),
    ]
    assert running_and_held(pipeline) == ((4,), 5)
    pipeline.processed(0.0, 16 * MS, MS, 16 * MS)
    assert pipeline.meter.totals.items == 5
    assert pipeline.take(16 * MS) == (5, 6, 7, 8, 9), "they have kept their place"


def test_nobody_waits_behind_an_item_of_a_slice_that_lasts_long(make: Make) -> None:
    pipeline = make()
    began = 8 * MS
    begin(pipeline, 4, began)
    assert pipeline.tick(LOOK) == [S], "the slice has lasted long"
    said(pipeline, LOOK)
    pipeline.answered([], LOOK)
    assert pipeline.deadline == began + PATIENCE, "and this is when its item will have lasted long"
    assert pipeline.tick(began + PATIENCE) == [*discarded(5, 6, 7, 8, 9), S]
    assert said(pipeline, began + PATIENCE) == [
        (m.STUCK,),
        (m.GAVE_BACK, 1, (5,)),
        (m.GAVE_BACK, 2, (6, 7, 8, 9)),
    ]
    assert running_and_held(pipeline) == ((4,), 0)


def test_both_at_once_when_the_first_item_lasts_long(make: Make) -> None:
    pipeline = make()
    assert pipeline.tick(LOOK) == [*discarded(1, 2, 3, 4, 5, 6, 7, 8, 9), S]
    assert said(pipeline, LOOK) == [
        (m.STUCK,),
        (m.GAVE_BACK, 1, (1, 2, 3, 4, 5)),
        (m.GAVE_BACK, 2, (6, 7, 8, 9)),
    ]


def emptied(pipeline: Pipeline, began: float, *messages: Message) -> Pipeline:
    """Recall what is in the buffer, and let the last item of the slice begin."""
    pipeline.answered([(m.RECALL, 2), *messages], 0.0)
    said(pipeline, 0.0)
    pipeline.answered([], 0.0)
    begin(pipeline, 7, began)
    return pipeline


def test_results_do_not_wait_for_the_last_item_of_a_slice_even_if_nothing_else_does(make: Make) -> None:
    pipeline = emptied(make(lookahead=0), 5 * MS, (m.UNASKED, 1))
    assert (pipeline.held, pipeline.asked) == (0, 0)
    assert pipeline.tick(LOOK) == [S]
    assert said(pipeline, LOOK) == [(m.DONE, 1, (0, 1, 2, 3, 4, 5)), (m.DONE, 2, (6,))]
    assert pipeline.deadline == 5 * MS + PATIENCE
    assert pipeline.tick(5 * MS + PATIENCE) == [], "nothing is here and nothing will come: nobody waits"
    assert pipeline.deadline is None
    assert pipeline.tick(20 * MS) == []


def test_asks_are_taken_back_behind_the_last_item_of_a_slice(make: Make) -> None:
    """Nothing is held, but what was asked for would wait here."""
    pipeline = emptied(make(), 5 * MS)
    assert (pipeline.held, pipeline.asked) == (0, 41)
    assert pipeline.tick(LOOK) == [S]
    assert [one[0] for one in said(pipeline, LOOK)] == [m.DONE, m.DONE]
    now = 5 * MS + PATIENCE
    assert pipeline.tick(now) == [S]
    assert said(pipeline, now) == [(m.STUCK,)]
    again = now + (PATIENCE + FETCH) / 3
    assert pipeline.deadline == pytest.approx(again)
    pipeline.answered([], now)
    assert pipeline.answered([(m.UNASKED, 41)], now) == [S], "one call is always out"
    assert said(pipeline, now) == []
    assert pipeline.tick(again) == [S]
    assert said(pipeline, again) == [(m.ASK, 40)]
    assert pipeline.deadline == pytest.approx(5 * MS + 1.25 * (again - 5 * MS)), "it is looked at again"


def test_an_item_that_began_later_than_its_slice_was_cut_is_given_its_time(make: Make) -> None:
    """A recall leaves only the item that runs: how long the slice took says nothing about it."""
    pipeline = make()
    begin(pipeline, 4, 8 * MS)
    pipeline.answered([(m.RECALL, 5)], 8 * MS)
    said(pipeline, 8 * MS)
    pipeline.answered([], 8 * MS)
    pipeline.tick(LOOK)
    assert m.STUCK not in [one[0] for one in said(pipeline, LOOK)]
    assert pipeline.deadline == 8 * MS + PATIENCE


@pytest.mark.parametrize(
    ("bundle", "backlog", "least", "times"),
    [(1, PLENTY, 0.002, 2), (64, 128, 0.002, 2), (64, 126, 0.00005, 1)],
)
def test_with_a_backlog_nothing_lasts_for_too_long_before_two_milliseconds(
    make: Make, bundle: int, backlog: int, least: float, times: int
) -> None:
    """Moving an item takes some of them. Without one, nobody computes less because of it."""
    pipeline = make()
    for _ in range(200):  # so many that no other fetch is remembered
        pipeline.lookahead.fetched(0.0)
    pipeline.processed(0.0, 8 * ITEM, MS, 2 * MS)
    for _ in range(200):
        pipeline.lookahead.computed(ITEM / 64, 1)
    pipeline.lookahead.bundle = bundle
    given(pipeline, 2 * MS, 3, 10, 1, backlog=backlog)
    assert pipeline.take(2 * MS) == (8, 9, 10)
    assert pipeline._patience.ends_at == pytest.approx(2 * MS + least + times * 2 * ITEM / 64)


def test_what_is_cut_takes_its_place_by_age(make: Make) -> None:
    """Between what has come back and is older, and what is younger."""
    pipeline = make()
    given(pipeline, MS, 3, 20, 10)
    assert pipeline.turn(0.0, MS, MS, MS)[0] == (8, 9, 20, 21, 22, 23, 24, 25)
    said(pipeline, MS)
    given(pipeline, MS, 4, 10, 2)
    assert list(running(pipeline).waiting) == [9, 10, 11, *range(20, 30)]
    begin(pipeline, 9, MS + LOOK)
    pipeline._cut(MS + LOOK)
    said(pipeline, MS + LOOK)
    assert running_and_held(pipeline) == ((9,), 12)
    now = 2 * MS + LOOK
    assert pipeline.turn(MS, now, MS, now)[0] == (10, 11, 20, 21, 22, 23, 24, 25)


@pytest.mark.parametrize(("backlog", "size"), [(0, 6), (13, 6), (14, 7), (16, 8), (1000, 8)])
def test_a_slice_is_half_of_what_is_there_for_each_worker_or_of_what_is_here(
    make: Make, backlog: int, size: int
) -> None:
    """A result waits for half of what is in hand. Two and ten are here, and eight make a slice."""
    pipeline = make()
    given(pipeline, MS, 3, 10, 10, backlog=backlog)
    assert pipeline.turn(0.0, MS, MS, MS)[0] == tuple(range(8, 8 + size))
    said(pipeline, MS)


@pytest.mark.parametrize(("mean", "size"), [(MS / 1024, 6), (MS / 16, 3), (MS / 50, 5)])
def test_what_takes_no_longer_than_to_hand_it_out_comes_together(make: Make, mean: float, size: int) -> None:
    """However little is ready for each worker: a tenth of a millisecond of work."""
    pipeline = make(lookahead=200)
    for _ in range(200):
        pipeline.lookahead.computed(mean, 1)
    pipeline.lookahead._since_review = 0
    given(pipeline, MS, 3, 10, 4, backlog=0)
    pipeline.turn(0.0, 2 * MS, MS, 2 * MS)
    assert len(running(pipeline).items) == size


@pytest.mark.parametrize(("backlog", "bundle"), [(0, 1), (3, 1), (16, 8), (PLENTY, 64)])
def test_a_bundle_is_half_of_what_is_there_for_each_worker(make: Make, backlog: int, bundle: int) -> None:
    pipeline = make()
    pipeline.lookahead.bundle = 64
    given(pipeline, MS, 3, 10, 1, (m.UNASKED, 41), backlog=backlog)
    assert said(pipeline, MS) == [(m.ASK, 40 + bundle - 1 - 3)], "three are here"
    assert pipeline.turn(0.0, 2 * MS, MS, 2 * MS)[0] == (8, 9, 10)[: max(1, min(3, backlog // 2))]
    said(pipeline, 2 * MS)


def test_less_than_a_bundle_is_asked_for_with_what_goes_anyway(make: Make) -> None:
    """By itself it is no reason to go."""
    pipeline = make()
    pipeline.lookahead.bundle = 64
    given(pipeline, MS, 3, 10, 1, (m.UNASKED, 41))
    assert said(pipeline, MS) == [(m.ASK, 100)]
    pipeline.answered([(m.RECALL, 0)], MS)
    said(pipeline, MS)
    pipeline.take_messages(MS)  # one call stays out
    assert pipeline.turn(0.0, 2 * MS, MS, 2 * MS) == ((8, 9, 10), [])
    assert pipeline.asked == 100
    assert pipeline.answered([(m.RECALL, 0)], 2 * MS) == [S]
    assert said(pipeline, 2 * MS) == [
        (m.DONE, 1, (0, 1, 2, 3, 4, 5)),
        (m.DONE, 2, (6, 7)),
        (m.STARTED, 2, (8,)),
        (m.RECALLED, 0),
        (m.ASK, 3),
    ]


def test_results_that_a_cut_slice_has_finished_are_stored(make: Make) -> None:
    pipeline = make(stores=True)
    begin(pipeline, 2, MS)
    running(pipeline).failures[0] = "reject", 0.0
    assert pipeline.answered([(m.RECALL, 3)], MS) == [Store(1), *discarded(7, 8, 9), S]
    assert (m.FAILED, 1, 0, "reject", 0.0) in said(pipeline, MS)
    begin(pipeline, 6, MS)
    stores = [Store(item) for item in (2, 3, 4, 5, 6)]
    assert pipeline.processed(0.0, MS, MS, MS)[: len(stores)] == stores


def test_what_was_loaded_for_a_slice_is_discarded_when_it_is_cut(make: Make) -> None:
    pipeline = make(loads=True)
    assert pipeline.answered([(m.RECALL, 3)], MS)[:3] == discarded(7, 8, 9, loaded=True)


def test_of_a_cancelled_run_a_slice_keeps_what_has_begun_and_the_buffer_what_is_another_run_s(
    make: Make,
) -> None:
    pipeline = make()
    begin(pipeline, 2, MS)
    assert pipeline.answered([(m.WITHDRAW, 1)], MS) == [*discarded(3, 4, 5), S]
    assert said(pipeline, MS) == [(m.DONE, 1, (0, 1)), (m.GAVE_BACK, 1, (3, 4, 5))]
    pipeline.processed(0.0, MS, MS, MS)
    assert pipeline.take(MS) == (6, 7, 8, 9)


def test_a_slice_with_nothing_of_the_cancelled_run_is_left_alone(make: Make) -> None:
    pipeline = make()
    given(pipeline, MS, 3, 90, 1, (m.WITHDRAW, 3))
    assert running(pipeline).items == tuple(range(10)), "two were put behind it"
    assert (m.GAVE_BACK, 3, (90,)) in said(pipeline, MS)


def test_stop_cuts(make: Make) -> None:
    pipeline = make()
    begin(pipeline, 2, MS)
    assert pipeline.answered([(m.STOP,)], MS) == [*discarded(3, 4, 5, 6, 7, 8, 9), S]
    assert said(pipeline, MS) == [
        (m.DONE, 1, (0, 1)),
        (m.GAVE_BACK, 1, (3, 4, 5)),
        (m.GAVE_BACK, 2, (6, 7, 8, 9)),
    ]
    pipeline.answered([], MS)
    assert pipeline.processed(0.0, MS, MS, MS) == [S, W]
    assert said(pipeline, MS) == [(m.DONE, 1, (2,)), (m.BYE,)]
    assert pipeline.phase is Phase.GONE


def test_what_waits_in_a_slice_has_not_started(make: Make) -> None:
    """A worker that is lost is charged for what was said to have started."""
    pipeline = make()
    assert [one for one in pipeline._outbox._messages if one[0] == m.STARTED] == []
    assert pipeline.turn(0.0, MS, MS, MS)[0] == (8, 9)
    assert said(pipeline, MS)[-1] == (m.STARTED, 2, (8,))
    pipeline.processed(MS, MS, MS, MS)


@pytest.mark.parametrize("message", [(m.RECALL, 9), (m.WITHDRAW, 1), (m.STOP,)])
def test_a_batch_is_not_cut(make: Make, message: Message) -> None:
    pipeline = make(batch_size=4)
    pipeline.answered([message], MS)
    assert running(pipeline).open == (0, 1, 2, 3)
    pipeline.tick(1.0)
    assert running(pipeline).open == (0, 1, 2, 3)


def test_who_works_alone_keeps_his_slice_and_reports_what_has_ended(make: Make) -> None:
    pipeline = make(gives_back=False)
    finish(pipeline, 4, MS)
    due = pipeline._patience.ends_at
    assert due is not None
    assert pipeline.tick(due) == [S]
    assert said(pipeline, due)[0] == (m.DONE, 1, (0, 1, 2, 3))
    assert running_and_held(pipeline) == ((4, 5, 6, 7, 8, 9), 0), "what is here comes next"


@pytest.mark.parametrize("gives_back", [True, False])
def test_a_result_does_not_wait_for_the_slow_last_item_of_its_slice(make: Make, gives_back: bool) -> None:
    """Nobody is hungry, and nothing waits behind it."""
    pipeline = make(gives_back=gives_back)
    finish(pipeline, 7, MS)
    assert not running(pipeline).waiting
    reported: list[int] = []
    for _ in range(9):
        due = pipeline._patience.ends_at
        if due is None or due > 1.0:
            break
        pipeline.tick(due)
        reported += [item for one in said(pipeline, due) if one[0] == m.DONE for item in one[2]]
    assert reported == [0, 1, 2, 3, 4, 5, 6]
