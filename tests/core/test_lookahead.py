"""The policy: exact depths, exact reasons. No clock; every time is a number that is given."""

from __future__ import annotations

import pytest

from pullahead.core import estimates
from pullahead.core.estimates import patience_of
from pullahead.core.lookahead import MAX_BUNDLE, MAX_LOOKAHEAD, Lookahead

MS = 1e-3


def covering_depth(computes: list[float], fetch: float, sizes: list[int] | None = None) -> int:
    return estimates.covering_depth(computes, fetch, sizes, most=MAX_LOOKAHEAD)


def measured(*, fetch: float, compute: float, times: int = 128, batch: int = 1) -> Lookahead:
    policy = Lookahead(batch=batch)
    for _ in range(times):
        policy.fetched(fetch)
        policy.computed(compute * batch, batch)
    return policy


def learned(computes: list[float], fetch: float | None = None) -> Lookahead:
    """A policy that knows exactly these computes, and fetches that last always the same."""
    policy = Lookahead()
    if fetch is not None:
        policy.fetched(fetch)
    for seconds in computes:
        policy.computed(seconds, 1)
    policy._longs = 0  # whatever their order
    policy._review()
    return policy


@pytest.mark.parametrize(
    ("compute", "fetch", "depth"),
    [
        (30 * MS, 41 * MS, 2),
        (30 * MS, 30 * MS, 1),
        (30 * MS, 27 * MS, 1),
        (10 * MS, 27 * MS, 3),
        (10 * MS, 30 * MS, 3),  # exactly three, although 0.01 + 0.01 + 0.01 < 0.03 in floating point
        (1 * MS, 7 * MS, 7),
        (1 * MS, 7.1 * MS, 8),
        (1000 * MS, 1 * MS, 1),
        (1 * MS, 0.0, 1),
        (1 * MS, 100 * MS, 100),  # more than half of what was seen: the mean
        (0.0, 1 * MS, MAX_LOOKAHEAD),
        (5e-324, 1 * MS, MAX_LOOKAHEAD),  # the quotient is no number
    ],
)
def test_constant_times_give_the_quotient(compute: float, fetch: float, depth: int) -> None:
    assert covering_depth([compute] * 128, fetch) == depth


def test_large_items_among_small_ones_do_not_deepen_it() -> None:
    # 95 % of 1 ms and 5 % of 200 ms: the small ones alone cover 0.9 ms; a normal approximation asks for 43.
    bimodal = ([1 * MS] * 19 + [200 * MS]) * 6
    assert covering_depth(bimodal, 0.9 * MS) == 1
    assert covering_depth(bimodal, 1.8 * MS) == 2
    assert covering_depth(bimodal, 1.9 * MS) == 2


def test_one_run_in_twenty_may_be_too_short() -> None:
    assert covering_depth([0.0] + [1 * MS] * 19, 0.9 * MS) == 1
    assert covering_depth([0.0] + [1 * MS] * 18, 0.9 * MS) == 2


@pytest.mark.parametrize(
    ("fetch", "reason"),
    [
        (9 * MS, "1: p95 fetch 9 ms ≤ p50 work 10 ms"),
        (10 * MS, "1 → 2: p95 fetch 10 ms and a tenth > p50 work 10 ms"),
        (11 * MS, "1 → 2: p95 fetch 11 ms > p50 work 10 ms"),
    ],
)
def test_a_tenth_is_a_reserve(fetch: float, reason: str) -> None:
    """An answer that is due just when it is needed comes too late half of the time."""
    assert measured(fetch=fetch, compute=10 * MS).reason == reason


def test_it_starts_as_the_pattern_and_doubles_on_stalls_while_it_knows_nothing() -> None:
    policy = Lookahead()
    assert (policy.depth, policy.bundle, policy.reason) == (1, 1, "1: nothing measured yet")
    assert [policy.stalled() for _ in range(8)] == [True] * 6 + [False] * 2
    assert (policy.depth, policy.reason) == (64, "32 → 64: a stall, and too little measured to know better")


