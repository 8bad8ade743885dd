"""Giving back: a hungry worker says so, another one is asked, and what is stuck lets go by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pullahead.core import messages as m
from pullahead.core.ledger import Grant, Ledger, NothingLeft, Recall, Starved, Unasked
from pullahead.core.lookahead import Lookahead
from pullahead.core.messages import Message
from pullahead.core.meter import Meter
from pullahead.core.pipeline import Discard, Load, Pipeline, Send, Wake
from pullahead.core.recalls import Recalls
from pullahead.core.service import Pace, Service
from pullahead.core.trace import Recorder

S, W = Send(), Wake()
PLENTY = 1 << 20  # items that are ready for each worker
MS = 1e-3
SOURCE = "source"


# The worker's side


@pytest.fixture
def make() -> Iterator[Callable[..., Pipeline]]:
    """Builds pipelines at time 0 that are checked once the test is over."""
    made: list[Pipeline] = []

    def build(lookahead: int | None = 4, batch_size: int = 0, **options: Any) -> Pipeline:
        # Those that are recalled from last as long as it suits a test; what gives back by itself says so.
        options.setdefault("gives_back", False)
        policy = Lookahead(lookahead, batch=batch_size or 1)
        made.append(
            Pipeline(
                policy, Meter(0, 0.0), Recorder(False), batch_size=batch_size, says_starts=True, **options
            )
        )
        return made[-1]

    yield build
    for pipeline in made:
        pipeline.validate()


def said(pipeline: Pipeline, now: float) -> list[Message]:
    """Perform a `Send`: what goes out, less the running sums."""
    return [one for one in pipeline.take_messages(now) if one[0] != m.TOTALS]


def begun(pipeline: Pipeline, now: float = 0.0) -> Pipeline:
    """Begin, with one call out: the queue may speak, and so may the worker."""
    pipeline.began(now)
    pipeline.take_messages(now)
    return pipeline


def granted(pipeline: Pipeline, now: float, first: int, size: int, lease: int = 1) -> list[Any]:
    return pipeline.answered([(m.GRANT, lease, first, [None] * size, 0.0, SOURCE, PLENTY)], now)


def experienced(pipeline: Pipeline, compute: float, fetch: float) -> Pipeline:
    """Let the policy know what a compute and a fetch cost, as if it had seen many."""
    for _ in range(40):
        pipeline.lookahead.fetched(fetch)
        pipeline.lookahead.computed(compute, 1)
    return pipeline


def test_a_worker_with_nothing_to_compute_says_once_that_it_is_hungry(make: Callable[..., Pipeline]) -> None:
    pipeline = make(1)
    pipeline.began(0.0)
    assert said(pipeline, 0.0) == [(m.ASK, 2), (m.HUNGRY, 2)]
    pipeline.answered([], 0.0)
    assert said(pipeline, 0.0) == [], "the call that the queue may speak with"
    granted(pipeline, 1.0, 0, 1)
    said(pipeline, 1.0)
    assert pipeline.take(1.0) == (0,)
    assert pipeline.turn(1.0, 2.0, 1.0, 2.0)[0] == ()
    assert said(pipeline, 2.0) == [(m.STARTED, 1, (0,)), (m.ASK, 1), (m.DONE, 1, (0,)), (m.HUNGRY, 2)]


def test_a_worker_that_loads_is_not_hungry(make: Callable[..., Pipeline]) -> None:
    pipeline = begun(make(1, loads=True))
    granted(pipeline, 1.0, 0, 1)
    assert pipeline.take(1.0) == ()
    pipeline.tick(1.0)
    assert m.HUNGRY not in [one[0] for one in said(pipeline, 1.0)]


def test_a_recall_takes_the_youngest_and_is_answered(make: Callable[..., Pipeline]) -> None:
    pipeline = begun(make(5))
    granted(pipeline, 0.0, 0, 6)
    said(pipeline, 0.0)
    assert pipeline.take(0.0) == (0,)
    effects = pipeline.answered([(m.RECALL, 2)], 1.0)
    assert effects[:2] == [Discard(4, loaded=False), Discard(5, loaded=False)]
    assert said(pipeline, 1.0)[-3:] == [(m.GAVE_BACK, 1, (4, 5)), (m.RECALLED, 2), (m.ASK, 2)]
    assert pipeline.held == 3


def test_what_has_begun_is_said_ahead_of_the_answer_to_a_recall(make: Callable[..., Pipeline]) -> None:
    """Said behind it, it would look like what has begun since, and be a reason to ask again."""
    pipeline = begun(make(8))
    granted(pipeline, 0.0, 0, 1)
    said(pipeline, 0.0)
    assert pipeline.take(0.5) == (0,)
    granted(pipeline, 0.5, 1, 1, lease=2)
    said(pipeline, 0.5)
    pipeline.turn(0.5, 1.0, 0.0, 1.0)
    pipeline.answered([(m.RECALL, 1)], 1.0)
    kinds = [message[0] for message in said(pipeline, 1.0)]
    assert kinds.index(m.STARTED) < kinds.index(m.RECALLED)


def test_a_recall_of_more_than_there_is_takes_all_that_has_not_begun(make: Callable[..., Pipeline]) -> None:
    pipeline = begun(make(5))
    granted(pipeline, 0.0, 0, 3)
    said(pipeline, 0.0)
    pipeline.take(0.0)
    pipeline.answered([(m.RECALL, 9)], 1.0)
    assert (m.GAVE_BACK, 1, (1, 2)) in said(pipeline, 1.0)
    pipeline.answered([(m.RECALL, 9)], 2.0)
    assert (m.RECALLED, 0) in said(pipeline, 2.0), "even an empty answer is one"


@pytest.mark.parametrize(("batch", "kept"), [(0, (0,)), (4, (0, 1, 2, 3))])
def test_what_a_worker_computes_next_is_not_recalled(
    make: Callable[..., Pipeline], batch: int, kept: tuple[int, ...]
) -> None:
    pipeline = begun(make(8, batch))
    pipeline.answered([(m.GRANT, 1, 0, [None] * 8, 0.0, SOURCE, PLENTY), (m.RECALL, 8)], 1.0)
    assert pipeline.take(1.0) == kept


def in_a_hurry(pipeline: Pipeline, held: int = 6) -> Pipeline:
    """Items of 1 s, and a fetch of 2.5 s. Item 0 runs from time 0, and the next ones are held."""
    for _ in range(20):
        pipeline.lookahead.fetched(2.5)
        pipeline.lookahead.computed(1.0, 1)
    granted(begun(pipeline), 0.0, 0, 1 + held)
    said(pipeline, 0.0)
    assert pipeline.take(0.0) == (0,)
    pipeline.tick(0.0)
    said(pipeline, 0.0)
    return pipeline


def test_what_will_begin_sooner_here_than_elsewhere_stays(make: Callable[..., Pipeline]) -> None:
    """In 0.5 s what runs ends, and items 1 and 2 begin before a move of 2.5 s is over."""
    pipeline = in_a_hurry(make(8))
    pipeline.answered([(m.RECALL, 6)], 0.5)
    assert said(pipeline, 0.5)[:2] == [(m.GAVE_BACK, 1, (3, 4, 5, 6)), (m.RECALLED, 4)]
    assert pipeline.held == 2


def test_what_has_stayed_and_has_not_begun_when_it_could_be_elsewhere_goes_after_all(
    make: Callable[..., Pipeline],
) -> None:
    pipeline = in_a_hurry(make(8))
    pipeline.answered([(m.RECALL, 5)], 0.5)
    said(pipeline, 0.5)
    assert pipeline.deadline == 3.0
    pipeline.turn(0.0, 1.0, 0.0, 1.0)
    said(pipeline, 1.0)
    assert pipeline.running is not None
    assert pipeline.running.begun == (1,), "but it lasts"
    assert pipeline.running.unstarted == (2,), "it is next"
    assert pipeline.tick(2.9) == []
    assert pipeline.tick(3.0) == [Discard(2, loaded=False), Send()]
    assert (m.GAVE_BACK, 1, (2,)) in said(pipeline, 3.0)
    assert pipeline._patience.kept_until is None, "once"


def test_several_recalls_keep_what_any_of_them_wanted_for_as_long_as_the_first(
    make: Callable[..., Pipeline],
) -> None:
    pipeline = in_a_hurry(make(8))
    pipeline.answered([(m.RECALL, 6)], 0.5)  # 1 and 2 stay
    said(pipeline, 0.5)
    pipeline.answered([(m.RECALL, 1)], 0.75)  # 2 stays
    said(pipeline, 0.75)
    assert pipeline.deadline == 3.0
    assert pipeline.tick(3.0)[:2] == [Discard(1, loaded=False), Discard(2, loaded=False)]


def test_what_was_granted_anew_is_not_what_a_recall_had_wanted(make: Callable[..., Pipeline]) -> None:
    pipeline = in_a_hurry(make(8))
    pipeline.answered([(m.RECALL, 6)], 0.5)  # 1 and 2 stay
    pipeline.answered([(m.WITHDRAW, 1)], 0.75)
    said(pipeline, 0.75)
    granted(pipeline, 1.0, 1, 2, lease=2)
    said(pipeline, 1.0)
    pipeline.tick(3.0)
    assert pipeline._in_hand == 2


def test_what_a_recall_did_not_want_does_not_go(make: Callable[..., Pipeline]) -> None:
    """Of items 1 to 6 it wanted two, and only the oldest two stay anyway."""
    pipeline = in_a_hurry(make(8))
    pipeline.answered([(m.RECALL, 2)], 0.5)
    assert (m.GAVE_BACK, 1, (5, 6)) in said(pipeline, 0.5)
    assert pipeline.deadline is None
    pipeline.tick(9.0)
    assert pipeline.held == 4


def test_what_has_lasted_for_long_is_no_reason_to_keep_what_waits_behind_it(
    make: Callable[..., Pipeline],
) -> None:
    """It has run for 3 s, and goes on for as long again: nothing behind it begins within 2.5 s."""
    pipeline = in_a_hurry(make(8))
    pipeline.answered([(m.RECALL, 6)], 3.0)
    assert (m.GAVE_BACK, 1, (1, 2, 3, 4, 5, 6)) in said(pipeline, 3.0)


def test_a_batch_that_is_not_full_is_said_to_run_if_something_waits_behind_it(
    make: Callable[..., Pipeline],
) -> None:
    """The queue would take what is still being loaded for a part of it, and recall nothing."""
    pipeline = begun(make(8, 4, loads=True, batch_wait=1.0))
    granted(pipeline, 0.0, 0, 4)
    said(pipeline, 0.0)
    for item in (0, 1, 3):
        pipeline.loaded(item, 0.5)
    assert pipeline.take(0.5) == ()
    pipeline.tick(1.5)
    assert pipeline.take(1.5) == (0, 1, 3)
    assert pipeline.tick(1.5) == [Send()]
    assert (m.STARTED, 1, (0, 1, 3)) in said(pipeline, 1.5)


def test_what_came_back_is_computed_before_what_is_younger(make: Callable[..., Pipeline]) -> None:
    """It has waited elsewhere, and must not wait for all that came here in the meantime."""
    pipeline = begun(make(8))
    granted(pipeline, 0.0, 20, 4)
    said(pipeline, 0.0)
    assert pipeline.take(0.0) == (20,)
    granted(pipeline, 0.0, 3, 2, lease=2)
    taken = [pipeline.turn(now, now + 1.0, 0.0, now + 1.0)[0] for now in range(5)]
    assert taken == [(3,), (4,), (21,), (22,), (23,)]
    said(pipeline, 5.0)


def test_what_came_back_is_not_recalled_before_what_is_younger(make: Callable[..., Pipeline]) -> None:
    pipeline = begun(make(8))
    granted(pipeline, 0.0, 20, 4)
    said(pipeline, 0.0)
    assert pipeline.take(0.0) == (20,)
    granted(pipeline, 0.0, 3, 2, lease=2)
    said(pipeline, 0.0)
    pipeline.answered([(m.RECALL, 3)], 1.0)
    assert (m.GAVE_BACK, 1, (21, 22, 23)) in said(pipeline, 1.0)
    assert pipeline.held == 2


def test_what_is_loaded_in_any_order_is_computed_by_age(make: Callable[..., Pipeline]) -> None:
    """Among those that are loaded."""
    pipeline = begun(make(8, loads=True))
    granted(pipeline, 0.0, 0, 4)
    for item in (3, 2, 0):
        pipeline.loaded(item, 1.0)
    said(pipeline, 1.0)
    assert pipeline.take(1.0) == (0,)
    assert pipeline.turn(1.0, 2.0, 0.0, 2.0)[0] == (2,)
    pipeline.loaded(1, 2.0)
    assert pipeline.turn(2.0, 3.0, 0.0, 3.0)[0] == (1,)


def test_what_is_not_loaded_is_recalled_before_what_is(make: Callable[..., Pipeline]) -> None:
    pipeline = begun(make(5, loads=True, load_concurrency=3))
    assert granted(pipeline, 0.0, 0, 5)[:3] == [Load(0), Load(1), Load(2)]
    pipeline.loaded(1, 1.0)  # 1 overtakes 0, and 3 begins
    said(pipeline, 1.0)
    effects = pipeline.answered([(m.RECALL, 2)], 2.0)
    assert effects[0] == Discard(4, loaded=False)
    assert (m.GAVE_BACK, 1, (3, 4)) in said(pipeline, 2.0)
    assert pipeline.loaded(3, 3.0)[0] == Discard(3, loaded=True), "its load was under way"


def behind_a_long_one(pipeline: Pipeline, size: int = 4, asked: int = 1) -> Pipeline:
    """Let item 0 run from time 0 with those behind it that `size` leaves, and a call that may go out."""
    begun(experienced(pipeline, compute=10 * MS, fetch=5 * MS))
    granted(pipeline, 0.0, 0, size)
    said(pipeline, 0.0)
    assert pipeline.take(0.0) == (0,)
    assert pipeline.tick(0.0) == [S]
    said(pipeline, 0.0)
    pipeline.answered([], 0.0)
    assert (pipeline.held, pipeline.asked) == (size - 1, asked)
    return pipeline


def stuck(pipeline: Pipeline, size: int = 4, asked: int = 1) -> Pipeline:
    """Let item 0 last much longer than usual: what is held is given back, and a call may go out."""
    behind_a_long_one(pipeline, size, asked)
    assert S in pipeline.tick(32 * MS)
    assert said(pipeline, 32 * MS)[0] == (m.STUCK,)
    pipeline.answered([], 32 * MS)
    return pipeline


def test_nobody_waits_behind_an_item_that_lasts_much_longer_than_usual(make: Callable[..., Pipeline]) -> None:
    pipeline = behind_a_long_one(make(4, gives_back=True))
    assert pipeline.deadline == pytest.approx(30 * MS), "two computes and two fetches"
    assert pipeline.tick(29 * MS) == []
    assert pipeline.tick(31 * MS) == [*(Discard(item, loaded=False) for item in (1, 2, 3)), S]
    # It takes back its asks before it gives back, or the queue would answer them with what it gives back.
    assert said(pipeline, 31 * MS) == [(m.STUCK,), (m.GAVE_BACK, 1, (1, 2, 3))]
    assert pipeline.deadline == pytest.approx(31 * MS + 36 * MS / 3), "when it asks again"
    assert (pipeline.held, pipeline.asked) == (0, 1), "what it asked for before may be on its way"
    assert pipeline.answered([(m.UNASKED, 1)], 32 * MS) == []
    assert pipeline.asked == 0, "and it asks for nothing"
    effects = pipeline.processed(0.0, 1.0, 1.0, 1.0)
    assert effects[-1] == W
    assert (m.ASK, 5) in said(pipeline, 1.0), "and now it asks again"


# Asking again


def test_who_is_stuck_asks_again_a_fetch_before_it_may_be_over(make: Callable[..., Pipeline]) -> None:
    """A fetch takes 5 ms. What has lasted for 37 ms by then, longer than all before it, ends within a third
    of that in a quarter of the cases."""
    pipeline = stuck(make(4, gives_back=True))
    pipeline.answered([(m.UNASKED, 1)], 33 * MS)
    assert said(pipeline, 33 * MS) == [], "the call that the queue may speak with"
    again = 32 * MS + 37 * MS / 3
    assert pipeline.deadline == pytest.approx(again)
    assert pipeline.tick(again - MS / 8) == []
    assert pipeline.asked == 0
    assert pipeline.tick(again + MS / 8) == [S]
    assert said(pipeline, again + MS / 8) == [(m.ASK, 4)]
    assert pipeline._patience.stuck_until is None, "it has asked"


def test_who_asks_again_asks_for_what_is_missing(make: Callable[..., Pipeline]) -> None:
    """Not for what it had asked for before and may still get."""
    pipeline = stuck(make(4, gives_back=True))
    assert (pipeline.held, pipeline.asked) == (0, 1)
    assert pipeline.tick(45 * MS) == [S]
    assert said(pipeline, 45 * MS) == [(m.ASK, 3)]
    assert pipeline.answered([(m.UNASKED, 1)], 46 * MS) == [S]
    assert said(pipeline, 46 * MS) == [(m.ASK, 1)], "that one will not come"


def test_a_quarter_of_the_longer_ones_have_ended_when_who_is_stuck_gets_something(
    make: Callable[..., Pipeline],
) -> None:
    usual = 1 / 64
    pipeline = make(4, gives_back=True)
    for seconds in (3, 5, 7, 9, *[0] * 8):
        pipeline.lookahead.computed(usual + seconds, 1)
    for _ in range(64):
        pipeline.lookahead.fetched(1.0)
    granted(begun(pipeline), 0.0, 0, 4)
    said(pipeline, 0.0)
    pipeline.take(0.0)
    assert pipeline._patience.ends_at == usual
    pipeline.tick(usual)
    assert said(pipeline, usual)[-2] == (m.STUCK,)
    pipeline.answered([(m.UNASKED, 1)], usual)
    assert pipeline.deadline == usual + 5.0 - 1.0
    assert pipeline.tick(usual + 3.75) == []
    assert pipeline.tick(usual + 4.0) == [S]
    assert said(pipeline, usual + 4.0) == [(m.ASK, 4)]
    # None of the computes that it remembers lasted so long that, from then on, it went on for long.
    assert pipeline.deadline == 1.25 * (usual + 9.0)


def asked_again(pipeline: Pipeline) -> Pipeline:
    """Let a stuck worker ask again, after 45 ms of what runs, and get what it asked for: 10 to 13."""
    stuck(pipeline)
    pipeline.answered([(m.UNASKED, 1)], 33 * MS)
    assert said(pipeline, 33 * MS) == [], "the call that the queue may speak with"
    assert pipeline.tick(45 * MS) == [S]
    assert said(pipeline, 45 * MS) == [(m.ASK, 4)]
    assert granted(pipeline, 47 * MS, 10, 4, lease=2) == []
    return pipeline


def test_what_comes_after_asking_again_is_kept(make: Callable[..., Pipeline]) -> None:
    pipeline = asked_again(make(4, gives_back=True))
    assert (pipeline._in_hand, pipeline.asked) == (4, 0)
    assert pipeline.turn(0.0, 45 * MS, 0.0, 45 * MS)[0] == (10,)
    assert said(pipeline, 45 * MS) == [(m.ASK, 1), (m.DONE, 1, (0,)), (m.STARTED, 2, (10,))]


def test_who_has_asked_again_can_be_stuck_again(make: Callable[..., Pipeline]) -> None:
    """It is looked after when it has lasted a quarter longer than when it asked again."""
    pipeline = asked_again(make(4, gives_back=True))
    assert pipeline.deadline == pytest.approx(1.25 * 45 * MS)
    assert pipeline.tick(56 * MS) == []
    now = 57 * MS
    assert pipeline.tick(now) == [*(Discard(item, loaded=False) for item in (10, 11, 12, 13)), S]
    assert said(pipeline, now) == [(m.STUCK,), (m.GAVE_BACK, 2, (10, 11, 12, 13))]
    assert pipeline.deadline == pytest.approx(now + (now + 5 * MS) / 3)
    pipeline.answered([], now)
    assert granted(pipeline, 58 * MS, 14, 1, lease=3)[0] == Discard(14, loaded=False), "it is stuck"
    said(pipeline, 58 * MS)
    pipeline.answered([], 58 * MS)
    assert pipeline.tick(78 * MS) == [S]
    assert said(pipeline, 78 * MS) == [(m.ASK, 4)]
    assert pipeline.deadline == pytest.approx(1.25 * 78 * MS)


def test_who_is_stuck_asks_again_when_the_answer_is_due_if_it_may_be_over_by_then(
    make: Callable[..., Pipeline],
) -> None:
    """Until then it does not know what it has: an ask at once would be served beside the exchange for what
    was given back."""
    pipeline = make(4, gives_back=True)
    for seconds in (150 * MS, 150 * MS, *[400 * MS] * 3, *[10 * MS] * 59):
        pipeline.lookahead.fetched(100 * MS)
        pipeline.lookahead.computed(seconds, 1)
    granted(begun(pipeline), 0.0, 0, 4)
    said(pipeline, 0.0)
    pipeline.take(0.0)
    pipeline.tick(0.0)
    said(pipeline, 0.0)
    pipeline.answered([], 0.0)
    assert (pipeline.held, pipeline.asked) == (3, 1)
    now = 10 * MS
    assert pipeline.tick(now) == [*(Discard(item, loaded=False) for item in (1, 2, 3)), S]
    assert said(pipeline, now) == [(m.STUCK,), (m.GAVE_BACK, 1, (1, 2, 3))]
    assert pipeline.deadline == pytest.approx(now + 100 * MS)
    pipeline.answered([(m.UNASKED, 1)], 105 * MS)
    assert (pipeline.held, pipeline.asked) == (0, 0)
    assert pipeline.tick(now + 100 * MS) == [S]
    assert said(pipeline, now + 100 * MS) == [(m.ASK, 4)]


def test_what_has_ended_is_not_stuck_any_more(make: Callable[..., Pipeline]) -> None:
    pipeline = stuck(make(4, gives_back=True))
    pipeline.answered([(m.UNASKED, 1)], 33 * MS)
    pipeline.turn(0.0, 34 * MS, 0.0, 34 * MS)
    said(pipeline, 34 * MS)
    assert pipeline._patience.stuck_until is None
    granted(pipeline, 35 * MS, 90, 1, lease=3)
    assert pipeline.take(35 * MS) == (90,)
    said(pipeline, 35 * MS)
    assert pipeline._patience.ends_at == pytest.approx(35 * MS + 30 * MS), "when the next one will be stuck"


# What crosses a STUCK


def test_what_crosses_the_stuck_is_given_back(make: Callable[..., Pipeline]) -> None:
    """The queue answered the ask before it heard that it was taken back."""
    pipeline = stuck(make(4, gives_back=True), size=3, asked=2)
    assert granted(pipeline, 33 * MS, 3, 1, lease=2) == [Discard(3, loaded=False), S]
    assert said(pipeline, 33 * MS) == [(m.GAVE_BACK, 2, (3,))]
    assert (pipeline.held, pipeline.asked) == (0, 1)
    pipeline.answered([(m.UNASKED, 1)], 34 * MS)
    assert (pipeline.held, pipeline.asked) == (0, 0)
    assert said(pipeline, 34 * MS) == [], "it asks for nothing"
    # Once what was stuck has ended, a grant is a grant.
    pipeline.processed(0.0, 1.0, 1.0, 1.0)
    said(pipeline, 1.0)
    granted(pipeline, 1.25, 4, 1, lease=3)
    assert pipeline.take(1.25) == (4,)


def test_what_crosses_the_stuck_while_its_load_is_under_way_is_discarded_once(
    make: Callable[..., Pipeline],
) -> None:
    pipeline = make(4, gives_back=True, loads=True)
    begun(experienced(pipeline, compute=10 * MS, fetch=5 * MS))
    assert granted(pipeline, 0.0, 0, 2)[:2] == [Load(0), Load(1)]
    said(pipeline, 0.0)
    pipeline.loaded(0, 0.0)
    assert pipeline.take(0.0) == (0,)
    pipeline.tick(0.0)
    said(pipeline, 0.0)
    pipeline.answered([], 0.0)
    assert pipeline.tick(31 * MS) == [S], "1 is being loaded"
    assert said(pipeline, 31 * MS) == [(m.STUCK,), (m.GAVE_BACK, 1, (1,))]
    assert granted(pipeline, 32 * MS, 1, 1, lease=2) == [S]
    assert said(pipeline, 32 * MS) == [(m.GAVE_BACK, 2, (1,))]
    pipeline.validate()
    assert pipeline.loaded(1, 33 * MS) == [Discard(1, loaded=True)]


def test_asks_are_taken_back_even_if_nothing_is_held(make: Callable[..., Pipeline]) -> None:
    """What they would bring would wait here."""
    pipeline = behind_a_long_one(make(4, gives_back=True), size=1, asked=4)
    assert pipeline.tick(31 * MS) == [S]
    assert said(pipeline, 31 * MS) == [(m.STUCK,)]
    assert pipeline.deadline == pytest.approx(31 * MS + 36 * MS / 3), "when it asks again"
    pipeline.answered([(m.UNASKED, 4)], 32 * MS)
    assert pipeline.asked == 0
    assert said(pipeline, 32 * MS) == [], "it asks for nothing"


def test_who_has_nothing_and_asks_for_nothing_is_not_stuck(make: Callable[..., Pipeline]) -> None:
    pipeline = behind_a_long_one(make(0, gives_back=True), size=1, asked=0)
    assert pipeline.deadline == pytest.approx(30 * MS)
    assert pipeline.tick(31 * MS) == []
    assert pipeline.deadline is None


def test_who_was_stuck_is_hungry_anew_when_its_asks_were_taken_back(make: Callable[..., Pipeline]) -> None:
    """It may have said before how many it asked for, with those that the queue has taken back by then."""
    pipeline = stuck(make(4, gives_back=True))
    assert pipeline.turn(0.0, 1.0, 1.0, 1.0) == ((), [S, W])
    assert said(pipeline, 1.0) == [(m.ASK, 4), (m.DONE, 1, (0,)), (m.HUNGRY, 5)]
    assert pipeline.answered([(m.UNASKED, 1)], 1.125) == [S, W]
    assert said(pipeline, 1.125) == [(m.ASK, 1), (m.HUNGRY, 5)]
    assert pipeline.answered([], 1.25) == [W], "once"


def test_the_oldest_asks_are_taken_back(make: Callable[..., Pipeline]) -> None:
    """Those that are younger than the STUCK have not come to the queue, and say how long a fetch takes."""
    pipeline = stuck(make(4, gives_back=True))
    pipeline.turn(0.0, 1.0, 1.0, 1.0)
    said(pipeline, 1.0)
    pipeline.answered([(m.UNASKED, 1)], 1.125)
    said(pipeline, 1.125)
    granted(pipeline, 1.25, 5, 4, lease=2)
    assert pipeline.lookahead._fetches[-1] == 0.25, "asked for at 1"
    assert pipeline.asked == 1


def test_five_long_ones_in_a_row_are_no_exception(make: Callable[..., Pipeline]) -> None:
    """The fifth one may take a quarter longer than the fourth before anybody is said to wait behind it."""
    pipeline = stuck(make(4, gives_back=True))
    pipeline.answered([(m.UNASKED, 1)], 33 * MS)
    pipeline.turn(0.0, 1.0, 1.0, 1.0)
    said(pipeline, 1.0)
    granted(pipeline, 1.0, 90, 8, lease=3)
    assert pipeline.take(1.0) == (90,)
    for now, item in ((2.0, 91), (3.0, 92), (4.0, 93)):
        assert pipeline.lookahead.patience < 1.0, "one long one is an exception, and so are four"
        assert pipeline.turn(now - 1.0, now, 1.0, now)[0] == (item,)
    assert pipeline.lookahead.patience == 1.25
    assert pipeline.turn(4.0, 4.0 + 1 / 128, 1.0, 4.0 + 1 / 128)[0] == (94,)
    assert pipeline.lookahead.patience < 1.0, "a usual one: the next is an exception again"


def test_a_slice_of_small_items_may_last_longer_than_one_by_what_the_others_take(
    make: Callable[..., Pipeline],
) -> None:
    """With a backlog by twice of that. Then it is cut, and looked at again."""
    pipeline = experienced(begun(make(200, gives_back=True)), compute=MS / 4, fetch=5 * MS)
    granted(pipeline, 0.0, 0, 200)
    said(pipeline, 0.0)
    assert len(pipeline.take(0.0)) == 8
    assert pipeline._patience.ends_at == pytest.approx(2 * (MS / 4 + 5 * MS) + 2 * 7 * MS / 4)


def test_while_nothing_is_known_nobody_waits_for_longer_than_half_a_second(
    make: Callable[..., Pipeline],
) -> None:
    pipeline = begun(make(4, gives_back=True))
    granted(pipeline, 0.0, 0, 4)
    said(pipeline, 0.0)
    pipeline.take(0.0)
    pipeline.tick(0.0)
    said(pipeline, 0.0)
    pipeline.answered([], 0.0)
    assert pipeline.deadline == 0.5
    assert pipeline.tick(0.5 - MS) == []
    assert pipeline.tick(0.5) == [*(Discard(item, loaded=False) for item in (1, 2, 3)), S]
    assert said(pipeline, 0.5) == [(m.STUCK,), (m.GAVE_BACK, 1, (1, 2, 3))]


def test_nothing_is_given_back_by_itself_if_it_must_not(make: Callable[..., Pipeline]) -> None:
    pipeline = experienced(begun(make(4, gives_back=False)), compute=10 * MS, fetch=5 * MS)
    granted(pipeline, 0.0, 0, 4)
    said(pipeline, 0.0)
    pipeline.take(0.0)
    assert pipeline._patience.ends_at is None
    pipeline.tick(1e6)
    assert (pipeline.held, pipeline.asked) == (3, 1)


# The queue's side


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A ledger with run 1 open, ten items, and worker 0 holding all of them; worker 1 has asked for two."""
    ledger = Ledger()
    ledger.opened(1)
    ledger.joined(0)
    ledger.joined(1)
    ledger.submitted(1, 0, 10, SOURCE, 0.0)
    ledger.asked(0, 10, 0.0)
    ledger.asked(1, 2, 0.0)
    yield ledger
    ledger.validate()


