"""Ray Data beside the others: `map_batches` with actors.

Its actors start with each run, and cannot be kept for the next one. So a rate is timed from when all of them
have begun an item until the last result is here, and the items that began before do not count: whoever has
warm actors is timed from the call on.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from time import perf_counter
from typing import Any, Final, NamedTuple, final

from pullahead.cli.bench.case import Absent, Contender, Measured
from pullahead.cli.bench.works import Times, share_on_cpu, times_of, utilization

NAME: Final = "Ray Data map_batches"
#: Items of the first run, which tells how many make a round.
_FIRST: Final = 200
#: Items of a block, at least, and blocks, at most: as many as Ray Data makes by itself.
_ITEMS, _BLOCKS = 20, 200


#: Options of Ray's, for what works on the rows.
Options = Mapping[str, Any]


class Row(NamedTuple):
    """One item: in which process it was computed, and when."""

    pid: int
    times: Times


def contender(work: Callable[[Any], Any], workers: int, seconds: float) -> Contender | Absent:
    """Return it, with rounds of about so many seconds."""
    return missing() or Contender(NAME, _Runs(work, workers, seconds))


def missing() -> Absent | None:
    """Say why it cannot take part; None: it can, and is quiet from now on."""
    try:
        data: Any = import_module("ray.data")
    except ImportError:
        return Absent(NAME, "not installed: pip install 'ray[data]'")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    data.DataContext.get_current().enable_progress_bars = False
    return None


def times_far(
    work: Callable[[Any], Any], make: Callable[[Any], Any], count: int, *, near: Options, far: Options
) -> list[Times]:
    """Make so many blocks of one large row each in one place, and work on them in another.

    Args:
        work: what to do with the number of a row.
        make: from a number to the array that travels with it.
        count: how many there are.
        near: where Ray is to make them.
        far: where it is to work on them, in one actor.
    """
    data: Any = import_module("ray.data")
    made = data.range(count, override_num_blocks=count).map_batches(_Made(make), batch_size=1, **near)
    worked = made.map_batches(
        _Batches,
        fn_constructor_args=(work,),
        batch_size=1,
        compute=data.ActorPoolStrategy(size=1),
        **far,
    )
    return [row.times for row in _rows(worked)]


@final
class _Made:
    """Rows as Ray Data wants them."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return batch | {"array": [self._make(number) for number in batch["id"]]}


class _Batches:
    """The work as Ray Data wants it."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        times = [times_of(self._work, item) for item in batch["id"]]
        columns = dict(zip(Times._fields, map(list, zip(*times, strict=True)), strict=True))
        return {"pid": [os.getpid()] * len(times), **columns}


@final
class _Runs:
    """Does one round, and learns from it how many items the next one needs."""

    def __init__(self, work: Callable[[Any], Any], workers: int, seconds: float) -> None:
        self._work, self._workers, self._seconds = work, workers, seconds
        self._count = _FIRST

    def __call__(self) -> Measured:
        rows, ended = self._run(self._count)
        found, within = rate(rows, ended)
        self._count = max(_FIRST, round(found * self._seconds))
        return Measured(found, share_on_cpu(row.times for row in rows), within)

    def _run(self, count: int) -> tuple[list[Row], float]:
        data: Any = import_module("ray.data")
        strategy = data.ActorPoolStrategy(size=self._workers)
        blocks = max(1, min(_BLOCKS, count // _ITEMS))
        results = data.range(count, override_num_blocks=blocks).map_batches(
            _Batches, fn_constructor_args=(self._work,), batch_size=1, compute=strategy
        )
        rows = _rows(results)
        ended = perf_counter()
        if len(rows) != count:
            raise RuntimeError(f"expected {count} results, got {len(rows)}")
        return rows, ended


def _rows(results: Any) -> list[Row]:
    rows = []
    for batch in results.iter_batches(batch_size=None):
        columns = zip(*(batch[name].tolist() for name in ("pid", *Times._fields)), strict=True)
        rows += [Row(pid, Times(*times)) for pid, *times in columns]
    return rows


def rate(rows: list[Row], ended: float) -> tuple[float, float]:
    """Return items per second, and the utilization, from when every actor had begun one.

    Args:
        rows: all items.
        ended: when the last one was here.
    """
    first: dict[int, float] = {}
    for pid, times in rows:
        first[pid] = min(times.began, first.get(pid, times.began))
    since = max(first.values())
    within = utilization((row.times for row in rows), since, ended, len(first))
    return sum(times.began >= since for _, times in rows) / (ended - since), within
