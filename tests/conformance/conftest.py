"""The engines that the suite runs on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pullahead import actors


@pytest.fixture(scope="module", params=["local"], autouse=True)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the module's tests on each engine. An engine that starts slowly starts once per module."""
    name: str = request.param
    actors.init(name)
    yield name
    actors.shutdown()