def grant(worker: int, lease: int, first: int, size: int, waited: float = 0.0, backlog: int = 0) -> Grant:
    return Grant(worker, lease, 1, first, size, waited, SOURCE, backlog)


def test_hunger_recalls_as_much_as_it_asked_for(ledger: Ledger) -> None:
    assert ledger.hungry(1, 2, 1.0) == [Recall(0, 2)]
    assert ledger.is_hungry
    assert ledger.hungry(1, 2, 1.0) == [], "once"
    assert ledger.gave_back(0, 1, (8, 9), 2.0) == [grant(1, 2, 8, 2, 2.0)]
    assert ledger.recalled(0, 2, 2.0) == []
    assert ledger.statistics().recalls == 1
    assert not ledger.is_hungry


def test_hunger_takes_no_more_than_what_is_beyond_the_share_of_who_holds_it(ledger: Ledger) -> None:
    ledger.asked(1, 20, 0.5)
    assert ledger.hungry(1, 22, 1.0) == [Recall(0, 5)], "nine have not begun, and four of them are its share"


def test_who_has_something_on_its_way_is_not_hungry() -> None:
    """It said so before it heard of the grant: of the three that it waits for, the queue owes it one."""
    ledger = Ledger()
    ledger.opened(1)
    ledger.joined(0)
    ledger.submitted(1, 0, 2, SOURCE, 0.0)
    ledger.asked(0, 3, 0.0)
    assert ledger.hungry(0, 3, 0.0) == []
    assert not ledger.is_hungry