def test_it_is_a_guess_until_a_compute_and_a_fetch_are_measured() -> None:
    policy = Lookahead(eager=True)
    assert (policy.depth, policy.is_guess) == (16, True)
    policy.computed(200 * MS, 1)
    assert (policy.depth, policy.is_guess) == (16, True)
    policy.fetched(1 * MS)
    assert (policy.depth, policy.is_guess) == (1, False)
    assert not Lookahead(16).is_guess


def test_it_jumps_as_soon_as_one_fetch_and_one_compute_are_known() -> None:
    policy = Lookahead()
    assert not policy.fetched(41 * MS)
    assert policy.computed(30 * MS, 1)
    assert (policy.depth, policy.reason) == (2, "1 → 2: p95 fetch 41 ms > p50 work 30 ms")
    assert not policy.stalled()  # from here on the formula knows better


def test_a_depth_that_stays_gets_its_reason_too() -> None:
    policy = measured(fetch=1 * MS, compute=1.5, times=1)
    assert policy.reason == "1: p95 fetch 1 ms ≤ p50 work 1.5 s"


def test_it_grows_at_once_and_shrinks_by_an_eighth() -> None:
    policy = measured(fetch=32 * MS, compute=1 * MS)
    assert policy.depth == 36, "1.1 times 32 are 35.2"
    depths = [policy.depth]
    for _ in range(1000):
        policy.fetched(1 * MS)
        if policy.depth != depths[-1]:
            depths.append(policy.depth)
    assert depths == [36, 32, 28, 25, 22, 20, 18, 16, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]
    moved = [policy.fetched(20 * MS) for _ in range(32)]
    assert moved.count(True) == 1
    assert (policy.depth, policy.reason) == (22, "2 → 22: p95 fetch 20 ms > p50 work 1 ms")


def test_the_load_of_the_work_is_part_of_a_fetch() -> None:
    policy = measured(fetch=1 * MS, compute=10 * MS)
    for _ in range(32):
        policy.loaded(24 * MS)
    assert (policy.depth, policy.reason) == (3, "1 → 3: p95 fetch with load 25 ms > p50 work 10 ms")


def test_depths_are_whole_batches() -> None:
    policy = Lookahead(batch=3)
    assert (policy.depth, policy.reason) == (3, "3: nothing measured yet")
    depths = {policy.depth}
    for fetch in [31 * MS] * 128 + [1 * MS] * 1000:
        policy.fetched(fetch)
        policy.computed(3 * MS, 3)
        depths.add(policy.depth)
    assert sorted(depths) == [3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36]
    assert policy.depth == 3
    assert policy.reason == "6 → 3: p95 fetch 1 ms ≤ p50 batch 3 ms"


def test_the_deepest_is_whole_batches_too() -> None:
    assert measured(fetch=1000.0, compute=1e-6, batch=3).depth == MAX_LOOKAHEAD // 3 * 3
    size = 2 * MAX_LOOKAHEAD
    assert measured(fetch=1000.0, compute=1e-6, batch=size).depth == size  # one batch, however large


def test_a_stall_shows_that_the_world_has_changed_before_the_window_does() -> None:
    policy = measured(fetch=10 * MS, compute=10 * MS)
    assert [policy.fetched(1.0), policy.stalled()] == [False, False]  # one long fetch is an accident
    assert [policy.fetched(1.0), policy.stalled()] == [False, True]
    assert (policy.depth, policy.reason) == (110, "2 → 110: a stall: lately fetch 1 s, work 10 ms")
    assert not policy.stalled()


def test_items_that_became_small_are_noticed_within_eight() -> None:
    policy = measured(fetch=10 * MS, compute=100 * MS)
    noticed = []
    for _ in range(8):
        policy.computed(1 * MS, 1)
        noticed.append(policy.stalled())
    assert noticed.index(True) < 4
    assert policy.depth == 11
    assert policy.reason.endswith("a stall: lately fetch 10 ms, work 1 ms")


