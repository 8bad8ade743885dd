"""The engines that the main job is tested on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.engines import ENGINES, running


@pytest.fixture(scope="module", params=ENGINES[:1], autouse=True)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the module's tests on each engine."""
    with running(request.param) as name:
        yield name
