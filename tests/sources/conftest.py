"""One server for the tests of a module; those that hurt it start their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.sources.postgresql import PostgresServer
from tests.sources.servers import RedisServer


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with closing(RedisServer()) as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    with closing(RedisServer()) as server:
        yield server


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with closing(PostgresServer()) as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with closing(PostgresServer()) as server:
        yield server
