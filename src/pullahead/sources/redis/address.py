"""What an address says: the server, for redis-py, and in the query what is ours.

Everything that is wrong with an address is found before anything is connected, and said in one line: what was
expected, what came, and in which address. Passwords are in no message.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, final
from urllib.parse import parse_qsl, urlencode, urlsplit

from pullahead.core.outage import PATIENCE

#: Deliveries after which an item that never ended is dead. RabbitMQ's quorum queues have 20, SQS advises 5. A
#: consumer that dies charges all that it had, so there have to be more than one item could be to blame for.
DELIVERIES: Final = 10

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


def of_sink(text: str, known: Collection[str]) -> Address:
    """Read the address that results go to. Takes and raises what `of_source` does."""
    return _read(text, known, _OF_SINK)


def _read(text: str, known: Collection[str], special: tuple[str, ...]) -> Address:
    parts = urlsplit(text)
    shown = _without_password(text)
    try:
        parts.port  # noqa: B018  whether it is a number is only found out by looking
    except ValueError:
        raise ValueError(f"expected a port from 0 to 65535 in {shown}, got another one") from None
    ours: dict[str, str] = {}
    theirs: list[tuple[str, str]] = []
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in ours or name in dict(theirs):
            raise ValueError(f"expected {name} once in {shown}, got it twice")
        if name in _BOTH or name in special:
            ours[name] = value
        elif name in known and name not in _OURS:
            theirs.append((name, value))
        else:
            names = ", ".join((*_BOTH, *special))
            raise ValueError(f"expected one of {names}, or an option of redis-py, in {shown}, got {name!r}")
    url = _joined(text.partition("?")[0], theirs)
    values = {name: _CONVERT.get(name, _text)(name, value, shown) for name, value in ours.items()}
    if "stream" not in values:
        raise ValueError(f"expected stream=NAME in the query of {shown}, got none")
    return Address(url, shown, **values)


def _without_password(text: str) -> str:
    """An address as it may be shown: who it is, but not how that is proved; and nothing of redis-py's."""
    scheme, _, rest = text.partition("://")
    where, _, query = rest.partition("?")
    user, at, host = where.rpartition("@")
    ours = (*_BOTH, *_OF_SOURCE, *_OF_SINK)
    kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name in ours]
    return _joined(f"{scheme}://{user.split(':')[0]}{at}{host}", kept)


def _joined(where: str, query: list[tuple[str, str]]) -> str:
    """Not by `urlunsplit`: it makes unix:/path of unix:///path."""
    return f"{where}?{urlencode(query)}" if query else where


def _text(name: str, value: str, shown: str) -> str:
    if not value:
        raise ValueError(f"expected a name for {name} in {shown}, got nothing")
    return value


def _number(name: str, value: str, shown: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise ValueError(f"expected a whole number from 1 for {name} in {shown}, got {value!r}")
    return int(value)


def _seconds(name: str, value: str, shown: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < float("inf"):
        raise ValueError(f"expected seconds from 0 for {name} in {shown}, got {value!r}")
    return seconds


def _switch(name: str, value: str, shown: str) -> bool:
    if value not in ("0", "1"):
        raise ValueError(f"expected 0 or 1 for {name} in {shown}, got {value!r}")
    return value == "1"


_CONVERT: Final[dict[str, Callable[[str, str, str], Any]]] = {
    "deliveries": _number,
    "maxlen": _number,
    "patience": _seconds,
    "drain": _switch,
    "cluster": _switch,
}
