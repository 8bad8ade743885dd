"""The engines that the main job is tested on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.differences import DIFFERENCES, Differences
from tests.engines import ENGINES, running


@pytest.fixture
def differs(engine: str) -> Differences:
    """What is particular about this engine."""
    return DIFFERENCES[engine]


@pytest.fixture(scope="module", params=ENGINES, autouse=True)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the module's tests on each engine."""
    with running(request.param) as name:
        yield name
