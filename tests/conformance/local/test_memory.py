"""How much shared memory large values take: it is used again, and given back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from tests.conformance.cast import Arrays

from pullahead import actors

BIG = 1_000_000  # 8 MB of float64


def test_what_the_constructor_drops_is_free() -> None:
    class Brief:
        def __init__(self, weights: Any) -> None:
            self.total = float(weights.sum())

        def mapped(self) -> int:
            return sum("pullahead" in line for line in Path("/proc/self/maps").read_text().splitlines())

        def echo(self, value: Any) -> Any:
            return value

    brief = actors.remote(Brief).remote(np.ones(BIG))
    assert actors.get(brief.mapped.remote()) == 1
    actors.get(brief.echo.remote(np.ones(BIG)))
    assert actors.get(brief.mapped.remote()) <= 2  # the same slab took the message, and one the reply


def test_a_message_reuses_the_memory_of_the_one_before() -> None:
    arrays = Arrays.remote()
    sent = np.ones(BIG)
    for _ in range(30):
        assert actors.get(arrays.facts.remote(sent)) == (BIG, True)
    # One slab is enough, but the notice that it is free may cross the next message.
    assert actors.get(arrays.mapped.remote()) <= 4


def test_descriptors_do_not_grow_with_messages() -> None:
    arrays = Arrays.remote()
    held = [np.ones(10_000) for _ in range(50)]
    actors.get([arrays.facts.remote(array) for array in held])
    before = actors.get(arrays.descriptors.remote())
    kept = actors.get([arrays.echo.remote(array) for array in held])
    assert len(kept) == 50
    assert actors.get(arrays.descriptors.remote()) == before


def test_idle_memory_is_bounded() -> None:
    arrays = Arrays.remote()
    refs = [arrays.length.remote(np.zeros(12_000_000, dtype=np.uint8)) for _ in range(40)]  # 480 MB in all
    assert actors.get(refs) == [12_000_000] * 40
    deadline = time.monotonic() + 5
    while actors.get(arrays.mapped.remote()) > 23 and time.monotonic() < deadline:
        time.sleep(0.01)  # the last notices are on their way
    assert actors.get(arrays.mapped.remote()) <= 23  # 256 MiB are 22 such arrays, and one may be in use
