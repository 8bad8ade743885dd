"""Fresh interpreters: what an import costs, and how long a script takes to its first result."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pullahead
from pullahead.cli.bench.case import WORKERS, Absent, Case, Contender, Target

IMPORT: Final = "import pullahead"
FIRST: Final = "pullahead.map, first result"

Python = Callable[..., str]

#: No script of these takes longer, and a bench that hangs helps nobody.
_PATIENCE: Final = 60.0

#: Each defines its work itself, as a user's script does, and prints when it had the first result. The clock
#: is the machine's, the same in all processes.
_SCRIPTS: Final = {
    FIRST: """
import pullahead, time
def work(x): return x + 1
for result in pullahead.map(work, range(100), workers=WORKERS):
    print(time.monotonic(), flush=True)
    break
""",
    "ProcessPoolExecutor.map, first result": """
import concurrent.futures, time
def work(x): return x + 1
if __name__ == "__main__":
    with concurrent.futures.ProcessPoolExecutor(WORKERS) as pool:
        for result in pool.map(work, range(100)):
            print(time.monotonic(), flush=True)
            break
""",
    "Pool.imap, first result": """
import multiprocessing, time
def work(x): return x + 1
if __name__ == "__main__":
    with multiprocessing.Pool(WORKERS) as pool:
        for result in pool.imap(work, range(100)):
            print(time.monotonic(), flush=True)
            break
""",
}


def prepare(stack: ExitStack, quick: bool) -> list[Contender | Absent]:  # noqa: ARG001  as small as it gets
    """Write the scripts."""
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="pullahead-bench-")))
    python = partial(_python, folder)
    firsts = []
    for number, (name, text) in enumerate(_SCRIPTS.items()):
        script = folder / f"script{number}.py"
        script.write_text(text.replace("WORKERS", str(WORKERS)))
        firsts.append(Contender(name, partial(_first_result, python, str(script))))
    return [
        *firsts,
        Contender(IMPORT, partial(_import, python), peer=False),
        Contender("python that does nothing", partial(_wall, python, "pass"), peer=False),
    ]


def _first_result(python: Python, script: str) -> float:
    start = time.monotonic()
    return (float(python(script)) - start) * 1000


def _import(python: Python) -> float:
    """Return what the import adds to an interpreter that does nothing, in ms."""
    bare = _wall(python, "pass")
    return _wall(python, "import pullahead") - bare


def _wall(python: Python, code: str) -> float:
    start = time.monotonic()
    python("-c", code)
    return (time.monotonic() - start) * 1000


def _python(folder: Path, *arguments: str) -> str:
    """Run an interpreter to its end and return what it printed.

    What it imports is compiled once, in the round that does not count, as an installation does it: whether
    our own files were compiled before must make no difference.
    """
    found = str(Path(pullahead.__file__).parents[1])  # a script's own folder replaces ours on its path
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [found, os.environ.get("PYTHONPATH")])),
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    ended = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    if ended.returncode or ended.stderr:
        last = (ended.stderr.strip().splitlines() or ["nothing on standard error"])[-1]
        raise RuntimeError(f"expected exit code 0 and no words, got {ended.returncode} and: {last}")
    return ended.stdout


CASE: Final = Case(
    name="start",
    title="from the start of a fresh interpreter",
    unit="ms",
    more_is_better=False,
    rounds=(11, 2),
    prepare=prepare,
    targets=(Target("median", FIRST, 400.0), Target("median", IMPORT, 100.0)),
    notes="The import is the difference to a Python that does nothing; a first result includes both",
)
