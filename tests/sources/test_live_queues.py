"""A run finds in each kind of live queue what `docs/design.md` says of all of them."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.sources.queues import QUEUES, Letter, Queue

import pullahead as pa
from pullahead.core.leases import LEAST
from pullahead.core.retry import LONG

#: More items than a run on a live queue takes ahead for one worker.
LATE = 100

every_kind = pytest.mark.parametrize("kind", QUEUES)


def double(x: int) -> int:
    return 2 * x


def after_the_others(folder: Path, x: int) -> int:
    if x < LATE and not (folder / "others").exists():
        raise pa.RetryLater(LONG)
    return x


def odd(x: int) -> int:
    if x == 1:
        raise ValueError("odd")
    return x


@every_kind
def test_a_run_on_a_drained_queue_ends_when_it_is_empty(kind: Any, request: pytest.FixtureRequest) -> None:
    queue: Queue = kind(request, range(50))
    seen: list[tuple[int, int]] = []
    report = pa.run(double, queue.open(), lambda result, item: seen.append((item, result)), workers=2)
    assert sorted(seen) == [(x, 2 * x) for x in range(50)]
    assert (report.done, report.failed, report.left) == (50, 0, 0)
    assert (queue.left(), queue.dead()) == (0, [])


@every_kind
def test_failures_are_dead_letters_with_their_reason(kind: Any, request: pytest.FixtureRequest) -> None:
    queue: Queue = kind(request, range(3))
    seen: list[int] = []
    report = pa.run(odd, queue.open(), lambda r, x: seen.append(x), workers=1, retries=2)
    assert queue.dead() == [Letter(1, "ValueError: odd", 3)]
    assert sorted(seen) == [0, 1, 2]  # the sink hears of it as well
    assert (report.done, report.failed, queue.left()) == (2, 1, 0)


@every_kind
def test_what_is_to_be_tried_later_keeps_no_place_from_the_others(
    kind: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    queue: Queue = kind(request, range(LATE + 20))
    seen: list[int] = []

    def sink(result: int, item: int) -> None:
        seen.append(item)
        if len(seen) == 20:
            (tmp_path / "others").touch()

    report = pa.run(partial(after_the_others, tmp_path), queue.open(), sink, workers=1)
    assert sorted(seen[:20]) == list(range(LATE, LATE + 20))
    assert sorted(seen[20:]) == list(range(LATE))
    assert (report.done, report.failed, report.left) == (LATE + 20, 0, 0)
    assert (queue.left(), queue.dead()) == (0, [])


@every_kind
def test_attempts_of_earlier_consumers_count(kind: Any, request: pytest.FixtureRequest) -> None:
    queue: Queue = kind(request, [1])
    with closing(queue.open()) as dead:
        assert [one.item for one in dead.take(1)] == [1]  # and dies
        queue.pass_time(LEAST + 1)
        pa.run(odd, queue.open(), workers=1)
        assert queue.dead() == [Letter(1, "ValueError: odd", 2)]


@every_kind
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ordered": True}, "ordered: expected False or nothing with a live queue"),
        ({"journal": "run.db"}, "journal: expected none with a live queue"),
    ],
)
def test_what_a_live_queue_cannot_do_is_refused_with_a_reason(
    options: dict[str, Any], said: str, kind: Any, request: pytest.FixtureRequest
) -> None:
    queue: Queue = kind(request, [1])
    for call in (pa.map, pa.run):
        with closing(queue.open()) as source, pytest.raises(ValueError, match=said):
            call(double, source, **options)
    assert queue.left() == 1
