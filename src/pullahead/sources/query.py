"""The query of an address: what is ours in it, and what goes on to the library that speaks to the server.

Everything that is wrong with an address is found before anything is connected, and said in one line: what was
expected, what came, and in which address. Passwords are in no message.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

#: Makes a value of a text; what else it is given (the name, the address for people) is for its complaint.
Convert = Callable[[str, str, str], Any]


def split(
    text: str,
    shown: str,
    ours: Sequence[str],
    theirs: Collection[str],
    library: str,
    convert: Mapping[str, Convert],
) -> tuple[str, dict[str, Any]]:
    """Take out of an address what is ours.

    Args:
        text: the address.
        shown: the same, for people.
        ours: which names are.
        theirs: which other names the library knows.
        library: what it is called.
        convert: what makes values of texts; a text that is not empty, where nothing is said.

    Returns:
        The address for the library, and what was ours, by name.

    Raises:
        ValueError: something is unknown, there twice, or no value.
    """
    found: dict[str, str] = {}
    rest: dict[str, str] = {}
    where, query = cut(text)
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in found or name in rest:
            raise ValueError(f"expected {name} once in {shown}, got it twice")
        if name in ours:
            found[name] = value
        elif name in theirs:
            rest[name] = value
        else:
            names = ", ".join(ours)
            raise ValueError(f"expected one of {names}, or an option of {library}, in {shown}, got {name!r}")
    values = {name: convert.get(name, some_text)(name, value, shown) for name, value in found.items()}
    return joined(where, list(rest.items())), values


def cut(text: str) -> tuple[str, str]:
    """Cut an address before its query. A ? in a password begins none."""
    begin = text.find("://") + len("://")
    end = text.find("/", begin)
    begin = max(begin, text.rfind("@", begin, end if end >= 0 else len(text)))
    place = text.find("?", begin)
    return (text, "") if place < 0 else (text[:place], text[place + 1 :])


def without_password(text: str, kept: Collection[str]) -> str:
    """An address as it may be shown: who it is, but not how that is proved; of the query, what is `kept`."""
    address, query = cut(text)
    scheme, mark, where = address.partition("://")
    if not mark:
        return "something else"
    user, at, host = where.rpartition("@")
    pairs = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name in kept]
    return joined(f"{scheme}://{user.split(':')[0]}{at}{host}", pairs)


def joined(where: str, query: list[tuple[str, str]]) -> str:
    """Not by `urlunsplit`: it makes unix:/path of unix:///path. A blank is %20: not everybody knows the +."""
    return f"{where}?{urlencode(query, safe='/', quote_via=quote)}" if query else where


def some_text(name: str, value: str, shown: str) -> str:
    """Any text but none."""
    if not value:
        raise ValueError(f"expected a name for {name} in {shown}, got nothing")
    return value


def number(least: int) -> Convert:
    """Make a converter: a whole number from `least` on."""

    def convert(name: str, value: str, shown: str) -> int:
        if not (value.isascii() and value.isdecimal()) or int(value) < least:
            raise ValueError(f"expected a whole number from {least} for {name} in {shown}, got {value!r}")
        return int(value)

    return convert


def seconds(name: str, value: str, shown: str) -> float:
    """Seconds, from 0."""
    try:
        found = float(value)
    except ValueError:
        found = -1.0
    if not 0.0 <= found < float("inf"):
        raise ValueError(f"expected seconds from 0 for {name} in {shown}, got {value!r}")
    return found


def switch(name: str, value: str, shown: str) -> bool:
    """0 or 1."""
    if value not in ("0", "1"):
        raise ValueError(f"expected 0 or 1 for {name} in {shown}, got {value!r}")
    return value == "1"
