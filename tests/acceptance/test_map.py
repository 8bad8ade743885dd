"""`pullahead.map` does what its documentation says, on real processes."""

from __future__ import annotations

import asyncio
import functools
import gc
import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance import works
from tests.differences import Differences

import pullahead as pa
from pullahead.errors import ActorDiedError, RemoteError, RunError


def test_results_come_in_order() -> None:
    assert list(pa.map(works.square, range(1000), workers=2)) == [x * x for x in range(1000)]


def test_results_come_out_of_order_exactly_once() -> None:
    results = pa.map(works.square, range(1000), workers=2, ordered=False)
    assert Counter(results) == Counter(x * x for x in range(1000))


def test_pairs() -> None:
    assert list(pa.map(works.square, [3, 1, 2], workers=2, pairs=True)) == [(3, 9), (1, 1), (2, 4)]


def test_no_items() -> None:
    results = pa.map(works.square, [], workers=2)
    assert list(results) == []
    assert (results.report.done, results.report.left) == (0, 0)


def test_several_workers_take_part() -> None:
    def slow_pid(_: int) -> int:
        time.sleep(0.01)
        return os.getpid()

    pids = set(pa.map(slow_pid, range(100), workers=2))
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_a_lambda_and_a_closure() -> None:
    base = 10
    assert list(pa.map(lambda x: x + base, range(3), workers=1)) == [10, 11, 12]


def test_process_runs_on_the_main_thread() -> None:
    assert set(pa.map(works.thread_of, range(20), workers=2)) == {"MainThread"}


def test_an_endless_generator_is_read_only_as_far_as_needed() -> None:
    pulled = itertools.count()
    last = 0

    def endless() -> Iterator[int]:
        nonlocal last
        for last in pulled:  # noqa: UP028  `last` is looked at from outside
            yield last

    with pa.map(works.echo, endless(), workers=2) as results:
        first = list(itertools.islice(results, 100))
        time.sleep(0.3)  # sleeps so that a feeder without bounds would run away
        assert last < 20_000
    assert first == list(range(100))
    stopped_at = last
    time.sleep(0.2)  # sleeps so that a feeder that was not stopped would go on
    assert last == stopped_at


def test_a_slow_consumer_holds_the_source_back() -> None:
    seen: list[int] = []

    def source() -> Iterator[int]:
        for i in range(100_000):
            seen.append(i)
            yield i

    with pa.map(works.echo, source(), workers=2) as results:
        next(results)
        time.sleep(0.5)  # sleeps to be slow
        before = len(seen)
        time.sleep(0.3)  # sleeps to see that nothing moves
        assert len(seen) == before < 50_000


def test_an_exception_keeps_its_type_and_names_the_item() -> None:
    results = pa.map(works.fail_on_three, range(100), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LookupError, match="three") as caught:
        next(results)
    assert any("item 3" in note for note in caught.value.__notes__)
    assert "fail_on_three" in str(caught.value.__cause__)
    assert list(results) == []


def test_failures_are_values_when_collected() -> None:
    results = list(pa.map(works.fail_on_three, range(6), workers=2, on_error="collect"))
    failure = results.pop(3)
    assert results == [0, 1, 2, 4, 5]
    assert isinstance(failure, pa.Failure)
    assert (failure.item, failure.attempts, type(failure.error)) == (3, 1, LookupError)
    assert "fail_on_three" in failure.traceback


def test_an_exception_that_does_not_unpickle_by_itself_keeps_its_type() -> None:
    (failure,) = pa.map(works.raise_two_arguments, [1], workers=1, on_error="collect")
    assert type(failure.error) is works.TwoArguments
    assert (failure.error.args, failure.error.second) == (("one",), "two")


def test_an_exception_that_cannot_be_pickled_arrives_as_text() -> None:
    (failure,) = pa.map(works.raise_with_a_lock, [1], workers=1, on_error="collect")
    assert isinstance(failure.error, RemoteError)
    assert "ValueError: <unlocked" in str(failure.error)


