"""Items that take too long: exactly those are charged, their workers are replaced, all others finish."""

from __future__ import annotations

import functools
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance import works

import pullahead as pa
from pullahead.errors import ItemTimeoutError

LIMIT = 0.4


def outcome(results: Any) -> tuple[list[Any], list[pa.Failure]]:
    everything = list(results)
    return (
        sorted(one for one in everything if not isinstance(one, pa.Failure)),
        [one for one in everything if isinstance(one, pa.Failure)],
    )


@pytest.mark.parametrize("way", ["sleeps", "spins", "keeps the interpreter", "is stopped"])
def test_an_item_that_takes_too_long_fails_and_all_others_finish(way: str) -> None:
    work = functools.partial(works.linger_on_three, way)
    done, failures = outcome(
        pa.map(work, range(40), workers=2, item_timeout=LIMIT, on_error="collect", ordered=False)
    )
    assert done == [item for item in range(40) if item != 3]
    assert [(one.item, one.attempts, type(one.error)) for one in failures] == [(3, 1, ItemTimeoutError)]
    assert str(failures[0].error) == "it took longer than item_timeout=0.4: its worker was killed"


def test_it_is_tried_again_elsewhere_as_often_as_retries_say(tmp_path: Path) -> None:
    work = functools.partial(works.linger_the_first_times, str(tmp_path), 2)
    assert sorted(pa.map(work, range(6), workers=2, item_timeout=LIMIT, retries=2)) == list(range(6))
    tries = Counter(path.name.split("-")[0] for path in tmp_path.iterdir())
    assert tries == {"3": 3} | {str(item): 1 for item in range(6) if item != 3}, "nothing else ran twice"


@pytest.mark.parametrize("hooks", [{"load": works.linger_to_load}, {"load": works.linger_to_load_async}])
def test_a_load_that_hangs_is_charged_and_what_runs_meanwhile_is_not(hooks: dict[str, Any]) -> None:
    work = functools.partial(works.nap, 0.1)
    done, failures = outcome(
        pa.map(work, range(12), workers=1, item_timeout=LIMIT, on_error="collect", **hooks)
    )
    assert done == [item for item in range(12) if item != 3]
    assert [(one.item, one.attempts, type(one.error)) for one in failures] == [(3, 1, ItemTimeoutError)]


def test_a_store_that_hangs_is_charged(tmp_path: Path) -> None:
    done, failures = outcome(
        pa.map(
            works.echo,
            range(12),
            workers=2,
            item_timeout=LIMIT,
            on_error="collect",
            store=works.linger_to_store,
        )
    )
    assert done == [item for item in range(12) if item != 3]
    assert [(one.item, one.attempts, type(one.error)) for one in failures] == [(3, 1, ItemTimeoutError)]


def test_a_batch_has_so_many_times_as_long(tmp_path: Path) -> None:
    work = functools.partial(works.nap_for_each, 0.6 * LIMIT)
    options: dict[str, Any] = {"workers": 1, "item_timeout": LIMIT, "batch_size": 3, "on_error": "collect"}
    assert outcome(pa.map(work, range(3), **options)) == ([0, 1, 2], [])
    done, failures = outcome(pa.map(functools.partial(works.nap_for_each, 1.5 * LIMIT), range(3), **options))
    assert done == []
    assert sorted(one.item for one in failures) == [0, 1, 2], "which of them was to blame, nobody knows"


def test_of_a_batch_that_is_cut_only_the_part_that_hangs_is_charged() -> None:
    work = functools.partial(works.refuse_then_linger, 5, 2)
    options: dict[str, Any] = {"workers": 1, "item_timeout": LIMIT, "batch_size": 8, "on_error": "collect"}
    done, failures = outcome(pa.map(work, range(8), **options))
    assert {one.item: type(one.error) for one in failures} == {2: ItemTimeoutError, 5: LookupError}
    assert done == [0, 1, 3, 4, 6, 7]


def test_a_limit_of_any_length_is_honoured() -> None:
    assert list(pa.map(works.echo, range(3), workers=1, item_timeout=1e300)) == [0, 1, 2]


def test_idle_workers_and_many_short_items_outlive_the_limit() -> None:
    with pa.Pool(works.echo, workers=2, item_timeout=0.1) as pool:
        assert list(pool.map(range(2000))) == list(range(2000))
        time.sleep(0.3)
        assert list(pool.map(range(2000))) == list(range(2000))


@pytest.mark.parametrize(
    ("limit", "error", "text"),
    [
        ("1", TypeError, "item_timeout: expected seconds or None, got '1'"),
        (True, TypeError, "item_timeout: expected seconds or None, got True"),
        (0, ValueError, "item_timeout: expected seconds above 0 or None, got 0"),
        (float("inf"), ValueError, "item_timeout: expected seconds above 0 or None, got inf"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(limit: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        pa.map(works.echo, [1], item_timeout=limit)
    assert str(caught.value) == text
