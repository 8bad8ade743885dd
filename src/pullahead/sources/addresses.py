"""Which text is the address of a live queue, and what is there.

An address is told by its scheme alone, so that a misspelt one is refused where it is opened, with a word
about what is wrong with it, and not taken for the name of a file.
"""

from __future__ import annotations

import re
from typing import Final

from pullahead.sources.query import without_password
from pullahead.sources.queue import Queue
from pullahead.sources.sink import RecordSink
from pullahead.sources.source import Source

#: Of redis-py's addresses: plain, over TLS, and a socket file of this machine.
REDIS: Final = ("redis://", "rediss://", "unix://")
#: Of libpq's.
POSTGRESQL: Final = ("postgresql://", "postgres://")

#: How such an address looks, for who gave another.
A_TABLE: Final = "postgresql://host/database?queue=NAME"

#: How RFC 3986 has it. A letter alone is a drive of Windows.
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def is_address(text: str) -> bool:
    """Whether this is an address and no name of a file: of a live queue, or of what nobody here speaks to."""
    return _SCHEME.match(text) is not None


def is_postgresql(text: str) -> bool:
    """Whether it is one in PostgreSQL."""
    return text.lower().startswith(POSTGRESQL)


def open_source(address: str) -> Source:
    """Open the live queue at an address, to take items from it.

    Raises:
        SourceError: it cannot be reached or used; in a line, what is wrong.
        ValueError: the address says something that nobody understands, or lacks something.
        ImportError: what speaks to such a server is not installed; the message says how to get it.
    """
    if is_postgresql(address):
        from pullahead.sources.postgresql import PostgresSource

        return PostgresSource(address)
    _check_redis(address)
    from pullahead.sources.redis import RedisSource

    return RedisSource(address)


def open_queue(address: str) -> Queue:
    """Open the live queue at an address, to fill it or to look after it. Raises as `open_source` does."""
    if is_postgresql(address):
        from pullahead.sources.postgresql import PostgresQueue

        return PostgresQueue(address)
    _check_redis(address)
    from pullahead.sources.redis import RedisQueue

    return RedisQueue(address)


def open_sink(address: str) -> RecordSink:
    """Open the live queue at an address, to put results into it. Raises as `open_source` does."""
    if is_postgresql(address):
        raise ValueError(
            "expected a file or a queue in Redis for the results, got an address of PostgreSQL: "
            "a queue there keeps the results of its own items, with nothing said"
        )
    _check_redis(address, "redis://host/0?stream=NAME")
    from pullahead.sources.redis import RedisSink

    return RedisSink(address)


def _check_redis(address: str, expected: str = f"{A_TABLE} or redis://host/0?stream=NAME&group=NAME") -> None:
    if not address.lower().startswith(REDIS):
        raise ValueError(f"expected an address as {expected}, got {without_password(address, ())}")