def test_what_its_holder_begins_sooner_than_it_could_be_moved_is_left_there(ledger: Ledger) -> None:
    """A move takes 3 ms as long as nothing is known, and the holder needs 2 ms for each item."""
    ledger.finished(0, 1, tuple(range(8)), 0.016)
    assert ledger.hungry(1, 2, 0.016) == []
    assert ledger.deadline == pytest.approx(0.016 + 0.003), "by then, it would have begun long ago"
    assert ledger.tick(0.016 + 0.003) == [Recall(0, 1)]


def test_near_the_end_what_came_back_is_shared(ledger: Ledger) -> None:
    ledger.closed(1, 0.0)
    ledger.asked(1, 20, 0.0)
    ledger.hungry(1, 22, 1.0)
    # Nine have not begun, so five are a share: what is next to be computed does not count as held.
    assert ledger.gave_back(0, 1, (4, 5, 6, 7, 8, 9), 2.0)[:1] == [grant(1, 2, 4, 5, 2.0)]
    ledger.recalled(0, 6, 2.0)


def test_at_the_end_nobody_is_granted_more_than_its_share_however_often_it_is_served() -> None:
    ledger = Ledger()
    ledger.opened(1)
    for worker in range(4):
        ledger.joined(worker)
    ledger.submitted(1, 0, 40, SOURCE, 0.0)
    ledger.closed(1, 0.0)
    assert ledger.asked(0, 100, 0.0)[0] == grant(0, 1, 0, 10, backlog=7)
    for moment in range(10):
        ledger.tick(float(moment))
    granted = 40 - ledger.statistics().ready
    assert granted < 16, "ten, and once more for what it is to compute next"
    ledger.validate()