@pytest.mark.parametrize("seconds", [0.0, 0.0005, 0.002])
@pytest.mark.parametrize("retries", [0, 2])
def test_only_the_item_that_kills_its_worker_is_charged(tmp_path: Path, seconds: float, retries: int) -> None:
    """Small items begin by the slice; which of them it was is known all the same."""
    work = functools.partial(works.exit_on_seventy, str(tmp_path), seconds)
    results = list(pa.map(work, range(150), workers=2, retries=retries, on_error="collect"))
    failures = [result for result in results if isinstance(result, pa.Failure)]
    assert [(failure.item, failure.attempts) for failure in failures] == [(70, 1 + retries)]
    assert [type(failure.error) for failure in failures] == [ActorDiedError]
    assert failures[0].traceback == "", "nothing was raised anywhere"
    assert len(list(tmp_path.iterdir())) == 1 + retries
    assert [result for result in results if result not in failures] == [x for x in range(150) if x != 70]


def test_only_the_batch_that_kills_its_worker_is_charged() -> None:
    results = list(
        pa.map(works.batch_exit_on_seventy, range(150), workers=2, batch_size=4, on_error="collect")
    )
    failed = [result.item for result in results if isinstance(result, pa.Failure)]
    assert 70 in failed
    assert len(failed) <= 4
    assert failed == list(range(failed[0], failed[0] + len(failed)))


def test_a_store_that_kills_its_worker_is_charged() -> None:
    results = list(
        pa.map(works.echo, range(60), workers=1, store=works.store_exit_on_thirty, on_error="collect")
    )
    failed = [result.item for result in results if isinstance(result, pa.Failure)]
    assert 30 in failed


@pytest.mark.parametrize("verb", ["process", "load", "close"])
def test_async_work_that_exits_hangs_nothing(verb: str) -> None:
    work = functools.partial(works.AsyncExit, verb)
    results = list(pa.map(work, range(4), workers=1, on_error="collect"))
    if verb == "close":
        assert results == [0, 1, 2, 3]
        return
    (failure,) = [result for result in results if isinstance(result, pa.Failure)]
    assert failure.item == 3
    assert type(failure.error) is (ActorDiedError if verb == "process" else SystemExit)


def test_an_item_behind_a_slow_one_is_not_held_back_by_a_consumer_that_was_busy_once() -> None:
    """Workers say once that they starve. If results were unread then, reading them must make up for it."""
    results = pa.map(works.sleep_on_three, range(400), workers=2)
    assert next(results) == 0
    time.sleep(0.3)  # everything that fits is done meanwhile, and the workers have said that they starve
    assert [next(results), next(results)] == [1, 2]
    deadline = time.monotonic() + 20.0
    while results.report.done < 398 and time.monotonic() < deadline:
        time.sleep(0.01)
    done = results.report.done
    results.close()
    assert done >= 398


def test_a_result_that_cannot_be_pickled_fails_its_item_only() -> None:
    results = list(pa.map(works.unpicklable_result, range(5), workers=1, on_error="collect"))
    assert [r for r in results if not isinstance(r, pa.Failure)] == [0, 1, 2, 4]
    assert isinstance(results[3].error, TypeError)
    assert any("result of `process`" in note for note in results[3].error.__notes__)


def test_an_item_that_cannot_be_pickled_fails_alone() -> None:
    items: list[Any] = [1, threading.Lock(), 2]
    results = list(pa.map(works.echo, items, workers=1, on_error="collect"))
    assert (results[0], results[2]) == (1, 2)
    assert isinstance(results[1], pa.Failure)
    assert results[1].item is items[1]


def test_an_error_of_the_source_comes_after_the_items_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("source")

    results = pa.map(works.echo, source(), workers=2)
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(KeyError, match="source") as caught:
        next(results)
    assert caught.value.__context__ is None, "nothing of ours is shown before it"


def test_a_constructor_that_raises_ends_the_run_with_its_exception() -> None:
    with pytest.raises(ConnectionRefusedError, match="no model here"):
        list(pa.map(works.NotBuilt, itertools.count(), workers=2))


def test_a_class_is_built_once_per_worker_and_every_verb_is_called(
    tmp_path: Path, differs: Differences
) -> None:
    log = tmp_path / "log"
    work = functools.partial(works.Doubling, str(log))
    results = list(pa.map(work, range(20), workers=2))
    assert results == [("stored", i, 2 * i) for i in range(20)]
    lines = Counter(log.read_text().splitlines())
    loaded = {f"load {i}": lines.pop(f"load {i}") for i in range(20)}
    discarded = sum(lines.pop(line) for line in list(lines) if line.startswith("discard"))
    built = lines["built"]
    assert built == 2 or (built == 1 and not differs.places_at_once)
    assert lines == Counter(
        {"built": built, "closed": built}
        | {f"{verb} {i}": 1 for verb in ("process", "store") for i in range(20)}
    )
    assert sum(loaded.values()) == 20 + discarded, "a load that was recalled is cleaned up"


