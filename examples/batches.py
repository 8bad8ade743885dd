"""Batches: `process` gets a list and returns a list, everything else stays one item at a time.

A model on a GPU wants many inputs at once, and so does anything with a cost per call: here a compressor that
learns from all texts of its batch. A batch that is not full goes when `batch_wait` is over, or at the end.
"""

import ast
import zlib
from pathlib import Path

import pullahead as pa


def shrink(texts: list[bytes]) -> list[int]:
    common = b"".join(text[:2000] for text in texts)
    sizes = []
    for text in texts:
        compressor = zlib.compressobj(zdict=common)
        sizes.append(len(compressor.compress(text) + compressor.flush()))
    return sizes


files = sorted(Path(ast.__file__).parent.glob("*.py"))[:50]
sizes = list(pa.map(shrink, files, load=Path.read_bytes, batch_size=8, batch_wait=0.05))
print(f"{len(sizes)} files in batches of up to 8: {sum(sizes):,} bytes")
