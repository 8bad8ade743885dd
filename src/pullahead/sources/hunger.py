"""How those who take from one queue on a server tell each other that they are hungry: a word in a channel.

When that is said, and for how long it is believed, is said in `pullahead.core.hunger`.
"""

from __future__ import annotations

from typing import NamedTuple


class Hungry(NamedTuple):
    """So many workers of this consumer have nothing to compute."""

    workers: int
    who: str

    @property
    def said(self) -> str:
        """What is said in the channel."""
        return f"hungry {self.workers} {self.who}"


def hunger_in(said: str) -> Hungry | None:
    """Read what was said; None: something else."""
    match said.split():
        case ["hungry", workers, who] if workers.isdecimal():
            return Hungry(int(workers), who)
    return None
