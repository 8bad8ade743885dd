"""Results into a Redis stream: one entry for each item.

::

    item "a.txt"  result {"words": 120}
    item "b.txt"  error {"type": "ValueError", "message": "no words"}  attempts 1

Values are JSON. An entry is with the server when the call returns, so that an item is not acknowledged before
its result is there; one whose answer was lost because a connection was cut may be there twice.
"""

from __future__ import annotations

from typing import Any, Self, final

from pullahead.sources.encode import encode_value, type_name
from pullahead.sources.redis.address import of_sink
from pullahead.sources.redis.server import Server, known_options
from pullahead.sources.sink import is_failure


@final
class RedisSink:
    """Writes each item with its result, or its error, as one entry.

    Args:
        address: as `pullahead.sources.redis` has it.

    Raises:
        ValueError, SourceError, ImportError: as for `RedisSource`.
    """

    def __init__(self, address: str) -> None:
        self._at = of_sink(address, known_options())
        self.name = self._at.shown
        self.written = 0  # entries
        self._server = Server(self._at, beside=self._at.dead)
        self._server.check_streams(self._at.stream, self._at.dead or self._at.stream)

    def __repr__(self) -> str:
        return f"<RedisSink {self.name}, {self.written} written>"

    def __call__(self, result: Any, item: Any) -> None:
        """Write one entry.

        Raises:
            ResultError: the result is nothing that JSON can hold.
            SourceError: the server has gone.
        """
        if is_failure(result):
            self.write_error(item, result.error, result.attempts)
        else:
            fields = (
                "item",
                encode_value(item, "item", item),
                "result",
                encode_value(result, "result", item),
            )
            self._add(self._at.stream, fields)

    def write_error(self, item: Any, error: BaseException, attempts: int) -> None:
        """Write that an item has failed."""
        said = {"type": type_name(error), "message": str(error)}
        fields = ("item", encode_value(item, "item", item), "error", encode_value(said, "error", item))
        self._add(self._at.dead or self._at.stream, (*fields, "attempts", attempts))

    def _add(self, stream: str, fields: tuple[Any, ...]) -> None:
        kept = () if self._at.maxlen is None else ("MAXLEN", "~", self._at.maxlen)
        command = ("XADD", stream, *kept, "*", *fields)
        self._server.insist(lambda: self._server.ask([command]))
        self.written += 1

    def resume(self, size: int | None) -> bool:  # noqa: ARG002
        """Go on: a stream keeps what it was given. See `ResumableSink`."""
        return True

    def checkpoint(self) -> int | None:
        """A stream has no size that it could be cut back to."""
        return None

    def close(self) -> None:
        """Let go of the connection."""
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
