"""Faults × moments on workers. The check is always the same and exact: each item has one outcome.

What is charged is checked as well: with one retry, a fault that is committed once costs nobody its result.
"""

from __future__ import annotations

import functools
import itertools
import os
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.faults.saboteur import BAD, Saboteur

import pullahead as pa
from pullahead.errors import ActorDiedError, ItemTimeoutError

COUNT = 40
LIMIT = 0.5

DEATHS = ("exit", "kill", "segfault")
HANGS = ("stop", "hang")
RAISES = ("raise", "memory")
#: What can be interrupted for an item that takes too long; a constructor or `close` is not an item's.
STEPS = ("unpickle", "load", "process", "pickle", "store")

CELLS = [
    *itertools.product((*DEATHS, *HANGS, *RAISES), STEPS),
    *itertools.product(DEATHS, ("build", "close")),
]


class Plain:
    """The saboteur, built in each worker. Only the verbs that take part are there."""

    def __init__(self, saboteur: Saboteur) -> None:
        self.saboteur = saboteur.build()

    def process(self, item: int) -> Any:
        return self.saboteur.process(item)

    def close(self) -> None:
        self.saboteur.close()


class Loading(Plain):
    def load(self, item: int) -> int:
        return self.saboteur.load(item)


class Storing(Plain):
    def store(self, result: Any, item: int) -> Any:
        return self.saboteur.store(result, item)


def outcomes(
    folder: Path, fault: str, moment: str, *, times: int = 1, **options: Any
) -> tuple[list[int], list[pa.Failure], Counter[str]]:
    """Run it. Return results, failures, and how often each item came to `process`."""
    saboteur = Saboteur(str(folder), fault, moment, times)
    shape = {"load": Loading, "store": Storing}.get(moment, Plain)
    work = functools.partial(shape, saboteur)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what `close` raised
        everything = list(
            pa.map(
                work,
                saboteur.items(COUNT),
                workers=2,
                item_timeout=LIMIT,
                grace=2.0,
                on_error="collect",
                ordered=False,
                **options,
            )
        )
    runs = Counter(path.name.split()[1] for path in folder.glob("process *"))
    failures = [one for one in everything if isinstance(one, pa.Failure)]
    return sorted(one for one in everything if not isinstance(one, pa.Failure)), failures, runs


@pytest.mark.parametrize(("fault", "moment"), CELLS)
def test_a_fault_that_happens_once_costs_nobody_its_result(tmp_path: Path, fault: str, moment: str) -> None:
    done, failures, runs = outcomes(tmp_path, fault, moment, retries=1)
    assert done == list(range(COUNT))
    assert failures == []
    assert all(runs[str(item)] >= 1 for item in range(COUNT))
    if fault in RAISES and moment != "store":
        assert sum(runs.values()) <= COUNT + 1, "nothing but the bad one is computed again"


@pytest.mark.parametrize(("fault", "moment"), [cell for cell in CELLS if cell[1] in STEPS])
def test_a_fault_that_happens_always_ends_its_item(tmp_path: Path, fault: str, moment: str) -> None:
    done, failures, _ = outcomes(tmp_path, fault, moment, times=99, retries=1)
    failed = {one.item if isinstance(one.item, int) else one.item.value: one for one in failures}
    assert sorted([*done, *failed]) == list(range(COUNT)), "each item has one outcome"
    kinds: dict[str, type[Exception]] = {"raise": LookupError, "memory": MemoryError}
    kinds |= dict.fromkeys(DEATHS, ActorDiedError)
    kinds |= dict.fromkeys(HANGS, ItemTimeoutError)
    for failure in failures:
        assert [type(attempt.error) for attempt in failure.history] == [kinds[fault]] * 2
    if (fault in DEATHS and moment == "store") or (fault == "stop" and moment in {"load", "store"}):
        # What was being stored beside it both times is charged as well; and a process that is stopped stops
        # whatever else it was loading or storing.
        assert BAD in failed
    else:
        assert set(failed) == {BAD}


@pytest.mark.parametrize("batch_size", [4, 16])
@pytest.mark.parametrize("fault", [*DEATHS, *HANGS])
def test_of_batches_only_the_one_that_ran_is_charged(tmp_path: Path, fault: str, batch_size: int) -> None:
    saboteur = Saboteur(str(tmp_path), fault, "process", 99)
    results = pa.map(
        functools.partial(in_batches, saboteur),
        range(COUNT),
        workers=2,
        item_timeout=LIMIT / batch_size,
        batch_size=batch_size,
        on_error="collect",
        pairs=True,
    )
    failed = {item for item, result in results if isinstance(result, pa.Failure)}
    assert BAD in failed
    assert len(failed) <= batch_size
    assert sorted(failed) == list(range(min(failed), min(failed) + len(failed))), "they were in one batch"


def in_batches(saboteur: Saboteur, items: list[int]) -> list[int]:
    for item in items:
        if item == BAD:
            saboteur.at("process", item)
    return items


class Neighbours:
    """Item 1 computes for as long as it takes the load of item 2, which kills the worker, to begin."""

    def load(self, item: int) -> int:
        if item == 2:
            time.sleep(0.1)  # until item 1 runs
            os._exit(3)
        return item

    def process(self, item: int) -> int:
        if item == 1:
            time.sleep(0.5)
        return item


def test_who_computes_beside_a_load_that_kills_its_worker_is_charged_once_at_most() -> None:
    everything = list(pa.map(Neighbours, range(6), workers=1, retries=1, on_error="collect"))
    failures = [one for one in everything if isinstance(one, pa.Failure)]
    assert [one for one in everything if not isinstance(one, pa.Failure)] == [0, 1, 3, 4, 5]
    assert [(one.item, one.attempts) for one in failures] == [(2, 2)]
