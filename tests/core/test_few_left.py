"""While the main thread computes, the machine takes out what has finished and puts more behind what waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Thread

import pytest

from pullahead.core import messages as m
from pullahead.core.lookahead import Lookahead
from pullahead.core.messages import Message
from pullahead.core.meter import Meter
from pullahead.core.pipeline import Discard, Pipeline, Send
from pullahead.core.slices import MAX_SLICE, Slice, low_mark, refill_size
from pullahead.core.trace import PROCESS, Recorder, Span

S = Send()
PLENTY = 1 << 20  # items that are ready for each worker
MS = 2.0**-10
Make = Callable[..., Pipeline]


# What two threads share


def test_what_is_put_in_waits_behind_the_others() -> None:
    taken = Slice((3, 4, 5), 0.0, whole=False)
    assert taken.cut(1) == [5]
    taken.extend((7, 8))
    assert (taken.items, list(taken.waiting), taken.ahead) == ((3, 4, 7, 8), [4, 7, 8], 2)
    taken.waiting.popleft()
    taken.waiting.popleft()
    assert (taken.begun, taken.unstarted, taken.ahead) == ((3, 4, 7), (8,), 1)
    taken.extend((9,))
    assert (taken.unstarted, taken.ahead) == ((8, 9), 2)


def test_what_was_put_in_and_cut_is_ahead_no_more() -> None:
    taken = Slice((0, 1, 2, 3), 0.0, whole=False)
    taken.extend((4, 5, 6, 7))
    assert taken.cut(3) == [7, 6, 5]
    assert (taken.ahead, list(taken.waiting)) == (1, [1, 2, 3, 4])
    assert taken.cut(2) == [4, 3]
    assert taken.ahead == 0


def test_what_has_finished_is_settled_once_with_its_times() -> None:
    taken = Slice((3, 4, 5, 6), 0.0, whole=False)
    assert taken.settle() == ((), (), [])
    taken.times += [(0.0, 1.0), (1.0, 3.0)]
    taken.waiting.popleft()
    taken.waiting.popleft()
    assert taken.useful == 3.0
    assert taken.settle() == ((3, 4), (3, 4), [(0.0, 1.0), (1.0, 3.0)])
    assert (taken.items, taken.open, taken.begun, taken.settled) == ((5, 6), (5, 6), (5,), 2)
    assert taken.useful == 0.0


def test_what_was_reported_before_is_settled_and_is_not_new() -> None:
    taken = Slice((3, 4, 5, 6), 0.0, whole=False)
    taken.times += [(0.0, 1.0), (1.0, 2.0)]
    taken.waiting.popleft()
    assert taken.finished() == (3,)
    taken.waiting.popleft()
    assert taken.settle() == ((3, 4), (4,), [(0.0, 1.0), (1.0, 2.0)])
    taken.waiting.popleft()
    assert taken.finished() == (5,)
    assert taken.open == (6,)


def test_of_a_batch_nothing_is_settled() -> None:
    assert Slice((3, 4), 0.0, whole=True).settle() == ((), (), [])


def test_the_time_on_a_cpu_is_told_once() -> None:
    taken = Slice((3, 4), 0.0, whole=False)
    taken.begin(5.0)
    taken.cpu = 7.0
    assert [taken.burnt(), taken.burnt()] == [2.0, 0.0]


def test_a_look_is_asked_for_once() -> None:
    taken = Slice((3, 4, 5), 0.0, whole=False)
    taken.low = 1
    assert not taken.is_low
    taken.waiting.popleft()
    assert taken.is_low
    taken.asked()
    assert not taken.is_low


def test_every_item_is_computed_once_and_in_order_whoever_is_faster() -> None:
    """One thread begins items, the other one puts more in, takes out what has finished, and cuts."""
    for _ in range(20):
        taken = Slice((0, 1), 0.0, whole=False)
        begun, settled, next_item = [0], list[int](), 2

        def work_off(taken: Slice = taken, begun: list[int] = begun) -> None:
            while begun[-1] < 999:
                taken.times.append((begun[-1], begun[-1]))
                while True:
                    try:
                        begun.append(taken.waiting.popleft())
                        break
                    except IndexError:
                        continue

        thread = Thread(target=work_off)
        thread.start()
        while next_item < 1000:
            cut = taken.cut(1)[::-1]
            taken.extend((*cut, next_item))
            ended, new, times = taken.settle()
            assert ended == new == tuple(int(start) for start, _ in times)
            settled += ended
            next_item += 1
        thread.join()
        settled += taken.settle()[0]
        assert begun == list(range(1000))
        assert settled == begun[:-1]


@pytest.mark.parametrize(
    ("mean", "low", "least", "most"),
    [
        (0.0, -1, None, None),  # nothing is known
        (1e-6, -1, None, None),  # a slice is over before anybody could look
        (2e-6, 750, 1024, 1024),
        (6e-6, 250, 666, 1024),
        (0.1e-3, 15, 40, 640),
        (0.5e-3, 3, 8, 128),
        (1.5e-3, 0, 2, 43),
        (5e-3, 0, 1, 13),
        (60.0, 0, 1, 1),
    ],
)
def test_what_is_left_hides_a_look(mean: float, low: int, least: int | None, most: int | None) -> None:
    assert low_mark(mean) == low
    if least is not None and most is not None:
        assert refill_size(mean, until_ask=0) == least
        assert refill_size(mean, until_ask=round(0.064 / mean)) == most
        assert low + most <= MAX_SLICE


# The worker's machine


@pytest.fixture
def make() -> Iterator[Make]:
    """Builds pipelines for items of 4 ms with a backlog. Item 0 runs, and 1 to 5 are in the buffer."""
    made: list[Pipeline] = []

    def build(
        item: float = 4 * MS,
        held: int = 6,
        backlog: int = PLENTY,
        lookahead: int | None = 40,
        fetch: float = MS,
        gives_back: bool = True,
    ) -> Pipeline:
        pipeline = Pipeline(Lookahead(lookahead), Meter(0, 0.0), Recorder(True), says_starts=False)
        made.append(pipeline)
        pipeline._gives_back = gives_back
        for _ in range(40):
            pipeline.lookahead.fetched(fetch)
            pipeline.lookahead.computed(item, 1)
        pipeline.began(0.0)
        pipeline.take_messages(0.0)
        if lookahead is not None:
            pipeline._demand.asks.made(lookahead, 0.0)
        pipeline.answered([(m.GRANT, 1, 0, [None] * held, 0.0, "source", backlog)], 0.0)
        said(pipeline, 0.0)
        assert pipeline.take(0.0)[0] == 0
        pipeline.tick(0.0)
        said(pipeline, 0.0)
        pipeline.recorder.take()
        return pipeline

    yield build
    for pipeline in made:
        pipeline.validate()


def said(pipeline: Pipeline, now: float) -> list[Message]:
    if not pipeline._outbox.caller.may_send:
        pipeline.answered([], now)
    return [one for one in pipeline.take_messages(now) if one[0] not in {m.TOTALS, m.TRACE, m.ASK}]


def running(pipeline: Pipeline) -> Slice:
    assert pipeline.running is not None
    return pipeline.running


def goes_on(pipeline: Pipeline, now: float) -> int:
    """The main thread has computed what runs, and begins the next one. Return that."""
    ran = running(pipeline)
    ran.times.append((ran.since, now))
    item = ran.waiting.popleft()
    ran.since = now
    return item


def test_the_next_item_is_where_the_main_thread_looks(make: Make) -> None:
    pipeline = make()
    assert running(pipeline).waiting.copy() == running(pipeline).waiting.__class__()
    pipeline.few_left(MS)
    assert list(running(pipeline).waiting) == [1]
    assert pipeline.held == 4
    assert goes_on(pipeline, 4 * MS) == 1
    assert running(pipeline).is_low, "it asks again"


def test_what_has_finished_is_reported_while_the_next_one_is_computed(make: Make) -> None:
    pipeline = make()
    pipeline.few_left(MS)
    goes_on(pipeline, 4 * MS)
    pipeline.few_left(5 * MS)
    assert said(pipeline, 5 * MS) == [(m.DONE, 1, (0,)), (m.STARTED, 1, (1,))]
    totals = pipeline.meter.totals
    assert (totals.items, totals.useful) == (1, 4 * MS)
    assert pipeline.recorder._spans[0] == Span(PROCESS, 0.0, 4 * MS, 0, 1)
    assert list(running(pipeline).waiting) == [2]
    goes_on(pipeline, 8 * MS)
    items, _ = pipeline.turn(4 * MS, 12 * MS, MS, 12 * MS)
    assert items == (3,), "what was put in and has not begun has kept its place"
    assert (totals.items, totals.useful) == (3, 12 * MS)


@pytest.mark.parametrize(("held", "waiting"), [(18, 16), (5, 3), (4, 2), (3, 1)])
def test_looks_are_rare_and_yet_in_time_for_an_ask(make: Make, held: int, waiting: int) -> None:
    """A bundle is sixteen items. With a depth of three, an ask is due as soon as two are in hand."""
    pipeline = make(held=held + 1, lookahead=None, fetch=10 * MS)
    assert pipeline.lookahead.depth == 3
    assert pipeline.lookahead.bundle == 16
    pipeline._demand.asks.taken_back(pipeline.asked)
    pipeline.few_left(MS)
    assert len(running(pipeline).waiting) == waiting


def test_what_comes_while_others_wait_is_put_behind_them_at_once(make: Make) -> None:
    """And nobody has to look at it for that, or because the slice lasts longer."""
    pipeline = make(item=MS / 2, lookahead=None)
    assert pipeline.lookahead.bundle == 131
    waiting = running(pipeline).waiting
    assert list(waiting) == [1, 2, 3]
    looked_at = pipeline._patience.ends_at
    assert looked_at is not None
    pipeline.answered([(m.GRANT, 1, 6, [None] * 131, 0.0, "source", PLENTY)], 0.0)
    assert running(pipeline).low < len(waiting) == 4 + 131
    assert pipeline._patience.ends_at == pytest.approx(pipeline.lookahead.patience + 135 * MS / 2)


def test_what_comes_when_a_look_was_asked_for_waits_for_that(make: Make) -> None:
    pipeline = make(item=MS / 2, lookahead=None)
    running(pipeline).asked()
    pipeline.answered([(m.GRANT, 1, 6, [None] * 131, 0.0, "source", PLENTY)], 0.0)
    assert list(running(pipeline).waiting) == [1, 2, 3]
    pipeline.few_left(0.0)
    assert len(running(pipeline).waiting) > 100


def test_what_comes_behind_a_long_one_is_not_given_back_before_that_has_had_its_time(make: Make) -> None:
    """Its worker has asked again, because it may soon be over."""
    pipeline = make(held=2)
    patience = pipeline.lookahead.patience
    pipeline.tick(patience)
    assert (m.STUCK,) in said(pipeline, patience)
    again = pipeline._patience.stuck_until
    assert again is not None
    pipeline.tick(again)
    until = pipeline._patience.ends_at
    assert until is not None
    pipeline.answered([(m.GRANT, 2, 7, [None] * 4, 0.0, "source", PLENTY)], again + MS)
    assert pipeline._patience.ends_at == until
    assert said(pipeline, again + MS) == []


@pytest.mark.parametrize(("item", "spans"), [(4 * MS, [(0, 1), (1, 1), (2, 1)]), (MS, [(0, 3)])])
def test_what_is_as_long_as_a_slice_is_recorded_by_itself(
    make: Make, item: float, spans: list[tuple[int, int]]
) -> None:
    pipeline = make(item, held=12, lookahead=None)
    pipeline.few_left(0.0)
    for count in (1, 2, 3):
        goes_on(pipeline, count * item)
    pipeline.few_left(3 * item)
    recorded = [one for one in pipeline.recorder.take() if one.kind == PROCESS]
    assert [(one.item, one.size) for one in recorded] == spans
    assert (recorded[0].start, recorded[-1].end) == (0.0, 3 * item)


def test_a_slice_that_goes_on_is_not_cut_while_each_of_its_items_takes_its_time(make: Make) -> None:
    """It lasts longer than anything should, by and by; what runs does not."""
    pipeline = make(held=12, lookahead=None)
    pipeline.few_left(0.0)
    waiting = running(pipeline).waiting
    for begun in (1, 2):
        assert goes_on(pipeline, 4 * begun * MS) == begun
    due = pipeline._patience.ends_at
    assert due is not None
    running(pipeline).since = due - MS
    pipeline.tick(due)
    assert list(waiting) == list(range(3, 12))
    later = pipeline._patience.ends_at
    assert later is not None
    assert later - (due - MS) >= pipeline.lookahead.patience
    pipeline.tick(later + 4 * MS)
    assert not waiting, "now the one that runs is late, and nobody waits behind it"
    assert (m.STUCK,) in said(pipeline, later + 4 * MS)


@pytest.mark.parametrize("gives_back", [True, False])
def test_items_that_are_slower_than_those_before_are_reported_all_the_same(
    make: Make, gives_back: bool
) -> None:
    """Few will be left in seconds, when they were expected to be in some milliseconds."""
    pipeline = make(item=MS / 8, held=400, lookahead=None, fetch=30 * MS, gives_back=gives_back)
    pipeline.few_left(0.0)
    assert len(running(pipeline).waiting) > 300
    now, reported, looks = 0.0, list[int](), 0
    while now < 4.0:
        end = running(pipeline).since + 20 * MS
        while (due := pipeline._patience.ends_at) is not None and due <= end:
            now, looks = due, looks + 1
            pipeline.tick(now)
            reported += [item for one in said(pipeline, now) if one[0] == m.DONE for item in one[2]]
            assert len(reported) >= running(pipeline).begun[0], "what has ended by then"
        goes_on(pipeline, end)
        now = end
    assert 20 < looks < 150


def test_what_lasts_long_is_looked_behind_now_and_then_where_nobody_else_could_have_that(make: Make) -> None:
    pipeline = make(item=MS / 8, held=40, gives_back=False)
    pipeline.few_left(0.0)
    looks = 0
    while (due := pipeline._patience.ends_at) is not None and due < 100.0:
        pipeline.tick(due)
        said(pipeline, due)
        looks += 1
    assert 90 < looks < 120, "about one in a second"
    assert running(pipeline).waiting, "it keeps them"


def test_what_was_put_behind_a_slice_is_looked_at_by_time_whoever_works(make: Make) -> None:
    pipeline = make(item=MS / 8, held=16, lookahead=None, gives_back=False)
    before = pipeline._patience.ends_at
    assert before is not None
    pipeline.answered([(m.GRANT, 1, 16, [None] * 500, 0.0, "source", PLENTY)], 0.0)
    assert len(running(pipeline).waiting) > 400
    due = pipeline._patience.ends_at
    assert due is not None
    assert before < due < 0.2
    goes_on(pipeline, 20 * MS)
    pipeline.tick(due)
    assert said(pipeline, due)[0] == (m.DONE, 1, (0,))


def test_behind_the_last_of_a_slice_nobody_looks(make: Make) -> None:
    pipeline = make(item=MS / 8, held=40, gives_back=False)
    pipeline.few_left(0.0)
    while running(pipeline).waiting:
        goes_on(pipeline, running(pipeline).since + MS / 8)
    due = pipeline._patience.ends_at
    assert due is not None
    pipeline.tick(due)
    said(pipeline, due)
    assert pipeline._patience.ends_at is None, "or it would be due for ever"


def test_a_start_is_said_once(make: Make) -> None:
    pipeline = make()
    pipeline.few_left(MS)
    assert said(pipeline, MS) == []
    goes_on(pipeline, 4 * MS)
    assert said(pipeline, 5 * MS) == []
    pipeline.few_left(5 * MS)
    assert said(pipeline, 5 * MS) == [(m.DONE, 1, (0,)), (m.STARTED, 1, (1,))]
    pipeline.few_left(6 * MS)
    assert said(pipeline, 6 * MS) == []


def test_a_queue_that_took_the_place_of_another_one_is_not_told_twice_what_runs(make: Make) -> None:
    """The main thread had asked for a look, and that came only after the worker had said what it has."""
    pipeline = make()
    pipeline.few_left(MS)
    goes_on(pipeline, 4 * MS)
    pipeline.alone()
    pipeline.rejoined([], 5 * MS)
    assert (m.STILL, 1, (2, 3, 4, 5), (0, 1)) in said(pipeline, 5 * MS)
    pipeline.few_left(6 * MS)
    assert said(pipeline, 6 * MS) == [(m.DONE, 1, (0,))]
    goes_on(pipeline, 8 * MS)
    pipeline.few_left(9 * MS)
    assert said(pipeline, 9 * MS) == [(m.DONE, 1, (1,)), (m.STARTED, 1, (2,))]


def test_how_long_the_one_before_took_is_not_the_time_of_the_one_that_begins(make: Make) -> None:
    """Its begin is known as soon as it has left the deque, before it is unpickled."""
    pipeline = make()
    pipeline.few_left(MS)
    goes_on(pipeline, 4 * MS)
    pipeline.few_left(5 * MS)
    assert pipeline.meter._computing_since == 4 * MS
    assert pipeline._patience.ends_at is not None
    assert pipeline._patience.ends_at >= 4 * MS + pipeline.lookahead.patience


def test_failures_are_reported_as_such(make: Make) -> None:
    pipeline = make()
    pipeline.few_left(MS)
    running(pipeline).failures[0] = "error", 0.0
    goes_on(pipeline, 4 * MS)
    assert pipeline.few_left(5 * MS) == [S]
    assert said(pipeline, 5 * MS) == [(m.FAILED, 1, 0, "error", 0.0), (m.STARTED, 1, (1,))]


def test_what_has_failed_and_comes_again_into_the_slice_has_not_failed_again(make: Make) -> None:
    """A slice may go on for ever, and an item be tried again in it."""
    pipeline = make(held=2)
    pipeline.few_left(MS)
    running(pipeline).failures[0] = "error", 0.0
    goes_on(pipeline, 4 * MS)
    pipeline.few_left(5 * MS)
    assert (m.FAILED, 1, 0, "error", 0.0) in said(pipeline, 5 * MS)
    grants = [(m.GRANT, 2, 0, [None], 0.0, "source", PLENTY), (m.GRANT, 3, 7, [None], 0.0, "source", PLENTY)]
    pipeline.answered(grants, 6 * MS)
    pipeline.few_left(6 * MS)
    assert goes_on(pipeline, 8 * MS) == 0
    pipeline.few_left(9 * MS)
    assert goes_on(pipeline, 12 * MS) == 7
    pipeline.few_left(13 * MS)
    assert (m.DONE, 2, (0,)) in said(pipeline, 13 * MS)


def test_what_was_put_in_counts_as_held(make: Make) -> None:
    pipeline = make(held=40)
    wanted = pipeline._wanted()
    pipeline.few_left(MS)
    assert running(pipeline).ahead == 1
    assert pipeline._wanted() == wanted


def test_what_was_put_in_can_be_recalled(make: Make) -> None:
    pipeline = make()
    pipeline.few_left(MS)
    effects = pipeline.answered([(m.RECALL, 9)], MS)
    assert effects[:5] == [Discard(item, loaded=False) for item in (1, 2, 3, 4, 5)]
    assert said(pipeline, MS) == [(m.GAVE_BACK, 1, (1, 2, 3, 4, 5)), (m.RECALLED, 5)]
    assert running(pipeline).open == (0,)


def test_small_items_are_put_in_by_several_milliseconds(make: Make) -> None:
    pipeline = make(item=MS / 2, held=40)
    assert running(pipeline).items == (0, 1, 2, 3)
    assert running(pipeline).is_low
    pipeline.few_left(0.0)
    assert len(running(pipeline).waiting) == 4 + 8
    assert not running(pipeline).is_low


def test_where_there_is_nothing_to_put_in_nobody_asks_again(make: Make) -> None:
    pipeline = make(held=1)
    pipeline.few_left(MS)
    assert not running(pipeline).is_low
    assert pipeline.turn(0.0, 4 * MS, MS, 4 * MS)[0] == ()


def test_without_a_backlog_what_is_next_is_decided_in_its_turn(make: Make) -> None:
    pipeline = make(backlog=1)
    assert not running(pipeline).is_low
    pipeline.few_left(MS)
    assert list(running(pipeline).waiting) == []


def test_who_is_stuck_or_stops_puts_nothing_in(make: Make) -> None:
    pipeline = make()
    pipeline.answered([(m.STOP,)], MS)
    pipeline.few_left(2 * MS)
    assert running(pipeline).open == (0,)
    pipeline.processed(0.0, 4 * MS, MS, 4 * MS)


def test_an_item_put_in_that_lasts_long_makes_nobody_wait_behind_it(make: Make) -> None:
    pipeline = make()
    pipeline.few_left(MS)
    goes_on(pipeline, 4 * MS)
    pipeline.few_left(5 * MS)
    said(pipeline, 5 * MS)
    patience = pipeline.lookahead.patience
    due = 4 * MS + patience + len(running(pipeline).waiting) * pipeline.lookahead.usual
    assert pipeline._patience.ends_at == due
    pipeline.tick(due)
    assert (m.GAVE_BACK, 1, (2, 3, 4, 5)) in said(pipeline, due)
    pipeline.few_left(1.0)
    assert running(pipeline).open == (1,), "nothing is put behind it"