@pytest.mark.parametrize(
    ("computes", "fetch", "patience", "age", "rest"),
    [
        (
            [10 * MS] * 128,
            5 * MS,
            30 * MS,
            30 * MS,
            30 * MS,
        ),  # none was ever longer: two computes and two fetches
        (
            [1 * MS] * 2 + [10 * MS] * 2,
            0.0,
            12.5 * MS,
            12.5 * MS,
            12.5 * MS,
        ),  # or a quarter more than the longest
        ([1 * MS] * 19 + [200 * MS], 1 * MS, 1 * MS, 1 * MS, 199 * MS),  # what is not small is large
        ([1 * MS] * 19 + [200 * MS], 1.0, 2.0219, 2.0219, 2.0219),  # nobody is served that soon
        ([1 * MS, 2 * MS, 3 * MS, 4 * MS], 0.0, 5 * MS, 5 * MS, 5 * MS),
        ([1.0 + i * 1e-3 for i in range(122)] + [20.0] * 6, 0.1, 1.115, 1.116, 18.884),  # the last six
        ([1.0 + i * 1e-3 for i in range(121)] + [20.0] * 7, 0.1, 1.113, 1.114, 18.886),  # or seven
    ],
)
def test_patience_ends_where_the_rest_is_likely_to_last(
    computes: list[float], fetch: float, patience: float, age: float, rest: float
) -> None:
    assert patience_of(sorted(computes), sum(computes) / len(computes) + fetch) == pytest.approx(patience)
    policy = learned(computes, fetch)
    assert policy.patience == pytest.approx(patience)
    assert policy.rest(age) == pytest.approx(rest)


@pytest.mark.parametrize("large", [6, 7])
def test_what_patience_calls_likely_to_last_rest_does_too(large: int) -> None:
    policy = learned([1.0 + i * 1e-3 for i in range(128 - large)] + [20.0] * large, fetch=0.1)
    assert policy.rest(policy.patience) > 18.0


def test_rest_is_a_quantile_of_what_the_longer_ones_had_left() -> None:
    policy = learned([index * MS for index in range(1, 101)])
    assert policy.rest(20 * MS) == pytest.approx(41 * MS), "half of 21 to 100 end before 61"
    assert policy.rest(20 * MS, 0.25) == pytest.approx(21 * MS)
    assert policy.rest(20 * MS, 0.75) == pytest.approx(61 * MS)
    assert policy.rest(98.5 * MS) == pytest.approx(1.5 * MS), "99 is longer, and 100"
    assert policy.rest(99 * MS) == pytest.approx(1 * MS), "100 alone is longer"


def test_what_lasts_longer_than_all_before_it_goes_on_as_long_again() -> None:
    policy = measured(fetch=1 * MS, compute=10 * MS)
    assert policy.rest(10 * MS) == pytest.approx(10 * MS), "as long as the longest: none lasted longer"
    assert policy.rest(22 * MS) == pytest.approx(22 * MS)
    assert policy.rest(3.0) == pytest.approx(3.0)
    assert policy.rest(3.0, 0.25) == pytest.approx(1.0), "with one chance in four it ends within a third"
    assert policy.rest(3.0, 0.75) == pytest.approx(9.0)
    assert Lookahead().rest(3.0) == pytest.approx(3.0), "nothing is known"


@pytest.mark.parametrize(
    ("age", "soon"),
    [
        (None, 3),  # at 0, 1 and 2 of 2.5 seconds
        (0.0, 2),  # at 1 and 2
        (0.75, 3),
        (1.0, 2),  # longer than ever: as long again
        (2.5, 0),
        (9.0, 0),
    ],
)
def test_soon_is_what_begins_before_a_move_is_over(age: float | None, soon: int) -> None:
    policy = learned([1.0] * 20, fetch=2.5)
    assert policy.move == 2.5
    assert policy.soon(age) == soon


def test_behind_a_batch_begins_what_is_left_when_it_has_taken_its_time() -> None:
    policy = measured(fetch=100 * MS, compute=10 * MS, batch=32)
    assert policy.soon(0.0) == policy.soon(0.1) == 0, "it goes on for 320 ms"
    assert policy.soon(0.25) == 32, "and then comes the next batch as a whole"


def test_nothing_is_known_to_begin_soon_as_long_as_nothing_is_known() -> None:
    assert Lookahead().soon(None) == 0
    assert learned([1.0] * 20).soon(None) == 0


@pytest.mark.parametrize(
    ("eager", "batch", "depth"), [(True, 1, 16), (False, 1, 1), (True, 5, 5), (False, 5, 5)]
)
def test_the_first_depth_is_sixteen_where_items_cost_nothing_before_they_run(
    eager: bool, batch: int, depth: int
) -> None:
    policy = Lookahead(batch=batch, eager=eager)
    assert (policy.depth, policy.reason) == (depth, f"{depth}: nothing measured yet")
    assert Lookahead(3, batch, eager=eager).depth == 3


