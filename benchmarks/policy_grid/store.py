"""The rows on disk, one JSON object per line: what is there need not be computed again."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import IO, Any

from benchmarks.policy_grid.cells import Cell
from benchmarks.policy_grid.measure import Job, Row

import pullahead
from pullahead.sim.policies import Policy

Rows = dict[Job, Row]


class UnusableFileError(Exception):
    """A file that holds something else; one line says what."""


@cache
def code() -> str:
    """Return a fingerprint of what the rows depend on: the core and the simulator."""
    package = Path(pullahead.__file__).parent
    digest = hashlib.sha256()
    for part in ("core", "sim"):
        for path in sorted((package / part).rglob("*.py")):
            digest.update(f"{path.relative_to(package)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def load(path: Path, *, same_code: bool) -> Rows:
    """Read what is there; nothing if there is no file.

    A last line without an end, from a run that was killed while it wrote, is not read.

    Args:
        path: the file.
        same_code: refuse rows of other code: a table of both would compare two different policies as one.

    Raises:
        UnusableFileError: if it is something else.
    """
    if not path.exists():
        return {}
    rows: Rows = {}
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            fields = json.loads(line)
            job, row, by = _job(fields), Row(**fields["measured"]), fields["code"]
        except (ValueError, KeyError, TypeError) as error:
            what = f"{path}: line {number} is no row of a grid ({type(error).__name__}: {error})"
            raise UnusableFileError(what) from None
        if same_code and by != code():
            raise UnusableFileError(
                f"{path}: holds rows of another version of core or simulator ({by}, this is {code()}): "
                "give another --out, or look at it with --show"
            )
        rows[job] = row
    return rows


def open_to_append(path: Path) -> IO[str]:
    """Open it behind its last whole line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        with path.open("r+b") as file:
            file.truncate(file.read().rfind(b"\n") + 1)
    return path.open("a", encoding="utf-8")


def append(file: IO[str], job: Job, row: Row) -> None:
    """Write a row so that it survives whatever happens next to this process."""
    fields = {
        "cell": job.cell._asdict(),
        "items": job.items,
        "policy": job.policy._asdict(),
        "seed": job.seed,
        "measured": row._asdict(),
        "code": code(),
    }
    file.write(json.dumps(fields) + "\n")
    file.flush()


def _job(fields: dict[str, Any]) -> Job:
    return Job(Cell(**fields["cell"]), fields["items"], Policy(**fields["policy"]), fields["seed"])
