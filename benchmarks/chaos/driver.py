"""The driver that is killed: always the same command, which goes on where its predecessor was.

`python -m benchmarks.chaos.driver FOLDER ITEMS WORKERS LONGEST SEED`
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from benchmarks.chaos.work import Nap, Paths, items_of

import pullahead
from pullahead.actors.local.system import die_with_parent
from pullahead.sources import JsonlSink

#: An item may be in one killed worker after the other.
_RETRIES: Final = 50


def main(folder: str, items: str, workers: str, longest: str, seed: str) -> None:
    """Run what is left."""
    die_with_parent(os.getppid())  # even if whoever kills at random is killed: nothing stays behind
    paths = Paths(Path(folder))
    pullahead.run(
        Nap(paths.log),
        items_of(int(items), float(longest), int(seed)),
        JsonlSink(paths.sink, "continue"),
        workers=int(workers),
        journal=paths.journal,
        retries=_RETRIES,
        ordered=False,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