def test_async_load_and_store() -> None:
    assert list(pa.map(works.AsyncDoubling, range(50), workers=2)) == [(i, 2 * i) for i in range(50)]


def test_every_verb_may_be_async(tmp_path: Path) -> None:
    log = tmp_path / "log"
    results = list(pa.map(functools.partial(works.AsyncEverything, str(log)), range(20), workers=1))
    assert results == [(i, 2 * i) for i in range(20)]
    assert Counter(log.read_text().splitlines()) == Counter(
        {"closed on 1 loop": 1}
        | {f"{verb} {i}": 1 for verb in ("load", "process", "store") for i in range(20)}
    )


def test_an_async_discard_is_finished_before_the_worker_ends(tmp_path: Path) -> None:
    log = tmp_path / "log"
    work = functools.partial(works.AsyncEverything, str(log), 0.1)  # so long that others are loaded meanwhile
    with pa.map(work, itertools.count(), workers=1, lookahead=4, ordered=False) as results:
        next(results)
    lines = Counter(log.read_text().splitlines())
    loads, processed = (sum(line.startswith(verb) for line in lines) for verb in ("load", "process"))
    assert sum(line.startswith("discard") for line in lines) == loads - processed > 0
    assert lines["closed on 1 loop"] == 1


@pytest.mark.parametrize("work", [works.add_one, works.AsyncCall(), functools.partial(works.add_one)])
def test_an_async_function_is_work(work: Any) -> None:
    assert list(pa.map(work, range(20), workers=2)) == list(range(1, 21))


def test_a_load_that_only_its_result_shows_to_be_async() -> None:
    results = pa.map(works.square, range(10), load=lambda x: works.add_one(x), workers=1)
    assert list(results) == [(x + 1) ** 2 for x in range(10)]


@pytest.mark.parametrize("verb", ["load", "store"])
def test_a_cancelled_coroutine_fails_its_item_only(verb: str) -> None:
    hook: Any = works.fail_asynchronously
    if verb == "store":
        hook = works.store_asynchronously
    results = list(pa.map(works.echo, range(6), workers=1, on_error="collect", **{verb: hook}))
    assert [r for r in results if not isinstance(r, pa.Failure)] == [0, 1, 2, 4, 5]
    (failure,) = [r for r in results if isinstance(r, pa.Failure)]
    assert failure.item == 3
    assert "CancelledError" in failure.traceback


def test_load_and_store_for_a_function() -> None:
    results = pa.map(
        works.square, range(20), workers=2, load=lambda x: x + 1, store=lambda result, item: (item, result)
    )
    assert list(results) == [(x, (x + 1) ** 2) for x in range(20)]


def test_load_runs_while_process_computes() -> None:
    def load(x: int) -> int:
        time.sleep(0.02)
        return x

    def process(x: int) -> int:
        time.sleep(0.005)
        return x

    results = pa.map(process, range(60), load=load, workers=1)
    assert list(results) == list(range(60))
    assert results.report.hidden_seconds > results.report.exposed_seconds


def test_a_failed_load_and_a_failed_store_fail_their_item() -> None:
    (failure,) = [
        r
        for r in pa.map(works.echo, range(6), load=works.fail_to_load, workers=2, on_error="collect")
        if isinstance(r, pa.Failure)
    ]
    assert (failure.item, type(failure.error)) == (3, FileNotFoundError)
    (failure,) = [
        r
        for r in pa.map(works.echo, range(6), store=works.fail_to_store, workers=2, on_error="collect")
        if isinstance(r, pa.Failure)
    ]
    assert (failure.item, type(failure.error)) == (3, PermissionError)


@pytest.mark.parametrize("batch_size", [None, 3])
def test_a_failed_store_is_tried_again_without_computing_again(
    tmp_path: Path, batch_size: int | None
) -> None:
    log = tmp_path / "log"
    work: Any = works.StoresAtLast if batch_size is None else works.StoresBatchesAtLast
    results = pa.map(functools.partial(work, str(log)), range(8), workers=2, retries=2, batch_size=batch_size)
    assert sorted(results) == [(item, 10 * item) for item in range(8)]
    done = Counter(log.read_text().splitlines())
    assert done == {f"process {item}": 1 for item in range(8)} | {f"store {item}": 3 for item in range(8)}