def test_a_worker_that_has_only_what_it_computes_is_not_asked() -> None:
    ledger = Ledger()
    ledger.opened(1)
    for worker in (0, 1):
        ledger.joined(worker)
    ledger.submitted(1, 0, 1, SOURCE, 0.0)
    ledger.asked(0, 1, 0.0)
    assert ledger.asked(1, 1, 0.0) == [Starved(1)]
    assert ledger.hungry(1, 1, 9.0) == []
    assert ledger.deadline is None


def test_a_worker_is_asked_once_at_a_time_and_again_after_it_has_answered(ledger: Ledger) -> None:
    ledger.joined(2)
    assert ledger.hungry(1, 2, 1.0) == [Recall(0, 2)]
    ledger.asked(2, 1, 1.0)
    assert ledger.hungry(2, 1, 1.0) == [], "two are on their way, enough for both"
    ledger.gave_back(0, 1, (9,), 1.5)  # it had begun more than was known
    assert ledger.recalled(0, 1, 1.5) == [Recall(0, 1)], "one is still hungry"


def test_who_gave_nothing_is_not_asked_in_vain_but_once_it_has_finished_something(ledger: Ledger) -> None:
    ledger.hungry(1, 2, 1.0)
    assert ledger.recalled(0, 0, 1.5) == []
    assert ledger.deadline is None
    assert ledger.asked(0, 1, 2.0) == []
    ledger.finished(0, 1, (0,), 2.0)
    assert ledger.asked(0, 1, 2.0) == [Recall(0, 2)]
    assert ledger.recalled(0, 0, 2.5) == []
    effects = ledger.submitted(1, 10, 4, SOURCE, 3.0)
    assert effects[0] == grant(1, 2, 10, 2, 3.0, backlog=1), "the hungry one first"


