"""What an address says: the server, for redis-py, and in the query what is ours."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, final
from urllib.parse import urlsplit

from pullahead.core.leases import DELIVERIES
from pullahead.core.outage import PATIENCE
from pullahead.sources import query

#: What every address may say, and what is only of one that items come from, or that results go to.
_BOTH: Final = ("stream", "dead", "patience", "cluster")
_OF_SOURCE: Final = ("group", "field", "deliveries", "drain")
_OF_SINK: Final = ("maxlen",)
#: redis-py's options that are ours to choose: what an answer looks like, and when a call is tried again.
_OURS: Final = frozenset(
    {"protocol", "legacy_responses", "decode_responses", "encoding", "encoding_errors"}
) | {
    "retry",
    "retry_on_error",
    "retry_on_timeout",
}
#: A name of which only the part in its first braces says the slot; with nothing in these, all of it does.
_HASH_TAG: Final = re.compile(r"[^{]*\{[^}]+\}", re.DOTALL)


@final
@dataclass(frozen=True, slots=True)
class Address:
    """An address that makes sense. What each part means is said in `pullahead.sources.redis`.

    Attributes:
        url: for redis-py.
        shown: for people.
    """

    url: str
    shown: str
    stream: str
    group: str = ""
    field: str = "item"
    dead: str = ""
    deliveries: int = DELIVERIES
    drain: bool = False
    patience: float = PATIENCE
    maxlen: int | None = None
    cluster: bool = False

    @property
    def letters(self) -> str:
        """The stream for what has failed: in a cluster, unless it is named, one that is in the same slot."""
        if self.dead:
            return self.dead
        is_tagged = not self.cluster or _HASH_TAG.match(self.stream)
        return f"{self.stream}:dead" if is_tagged else f"{{{self.stream}}}:dead"


def of_source(text: str, known: Collection[str]) -> Address:
    """Read the address that items come from.

    Args:
        text: the address.
        known: which options redis-py has.

    Raises:
        ValueError: something is missing, unknown, or no value for it.
    """
    made = _read(text, known, _OF_SOURCE)
    if not made.group:
        raise ValueError(
            f"expected group=NAME in the query of {made.shown}, which shares the stream; got none"
        )
    return made


def of_queue(text: str, known: Collection[str]) -> Address:
    """Read the address of who does not take from it: as `of_source`, but a group is not always needed."""
    return _read(text, known, _OF_SOURCE)


def of_sink(text: str, known: Collection[str]) -> Address:
    """Read the address that results go to. Takes and raises what `of_source` does."""
    return _read(text, known, _OF_SINK)


def _read(text: str, known: Collection[str], special: tuple[str, ...]) -> Address:
    shown = query.without_password(text, (*_BOTH, *_OF_SOURCE, *_OF_SINK))
    try:
        urlsplit(text).port  # noqa: B018  whether it is a number is only found out by looking
    except ValueError:
        raise ValueError(f"expected a port from 0 to 65535 in {shown}, got another one") from None
    theirs = frozenset(known) - _OURS
    url, values = query.split(text, shown, (*_BOTH, *special), theirs, "redis-py", _CONVERT)
    if "stream" not in values:
        raise ValueError(f"expected stream=NAME in the query of {shown}, got none")
    return Address(url, shown, **values)


_CONVERT: Final[dict[str, query.Convert]] = {
    "deliveries": query.number(1),
    "maxlen": query.number(1),
    "patience": query.seconds,
    "drain": query.switch,
    "cluster": query.switch,
}