def test_a_store_that_always_fails_ends_with_its_last_error_and_its_attempts(tmp_path: Path) -> None:
    log = tmp_path / "log"
    work = functools.partial(works.StoresAtLast, str(log), failures=9)
    (failure,) = pa.map(work, [5], workers=1, retries=2, on_error="collect")
    assert (failure.item, failure.attempts) == (5, 3)
    assert isinstance(failure.error, OSError)
    assert failure.error.args == ("store 3 of 5",)
    assert Counter(log.read_text().splitlines()) == {"process 5": 1, "store 5": 3}


def test_a_failure_knows_every_attempt_its_worker_and_its_times(tmp_path: Path) -> None:
    began = time.time()
    work = functools.partial(works.StoresAtLast, str(tmp_path / "log"), failures=9)
    results = pa.map(work, [5], workers=1, retries=2, on_error="collect")
    (failure,) = results
    assert [str(attempt.error) for attempt in failure.history] == [f"store {n} of 5" for n in (1, 2, 3)]
    assert all("raise OSError" in attempt.traceback for attempt in failure.history)
    assert failure.error is failure.history[-1].error
    assert failure.traceback == failure.history[-1].traceback
    assert {attempt.worker for attempt in failure.history} == {results.report.workers[0].worker} == {0}
    moments = [moment for attempt in failure.history for moment in (attempt.began, attempt.ended)]
    assert moments == sorted(moments)
    assert began <= moments[0] <= moments[-1] <= time.time()
    assert moments[2] - moments[1] >= 0.04, "a backoff of 0.05 s or more, but for how clocks are read"


def test_a_failure_by_the_loss_of_workers_knows_each_of_them(tmp_path: Path) -> None:
    work = functools.partial(works.exit_on_seventy, str(tmp_path), 0.0)
    results = pa.map(work, [70, 1, 2], workers=1, retries=1, on_error="collect")
    (failure,) = [result for result in results if isinstance(result, pa.Failure)]
    assert [type(attempt.error) for attempt in failure.history] == [ActorDiedError] * 2
    assert [(one.worker, one.began, one.traceback) for one in failure.history] == [(0, None, "")] * 2
    assert failure.attempts == 2


def test_what_no_worker_has_tried_says_so() -> None:
    (failure,) = pa.map(works.echo, [threading.Lock()], workers=1, on_error="collect")
    assert (failure.attempts, [one.worker for one in failure.history]) == (0, [None])
    assert "never tried" in repr(failure)


@pytest.mark.parametrize(
    ("retry_on", "attempts"),
    [
        (OSError, {1: 3, 2: 1}),
        ((OSError, KeyError), {1: 3, 2: 3}),
        (Exception, {1: 3, 2: 3}),
        ((), {1: 1, 2: 1}),
    ],
)
def test_only_what_is_worth_it_is_tried_again(retry_on: Any, attempts: dict[int, int]) -> None:
    results = pa.map(
        works.oserror_or_keyerror, [1, 2], workers=1, retries=2, retry_on=retry_on, on_error="collect"
    )
    assert {failure.item: failure.attempts for failure in results} == attempts


def test_a_lost_worker_is_always_worth_another_attempt(tmp_path: Path) -> None:
    work = functools.partial(works.exit_on_seventy, str(tmp_path), 0.0)
    (failure,) = pa.map(work, [70], workers=1, retries=1, retry_on=OSError, on_error="collect")
    assert failure.attempts == 2


@pytest.mark.parametrize("wrong", ["OSError", OSError(), (OSError, 3), KeyboardInterrupt])
def test_what_is_no_exception_type_cannot_be_retried_on(wrong: Any) -> None:
    with pytest.raises(TypeError, match="retry_on: expected an exception type or a tuple of them, got"):
        pa.map(works.echo, [1], retry_on=wrong)


def test_what_was_asked_for_again_is_no_attempt() -> None:
    (failure,) = pa.map(works.LaterThenReject, [3], workers=1, on_error="collect")
    assert [type(attempt.error) for attempt in failure.history] == [pa.Reject]


def test_batches_are_full_but_for_the_last() -> None:
    sizes = list(pa.map(works.size_of_batch, range(10), batch_size=4, workers=1))
    assert sizes == [4, 4, 4, 4, 4, 4, 4, 4, 2, 2]


