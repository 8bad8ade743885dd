"""What was read from a source, sorted: what is sent, what cannot be, and what has ended in an earlier run."""

from __future__ import annotations

from itertools import groupby, islice
from operator import attrgetter, itemgetter
from typing import Any, Final, NamedTuple

from pullahead.farm.freight import ship, ship_all
from pullahead.farm.payload import as_item, size_of
from pullahead.farm.recorded import UNPACKED, Recalled, Recorded
from pullahead.sources.source import Pair

_item: Final = itemgetter(1)


class Parcel(NamedTuple):
    """Items that follow each other and go the same way.

    Attributes:
        state: None: they are sent; UNPACKED: they cannot be; otherwise how they have ended in an earlier run.
        pairs: the items.
        payloads: for each what is sent, or why it cannot be; nothing of those that have ended.
        recalled: what a journal has of each, if there is one.
    """

    state: str | None
    pairs: list[Pair]
    payloads: list[Any]
    recalled: list[Recalled]


def parcels(
    taken: list[Pair], recorded: Recorded | None, most: float
) -> tuple[list[Parcel], list[Pair], Exception | None]:
    """Pack what was taken from a source, in order: so many bytes, and not many more.

    Returns the parcels; what is left, because it would be too much at once; and, of an item that a journal
    cannot tell from others, that error: then the parcels are those before it.
    """
    if recorded is None:
        return *_pack_some(taken, most), None
    recalled, error = recorded.read([item for _, item in taken])
    rest = iter(taken)
    found = []
    for state, group in groupby(recalled, attrgetter("state")):
        some = list(group)
        pairs = list(islice(rest, len(some)))
        payloads = [one.payload if state else as_item(one.payload) for one in some]
        found.append(Parcel(state, pairs, payloads, some))
    return found, [], error


def _pack_some(taken: list[Pair], most: float) -> tuple[list[Parcel], list[Pair]]:
    payloads = ship_all(list(map(_item, taken)))
    if payloads:
        return [Parcel(None, taken, payloads, [])], []
    found: list[Parcel] = []
    parcel = Parcel(None, [], [], [])
    left = iter(taken)
    size = 0
    for pair in left:
        try:
            payload = ship(pair[1])
        except Exception as error:  # noqa: BLE001  what cannot be pickled is that item's failure
            found += [parcel, Parcel(UNPACKED, [pair], [error], [])]
            parcel = Parcel(None, [], [], [])
        else:
            parcel.payloads.append(payload)
            parcel.pairs.append(pair)
            size += size_of(payload)
            if size >= most:
                break
    return [one for one in [*found, parcel] if one.pairs], list(left)
