"""No thread of a flow outlives its test."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from tests.surface.overlapping.desk import join_ours, threads_of_ours


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    gc.collect()
    join_ours()
    assert threads_of_ours() == []