def test_batches_with_load() -> None:
    results = list(pa.map(works.BatchSums, range(9), batch_size=3, workers=2, batch_wait=5.0))
    assert [value for value, _ in results] == [x + 100 for x in range(9)]


def test_a_batch_waits_for_more_and_then_goes() -> None:
    def trickle() -> Iterator[int]:
        for i in range(4):
            time.sleep(0.05)  # sleeps so that items come one by one
            yield i

    assert list(pa.map(works.size_of_batch, trickle(), batch_size=2, batch_wait=10.0, workers=1)) == [2] * 4


def test_a_waiting_batch_goes_when_the_source_ends() -> None:
    started = time.monotonic()
    assert list(pa.map(works.size_of_batch, range(3), batch_size=8, batch_wait=30.0, workers=1)) == [3] * 3
    assert time.monotonic() - started < 10.0


@pytest.mark.parametrize(
    ("work", "got"),
    [
        (works.one_short, "got 3"),
        (works.no_list, "got str"),
        (works.as_set, "got set"),
        (works.as_dict, "got dict"),
        (iter, "got list_iterator"),
    ],
)
def test_a_batch_of_the_wrong_length_is_an_error(work: Any, got: str) -> None:
    with pytest.raises(ValueError, match=f"expected a list of 4 results for a batch of 4 items, {got}"):
        list(pa.map(work, range(4), batch_size=4, workers=1))


@pytest.mark.parametrize("bad", [(), (3,), (0, 15), (5, 6, 7), tuple(range(16))])
def test_of_a_batch_that_raises_only_the_items_that_fail_alone_are_charged(
    tmp_path: Path, bad: tuple[int, ...]
) -> None:
    log = tmp_path / "log"
    work = functools.partial(works.refuse_some, str(log), bad)
    results = list(pa.map(work, range(16), batch_size=16, workers=1, on_error="collect", pairs=True))
    failed = {item for item, result in results if isinstance(result, pa.Failure)}
    assert failed == set(bad)
    assert {item: result for item, result in results if item not in failed} == {
        item: 10 * item for item in range(16) if item not in failed
    }
    failures = [result for _, result in results if isinstance(result, pa.Failure)]
    assert all((one.attempts, str(one.error)) == (1, f"[{one.item}]") for one in failures)
    calls = log.read_text().splitlines()
    assert len(calls) <= 1 + 2 * 4 * len(bad), "halves, and halves of halves"


@pytest.mark.parametrize("load", [None, works.in_a_dict, works.in_a_dict_async])
def test_a_part_of_a_batch_gets_its_items_as_they_came(load: Any) -> None:
    """The call that raised had changed them."""
    items: list[Any] = list(range(1, 9)) if load else [{"x": x} for x in range(1, 9)]
    work = functools.partial(works.double_in_place, 3)
    results = list(pa.map(work, items, batch_size=8, workers=1, load=load, on_error="collect"))
    assert [one for one in results if not isinstance(one, pa.Failure)] == [2, 4, 8, 10, 12, 14, 16]


def test_what_asks_for_a_batch_again_later_is_not_cut(tmp_path: Path) -> None:
    log = tmp_path / "log"
    work = functools.partial(works.later_at_first, str(log))
    assert list(pa.map(work, range(8), batch_size=8, workers=1)) == list(range(8))
    first, *others = map(int, log.read_text().splitlines())
    assert first == sum(others) == 8, "nothing was cut; they come back as they fall due"


def test_a_batch_that_rejects_is_cut_as_well() -> None:
    results = list(pa.map(works.reject_odd, range(8), batch_size=8, workers=1, on_error="collect", retries=5))
    failures = [one for one in results if isinstance(one, pa.Failure)]
    assert [one.item for one in failures] == [1, 3, 5, 7]
    assert {(one.attempts, type(one.error)) for one in failures} == {(1, pa.Reject)}


def test_a_batch_may_return_an_array() -> None:
    assert list(pa.map(works.as_array, range(8), batch_size=4, workers=1)) == list(range(8))


def test_a_batch_may_wait_for_longer_than_timers_reach() -> None:
    assert list(pa.map(works.size_of_batch, range(3), batch_size=2, batch_wait=1e300, workers=1)) == [2, 2, 1]


