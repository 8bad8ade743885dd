"""What is the local engine's alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.engines import running


@pytest.fixture(scope="module", autouse=True)
def engine() -> Iterator[str]:
    """Run the module's tests on the local engine."""
    with running("local") as name:
        yield name