def test_who_gave_nothing_is_asked_again_once_it_has_begun_something(ledger: Ledger) -> None:
    """Behind that is what it said it would begin soon: a batch took less than there was."""
    ledger.hungry(1, 2, 1.0)
    assert ledger.recalled(0, 0, 1.5) == []
    assert ledger.started(0, 1, (0, 1)) == []
    assert ledger.deadline is not None
    assert ledger.deadline <= 2.0
    assert ledger.tick(2.0) == [Recall(0, 2)]


def test_who_was_granted_something_while_it_was_asked_is_worth_asking_again(ledger: Ledger) -> None:
    """Its answer that it has nothing may be older than the grant."""
    assert ledger.hungry(1, 2, 1.0) == [Recall(0, 2)]
    ledger.asked(0, 3, 1.0)
    ledger.submitted(1, 10, 5, SOURCE, 1.0)  # two for the hungry one, three for who was asked
    ledger.finished(1, 2, (10, 11), 2.0)
    ledger.asked(1, 1, 2.0)
    ledger.hungry(1, 1, 2.0)
    assert ledger.recalled(0, 0, 2.5) == [Recall(0, 1)]


def test_a_worker_that_does_not_answer_is_not_waited_for(ledger: Ledger) -> None:
    """Its process holds the interpreter in C code: the queue carries on and asks others."""
    ledger.joined(2)
    ledger.submitted(1, 10, 2, SOURCE, 0.0)  # for worker 1, which waits
    ledger.submitted(1, 12, 3, SOURCE, 0.0)
    ledger.asked(2, 3, 0.0)
    ledger.finished(1, 2, (10, 11), 1.0)
    ledger.asked(1, 1, 1.0)
    assert ledger.hungry(1, 1, 1.0) == [Recall(0, 1)]
    deadline = ledger.deadline
    assert deadline == 1.0 + 0.008
    assert ledger.tick(deadline - 0.001) == []
    assert ledger.tick(deadline) == [Recall(2, 1)]
    assert ledger.deadline == deadline + 0.008