def test_a_result_that_does_not_unpickle_here_fails_its_item_only() -> None:
    results = pa.map(works.poison, range(6), workers=2, on_error="collect")
    values = list(results)
    assert [value for value in values if not isinstance(value, pa.Failure)] == [0, 1, 2, 4, 5]
    (failure,) = [value for value in values if isinstance(value, pa.Failure)]
    assert (failure.item, type(failure.error)) == (3, ImportError)
    assert "cannot be unpickled in this process" in failure.traceback
    assert (results.report.done, results.report.failed, results.report.left) == (5, 1, 0)


def test_a_result_that_does_not_unpickle_here_is_raised_at_its_turn() -> None:
    results = pa.map(works.poison, range(6), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ImportError, match="only there") as caught:
        next(results)
    assert "while working on item 3" in caught.value.__notes__[-1]


def test_an_item_whose_repr_raises_can_fail() -> None:
    with pytest.raises(LookupError) as caught:
        list(pa.map(works.fail_always, [works.Shy()], workers=1))
    assert "while working on item <Shy instance at" in caught.value.__notes__[0]


def test_stop_iteration_from_the_work_does_not_end_the_loop_without_a_word() -> None:
    with pytest.raises(RuntimeError, match="the work raised StopIteration: StopIteration\\(3\\)"):
        list(pa.map(works.stop_iteration, range(6), workers=1))


@pytest.mark.parametrize("kind", [asyncio.CancelledError, GeneratorExit, works.NoException])
@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize("load", [False, True])
def test_whatever_is_raised_fails_its_item_only(
    kind: type[BaseException], batch_size: int | None, load: bool
) -> None:
    raising = works.raise_on_three_in_batches if batch_size and not load else works.raise_on_three
    work = works.echo if load else functools.partial(raising, kind)
    hooks: dict[str, Any] = {"load": functools.partial(raising, kind)} if load else {}
    results = list(pa.map(work, range(8), workers=1, batch_size=batch_size, on_error="collect", **hooks))
    (failure,) = [value for value in results if isinstance(value, pa.Failure)]
    assert (failure.item, type(failure.error)) == (3, kind)
    assert [value for value in results if isinstance(value, int)] == [0, 1, 2, 4, 5, 6, 7]


def test_whatever_is_raised_is_raised_again_and_ends_the_pool(tmp_path: Path) -> None:
    work = functools.partial(works.raise_on_three, asyncio.CancelledError)
    journal = str(tmp_path / "run.db")
    for _ in range(2):  # the journal of the first one is free
        with pytest.raises(asyncio.CancelledError):
            list(pa.map(work, range(8), workers=1, journal=journal))


@pytest.mark.parametrize("verb", ["load", "store"])
def test_an_exit_in_the_background_fails_its_item_only(verb: str) -> None:
    hooks: dict[str, Any] = {"load": works.exit_quietly, "store": lambda _, item: works.exit_quietly(item)}
    results = list(pa.map(works.echo, range(6), workers=1, on_error="collect", **{verb: hooks[verb]}))
    (failure,) = [value for value in results if isinstance(value, pa.Failure)]
    assert (failure.item, type(failure.error)) == (3, SystemExit)


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan"), "1", True, None])
def test_retry_later_says_what_it_expects(seconds: Any) -> None:
    with pytest.raises(ValueError, match="RetryLater: expected seconds from 0 to 31,536,000, got"):
        pa.RetryLater(seconds)


def test_retries(tmp_path: Path) -> None:
    work = functools.partial(works.FailsTwice, str(tmp_path))
    assert list(pa.map(work, range(5), workers=2, retries=2)) == [2] * 5


def test_retries_that_are_not_enough(tmp_path: Path) -> None:
    work = functools.partial(works.FailsTwice, str(tmp_path))
    (failure,) = pa.map(work, [1], workers=2, retries=1, on_error="collect")
    assert failure.attempts == 2
    assert str(failure.error) == "attempt 1"


def test_retry_later_costs_no_attempt(tmp_path: Path) -> None:
    def once_later(item: int) -> int:
        mark = tmp_path / str(item)
        if not mark.exists():
            mark.touch()
            raise pa.RetryLater(0.01)
        return item

    assert list(pa.map(once_later, range(5), workers=2)) == list(range(5))


def test_reject_is_final() -> None:
    def reject(_: int) -> int:
        raise pa.Reject("not mine")

    (failure,) = pa.map(reject, [1], workers=1, retries=5, on_error="collect")
    assert failure.attempts == 1
    assert str(failure.error) == "rejected: not mine"