def test_patience_before_anything_is_known_is_half_a_second() -> None:
    policy = Lookahead()
    assert policy.patience == 0.5
    policy.fetched(0.4)
    assert policy.patience == pytest.approx(0.8), "two fetches, where that is longer"
    policy.computed(1.0, 1)
    assert policy.patience == pytest.approx(2 * 1.4)
    assert Lookahead().patience_after(2.0) == 4.0, "two computes, if they all last as long"


def just_reviewed() -> Lookahead:
    """A policy for items of 10 ms that does not look at its measurements soon."""
    policy = measured(fetch=1 * MS, compute=10 * MS)
    policy._since_review = 0
    return policy


def test_five_long_calls_in_a_row_are_no_exception() -> None:
    policy = just_reviewed()
    assert policy.patience == pytest.approx(22 * MS)
    for seconds in (1.0, 10 * MS, 1.0, 1.0, 1.0):
        policy.computed(seconds, 1)
        assert policy.patience == pytest.approx(22 * MS), "four in a row are an exception"
    policy.computed(2.0, 1)
    assert policy.patience == pytest.approx(2.5), "a fifth one may take as long as the fourth did"
    policy.computed(1.0, 1)
    assert policy.patience == pytest.approx(1.25)
    policy.computed(10 * MS, 1)
    assert policy.patience < 0.1


def test_a_slice_of_many_items_is_no_long_call() -> None:
    """Of several, some were long and some were not: that the next ones are long as well is not likely."""
    policy = just_reviewed()
    for _ in range(4):
        policy.computed(100 * MS, 1)
    assert policy.patience == pytest.approx(125 * MS)
    policy.computed(2 * 100 * MS, 2)
    assert policy.patience == pytest.approx(22 * MS)


def test_the_longest_item_of_a_slice_counts_by_itself_if_it_was_long() -> None:
    policy = just_reviewed()
    policy.computed(190 * MS + 200 * MS, 20, 200 * MS)
    assert list(policy._computes)[-2:] == [200 * MS, pytest.approx(10 * MS)]
    assert list(policy._counts)[-2:] == [1, 19]
    policy.computed(200 * MS, 20, 20 * MS)
    assert (policy._computes[-1], policy._counts[-1]) == (10 * MS, 20), "a usual one is one of many"


def test_the_mean_is_that_of_items_however_many_were_measured_together() -> None:
    policy = Lookahead()
    for _ in range(64):
        policy.computed(9 * MS + 91 * MS, 10, 91 * MS)
    assert policy.mean_compute == pytest.approx(10 * MS)
    assert policy.usual == pytest.approx(1 * MS)


def test_patience_with_a_batch_is_that_of_an_item_and_the_usual_time_of_the_others() -> None:
    policy = measured(fetch=1 * MS, compute=10 * MS, batch=4)
    assert policy.patience == pytest.approx((30 + 22) * MS)
    assert policy.patience_after(52 * MS) == pytest.approx(1.25 * 52 * MS)
    assert policy.rest(52 * MS) == pytest.approx(22 * MS), "as long again as one item has lasted"


def test_patience_lasts_longer_every_time() -> None:
    policy = learned([1 * MS] * 119 + [40 * MS] * 6 + [400 * MS] * 3, fetch=1 * MS)
    assert policy.patience == 1 * MS, "what is not small is likely to last 40 ms"
    assert policy.patience_after(2 * MS) == 40 * MS, "what lasts longer is likely to last 400 ms"
    assert policy.patience_after(40 * MS) == pytest.approx(500 * MS), "a quarter more than the longest"
    assert policy.patience_after(500 * MS) == pytest.approx(625 * MS), "and a quarter more every time"


def test_a_move_says_what_limits_it() -> None:
    policy = measured(fetch=1.0, compute=1 * MS, times=1)
    assert policy.reason == "1 → 32: p95 fetch 1 s > p50 work 1 ms, too little measured for more"
    assert measured(fetch=99.0, compute=1 * MS, times=200).reason.endswith("p50 work 1 ms, the most there is")
    policy = measured(fetch=32 * MS, compute=1 * MS)
    while not policy.fetched(1 * MS):
        pass
    assert policy.reason == "36 → 32: p95 fetch 1 ms and a tenth > p50 work 1 ms, by an eighth at a time"