def test_a_late_answer_says_little_about_the_usual_trip(ledger: Ledger) -> None:
    """Who was silent for a minute must not teach the queue to be patient for minutes."""
    ledger.hungry(1, 2, 1.0)
    ledger.tick(2.0)
    ledger.gave_back(0, 1, (9,), 61.0)
    ledger.recalled(0, 1, 61.0)
    ledger.hungry(1, 1, 62.0)
    ledger.tick(62.0)
    assert ledger.deadline == 62.0 + 0.016, "twice what was expected"


def test_without_recall_nothing_moves() -> None:
    ledger = Ledger(recall=False)
    ledger.opened(1)
    for worker in (0, 1):
        ledger.joined(worker)
    ledger.submitted(1, 0, 10, SOURCE, 0.0)
    ledger.asked(0, 10, 0.0)
    ledger.asked(1, 1, 0.0)
    assert ledger.hungry(1, 1, 1.0) == []
    assert ledger.deadline is None
    assert ledger.closed(1, 2.0) == [NothingLeft(1, 2.0, SOURCE)]


def test_nothing_is_not_left_while_something_may_come_back(ledger: Ledger) -> None:
    ledger.hungry(1, 2, 1.0)
    assert ledger.closed(1, 1.0) == [], "a recall is out"
    assert ledger.recalled(0, 0, 2.0) == [NothingLeft(1, 2.0, SOURCE)]


