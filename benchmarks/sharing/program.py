"""One of the programs: `python -m benchmarks.sharing.program CONTENDER ADDRESS SCENE NUMBER`.

It says "ready", waits for a line, works, and says what it has noted.
"""

from __future__ import annotations

import json
import sys

from benchmarks.sharing.contenders import CONTENDERS
from benchmarks.sharing.scene import Scene


def _go() -> None:
    print("ready", flush=True)
    if not sys.stdin.readline():
        sys.exit("nobody is there any more")


def main() -> None:
    """Run one."""
    contender, address, scene, number = sys.argv[1:]
    notes = CONTENDERS[contender](address, Scene(**json.loads(scene)), int(number), _go)
    print(notes.line(), flush=True)


if __name__ == "__main__":
    main()