def test_a_depth_for_the_sake_of_one_short_item_in_twenty_says_so() -> None:
    policy = Lookahead()
    for index in range(128):
        policy.fetched(5 * MS)
        policy.computed((1 if index % 10 == 0 else 10) * MS, 1)
    assert policy.depth == 2
    assert policy.reason.endswith("p95 fetch 5 ms > p5 work 1 ms")


def quiet(times: int, *, fetch: float = 10 * MS, idle: float = 50 * MS) -> Lookahead:
    """Items of 1 ms that come so far apart."""
    policy = Lookahead()
    for _ in range(times):
        policy.fetched(fetch)
        policy.idled(idle, 1)
        policy.computed(MS, 1)
    return policy


def test_where_every_item_finds_the_worker_idle_for_want_of_work_it_settles_on_one() -> None:
    assert quiet(48).depth == 11
    policy = quiet(200)
    assert policy.depth == 1
    assert (
        policy.reason
        == "11 → 1: items come too far apart: 64 in a row were waited for longer than a fetch, 10 ms"
    )


def test_it_looks_ahead_again_as_soon_as_one_item_comes_sooner() -> None:
    policy = quiet(200)
    policy.idled(5 * MS, 1)
    policy.fetched(10 * MS)
    assert policy.depth == 11


def test_several_items_at_once_are_something_to_look_ahead_at() -> None:
    policy = quiet(63)
    for _ in range(64):
        policy.idled(50 * MS, 2)
        policy.fetched(10 * MS)
        policy.computed(MS, 1)
    assert policy.depth == 11


def test_a_guess_that_was_far_off_goes_at_once() -> None:
    policy = Lookahead(eager=True)
    policy.fetched(10 * MS)
    assert policy.computed(100 * MS, 1)
    assert (policy.depth, policy.reason) == (1, "16 → 1: p95 fetch 10 ms ≤ p50 work 100 ms")
    policy = Lookahead(eager=True)
    policy.fetched(10 * MS)
    policy.computed(1.2 * MS, 1)
    assert policy.reason == "16 → 14: p95 fetch 10 ms > p50 work 1.2 ms, by an eighth at a time"


def test_items_that_come_within_a_fetch_of_each_other_are_reason_enough_to_look_ahead() -> None:
    assert quiet(400, idle=9 * MS).depth == 11


@pytest.mark.parametrize("depth", [0, 1, 7])
def test_a_fixed_depth_never_moves(depth: int) -> None:
    policy = Lookahead(depth)
    moved = [policy.fetched(1.0), policy.computed(1 * MS, 1), policy.stalled(), policy.loaded(1.0)]
    assert moved == [False] * 4
    assert (policy.depth, policy.reason) == (depth, f"{depth}: fixed by the user")
    assert policy.mean_compute == 1 * MS


@pytest.mark.parametrize(
    ("compute", "bundle"), [(1.0, 1), (43 * MS, 1), (0.5 * MS, 128), (40e-6, 1600), (0.0, MAX_BUNDLE)]
)
def test_a_bundle_is_64_milliseconds_of_work(compute: float, bundle: int) -> None:
    assert measured(fetch=1 * MS, compute=compute).bundle == bundle


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (5e-6, "5 µs"),
        (999.4e-6, "999 µs"),
        (999.7e-6, "1 ms"),
        (0.0415, "41.5 ms"),
        (0.9997, "1 s"),
        (12.34, "12.3 s"),
        (1234.5, "1234 s"),
    ],
)
def test_durations_are_written_as_people_do(seconds: float, text: str) -> None:
    policy = measured(fetch=seconds, compute=10_000.0, times=1)
    assert policy.reason == f"1: p95 fetch {text} ≤ p50 work 10000 s"


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^lookahead: expected 'auto' or a number from 0, got -1$"):
        Lookahead(-1)
    with pytest.raises(ValueError, match=r"^batch_size: expected a number from 1, got 0$"):
        Lookahead(batch=0)
