"""What an address says: the server, for libpq, and in the query what is ours."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, final

from pullahead.core.leases import DELIVERIES
from pullahead.core.outage import PATIENCE
from pullahead.sources import query

#: Bytes of a queue's name: a channel has 63, of which ten are in front of it, and some are kept.
LONGEST: Final = 48
#: Seconds. Long enough for what is away for a moment, short enough for who watches.
RETRY_DELAY: Final = 10.0

_OURS: Final = ("queue", "drain", "results", "retries", "retry_delay", "deliveries", "patience")
#: Where a server is may be said in the query, too; what else is there may be a secret.
_SHOWN: Final = (*_OURS, "host", "port", "dbname", "user")
#: libpq's parameters that are ours to choose.
_CHOSEN: Final = frozenset({"client_encoding"})


@final
@dataclass(frozen=True, slots=True)
class Address:
    """An address that makes sense. What each part means is said in `pullahead.sources.postgresql`.

    Attributes:
        url: for libpq.
        shown: for people.
    """

    url: str
    shown: str
    queue: str
    drain: bool = False
    results: bool = True
    retries: int = 0
    retry_delay: float = RETRY_DELAY
    deliveries: int = DELIVERIES
    patience: float = PATIENCE

    @property
    def channel(self) -> str:
        """Where those who wait for items of this queue listen."""
        return f"pullahead:{self.queue}"


def read(text: str, known: Collection[str]) -> Address:
    """Read an address.

    Args:
        text: the address.
        known: which parameters libpq has.

    Raises:
        ValueError: something is missing, unknown, or no value for it.
    """
    where, rest = query.cut(text)
    if rest:
        text = f"{where}?{rest.replace('+', '%2B')}"  # libpq knows no + for a blank
    shown = query.without_password(text, _SHOWN)
    url, values = query.split(text, shown, _OURS, frozenset(known) - _CHOSEN, "libpq", _CONVERT)
    if "retries" in values:  # or they would be cut short
        values["deliveries"] = max(values.get("deliveries", DELIVERIES), values["retries"] + 1)
    if "queue" not in values:
        raise ValueError(f"expected queue=NAME in the query of {shown}, got none")
    return Address(url, shown, **values)


def _name(name: str, value: str, shown: str) -> str:
    size = len(value.encode(errors="replace"))
    if not 1 <= size <= LONGEST or not value.isprintable():
        got = f"{size} bytes" if size > LONGEST else repr(value) if value else "nothing"
        raise ValueError(
            f"expected a name of 1 to {LONGEST} printable bytes for {name} in {shown}, got {got}"
        )
    return value


_CONVERT: Final[dict[str, query.Convert]] = {
    "queue": _name,
    "drain": query.switch,
    "results": query.switch,
    "retries": query.number(0),
    "retry_delay": query.seconds,
    "deliveries": query.number(1),
    "patience": query.seconds,
}
