"""Counts of refs: whatever way a ref goes, its value lives as long as the last of them, and no longer."""

from __future__ import annotations

import gc
import random
from typing import Any

import pytest
from tests.faults.procs import until

from pullahead import actors
from pullahead.actors.local.ownership import Objects


def objects() -> Objects:
    """Return the tables of this process."""
    found: Objects = actors.api.current_engine().runtime.objects  # type: ignore[attr-defined]  # the local engine's
    return found


class Holder:
    """Keeps refs, and passes them on."""

    def __init__(self) -> None:
        self.refs: list[Any] = []

    def keep(self, refs: list[Any]) -> None:
        self.refs += refs

    def put(self, value: Any) -> list[Any]:
        self.refs.append(actors.put(value))
        return self.refs[-1:]

    def pass_on(self, index: int, other: Any) -> list[Any]:
        if not self.refs:
            return []
        ref = self.refs[index % len(self.refs)]
        actors.get(other.keep.remote([ref]))
        return [ref]

    def drop(self, index: int) -> None:
        if self.refs:
            self.refs.pop(index % len(self.refs))

    def values(self) -> list[Any]:
        return [actors.get(ref) for ref in self.refs]

    def clear(self) -> None:
        self.refs.clear()

    def tables(self) -> tuple[int, int, int]:
        gc.collect()
        mine = objects()
        return len(mine._lent), len(mine._counts), len(mine._borrowed)


def all_free(holders: list[Any]) -> bool:
    """Say whether nobody lends or borrows anything."""
    gc.collect()
    mine = objects()
    here = [(len(mine._lent), len(mine._counts), len(mine._borrowed))]
    return here + actors.get([holder.tables.remote() for holder in holders]) == [(0, 0, 0)] * (
        len(holders) + 1
    )


@pytest.mark.parametrize("seed", range(6))
def test_random_ways_of_refs(seed: int) -> None:
    chance = random.Random(seed)
    # Methods of one holder call another, so each has threads enough for all the others.
    holders = [actors.remote(max_concurrency=8)(Holder).remote() for _ in range(3)]
    mine: list[tuple[actors.ObjectRef, int]] = []
    for step in range(120):
        holder, other = chance.sample(holders, 2)
        action = chance.randrange(6)
        if action == 0:
            mine.append((actors.put(step), step))
        elif action == 1:
            (ref,) = actors.get(holder.put.remote(step))
            mine.append((ref, step))
        elif action == 2 and mine:
            actors.get(holder.keep.remote([chance.choice(mine)[0]]))
        elif action == 3:
            actors.get(holder.pass_on.remote(chance.randrange(9), other))
        elif action == 4:
            actors.get(holder.drop.remote(chance.randrange(9)))
        elif mine:
            mine.pop(chance.randrange(len(mine)))
    assert [actors.get(ref) for ref, _ in mine] == [value for _, value in mine]
    for holder in holders:
        assert all(isinstance(value, int) for value in actors.get(holder.values.remote()))
    mine.clear()
    ref = None
    actors.get([holder.clear.remote() for holder in holders])
    assert until(lambda: all_free(holders), 10), actors.get([h.tables.remote() for h in holders])
    for holder in holders:
        actors.kill(holder)


def test_refs_inside_values_that_nobody_decodes() -> None:
    holder = actors.remote(Holder).remote()
    for _ in range(20):
        holder.put.remote("value")  # its result, a list with a ref, is never looked at
    actors.get(holder.clear.remote())
    assert until(lambda: all_free([holder]), 10)


def test_refs_inside_a_stored_value_live_as_long_as_it() -> None:
    holder = actors.remote(Holder).remote()
    inner = actors.put("inner")
    outer = actors.put([inner])
    del inner
    gc.collect()
    actors.get(holder.keep.remote([outer]))
    del outer
    ((inner_again,),) = actors.get(holder.values.remote())
    assert actors.get(inner_again) == "inner"
    del inner_again
    actors.get(holder.clear.remote())
    assert until(lambda: all_free([holder]), 10)


def test_results_that_are_passed_on_before_they_exist() -> None:
    class Slow:
        def __init__(self) -> None:
            self.go: Any = None

        def wait(self, gate: list[Any]) -> str:
            return str(actors.get(gate[0]))

    slow, holder = actors.remote(Slow).remote(), actors.remote(Holder).remote()

    class Gate:
        def __init__(self) -> None:
            from concurrent.futures import Future

            self.future: Future[str] = Future()

        @actors.method(deferred=True)
        def wait(self) -> Any:
            return self.future

        def open(self) -> None:
            self.future.set_result("open")

    gate = actors.remote(Gate).remote()
    result = slow.wait.remote([gate.wait.remote()])
    actors.get(holder.keep.remote([result]))
    del result
    values = holder.values.remote()
    actors.get(gate.open.remote())
    assert actors.get(values) == ["open"]
    actors.get(holder.clear.remote())
    assert until(lambda: all_free([holder]), 10)
