"""Which text is the address of a live queue, and what is there.

An address is told by its scheme alone, so that a misspelt one is refused where it is opened, with a word
about what is wrong with it, and not taken for the name of a file.
"""

from __future__ import annotations

from typing import Final

from pullahead.sources.sink import RecordSink
from pullahead.sources.source import Source

#: Of redis-py's addresses: plain, over TLS, and a socket file of this machine.
REDIS: Final = ("redis://", "rediss://", "unix://")


def is_address(text: str) -> bool:
    """Whether this is the address of a live queue."""
    return text.lower().startswith(REDIS)


def open_source(address: str) -> Source:
    """Open the live queue at an address, to take items from it.

    Raises:
        SourceError: it cannot be reached or used; in a line, what is wrong.
        ValueError: the address says something that nobody understands, or lacks something.
        ImportError: what speaks to such a server is not installed; the message says how to get it.
    """
    from pullahead.sources.redis import RedisSource

    return RedisSource(address)


def open_sink(address: str) -> RecordSink:
    """Open the live queue at an address, to put results into it. Raises as `open_source` does."""
    from pullahead.sources.redis import RedisSink

    return RedisSink(address)