def test_a_map_feeds_a_map() -> None:
    first = pa.map(works.square, range(300), workers=1)
    assert list(pa.map(works.square, first, workers=1)) == [x**4 for x in range(300)]


def test_leaving_early_gives_back_finishes_and_reports(tmp_path: Path) -> None:
    log = tmp_path / "log"
    work = functools.partial(works.Doubling, str(log))
    results = pa.map(work, range(10_000), workers=2)
    taken = list(itertools.islice(results, 10))
    while log.read_text().count("built") < 2:
        taken.append(next(results))  # until both are there: who is not would not be waited for
    results.close()
    lines = Counter(line.split()[0] for line in log.read_text().splitlines())
    report = results.report
    assert taken == [("stored", i, 2 * i) for i in range(len(taken))]
    assert lines["closed"] == 2
    assert lines["process"] == lines["store"] == report.done
    assert lines["load"] == lines["process"] + lines["discard"]
    assert report.left > 0
    assert list(results) == []


def test_a_break_drains_in_the_background(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for result in pa.map(functools.partial(works.Doubling, str(log)), range(10_000), workers=2):
        assert result[0] == "stored"
        if log.read_text().count("built") == 2:
            break
    gc.collect()
    deadline = time.monotonic() + 20
    while log.read_text().count("closed") < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    lines = Counter(line.split()[0] for line in log.read_text().splitlines())
    assert lines["closed"] == 2
    assert lines["process"] == lines["store"]


def test_a_worker_that_dies_costs_its_running_item_only(differs: Differences) -> None:
    results = list(pa.map(works.exit_on_three, range(40), workers=2, on_error="collect"))
    failures = [r for r in results if isinstance(r, pa.Failure)]
    assert sorted(r for r in results if isinstance(r, int)) == [x for x in range(40) if x != 3]
    assert [failure.item for failure in failures] == [3]
    assert ("exit code 7" in str(failures[0].error)) == differs.knows_exits


def test_workers_that_only_die_end_the_run_with_a_clear_error(differs: Differences) -> None:
    why = "exit code 7" if differs.knows_exits else "exit status is unknown"
    said = rf"\d+ workers died one after the other, and none finished an item: .*{why}"
    workers = 2 if differs.knows_exits else 1  # to start one takes Ray a second
    with pytest.raises(RunError, match=said):
        list(pa.map(works.always_exit, itertools.count(), workers=workers, retries=1000))


def test_an_item_that_kills_its_worker_again_and_again_ends_after_its_attempts_and_all_others_finish(
    tmp_path: Path,
) -> None:
    work = functools.partial(works.exit_on_seventy, str(tmp_path), 0.0)
    results = list(pa.map(work, [70, *range(30)], workers=1, retries=6, on_error="collect"))
    (failure,) = [result for result in results if isinstance(result, pa.Failure)]
    assert (failure.item, failure.attempts) == (70, 7)
    assert sorted(result for result in results if isinstance(result, int)) == list(range(30))
    assert len(list(tmp_path.iterdir())) == 7


def test_threads_of_numeric_libraries_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS"]
    assert list(pa.map(works.environment_of, names, workers=2)) == ["1", "7"]


def test_worker_options_reach_the_actor() -> None:
    options = {"runtime_env": {"env_vars": {"PULLAHEAD_TEST": "here"}}}
    results = pa.map(works.environment_of, ["PULLAHEAD_TEST"], workers=1, worker_options=options)
    assert list(results) == ["here"]
    with pytest.raises(TypeError, match="num_cpus"):
        list(pa.map(works.echo, [1], worker_options={"no_such_option": 1}))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"workers": 0}, ValueError, "workers: expected a number from 1, got 0"),
        ({"workers": 1.5}, TypeError, r"workers: expected a whole number, \(least, most\) or None, got 1.5"),
        (
            {"workers": (0, 8)},
            ValueError,
            r"workers: expected \(least, most\) with 1 <= least <= most, got \(0, 8\)",
        ),
        (
            {"workers": (3, 2)},
            ValueError,
            r"workers: expected \(least, most\) with 1 <= least <= most, got \(3, 2\)",
        ),
        (
            {"workers": (1, 2, 3)},
            TypeError,
            r"workers: expected two whole numbers \(least, most\), got \(1, 2, 3\)",
        ),
        (
            {"workers": (1, "2")},
            TypeError,
            r"workers: expected two whole numbers \(least, most\), got \(1, '2'\)",
        ),
        (
            {"workers": (True, 2)},
            TypeError,
            r"workers: expected two whole numbers \(least, most\), got \(True, 2\)",
        ),
        (
            {"workers": [1, 2]},
            TypeError,
            r"workers: expected a whole number, \(least, most\) or None, got \[1, 2\]",
        ),
        ({"lookahead": -1}, ValueError, "lookahead: expected a number from 0, got -1"),
        ({"lookahead": "many"}, TypeError, "lookahead: expected a whole number or 'auto', got 'many'"),
        ({"batch_size": 0}, ValueError, "batch_size: expected a number from 1, got 0"),
        ({"batch_wait": -1}, ValueError, "batch_wait: expected seconds from 0, got -1"),
        ({"on_error": "ignore"}, ValueError, "on_error: expected 'raise' or 'collect', got 'ignore'"),
        ({"retries": True}, TypeError, "retries: expected a whole number, got True"),
        ({"progress": "yes"}, TypeError, "progress: expected None, True or a function of a report, got"),
        ({"no_such": 1}, TypeError, "no_such: no such option; there are workers, lookahead, batch_size,"),
        ({"ordered": "x"}, TypeError, "ordered: expected True or False, got 'x'"),
        ({"pairs": 1}, TypeError, "pairs: expected True or False, got 1"),
        ({"queues": 0}, ValueError, "queues: expected a number from 1, got 0"),
        ({"queues": "2"}, TypeError, "queues: expected a whole number, got '2'"),
        (
            {"queues": 3, "workers": 2},
            ValueError,
            "queues: expected at most one per worker, of which there are 2, got 3",
        ),
        (
            {"queues": 2, "workers": 2, "journal": "run.db"},
            ValueError,
            "queues: expected 1 with a journal, which is a file with one writer, got 2",
        ),
        (
            {"queues": 2, "workers": (1, 4)},
            ValueError,
            "queues: expected 1 where workers come and go, which one queue has to know of, got 2",
        ),
    ],
)
def test_wrong_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pa.map(works.echo, [1], **options)


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (3, "expected a function of one item, or a class or object with a method `process`, got 3"),
        (int.__class__, "has no method `process`"),
    ],
)
def test_wrong_work(work: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        pa.map(work, [1])


def test_a_string_is_no_source() -> None:
    with pytest.raises(TypeError, match="str"):
        pa.map(works.echo, "somewhere")


def test_the_report_is_live_and_complete(differs: Differences) -> None:
    def work(x: int) -> int:
        time.sleep(0.002)
        return x

    results = pa.map(work, range(200), workers=2, trace=True)
    assert results.report.done < 200
    assert list(results) == list(range(200))
    report = results.report
    assert (report.done, report.failed, report.left, report.total) == (200, 0, 0, 200)
    assert sum(one.items for one in report.workers) == 200
    assert report.lanes == 2 or (report.lanes == 1 and not differs.places_at_once)
    assert 0.2 < sum(one.useful for one in report.workers) / 0.4 < 10
    assert report.trace is not None
    processed = Counter[int]()
    for spans in report.trace.values():
        for span in spans:
            if span.kind == "process":
                processed.update(range(span.item, span.item + span.size))
    assert processed == Counter(range(200))


def test_a_report_without_a_trace_says_how_to_get_one(tmp_path: Path) -> None:
    results = pa.map(works.echo, [1], workers=1)
    list(results)
    with pytest.raises(Exception, match="trace=True"):
        results.report.timeline(tmp_path / "run.svg")


def test_progress_is_called_with_reports() -> None:
    seen: list[int] = []
    list(pa.map(works.echo, range(10), workers=1, progress=lambda report: seen.append(report.done)))
    assert seen[-1] == 10


def test_the_death_of_a_worker_that_runs_nothing_is_charged_to_nobody(tmp_path: Path) -> None:
    work = functools.partial(works.StoresLater, str(tmp_path))
    assert list(pa.map(work, [7], workers=1, retries=0)) == [7]
    assert (tmp_path / "runs").read_text().split() == ["7", "7"], "its result was in the memory of the first"


def test_what_was_loaded_when_its_worker_died_is_not_what_had_run_there_before(tmp_path: Path) -> None:
    work = functools.partial(works.LoadDiesAfterAFailure, str(tmp_path))
    assert list(pa.map(work, [7], workers=1, retries=1)) == [7]
    assert (tmp_path / "died").exists()
