"""The policies that are worth comparing, by the names under which people know them."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, final

from pullahead.sim.scenario import AUTO


@final
class Policy(NamedTuple):
    """A lookahead, and whether held items may move.

    Attributes:
        name: for tables and pictures.
        lookahead, recall: as `simulate` takes them.
    """

    name: str
    lookahead: int | Literal["auto"]
    recall: bool


def fixed(lookahead: int) -> Policy:
    """A prefetch setting as others have it: a number, and what is held stays where it is."""
    return Policy(str(lookahead), lookahead, recall=False)


ON_DEMAND: Final = Policy("on demand", 0, recall=False)
SEED: Final = Policy("1, the plain pattern", 1, recall=False)
AUTO_KEEPING: Final = Policy("auto, no recall", AUTO, recall=False)
PULLAHEAD: Final = Policy("auto", AUTO, recall=True)

#: The columns of `pullahead simulate`.
POLICIES: Final = (ON_DEMAND, SEED, fixed(4), fixed(16), fixed(64), AUTO_KEEPING, PULLAHEAD)