def test_who_is_stuck_takes_its_asks_back_and_does_not_get_its_own_items_again(ledger: Ledger) -> None:
    ledger.asked(0, 3, 0.5)
    assert ledger.stuck(0) == [Unasked(0, 3)]
    assert ledger.gave_back(0, 1, tuple(range(1, 10)), 1.0) == [grant(1, 2, 1, 2, 1.0, backlog=3)]
    assert ledger.asked(1, 7, 1.0) == [grant(1, 3, 3, 7)]


# Whom to ask


def test_it_is_asked_whose_items_would_wait_longest() -> None:
    recalls = Recalls()
    recalls.weigh(0, held=5, running=1, pace=1.0, reported=10.0)  # 4 s of work, and it has just reported
    recalls.weigh(1, held=3, running=1, pace=3.0, reported=10.0)  # 6 s of work
    recalls.weigh(2, held=2, running=1, pace=1.0, reported=2.0)  # late by eight, and likely to be for longer
    chosen = [recalls.choose(hungry, 9, 4, 11.0) for hungry in (1, 2, 8)]
    assert chosen == [[(2, 1)], [(1, 1)], [(0, 3)]]
    recalls.validate()


def test_shares_and_recalls_are_whole_batches() -> None:
    recalls = Recalls(unit=4)
    recalls.weigh(0, held=19, running=0, pace=1.0, reported=0.0)
    assert recalls.total == 15
    assert recalls.choose(1, 99, 2, 0.0) == [(0, 8)]
    recalls.weigh(1, held=6, running=0, pace=1.0, reported=0.0)
    assert recalls.choose(3, 99, 2, 0.0) == [(1, 2)], "less than a batch is better than nothing"


def test_what_waits_behind_a_batch_that_was_not_full_can_be_recalled() -> None:
    recalls = Recalls(unit=8)
    recalls.weigh(0, held=8, running=1, pace=1.0, reported=0.0)
    assert recalls.choose(1, 8, 1, 0.0) == [(0, 7)]


