"""Fresh interpreters: what an import costs, and how long a script takes to its first result."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import pullahead
from pullahead.cli.bench.case import WORKERS, Absent, Case, Contender, Stage, Target
from pullahead.cli.bench.peers import CLUSTERS

IMPORT: Final = "import pullahead"
FIRST: Final = "pullahead.map, first result"

Python = Callable[..., str]

#: No script of these takes longer, and a bench that hangs helps nobody.
_PATIENCE: Final = 180.0

#: What the work imports, by case.
IMPORTS: Final = {"start": "", "start-torch": "torch"}

#: Each defines its work itself, as a user's script does, and prints when it had the first result. The clock
#: is the machine's, the same in all processes. What the work imports is imported where it is defined: on top.
_HEAD: Final = """
IMPORTS
import time
def work(x): return x + 1
def first():
    print(time.monotonic(), flush=True)
"""


class Script(NamedTuple):
    """A script to its first result; `peer`: whose it is, "" if everybody has it."""

    peer: str
    text: str


_SCRIPTS: Final = {
    FIRST: Script(
        "",
        """
import pullahead
for result in pullahead.map(work, range(100), workers=WORKERS):
    first()
    break
""",
    ),
    "ProcessPoolExecutor.map, first result": Script(
        "executor",
        """
import concurrent.futures
if __name__ == "__main__":
    with concurrent.futures.ProcessPoolExecutor(WORKERS) as pool:
        for result in pool.map(work, range(100)):
            first()
            break
""",
    ),
    "Pool.imap, first result": Script(
        "pool",
        """
import multiprocessing
if __name__ == "__main__":
    with multiprocessing.Pool(WORKERS) as pool:
        for result in pool.imap(work, range(100)):
            first()
            break
""",
    ),
    "joblib.Parallel, first result": Script(
        "joblib",
        """
import joblib
if __name__ == "__main__":
    results = joblib.Parallel(WORKERS, return_as="generator")(joblib.delayed(work)(x) for x in range(100))
    next(results)
    first()
    for _ in results:
        pass
""",
    ),
    "mpire.imap, first result": Script(
        "mpire",
        """
import mpire
if __name__ == "__main__":
    with mpire.WorkerPool(WORKERS) as pool:
        results = pool.imap(work, range(100))
        next(results)
        first()
        for _ in results:
            pass
""",
    ),
    "Dask client.map, first result": Script(
        "dask",
        """
import distributed
if __name__ == "__main__":
    options = dict(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None, silence_logs=50)
    with distributed.Client(**options) as client:
        next(distributed.as_completed(client.map(work, range(100)))).result()
        first()
""",
    ),
    "Ray tasks, first result": Script(
        "ray",
        """
import os
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_worker_niceness"] = "0"
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
import ray
options = dict(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
ray.init(address="local", **options)
task = ray.remote(work)
refs = [task.remote(x) for x in range(100)]
ray.get(ray.wait(refs)[0])
first()
ray.shutdown()
""",
    ),
}


def prepare(imports: str, stage: Stage) -> list[Contender | Absent]:
    """Write the scripts."""
    if imports and find_spec(imports) is None:
        return [Absent("everybody", f"needs {imports}: pip install {imports}")]
    folder = Path(stage.stack.enter_context(TemporaryDirectory(prefix="pullahead-bench-")))
    compiled = None if stage.quick else folder / "compiled"
    python = partial(_python, compiled)
    found: list[Contender | Absent] = []
    head = _HEAD.replace("IMPORTS", f"import {imports}" if imports else "")
    for number, (name, (peer, text)) in enumerate(_SCRIPTS.items()):
        absent = stage.peers.absent(peer) if peer else None
        if absent:
            found.append(Absent(name, absent.why))
        elif not imports or peer not in CLUSTERS:
            script = folder / f"script{number}.py"
            script.write_text((head + text).replace("WORKERS", str(WORKERS)))
            found.append(Contender(name, partial(_first_result, python, str(script))))
    if imports:
        code = f"import {imports}"
        return [*found, Contender(f"{code}, nothing else", partial(_wall, python, code), peer=False)]
    return [
        *found,
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


def _python(compiled: Path | None, *arguments: str) -> str:
    """Run an interpreter to its end and return what it printed.

    What it imports is compiled once into that folder, in the round that does not count, as an installation
    does it: whether our own files were compiled before must make no difference.
    """
    found = str(Path(pullahead.__file__).parents[1])  # a script's own folder replaces ours on its path
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [found, os.environ.get("PYTHONPATH")])),
    }
    if compiled:
        environment["PYTHONPYCACHEPREFIX"] = str(compiled)
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


CASES: Final = {
    "start": Case(
        name="start",
        warm=(True, False),
        title="from the start of a fresh interpreter",
        unit="ms",
        more_is_better=False,
        rounds=(3, 1),
        prepare=partial(prepare, IMPORTS["start"]),
        targets=(Target("median", FIRST, 400.0), Target("median", IMPORT, 100.0)),
        notes=(
            "The import is the difference to a Python that does nothing; a first result includes both. Those "
            "of the standard library and mpire fork, which is safe only in a program without threads"
        ),
    ),
    "start-torch": Case(
        name="start-torch",
        warm=(True, False),
        title="from the start of a fresh interpreter, where the work imports torch",
        unit="ms",
        more_is_better=False,
        rounds=(3, 1),
        prepare=partial(prepare, IMPORTS["start-torch"]),
        notes="Who forks has torch in its workers at once, and with it whatever threads it had started",
    ),
}
