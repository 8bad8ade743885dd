"""Compress files. `load` reads the next ones while `process` compresses this one.

Nothing needs to be chosen: not the number of processes, not how far to read ahead.
"""

import ast
import lzma
from pathlib import Path

import pullahead as pa
from pullahead.sources import paths


def compress(data: bytes) -> float:
    return len(lzma.compress(data)) / max(1, len(data))


files = [path for path in paths(Path(ast.__file__).parent) if path.suffix == ".py"][:40]
run = pa.map(compress, files, load=Path.read_bytes, pairs=True)
best = sorted((share, path.name) for path, share in run)[:3]
for share, name in best:
    print(f"{name} shrinks to {share:.0%}")
print(run.report)