def test_each_hungry_worker_is_to_have_its_share() -> None:
    """Of the 20 that could be recalled, 5 are a share."""
    for hungry, credits, expected in [
        (1, 20, [(0, 5)]),
        (2, 20, [(0, 5), (1, 5)]),
        (2, 7, [(0, 5), (1, 2)]),  # no more than they asked for
        (2, 5, [(0, 5)]),
    ]:
        recalls = Recalls()
        recalls.weigh(0, held=11, running=1, pace=1.0, reported=0.5)
        recalls.weigh(1, held=11, running=1, pace=1.0, reported=0.0)
        assert recalls.choose(hungry, credits, 4, 0.5) == expected
        assert recalls.choose(hungry, credits, 4, 0.5) == [], "that is on its way"
        recalls.validate()


def test_where_one_cannot_give_a_share_others_are_asked_too() -> None:
    """Four are a share of each that holds something, and what is beyond that is not enough for the hungry."""
    recalls = Recalls()
    for worker in range(3):
        recalls.weigh(worker, held=7, running=1, pace=1.0, reported=float(worker))
    assert recalls.choose(1, 20, 4, 9.0) == [(0, 2), (1, 2)]
    recalls.validate()


def test_another_recall_is_due_as_long_as_a_share_is_missing() -> None:
    """The last item of the second holder waits for 2 ms, and a move takes 3."""
    recalls = Recalls()
    recalls.weigh(0, held=4, running=1, pace=1.0, reported=0.0)
    recalls.weigh(1, held=2, running=1, pace=0.002, reported=0.0)
    assert recalls.choose(2, 4, 2, 0.0) == [(0, 1)], "beyond its share"
    assert recalls.deadline(1, 1, 2) == 0.008, "enough is on its way, and this is when it is overdue"
    assert recalls.deadline(2, 4, 2) == pytest.approx(0.003), "or when the other one becomes worth it"
    assert recalls.deadline(1, 4, 2) == pytest.approx(0.003), "a share is two"
    assert recalls.deadline(1, 4, 4) == 0.008, "here it is one"
    assert recalls.deadline(2, 1, 2) == 0.008, "no more was asked for"
    assert recalls.choose(1, 4, 2, 0.003) == [(1, 1)]


def test_patience_follows_what_recalls_have_taken() -> None:
    recalls = Recalls()
    recalls.weigh(0, held=9, running=1, pace=1.0, reported=0.0)
    recalls.choose(1, 1, 1, 0.0)
    assert recalls.deadline(1, 1, 1) == 0.008
    for _ in range(40):
        recalls.answered(0, 1, 0.0)
        recalls.weigh(0, held=9, running=1, pace=1.0, reported=0.0)
        recalls.choose(1, 1, 1, 0.0)
    assert recalls.deadline(1, 1, 1) == 0.002
    assert recalls.deadline(0, 0, 1) is None, "for nobody"
    recalls.lost(0)
    assert recalls.deadline(1, 1, 1) is None
    assert recalls.total == 0
    recalls.validate()


def test_the_first_trip_is_taken_as_it_is() -> None:
    """The next ones count for a fifth. What is assumed before says nothing about this machine."""
    recalls = Recalls()
    trip = 1 / 128
    patience = []
    for taken in (trip, 0.0):
        recalls.weigh(0, held=9, running=1, pace=1.0, reported=0.0)
        recalls.choose(1, 1, 1, 0.0)
        recalls.answered(0, 1, taken)
        recalls.weigh(0, held=9, running=1, pace=1.0, reported=0.0)
        recalls.choose(1, 1, 1, 1.0)
        patience.append(recalls.deadline(1, 1, 1))
        recalls.lost(0)
    assert patience == [1.0 + 4 * trip, pytest.approx(1.0 + 0.8 * 4 * trip)]


# How long an item takes


def test_the_pace_is_all_seconds_by_all_items() -> None:
    pace = Pace(keep=0.5)
    assert pace.usual == 0.0, "nothing is known"
    pace.reported(3.0, 2)
    assert pace.usual == 1.5, "the first of all is taken as it is"
    pace.reported(1.0, 4)
    assert pace.usual == 2.5 / 5, "what was before counts for half"


def test_several_reports_in_one_message_are_one() -> None:
    """All but the first seem to have taken no time."""
    together, apart = Pace(keep=0.5), Pace(keep=0.5)
    for _ in range(3):
        together.reported(1.0, 8)
        for seconds, items in ((1.0, 1), (0.0, 2), (0.0, 5)):
            apart.reported(seconds, items)
        assert apart.usual == together.usual == 1 / 8


def test_a_pace_of_no_time_is_none() -> None:
    pace = Pace(keep=0.5)
    pace.reported(0.0, 3)
    assert pace.usual == 0.0
    pace.reported(1.0, 1)
    assert pace.usual == 1 / 2.5


def test_what_is_told_of_two_leases_at_once_took_the_time_of_both() -> None:
    service = Service(unit=1, recall=True, workers=0)
    for worker in (0, 1):
        service.joined(worker)
        service.asked(worker, 16, 0.0)
        service.granted(service.workers[worker], 16, 0.0)
    for _ in range(2):
        service.reported(0, 2, 1.0)
        service.reported(0, 6, 1.0)
    assert service.workers[0].pace.usual == 1 / 16
    assert service.workers[1].pace.usual == 0.0


def test_late_answers_double_what_is_expected_until_one_comes_in_time() -> None:
    """Over a long wire each answer is late as long as nothing is known: it would never be learned."""
    recalls, now, expected = Recalls(), 0.0, []
    for _ in range(5):
        recalls.weigh(0, 9, 1, 1.0, now)
        assert recalls.choose(1, 1, 2, now) == [(0, 1)]
        now += 0.1
        recalls.choose(1, 1, 2, now)  # it is given up if it is late
        recalls.answered(0, 1, now)
        expected.append(recalls.trip)
    assert expected == pytest.approx([0.004, 0.008, 0.016, 0.032, 0.1]), "four times 32 ms are enough"
    recalls.weigh(0, 9, 1, 1.0, now)
    assert recalls.choose(1, 1, 2, now) == [(0, 1)]
    recalls.choose(1, 1, 2, now + 9.0)
    recalls.answered(0, 1, now + 9.0)
    assert recalls.trip == pytest.approx(0.1), "from then on, what is late says nothing"
